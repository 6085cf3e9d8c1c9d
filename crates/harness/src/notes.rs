//! Remarks on sysctls, in the same words for every engine.

/// Notes a sysctl that the model takes without effect. Each host has one note, which lists all of
/// them.
pub fn note_unmodelled(notes: &mut Vec<String>, host: &str, key: &str) {
    let start = format!("{host}: not modelled, no effect on ports: ");
    match notes.iter_mut().find(|note| note.starts_with(&start)) {
        Some(note) if note[start.len()..].split(", ").any(|known| known == key) => {}
        Some(note) => {
            note.push_str(", ");
            note.push_str(key);
        }
        None => notes.push(start + key),
    }
}

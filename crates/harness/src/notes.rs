//! Remarks on sysctls and NAT hosts, in the same words for every engine.

use fourtuple_kernel::nat::NatCounters;

/// The counters of a NAT host as one line.
pub fn note_nat(host: &str, counters: &NatCounters) -> String {
    let parts = [
        (counters.kept, "kept their port (nat.keep)"),
        (counters.moved, "got another port (nat.move)"),
        (
            counters.evicted,
            "took the port of a closing one (nat.evict)",
        ),
    ];
    let flows = parts.iter().filter(|(count, _)| *count > 0);
    let mut words: Vec<String> = flows
        .map(|(count, text)| format!("{count} {text}"))
        .collect();
    for (count, name) in [
        (counters.insert_failed, "insert_failed"),
        (counters.drop, "drop"),
        (counters.early_drop, "early_drop"),
        (counters.beyond_quota, "beyond the quota"),
    ] {
        if count > 0 {
            words.push(format!("{name} {count}"));
        }
    }
    format!("NAT on {host}, flows: {}", words.join(", "))
}

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

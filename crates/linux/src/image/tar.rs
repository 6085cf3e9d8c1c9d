//! Lookup of a file in a tar archive.

/// Returns the first regular file whose name `wanted` accepts, with its name.
pub(crate) fn find<'a>(
    archive: &'a [u8],
    wanted: impl Fn(&str) -> bool,
) -> Option<(&'a str, &'a [u8])> {
    const BLOCK: usize = 512;
    let mut rest = archive;
    let mut long_name: Option<&'a str> = None;
    loop {
        let (head, tail) = rest.split_at_checked(BLOCK)?;
        let size = usize::from_str_radix(text(&head[124..136]).trim(), 8).ok()?;
        let content = tail.get(..size)?;
        let name = long_name.take().unwrap_or_else(|| text(&head[..100]));
        match head[156] {
            // A name of more than 100 bytes is stored in an entry of its own before the file.
            b'L' => long_name = Some(text(content)),
            b'0' | 0 if wanted(name) => return Some((name, content)),
            _ => {}
        }
        rest = tail.get(size.next_multiple_of(BLOCK)..)?;
    }
}

/// The text up to the first NUL.
fn text(bytes: &[u8]) -> &str {
    let n = bytes.iter().position(|&b| b == 0).unwrap_or(bytes.len());
    std::str::from_utf8(&bytes[..n]).unwrap_or("")
}

//! Decoding of the bytes of a capture.

/// Decodes a capture: UTF-8 or UTF-16, with or without a byte order mark. Removes colours.
///
/// Bytes that are not UTF-8 are replaced: strace prints the data that programs send.
#[must_use]
pub fn decode(bytes: Vec<u8>) -> String {
    let text = match (utf16(&bytes), bytes.strip_prefix(&[0xef, 0xbb, 0xbf])) {
        (Some(text), _) => text,
        (None, Some(rest)) => String::from_utf8_lossy(rest).into_owned(),
        (None, None) => String::from_utf8(bytes)
            .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()),
    };
    if text.contains('\u{1b}') {
        without_colours(&text)
    } else {
        text
    }
}

/// Decodes UTF-16 with a byte order mark.
fn utf16(bytes: &[u8]) -> Option<String> {
    let (big, rest) = match bytes {
        [0xfe, 0xff, rest @ ..] => (true, rest),
        [0xff, 0xfe, rest @ ..] => (false, rest),
        _ => return None,
    };
    let units = rest.chunks_exact(2).map(|pair| match pair {
        [a, b] if big => u16::from_be_bytes([*a, *b]),
        [a, b] => u16::from_le_bytes([*a, *b]),
        _ => 0,
    });
    let chars = char::decode_utf16(units);
    Some(
        chars
            .map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER))
            .collect(),
    )
}

/// Removes escape sequences for colours: `ESC [ ... m`.
fn without_colours(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("\u{1b}[") {
        plain.push_str(&rest[..at]);
        let sequence = &rest[at + 2..];
        let parameters = |b: &u8| b.is_ascii_digit() || b";:?".contains(b);
        let end = sequence.bytes().take_while(|b| parameters(b)).count();
        let end = end
            + usize::from(
                sequence
                    .as_bytes()
                    .get(end)
                    .is_some_and(u8::is_ascii_alphabetic),
            );
        rest = &sequence[end..];
    }
    plain.push_str(rest);
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encodings_and_colours_are_taken_off() {
        assert_eq!(decode(b"\xef\xbb\xbfState".to_vec()), "State");
        assert_eq!(decode(b"\xff\xfeS\0t\0".to_vec()), "St");
        assert_eq!(decode(b"\xfe\xff\0S\0t\0".to_vec()), "St");
        assert_eq!(
            decode(b"\x1b[0mESTAB \x1b[35m10.0.0.5\x1b[0m:1\x1b[".to_vec()),
            "ESTAB 10.0.0.5:1"
        );
        assert_eq!(decode(b"a\xffb".to_vec()), "a\u{fffd}b");
    }
}

//! Detection of the kind of a capture by its first lines.

pub(crate) const STRACE: &str = "an strace log";
pub(crate) const SS: &str = "the output of ss";
pub(crate) const NETSTAT: &str = "the output of netstat";
pub(crate) const PROC: &str = "/proc/net/tcp or /proc/net/udp";

/// The first key of a file of `fourtuple capture`.
const CAPTURE_KEY: &str = "\"fourtuple_capture\"";

/// The number of lines that are examined.
const LINES: usize = 200;

/// Returns the kind of a text and a suggested command; `None` for an unknown kind.
#[must_use]
pub fn of(text: &str) -> Option<(&'static str, &'static str)> {
    let head = text.trim_start();
    if head.is_empty() {
        return Some((
            "an empty file",
            "check that the capture was written to this file",
        ));
    }
    for (start, what) in [
        ("\u{7f}ELF", "a program"),
        ("\u{1f}", "a compressed file"),
        ("PK\u{3}", "a compressed file"),
        ("<!DOCTYPE", "a web page"),
        ("<html", "a web page"),
    ] {
        if head.starts_with(start) {
            return Some((what, "pass the text of the capture itself"));
        }
    }
    // Packet captures begin with a magic number, most bytes of which are not UTF-8.
    if text
        .chars()
        .take(64)
        .filter(|c| *c == '\u{fffd}' || *c == '\0')
        .count()
        > 2
    {
        return Some((
            "a binary file",
            "pass the text of the capture itself, not packets or a compressed file",
        ));
    }
    if head.starts_with('{') && head.lines().take(3).any(|line| line.contains(CAPTURE_KEY)) {
        return Some((
            "a file of `fourtuple capture`",
            "fourtuple import capture FILE",
        ));
    }
    if head.starts_with('{') {
        return Some((
            "JSON",
            "pass a capture of `fourtuple capture`, or the output of the tool",
        ));
    }
    head.lines().take(LINES).find_map(line)
}

fn line(line: &str) -> Option<(&'static str, &'static str)> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let first = *words.first()?;
    if line.contains("(Not all processes could be identified")
        || line.starts_with("Active Internet connections")
        || ((first.starts_with("tcp") || first.starts_with("udp"))
            && words.len() >= 5
            && words
                .get(1)
                .is_some_and(|queue| queue.parse::<u64>().is_ok()))
    {
        return Some((NETSTAT, "fourtuple import netstat FILE"));
    }
    if words.get(1) == Some(&"local_address")
        || (first.ends_with(':') && words.get(3).is_some_and(|state| state.len() == 2))
    {
        return Some((PROC, "fourtuple import proc FILE"));
    }
    if line.contains("Recv-Q")
        || matches!(
            first,
            "ESTAB" | "LISTEN" | "TIME-WAIT" | "CLOSE-WAIT" | "SYN-SENT" | "UNCONN"
        )
    {
        return Some((SS, "fourtuple import ss FILE"));
    }
    if first.starts_with("net.") && (line.contains('=') || line.contains(':')) {
        return Some((
            "the output of sysctl",
            "pass it as `--sysctl FILE` together with a capture",
        ));
    }
    if matches!(first, "hosts:" | "about:" | "steps:" | "processes:") {
        return Some(("a scenario", "fourtuple run FILE"));
    }
    let call = line.find('(').zip(line.rfind(") = "));
    if call.is_some_and(|(open, end)| open < end) || line.contains(" resumed>") {
        return Some((STRACE, "fourtuple import strace FILE"));
    }
    if line.contains(" > ") && line.contains(": Flags [") {
        return Some((
            "the output of tcpdump",
            "packets do not show socket calls: record the program with strace, or the host with ss",
        ));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn captures_are_known_by_their_first_lines() {
        let named = |text| of(text).map(|(what, _)| what);
        assert_eq!(named("7 close(3) = 0\n"), Some(STRACE));
        assert_eq!(named("State Recv-Q Send-Q Local\n"), Some(SS));
        assert_eq!(named("tcp6 0 0 ::1:80 ::1:4000 VERBUNDEN\n"), Some(NETSTAT));
        let proc = "   0: 0100007F:0050 00000000:0000 0A 00000000:00000000\n";
        assert_eq!(named(proc), Some(PROC));
        assert_eq!(
            named("net.ipv4.tcp_tw_reuse = 2\n"),
            Some("the output of sysctl")
        );
        assert_eq!(named("about: what?\n"), Some("a scenario"));
        let capture = "{\"fourtuple_capture\":1}\n";
        assert_eq!(named(capture), Some("a file of `fourtuple capture`"));
        assert_eq!(named("{\"a\":1}\n"), Some("JSON"));
        assert_eq!(named(" \n"), Some("an empty file"));
        assert_eq!(named("\u{7f}ELF\0\0"), Some("a program"));
        assert_eq!(named("\0\0\0\0\0"), Some("a binary file"));
        assert_eq!(named("what is this?\n"), None);
    }
}

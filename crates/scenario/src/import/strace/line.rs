//! One line of an strace log.

/// A line taken apart as far as its shape goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Line<'a> {
    pub(super) pid: u32,
    /// Microseconds since whatever the clock counts from; none without a time stamp.
    pub(super) time: Option<u64>,
    pub(super) body: Body<'a>,
}

/// What a line says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Body<'a> {
    /// `name(args) = result`
    Call(&'a str),
    /// `name(args <unfinished ...>`, without the mark.
    Unfinished(&'a str),
    /// `<... name resumed>rest`: the name and the rest.
    Resumed(&'a str, &'a str),
    /// `+++ exited with 0 +++`, `+++ killed by SIGKILL +++`
    Exit,
    /// A signal, a message of strace itself, an empty line.
    Nothing,
}

/// Takes a line apart.
pub(super) fn line(text: &str) -> Line<'_> {
    let (pid, rest) = pid(text.trim());
    let (time, body) = time(rest);
    Line {
        pid,
        time,
        body: self::body(body),
    }
}

fn body(text: &str) -> Body<'_> {
    if text.is_empty() || text.starts_with("---") || text.starts_with("strace:") {
        return Body::Nothing;
    }
    if text.starts_with("+++") {
        return Body::Exit;
    }
    if let Some(rest) = text.strip_prefix("<... ") {
        return match rest.split_once(" resumed>") {
            Some((name, rest)) => Body::Resumed(name, rest),
            None => Body::Call(text),
        };
    }
    match text.find("<unfinished ...>").and_then(|at| text.get(..at)) {
        Some(start) => Body::Unfinished(start),
        None => Body::Call(text),
    }
}

/// `[pid 123]` as on a terminal, or `123` as in a file.
fn pid(text: &str) -> (u32, &str) {
    if let Some((pid, rest)) = text
        .strip_prefix("[pid")
        .and_then(|rest| rest.split_once(']'))
    {
        return (pid.trim().parse().unwrap_or(0), rest.trim_start());
    }
    let Some((first, rest)) = text.split_once(char::is_whitespace) else {
        return (0, text);
    };
    match first.parse() {
        // A pid is followed by something else; a count of seconds has a dot, and a clock has colons.
        Ok(pid) if first.bytes().all(|b| b.is_ascii_digit()) => (pid, rest.trim_start()),
        _ => (0, text),
    }
}

/// `1700000000.123456`, or `12:34:56.123456`.
fn time(text: &str) -> (Option<u64>, &str) {
    let Some((first, rest)) = text.split_once(char::is_whitespace) else {
        return (None, text);
    };
    match stamp(first) {
        Some(time) => (Some(time), rest.trim_start()),
        None => (None, text),
    }
}

fn stamp(text: &str) -> Option<u64> {
    let (clock, fraction) = text.split_once('.').unwrap_or((text, ""));
    if !clock.contains(':') && fraction.is_empty() {
        return None;
    }
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    let mut seconds: u64 = 0;
    for part in clock.split(':') {
        if part.is_empty() || !digits(part) {
            return None;
        }
        seconds = seconds.checked_mul(60)?.checked_add(part.parse().ok()?)?;
    }
    if !digits(fraction) {
        return None;
    }
    let micros: u64 = format!("{fraction:0<6}").get(..6)?.parse().ok()?;
    seconds.checked_mul(1_000_000)?.checked_add(micros)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pids_and_times_are_taken_off() {
        let read = line("123 1700000000.5 close(3) = 0");
        assert_eq!((read.pid, read.time), (123, Some(1_700_000_000_500_000)));
        assert_eq!(read.body, Body::Call("close(3) = 0"));
        let read = line("[pid  77] 00:01:02.000001 close(3) = 0");
        assert_eq!((read.pid, read.time), (77, Some(62_000_001)));
        let read = line("close(3) = 0");
        assert_eq!((read.pid, read.time), (0, None));
    }

    #[test]
    fn halves_of_a_call_are_known() {
        assert_eq!(
            line("1 accept4(3,  <unfinished ...>").body,
            Body::Unfinished("accept4(3,  ")
        );
        assert_eq!(
            line("1 <... accept4 resumed>NULL, NULL) = 4").body,
            Body::Resumed("accept4", "NULL, NULL) = 4")
        );
        assert_eq!(line("1 +++ exited with 0 +++").body, Body::Exit);
        assert_eq!(line("1 --- SIGCHLD {} ---").body, Body::Nothing);
    }
}

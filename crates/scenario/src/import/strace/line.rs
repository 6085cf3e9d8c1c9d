//! Parsing of one line of an strace log or of `perf trace`.

/// A line split into its parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Line<'a> {
    pub(super) pid: u32,
    /// The name of the program, as printed by `-Y` and `perf trace`.
    pub(super) program: Option<&'a str>,
    pub(super) time: Option<Stamp>,
    pub(super) body: Body<'a>,
}

/// A time stamp in microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Stamp {
    /// `12:34:56.5`: since midnight.
    Clock(u64),
    /// `2024-01-01T12:34:56.5`: since a fixed day.
    Date(u64),
    /// `1700000000.5` since the epoch, or `0.5` since the previous line.
    Seconds(u64),
}

/// The contents of a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Body<'a> {
    /// `name(args) = result`
    Call(&'a str),
    /// `name(args <unfinished ...>`, without the marker.
    Unfinished(&'a str),
    /// `<... name resumed>rest`: the name and the rest.
    Resumed(&'a str, &'a str),
    /// `+++ exited with 0 +++`, `+++ killed by SIGKILL +++`
    Exit,
    /// A signal, a message of strace, a line of a stack trace, an empty line.
    Nothing,
}

/// Parses a line.
pub(super) fn line(text: &str) -> Line<'_> {
    let text = text.trim();
    if let Some(line) = perf(text) {
        return line;
    }
    let (pid, program, rest) = pid(text);
    let (time, rest) = time(rest);
    let body = after_groups(rest);
    Line {
        pid,
        program,
        time,
        body: self::body(body),
    }
}

fn body(text: &str) -> Body<'_> {
    let nothing = ["---", "strace:", "> ", "Process ", "[ Process"];
    if text.is_empty() || nothing.iter().any(|start| text.starts_with(start)) {
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

/// Parses `    12.748 ( 0.105 ms): curl/1559 connect(...) = 0`, with the time in milliseconds.
fn perf(text: &str) -> Option<Line<'_>> {
    let (first, rest) = text.split_once(" (")?;
    let time = match first.trim() {
        "?" => None,
        number => {
            let (whole, part) = number.split_once('.')?;
            let millis: u64 = whole.parse().ok()?;
            let part: u64 = format!("{part:0<3}").get(..3)?.parse().ok()?;
            Some(Stamp::Date(millis.checked_mul(1000)?.checked_add(part)?))
        }
    };
    let (duration, rest) = rest.split_once("): ")?;
    if !(duration.trim().is_empty() || duration.trim_end().ends_with("ms")) {
        return None;
    }
    let (task, rest) = match rest.split_once('/') {
        Some((program, rest)) if !program.contains('(') => (Some(program), rest),
        _ => (None, rest),
    };
    let (pid, body) = match rest.split_once(' ') {
        Some((pid, body)) if task.is_some() => (pid.parse().ok()?, body.trim()),
        _ => (0, rest.trim()),
    };
    let body = if let Some(rest) = body.strip_prefix("... [continued]: ") {
        let (name, rest) = rest.split_once("()")?;
        Body::Resumed(name, rest)
    } else if let Some(start) = body.strip_suffix("...") {
        Body::Unfinished(start.trim_end().strip_suffix(')').unwrap_or(start))
    } else {
        self::body(body)
    };
    Some(Line {
        pid,
        program: task,
        time,
        body,
    })
}

/// Parses `[pid 123]` as on a terminal, or `123` as in a file, with an optional `<program>`.
fn pid(text: &str) -> (u32, Option<&str>, &str) {
    if let Some(rest) = text.strip_prefix("[pid") {
        let end = rest.find("] ").or_else(|| rest.find(']'));
        if let Some((inside, rest)) =
            end.and_then(|at| Some((rest.get(..at)?, rest.get(at + 1..)?)))
        {
            let (pid, program) = task(inside.trim()).unwrap_or((0, None));
            return (pid, program, rest.trim_start());
        }
    }
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let cut = match text.as_bytes().get(digits) {
        Some(b'<') => text.find("> ").map(|at| at + 1),
        // A space follows a pid, a dot a number of seconds, a colon a clock.
        Some(b' ' | b'\t') => Some(digits),
        _ => None,
    };
    let parts = cut.and_then(|cut| Some((task(text.get(..cut)?)?, text.get(cut..)?)));
    match parts {
        Some(((pid, program), rest)) => (pid, program, rest.trim_start()),
        None => (0, None, text),
    }
}

/// Parses `123` or `123<program>`.
fn task(text: &str) -> Option<(u32, Option<&str>)> {
    match text.split_once('<') {
        Some((pid, program)) => Some((pid.parse().ok()?, program.strip_suffix('>'))),
        None => Some((text.parse().ok()?, None)),
    }
}

/// Skips the groups that `-r`, `-n` and `-i` print before the call: `(+ 0.000253)`, `[  41]`,
/// `[00007f84467287c0]`.
fn after_groups(mut text: &str) -> &str {
    loop {
        let inside = |start, end| {
            let rest: &str = text.strip_prefix(start)?;
            rest.split_once(end)
        };
        let group = inside("(+", ")").or_else(|| inside("[", "]"));
        let Some((group, rest)) = group else {
            return text;
        };
        let fits = |b: u8| b.is_ascii_hexdigit() || b" .?".contains(&b);
        if !group.bytes().all(fits) {
            return text;
        }
        text = rest.trim_start();
    }
}

fn time(text: &str) -> (Option<Stamp>, &str) {
    let Some((first, rest)) = text.split_once(char::is_whitespace) else {
        return (None, text);
    };
    match stamp(first) {
        Some(time) => (Some(time), rest.trim_start()),
        None => (None, text),
    }
}

fn stamp(text: &str) -> Option<Stamp> {
    let (days, text) = match text.split_once('T') {
        Some((date, time)) => (Some(days(date)?), without_zone(time)),
        None => (None, text),
    };
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
    let of_day = |days: u64| days.checked_mul(86_400)?.checked_add(seconds);
    let total = |seconds: u64| seconds.checked_mul(1_000_000)?.checked_add(micros);
    Some(match days {
        Some(days) => Stamp::Date(total(of_day(days)?)?),
        None if clock.contains(':') => Stamp::Clock(total(seconds)?),
        None => Stamp::Seconds(total(seconds)?),
    })
}

/// Converts `2024-01-31` to days since 1 March of the year 0.
fn days(text: &str) -> Option<u64> {
    let mut parts = text.split('-').map(|part| part.parse::<u64>().ok());
    let (year, month, day) = (parts.next()??, parts.next()??, parts.next()??);
    if !(1..10_000).contains(&year) || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    // The year begins in March, so that the leap day is its last one.
    let year = year - u64::from(month < 3);
    let months = (month + 9) % 12;
    Some(year * 365 + year / 4 - year / 100 + year / 400 + (months * 153 + 2) / 5 + day)
}

fn without_zone(text: &str) -> &str {
    text.split(['+', '-', 'Z']).next().unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pids_and_times_are_taken_off() {
        let read = line("123 1700000000.5 close(3) = 0");
        let seconds = Stamp::Seconds(1_700_000_000_500_000);
        assert_eq!((read.pid, read.time), (123, Some(seconds)));
        assert_eq!(read.body, Body::Call("close(3) = 0"));
        let read = line("[pid  77] 00:01:02.000001 close(3) = 0");
        assert_eq!((read.pid, read.time), (77, Some(Stamp::Clock(62_000_001))));
        let read = line("close(3) = 0");
        assert_eq!((read.pid, read.time), (0, None));
    }

    #[test]
    fn options_of_strace_add_columns() {
        for text in [
            "7 12:00:00 [  41] close(3) = 0",
            "7 12:00:00 [00007f3c2a10e4d7] close(3) = 0",
            "7 12:00:00 [  41] [00007f3c2a10e4d7] close(3) = 0",
            "7<my prog> 12:00:00 close(3) = 0",
            "[pid 7<my prog>] 12:00:00 close(3) = 0",
            "[pid     7] 12:00:00 (+     0.000253) close(3) = 0",
        ] {
            let read = line(text);
            assert_eq!(read.body, Body::Call("close(3) = 0"), "{text}");
            assert_eq!(read.pid, 7, "{text}");
            assert_eq!(read.time, Some(Stamp::Clock(43_200_000_000)), "{text}");
        }
        assert_eq!(line("7<my prog> close(3) = 0").program, Some("my prog"));
        let dated = line("2024-01-01T10:00:00.000001+00:00 close(3) = 0");
        assert!(matches!(dated.time, Some(Stamp::Date(_))));
        assert_eq!(dated.body, Body::Call("close(3) = 0"));
        let stack = " > /usr/lib/libc.so.6(connect+0x17) [0x11b4d7]";
        assert_eq!(line(stack).body, Body::Nothing);
    }

    #[test]
    fn dates_are_days_apart() {
        let between = |a, b| days(b).expect("a day") - days(a).expect("a day");
        assert_eq!(between("2024-02-28", "2024-03-01"), 2);
        assert_eq!(between("2023-02-28", "2023-03-01"), 1);
        assert_eq!(between("2023-12-31", "2024-01-01"), 1);
        assert_eq!(days("2023-13-01"), None);
    }

    #[test]
    fn perf_trace_is_read() {
        let read = line("    12.748 ( 0.105 ms): curl/1559 connect(fd: 5, addrlen: 16) = 0");
        assert_eq!((read.pid, read.program), (1559, Some("curl")));
        assert_eq!(read.time, Some(Stamp::Date(12_748)));
        assert_eq!(read.body, Body::Call("connect(fd: 5, addrlen: 16) = 0"));
        let read = line("     1.000 (         ): nc/7 accept4(fd: 3, flags: 1) ...");
        assert_eq!(read.body, Body::Unfinished("accept4(fd: 3, flags: 1"));
        let read = line("     2.000 ( 1.000 ms): nc/7  ... [continued]: accept4()) = 4");
        assert_eq!(read.body, Body::Resumed("accept4", ") = 4"));
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

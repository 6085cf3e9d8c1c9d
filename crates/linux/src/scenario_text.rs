//! Programs written as step-form scenarios, so that an observed behaviour can be run, explained and
//! kept.

use crate::program::{Call, Family, How, OptionValue, Outcome, Program};
use std::fmt::Write as _;

/// Writes the first `steps` steps of a program as a scenario for `kernel`. With `expect_last` the
/// last step expects the real kernel's answer.
pub fn scenario_text(
    program: &Program,
    steps: usize,
    kernel: &str,
    about: &str,
    expect_last: bool,
) -> String {
    let mut out = String::new();
    let _ = writeln!(out, "about: {}", quoted(about));
    let _ = writeln!(out, "kernel: {kernel}");
    out.push_str("hosts:\n");
    if program.hosts.is_empty() {
        out.push_str("  h: { addresses: [127.0.0.1] }\n");
    }
    for host in &program.hosts {
        let addresses: Vec<String> = host
            .addresses
            .iter()
            .map(|a| quoted(&a.to_string()))
            .collect();
        let sysctls: Vec<String> = host
            .sysctls
            .iter()
            .map(|(k, v)| format!("{k}: {}", quoted(&range(v))))
            .collect();
        let _ = writeln!(
            out,
            "  {}: {{ addresses: [{}], sysctl: {{ {} }}{} }}",
            host.name,
            addresses.join(", "),
            sysctls.join(", "),
            match host.tentative_ms {
                0 => String::new(),
                ms => format!(", tentative: {ms}ms"),
            }
        );
    }
    out.push_str("steps:\n");
    let last = steps.saturating_sub(1);
    for (i, step) in program.steps.iter().enumerate().take(steps) {
        let result = step.answer.as_ref().map(|a| a.result);
        let mut fields = match line(&step.call, result) {
            Some(fields) => fields,
            None => continue,
        };
        if let (Some(host), Call::Socket { .. } | Call::Sysctl { .. }) = (&step.host, &step.call) {
            let _ = write!(fields, ", on: {host}");
        }
        // A sysctl is not a socket call: the format cannot expect its result, and the report notes
        // a refusal.
        let expects = expect_last && i == last && !matches!(step.call, Call::Sysctl { .. });
        if let (true, Some(result @ (Outcome::Ok | Outcome::Errno(_)))) = (expects, result) {
            let _ = write!(fields, ", expect: {result}");
        }
        let _ = writeln!(out, "  - {{ {fields} }}");
    }
    out
}

/// The fields of one step, or `None` for a step that scenarios do not have.
fn line(call: &Call, result: Option<Outcome>) -> Option<String> {
    Some(match call {
        Call::Ns | Call::Addr { .. } => return None,
        // A scenario only writes sysctls that the kernel has.
        Call::Sysctl { .. } if !matches!(result, None | Some(Outcome::Ok)) => return None,
        Call::Sysctl { key, value } => format!("sysctl: {{ {key}: {} }}", quoted(&range(value))),
        Call::Socket {
            sock,
            family,
            uid,
            nonblock,
        } => {
            let mut s = format!("socket: {sock}");
            if *family == Family::Inet6 {
                s.push_str(", family: inet6");
            }
            if let Some(uid) = uid {
                let _ = write!(s, ", by: user{uid}, uid: {uid}");
            }
            if *nonblock {
                s.push_str(", nonblock: true");
            }
            s
        }
        Call::Set {
            sock,
            option,
            value,
        } => format!(
            "set: {sock}, options: {{ {option}: {} }}",
            option_value(option, value)
        ),
        Call::Bind { sock, at } => format!("bind: {sock}, at: \"{at}\""),
        Call::Listen {
            sock,
            backlog: None,
        } => format!("listen: {sock}"),
        Call::Listen {
            sock,
            backlog: Some(n),
        } => format!("listen: {sock}, backlog: {n}"),
        Call::Connect { sock, to, .. } => format!("connect: {sock}, to: \"{to}\""),
        Call::Accept { sock, new, .. } => format!("accept: {sock}, as: {new}"),
        Call::Send { sock, len, .. } => format!("send: {sock}, len: {len}"),
        Call::Recv { sock, len, .. } => format!("recv: {sock}, len: {len}"),
        Call::Shutdown { sock, how } => {
            let how = match how {
                How::Read => "read",
                How::Write => "write",
                How::Both => "both",
            };
            format!("shutdown: {sock}, how: {how}")
        }
        Call::Disconnect { sock } => format!("disconnect: {sock}"),
        Call::Close { sock } => format!("close: {sock}"),
        Call::Getsockname { sock } => format!("getsockname: {sock}"),
        Call::Getpeername { sock } => format!("getpeername: {sock}"),
        Call::Sleep { ms } => format!("sleep: {ms}ms"),
    })
}

fn option_value(option: &str, value: &OptionValue) -> String {
    match (option, value) {
        ("linger", OptionValue::Bool(false)) => "off".to_owned(),
        ("linger", OptionValue::Int(n)) => n.to_string(),
        (_, OptionValue::Int(n @ (0 | 1))) if option != "tcp_linger2" => (*n == 1).to_string(),
        (_, OptionValue::Int(n)) => n.to_string(),
        (_, OptionValue::Bool(on)) => on.to_string(),
        (_, OptionValue::Text(text)) => quoted(text),
    }
}

/// Writes `40000 40003` in the scenario's form, `40000-40003`.
fn range(value: &str) -> String {
    match value.split_whitespace().collect::<Vec<_>>()[..] {
        [low, high] if low.parse::<u16>().is_ok() && high.parse::<u16>().is_ok() => {
            format!("{low}-{high}")
        }
        _ => value.to_owned(),
    }
}

fn quoted(text: &str) -> String {
    let plain = text
        .bytes()
        .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-'));
    if plain && !text.is_empty() {
        return text.to_owned();
    }
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

//! One adapter process, and the lines exchanged with it.

use crate::program::{Answer, Call, Step};
use crate::script::Answers;
use crate::step_format::outcome;
use fourtuple_syscall::{Returned, Syscall};
use serde::Deserialize;
use serde_json::{Map, Value};
use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{IpAddr, SocketAddr};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

/// The version of the protocol.
const VERSION: u64 = 1;
/// The longest line, in bytes.
const LINE: u64 = 1 << 16;

/// The first line of an adapter.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Hello {
    fourtuple: String,
    version: u64,
    /// The name of the stack.
    pub(super) name: String,
    /// A kernel release or the name of a profile.
    pub(super) kernel: String,
    /// The clock that sleeps use.
    pub(super) clock: Clock,
}

/// The clock of an adapter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Clock {
    /// Sleeps take their time.
    Real,
    /// Sleeps take no time.
    Virtual,
}

/// The outcome of a request.
#[derive(Debug, Deserialize)]
struct Reply {
    n: u64,
    at_us: u64,
    result: String,
    reason: Option<String>,
    local: Option<SocketAddr>,
    peer: Option<SocketAddr>,
    moved: Option<u32>,
}

/// The reason why a case was not executed to its end.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Failure {
    /// The adapter is unable to execute a call.
    #[error("the adapter does not support it: {0}")]
    Unsupported(String),
    /// The adapter did not keep to the protocol, or ended.
    #[error("{0}")]
    Broken(String),
}

/// A running adapter. It is killed when this is dropped.
pub(super) struct Session {
    child: Child,
    input: ChildStdin,
    lines: Receiver<String>,
    patience: Duration,
    n: u64,
}

impl Session {
    /// Starts an adapter and reads its version line.
    pub(super) fn start(command: &str, patience: Duration) -> Result<(Session, Hello), Failure> {
        let broken = |message: String| Failure::Broken(message);
        let mut child = Command::new("sh")
            .args(["-c", command])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|e| broken(format!("failed to start `{command}`: {e}")))?;
        let (Some(input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(broken(format!("`{command}` has no standard input")));
        };
        let (to, lines) = channel();
        thread::spawn(move || {
            let mut output = BufReader::new(output);
            let mut line = String::new();
            // Ends with the adapter, or when the session is dropped.
            while matches!((&mut output).take(LINE).read_line(&mut line), Ok(1..)) {
                if to.send(std::mem::take(&mut line)).is_err() {
                    break;
                }
            }
        });
        let mut session = Session {
            child,
            input,
            lines,
            patience,
            n: 0,
        };
        let line = session.line(patience, "its version line")?;
        let hello: Hello = serde_json::from_str(&line)
            .map_err(|e| broken(format!("invalid version line `{}`: {e}", line.trim_end())))?;
        if hello.fourtuple != "exec" || hello.version != VERSION {
            return Err(broken(format!(
                "the adapter speaks version {} of `{}`: expected version {VERSION} of `exec`",
                hello.version, hello.fourtuple
            )));
        }
        Ok((session, hello))
    }

    /// Reads the next line, waiting at most `wait`.
    fn line(&mut self, wait: Duration, what: &str) -> Result<String, Failure> {
        match self.lines.recv_timeout(wait) {
            Ok(line) => Ok(line),
            Err(RecvTimeoutError::Timeout) => Err(Failure::Broken(format!(
                "the adapter did not write {what} within {} s",
                wait.as_secs_f64()
            ))),
            Err(RecvTimeoutError::Disconnected) => {
                // Its output is closed: it has ended, or is killed here.
                let _ = self.child.kill();
                let status = match self.child.wait() {
                    Ok(status) => status.to_string(),
                    Err(e) => e.to_string(),
                };
                Err(Failure::Broken(format!(
                    "the adapter ended before it wrote {what} ({status})"
                )))
            }
        }
    }

    /// Sends a request and returns its outcome.
    fn request(&mut self, mut fields: Map<String, Value>, wait_ms: u32) -> Result<Answer, Failure> {
        self.n += 1;
        fields.insert("n".to_owned(), self.n.into());
        let op = fields["op"].as_str().unwrap_or_default().to_owned();
        let what = format!("the outcome of `{op}` (request {})", self.n);
        let mut line = Value::Object(fields).to_string();
        line.push('\n');
        // A failure shows when the answer is read.
        let _ = self.input.write_all(line.as_bytes());
        let _ = self.input.flush();
        let wait = self.patience + Duration::from_millis(wait_ms.into());
        let line = self.line(wait, &what)?;
        let invalid = |why: String| {
            let line = line.trim_end();
            Failure::Broken(format!("`{line}` is not {what}: {why}"))
        };
        let reply: Reply = serde_json::from_str(&line).map_err(|e| invalid(e.to_string()))?;
        if reply.n != self.n {
            return Err(invalid(format!("`n` is {}", reply.n)));
        }
        if reply.result == "UNSUPPORTED" {
            let reason = reply.reason.unwrap_or_else(|| format!("`{op}`"));
            return Err(Failure::Unsupported(one_line(&reason)));
        }
        let returned = Returned {
            local: reply.local,
            peer: reply.peer,
            bytes: reply.moved,
            ..Returned::default()
        };
        Ok(Answer {
            at_us: reply.at_us,
            outcome: outcome(&reply.result, returned).map_err(invalid)?,
        })
    }

    fn host(&mut self, addresses: &[IpAddr]) -> Result<(), Failure> {
        let calls = addresses.iter().map(|&at| Call::Addr { at });
        for call in std::iter::once(Call::Ns).chain(calls) {
            let what = call.to_string();
            let outcome = self.request(fields_of(&Step::new(call))?, 0)?.outcome;
            if !outcome.is_ok() {
                return Err(Failure::Unsupported(format!("{what}: {outcome}")));
            }
        }
        Ok(())
    }
}

impl Answers for Session {
    type Error = Failure;

    fn begin(&mut self, addresses: &[IpAddr]) -> Result<(), Failure> {
        self.host(addresses)
    }

    fn answer(&mut self, step: &Step) -> Result<Answer, Failure> {
        let wait_ms = step.wait_ms();
        let mut fields = fields_of(step)?;
        if wait_ms > 0 && !matches!(step.call, Call::Sleep { .. }) {
            fields.insert("wait_ms".to_owned(), wait_ms.into());
        }
        self.request(fields, wait_ms)
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The fields of a request: those of recordings, and the encoded option, which saves adapters a
/// table of options.
fn fields_of(step: &Step) -> Result<Map<String, Value>, Failure> {
    let Ok(Value::Object(mut fields)) = serde_json::to_value(step) else {
        return Err(Failure::Unsupported("a call without fields".to_owned()));
    };
    fields.remove("host");
    match step.call.sys() {
        Some(Syscall::Set { option, .. }) => {
            let encoded = option.encode();
            let mut bytes = String::new();
            for byte in encoded.value() {
                let _ = write!(bytes, "{byte:02x}");
            }
            fields.insert("level".to_owned(), encoded.level.into());
            fields.insert("number".to_owned(), encoded.option.into());
            fields.insert("bytes".to_owned(), bytes.into());
        }
        Some(Syscall::Listen { backlog, .. }) => {
            fields.insert("backlog".to_owned(), (*backlog).into());
        }
        _ => {}
    }
    Ok(fields)
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

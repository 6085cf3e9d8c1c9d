//! Decoding of single steps. Their relations are resolved in [`sockets`](super::sockets).

use crate::diagnostic::quoted;
use crate::limits::MAX_STEPS;
use crate::model::{
    AcceptStep, BindStep, ConnectStep, ListenStep, NameStep, OnSocketStep, RecvfromStep,
    SendtoStep, SetStep, ShutdownStep, SleepStep, SocketStep, Step, SysctlStep, TransferStep,
};
use crate::span::{Span, Spanned};
use crate::suggest::{all_of, nearest};
use crate::value::{Bytes, Family, Op, Ordinary, SocketType};
use crate::yaml::{Key, Node, Value};

use super::Problems;
use super::fields::{Fields, STEPS, entries};
use super::options::options;
use super::sysctl::sysctls;
use super::values::{answers, name, spanned, word};

/// A step as written. Fields whose default depends on other steps may still be missing.
pub(crate) struct Raw {
    pub(crate) step: Spanned<Step>,
    /// `by`, `on` and `uid` of a `socket` step, and `on` of a `sysctl` step.
    pub(crate) by: Option<Spanned<String>>,
    pub(crate) on: Option<Spanned<String>>,
    pub(crate) uid: Option<Spanned<u32>>,
    /// The span of the socket's name.
    pub(crate) socket: Span,
    /// The variables that the step reads, each with the time of the read.
    pub(crate) variables: Vec<(Reads, Spanned<String>)>,
}

/// The time at which a step reads a variable.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reads {
    /// Before the call, as one of its arguments.
    Before,
    /// After the call, to check its result.
    After,
}

/// Decodes the value of `steps`. Returns `None` if any step is invalid, because later steps would
/// then report its missing socket or port again.
pub(crate) fn steps(node: &Node, at: Span, problems: &mut Problems<'_>) -> Option<Vec<Raw>> {
    let Value::List(items) = &node.value else {
        let message = format!("expected a list of steps, found {}", node.kind());
        let help = "write `- { socket: a, by: client }` on a line of its own";
        problems.report(node.span, message, "a list", Some(help.to_owned()));
        return None;
    };
    if items.is_empty() {
        problems.report(at, "`steps` is empty", "at least one step", None);
    }
    if items.len() > MAX_STEPS {
        let message = format!("{} steps in one scenario", items.len());
        problems.report(
            at,
            message,
            "",
            Some(format!("the limit is {MAX_STEPS} steps")),
        );
        return None;
    }
    let mut all = Vec::with_capacity(items.len());
    for item in items {
        if problems.is_full() {
            return None;
        }
        all.extend(raw(item, problems));
    }
    (all.len() == items.len()).then_some(all)
}

/// Determines the kind of a step by the field that names it.
fn kind(node: &Node, problems: &mut Problems<'_>) -> Option<(&'static [&'static str], Key)> {
    let entries = entries(node, "a step", problems)?;
    let words = || STEPS.iter().map(|fields| fields[0]);
    // Names of steps are unambiguous: no kind of step has one of them as another field.
    let found: Vec<&Key> = entries
        .iter()
        .map(|(key, _)| key)
        .filter(|key| words().any(|word| word == &*key.text))
        .collect();
    match found.as_slice() {
        [key] => {
            let fields = STEPS.iter().find(|fields| fields[0] == &*key.text)?;
            Some((fields, (*key).clone()))
        }
        [] => {
            let first = entries.first();
            let span = first.map_or(node.span, |(key, _)| key.span);
            let near = first.and_then(|(key, _)| nearest(&key.text, words()));
            let help = match near {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("the steps are {}", all_of(words())),
            };
            let message = match first {
                Some((key, _)) => format!("unknown step {}", quoted(&key.text)),
                None => "an empty step".to_owned(),
            };
            problems.report(
                span,
                message,
                "a step such as `{ bind: a, at: \"127.0.0.1:0\" }`",
                Some(help),
            );
            None
        }
        [_, second, ..] => {
            let names = all_of(found.iter().map(|key| &*key.text));
            let help = "write a separate entry for each step".to_owned();
            problems.report(
                second.span,
                format!("the step has several kinds: {names}"),
                "one step",
                Some(help),
            );
            None
        }
    }
}

fn raw(node: &Node, problems: &mut Problems<'_>) -> Option<Raw> {
    let (known, key) = kind(node, problems)?;
    let fields = Fields::of(node, step_name(known[0]), known, key.span, problems)?;
    let socket = match known[0] {
        "sysctl" | "sleep" => String::new(),
        word => fields.need(word, problems, name).unwrap_or_default(),
    };
    let expect = fields.take("expect", problems, answers).unwrap_or_default();
    let port_as = fields.take("port_as", problems, name);
    let expect_port = fields.take("expect_port", problems, word);
    let expect_local = fields.take("expect_local", problems, word);
    let expect_peer = fields.take("expect_peer", problems, word);
    let by = fields
        .node("by")
        .and_then(|node| Some(Spanned::new(name(node, problems)?, node.span)));
    let on = fields.take("on", problems, spanned::<String>);
    let uid = fields
        .take("uid", problems, spanned::<Ordinary>)
        .map(|uid| Spanned::new(uid.value.0, uid.span));
    let step = match known[0] {
        "socket" => Step::Socket(SocketStep {
            socket,
            family: fields
                .take("family", problems, word)
                .unwrap_or(Family::Inet),
            kind: fields
                .take("type", problems, word)
                .unwrap_or(SocketType::Stream),
            by: String::new(),
            uid: 0,
            on: String::new(),
            nonblock: fields.take("nonblock", problems, word).unwrap_or(false),
            options: fields
                .take("options", problems, options)
                .unwrap_or_default(),
            expect,
            implicit: false,
        }),
        "set" => {
            let options = fields.need("options", problems, options)?;
            if options.is_empty() && problems.is_empty() {
                let help = "write `options: { reuseaddr: true }`".to_owned();
                problems.report(
                    node.span,
                    "this step sets no option",
                    "at least one option",
                    Some(help),
                );
            }
            Step::Set(SetStep {
                set: socket,
                options,
                expect,
            })
        }
        "bind" => Step::Bind(BindStep {
            bind: socket,
            at: fields.need("at", problems, word)?,
            port_as,
            expect,
            expect_port,
            expect_local,
        }),
        "listen" => Step::Listen(ListenStep {
            listen: socket,
            backlog: fields
                .take("backlog", problems, word::<Ordinary>)
                .map_or(128, |backlog| backlog.0),
            port_as,
            expect,
            expect_port,
            expect_local,
        }),
        "connect" => Step::Connect(ConnectStep {
            connect: socket,
            to: fields.need("to", problems, word)?,
            port_as,
            expect,
            expect_port,
            expect_local,
            expect_peer,
        }),
        "accept" => Step::Accept(AcceptStep {
            accept: socket,
            accepted: fields.take("as", problems, name),
            expect,
            expect_local,
            expect_peer,
        }),
        "sendto" => Step::Sendto(SendtoStep {
            sendto: socket,
            to: fields.need("to", problems, word)?,
            len: bytes(&fields, problems),
            port_as,
            expect,
            expect_port,
            expect_local,
        }),
        "recvfrom" => Step::Recvfrom(RecvfromStep {
            socket,
            len: bytes(&fields, problems),
            port_as,
            expect,
            expect_port,
            expect_peer,
        }),
        "send" | "recv" => {
            let len = bytes(&fields, problems);
            let step = TransferStep {
                socket,
                len,
                expect,
            };
            if known[0] == "send" {
                Step::Send(step)
            } else {
                Step::Recv(step)
            }
        }
        "shutdown" => Step::Shutdown(ShutdownStep {
            shutdown: socket,
            how: fields.need("how", problems, word)?,
            expect,
        }),
        "disconnect" => Step::Disconnect(OnSocketStep { socket, expect }),
        "close" => Step::Close(OnSocketStep { socket, expect }),
        "getsockname" => Step::Getsockname(NameStep {
            socket,
            port_as,
            expect,
            expect_port,
            expect_address: expect_local,
        }),
        "getpeername" => Step::Getpeername(NameStep {
            socket,
            port_as,
            expect,
            expect_port,
            expect_address: expect_peer,
        }),
        "sysctl" => Step::Sysctl(SysctlStep {
            sysctl: fields.need("sysctl", problems, sysctls)?,
            on: String::new(),
        }),
        _ => Step::Sleep(SleepStep {
            sleep: fields.need("sleep", problems, word)?,
        }),
    };
    Some(Raw {
        variables: variables(&step, &fields, node.span),
        socket: fields.node(known[0]).map_or(node.span, |node| node.span),
        step: Spanned::new(step, node.span),
        by,
        on,
        uid,
    })
}

/// The number of bytes of a step that sends or receives.
fn bytes(fields: &Fields<'_>, problems: &mut Problems<'_>) -> u32 {
    let len = fields.take("len", problems, word::<Bytes>);
    len.map_or(1, |len| len.0)
}

fn variables(step: &Step, fields: &Fields<'_>, at: Span) -> Vec<(Reads, Spanned<String>)> {
    let target = match step {
        Step::Bind(step) => Some((Reads::Before, "at", &step.at)),
        Step::Connect(step) => Some((Reads::Before, "to", &step.to)),
        Step::Sendto(step) => Some((Reads::Before, "to", &step.to)),
        _ => None,
    };
    let local = step
        .expect_local()
        .map(|address| (Reads::After, "expect_local", address));
    let peer = step
        .expect_peer()
        .map(|address| (Reads::After, "expect_peer", address));
    [target, local, peer]
        .into_iter()
        .flatten()
        .filter_map(|(when, field, address)| {
            let span = fields.node(field).map_or(at, |node| node.span);
            Some((when, Spanned::new(address.variable()?.to_owned(), span)))
        })
        .collect()
}

/// The kind of a step with its article, for messages.
fn step_name(word: &str) -> &'static str {
    match word {
        "socket" => "a `socket` step",
        "set" => "a `set` step",
        "bind" => "a `bind` step",
        "listen" => "a `listen` step",
        "connect" => "a `connect` step",
        "accept" => "an `accept` step",
        "send" => "a `send` step",
        "recv" => "a `recv` step",
        "sendto" => "a `sendto` step",
        "recvfrom" => "a `recvfrom` step",
        "shutdown" => "a `shutdown` step",
        "disconnect" => "a `disconnect` step",
        "close" => "a `close` step",
        "getsockname" => "a `getsockname` step",
        "getpeername" => "a `getpeername` step",
        "sysctl" => "a `sysctl` step",
        _ => "a `sleep` step",
    }
}

/// Returns `true` for calls that create the socket they name if no `socket` step did.
pub(crate) fn makes_socket(op: Op) -> bool {
    matches!(op, Op::Set | Op::Bind | Op::Listen | Op::Connect)
}

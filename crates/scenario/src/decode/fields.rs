//! The fields of the format's maps: their names, and the code that takes them out of a tree.

use super::Problems;
use fourtuple_syscall::SockOpt;

use crate::diagnostic::quoted;
use crate::span::Span;
use crate::suggest::{all_of, nearest};
use crate::yaml::{Node, Value};

pub(crate) const SCENARIO: &[&str] = &[
    "about",
    "source",
    "kernel",
    "seed",
    "time_wait",
    "matrix",
    "network",
    "hosts",
    "processes",
    "steps",
    "expect",
];
pub(crate) const HOST: &[&str] = &[
    "addresses",
    "ipv6",
    "tentative",
    "sysctl",
    "listen",
    "kernel",
    "hz",
    "machine",
    "via",
    "nat",
];
pub(crate) const NAT: &[&str] = &[
    "masquerade",
    "snat",
    "ports",
    "random",
    "persistent",
    "dnat",
    "preset",
    "ports-per-client",
    "hold-after-close",
    "idle",
];
pub(crate) const MASQUERADE: &[&str] = &["ports"];
/// The modelled socket options.
pub(crate) const OPTIONS: [&str; SockOpt::MODELLED.len()] = {
    let mut names = [""; SockOpt::MODELLED.len()];
    let mut at = 0;
    while at < names.len() {
        names[at] = SockOpt::MODELLED[at].name;
        at += 1;
    }
    names
};
pub(crate) const NETWORK: &[&str] = &["latency", "loss", "faults"];
pub(crate) const FAULT: &[&str] = &[
    "at",
    "partition",
    "repair",
    "hold",
    "release",
    "crash",
    "bounce",
];

/// The fields of each kind of step. The first one is the key that names the step.
pub(crate) const STEPS: &[&[&str]] = &[
    &[
        "socket", "family", "type", "by", "uid", "on", "nonblock", "options", "expect",
    ],
    &["set", "options", "expect"],
    &[
        "bind",
        "at",
        "port_as",
        "expect",
        "expect_port",
        "expect_local",
    ],
    &[
        "listen",
        "backlog",
        "port_as",
        "expect",
        "expect_port",
        "expect_local",
    ],
    &[
        "connect",
        "to",
        "port_as",
        "expect",
        "expect_port",
        "expect_local",
        "expect_peer",
    ],
    &["accept", "as", "expect", "expect_local", "expect_peer"],
    &["send", "len", "expect"],
    &["recv", "len", "expect"],
    &[
        "sendto",
        "to",
        "len",
        "port_as",
        "expect",
        "expect_port",
        "expect_local",
    ],
    &[
        "recvfrom",
        "len",
        "port_as",
        "expect",
        "expect_port",
        "expect_peer",
    ],
    &["shutdown", "how", "expect"],
    &["disconnect", "expect"],
    &["close", "expect"],
    &[
        "getsockname",
        "port_as",
        "expect",
        "expect_port",
        "expect_local",
    ],
    &[
        "getpeername",
        "port_as",
        "expect",
        "expect_port",
        "expect_peer",
    ],
    &["sysctl", "on"],
    &["sleep"],
];

#[cfg(test)]
pub(crate) const STEP_FIELDS: &[&[&str]] = STEPS;

/// A map of the file with a fixed set of fields.
pub(crate) struct Fields<'n> {
    entries: &'n [(crate::yaml::Key, Node)],
    /// The kind of map, for messages: "a host".
    what: &'static str,
    /// The span at which a missing field is reported.
    at: Span,
    /// `true` if the map has fields that the format does not define.
    pub(crate) has_unknown: bool,
}

/// A decoder of one value. It reports problems and returns `None` for an invalid value.
pub(crate) type Decode<'s, T> = fn(&Node, &mut Problems<'s>) -> Option<T>;

impl<'n> Fields<'n> {
    /// Reads the fields of `node` and reports unknown ones. `at` is the map's name, the span of
    /// problems that concern the whole map.
    pub(crate) fn of(
        node: &'n Node,
        what: &'static str,
        known: &[&str],
        at: Span,
        problems: &mut Problems<'_>,
    ) -> Option<Self> {
        let entries = entries(node, what, problems)?;
        for (key, _) in entries {
            if known.contains(&&*key.text) {
                continue;
            }
            // Computing suggestions takes time, and problems beyond the limit are not shown.
            if problems.is_full() {
                break;
            }
            let help = match nearest(&key.text, known.iter().copied()) {
                Some(name) => format!("did you mean `{name}`?"),
                None if &*key.text == "<<" => {
                    "merge keys are not supported; repeat the fields, or use `matrix`".to_owned()
                }
                None => format!("the fields of {what} are {}", all_of(known.iter().copied())),
            };
            problems.report(
                key.span,
                format!("unknown field {} in {what}", quoted(&key.text)),
                &format!("a field of {what}"),
                Some(help),
            );
        }
        let has_unknown = entries.iter().any(|(key, _)| !known.contains(&&*key.text));
        Some(Self {
            entries,
            what,
            at,
            has_unknown,
        })
    }

    /// The value of a field, `None` if it is absent. A `field:` without a value is reported.
    pub(crate) fn node(&self, name: &str) -> Option<&'n Node> {
        self.entry(name).map(|(_, node)| node)
    }

    /// The span of the field's name.
    pub(crate) fn key_span(&self, name: &str) -> Option<Span> {
        self.entry(name).map(|(span, _)| span)
    }

    fn entry(&self, name: &str) -> Option<(Span, &'n Node)> {
        self.entries
            .iter()
            .find(|(key, _)| &*key.text == name)
            .map(|(key, node)| (key.span, node))
    }

    /// Decodes an optional field.
    pub(crate) fn take<'s, T>(
        &self,
        name: &str,
        problems: &mut Problems<'s>,
        decode: Decode<'s, T>,
    ) -> Option<T> {
        decode(self.node(name)?, problems)
    }

    /// Decodes a required field.
    pub(crate) fn need<'s, T>(
        &self,
        name: &str,
        problems: &mut Problems<'s>,
        decode: Decode<'s, T>,
    ) -> Option<T> {
        let Some(node) = self.node(name) else {
            self.missing(name, problems);
            return None;
        };
        decode(node, problems)
    }

    pub(crate) fn missing(&self, name: &str, problems: &mut Problems<'_>) {
        problems.report(
            self.at,
            format!("{} has no `{name}`", self.what),
            &format!("a field `{name}`"),
            Some(format!("add `{name}: ...`")),
        );
    }
}

/// The entries of a map. Reports a node that is not a map.
pub(crate) fn entries<'n>(
    node: &'n Node,
    what: &str,
    problems: &mut Problems<'_>,
) -> Option<&'n [(crate::yaml::Key, Node)]> {
    if let Value::Map(entries) = &node.value {
        return Some(entries);
    }
    problems.report(
        node.span,
        format!("expected {what}, found {}", node.kind()),
        "a map with `name: value` entries",
        Some("write `name: value` on lines of their own, or `{ name: value }`".to_owned()),
    );
    None
}

//! One small program for each behaviour, with the answer that each value of it gives.
//!
//! A pin fixes every other behaviour by naming a kernel, so that nothing but the one behaviour can
//! make the difference.

mod bind;
mod bucket;
mod connect;
mod nat;
mod scopes;
mod time;
mod udp;

use super::{Answer, kernel};
use fourtuple_kernel::profile::Behaviours;
use fourtuple_kernel::profile::behaviour::Bhash2;

/// Behaviours that no program can observe, with the reason.
pub const UNSEEN: &[(&str, &str)] = &[
    (
        "rescan_any_uid",
        "a search starts again only when the bucket it remembered conflicts, and it remembers \
         buckets with fastreuseport > 0 (or with fastreuse > 0, where the uid is not asked)",
    ),
    (
        "fastuid_zeroed",
        "the uid is compared only while fastreuseport is not 0, and then it has been written",
    ),
];

/// Two values of one behaviour that give the same answers to every program: the code of those
/// kernels differs only in how it comes to the same owners.
#[must_use]
pub fn equivalent(name: &str, x: &Behaviours, y: &Behaviours) -> bool {
    let same = [Bhash2::InetSeesMapped, Bhash2::UnifiedV6Only];
    name == "bhash2" && x.bhash2 != y.bhash2 && same.contains(&x.bhash2) && same.contains(&y.bhash2)
}

/// Gives one behaviour a value.
pub type Change = fn(&mut Behaviours);

/// A program and what it answers under each value of one behaviour.
pub struct Pin {
    pub behaviour: &'static str,
    /// The kernel that all other behaviours are taken from.
    pub kernel: &'static str,
    pub program: fn(Behaviours) -> String,
    /// Values, each as a change of the kernel's behaviours, and the program's answer.
    pub answers: &'static [(Change, &'static str)],
}

/// All pins, in the order of the modules.
#[must_use]
pub fn all() -> Vec<&'static Pin> {
    [
        bind::PINS,
        bucket::PINS,
        connect::PINS,
        nat::PINS,
        scopes::PINS,
        time::PINS,
        udp::PINS,
    ]
    .into_iter()
    .flatten()
    .collect()
}

impl Pin {
    /// The pin's kernel with the value that `from` has for the behaviour.
    #[must_use]
    pub fn with_value_of(&self, from: &Behaviours) -> Behaviours {
        with_value(
            kernel(self.kernel),
            self.behaviour,
            &shown(from, self.behaviour),
        )
    }

    /// Returns `true` if the program's answers differ between two kernels' values of the behaviour.
    #[must_use]
    pub fn distinguishes(&self, x: &Behaviours, y: &Behaviours) -> bool {
        (self.program)(self.with_value_of(x)) != (self.program)(self.with_value_of(y))
    }
}

/// One value as the behaviour table shows it.
#[must_use]
pub fn shown(b: &Behaviours, name: &str) -> String {
    b.rows()
        .into_iter()
        .find(|r| r.name == name)
        .unwrap_or_else(|| panic!("no behaviour `{name}`"))
        .value
}

/// A kernel with one behaviour changed to the value that is shown so.
///
/// # Panics
/// If no chain of mutants leads to that value.
#[must_use]
pub fn with_value(mut base: Behaviours, name: &str, value: &str) -> Behaviours {
    let number = match name {
        "hz" => Some(&mut base.hz),
        "delayed_ack_ms" => Some(&mut base.delayed_ack_ms),
        "syn_rto_ms" => Some(&mut base.syn_rto_ms),
        "syn_linear" => Some(&mut base.syn_linear),
        "somaxconn" => Some(&mut base.somaxconn),
        _ => None,
    };
    if let Some(field) = number {
        *field = value.parse().expect("a number");
        return base;
    }
    let mut known = vec![base];
    let mut at = 0;
    while at < known.len() && known.len() < 64 {
        let b = known[at];
        at += 1;
        if shown(&b, name) == value {
            return b;
        }
        for m in b.mutants(name) {
            if known.iter().all(|k| shown(k, name) != shown(&m, name)) {
                known.push(m);
            }
        }
    }
    panic!("`{name}` cannot be made {value}");
}

/// An answer as text.
fn text(a: Answer) -> String {
    match a {
        Ok(port) => port.to_string(),
        Err(e) => e.name().to_owned(),
    }
}

/// Answers as text, one after the other.
fn list(answers: impl IntoIterator<Item = Answer>) -> String {
    let texts: Vec<String> = answers.into_iter().map(text).collect();
    texts.join(" ")
}

/// The result of a call without a port.
fn outcome(r: Result<(), fourtuple_kernel::Errno>) -> &'static str {
    r.map_or_else(fourtuple_kernel::Errno::name, |()| "ok")
}

//! Advice about a scenario that runs: settings without effect, and likely surprises on a real host.
//!
//! Two kinds of rules. Some look at what is written: an odd number of ports, a listener inside the
//! range of ephemeral ports, outdated advice. The others ask the model: each setting is
//! taken away and the scenario run again on every kernel that it names, so that "no effect" is
//! an experiment and no opinion.
//!
//! - `settings`: the sysctls and options of a case, and the case without one of them
//! - `written`: rules about what is written; `tried`: rules that run the scenario
//! - `datagram`: rules about UDP; `nat`: rules about NAT hosts
//! - `hints`: reasons why a setting has no effect
//! - `allow`: findings that are meant to be there

mod allow;
mod datagram;
mod hints;
mod nat;
mod settings;
mod tried;
mod written;

use std::sync::Arc;

use fourtuple_harness::Name;
use fourtuple_harness::kernels::Order;
use fourtuple_harness::runner::{self, Folded};
use fourtuple_kernel::profile::{self, Behaviours};
use fourtuple_scenario::{Case, Diagnostic, Errors, KernelNames, Scenario, Segment, Span, expand};

macro_rules! rules {
    ($($(#[doc = $about:literal])* $variant:ident $name:literal,)*) => {
        /// A rule.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum LintRule {
            $($(#[doc = $about])* $variant,)*
        }

        impl LintRule {
            /// Every rule.
            pub const ALL: &'static [LintRule] = &[$(LintRule::$variant,)*];

            /// Its name, in findings and in the comments that allow them.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self {
                    $(LintRule::$variant => $name,)*
                }
            }

            /// The finding, in a sentence.
            #[must_use]
            pub fn about(self) -> &'static str {
                match self {
                    $(LintRule::$variant => concat!($($about),*).trim_ascii_start(),)*
                }
            }
        }
    };
}

rules! {
    /// a range with an odd number of ports, of which a search leaves one out
    OddRange "odd-range",
    /// a listener inside the range of ephemeral ports, whose port another socket may have when it
    /// starts
    ListenerInRange "listener-in-range",
    /// a sysctl that a kernel of the scenario does not have
    UnknownSysctl "unknown-sysctl",
    /// a value that the kernel refuses
    RefusedValue "refused-value",
    /// an option that a kernel of the scenario refuses, or does not heed
    IgnoredOption "ignored-option",
    /// a setting without which every answer is the same
    DoesNothing "does-nothing",
    /// a connection that gets its destination as its source and is connected to itself
    ToItself "connected-to-itself",
    /// an option by which UDP sockets share a port that the kernel selects
    SharedPort "shared-port",
    /// a flag or an address of a NAT rule that changes nothing
    NatNothing "nat-does-nothing",
    /// outdated advice
    StaleAdvice "stale-advice",
    /// a comment that allows what is not found, or a rule that there is not
    UnusedAllow "unused-allow",
}

/// A finding of a rule.
#[derive(Clone, Debug)]
pub struct LintFinding {
    /// The rule.
    pub rule: LintRule,
    /// The subject.
    pub span: Span,
    /// The place and the words.
    pub diagnostic: Diagnostic,
}

/// A scenario with all that the rules look at.
struct Subject<'a> {
    scenario: &'a Scenario,
    /// The cases, equivalent kernels together.
    cases: Vec<Folded>,
    order: Order,
}

impl Subject<'_> {
    fn find(
        &self,
        rule: LintRule,
        span: Span,
        message: impl Into<String>,
        label: impl Into<String>,
    ) -> LintFinding {
        LintFinding {
            rule,
            span,
            diagnostic: self.scenario.warning(rule.name(), span, message, label),
        }
    }

    /// Some of the cases by their kernels: `linux-2.6.32..linux-4.1`, or that it is all of them.
    fn kernels(&self, cases: &[usize]) -> String {
        let mut names: Vec<&str> = Vec::new();
        for at in cases {
            names.extend(self.cases[*at].2.iter().map(|name| &**name));
        }
        names.sort_unstable();
        names.dedup();
        let all = self.cases.iter().flat_map(|(_, _, names)| names);
        let mut all: Vec<&Name> = all.collect();
        all.sort_unstable();
        all.dedup();
        if names.len() == all.len() && all.len() > 1 {
            return "every kernel of this scenario".to_owned();
        }
        self.order.compact(&names)
    }

    /// The behaviours of a host's kernel in a case.
    fn behaviours(&self, case: usize, host: &str) -> Behaviours {
        let (case, profile, _) = &self.cases[case];
        let own = case.hosts.get(host).and_then(|host| host.kernel.as_ref());
        own.and_then(|kernel| profile::find(&kernel.value))
            .map_or(profile.behaviours, |own| own.behaviours)
    }

    fn case(&self, at: usize) -> &Arc<Case> {
        &self.cases[at].0
    }
}

/// Looks at a scenario. `progress` hears what is being tried.
///
/// # Errors
/// When the scenario names kernels that there are not.
pub fn lint(
    scenario: &Scenario,
    names: &KernelNames,
    progress: &mut dyn FnMut(&str),
) -> Result<Vec<LintFinding>, Errors> {
    let subject = Subject {
        scenario,
        cases: runner::fold(scenario, expand(scenario, names)?),
        order: Order::new(),
    };
    let mut findings = written::check(&subject);
    findings.extend(datagram::check(&subject));
    findings.extend(nat::check(&subject));
    tried::check(&subject, &mut findings, progress);
    let mut findings = allow::apply(&subject, findings);
    findings.sort_by_key(|one| (one.span.start, one.rule));
    Ok(findings)
}

/// A path of keys.
fn keys<'a>(path: &[&'a str]) -> Vec<Segment<'a>> {
    path.iter().map(|key| Segment::Key(key)).collect()
}

//! Checks whether the answers of real kernels conform to a profile: runs the port model alongside a
//! program, call by call, and reports the first answer that the profile does not allow.

use crate::calls::{self, Names, beginning};
use crate::program::{Call, DETECTION_SLACK_MS, NO_SOCKET, Program};
use fourtuple_kernel::conformance::{Checker, Disallowed, Mentions, Op};
use fourtuple_kernel::profile::behaviour::{Perturb, TwTimer};
use fourtuple_kernel::{Behaviours, FlagSet, Time};
use fourtuple_syscall::{Outcome, Syscall};
use std::collections::BTreeSet;

/// Limit of the work of a check (calls tried on a state of the model) where the program can be
/// replaced by another one. If a range of ports is rejected, ports come from the full range, and
/// nearly every answer is possible.
pub(crate) const MOST_TRIED: u64 = 100_000;

/// Checks one boot of one kernel, program after program. If the kernel shares no state between
/// namespaces, each program is checked from the start: programs that ran concurrently are ordered
/// by number, not by time.
pub struct Judge {
    behaviours: Behaviours,
    /// The state after boot.
    booted: Checker,
    checker: Checker,
    calls: u64,
    most: usize,
}

/// An answer that the profile does not allow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counterexample {
    /// Name of the program.
    pub program: String,
    /// The step, from 0. The steps before it are the shortest prefix that shows it.
    pub step: usize,
    /// The answer.
    pub seen: String,
    /// The answers that the profile allows.
    pub allowed: Vec<String>,
}

/// The step at which a check stopped: it has no answer, the model does not know it, or too many
/// states are consistent with the answers.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not checked: step {} of `{program}`: {what}", step + 1)]
pub struct CheckError {
    /// Name of the program.
    pub program: String,
    /// The step, from 0.
    pub step: usize,
    /// The reason.
    pub what: String,
    /// True if there are only too many states: another run of the program may be checkable.
    pub too_many: bool,
}

/// Returns true for kernels on which programs see state that earlier ones left behind, so that they
/// must be checked in order.
pub(crate) fn has_history(b: &Behaviours) -> bool {
    b.perturb == Perturb::Hint || matches!(b.tw_timer, TwTimer::SlotWheel | TwTimer::SlotWheelQuick)
}

impl Judge {
    /// Starts at the boot of a kernel with these behaviours.
    pub fn new(behaviours: Behaviours) -> Judge {
        Judge::with(behaviours, Checker::new(behaviours))
    }

    fn with(behaviours: Behaviours, booted: Checker) -> Judge {
        Judge {
            behaviours,
            checker: booted.clone(),
            booted,
            calls: 0,
            most: 1,
        }
    }

    /// Checks the start of connect()'s port selections as well, for programs that ran alone.
    #[must_use]
    pub fn checking_starts(self) -> Judge {
        Judge {
            booted: self.booted.checking_starts(),
            checker: self.checker.checking_starts(),
            ..self
        }
    }

    /// Like [`Judge::new`], but keeps at most `states` model states: a program with more may not be
    /// checkable.
    pub fn keeping_at_most(behaviours: Behaviours, states: usize) -> Judge {
        let booted = Checker::new(behaviours).keeping_at_most(states);
        Judge::with(behaviours, booted)
    }

    /// Like [`Judge::new`], but gives up a program once its calls were tried on `tried` states.
    pub(crate) fn giving_up_after(behaviours: Behaviours, tried: u64) -> Judge {
        let booted = Checker::new(behaviours).giving_up_after(tried);
        Judge::with(behaviours, booted)
    }

    /// Number of calls checked so far.
    pub fn calls(&self) -> u64 {
        self.calls
    }

    /// The most model states that were consistent with all answers at once: a measure of what
    /// cannot be observed from outside.
    pub fn most_states(&self) -> usize {
        self.most.max(self.checker.most_states())
    }

    /// The flags observed since a program was checked from the start: a profile that differs in
    /// none of them allows the same answers.
    pub fn observed_flags(&self) -> FlagSet {
        self.checker.observed_flags()
    }

    /// Number of calls tried on a state since then: a measure of the work.
    pub(crate) fn tried(&self) -> u64 {
        self.checker.tried()
    }

    /// Checks the answers of one program. After a counterexample the rest of the program is
    /// skipped, and the state remains as before that call.
    ///
    /// # Errors
    /// The step at which the check stopped.
    pub fn program(&mut self, program: &Program) -> Result<Option<Counterexample>, CheckError> {
        if !has_history(&self.behaviours) {
            self.most = self.most_states();
            self.checker = self.booted.clone();
        }
        self.checker.expect(mentions(program));
        let mut names = Names::of(program);
        let mut begun = false;
        let mut detections = Vec::new();
        let mut began = Time::ZERO;
        for (i, step) in program.steps.iter().enumerate() {
            let wrong = |what: String| CheckError {
                program: program.program.clone(),
                step: i,
                what,
                too_many: false,
            };
            let Some(answer) = &step.answer else {
                return Err(wrong("it has no answer".into()));
            };
            let at = Time(answer.at_us.saturating_mul(1000));
            if !begun {
                begun = true;
                for op in beginning(program) {
                    // The runner has checked that the kernel accepted every sysctl; those that the
                    // model does not know have no effect on ports.
                    let _ = self.checker.step(at, &op, &Outcome::OK);
                }
                detections = Detection::all(program, at);
            }
            if answer.outcome == NO_SOCKET || matches!(step.call, Call::Ns) {
                continue;
            }
            let op = names.op(step).map_err(&wrong)?;
            if calls::is_unknown(&op) {
                continue;
            }
            let judged = self.step(&mut detections, (began, at), &op, &answer.outcome);
            // A call begins when the one before it has returned.
            began = at;
            if judged.is_ok()
                && let Some(why) = self.checker.gave_up()
            {
                return Err(CheckError {
                    too_many: true,
                    ..wrong(why.to_string())
                });
            }
            self.calls += 1;
            if let Err(disallowed) = judged {
                return Ok(Some(Counterexample {
                    program: program.program.clone(),
                    step: i,
                    seen: words(&op, &op.compared(&answer.outcome)),
                    allowed: all_words(&op, &disallowed.allowed),
                }));
            }
        }
        Ok(None)
    }

    /// Checks a call. Duplicate address detection that may have ended by then ends before the call
    /// if only that explains the answer.
    fn step(
        &mut self,
        detections: &mut Vec<Detection>,
        (began, at): (Time, Time),
        op: &Op,
        seen: &Outcome,
    ) -> Result<(), Disallowed> {
        let began = match op {
            Op::Sleep => at,
            _ => began,
        };
        for one in detections.extract_if(.., |one| one.latest <= began) {
            one.end(&mut self.checker, began)?;
        }
        let judged = self.checker.step(at, op, seen);
        let is_due = |one: &Detection| one.earliest <= at;
        if judged.is_ok() || !detections.iter().any(is_due) {
            return judged;
        }
        let mut ended = self.checker.clone();
        for one in detections.iter().filter(|one| is_due(one)) {
            one.end(&mut ended, began.max(one.earliest))?;
        }
        if ended.step(at, op, seen).is_err() {
            return judged;
        }
        self.checker = ended;
        detections.retain(|one| !is_due(one));
        Ok(())
    }
}

/// Duplicate address detection on a host, and the times between which it ends.
struct Detection {
    host: usize,
    earliest: Time,
    latest: Time,
}

impl Detection {
    /// The detections of a program that began at `start`.
    fn all(program: &Program, start: Time) -> Vec<Detection> {
        const MS: u64 = 1_000_000;
        let hosts = program.hosts.iter().enumerate();
        hosts
            .filter(|(_, spec)| spec.tentative_ms > 0)
            .map(|(host, spec)| {
                let end = u64::from(spec.tentative_ms);
                let slack = u64::from(DETECTION_SLACK_MS);
                // Hosts are made a little before the first call.
                let earliest = end.saturating_sub(2 * slack) * MS;
                Detection {
                    host,
                    earliest: start.after(earliest),
                    latest: start.after((end + slack) * MS),
                }
            })
            .collect()
    }

    fn end(&self, checker: &mut Checker, at: Time) -> Result<(), Disallowed> {
        let op = Op::Tentative {
            host: self.host,
            until: Time::ZERO,
        };
        checker.step(at, &op, &Outcome::OK)
    }
}

/// The ports that a program mentions.
fn mentions(program: &Program) -> Mentions {
    let mut names = Names::of(program);
    let mut mentions = Mentions::default();
    for step in &program.steps {
        // Errors are reported at their own step.
        if let (Ok(op), Some(outcome)) = (names.op(step), step.outcome()) {
            mentions.add(&op, &outcome);
        }
    }
    mentions
}

/// Describes outcomes, summarising ephemeral ports.
fn all_words(op: &Op, outcomes: &BTreeSet<Outcome>) -> Vec<String> {
    let mut ports: Vec<u16> = Vec::new();
    let mut all = Vec::new();
    for outcome in outcomes {
        match port(op, outcome) {
            Some(port) => ports.push(port),
            None => all.push(words(op, outcome)),
        }
    }
    match ports[..] {
        [] => {}
        [port] => all.push(format!("ok, port {port}")),
        [first, .., last] => all.push(format!("ok, {} ports from {first} to {last}", ports.len())),
    }
    // A connect over the full range has thousands.
    let more = all.len().saturating_sub(16);
    all.truncate(16);
    if more > 0 {
        all.push(format!("{more} more"));
    }
    all
}

/// The port that a bind() or listen() reports.
fn port(op: &Op, outcome: &Outcome) -> Option<u16> {
    let Op::Call {
        call: Syscall::Bind { .. } | Syscall::Listen { .. },
        ..
    } = op
    else {
        return None;
    };
    match outcome {
        Outcome::Ok(returned) => returned.local.map(|at| at.port()),
        _ => None,
    }
}

/// Describes the compared part of an outcome: `ok, port 40001`, `EADDRINUSE`, `still waiting`.
fn words(op: &Op, outcome: &Outcome) -> String {
    if let Some(port) = port(op, outcome) {
        return format!("ok, port {port}");
    }
    match outcome {
        Outcome::Ok(returned) => match returned.local.or(returned.peer) {
            Some(name) => format!("ok, {name}"),
            None => "ok".to_owned(),
        },
        Outcome::WouldBlock => "still waiting".to_owned(),
        Outcome::Err(_) | Outcome::Unsupported(_) => outcome.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::Judge;
    use crate::program::{Answer, Call, HostSpec, Program, Step};
    use fourtuple_kernel::profile::find;
    use fourtuple_syscall::{Errno, Family, Outcome, Returned, Syscall};
    use std::net::SocketAddr;

    const MS: u64 = 1000;

    /// A program that binds a tentative address at these times, in milliseconds.
    fn program(binds: &[(u64, Outcome)]) -> Program {
        let mut steps = Vec::new();
        for (n, (at_ms, outcome)) in binds.iter().enumerate() {
            let sock = format!("s{n}");
            let addr: SocketAddr = "[fd00::3]:80".parse().expect("an address");
            let outcome = match outcome {
                Outcome::Ok(_) => Outcome::Ok(Returned {
                    local: Some(addr),
                    ..Returned::default()
                }),
                other => *other,
            };
            let bind = Syscall::Bind {
                sock: sock.clone(),
                addr,
            };
            for (call, outcome) in [
                (Call::socket(&*sock, Family::Inet6, 0), Outcome::OK),
                (bind.into(), outcome),
                (Syscall::Close { sock }.into(), Outcome::OK),
            ] {
                let at_us = at_ms * MS;
                steps.push(Step {
                    answer: Some(Answer { at_us, outcome }),
                    ..Step::new(call)
                });
            }
        }
        Program {
            program: "tentative".into(),
            hosts: vec![HostSpec {
                name: "h".into(),
                addresses: vec!["fd00::3".parse().expect("an address")],
                tentative_ms: 2000,
                ..HostSpec::default()
            }],
            steps,
        }
    }

    /// The number of the step with an answer that Linux 6.18 cannot give.
    fn disallowed(binds: &[(u64, Outcome)]) -> Option<usize> {
        let profile = find("linux-6.18").expect("it is known");
        let judged = Judge::new(profile.behaviours).program(&program(binds));
        judged.expect("it is checked").map(|one| one.step)
    }

    #[test]
    fn duplicate_address_detection_ends_about_when_it_should() {
        let refused = Outcome::Err(Errno::EADDRNOTAVAIL);
        let ok = Outcome::OK;
        assert_eq!(
            disallowed(&[(0, refused), (1790, refused), (2110, ok)]),
            None
        );
        // Within the window either answer is right, until the first that shows the end.
        assert_eq!(
            disallowed(&[(0, refused), (1900, refused), (1950, ok)]),
            None
        );
        assert_eq!(
            disallowed(&[(0, refused), (1900, ok), (1950, refused)]),
            Some(7)
        );
        assert_eq!(disallowed(&[(0, refused), (1000, ok)]), Some(4));
        assert_eq!(disallowed(&[(0, refused), (2110, refused)]), Some(4));
    }
}

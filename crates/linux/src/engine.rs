//! The engines that have a real kernel: `linux`, the running one, and `vm`, an image in a virtual
//! machine.
//!
//! A real kernel's ports depend on a per-boot secret, so its outcomes are not compared with the
//! model's. Instead the model checks, with the profile of that kernel, that every answer is one
//! that the profile allows. Cases for kernels with another profile are skipped.

use crate::error::RunError;
use crate::judge::{Counterexample, Judge, has_history};
use crate::release::profile_of;
use crate::scenario_text::scenario_text;
use crate::script::{Answered, Script};
use crate::shrink::shrink;
use crate::target::Target;
use fourtuple_harness::{
    Conformance, Disallowed, Engine, EngineError, External, Model, RunReport, Standing,
};
use fourtuple_kernel::profile::Profile;
use fourtuple_scenario::Case;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Default limit of the real time that a scenario may take on the running kernel.
pub const MAX_WAIT: Duration = Duration::from_secs(10);
/// Maximum number of calls of a scenario whose answers are checked. The model keeps every state
/// that is consistent with the answers, and the cost of a call grows with the number of sockets.
const MOST_CALLS: usize = 4_000;
/// Time that a connect may wait beyond the duration of the whole scenario on the model.
const UNFORESEEN: Duration = Duration::from_secs(1);
/// Programs that take longer on a real clock are reported without shrinking, which runs them
/// hundreds of times.
const SLOW: Duration = Duration::from_millis(200);
/// Time that a connect may wait on a virtual clock. Kernels give up after two minutes.
pub(crate) const PATIENCE: Duration = Duration::from_secs(300);

/// A real kernel as an engine for scenarios.
pub struct KernelEngine {
    on: Target,
    profile: Profile,
    max_wait: Duration,
    /// Programs that take longer on a real clock are reported without shrinking.
    shrink_up_to: Duration,
    /// Results of cases that ran in advance, by [`key`].
    ready: Mutex<BTreeMap<String, Result<Ran, EngineError>>>,
    /// The first failure of the infrastructure, if any.
    broken: Mutex<Option<String>>,
}

/// A case that has run, with the result of its check.
#[derive(Clone, Debug)]
struct Ran {
    answered: Answered,
    conformance: Conformance,
}

impl KernelEngine {
    /// Opens `host`, or an image by its name (see [`crate::Image::named`]). `max_wait` limits the
    /// time that a scenario may wait on `host`. The answers are checked with `profile`, by default
    /// the profile of the kernel's release.
    ///
    /// # Errors
    /// One line: the kernel cannot be used, or has no profile.
    pub fn named(
        name: &str,
        profile: Option<Profile>,
        max_wait: Duration,
    ) -> Result<KernelEngine, RunError> {
        let on = Target::named(name, None)?;
        let profile = profile
            .or_else(|| profile_of(on.release()))
            .ok_or_else(|| RunError::NoProfile(on.name()))?;
        Ok(KernelEngine {
            on,
            profile,
            max_wait,
            shrink_up_to: SLOW,
            ready: Mutex::default(),
            broken: Mutex::default(),
        })
    }

    /// Reports a disallowed answer with the case that shows it, for callers that shrink cases.
    #[must_use]
    pub fn reporting_whole_cases(self) -> KernelEngine {
        KernelEngine {
            shrink_up_to: Duration::ZERO,
            ..self
        }
    }

    /// The profile of its kernel.
    pub fn profile(&self) -> &Profile {
        &self.profile
    }

    /// The kernel.
    pub fn on(&self) -> &Target {
        &self.on
    }

    /// The reason why a case did not run, in one line.
    fn cannot(&self, e: &RunError) -> EngineError {
        let line = one_line(e);
        if e.breaks_off() {
            lock(&self.broken).get_or_insert_with(|| line.clone());
        }
        EngineError::new(line)
    }

    /// Translates a case for the guest.
    fn script(&self, case: &Case, profile: &Profile) -> Result<Script, EngineError> {
        if profile.behaviours != self.profile.behaviours {
            return Err(EngineError::new(format!(
                "{} has the profile {}",
                self.on.name(),
                self.profile.name
            )));
        }
        if self.on.kind().virtual_time {
            within(case, profile, None)?;
            return Script::of(case, PATIENCE);
        }
        let needed = within(case, profile, Some(self.max_wait))?;
        // A connect that the model does not expect to wait is given up soon after the expected
        // ones.
        let script = Script::of(case, self.max_wait.min(needed + UNFORESEEN))?;
        Ok(script.ending_within(self.max_wait + UNFORESEEN))
    }

    /// Runs cases and checks their answers.
    fn run_all(&self, cases: &[(&Case, &Profile)]) -> Vec<Result<Ran, EngineError>> {
        let mut results: Vec<Option<Result<Ran, EngineError>>> =
            cases.iter().map(|_| None).collect();
        let mut scripts: Vec<(usize, Script)> = Vec::new();
        for (place, (case, profile)) in cases.iter().enumerate() {
            match self.script(case, profile) {
                Ok(script) => scripts.push((place, script)),
                Err(cannot) => results[place] = Some(Err(cannot)),
            }
        }
        let answers = Mutex::new(BTreeMap::new());
        let on = match has_history(&self.profile.behaviours) {
            true => self.on.clone().in_order(),
            false => self.on.clone(),
        };
        let ended = on.run_requests(
            scripts.len(),
            &|n| scripts[n].1.clone(),
            &|n, answered: Result<Answered, RunError>| {
                lock(&answers).insert(n, answered);
            },
        );
        let answers = answers.into_inner().unwrap_or_else(PoisonError::into_inner);
        // The release does not contain CONFIG_HZ; a host of the scenario may.
        let mut behaviours = self.profile.behaviours;
        let hosts = cases.iter().flat_map(|(case, _)| case.hosts.values());
        behaviours.hz = hosts
            .filter_map(|host| host.hz)
            .next()
            .unwrap_or(behaviours.hz);
        let mut judge = Judge::new(behaviours);
        for (n, answered) in answers {
            if on.begins_boot(n) {
                judge = Judge::new(behaviours);
            }
            let place = scripts[n].0;
            results[place] = Some(match answered {
                Ok(answered) => self.check(answered, &mut judge),
                Err(e) => Err(self.cannot(&e)),
            });
        }
        let unfinished = match ended {
            Ok(()) => EngineError::new("it was not run"),
            Err(e) => self.cannot(&e),
        };
        results
            .into_iter()
            .map(|result| result.unwrap_or_else(|| Err(unfinished.clone())))
            .collect()
    }

    fn check(&self, answered: Answered, judge: &mut Judge) -> Result<Ran, EngineError> {
        if let Some(why) = &answered.not_set_up {
            return Err(EngineError::new(why.clone()));
        }
        let before = judge.calls();
        let found = judge
            .program(&answered.program)
            .map_err(|e| EngineError::new(e.to_string()))?;
        // Calls after the limit do not wait for their answers, which says nothing about the kernel.
        let checked = found.as_ref().map(|found| found.step);
        if let Some(late) = self.late(&answered.program, checked) {
            return Err(late);
        }
        let conformance = Conformance {
            running: self.on.name(),
            profile: self.profile.name.clone(),
            calls: judge.calls() - before,
            disallowed: found.map(|found| self.disallowed(&answered, &found)),
        };
        Ok(Ran {
            answered,
            conformance,
        })
    }

    /// The reason why a program was stopped, if that was before it reached a step: by default its
    /// last.
    fn late(&self, program: &crate::Program, step: Option<usize>) -> Option<EngineError> {
        let last = step.map_or(program.steps.len(), |step| step + 1);
        let took = Duration::from_micros(took_us(&program.steps[..last]));
        let limit = self.max_wait + UNFORESEEN / 2;
        let stopped = !self.on.kind().virtual_time && took > limit;
        stopped.then(|| {
            EngineError::new(format!(
                "it was stopped after {} s by the real clock, and the limit is {} s (--max-wait)",
                took.as_secs(),
                self.max_wait.as_secs_f64()
            ))
        })
    }

    /// The disallowed answer, with the smallest scenario that shows it.
    fn disallowed(&self, answered: &Answered, found: &Counterexample) -> Disallowed {
        let call = answered.program.steps[found.step].call.to_string();
        let n = answered.owners.get(found.step).copied().unwrap_or(0);
        let took = Duration::from_micros(took_us(&answered.program.steps));
        // Shorter programs would not have the hosts that packets pass.
        let can_shrink = !answered.program.has_nat();
        let shrunk = match can_shrink && (self.on.kind().virtual_time || took <= self.shrink_up_to)
        {
            true => shrink(&self.on, self.profile.behaviours, &answered.program, found),
            false => Ok(None),
        };
        // Without a repetition the original program is reported.
        let (program, found) = match shrunk {
            Ok(Some(shrunk)) => (shrunk.program, shrunk.found),
            _ => (answered.program.clone(), found.clone()),
        };
        let profile = &self.profile.name;
        let allowed = found.allowed.join(", or ");
        let about = format!(
            "The kernel answered {} to the last step. {profile} allows {allowed}",
            found.seen
        );
        Disallowed {
            n,
            call,
            seen: found.seen.clone(),
            scenario: scenario_text(&program, found.step + 1, profile, &about, true),
            allowed: found.allowed,
        }
    }
}

impl Engine for KernelEngine {
    fn name(&self) -> &'static str {
        match self.on.kind().virtual_time {
            true => VM.name,
            false => LINUX.name,
        }
    }

    fn about(&self) -> &'static str {
        match self.on.kind().virtual_time {
            true => VM.about,
            false => LINUX.about,
        }
    }

    fn standing(&self, _case: &Case) -> Standing {
        Standing::MustBeAllowed
    }

    fn run(&self, case: &Case, profile: &Profile) -> Result<RunReport, EngineError> {
        let ahead = lock(&self.ready).remove(&key(case, profile));
        let ran = match ahead {
            Some(ran) => ran,
            None => self
                .run_all(&[(case, profile)])
                .pop()
                .unwrap_or_else(|| Err(EngineError::new("it was not run"))),
        };
        let Ran {
            answered,
            conformance,
        } = ran?;
        let mut report = RunReport::new(
            case,
            &self.profile,
            self.name(),
            answered.attempts,
            answered.notes,
        );
        report.kernel = profile.name.as_str().into();
        report.conformance = Some(Box::new(conformance));
        Ok(report)
    }
}

impl External for KernelEngine {
    fn prepare(&self, cases: &[(&Case, &Profile)]) {
        let results = self.run_all(cases);
        let mut ready = lock(&self.ready);
        for ((case, profile), result) in cases.iter().zip(results) {
            ready.insert(key(case, profile), result);
        }
    }

    fn broken(&self) -> Option<String> {
        lock(&self.broken).clone()
    }
}

/// The name and description of an engine.
#[derive(Clone, Copy, Debug)]
pub struct Kind {
    /// Its name.
    pub name: &'static str,
    /// One line that describes it.
    pub about: &'static str,
}

/// The running kernel.
pub const LINUX: Kind = Kind {
    name: "linux",
    about: "the running kernel, in network namespaces of its own; the model checks its answers",
};

/// A kernel image.
pub const VM: Kind = Kind {
    name: "vm",
    about: "a kernel image in a virtual machine with a virtual clock; the model checks its answers",
};

/// Identifies a case within one run of the command.
fn key(case: &Case, profile: &Profile) -> String {
    format!(
        "{}\n{}\n{:?}\n{}",
        case.file, profile.name, case.axes, case.seed
    )
}

/// Refuses a case with too many calls to check, or that waits longer than the limit of the real
/// clock. Returns the time that it waits on the model.
pub(crate) fn within(
    case: &Case,
    profile: &Profile,
    real: Option<Duration>,
) -> Result<Duration, EngineError> {
    let (calls, needed) = Model::foresee(case, profile)?;
    if calls > MOST_CALLS {
        return Err(EngineError::new(format!(
            "it makes {calls} calls, and a conformance check covers at most {MOST_CALLS}"
        )));
    }
    match real {
        Some(limit) if needed > limit => Err(EngineError::new(format!(
            "it takes {} s by the real clock, and the limit is {} s (--max-wait); the vm engine has a clock of its own",
            needed.as_secs_f64().ceil(),
            limit.as_secs_f64()
        ))),
        _ => Ok(needed),
    }
}

/// The time from the first answer of some steps to their last, in microseconds.
fn took_us(steps: &[crate::Step]) -> u64 {
    let at = |step: &crate::Step| step.answer.as_ref().map(|answer| answer.at_us);
    let first = steps.iter().find_map(at);
    let last = steps.iter().rev().find_map(at);
    first
        .zip(last)
        .map_or(0, |(first, last)| last.saturating_sub(first))
}

fn one_line(e: &RunError) -> String {
    e.to_string().lines().collect::<Vec<_>>().join(" | ")
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

//! The engine `exec:COMMAND`: an external program executes the system calls, on any network stack.
//!
//! The protocol is documented in docs/exec-engine.md; `session` implements it. As with real kernels
//! the model checks that the answers conform to the profile of the adapter's kernel.

mod session;

use crate::engine;
use crate::judge::{Judge, has_history};
use crate::release::profile_of;
use crate::scenario_text::scenario_text;
use crate::script::{Answered, Script};
use fourtuple_harness::{
    Conformance, Disallowed, Engine, EngineError, External, RunReport, Standing,
};
use fourtuple_kernel::profile::{self, Profile};
use fourtuple_scenario::Case;
use session::{Clock, Failure, Hello, Session};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// The name of the engine, and the prefix of its command.
pub const NAME: &str = "exec";
/// One line on the engine.
pub const ABOUT: &str = "exec:COMMAND, a program that executes the system calls on a stack of yours; the model checks its answers";
/// Time limit of an adapter's answer, in addition to the time that the call itself may wait.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// An external engine.
pub struct Exec {
    command: String,
    hello: Hello,
    profile: Profile,
    max_wait: Duration,
    patience: Duration,
    /// The first session that broke off.
    broken: Mutex<Option<String>>,
}

impl Exec {
    /// The engine behind a command, which is started once to ask for its kernel. `max_wait` is the
    /// longest time that a case may wait where the adapter's clock is real.
    ///
    /// # Errors
    /// One line: the command does not speak the protocol, or its kernel has no profile.
    pub fn new(command: &str, max_wait: Duration, patience: Duration) -> Result<Exec, String> {
        let (_, hello) = Session::start(command, patience).map_err(|e| e.to_string())?;
        let profile = profile::find(&hello.kernel)
            .or_else(|| profile_of(&hello.kernel))
            .ok_or_else(|| {
                format!(
                    "the adapter's kernel `{}` is neither a profile nor a release with one",
                    hello.kernel
                )
            })?;
        Ok(Exec {
            command: command.to_owned(),
            hello,
            profile,
            max_wait,
            patience,
            broken: Mutex::default(),
        })
    }

    /// The profile that the answers are checked with.
    pub fn profile(&self) -> &Profile {
        &self.profile
    }

    fn name_of_stack(&self) -> String {
        format!("{} ({})", self.hello.name, self.hello.kernel)
    }

    /// The case as calls, or the reason why an adapter cannot execute it.
    fn script(&self, case: &Case, profile: &Profile) -> Result<Script, EngineError> {
        if profile.behaviours != self.profile.behaviours {
            return Err(EngineError::new(format!(
                "{} has the profile {}",
                self.name_of_stack(),
                self.profile.name
            )));
        }
        if has_history(&self.profile.behaviours) {
            return Err(EngineError::new(
                "its kernel's namespaces share TIME-WAIT sockets, and an adapter starts in the middle",
            ));
        }
        if case.hosts.len() > 1 {
            return Err(EngineError::new(
                "it has several hosts, and an adapter is one",
            ));
        }
        let (wait, real) = match self.hello.clock {
            Clock::Virtual => (engine::PATIENCE, None),
            Clock::Real => (self.max_wait, Some(self.max_wait)),
        };
        engine::within(case, profile, real)?;
        let script = Script::of(case, wait)?;
        script.for_adapter()?;
        Ok(script)
    }

    fn execute(&self, script: &Script) -> Result<Answered, EngineError> {
        let ran = Session::start(&self.command, self.patience)
            .and_then(|(mut session, _)| script.execute(&mut session));
        ran.map_err(|failure| {
            if let Failure::Broken(why) = &failure {
                let mut broken = self.broken.lock().unwrap_or_else(PoisonError::into_inner);
                broken.get_or_insert_with(|| why.clone());
            }
            EngineError::new(failure.to_string())
        })
    }

    /// Checks the answers against the profile.
    fn check(&self, answered: &Answered) -> Result<Conformance, EngineError> {
        let mut judge = Judge::new(self.profile.behaviours);
        let found = judge
            .program(&answered.program)
            .map_err(|e| EngineError::new(format!("the model is unable to check it: {e}")))?;
        let profile = &self.profile.name;
        Ok(Conformance {
            running: self.name_of_stack(),
            profile: profile.clone(),
            calls: judge.calls(),
            disallowed: found.map(|found| {
                let allowed = found.allowed.join(", or ");
                let about = format!(
                    "The adapter answered {} to the last step. {profile} allows {allowed}",
                    found.seen
                );
                let steps = found.step + 1;
                Disallowed {
                    n: answered.owners.get(found.step).copied().unwrap_or(0),
                    call: answered.program.steps[found.step].call.to_string(),
                    scenario: scenario_text(&answered.program, steps, profile, &about, true),
                    seen: found.seen,
                    allowed: found.allowed,
                }
            }),
        })
    }
}

impl Engine for Exec {
    fn name(&self) -> &'static str {
        NAME
    }

    fn about(&self) -> &'static str {
        ABOUT
    }

    fn standing(&self, _case: &Case) -> Standing {
        Standing::MustBeAllowed
    }

    fn run(&self, case: &Case, profile: &Profile) -> Result<RunReport, EngineError> {
        let script = self.script(case, profile)?;
        let answered = self.execute(&script)?;
        if let Some(why) = &answered.not_set_up {
            return Err(EngineError::new(why.clone()));
        }
        let conformance = self.check(&answered)?;
        let mut report =
            RunReport::new(case, &self.profile, NAME, answered.attempts, answered.notes);
        report.kernel = profile.name.as_str().into();
        report.conformance = Some(Box::new(conformance));
        Ok(report)
    }
}

impl External for Exec {
    fn broken(&self) -> Option<String> {
        self.broken
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

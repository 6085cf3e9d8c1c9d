//! Programs run on the model instead of a kernel: the answers of a profile, computed without
//! waiting, in the form of a recording.

use crate::calls::{self, Names, beginning};
use crate::program::{Answer, Call, NO_SOCKET, Program, Step};
use fourtuple_kernel::conformance::{Op, SimulatedKernel};
use fourtuple_kernel::{Behaviours, FlagSet};
use fourtuple_syscall::{Outcome, Syscall};

/// A program with the answers of a profile.
#[derive(Clone, Debug)]
pub struct SimulatedRun {
    /// The program.
    pub program: Program,
    /// The behaviour flags that the answers may depend on.
    pub observed_flags: FlagSet,
    /// The largest number of ports from which the kernel chose one. A conformance check tries each
    /// of them, for every such call.
    pub choice: u32,
}

/// Runs a program on a kernel of this profile that has just booted. The seed replaces the kernel's
/// random numbers. Returns `None` if the model does not know a step.
pub fn simulate(behaviours: Behaviours, seed: u64, program: &Program) -> Option<SimulatedRun> {
    Translation::of(program)?.simulate(behaviours, seed)
}

/// A program translated for the model, to be run more than once.
pub(crate) struct Translation<'a> {
    program: &'a Program,
    beginning: Vec<Op>,
    steps: Vec<Part>,
}

/// A translated step.
struct Part {
    /// The operation, if the model has one for the step.
    op: Option<Op>,
    /// The socket that must exist.
    needs: Option<usize>,
    /// The socket that exists after success.
    makes: Option<usize>,
    /// The socket that is gone after success.
    ends: Option<usize>,
    /// The time that the caller waits, in nanoseconds.
    patience: u64,
}

impl Translation<'_> {
    /// Translates a program. Returns `None` if the model does not know a step.
    pub(crate) fn of(program: &Program) -> Option<Translation<'_>> {
        let mut names = Names::of(program);
        let mut beginning = beginning(program);
        beginning.retain(|op| !calls::is_unknown(op));
        let mut steps = Vec::with_capacity(program.steps.len());
        for step in &program.steps {
            let call = &step.call;
            let op = names.op(step).ok()?;
            let needs = match call.sys() {
                Some(Syscall::Socket { .. }) => None,
                _ => call.sock(),
            };
            let ends = match call.sys() {
                Some(Syscall::Close { sock }) => Some(sock.as_str()),
                _ => None,
            };
            let [makes, needs, ends] = [call.made(), needs, ends].map(|n| n.map(|n| names.sock(n)));
            steps.push(Part {
                op: (*call != Call::Ns && !calls::is_unknown(&op)).then_some(op),
                needs,
                makes,
                ends,
                patience: u64::from(step.wait_ms()) * 1_000_000,
            });
        }
        Some(Translation {
            program,
            beginning,
            steps,
        })
    }

    /// Runs the program as [`simulate`] does.
    pub(crate) fn simulate(&self, behaviours: Behaviours, seed: u64) -> Option<SimulatedRun> {
        let mut steps = Vec::with_capacity(self.steps.len());
        let mut take = |answer| {
            steps.push(Step {
                answer: Some(answer),
                ..self.program.steps[steps.len()].clone()
            });
            true
        };
        let kernel = self.run(behaviours, seed, &mut take)?;
        Some(SimulatedRun {
            program: Program {
                program: self.program.program.clone(),
                hosts: self.program.hosts.clone(),
                steps,
            },
            observed_flags: kernel.observed_flags(),
            choice: kernel.choice(),
        })
    }

    /// Returns true if a kernel of this profile gives exactly these answers with this seed. If not,
    /// it may still allow them: only the conformance check, which is much slower, decides that.
    pub(crate) fn gives(&self, behaviours: Behaviours, seed: u64, answers: &Program) -> bool {
        let mut steps = answers.steps.iter();
        let mut all = true;
        let mut same = |answer| {
            let expected = steps.next().and_then(|step| step.answer.as_ref());
            all = expected == Some(&answer);
            all
        };
        self.run(behaviours, seed, &mut same).is_some() && all
    }

    /// Passes each answer to `take` until it returns `false`. Returns `None` if the program cannot
    /// run.
    fn run(
        &self,
        behaviours: Behaviours,
        seed: u64,
        take: &mut dyn FnMut(Answer) -> bool,
    ) -> Option<SimulatedKernel> {
        let mut kernel = SimulatedKernel::new(behaviours, seed);
        let mut there: Vec<bool> = Vec::new();
        for op in &self.beginning {
            // As on a real kernel, a rejected sysctl ends the program.
            if !kernel.step(op, 0).is_ok() {
                return None;
            }
        }
        for part in &self.steps {
            let is_there = |n: usize| there.get(n).copied().unwrap_or(false);
            // The runner closes an existing socket of that name, which the model does not see.
            if part.makes.is_some_and(is_there) {
                return None;
            }
            let missing = !part.needs.is_none_or(is_there);
            let outcome = match &part.op {
                _ if missing => NO_SOCKET,
                Some(op) => kernel.step(op, part.patience),
                None => Outcome::OK,
            };
            if outcome.is_ok() {
                for (sock, now) in [(part.makes, true), (part.ends, false)] {
                    if let Some(sock) = sock {
                        there.resize(there.len().max(sock + 1), false);
                        there[sock] = now;
                    }
                }
            }
            let answer = Answer {
                at_us: kernel.now().nanos() / 1000,
                outcome,
            };
            if !take(answer) {
                return Some(kernel);
            }
        }
        Some(kernel)
    }
}

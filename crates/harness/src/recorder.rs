//! Collects the attempts of a run.
//!
//! Attempts are numbered when the call is *made*. A call that takes time (a `connect` over a
//! network with latency) is answered later, in its own place, so that all engines list the calls in
//! the order in which programs made them.

use fourtuple_kernel::Refusal;
use fourtuple_scenario::Op;
use fourtuple_syscall::Returned;

use crate::attempt::{Answer, Args, Caller, Name, RecordedProcess, SocketId};
use crate::attempts::{Attempt, Attempts};
use crate::why::Why;

/// The place of a call that has been made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "a call that is never answered stays WAITING"]
pub struct Slot(pub(crate) usize);

/// The attempts of a run as they come in.
#[derive(Clone, Debug, Default)]
pub struct Recorder {
    attempts: Attempts,
}

impl Recorder {
    /// With room for a number of attempts.
    #[must_use]
    pub fn with_capacity(attempts: usize) -> Self {
        Recorder {
            attempts: Attempts::with_capacity(attempts),
        }
    }

    /// A process that will make calls. It is the same for the same names.
    pub fn who(&mut self, host: impl Into<Name>, process: impl Into<Name>) -> RecordedProcess {
        self.attempts.who(host.into(), process.into())
    }

    /// A socket with a name. It is the same for the same name.
    pub fn named(&mut self, socket: impl Into<Name>) -> SocketId {
        self.attempts.socket(socket.into())
    }

    /// Returns the maker of a step: a process without instances, on a socket with a name.
    pub fn caller(
        &mut self,
        host: impl Into<Name>,
        process: impl Into<Name>,
        socket: impl Into<Name>,
    ) -> Caller {
        Caller {
            who: self.who(host, process),
            instance: 1,
            socket: self.named(socket),
        }
    }

    /// Notes that a call is made now. The caller must be one of this recorder.
    pub fn call(&mut self, at_ns: u64, caller: Caller, op: Op, args: Args) -> Slot {
        Slot(self.attempts.push(at_ns, caller, op, args))
    }

    /// Notes a call's success.
    pub fn ok(&mut self, slot: Slot, returned: Returned) {
        self.attempts.answer(slot.0, Answer::Ok, returned, None);
    }

    /// Notes a call's failure, with its reason if the engine knows it.
    pub fn failed(&mut self, slot: Slot, result: Answer, refusal: Option<Refusal>) {
        let why = refusal.map(Why::from);
        self.attempts
            .answer(slot.0, result, Returned::default(), why);
    }

    /// Notes the time at which the answer to a call came.
    pub fn ended(&mut self, slot: Slot, at_ns: u64) {
        self.attempts.ended(slot.0, at_ns);
    }

    /// A call that has been made, for engines that decide about it late.
    pub fn attempt(&self, slot: Slot) -> Attempt<'_> {
        let attempt = self.attempts.get(slot.0);
        attempt.expect("a slot is the place of a call")
    }

    /// Returns the number of calls made so far.
    #[must_use]
    pub fn len(&self) -> usize {
        self.attempts.len()
    }

    /// Returns whether no call has been made.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.attempts.is_empty()
    }

    /// The attempts in the order of the calls. What was never answered stays `WAITING`.
    #[must_use]
    pub fn finish(self) -> Attempts {
        self.attempts.finished()
    }
}

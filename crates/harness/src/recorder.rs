//! Collects the attempts of a run.
//!
//! Attempts are numbered when the call is *made*. A call that takes time (a `connect` over a network with latency) is
//! answered later, in its own place, so that all engines list the calls in the order in which programs made them.

use std::sync::Arc;

use fourtuple_kernel::{Endpoint, Refusal};
use fourtuple_scenario::Op;

use crate::attempt::{Answer, Args, Attempt, Name, SocketName};
use crate::why::Why;

/// Who makes a call.
#[derive(Clone, Debug)]
pub struct Caller {
    /// The host.
    pub host: Name,
    /// The process.
    pub process: Name,
    /// Which of its instances, counted from 1.
    pub instance: u32,
    /// The socket.
    pub socket: SocketName,
}

/// The place of a call that has been made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "a call that is never answered stays WAITING"]
pub struct Slot(usize);

/// What a call returned, beyond success or failure.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// The socket's own address.
    pub local: Option<Endpoint>,
    /// The other end.
    pub peer: Option<Endpoint>,
    /// Bytes moved.
    pub bytes: Option<u32>,
}

/// The attempts of a run as they come in.
#[derive(Debug, Default)]
pub struct Recorder {
    attempts: Vec<Attempt>,
    last_why: Option<Arc<Why>>,
}

impl Recorder {
    /// With room for a number of attempts.
    #[must_use]
    pub fn with_capacity(attempts: usize) -> Self {
        Recorder {
            attempts: Vec::with_capacity(attempts),
            last_why: None,
        }
    }

    /// Notes that a call is made now.
    pub fn call(&mut self, at_ns: u64, caller: &Caller, op: Op, args: Args) -> Slot {
        self.last_call(at_ns, caller.clone(), op, args)
    }

    /// The same for the last call on a socket.
    pub(crate) fn last_call(&mut self, at_ns: u64, caller: Caller, op: Op, args: Args) -> Slot {
        let slot = self.attempts.len();
        self.attempts.push(Attempt {
            n: u32::try_from(slot + 1).unwrap_or(u32::MAX),
            at_ns,
            host: caller.host,
            process: caller.process,
            instance: caller.instance,
            socket: caller.socket,
            op,
            args,
            result: Answer::Waiting,
            local: None,
            peer: None,
            bytes: None,
            why: None,
        });
        Slot(slot)
    }

    /// Notes a call's success.
    pub fn ok(&mut self, slot: Slot, seen: Seen) {
        let attempt = &mut self.attempts[slot.0];
        attempt.result = Answer::Ok;
        attempt.local = seen.local;
        attempt.peer = seen.peer;
        attempt.bytes = seen.bytes;
    }

    /// Notes a call's failure, with its reason if the engine knows it.
    pub fn failed(&mut self, slot: Slot, result: Answer, refusal: Option<Refusal>) {
        let why = refusal.map(|refusal| self.shared(Why::from(refusal)));
        let attempt = &mut self.attempts[slot.0];
        attempt.result = result;
        attempt.why = why;
    }

    /// The last attempt, for engines that decide about it late.
    pub fn attempt(&self, slot: Slot) -> &Attempt {
        &self.attempts[slot.0]
    }

    /// How many calls have been made.
    #[must_use]
    pub fn len(&self) -> usize {
        self.attempts.len()
    }

    /// Whether no call has been made.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.attempts.is_empty()
    }

    /// The attempts in the order of the calls. What was never answered stays `WAITING`.
    #[must_use]
    pub fn finish(self) -> Vec<Attempt> {
        self.attempts
    }

    /// Thousands of processes are often refused for one and the same reason, which is then kept once.
    fn shared(&mut self, why: Why) -> Arc<Why> {
        match &self.last_why {
            Some(last) if **last == why => Arc::clone(last),
            _ => {
                let why = Arc::new(why);
                self.last_why = Some(Arc::clone(&why));
                why
            }
        }
    }
}

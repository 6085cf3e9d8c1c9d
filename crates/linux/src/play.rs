//! Plays programs on the model in the place of a kernel: the answers of a profile, in no time, in the form of a recording.

use crate::calls::{self, Names, beginning};
use crate::plan::{CONNECT_WAIT_MS, WAIT_MS};
use crate::program::{Answer, Call, Outcome, Program, Step};
use fourtuple_kernel::follow::{End, Player, Seen};
use fourtuple_kernel::{Asked, Behaviours};
use std::collections::BTreeSet;

/// A program with the answers of a profile.
#[derive(Clone, Debug)]
pub struct Played {
    /// The program.
    pub program: Program,
    /// Which behaviours the answers may hang on.
    pub asked: Asked,
}

/// Runs a program on a kernel of this profile that has just booted. The seed decides what real kernels decide by chance. Nothing where
/// the model does not know a step.
pub fn play(behaviours: Behaviours, seed: u64, program: &Program) -> Option<Played> {
    let mut player = Player::new(behaviours, seed);
    let mut names = Names::of(program);
    let mut there: BTreeSet<&str> = BTreeSet::new();
    for op in beginning(program) {
        // As with the runner, a setting that is not taken is no setting of this kernel.
        if !calls::is_unknown(&op) && player.step(&op, 0).end != End::Ok {
            return None;
        }
    }
    let mut played = Program {
        steps: Vec::with_capacity(program.steps.len()),
        ..program.clone()
    };
    for step in &program.steps {
        let missing = match &step.call {
            Call::Ns => false,
            // The runner closes what has the name, which the model is not told.
            Call::Socket { sock, .. } if there.contains(&**sock) => return None,
            Call::Accept { new, .. } if there.contains(&**new) => return None,
            Call::Socket { .. } => false,
            call => call.sock().is_some_and(|sock| !there.contains(sock)),
        };
        let seen = if missing || step.call == Call::Ns {
            Seen::OK
        } else {
            let op = names.op(step).ok()?;
            if calls::is_unknown(&op) {
                Seen::OK
            } else {
                player.step(&op, patience(&step.call))
            }
        };
        if seen.end == End::Ok && !missing {
            match &step.call {
                Call::Socket { sock, .. } => drop(there.insert(sock)),
                Call::Accept { new, .. } => drop(there.insert(new)),
                Call::Close { sock } => drop(there.remove(&**sock)),
                _ => {}
            }
        }
        let mut answer = answer(&step.call, &seen);
        answer.at_us = player.now().nanos() / 1000;
        if missing {
            answer.result = Outcome::NoSock;
        }
        played.steps.push(Step {
            answer: Some(answer),
            ..step.clone()
        });
    }
    Some(Played {
        program: played,
        asked: player.asked(),
    })
}

/// How long the caller waits, in nanoseconds.
fn patience(call: &Call) -> u64 {
    let ms = match call {
        Call::Connect { wait_ms, .. } => wait_ms.unwrap_or(CONNECT_WAIT_MS),
        Call::Accept { wait_ms, .. } | Call::Send { wait_ms, .. } | Call::Recv { wait_ms, .. } => {
            wait_ms.unwrap_or(WAIT_MS)
        }
        Call::Sleep { ms } => *ms,
        _ => 0,
    };
    u64::from(ms) * 1_000_000
}

fn answer(call: &Call, seen: &Seen) -> Answer {
    let name = seen.name.map(Into::into);
    let peer = matches!(call, Call::Accept { .. } | Call::Getpeername { .. });
    Answer {
        at_us: 0,
        result: match seen.end {
            End::Ok => Outcome::Ok,
            // Both crates have the names of the same numbers.
            End::Err(errno) => errno.name().parse().map_or(Outcome::NoSock, Outcome::Errno),
            End::Waiting => Outcome::Waiting,
        },
        local: name.filter(|_| !peer),
        peer: name.filter(|_| peer),
        port: seen.port,
        moved: None,
    }
}

//! The guest's answers.

use crate::program::{Answer, Call, NO_SOCKET};
use crate::wire::*;
use fourtuple_syscall::{Errno, Outcome, Returned, Syscall};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

/// The records of a frame, in order.
pub(crate) struct Records<'a>(pub(crate) &'a [u8]);

/// The guest's record of one call.
pub(crate) struct Record {
    pub(super) result: i16,
    at_us: u64,
    addr: Option<SocketAddr>,
    moved: Option<u32>,
}

impl Records<'_> {
    pub(crate) fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, tail) = self.0.split_first_chunk()?;
        self.0 = tail;
        Some(*head)
    }
}

impl Iterator for Records<'_> {
    type Item = Record;

    fn next(&mut self) -> Option<Record> {
        let result = i16::from_le_bytes(self.take()?);
        let at_us = u64::from_le_bytes(self.take()?);
        let mut record = Record {
            result,
            at_us,
            addr: None,
            moved: None,
        };
        match u8::from_le_bytes(self.take()?) {
            FAMILY_LENGTH => record.moved = Some(u32::from_le_bytes(self.take()?)),
            4 => {
                let port = u16::from_le_bytes(self.take()?);
                record.addr = Some((Ipv4Addr::from(self.take::<4>()?), port).into());
            }
            6 => {
                let port = u16::from_le_bytes(self.take()?);
                record.addr = Some((Ipv6Addr::from(self.take::<16>()?), port).into());
            }
            _ => {}
        }
        Some(record)
    }
}

impl Record {
    /// The answer to a call.
    pub(crate) fn answer(self, call: &Call) -> Answer {
        let is_peer = matches!(
            call.sys(),
            Some(Syscall::Accept { .. } | Syscall::RecvFrom { .. } | Syscall::Getpeername { .. })
        );
        let outcome = match self.result {
            0 => Outcome::Ok(Returned {
                local: self.addr.filter(|_| !is_peer),
                peer: self.addr.filter(|_| is_peer),
                bytes: self.moved,
                ..Returned::default()
            }),
            RESULT_WAITING => Outcome::WouldBlock,
            RESULT_NOSOCK | RESULT_NOPORT => NO_SOCKET,
            n => Outcome::Err(Errno::new(n.unsigned_abs())),
        };
        let at_us = self.at_us;
        Answer { at_us, outcome }
    }
}

//! The calls on datagram sockets, of which only a receive can wait.

use super::api::{Api, Handle, ends, local};
use fourtuple_kernel::Kind;
use fourtuple_syscall::{Outcome, Returned, Syscall};

impl Api {
    /// The outcome of a call that datagram sockets answer in their own way; `None` for the others.
    pub(super) fn datagram(&mut self, socket: Handle, call: &Syscall<()>) -> Option<Outcome> {
        let result = self.on(socket, |s, id| {
            if s.machine.kind(id) != Kind::Datagram {
                return Ok(None);
            }
            let sent = |bytes| Returned {
                bytes: Some(bytes),
                ..Returned::default()
            };
            Ok(Some(match *call {
                Syscall::Connect { addr, .. } => {
                    s.connect_datagram(id, addr)?;
                    Outcome::Ok(ends(s, id))
                }
                Syscall::Send { len, .. } => {
                    Outcome::Ok(sent(s.send_to(id, None, &vec![b'.'; len as usize])?))
                }
                Syscall::SendTo { addr, len, .. } => {
                    let bytes = s.send_to(id, Some(addr), &vec![b'.'; len as usize])?;
                    Outcome::Ok(Returned {
                        bytes: Some(bytes),
                        ..local(s, id)
                    })
                }
                Syscall::Recv { len, .. } | Syscall::RecvFrom { len, .. } => {
                    match s.recv_from(id, &mut vec![0; len as usize])? {
                        None => Outcome::WouldBlock,
                        Some((bytes, peer)) => Outcome::Ok(Returned {
                            peer: peer.filter(|_| matches!(call, Syscall::RecvFrom { .. })),
                            ..sent(bytes)
                        }),
                    }
                }
                _ => return Ok(None),
            }))
        });
        match result {
            Ok(outcome) => outcome,
            Err(failed) => Some(failed),
        }
    }
}

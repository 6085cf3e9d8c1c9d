//! The calls on datagram sockets. None of them has a connection, and none but a receive waits.

use super::state::State;
use fourtuple_kernel::{Errno, SockId};
use std::net::SocketAddr;
use std::task::Poll;

type Answer<T> = Result<T, Errno>;

impl State {
    /// `connect()`: the port, and the addresses of later datagrams.
    pub(crate) fn connect_datagram(&mut self, id: SockId, to: SocketAddr) -> Answer<()> {
        let answer = self.machine.connect(id, to);
        self.answered(answer, || format!("connect({to})"))
    }

    /// `sendto()`, or `send()` without a destination.
    pub(crate) fn send_to(&mut self, id: SockId, to: Option<SocketAddr>, len: u32) -> Answer<u32> {
        let answer = self.machine.send_to(id, to, len);
        self.route();
        self.answered(answer, || match to {
            Some(to) => format!("sendto({to})"),
            None => format!("send({len})"),
        })
    }

    /// `recvfrom()`: the size of the next datagram and its sender; `None` if none has arrived.
    pub(crate) fn recv_from(
        &mut self,
        id: SockId,
        len: u32,
    ) -> Answer<Option<(u32, Option<SocketAddr>)>> {
        match self.machine.recv_from(id, len) {
            Poll::Pending => Ok(None),
            answer => self
                .answered(answer, || format!("recvfrom({len})"))
                .map(Some),
        }
    }

    /// The answer of a call that never waits, whose failure is recorded.
    fn answered<T>(&mut self, answer: Poll<Answer<T>>, call: impl FnOnce() -> String) -> Answer<T> {
        let Poll::Ready(answer) = answer else {
            return Err(Errno::EAGAIN);
        };
        if let Err(errno) = &answer {
            self.failed(call(), *errno);
        }
        answer
    }
}

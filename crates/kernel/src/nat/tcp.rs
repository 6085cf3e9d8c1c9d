//! The TCP states of connection tracking (`nf_conntrack_proto_tcp.c`): which packets move a flow
//! from one state to another, and how long each state lasts.

use crate::conn::segment::SegKind;
use crate::time::SEC;

/// The state of a flow as connection tracking sees it. It is not a socket's state: TIME_WAIT begins
/// at the last acknowledgement, whichever end closed first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum TcpState {
    /// A SYN was sent.
    SynSent,
    /// It was answered.
    SynRecv,
    /// The handshake is complete.
    Established,
    /// The first FIN was sent.
    FinWait,
    /// The first FIN was acknowledged.
    CloseWait,
    /// The second FIN was sent.
    LastAck,
    /// The second FIN was acknowledged.
    TimeWait,
    /// The connection was reset.
    Close,
    /// Both ends have sent a SYN.
    SynSent2,
}

impl TcpState {
    /// All states, in the kernel's order.
    pub(crate) const ALL: [TcpState; 9] = [
        TcpState::SynSent,
        TcpState::SynRecv,
        TcpState::Established,
        TcpState::FinWait,
        TcpState::CloseWait,
        TcpState::LastAck,
        TcpState::TimeWait,
        TcpState::Close,
        TcpState::SynSent2,
    ];

    /// The state as `conntrack -L` prints it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            TcpState::SynSent => "SYN_SENT",
            TcpState::SynRecv => "SYN_RECV",
            TcpState::Established => "ESTABLISHED",
            TcpState::FinWait => "FIN_WAIT",
            TcpState::CloseWait => "CLOSE_WAIT",
            TcpState::LastAck => "LAST_ACK",
            TcpState::TimeWait => "TIME_WAIT",
            TcpState::Close => "CLOSE",
            TcpState::SynSent2 => "SYN_SENT2",
        }
    }

    /// The sysctl with the time that a flow stays in the state without packets, and its default in
    /// nanoseconds (`tcp_timeouts`).
    #[must_use]
    pub const fn timeout(self) -> (&'static str, u64) {
        match self {
            TcpState::SynSent => ("syn_sent", 120 * SEC),
            TcpState::SynRecv => ("syn_recv", 60 * SEC),
            TcpState::Established => ("established", 5 * 24 * 3600 * SEC),
            TcpState::FinWait => ("fin_wait", 120 * SEC),
            TcpState::CloseWait => ("close_wait", 60 * SEC),
            TcpState::LastAck => ("last_ack", 30 * SEC),
            TcpState::TimeWait => ("time_wait", 120 * SEC),
            TcpState::Close => ("close", 10 * SEC),
            TcpState::SynSent2 => ("syn_sent2", 120 * SEC),
        }
    }

    /// A flow in this state may give its port up (`nf_nat_may_kill`).
    pub(crate) const fn is_closing(self) -> bool {
        matches!(
            self,
            TcpState::TimeWait | TcpState::Close | TcpState::SynSent2
        )
    }
}

/// The direction of a packet of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    /// As the first packet.
    Original,
    /// The other way.
    Reply,
}

impl Direction {
    pub(crate) const fn index(self) -> usize {
        self as usize
    }
}

/// The kind of a packet, as far as the states depend on it (`get_conntrack_index`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flag {
    Syn,
    SynAck,
    Fin,
    Ack,
    Rst,
}

impl Flag {
    /// `None` for what is not TCP.
    pub(crate) const fn of(kind: SegKind) -> Option<Flag> {
        Some(match kind {
            SegKind::Syn => Flag::Syn,
            SegKind::SynAck => Flag::SynAck,
            SegKind::Fin => Flag::Fin,
            SegKind::Rst | SegKind::Refuse => Flag::Rst,
            SegKind::Ack | SegKind::Challenge | SegKind::Data(_) => Flag::Ack,
            SegKind::Datagram(_) | SegKind::Unreachable => return None,
        })
    }
}

/// The effect of a packet on its flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// The flow is in this state now.
    To(TcpState),
    /// The packet passes, and changes nothing.
    Ignored,
    /// The packet belongs to no connection that could exist: it passes without NAT.
    Invalid,
}

/// The state that a flow begins in (`tcp_new`). A flow may be picked up in the middle, by an
/// acknowledgement or data, if `loose` (`nf_conntrack_tcp_loose`).
pub(crate) const fn first_state(flag: Flag, loose: bool) -> Option<TcpState> {
    match flag {
        Flag::Syn => Some(TcpState::SynSent),
        Flag::Ack if loose => Some(TcpState::Established),
        _ => None,
    }
}

/// The effect of a packet on a flow in a state (`tcp_conntracks`).
pub(crate) const fn step(state: TcpState, direction: Direction, flag: Flag) -> Step {
    use TcpState::*;
    match (flag, direction) {
        (Flag::Syn, Direction::Original) => match state {
            SynSent | TimeWait | Close => Step::To(SynSent),
            SynSent2 => Step::To(SynSent2),
            _ => Step::Ignored,
        },
        (Flag::Syn, Direction::Reply) => match state {
            SynSent | SynSent2 => Step::To(SynSent2),
            TimeWait => Step::To(SynSent),
            SynRecv | Established | FinWait | CloseWait | LastAck | Close => Step::Invalid,
        },
        (Flag::SynAck, Direction::Original) => match state {
            SynRecv | SynSent2 => Step::To(SynRecv),
            SynSent => Step::Invalid,
            _ => Step::Ignored,
        },
        (Flag::SynAck, Direction::Reply) => match state {
            SynSent | SynSent2 => Step::To(SynRecv),
            _ => Step::Ignored,
        },
        (Flag::Fin, _) => match state {
            SynRecv | Established => Step::To(FinWait),
            FinWait | CloseWait | LastAck => Step::To(LastAck),
            TimeWait => Step::To(TimeWait),
            Close => Step::To(Close),
            SynSent | SynSent2 => Step::Invalid,
        },
        (Flag::Ack, _) => acknowledged(state, direction),
        (Flag::Rst, _) => Step::To(Close),
    }
}

/// [`step`] for an acknowledgement.
const fn acknowledged(state: TcpState, direction: Direction) -> Step {
    use TcpState::*;
    match (state, direction) {
        (SynSent | SynSent2, Direction::Original) => Step::Invalid,
        (SynSent | SynSent2, Direction::Reply) => Step::Ignored,
        (SynRecv, Direction::Reply) => Step::To(SynRecv),
        (SynRecv | Established, _) => Step::To(Established),
        (FinWait | CloseWait, _) => Step::To(CloseWait),
        (LastAck | TimeWait, _) => Step::To(TimeWait),
        (Close, _) => Step::To(Close),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn walk(packets: &[(Direction, Flag)]) -> Vec<&'static str> {
        let mut state = TcpState::SynSent;
        let mut names = Vec::new();
        for &(direction, flag) in packets {
            match step(state, direction, flag) {
                Step::To(next) => state = next,
                Step::Ignored | Step::Invalid => {}
            }
            names.push(state.name());
        }
        names
    }

    #[test]
    fn a_connection_that_either_end_closes_ends_in_time_wait() {
        use Direction::{Original, Reply};
        for (first, second) in [(Original, Reply), (Reply, Original)] {
            let packets = [
                (Reply, Flag::SynAck),
                (Original, Flag::Ack),
                (first, Flag::Fin),
                (second, Flag::Ack),
                (second, Flag::Fin),
                (first, Flag::Ack),
            ];
            let states = walk(&packets);
            let want = [
                "SYN_RECV",
                "ESTABLISHED",
                "FIN_WAIT",
                "CLOSE_WAIT",
                "LAST_ACK",
                "TIME_WAIT",
            ];
            assert_eq!(states, want);
        }
    }

    #[test]
    fn a_reset_closes_in_every_state() {
        for state in TcpState::ALL {
            for direction in [Direction::Original, Direction::Reply] {
                assert_eq!(step(state, direction, Flag::Rst), Step::To(TcpState::Close));
            }
        }
    }
}

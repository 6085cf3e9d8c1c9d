//! The reason of a refused call in plain words, for readers who do not know the kernel's.

use fourtuple_harness::Why;
use fourtuple_kernel::Rule;

/// One sentence without a full stop.
#[must_use]
pub fn reason(why: &Why) -> String {
    let (ports, are, have) = match why.ports.tried {
        1 => ("the one port tried".to_owned(), "is", "has"),
        0 => ("all ports of the range".to_owned(), "are", "have"),
        n => (format!("all {n} ports tried"), "are", "have"),
    };
    let words = match why.rule {
        Rule::ConnectSkipFastreuse => {
            return format!(
                "{ports} {are} held by sockets that called bind() or listen(); a connect() without bind does not share those"
            );
        }
        Rule::ConnectTupleTaken => {
            return format!("{ports} already {have} a connection to this destination");
        }
        Rule::ConnectTupleTimeWait => {
            return format!(
                "{ports} had a connection to this destination that was closed less than a minute ago (TIME-WAIT)"
            );
        }
        Rule::ConnectNoPort
        | Rule::BindNoFreePort
        | Rule::ListenNoFreePort
        | Rule::AutobindNoFreePort => {
            return format!("{ports} {are} taken");
        }
        Rule::ConnectReserved => {
            return format!("{ports} {are} reserved by ip_local_reserved_ports");
        }
        Rule::AddressTentative => "the address is still in duplicate address detection",
        Rule::BindNotLocal => "this host does not have the address",
        Rule::BindPrivileged => "the port is for privileged programs only",
        Rule::BindAlreadyBound => "the socket has a port already",
        Rule::BindMappedV6Only => "the socket is for IPv6 only, and the address is an IPv4 one",
        Rule::BindConflict | Rule::ListenConflict => {
            "another socket has the port and does not share it"
        }
        Rule::ConnectBoundTuple => {
            "the socket's own port already has a connection to this destination"
        }
        Rule::ConnectBoundTimeWait => {
            "the socket's own port had a connection to this destination that was closed less than a minute ago (TIME-WAIT)"
        }
        Rule::ConnectRefused => "no program listens there",
        Rule::ConnectTimedOut => "the destination does not answer",
        Rule::ConnectUnreachable => "this host has no route to the destination",
        Rule::ConnectFamily => "the destination and the socket are of different address families",
        Rule::OptionUnknown => "this kernel does not have the socket option",
        Rule::ConnectionReset => "the other end reset the connection",
        Rule::SendUnreachable => "no socket of the destination received an earlier datagram",
        Rule::SendNoDestination => "the socket is not connected, and the call names no destination",
        Rule::DatagramSocket => "the socket is a UDP socket",
        // These say in plain words what they are about.
        _ => return why.rule.text().trim_end_matches('.').to_owned(),
    };
    words.to_owned()
}

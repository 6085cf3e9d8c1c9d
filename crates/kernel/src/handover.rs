//! A TIME-WAIT stand-in takes the place of its socket (`inet_twsk_hashdance`).
//!
//! The kernel enters the stand-in and takes the socket out afterwards. Mostly nothing comes of the moment at which both are
//! there, and the stand-in gets the socket's place in the table and in the bucket.

use crate::bucket::Owner;
use crate::chooser::Chooser;
use crate::machine::Machine;
use crate::ns::Ns;
use crate::socket::{NONE, Sock};

impl<C: Chooser> Machine<C> {
    /// Enters the stand-in of a socket that is about to be closed, in the place of the socket if that makes no difference.
    pub(crate) fn hand_over(&mut self, i: u32, t: u32) {
        let s = &self.socks[i];
        let (ns, bucket) = (s.ns, s.bucket);
        let n = &mut self.nss[usize::from(ns)];
        if !leaves_at_once(n, s) {
            self.link(Owner::tw(t), bucket);
            self.hash_insert(ns, Owner::tw(t));
            return;
        }
        let b = &mut n.buckets[bucket];
        b.owners[s.place as usize] = Owner::tw(t);
        b.num_owners -= 1;
        self.bsockets -= 1;
        self.tws[t].place = s.place;
        let s = &mut self.socks[i];
        (s.bucket, s.num) = (NONE, 0);
        s.connect_bind = false;
        self.hash_replace(i, t);
    }
}

/// Whether a socket that is closed leaves the table and its bucket without a trace, once somebody of the same address is there.
fn leaves_at_once(n: &Ns, s: &Sock) -> bool {
    // With devices there are different sockets of one 4-tuple.
    if !s.hashed || s.port_lock || n.devices {
        return false;
    }
    let b = &n.buckets[s.bucket];
    let Some(entry) = b.by_addr.iter().find(|a| a.addr == s.rcv_saddr) else {
        return false;
    };
    // Who leaves can make an entry, and then the bucket, connect-only again.
    match (entry.fastreuse, entry.fastreuseport) {
        (-1, -1) => (b.fastreuse, b.fastreuseport) == (-1, -1),
        _ => entry.owners[0] + entry.owners[1] != entry.connect_owners,
    }
}

#[cfg(test)]
mod tests {
    use crate::Family;
    use crate::Shutdown;
    use crate::SockOpt;
    use crate::addr::{Endpoint, Ip};
    use crate::chooser::Seeded;
    use crate::machine::{Call, Machine, SockId};
    use crate::profile::{self, Asked};
    use crate::time::SEC;

    /// What happens to the connections of one machine. All sockets have `SO_REUSEADDR`.
    #[derive(Clone, Copy, Debug)]
    enum Step {
        /// A connection to port 80, from the port that is asked for: 0 is any, none is no bind().
        Connect(Option<u16>),
        /// A socket binds to an address, with the port of the first one.
        Join(Ip),
        /// That socket connects to port 81.
        Leave,
        /// A socket is closed: those of connections come in pairs, the client first.
        Close(usize),
        /// A socket sends its FIN, and its process keeps it.
        Shut(usize),
    }
    use Step::*;

    /// What is left behind after each step, and 70 s later. With a device, even if nobody is bound to it, stand-ins do not take
    /// places.
    fn left(name: &str, steps: &[Step], devices: bool) -> (Vec<u64>, Asked) {
        let behaviours = profile::find(name).expect("it is there").behaviours;
        let mut m = Machine::new(behaviours, Seeded::new(1, "test"));
        let ns = m.add_namespace();
        let server = |port| Endpoint::new(Ip::LOOPBACK4, port);
        let socket = |m: &mut Machine| {
            let sock = m.socket(ns, Family::Inet, 0);
            m.set(sock, SockOpt::ReuseAddr(true)).expect("it is there");
            sock
        };
        let listeners = [80, 81].map(|port| {
            let listener = socket(&mut m);
            m.bind(listener, server(port)).expect("it is free");
            m.listen(listener, 8).expect("it is bound");
            listener
        });
        let mut socks: Vec<Option<SockId>> = Vec::new();
        let accept = |m: &mut Machine, listener| match m.accept(listener, 0) {
            Call::Done(Ok(child)) => Some(child),
            other => panic!("the connection is there: {other:?}"),
        };
        let mut seen = Vec::new();
        for step in steps {
            m.nss[0].devices = devices;
            match *step {
                Connect(bind) => {
                    let sock = socket(&mut m);
                    if let Some(own) = bind {
                        m.bind(sock, server(own)).expect("it is free");
                    }
                    assert_eq!(m.connect(sock, server(80)), Call::Done(Ok(())));
                    socks.extend([Some(sock), accept(&mut m, listeners[0])]);
                }
                Join(ip) => {
                    let port = m.local(socks[0].expect("it is there")).port;
                    let sock = socket(&mut m);
                    m.bind(sock, Endpoint::new(ip, port)).expect("all share");
                    socks.push(Some(sock));
                }
                Leave => {
                    let sock = socks.last().copied().flatten().expect("it is there");
                    assert_eq!(m.connect(sock, server(81)), Call::Done(Ok(())));
                    socks.push(accept(&mut m, listeners[1]));
                }
                Close(n) => m.close(socks[n].take().expect("it is there")),
                Shut(n) => {
                    let done = m.shutdown(socks[n].expect("it is there"), Shutdown::Write);
                    done.expect("it is connected");
                }
            }
            // Whether there are devices is itself part of the state.
            m.nss[0].devices = false;
            seen.push(m.digest(&socks));
        }
        let asked = m.asked();
        m.advance(m.now().after(70 * SEC));
        seen.push(m.digest(&socks));
        (seen, asked)
    }

    #[test]
    fn it_does_not_matter_whether_the_stand_in_takes_the_place() {
        let mut ways: Vec<Vec<Step>> = Vec::new();
        for bind in [None, Some(0), Some(40_000)] {
            for ends in [[0, 1], [1, 0]] {
                ways.push(vec![Connect(bind), Close(ends[0]), Close(ends[1])]);
                ways.push(vec![Connect(bind), Shut(ends[0]), Close(ends[1])]);
                ways.push(vec![Connect(bind), Shut(ends[0]), Shut(ends[1])]);
                for ip in [Ip::LOOPBACK4, Ip::ANY4] {
                    let ends = ends.map(Close);
                    ways.push([&[Connect(bind), Join(ip)], &ends[..]].concat());
                    ways.push([&[Connect(bind), Join(ip), Close(2)], &ends[..]].concat());
                    ways.push([&[Connect(bind), Join(ip), Leave], &ends[..]].concat());
                }
            }
        }
        for name in ["linux-2.6.32", "linux-4.19", "linux-6.1", "linux-6.18"] {
            for way in &ways {
                let [taken, entered] = [false, true].map(|devices| left(name, way, devices));
                assert_eq!(taken, entered, "{name}: {way:?}");
            }
        }
    }
}

//! A SYN that meets a listener, and the child that comes of it (`tcp_conn_request`, `tcp_v4_syn_recv_sock`).
//!
//! Most often nothing can come between the SYN and the acknowledgement of its answer. Then neither the answer nor the
//! acknowledgement is queued, looked up and unpacked: what they do is done at once.

use crate::Family;
use crate::bucket::{Owner, Who};
use crate::chooser::Chooser;
use crate::machine::{Machine, NsId};
use crate::ns::Ns;
use crate::requests::Request;
use crate::segment::{SegKind, Segment};
use crate::socket::{Sock, State};
use crate::tuples::Tuple;

/// A SYN-ACK that is to be sent, and what its acknowledgement will be known by.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Offer {
    answer: Segment,
    request: Request,
}

impl<C: Chooser> Machine<C> {
    /// A SYN for which there is no connection: its answer, if there is a listener with room for it (`tcp_conn_request`).
    pub(crate) fn answer_syn(&mut self, ns: u16, syn: Segment) -> Option<Offer> {
        let Some(listener) = self.find_listener(ns, syn.dst) else {
            self.answer_without_socket(ns, syn.reply(SegKind::Refuse));
            return None;
        };
        if self.queue_is_full(&self.socks[listener]) {
            return None;
        }
        let timestamps = syn.timestamps && self.ns(ns).values.timestamps;
        Some(Offer {
            answer: Segment {
                timestamps,
                ..syn.reply(SegKind::SynAck)
            },
            request: Request {
                listener,
                timestamps,
            },
        })
    }

    /// A SYN has been answered.
    pub(crate) fn receive_syn(&mut self, ns: u16, offer: Offer) {
        let within = self.inbox.is_empty() && self.ns(ns).is_local(offer.answer.dst.ip);
        let ack = if within {
            self.acknowledge(ns, &offer.answer)
        } else {
            None
        };
        self.conclude(ns, offer, ack);
    }

    /// Makes the child if the answer has been acknowledged at once. Otherwise the answer is sent. Without a child the request stays.
    fn conclude(&mut self, ns: u16, Offer { answer, request }: Offer, ack: Option<Segment>) {
        let child = ack.and_then(|ack| self.spawn_child(ns, ack, &request));
        if child.is_some() {
            return;
        }
        let key = Tuple::new(answer.src, answer.dst);
        self.ns_mut(ns).requests.insert(key, request);
        if ack.is_none() {
            self.transmit(ns, answer);
        }
    }

    /// A SYN-ACK reaches the socket that waits for it, with nothing else under way: how it is acknowledged.
    fn acknowledge(&mut self, ns: u16, answer: &Segment) -> Option<Segment> {
        let tuple = Tuple::new(answer.dst, answer.src);
        let Who::Sock(i) = self.ns(ns).established.find(&tuple, |_| true)?.who() else {
            return None;
        };
        let sock = &mut self.socks[i];
        if sock.state != State::SynSent || sock.unanswered {
            return None;
        }
        sock.ack_pending = false;
        let saw_fin = sock.fin_in;
        self.establish(i, answer);
        Some(Segment {
            saw_fin,
            ..answer.reply(SegKind::Ack)
        })
    }

    /// The handshake is complete: a child joins the listener's bucket (`tcp_v4_syn_recv_sock`,
    /// `__inet_inherit_port`). The bucket's values are not touched.
    pub(crate) fn spawn_child(&mut self, ns: u16, seg: Segment, request: &Request) -> Option<u32> {
        let l = self.socks.get(request.listener)?;
        if l.state != State::Listen || self.queue_is_full(l) {
            return None;
        }
        let bucket = l.bucket;
        self.generation = self.generation.wrapping_add(1);
        let mut child = Sock::new(ns, l.family, l.uid, self.generation);
        child.rcv_saddr = seg.dst.ip;
        child.num = seg.dst.port;
        child.sport = seg.dst.port;
        child.daddr = seg.src.ip;
        child.dport = seg.src.port;
        child.state = State::Established;
        child.reuse = l.reuse;
        child.reuseport = l.reuseport;
        child.v6only = l.v6only;
        child.dev = l.dev;
        child.addr_lock = l.addr_lock;
        child.no_port = l.no_port;
        child.aborts = l.aborts;
        child.freebind = l.freebind;
        child.transparent = l.transparent;
        child.mapped_ops = l.family == Family::Inet6 && seg.dst.ip.is_v4();
        if let Some(cold) = &l.cold
            && (cold.range != (0, 0) || cold.linger2 != 0)
        {
            child.cold().range = cold.range;
            child.cold().linger2 = cold.linger2;
        }
        child.has_file = false;
        child.queued = true;
        child.timestamps = request.timestamps;
        child.stamp = self.clock;
        child.shut_read = l.shut_read;
        child.shut_write = l.shut_write;
        let i = self.socks.insert(child);
        self.link(Owner::sock(i), bucket);
        self.ns_mut(ns).buckets[bucket].children += 1;
        self.children += 1;
        self.hash_insert(ns, Owner::sock(i));
        self.socks[request.listener].cold().queue.push_back(i);
        self.late_fin(i);
        Some(i)
    }

    /// The SYN that is all that is on its way to another machine, and the namespace that it comes from.
    pub(crate) fn only_syn(&self) -> Option<(NsId, Segment)> {
        let packet = self.outbox.front().filter(|_| self.outbox.len() == 1)?;
        let segment = packet.segment();
        (segment.kind == SegKind::Syn).then_some((NsId(packet.ns), segment))
    }

    /// Carries the only SYN on its way from a namespace to one of another machine, and what follows from it, unless it meets what
    /// is already there. What is not carried lies in the outboxes.
    pub(crate) fn shake_hands(
        &mut self,
        (from, syn): (NsId, Segment),
        server: &mut Self,
        at: NsId,
    ) {
        let n = server.ns(at.0);
        let tuple = Tuple::new(syn.dst, syn.src);
        let plain = n.alive && !server.bridged && !n.is_local(syn.src.ip);
        let met = |n: &Ns| {
            n.established.find(&tuple, |_| true).is_some() || n.requests.get(&tuple).is_some()
        };
        if !plain || met(n) {
            return;
        }
        self.outbox.clear();
        let Some(offer) = server.answer_syn(at.0, syn) else {
            return;
        };
        let ack = self.acknowledge(from.0, &offer.answer);
        server.conclude(at.0, offer, ack);
    }
}

#[cfg(test)]
mod tests {
    use crate::Family;
    use crate::Shutdown;
    use crate::addr::Endpoint;
    use crate::chooser::Seeded;
    use crate::machine::{Machine, NsId, SockId};
    use crate::profile;
    use std::net::Ipv4Addr;

    const HOSTS: [Ipv4Addr; 2] = [Ipv4Addr::new(10, 0, 0, 1), Ipv4Addr::new(10, 0, 0, 2)];

    /// What is asked for on the second host, the server; connect() and what undoes it on the first.
    #[derive(Clone, Copy, Debug)]
    enum Step {
        Listen,
        Connect(u16),
        CloseClient,
        Accept,
        CloseServer,
        ConnectBack(u16),
        NoTimestamps,
        ShutListener,
    }
    use Step::*;

    struct Hosts {
        machines: [Machine<Seeded>; 2],
        ns: [NsId; 2],
        socks: [Vec<Option<SockId>>; 2],
        shaken: usize,
    }

    impl Hosts {
        fn new(name: &str) -> Self {
            let behaviours = profile::find(name).expect("it is there").behaviours;
            let mut machines = [1, 2].map(|n| Machine::new(behaviours, Seeded::new(n, "test")));
            let ns = [0, 1].map(|n: usize| {
                let ns = machines[n].add_namespace();
                machines[n].add_address(ns, HOSTS[n].into());
                machines[n].set_routed(ns, true);
                ns
            });
            Hosts {
                machines,
                ns,
                socks: Default::default(),
                shaken: 0,
            }
        }

        fn connect(&mut self, client: usize, from: u16, to: u16, at_once: bool) {
            let server = 1 - client;
            let sock = self.machines[client].socket(self.ns[client], Family::Inet, 0);
            self.socks[client].push(Some(sock));
            let own = Endpoint::new(HOSTS[client].into(), from);
            if self.machines[client].bind(sock, own).is_err() {
                return;
            }
            let to = Endpoint::new(HOSTS[server].into(), to);
            let _ = self.machines[client].connect(sock, to);
            if at_once && let Some(syn) = self.machines[client].only_syn() {
                let [a, b] = &mut self.machines;
                let [a, b] = if client == 0 { [a, b] } else { [b, a] };
                a.shake_hands(syn, b, self.ns[server]);
                self.shaken += usize::from(a.only_syn().is_none());
            }
            self.deliver();
            let _ = self.machines[client].connect_result(sock);
        }

        /// Carries each segment by itself.
        fn deliver(&mut self) {
            while let Some((to, segment)) = (0..2).find_map(|from| {
                let (_, segment) = self.machines[from].segment()?;
                Some((1 - from, segment))
            }) {
                self.machines[to].deliver(self.ns[to], segment);
            }
        }

        fn act(&mut self, step: Step, at_once: bool) {
            let last = |socks: &mut Vec<Option<SockId>>| {
                let place = socks.iter().rposition(Option::is_some)?;
                socks[place].take()
            };
            match step {
                Listen => {
                    let sock = self.machines[1].socket(self.ns[1], Family::Inet, 0);
                    self.socks[1].push(Some(sock));
                    let at = Endpoint::new(HOSTS[1].into(), 80);
                    self.machines[1].bind(sock, at).expect("it is free");
                    self.machines[1].listen(sock, 0).expect("it is bound");
                }
                Connect(from) => self.connect(0, from, 80, at_once),
                ConnectBack(to) => self.connect(1, 80, to, at_once),
                Accept => {
                    let listener = self.socks[1][0].expect("it is there");
                    if let crate::Call::Done(Ok(child)) = self.machines[1].accept(listener, 0) {
                        self.socks[1].push(Some(child));
                    }
                }
                CloseClient | CloseServer => {
                    let host = usize::from(matches!(step, CloseServer));
                    if let Some(sock) = last(&mut self.socks[host]) {
                        self.machines[host].close(sock);
                    }
                    self.deliver();
                }
                NoTimestamps => {
                    let ns = self.ns[1];
                    let done = self.machines[1].sysctl(ns, "net.ipv4.tcp_timestamps", "0");
                    done.expect("it is there");
                }
                ShutListener => {
                    let listener = self.socks[1][0].expect("it is there");
                    let _ = self.machines[1].shutdown(listener, Shutdown::Write);
                }
            }
        }

        fn digests(&self) -> [u64; 2] {
            [0, 1].map(|n| self.machines[n].digest(&self.socks[n]))
        }
    }

    /// How often a handshake is made at once in these steps, which leave behind what they do segment by segment.
    fn shaken(name: &str, steps: &[Step]) -> usize {
        let mut one = Hosts::new(name);
        let mut other = Hosts::new(name);
        for step in steps {
            one.act(*step, true);
            other.act(*step, false);
            assert_eq!(
                one.digests(),
                other.digests(),
                "{name}: {steps:?}: {step:?}"
            );
        }
        one.shaken
    }

    #[test]
    fn a_handshake_at_once_leaves_behind_what_its_segments_do() {
        for name in ["linux-2.6.32", "linux-4.19", "linux-6.18"] {
            assert_eq!(shaken(name, &[Listen, Connect(0), Accept]), 1);
            // Nobody listens.
            assert_eq!(shaken(name, &[Connect(0), Connect(4000)]), 2);
            // A queue of backlog 0 has room for one.
            assert_eq!(shaken(name, &[Listen, Connect(0), Connect(0)]), 2);
            assert_eq!(shaken(name, &[Listen, NoTimestamps, Connect(0), Accept]), 1);
            assert_eq!(shaken(name, &[Listen, ShutListener, Connect(0), Accept]), 1);
            // The server still has a TIME-WAIT of the same 4-tuple when it comes again.
            let again = [
                Listen,
                Connect(4000),
                Accept,
                CloseServer,
                CloseClient,
                Connect(4000),
            ];
            assert_eq!(shaken(name, &again), 1);
            // From the port that is connected to, in both directions.
            assert_eq!(shaken(name, &[ConnectBack(4000), Connect(4000)]), 2);
        }
    }
}

//! A SYN that meets a listener, and the child socket that completes the handshake
//! (`tcp_conn_request`, `tcp_v4_syn_recv_sock`).

use crate::Family;
use crate::bucket::Owner;
use crate::chooser::Chooser;
use crate::conn::requests::Request;
use crate::conn::segment::{SegKind, Segment};
use crate::conn::socket::{Sock, State};
use crate::conn::tuples::Tuple;
use crate::machine::Machine;

impl<C: Chooser> Machine<C> {
    /// Answers a SYN that belongs to no connection, if a listener has room for it
    /// (`tcp_conn_request`).
    pub(crate) fn receive_syn(&mut self, ns: u16, syn: Segment) {
        let Some(listener) = self.find_listener(ns, &syn) else {
            self.answer_without_socket(ns, syn, SegKind::Refuse);
            return;
        };
        if self.queue_is_full(&self.socks[listener]) {
            return;
        }
        let timestamps = syn.timestamps && self.ns(ns).values.timestamps;
        let answer = Segment {
            timestamps,
            ..syn.reply(SegKind::SynAck)
        };
        let request = Request {
            listener,
            timestamps,
        };
        let key = Tuple::new(answer.src, answer.dst);
        self.ns_mut(ns).requests.insert(key, request);
        self.transmit(ns, self.device_of(listener), answer);
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
        // Older kernels forget to count it, and subtract it all the same when it leaves.
        if self.b.peek().child_counted {
            self.count_owner(i, bucket);
        }
        self.hash_insert(ns, Owner::sock(i));
        self.socks[request.listener].cold().queue.push_back(i);
        self.late_fin(i);
        Some(i)
    }
}

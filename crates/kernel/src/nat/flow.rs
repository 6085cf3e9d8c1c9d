//! The flows of a NAT host (`struct nf_conn`): one entry each, found by the tuple of either
//! direction (`nf_conntrack_hash`) and by its source (`nf_nat_bysource`).
//!
//! Entries that have expired stay until they are met or swept, as in the kernel, where lookups skip
//! them and a worker collects them later.

use super::tcp::{Direction, TcpState};
use crate::addr::{Endpoint, Ip, fold};
use crate::slab::Slab;
use crate::time::Time;
use fourtuple_syscall::Kind;
use hashbrown::HashTable;

/// The addresses, ports and protocol of one direction of a flow (`struct nf_conntrack_tuple`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct FlowTuple {
    pub(crate) src: Ip,
    pub(crate) dst: Ip,
    pub(crate) sport: u16,
    pub(crate) dport: u16,
    pub(crate) protocol: Kind,
}

impl FlowTuple {
    pub(crate) const fn new(protocol: Kind, src: Endpoint, dst: Endpoint) -> Self {
        FlowTuple {
            src: src.ip,
            dst: dst.ip,
            sport: src.port,
            dport: dst.port,
            protocol,
        }
    }

    /// The tuple of the packets that answer (`nf_ct_invert_tuple`).
    pub(crate) const fn inverted(self) -> Self {
        FlowTuple {
            src: self.dst,
            dst: self.src,
            sport: self.dport,
            dport: self.sport,
            protocol: self.protocol,
        }
    }

    pub(crate) const fn source(self) -> Endpoint {
        Endpoint::new(self.src, self.sport)
    }

    pub(crate) const fn destination(self) -> Endpoint {
        Endpoint::new(self.dst, self.dport)
    }

    fn hash(&self) -> u64 {
        let ports = u64::from(self.sport) << 16 | u64::from(self.dport);
        let [(a, b), (c, d)] = [self.src, self.dst].map(Ip::halves);
        let addresses = fold(
            b ^ 0x9e37_79b9_7f4a_7c15 ^ c.rotate_left(32),
            d ^ 0xff51_afd7_ed55_8ccd ^ a.rotate_left(32),
        );
        fold(addresses ^ ports, 0x9e37_79b9_7f4a_7c15)
    }

    fn source_hash(&self) -> u64 {
        let (high, low) = self.src.halves();
        fold(
            low ^ high.rotate_left(32) ^ u64::from(self.sport) << 32,
            0xff51_afd7_ed55_8ccd,
        )
    }

    fn same_source(&self, other: &FlowTuple) -> bool {
        (self.src, self.sport, self.protocol) == (other.src, other.sport, other.protocol)
    }
}

/// The rule by which a flow came to the source port that its destination sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Chosen {
    /// The port is the client's own.
    Kept,
    /// The NAT host chose another port.
    Moved,
    /// The NAT host took the port from a flow that was closing.
    Evicted,
}

/// One flow.
#[derive(Clone, Debug)]
pub(crate) struct Flow {
    /// The tuple of the first packet.
    pub(crate) original: FlowTuple,
    /// The tuple of the packets that come back.
    pub(crate) reply: FlowTuple,
    /// The moment at which the entry ends if no packet comes.
    pub(crate) expires: Time,
    /// The moment of the first packet.
    pub(crate) created: Time,
    /// The initial sequence number, once it was compared.
    pub(crate) sequence: Option<u32>,
    pub(crate) state: TcpState,
    pub(crate) chosen: Chosen,
    /// `IPS_SEEN_REPLY`
    pub(crate) seen_reply: bool,
    /// `IPS_ASSURED`
    pub(crate) assured: bool,
    /// `IP_CT_TCP_FLAG_CLOSE_INIT` of each direction.
    pub(crate) closed_first: [bool; 2],
    /// The last packet was a reset from the original direction.
    pub(crate) aborted: bool,
    /// The next older flow of the same source.
    older: u32,
}

impl Flow {
    pub(crate) fn new(original: FlowTuple, reply: FlowTuple, now: Time, chosen: Chosen) -> Self {
        Flow {
            original,
            reply,
            expires: now,
            created: now,
            sequence: None,
            state: TcpState::SynSent,
            chosen,
            seen_reply: false,
            assured: false,
            closed_first: [false; 2],
            aborted: false,
            older: NONE,
        }
    }

    /// The source and the destination that a packet of a direction gets.
    pub(super) const fn ends(&self, direction: Direction) -> (Endpoint, Endpoint) {
        match direction {
            Direction::Original => (self.reply.destination(), self.reply.source()),
            Direction::Reply => (self.original.destination(), self.original.source()),
        }
    }

    /// Source NAT changed the tuple (`IPS_SRC_NAT`).
    pub(crate) fn has_source_nat(&self) -> bool {
        self.reply.destination() != self.original.source()
    }

    pub(crate) fn is_expired(&self, now: Time) -> bool {
        self.expires <= now
    }
}

/// No flow.
const NONE: u32 = u32::MAX;

/// The flows of a NAT host.
#[derive(Clone, Debug, Default)]
pub(crate) struct Flows {
    flows: Slab<Flow>,
    len: usize,
    /// The number of each flow times two, odd for the tuple of its replies.
    index: HashTable<u32>,
    /// The newest flow of each source.
    sources: HashTable<u32>,
    /// The number of entries at which expired ones are swept next.
    sweep_at: usize,
}

impl Flows {
    /// Entries below this number are not worth a sweep.
    const SWEEP: usize = 1024;

    /// The number of entries, with those that have expired and were not met since.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn get(&self, i: u32) -> &Flow {
        &self.flows[i]
    }

    pub(crate) fn get_mut(&mut self, i: u32) -> &mut Flow {
        &mut self.flows[i]
    }

    /// All entries by number.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, &Flow)> {
        self.flows.iter()
    }

    /// The flow that has a tuple in one of its directions; an expired one is removed
    /// (`____nf_conntrack_find`).
    pub(crate) fn find(&mut self, tuple: &FlowTuple, now: Time) -> Option<(u32, Direction)> {
        let flows = &self.flows;
        let place = *self
            .index
            .find(tuple.hash(), |&place| side(flows, place) == tuple)?;
        let (i, reply) = (place / 2, place % 2 == 1);
        if flows[i].is_expired(now) {
            self.remove(i);
            return None;
        }
        let direction = match reply {
            true => Direction::Reply,
            false => Direction::Original,
        };
        Some((i, direction))
    }

    /// The flows of a source, the newest first (`find_appropriate_src` goes through this list).
    pub(crate) fn of_source(&self, tuple: &FlowTuple) -> impl Iterator<Item = &Flow> {
        let flows = &self.flows;
        let newest = self.sources.find(tuple.source_hash(), |&i| {
            flows[i].original.same_source(tuple)
        });
        let mut next = newest.copied().unwrap_or(NONE);
        std::iter::from_fn(move || {
            let flow = (next != NONE).then(|| &flows[next])?;
            next = flow.older;
            Some(flow)
        })
    }

    /// Adds a flow, neither of whose tuples is in the table.
    pub(crate) fn insert(&mut self, mut flow: Flow, now: Time) -> u32 {
        if self.len >= self.sweep_at.max(Self::SWEEP) {
            self.sweep(now);
        }
        let (original, reply) = (flow.original, flow.reply);
        let flows = &self.flows;
        let same = |&i: &u32| flows[i].original.same_source(&original);
        let newest = self.sources.find_mut(original.source_hash(), same);
        flow.older = newest.as_ref().map_or(NONE, |i| **i);
        match newest {
            Some(newest) => {
                let i = self.flows.insert(flow);
                *newest = i;
                self.add_tuples(i, &original, &reply);
                i
            }
            None => {
                let i = self.flows.insert(flow);
                let flows = &self.flows;
                let hash = original.source_hash();
                self.sources
                    .insert_unique(hash, i, |&i| flows[i].original.source_hash());
                self.add_tuples(i, &original, &reply);
                i
            }
        }
    }

    fn add_tuples(&mut self, i: u32, original: &FlowTuple, reply: &FlowTuple) {
        self.len += 1;
        let flows = &self.flows;
        let hash = |&place: &u32| side(flows, place).hash();
        self.index.insert_unique(original.hash(), i * 2, hash);
        self.index.insert_unique(reply.hash(), i * 2 + 1, hash);
    }

    pub(crate) fn remove(&mut self, i: u32) -> Flow {
        let (original, reply) = (self.flows[i].original, self.flows[i].reply);
        for (place, tuple) in [(i * 2, original), (i * 2 + 1, reply)] {
            let found = self.index.find_entry(tuple.hash(), |&one| one == place);
            if let Ok(found) = found {
                found.remove();
            }
        }
        self.unlink_source(i, &original);
        self.len -= 1;
        self.flows.remove(i)
    }

    fn unlink_source(&mut self, i: u32, original: &FlowTuple) {
        let older = self.flows[i].older;
        let flows = &self.flows;
        let same = |&one: &u32| flows[one].original.same_source(original);
        let Ok(newest) = self.sources.find_entry(original.source_hash(), same) else {
            return;
        };
        let mut at = *newest.get();
        if at == i {
            match older {
                NONE => {
                    newest.remove();
                }
                _ => *newest.into_mut() = older,
            }
            return;
        }
        while self.flows[at].older != i {
            at = self.flows[at].older;
        }
        self.flows[at].older = older;
    }

    /// Removes all entries that have expired (`gc_worker`).
    pub(crate) fn sweep(&mut self, now: Time) {
        let gone: Vec<u32> = self
            .iter()
            .filter(|(_, flow)| flow.is_expired(now))
            .map(|(i, _)| i)
            .collect();
        for i in gone {
            self.remove(i);
        }
        self.sweep_at = self.len * 2;
    }
}

/// The tuple that an entry of the index stands for.
fn side(flows: &Slab<Flow>, place: u32) -> &FlowTuple {
    let flow = &flows[place / 2];
    match place % 2 {
        0 => &flow.original,
        _ => &flow.reply,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tuple(client: u8, sport: u16, dport: u16) -> FlowTuple {
        let at =
            |last: u8, port| Endpoint::new(std::net::Ipv4Addr::new(10, 0, 0, last).into(), port);
        FlowTuple::new(Kind::Stream, at(client, sport), at(200, dport))
    }

    fn flow(original: FlowTuple, port: u16, ends: u64) -> Flow {
        let mut reply = original.inverted();
        reply.dport = port;
        let mut flow = Flow::new(original, reply, Time(0), Chosen::Moved);
        flow.expires = Time(ends);
        flow
    }

    #[test]
    fn a_flow_is_found_by_both_tuples_until_it_expires() {
        let mut flows = Flows::default();
        let one = flows.insert(flow(tuple(1, 1000, 80), 5000, 10), Time(0));
        let reply = flows.get(one).reply;
        assert_eq!(
            flows.find(&tuple(1, 1000, 80), Time(9)),
            Some((one, Direction::Original))
        );
        assert_eq!(flows.find(&reply, Time(9)), Some((one, Direction::Reply)));
        assert_eq!(flows.find(&reply, Time(10)), None);
        assert_eq!(flows.len(), 0);
    }

    #[test]
    fn flows_of_a_source_come_newest_first_whichever_is_removed() {
        let dports = [80, 81, 82, 83];
        for gone in 0..dports.len() {
            let mut flows = Flows::default();
            let made = dports
                .map(|dport| flows.insert(flow(tuple(1, 1000, dport), 5000 + dport, 10), Time(0)));
            flows.insert(flow(tuple(2, 1000, 80), 6000, 10), Time(0));
            flows.remove(made[gone]);
            let source = tuple(1, 1000, 9);
            let left = flows.of_source(&source);
            let left: Vec<u16> = left.map(|flow| flow.original.dport).collect();
            let mut want = dports.to_vec();
            want.remove(gone);
            want.reverse();
            assert_eq!(left, want);
        }
    }

    #[test]
    fn a_flow_takes_at_most_200_bytes() {
        let mut flows = Flows::default();
        let count = 64_512u16;
        for n in 0..count {
            flows.insert(flow(tuple(1, 1024 + n, 80), 1024 + n, 10), Time(0));
        }
        let entries = flows.len() * size_of::<Option<Flow>>();
        let tables = flows.index.allocation_size() + flows.sources.allocation_size();
        let each = (entries + tables) / usize::from(count);
        assert!(each <= 200, "{each} bytes");
    }

    #[test]
    fn expired_flows_are_swept_when_the_table_has_doubled() {
        let mut flows = Flows::default();
        for n in 0..5000u16 {
            let (now, n) = (Time(u64::from(n)), 1024 + n);
            flows.insert(flow(tuple(1, n, 80), n, now.0 + 10), now);
        }
        assert!(flows.len() <= 2 * Flows::SWEEP, "{}", flows.len());
    }
}

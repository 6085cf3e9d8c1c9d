//! The choice of the source address and port of a new flow (`get_unique_tuple`).
//!
//! A port is taken if a flow has the reply tuple that it would give: the same destination address
//! and port, the same address of the NAT host, the same port. Ports are thus counted for each
//! destination. `ip_local_port_range`, `ip_local_reserved_ports` and the sockets of the NAT host
//! play no part.

use super::address::source_address;
use super::config::Randomness;
use super::flow::{Chosen, Flow, FlowTuple, Flows};
use super::tcp::Direction;
use crate::addr::{Endpoint, Ip};
use crate::chooser::{Chooser, PortHashInput};
use crate::profile::TrackedBehaviours;
use crate::profile::behaviour::NatSearch;
use crate::time::Time;
use fourtuple_syscall::Kind;

/// The sources that a rule allows (`struct nf_nat_range2`).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Range {
    pub(crate) addresses: (Ip, Ip),
    pub(crate) ports: Option<(u16, u16)>,
    pub(crate) random: Randomness,
    pub(crate) persistent: bool,
}

impl Range {
    /// The range of a flow that no rule translates (`nf_nat_alloc_null_binding`): its own address,
    /// and another port only if its own is taken.
    pub(crate) const fn null_binding(source: Ip) -> Self {
        Range {
            addresses: (source, source),
            ports: None,
            random: Randomness::No,
            persistent: false,
        }
    }

    /// `nf_in_range`
    fn holds(&self, source: Endpoint) -> bool {
        let (low, high) = self.addresses;
        let port = |(low, high): (u16, u16)| (low..=high).contains(&source.port);
        (low..=high).contains(&source.ip) && self.ports.is_none_or(port)
    }
}

/// The result of a selection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Selection {
    /// The tuple towards the destination.
    pub(crate) tuple: FlowTuple,
    pub(crate) chosen: Chosen,
    /// The number of ports that were looked at.
    pub(crate) tried: u32,
}

impl Selection {
    /// Before the first port of a search.
    const fn untried(tuple: FlowTuple) -> Self {
        Selection {
            tuple,
            chosen: Chosen::Moved,
            tried: 0,
        }
    }
}

/// A new flow that looks for a source.
pub(crate) struct Search<'a, C> {
    /// The tuple of its SYN.
    pub(crate) original: FlowTuple,
    pub(crate) flows: &'a mut Flows,
    /// The last port of the search before (`tcp_port_rover`).
    pub(crate) rover: &'a mut u16,
    pub(crate) rules: &'a TrackedBehaviours,
    pub(crate) chooser: &'a mut C,
    pub(crate) now: Time,
    /// The moment at which the first SYN of the new flow came.
    pub(crate) began: Time,
    /// The initial sequence number of the new flow, once it was compared.
    pub(crate) sequence: Option<u32>,
    /// Another CPU handles a SYN of another client at this instant, and has not inserted its flow
    /// when this search looks (the race between `nf_nat_used_tuple` and `__nf_conntrack_confirm`).
    pub(crate) race: Option<bool>,
}

/// The most ports that a round tries (`NF_NAT_MAX_ATTEMPTS`).
pub(crate) const ATTEMPTS: u32 = 128;
/// A round of fewer tries is the last one.
pub(super) const LAST_ROUND: u32 = 16;
/// The last tries of a round, which may evict (`NF_NAT_HARDER_THRESH`).
pub(crate) const HARDER: u32 = 32;

/// The source of a new flow (`get_unique_tuple`). If all ports that are tried are taken, the result
/// is the last of them.
///
/// 1. Without `random`, a source that is in range already is kept if it is free; otherwise another
///    flow of the same client address and port decides.
/// 2. The address is chosen.
/// 3. Without `random`, the client's port is kept if it is in range and free.
/// 4. A port is searched.
pub(crate) fn unique_source<C: Chooser>(
    search: &mut Search<'_, C>,
    original: FlowTuple,
    range: &Range,
) -> Selection {
    let preserves = range.random == Randomness::No;
    let with = |tuple: FlowTuple, tried| Selection {
        tuple,
        chosen: chosen(&original, &tuple),
        tried,
    };
    if preserves {
        if range.holds(original.source()) {
            if !search.is_taken(&original) {
                return with(original, 1);
            }
        } else if let Some(tuple) = mapping_of_source(search.flows, &original, range)
            && !search.is_taken(&tuple)
        {
            return with(tuple, 1);
        }
    }
    let mut tuple = original;
    tuple.src = source_address(&original, range.addresses, range.persistent);
    if preserves && keeps_port(search, &tuple, range) {
        return with(tuple, 1);
    }
    search_port(search, tuple, range)
}

fn chosen(original: &FlowTuple, tuple: &FlowTuple) -> Chosen {
    match tuple.sport == original.sport {
        true => Chosen::Kept,
        false => Chosen::Moved,
    }
}

/// The source of another flow from the same client address and port, if the rule allows it
/// (`find_appropriate_src`): the newest that is in range.
fn mapping_of_source(flows: &Flows, original: &FlowTuple, range: &Range) -> Option<FlowTuple> {
    let mut sources = flows
        .of_source(original)
        .map(|flow| flow.reply.destination());
    let source = sources.find(|source| range.holds(*source))?;
    Some(FlowTuple {
        src: source.ip,
        sport: source.port,
        ..*original
    })
}

/// Returns `true` if the port stays: it is in range, and free. A range of one port is not tested,
/// because a search would find nothing else.
fn keeps_port<C: Chooser>(search: &mut Search<'_, C>, tuple: &FlowTuple, range: &Range) -> bool {
    match range.ports {
        None => !search.is_taken(tuple),
        Some((low, high)) if low == high => tuple.sport == low,
        Some((low, high)) => (low..=high).contains(&tuple.sport) && !search.is_taken(tuple),
    }
}

/// The first and the last port of a search (`nf_nat_l4proto_unique_tuple`): those of the rule, else
/// of the class of the client's port: 1 to 511, 600 to 1023, or 1024 and above.
pub(crate) const fn search_range(sport: u16, ports: Option<(u16, u16)>) -> (u16, u16) {
    match ports {
        Some((low, high)) if low > high => (high, low),
        Some(ports) => ports,
        None if sport < 512 => (1, 511),
        None if sport < 1024 => (600, 1023),
        None => (1024, u16::MAX),
    }
}

/// Searches a port (`nf_nat_l4proto_unique_tuple`, before 5.0 one function for each protocol).
fn search_port<C: Chooser>(
    search: &mut Search<'_, C>,
    tuple: FlowTuple,
    range: &Range,
) -> Selection {
    let ports = search_range(tuple.sport, range.ports);
    match search.rules.nat_search() {
        NatSearch::Limited => limited_search(search, tuple, ports),
        NatSearch::Scan => {
            let start = random_start(search, &tuple, range, ports);
            scan(search, tuple, ports, start)
        }
        NatSearch::Rover => {
            let start = match range.random {
                Randomness::No => *search.rover,
                _ => random_start(search, &tuple, range, ports),
            };
            let found = scan(search, tuple, ports, start);
            if range.random == Randomness::No {
                // The next search begins at the port that this one has found.
                *search.rover = start.wrapping_add((found.tried - 1) as u16);
            }
            found
        }
    }
}

/// The start of a search over the whole range: a hash of the connection with `random`, else
/// anything.
fn random_start<C: Chooser>(
    search: &mut Search<'_, C>,
    tuple: &FlowTuple,
    range: &Range,
    (low, high): (u16, u16),
) -> u16 {
    let input = PortHashInput {
        saddr: tuple.src,
        daddr: tuple.dst,
        dport: tuple.dport,
        epoch: 0,
    };
    let hashed = (range.random == Randomness::Hashed).then_some(input);
    search.start(tuple, low, u32::from(high - low) + 1, hashed)
}

/// The search since 5.0: up to 128 ports from a random one, then 64, 32, 16 and 8 from others. It
/// gives up after these 248, however many ports are free. In the last 32 tries of each round, ports
/// of closing flows count as free since 6.5.
fn limited_search<C: Chooser>(
    search: &mut Search<'_, C>,
    tuple: FlowTuple,
    (low, high): (u16, u16),
) -> Selection {
    let size = u32::from(high - low) + 1;
    let mut found = Selection::untried(tuple);
    let mut attempts = size.min(ATTEMPTS);
    loop {
        let start = search.start(&tuple, low, size, None);
        for i in 0..attempts {
            found.tuple.sport = port_at(low, size, start, i);
            found.tried += 1;
            match search.is_taken_harder(&found.tuple, attempts - i) {
                Taken::No => return found,
                Taken::Evicted => {
                    found.chosen = Chosen::Evicted;
                    return found;
                }
                Taken::Yes => {}
            }
        }
        if attempts >= size || attempts < LAST_ROUND {
            return found;
        }
        attempts /= 2;
    }
}

/// The port at a distance from the start of a search. The start counts in 16 bits.
pub(super) const fn port_at(low: u16, size: u32, start: u16, i: u32) -> u16 {
    let offset = start.wrapping_add(i as u16) as u32 % size;
    low + offset as u16
}

/// The search before 5.0: the whole range. The last port is the result even if it is taken.
fn scan<C: Chooser>(
    search: &mut Search<'_, C>,
    tuple: FlowTuple,
    (low, high): (u16, u16),
    start: u16,
) -> Selection {
    let size = u32::from(high - low) + 1;
    let mut found = Selection::untried(tuple);
    for i in 0..size {
        found.tuple.sport = port_at(low, size, start, i);
        found.tried += 1;
        if i + 1 < size && search.is_taken(&found.tuple) {
            continue;
        }
        break;
    }
    found
}

/// The answer of [`Search::is_taken_harder`].
enum Taken {
    Yes,
    No,
    /// It was: its flow has been removed.
    Evicted,
}

/// Returns `true` if a flow gives its port up for a new one whose initial sequence number is ahead
/// of it: it is closing, and source NAT has changed it (`nf_nat_may_kill`).
fn is_evictable(flow: &Flow, rules: &TrackedBehaviours) -> bool {
    let closing = flow.state.is_closing() && flow.has_source_nat();
    closing && flow.original.protocol == Kind::Stream && rules.nat_evicts()
}

/// Returns `true` if the first of two sequence numbers is ahead (`nf_seq_has_advanced`).
const fn is_ahead(new: u32, old: u32) -> bool {
    new.wrapping_sub(old).cast_signed() > 0
}

impl<C: Chooser> Search<'_, C> {
    /// The start of a search; `hashed` if it is a hash of the connection.
    fn start(
        &mut self,
        tuple: &FlowTuple,
        low: u16,
        size: u32,
        hashed: Option<PortHashInput>,
    ) -> u16 {
        let (flows, rules) = (&mut *self.flows, self.rules);
        let (now, sequence) = (self.now, self.sequence);
        let mut may_take = |sport: u16| {
            let wanted = FlowTuple { sport, ..*tuple };
            let Some((i, direction)) = flows.find(&wanted.inverted(), now) else {
                return true;
            };
            let flow = flows.get(i);
            let known = sequence.zip(flow.sequence);
            direction == Direction::Reply
                && is_evictable(flow, rules)
                && known.is_none_or(|(new, old)| is_ahead(new, old))
        };
        match hashed {
            Some(input) => self.chooser.nat_hash_start(input, low, size, &mut may_take),
            None => self.chooser.nat_start(low, size, &mut may_take),
        }
    }

    /// Returns `true` if another flow has the tuple (`nf_nat_used_tuple`).
    pub(crate) fn is_taken(&mut self, tuple: &FlowTuple) -> bool {
        self.holder(tuple).is_some()
    }

    /// The flow that has the tuple of the replies to this one.
    fn holder(&mut self, tuple: &FlowTuple) -> Option<(u32, Direction)> {
        let found = self.flows.find(&tuple.inverted(), self.now)?;
        let holder = self.flows.get(found.0);
        let concurrent = holder.created == self.now && holder.original.src != self.original.src;
        let chooser = &mut *self.chooser;
        if concurrent && *self.race.get_or_insert_with(|| chooser.nat_race()) {
            return None;
        }
        Some(found)
    }

    /// The same in a search with so many tries left in its round (`nf_nat_used_tuple_harder`).
    fn is_taken_harder(&mut self, tuple: &FlowTuple, left: u32) -> Taken {
        let Some((i, direction)) = self.holder(tuple) else {
            return Taken::No;
        };
        if left <= HARDER && direction == Direction::Reply && self.may_evict(i) {
            self.flows.remove(i);
            return Taken::Evicted;
        }
        Taken::Yes
    }

    /// Returns `true` if a flow gives its port up for the new one: it is closing, source NAT has
    /// changed it, and the new flow's initial sequence number is ahead of it
    /// (`nf_nat_may_kill`, `nf_seq_has_advanced`). The order of two numbers (`secure_tcp_seq`) is a
    /// coin, and the repetitions of a SYN have its number.
    fn may_evict(&mut self, i: u32) -> bool {
        let flow = self.flows.get(i);
        if !is_evictable(flow, self.rules) {
            return false;
        }
        let (original, created, known) = (flow.original, flow.created, flow.sequence);
        let ends = |tuple: &FlowTuple| (tuple.source().into(), tuple.destination().into());
        let (from, to) = ends(&original);
        let chooser = &mut *self.chooser;
        let old = known.unwrap_or_else(|| chooser.nat_sequence(from, to, created.nanos()));
        self.flows.get_mut(i).sequence = Some(old);
        let ((from, to), began) = (ends(&self.original), self.began.nanos());
        let new = *self
            .sequence
            .get_or_insert_with(|| chooser.nat_new_sequence(from, to, began));
        is_ahead(new, old)
    }
}

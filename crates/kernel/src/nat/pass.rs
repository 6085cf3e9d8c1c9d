//! A packet that passes a NAT host: its flow, the translation, and what becomes of it
//! (`nf_conntrack_in`, `nf_nat_inet_fn`, `__nf_conntrack_confirm`).

use super::config::{LinuxNat, QuotaNat, SourceNat};
use super::flow::{Chosen, Flow, FlowTuple};
use super::quota::quota_source;
use super::select::{Range, Search, Selection, unique_source};
use super::tcp::{Direction, Flag, Step, TcpState, first_state, step};
use super::view::Dropped;
use super::{DroppedSyn, Nat};
use crate::addr::{Endpoint, Ip};
use crate::chooser::Chooser;
use crate::conn::segment::{SegKind, Segment};
use crate::profile::TrackedBehaviours;
use crate::time::{SEC, Time};
use fourtuple_syscall::Kind;

/// The side of a NAT host that an address is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Route {
    /// The host's own address.
    Local,
    /// A host whose packets go through this one.
    Inside,
    /// Any other.
    Outside,
}

/// The kernel of a NAT host, as far as a packet needs it.
pub(super) struct Place<'a, C> {
    pub(crate) rules: &'a TrackedBehaviours,
    pub(crate) chooser: &'a mut C,
    pub(crate) now: Time,
    /// The host's address towards a destination.
    pub(crate) own: &'a dyn Fn(Ip) -> Option<Ip>,
    pub(crate) route: &'a dyn Fn(Ip) -> Route,
}

/// The fate of a packet at a NAT host.
#[derive(Clone, Copy, Debug)]
pub enum Passed {
    /// It goes on, with these addresses.
    On(Segment),
    /// It is dropped in silence.
    Dropped,
    /// It is dropped, and this goes back to its sender.
    Answered(Segment),
}

/// A SYN that is not repeated for so long has been given up: the longest distance between two
/// repetitions is 120 s.
const GIVEN_UP: u64 = 130 * SEC;

impl Nat {
    /// Takes a packet through the host. Datagrams pass as they are.
    pub(super) fn pass<C: Chooser>(&mut self, seg: Segment, place: &mut Place<'_, C>) -> Passed {
        let tuple = FlowTuple::new(Kind::Stream, seg.src, seg.dst);
        let Some(flag) = Flag::of(seg.kind) else {
            return Passed::On(seg);
        };
        if let Some((i, direction)) = self.flows.find(&tuple, place.now) {
            if !self.reopens(i, direction, flag) {
                return self.pass_known(seg, i, direction, flag, place.now);
            }
            self.flows.remove(i);
        }
        let loose = self.settings.loose && self.quota().is_none();
        match first_state(flag, loose) {
            Some(state) => self.pass_new(seg, tuple, state, place),
            None => self.pass_untracked(seg, place),
        }
    }

    fn quota(&self) -> Option<&QuotaNat> {
        match &self.rules.source {
            Some(SourceNat::Quota(quota)) => Some(quota),
            _ => None,
        }
    }

    /// Returns `true` if a SYN ends the old flow of its tuple: that one was closed by the other end
    /// first, or reset by this one, so that the client may open it again
    /// (`nf_conntrack_tcp_packet`).
    fn reopens(&self, i: u32, direction: Direction, flag: Flag) -> bool {
        let flow = self.flows.get(i);
        let ended = matches!(flow.state, TcpState::TimeWait | TcpState::Close);
        let other = match direction {
            Direction::Original => Direction::Reply,
            Direction::Reply => Direction::Original,
        };
        ended
            && flag == Flag::Syn
            && direction == Direction::Original
            && (flow.closed_first[other.index()] || flow.aborted)
    }

    /// The translated ends of a packet of a flow.
    pub(super) fn ends(
        &mut self,
        src: Endpoint,
        dst: Endpoint,
        now: Time,
    ) -> Option<(Endpoint, Endpoint)> {
        let tuple = FlowTuple::new(Kind::Stream, src, dst);
        let (i, direction) = self.flows.find(&tuple, now)?;
        Some(self.flows.get(i).ends(direction))
    }

    /// A packet of a flow that exists.
    fn pass_known(
        &mut self,
        seg: Segment,
        i: u32,
        direction: Direction,
        flag: Flag,
        now: Time,
    ) -> Passed {
        let flow = self.flows.get_mut(i);
        let (src, dst) = flow.ends(direction);
        let translated = Segment { src, dst, ..seg };
        let next = match step(flow.state, direction, flag) {
            Step::Invalid => return Passed::On(seg),
            Step::Ignored => return Passed::On(translated),
            Step::To(next) => next,
        };
        let unanswered = !flow.seen_reply;
        if unanswered && flag == Flag::Rst {
            // A SYN that is refused leaves no flow behind.
            self.flows.remove(i);
            return Passed::On(translated);
        }
        let open = |state| matches!(state, TcpState::SynRecv | TcpState::Established);
        flow.assured |= flow.seen_reply && open(flow.state) && next == TcpState::Established;
        flow.seen_reply |= direction == Direction::Reply;
        flow.aborted = flag == Flag::Rst && direction == Direction::Original;
        if next == TcpState::FinWait && flow.state != TcpState::FinWait {
            flow.closed_first[direction.index()] = true;
        }
        flow.state = next;
        let timeout = self.timeout(next, unanswered && direction == Direction::Original);
        self.flows.get_mut(i).expires = now.after(timeout);
        Passed::On(translated)
    }

    /// The time for which a flow stays in a state without packets, in nanoseconds. One that was
    /// picked up in the middle is not believed to be established until it is answered.
    fn timeout(&self, state: TcpState, unanswered: bool) -> u64 {
        match (self.quota(), state) {
            (Some(quota), _) => quota.timeout(state),
            (None, TcpState::Established) if unanswered => {
                let settings = &self.settings;
                settings.timeout(state).min(settings.unacknowledged)
            }
            (None, _) => self.settings.timeout(state),
        }
    }

    /// A packet that can belong to no connection: it passes as it is; a quota NAT has no port for
    /// it.
    fn pass_untracked<C: Chooser>(&mut self, seg: Segment, place: &Place<'_, C>) -> Passed {
        let Some(quota) = self.quota() else {
            return Passed::On(seg);
        };
        if (place.route)(seg.dst.ip) != Route::Outside {
            return Passed::On(seg);
        }
        match seg.kind {
            SegKind::Rst | SegKind::Refuse => Passed::Dropped,
            _ if quota.resets => Passed::Answered(seg.reply(SegKind::Rst)),
            _ => Passed::Dropped,
        }
    }

    /// A packet that begins a flow.
    fn pass_new<C: Chooser>(
        &mut self,
        seg: Segment,
        original: FlowTuple,
        state: TcpState,
        place: &mut Place<'_, C>,
    ) -> Passed {
        let now = place.now;
        let opened = if self.has_room(now) {
            let wanted = self.destination(original, place.chooser);
            let route = (place.route)(wanted.dst);
            match (self.quota().copied(), route) {
                (Some(quota), Route::Outside) => self.open_in_quota(original, wanted, &quota, now),
                _ => self.open(original, wanted, route, place),
            }
        } else {
            Err((Dropped::TableFull, None))
        };
        let i = match opened {
            Ok(i) => i,
            Err((why, sequence)) => {
                self.note_dropped(original, why, sequence, now);
                return Passed::Dropped;
            }
        };
        let timeout = self.timeout(state, true);
        let flow = self.flows.get_mut(i);
        flow.state = state;
        flow.expires = now.after(timeout);
        let (src, dst) = (flow.reply.destination(), flow.reply.source());
        Passed::On(Segment { src, dst, ..seg })
    }

    /// Makes a flow with a source as Linux chooses it. A failure has the initial sequence number,
    /// if it was compared.
    fn open<C: Chooser>(
        &mut self,
        original: FlowTuple,
        wanted: FlowTuple,
        route: Route,
        place: &mut Place<'_, C>,
    ) -> Result<u32, (Dropped, Option<u32>)> {
        let now = place.now;
        let range = range(self.rules.source.as_ref(), route, &wanted, place.own);
        let known = self.dropped.get(&original).copied();
        let known = known.filter(|syn| now.since(syn.last) < GIVEN_UP);
        let mut search = Search {
            original,
            flows: &mut self.flows,
            rover: &mut self.rover,
            rules: place.rules,
            chooser: &mut *place.chooser,
            now,
            began: known.map_or(now, |syn| syn.first),
            sequence: known.and_then(|syn| syn.sequence),
            race: None,
        };
        let selection = unique_source(&mut search, wanted, &range);
        let (sequence, raced) = (search.sequence, search.race == Some(true));
        let why = match raced {
            true => Dropped::Race,
            false => Dropped::NoPort(selection.tried),
        };
        let made = self.confirm(original, selection, sequence, now);
        made.ok_or((why, sequence))
    }

    /// Makes a flow with a port of a provider's quota.
    fn open_in_quota(
        &mut self,
        original: FlowTuple,
        wanted: FlowTuple,
        quota: &QuotaNat,
        now: Time,
    ) -> Result<u32, (Dropped, Option<u32>)> {
        let (blocks, flows) = (&mut self.blocks, &mut self.flows);
        let found = quota_source(blocks, flows, quota, wanted, &self.addresses, now);
        let tuple = found.map_err(|ports| (Dropped::Quota(ports), None))?;
        let selection = Selection {
            tuple,
            chosen: Chosen::Moved,
            tried: 1,
        };
        let made = self.confirm(original, selection, None, now);
        made.ok_or((Dropped::NoPort(1), None))
    }

    /// Enters a flow, unless another has one of its tuples (`__nf_conntrack_confirm`).
    fn confirm(
        &mut self,
        original: FlowTuple,
        selection: Selection,
        sequence: Option<u32>,
        now: Time,
    ) -> Option<u32> {
        let reply = selection.tuple.inverted();
        if self.flows.find(&reply, now).is_some() {
            return None;
        }
        self.dropped.remove(&original);
        let mut flow = Flow::new(original, reply, now, selection.chosen);
        flow.sequence = sequence;
        // An entry that expires at once would not be found by the packet that made it.
        flow.expires = now.after(1);
        let i = self.flows.insert(flow, now);
        let counters = &mut self.counters;
        match selection.chosen {
            Chosen::Kept => counters.kept += 1,
            Chosen::Moved => counters.moved += 1,
            Chosen::Evicted => counters.evicted += 1,
        }
        counters.most_flows = counters.most_flows.max(self.flows.len() as u64);
        Some(i)
    }

    /// Returns `true` if the table has room for one more flow. A full table gives up a flow that is
    /// not assured (`early_drop`); the kernel looks for one in a few buckets of its hash only.
    fn has_room(&mut self, now: Time) -> bool {
        let most = self.settings.most as usize;
        if self.quota().is_some() || most == 0 || self.flows.len() < most {
            return true;
        }
        self.flows.sweep(now);
        if self.flows.len() < most {
            return true;
        }
        let unassured = self.flows.iter().find(|(_, flow)| !flow.assured);
        match unassured.map(|(i, _)| i) {
            Some(i) => {
                self.flows.remove(i);
                self.counters.early_drop += 1;
                true
            }
            None => false,
        }
    }

    /// The tuple with its destination translated. Backends are chosen at random for each new flow.
    fn destination<C: Chooser>(&self, original: FlowTuple, chooser: &mut C) -> FlowTuple {
        let to = |rule: &&super::DestinationNat| Endpoint::from(rule.to) == original.destination();
        let Some(rule) = self.rules.destinations.iter().find(to) else {
            return original;
        };
        let backend = match rule.backends.len() {
            0 => return original,
            1 => 0,
            n => chooser.nat_backend(u32::try_from(n).unwrap_or(u32::MAX)) as usize,
        };
        let backend = Endpoint::from(rule.backends[backend.min(rule.backends.len() - 1)]);
        FlowTuple {
            dst: backend.ip,
            dport: backend.port,
            ..original
        }
    }

    fn note_dropped(
        &mut self,
        original: FlowTuple,
        why: Dropped,
        sequence: Option<u32>,
        now: Time,
    ) {
        let counters = &mut self.counters;
        match why {
            Dropped::NoPort(_) | Dropped::Race => {
                counters.insert_failed += 1;
                counters.drop += 1;
            }
            Dropped::TableFull => counters.drop += 1,
            Dropped::Quota(_) => counters.beyond_quota += 1,
        }
        if self.dropped.len() >= self.purge_at.max(64) {
            self.dropped.retain(|_, syn| now.since(syn.last) < GIVEN_UP);
            self.purge_at = 2 * self.dropped.len();
        }
        let syn = self.dropped.entry(original).or_insert(DroppedSyn {
            first: now,
            last: now,
            sequence,
            why,
        });
        syn.last = now;
        syn.sequence = syn.sequence.or(sequence);
        syn.why = why;
    }
}

/// The sources that a new flow may have.
fn range(
    source: Option<&SourceNat>,
    route: Route,
    tuple: &FlowTuple,
    own: &dyn Fn(Ip) -> Option<Ip>,
) -> Range {
    let null = Range::null_binding(tuple.src);
    let (Some(SourceNat::Linux(linux)), Route::Outside) = (source, route) else {
        return null;
    };
    let LinuxNat {
        addresses,
        ports,
        random,
        persistent,
    } = *linux;
    let addresses = match addresses {
        Some((low, high)) => Some((low.into(), high.into())),
        None => own(tuple.dst).map(|own| (own, own)),
    };
    match addresses {
        Some(addresses) => Range {
            addresses,
            ports,
            random,
            persistent,
        },
        // No address of the destination's family: masquerade has nothing to offer.
        None => null,
    }
}

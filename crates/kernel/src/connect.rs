//! connect(): the checks before a port is looked for, the search for one, and what is left after a
//! failure (`__inet_stream_connect`, `tcp_v4_connect`, `__inet_hash_connect`).

use crate::Errno;
use crate::Family;
use crate::addr::{Endpoint, Ip};
use crate::bucket::Owner;
use crate::chooser::{Chooser, PortHashInput};
use crate::destinations::Destination;
use crate::established::Check;
use crate::held::Held;
use crate::machine::{Call, Machine, SockId};
use crate::portset::{Passed, Run, runs_by_one, runs_by_two};
use crate::profile::behaviour::{ConnectScan, Perturb};
use crate::reason::Rule;
use crate::segment::SegKind;
use crate::socket::{Link, State};
use crate::time::SEC;

/// A port that the search has settled on.
struct Pick {
    port: u16,
    /// Steps the search had made in its present pass; moves the next start.
    steps: u32,
    recycle: Option<u32>,
}

impl<C: Chooser> Machine<C> {
    /// `connect(to)` on a blocking socket. [`Call::Waiting`] means that the SYN is out and the call
    /// would block (a non-blocking socket returns `EINPROGRESS` here).
    pub fn connect(&mut self, s: SockId, to: Endpoint) -> Call<()> {
        let Some(i) = self.live(s) else {
            return Call::Done(Err(Errno::EINVAL));
        };
        match self.socks[i].link {
            Link::Connected => {
                return Call::Done(self.refuse(
                    Errno::EISCONN,
                    Rule::ConnectState,
                    &["sys_connect", "inet_stream_connect"],
                ));
            }
            Link::Connecting => return self.connect_result(s),
            Link::Unconnected => {}
        }
        if self.socks[i].state != State::Close {
            return Call::Done(self.refuse(
                Errno::EISCONN,
                Rule::ConnectState,
                &["sys_connect", "inet_stream_connect"],
            ));
        }
        if let Err(e) = self.start_connect(i, to) {
            return Call::Done(Err(e));
        }
        self.settle();
        self.connect_result(s)
    }

    /// What a connect() that had to wait comes to by now.
    pub fn connect_result(&mut self, s: SockId) -> Call<()> {
        let Some(i) = self.live(s) else {
            return Call::Done(Err(Errno::ECONNABORTED));
        };
        let sock = &mut self.socks[i];
        match (sock.link, sock.state) {
            (Link::Connecting, State::SynSent | State::SynRecv) => Call::Waiting,
            (Link::Connecting, State::Close) => {
                let errno = sock.error.take().unwrap_or(Errno::ECONNABORTED);
                sock.link = Link::Unconnected;
                self.tcp_disconnect(i);
                let rule = if errno == Errno::ETIMEDOUT {
                    Rule::ConnectTimedOut
                } else {
                    Rule::ConnectRefused
                };
                let path = if rule == Rule::ConnectTimedOut {
                    &[
                        "tcp_retransmit_timer",
                        "tcp_write_timeout",
                        "tcp_write_err",
                        "tcp_done",
                    ][..]
                } else {
                    &[
                        "tcp_v4_rcv",
                        "tcp_rcv_state_process",
                        "tcp_rcv_synsent_state_process",
                        "tcp_reset",
                    ][..]
                };
                Call::Done(self.refuse(errno, rule, path))
            }
            (Link::Connecting, _) => {
                sock.link = Link::Connected;
                Call::Done(Ok(()))
            }
            (Link::Connected, _) => Call::Done(Ok(())),
            (Link::Unconnected, _) => Call::Done(Err(Errno::ENOTCONN)),
        }
    }

    /// Everything up to the SYN (`tcp_v4_connect`, `tcp_v6_connect`).
    fn start_connect(&mut self, i: u32, to: Endpoint) -> Result<(), Errno> {
        let to = self.destination(i, to)?;
        let started = self.connect_to(i, to);
        if started.is_err() && to.ip.is_v4() {
            // tcp_v6_connect() goes back to IPv6 operations, whatever the socket had before.
            self.socks[i].mapped_ops = false;
        }
        started
    }

    fn connect_to(&mut self, i: u32, to: Endpoint) -> Result<(), Errno> {
        if to.ip.is_multicast() || to.ip.is_broadcast() {
            let path = &["sys_connect", "tcp_v4_connect", "ip_route_connect"];
            return self.refuse(Errno::ENETUNREACH, Rule::ConnectUnreachable, path);
        }
        let sock = &self.socks[i];
        let (ns, old) = (sock.ns, sock.rcv_saddr);
        if old.is_any() || sock.saddr_unset {
            let src = self.source(ns, to.ip)?;
            self.socks[i].saddr_unset = false;
            self.move_address(i, src);
        } else if old.is_v4() && !self.ns(ns).is_local(old) && !sock.transparent {
            // IP_FREEBIND and ip_nonlocal_bind are for bind(); as a source only IP_TRANSPARENT lets such an address pass.
            return self.refuse(
                self.b.foreign_source().errno(),
                Rule::ConnectUnreachable,
                &["sys_connect", "tcp_v4_connect", "ip_route_connect"],
            );
        } else if old.is_v4()
            && old.is_loopback()
            && !self.ns(ns).is_local(to.ip)
            && self.ns(ns).routed
        {
            // Nothing leaves the machine from 127.0.0.0/8 (`__mkroute_output`).
            return self.refuse(
                Errno::EINVAL,
                Rule::ConnectUnreachable,
                &["sys_connect", "tcp_v4_connect", "ip_route_connect"],
            );
        } else if !self.ns(ns).is_local(to.ip) && !self.ns(ns).routed {
            return self.refuse(
                Errno::ENETUNREACH,
                Rule::ConnectUnreachable,
                &["sys_connect", "tcp_v4_connect", "ip_route_connect"],
            );
        }
        let sock = &mut self.socks[i];
        sock.daddr = to.ip;
        sock.dport = to.port;
        sock.state = State::SynSent;
        if to.ip.is_v4() && sock.family == Family::Inet6 {
            sock.mapped_ops = true;
        }
        if let Err(refused) = self.hash_connect(i) {
            self.after_failed_connect(i);
            if let Some(refusal) = refused {
                self.refusal = Some(refusal);
            }
            return Err(Errno::EADDRNOTAVAIL);
        }
        let sock = &mut self.socks[i];
        // What shutdown() has set on the unconnected socket stays.
        sock.link = Link::Connecting;
        sock.error = None;
        sock.retries = 0;
        sock.fin_in = false;
        sock.unread = 0;
        self.send(i, SegKind::Syn);
        self.arm_syn_retry(i);
        Ok(())
    }

    /// Checks the destination and fills in what the caller left open.
    fn destination(&mut self, i: u32, mut to: Endpoint) -> Result<Endpoint, Errno> {
        let sock = &self.socks[i];
        let path: &[&'static str] = match sock.family {
            Family::Inet => &["sys_connect", "inet_stream_connect", "tcp_v4_connect"],
            Family::Inet6 => &["sys_connect", "inet_stream_connect", "tcp_v6_connect"],
        };
        if sock.family == Family::Inet {
            if !to.ip.is_v4() {
                return self.refuse(Errno::EAFNOSUPPORT, Rule::ConnectFamily, path);
            }
            if to.ip.is_any() {
                to.ip = if sock.rcv_saddr.is_any() {
                    Ip::LOOPBACK4
                } else {
                    sock.rcv_saddr
                };
            }
        } else {
            if to.ip == Ip::ANY6 {
                // The mapped wildcard counts as a mapped address here.
                to.ip = if sock.rcv_saddr.is_v4() {
                    Ip::LOOPBACK4
                } else {
                    Ip::LOOPBACK6
                };
            }
            if to.ip.is_v4() && to.ip.is_any() {
                to.ip = if sock.rcv_saddr.is_v4() && !sock.rcv_saddr.is_any() {
                    sock.rcv_saddr
                } else {
                    Ip::LOOPBACK4
                };
            }
            if to.ip.is_v4() && sock.v6only {
                return self.refuse(Errno::ENETUNREACH, Rule::ConnectFamily, path);
            }
            let native_bound = !sock.rcv_saddr.is_v4() && sock.rcv_saddr != Ip::ANY6;
            if to.ip.is_v4() && native_bound {
                return self.refuse(Errno::ENETUNREACH, Rule::ConnectFamily, path);
            }
            let mapped_source = sock.rcv_saddr.is_v4();
            if !to.ip.is_v4() && mapped_source && self.b.mapped_source_refused() {
                // The route is looked up first (`ip6_dst_lookup_tail`).
                if !self.ns(sock.ns).is_local(to.ip) && !self.ns(sock.ns).routed {
                    return self.refuse(Errno::ENETUNREACH, Rule::ConnectUnreachable, path);
                }
                return self.refuse(Errno::EAFNOSUPPORT, Rule::ConnectFamily, path);
            }
            let unanswered = !to.ip.is_v4() && (mapped_source || sock.mapped_ops);
            self.socks[i].unanswered = unanswered;
        }
        Ok(to)
    }

    /// The source address that routing chooses.
    fn source(&mut self, ns: u16, to: Ip) -> Result<Ip, Errno> {
        let n = self.ns(ns);
        if n.is_local(to) {
            if !to.is_v4() {
                return Ok(to);
            }
            // 127/8 belongs to one interface address, which newer kernels prefer as the source.
            return Ok(if self.b.source_preferred() && to.is_loopback() {
                Ip::LOOPBACK4
            } else {
                to
            });
        }
        match n.primary(to) {
            Some(ip) if n.routed => Ok(ip),
            _ => self.refuse(
                Errno::ENETUNREACH,
                Rule::ConnectUnreachable,
                &["sys_connect", "tcp_v4_connect", "ip_route_connect"],
            ),
        }
    }

    /// Ends a connect() that failed before the SYN.
    fn after_failed_connect(&mut self, i: u32) {
        self.set_close(i);
        let sock = &mut self.socks[i];
        sock.dport = 0;
        let any = Ip::any(sock.family);
        if !sock.addr_lock && self.b.connect_resets_address() {
            self.move_address(i, any);
        }
    }

    /// Finds or checks the port and enters the 4-tuple (`inet_hash_connect`).
    fn hash_connect(&mut self, i: u32) -> Result<(), Option<Box<crate::reason::Refusal>>> {
        let sock = &self.socks[i];
        if sock.num != 0 {
            let port = sock.num;
            return match self.check_established(i, port, false) {
                Check::Free => {
                    self.enter(i);
                    Ok(())
                }
                Check::Recycle(tw) => {
                    self.enter(i);
                    self.recycle(tw);
                    Ok(())
                }
                found => Err(self
                    .explaining
                    .then(|| self.explain_bound_connect(i, found))),
            };
        }
        let (low, high) = self.port_range(i);
        let start = self.scan_start(i, low, high);
        let Some(pick) = self.scan(i, low, high, start) else {
            return Err(self
                .explaining
                .then(|| self.explain_connect(i, low, high, start)));
        };
        self.advance_start(start, pick.steps);
        let ns = self.socks[i].ns;
        let bucket = match self.ns(ns).by_port.get(pick.port) {
            Some(b) => b,
            None => self.ns_mut(ns).create_bucket(pick.port, -1),
        };
        let sock = &mut self.socks[i];
        sock.num = pick.port;
        sock.sport = pick.port;
        sock.connect_bind = true;
        self.link(Owner::sock(i), bucket);
        self.count_owner(i, bucket);
        self.enter(i);
        if let Some(tw) = pick.recycle {
            self.recycle(tw);
        }
        Ok(())
    }

    fn enter(&mut self, i: u32) {
        let ns = self.socks[i].ns;
        self.socks[i].sport = self.socks[i].num;
        self.hash_insert(ns, Owner::sock(i));
    }

    /// Whether the search may step over one port after the other: with `IP_LOCAL_PORT_RANGE` on
    /// kernels that have a step of one for it.
    pub(crate) fn steps_by_one(&self, i: u32) -> bool {
        self.socks[i].range() != (0, 0) && self.b.local_port_range_step_one()
    }

    /// The start of the search: keyed hash plus hint or cell.
    pub(crate) fn scan_start(&mut self, i: u32, low: u16, high: u16) -> Start {
        let s = &self.socks[i];
        let epoch = if self.b.perturb() == Perturb::Cells65536 {
            self.clock.nanos() / (10 * SEC)
        } else {
            0
        };
        let hash = self.chooser.port_hash(PortHashInput {
            saddr: s.rcv_saddr,
            daddr: s.daddr,
            dport: s.dport,
            epoch,
        });
        let (cell, base) = match self.b.perturb() {
            Perturb::Hint => (None, self.hint.wrapping_add(hash as u32)),
            Perturb::Cells256 => {
                // The cell is chosen by the top of a second hash of the same value.
                let cell = (hash as u32).wrapping_mul(0x61c8_8647) >> 24;
                (Some(cell), self.cell(cell).wrapping_add(hash as u32))
            }
            Perturb::Cells65536 => {
                let cell = (hash & 0xffff) as u32;
                (
                    Some(cell),
                    self.cell(cell).wrapping_add((hash >> 32) as u32),
                )
            }
        };
        let n = u32::from(high - low) + 1;
        let by_one = self.steps_by_one(i);
        let (n, even) = match self.b.connect_scan() {
            ConnectScan::FromNext => (n, false),
            ConnectScan::EvenStart => (n, true),
            ConnectScan::Parity if by_one => (n, false),
            ConnectScan::Parity => (if n > 1 { n & !1 } else { n }, n > 1),
        };
        Start {
            cell,
            offset: self.chooser.connect_start(base, n, even),
            by_one,
        }
    }

    fn cell(&mut self, index: u32) -> u32 {
        match self.cells.get(&index) {
            Some(v) => *v,
            None => {
                let v = self.chooser.perturb_cell(index);
                self.cells.insert(index, v);
                v
            }
        }
    }

    /// The search of an unbound connect(), in the kernel's visiting order but a word of ports at a
    /// time.
    fn scan(&mut self, i: u32, low: u16, high: u16, start: Start) -> Option<Pick> {
        let n = u32::from(high - low) + 1;
        // Where the kernel's 32-bit sum wraps inside the search its order jumps; walk it literally.
        let wraps = |base: u32| base.checked_add(n).is_none();
        match self.b.connect_scan() {
            ConnectScan::FromNext if wraps(start.offset) => {
                self.walk_literally(i, low, n, start.offset, 1)
            }
            ConnectScan::FromNext => {
                let pass = runs_by_one(low, high, (start.offset + 1) % n);
                self.scan_runs(i, &[pass], 1, 1)
            }
            ConnectScan::EvenStart if wraps(start.offset & !1) => {
                self.walk_literally(i, low, n, start.offset & !1, 0)
            }
            ConnectScan::EvenStart => {
                let pass = runs_by_one(low, high, (start.offset & !1) % n);
                self.scan_runs(i, &[pass], 0, 1)
            }
            ConnectScan::Parity if start.by_one => {
                let pass = runs_by_one(low, high, start.offset % n);
                self.scan_runs(i, &[pass], 0, 1)
            }
            ConnectScan::Parity => {
                let rem = if n > 1 { n & !1 } else { n };
                let even = (start.offset % rem) & !1;
                let passes = [even, even + 1].map(|offset| runs_by_two(low, high, offset, rem));
                self.scan_runs(i, &passes[..rem.min(2) as usize], 0, 2)
            }
        }
    }

    /// The walk of the kernels that go one by one, port by port.
    fn walk_literally(&mut self, i: u32, low: u16, n: u32, base: u32, from: u32) -> Option<Pick> {
        (from..n + from).find_map(|k| {
            let port = low + (base.wrapping_add(k) % n) as u16;
            self.usable(i, port).map(|recycle| Pick {
                port,
                steps: k,
                recycle,
            })
        })
    }

    /// Searches the runs of one pass after the other. The first port of a pass counts `first` steps, every further one
    /// `step` more.
    fn scan_runs(&mut self, i: u32, passes: &[[Run; 2]], first: u32, step: u32) -> Option<Pick> {
        let s = &self.socks[i];
        let ns = s.ns;
        let to = Destination {
            saddr: s.rcv_saddr,
            daddr: s.daddr,
            dport: s.dport,
        };
        let mut index = self.ns(ns).destinations.place(to);
        let mut in_vain = 0;
        let mut before = 0;
        for (number, run) in passes.as_flattened().iter().enumerate() {
            if number % 2 == 0 {
                before = 0;
            }
            let mut from = 0;
            loop {
                let n = self.ns(ns);
                let taken = index.map(|p| n.destinations.get(p));
                // The rule of `usable`: blocked are the ports whose bucket bind() or listen() has touched.
                let passed = Passed {
                    sets: [
                        &n.blocked,
                        &n.values.reserved,
                        Held::nothing(),
                        taken.map_or(Held::nothing(), |t| &t.taken),
                    ],
                    except: taken
                        .and_then(|t| t.soft())
                        .filter(|_| n.devices || self.search_may_recycle(i)),
                };
                let Some((port, place)) = run.next(from, &passed) else {
                    break;
                };
                // The index knows all entries of the destination: a port that is not in it is free.
                let free = match taken {
                    Some(t) => !t.taken.contains(port),
                    None => !n.used.contains(port),
                };
                let usable = if free {
                    Some(None)
                } else {
                    self.tuple_usable(i, port)
                };
                if let Some(recycle) = usable {
                    return Some(Pick {
                        port,
                        steps: first + (before + place) * step,
                        recycle,
                    });
                }
                from = place + 1;
                in_vain += 1;
                let n = self.ns(ns);
                if index.is_none() && in_vain == n.destinations.enough(n.established.len()) {
                    index = Some(self.index_destination(i));
                }
            }
            before += run.count;
        }
        None
    }

    /// The rule of the whole report: a port is usable if it has no bucket, or if its bucket was
    /// only ever used by connect() and the 4-tuple is free. The 4-tuple of any other bucket is
    /// never looked at.
    ///
    /// Answers with the TIME-WAIT to take over, if there is one in the way.
    fn usable(&mut self, i: u32, port: u16) -> Option<Option<u32>> {
        let n = self.ns(self.socks[i].ns);
        if n.values.reserved.contains(port) || n.blocked.contains(port) {
            return None;
        }
        if !n.used.contains(port) {
            return Some(None);
        }
        self.tuple_usable(i, port)
    }

    /// The same of a port whose bucket was only ever used by connect().
    fn tuple_usable(&mut self, i: u32, port: u16) -> Option<Option<u32>> {
        match self.check_established(i, port, true) {
            Check::Free => Some(None),
            Check::Recycle(tw) => Some(Some(tw)),
            Check::InUse | Check::TimeWait => None,
        }
    }

    /// Moves the start of later searches after a success.
    fn advance_start(&mut self, start: Start, steps: u32) {
        match self.b.perturb() {
            Perturb::Hint => {
                let add = match self.b.connect_scan() {
                    ConnectScan::FromNext => steps,
                    ConnectScan::EvenStart => (steps + 2) & !1,
                    ConnectScan::Parity => steps + 2,
                };
                self.hint = self.hint.wrapping_add(add);
            }
            Perturb::Cells256 => {
                let steps = if steps == 0 && self.chooser.perturb_step(16) == 0 {
                    2
                } else {
                    steps
                };
                self.move_cell(start.cell, steps + 2);
            }
            Perturb::Cells65536 => {
                let step = if start.by_one { 1 } else { 2 };
                let steps = steps.max(self.chooser.perturb_step(8) * step);
                self.move_cell(start.cell, steps + step);
            }
        }
    }

    fn move_cell(&mut self, cell: Option<u32>, by: u32) {
        if let Some(v) = cell.and_then(|c| self.cells.get_mut(&c)) {
            *v = v.wrapping_add(by);
        }
    }
}

/// Where a search starts, and the cell that remembers it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Start {
    cell: Option<u32>,
    pub(crate) offset: u32,
    /// The search steps over one port after the other where others step over two.
    pub(crate) by_one: bool,
}

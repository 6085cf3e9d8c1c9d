//! The rules of a NAT host as messages of nf_tables, which are what the program `nft` sends for
//!
//! ```text
//! table ip nat {
//!     chain post {
//!         type nat hook postrouting priority 100
//!         oifname eth1 masquerade to :40000-40003
//!     }
//!     chain pre {
//!         type nat hook prerouting priority -100
//!         meta l4proto tcp ip daddr 10.0.0.1 th dport 80 dnat to 10.0.0.2:8080
//!     }
//!     chain out { type nat hook output priority -100; ... }
//! }
//! ```

use fourtuple_kernel::nat::{DestinationNat, LinuxNat, NatRules, Randomness, SourceNat};
use fourtuple_syscall::Family;
use std::net::{IpAddr, SocketAddr};

/// `NFNL_SUBSYS_NFTABLES`
const NF_TABLES: u16 = 10;
const BATCH_BEGIN: u16 = 0x10;
const BATCH_END: u16 = 0x11;
const NEW_TABLE: u16 = NF_TABLES << 8;
const NEW_CHAIN: u16 = NF_TABLES << 8 | 3;
const NEW_RULE: u16 = NF_TABLES << 8 | 6;

const REQUEST: u16 = 1;
const ACK: u16 = 4;
const CREATE: u16 = 0x400;
const APPEND: u16 = 0x800;
/// `NLA_F_NESTED`
const NESTED: u16 = 0x8000;

const TABLE: &str = "nat";
/// The registers of expressions.
const FIRST: u32 = 1;
const SECOND: u32 = 2;

/// A hook of the kernel: the chain on it, its number and its priority.
type Hook = (&'static str, u32, i32);
const POST: Hook = ("post", 4, 100);
const BEFORE: [Hook; 2] = [("pre", 0, -100), ("out", 3, -100)];

/// The messages that make the rules. Sources are translated where packets leave by the interfaces
/// `outside`.
pub(super) fn rules(rules: &NatRules, outside: &[String], families: &[Family]) -> Vec<u8> {
    let mut batch = Batch::default();
    batch.message(BATCH_BEGIN, 0, 0, |_| {});
    for &family in families {
        batch.message(NEW_TABLE, CREATE, number(family), |o| text(o, 1, TABLE));
        for hook in [POST].into_iter().chain(BEFORE) {
            batch.chain(family, hook);
        }
        if let Some(SourceNat::Linux(linux)) = &rules.source
            && linux
                .addresses
                .is_none_or(|(low, _)| Family::of(low) == family)
        {
            for interface in outside {
                batch.rule(family, POST, |o| source(o, linux, interface));
            }
        }
        let all = rules.destinations.iter();
        for rule in all.filter(|rule| Family::of(rule.to.ip()) == family) {
            for hook in BEFORE {
                for place in 0..rule.backends.len() {
                    batch.rule(family, hook, |o| destination(o, rule, place));
                }
            }
        }
    }
    batch.ask();
    batch.message(BATCH_END, 0, 0, |_| {});
    batch.bytes
}

/// Messages one after the other.
#[derive(Default)]
struct Batch {
    bytes: Vec<u8>,
    /// The place of the last message.
    last: usize,
}

impl Batch {
    fn message(&mut self, kind: u16, flags: u16, family: u8, body: impl FnOnce(&mut Vec<u8>)) {
        let o = &mut self.bytes;
        let start = o.len();
        self.last = start;
        o.extend([0; 4]);
        o.extend(kind.to_ne_bytes());
        o.extend((REQUEST | flags).to_ne_bytes());
        // The sequence number and the sender, neither of which matters.
        o.extend([0; 8]);
        // The subsystem of a batch stands where other messages have a number of their own.
        let subsystem = match kind {
            BATCH_BEGIN | BATCH_END => NF_TABLES,
            _ => 0,
        };
        o.extend([family, 0]);
        o.extend(subsystem.to_be_bytes());
        body(o);
        let length = (o.len() - start) as u32;
        o[start..start + 4].copy_from_slice(&length.to_ne_bytes());
    }

    /// Asks for an answer to the last message: not all kernels answer the end of a batch.
    fn ask(&mut self) {
        let flags = &mut self.bytes[self.last + 6..self.last + 8];
        let asking = u16::from_ne_bytes([flags[0], flags[1]]) | ACK;
        flags.copy_from_slice(&asking.to_ne_bytes());
    }

    fn chain(&mut self, family: Family, (name, hook, priority): Hook) {
        self.message(NEW_CHAIN, CREATE, number(family), |o| {
            text(o, 1, TABLE);
            text(o, 3, name);
            nest(o, 4, |o| {
                attribute(o, 1, &hook.to_be_bytes());
                attribute(o, 2, &priority.to_be_bytes());
            });
            text(o, 7, "nat");
        });
    }

    fn rule(&mut self, family: Family, hook: Hook, expressions: impl FnOnce(&mut Vec<u8>)) {
        self.message(NEW_RULE, CREATE | APPEND, number(family), |o| {
            text(o, 1, TABLE);
            text(o, 2, hook.0);
            nest(o, 4, expressions);
        });
    }
}

/// `NFPROTO_IPV4`, `NFPROTO_IPV6`
fn number(family: Family) -> u8 {
    match family {
        Family::Inet => 2,
        Family::Inet6 => 10,
    }
}

/// `oifname INTERFACE masquerade`, or `snat`.
fn source(o: &mut Vec<u8>, rule: &LinuxNat, interface: &str) {
    const OIFNAME: u32 = 7;
    expression(o, "meta", |o| {
        number_of(o, 1, FIRST);
        number_of(o, 2, OIFNAME);
    });
    // A name fills the register.
    let mut name = [0; 16];
    name[..interface.len()].copy_from_slice(interface.as_bytes());
    compare(o, &name);
    let random = match rule.random {
        Randomness::No => 0,
        Randomness::Hashed => 4,
        Randomness::Fully => 16,
    };
    let persistent = if rule.persistent { 8 } else { 0 };
    let has_ports = if rule.ports.is_some() { 2 } else { 0 };
    let flags = random | persistent | has_ports;
    let (third, fourth) = (3, 4);
    if let Some((low, high)) = rule.ports {
        immediate(o, third, &low.to_be_bytes());
        immediate(o, fourth, &high.to_be_bytes());
    }
    if let Some((low, high)) = rule.addresses {
        immediate(o, FIRST, &octets(low));
        immediate(o, SECOND, &octets(high));
        expression(o, "nat", |o| {
            number_of(o, 1, 0);
            number_of(o, 2, u32::from(number(Family::of(low))));
            number_of(o, 3, FIRST);
            number_of(o, 4, SECOND);
            if rule.ports.is_some() {
                number_of(o, 5, third);
                number_of(o, 6, fourth);
            }
            number_of(o, 7, flags);
        });
        return;
    }
    expression(o, "masq", |o| {
        number_of(o, 1, flags);
        if rule.ports.is_some() {
            number_of(o, 2, third);
            number_of(o, 3, fourth);
        }
    });
}

/// The rule for a backend, if no rule before it has applied: `numgen random mod N == 0`, then
/// `dnat`, so that each backend is as likely.
fn destination(o: &mut Vec<u8>, rule: &DestinationNat, place: usize) {
    const L4PROTO: u32 = 16;
    const TCP: u8 = 6;
    expression(o, "meta", |o| {
        number_of(o, 1, FIRST);
        number_of(o, 2, L4PROTO);
    });
    compare(o, &[TCP]);
    let address = octets(rule.to.ip());
    let offset = if rule.to.is_ipv4() { 16 } else { 24 };
    payload(o, 1, offset, address.len());
    compare(o, &address);
    payload(o, 2, 2, 2);
    compare(o, &rule.to.port().to_be_bytes());
    let left = (rule.backends.len() - place) as u32;
    if left > 1 {
        expression(o, "numgen", |o| {
            const RANDOM: u32 = 1;
            number_of(o, 1, FIRST);
            number_of(o, 2, left);
            number_of(o, 3, RANDOM);
        });
        compare(o, &[0; 4]);
    }
    let to: SocketAddr = rule.backends[place];
    immediate(o, FIRST, &octets(to.ip()));
    immediate(o, SECOND, &to.port().to_be_bytes());
    expression(o, "nat", |o| {
        number_of(o, 1, 1);
        number_of(o, 2, u32::from(number(Family::of(to.ip()))));
        number_of(o, 3, FIRST);
        number_of(o, 5, SECOND);
    });
}

fn octets(ip: IpAddr) -> Vec<u8> {
    match ip {
        IpAddr::V4(ip) => ip.octets().to_vec(),
        IpAddr::V6(ip) => ip.octets().to_vec(),
    }
}

/// Loads bytes of a header into the first register.
fn payload(o: &mut Vec<u8>, base: u32, offset: u32, len: usize) {
    expression(o, "payload", |o| {
        number_of(o, 1, FIRST);
        number_of(o, 2, base);
        number_of(o, 3, offset);
        number_of(o, 4, len as u32);
    });
}

/// Goes on if the first register has a value.
fn compare(o: &mut Vec<u8>, value: &[u8]) {
    const EQUAL: u32 = 0;
    expression(o, "cmp", |o| {
        number_of(o, 1, FIRST);
        number_of(o, 2, EQUAL);
        nest(o, 3, |o| attribute(o, 1, value));
    });
}

/// Loads a value into a register.
fn immediate(o: &mut Vec<u8>, register: u32, value: &[u8]) {
    expression(o, "immediate", |o| {
        number_of(o, 1, register);
        nest(o, 2, |o| attribute(o, 1, value));
    });
}

fn expression(o: &mut Vec<u8>, name: &str, data: impl FnOnce(&mut Vec<u8>)) {
    nest(o, 1, |o| {
        text(o, 1, name);
        nest(o, 2, data);
    });
}

fn number_of(o: &mut Vec<u8>, kind: u16, value: u32) {
    attribute(o, kind, &value.to_be_bytes());
}

fn text(o: &mut Vec<u8>, kind: u16, value: &str) {
    let mut bytes = value.as_bytes().to_vec();
    bytes.push(0);
    attribute(o, kind, &bytes);
}

fn nest(o: &mut Vec<u8>, kind: u16, content: impl FnOnce(&mut Vec<u8>)) {
    let start = o.len();
    o.extend([0; 4]);
    content(o);
    close(o, start, NESTED | kind);
}

fn attribute(o: &mut Vec<u8>, kind: u16, value: &[u8]) {
    let start = o.len();
    o.extend([0; 4]);
    o.extend(value);
    close(o, start, kind);
}

/// Writes the head of an attribute, and fills it up to four bytes, which its length leaves out.
fn close(o: &mut Vec<u8>, start: usize, kind: u16) {
    let length = (o.len() - start) as u16;
    o[start..start + 2].copy_from_slice(&length.to_ne_bytes());
    o[start + 2..start + 4].copy_from_slice(&kind.to_ne_bytes());
    o.resize(o.len().next_multiple_of(4), 0);
}

//! NAT of a cloud provider: a number of ports for each client or for all, each of which serves any
//! number of destinations at once.

use super::config::{QuotaNat, Share};
use super::flow::{FlowTuple, Flows};
use super::tcp::TcpState;
use crate::addr::Ip;
use crate::time::{SEC, Time};

/// A quota with the name of its provider and the pages that its numbers come from.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Preset {
    /// The name in scenarios.
    pub name: &'static str,
    /// The numbers.
    pub quota: QuotaNat,
    /// The source of each number.
    pub sources: &'static [(&'static str, &'static str)],
}

/// The known providers.
pub const PRESETS: &[Preset] = &[
    Preset {
        name: "aws-nat-gateway",
        quota: QuotaNat {
            share: Share::All,
            ports: 55_000,
            hold_after_close: 0,
            hold_after_reset: 0,
            idle: 350 * SEC,
            resets: true,
        },
        sources: &[
            (
                "55,000 connections at once to each destination (for each address)",
                "https://docs.aws.amazon.com/vpc/latest/userguide/nat-gateway-basics.html",
            ),
            (
                "350 s idle",
                "https://docs.aws.amazon.com/vpc/latest/userguide/nat-gateway-troubleshooting.html",
            ),
            (
                "a reset after that; a closed connection frees its port at once: from memory of the \
                 provider's documentation, not opened",
                "https://docs.aws.amazon.com/vpc/latest/userguide/vpc-nat-gateway.html",
            ),
        ],
    },
    Preset {
        name: "azure-lb",
        quota: QuotaNat {
            share: Share::Client,
            ports: 1024,
            hold_after_close: 240 * SEC,
            hold_after_reset: 15 * SEC,
            idle: 240 * SEC,
            resets: false,
        },
        sources: &[
            (
                "1,024 ports for each of up to 50 virtual machines by default, of 64,000 for each \
                 address; idle from 4 minutes on",
                "https://learn.microsoft.com/azure/load-balancer/load-balancer-outbound-connections",
            ),
            (
                "240 s after a FIN, 15 s after a reset: the same page in its versions until 2022",
                "https://learn.microsoft.com/azure/load-balancer/load-balancer-outbound-connections",
            ),
        ],
    },
    Preset {
        name: "gcp-cloud-nat",
        quota: QuotaNat {
            share: Share::Client,
            ports: 64,
            hold_after_close: 120 * SEC,
            hold_after_reset: 120 * SEC,
            idle: 1200 * SEC,
            resets: false,
        },
        sources: &[
            (
                "64 ports for each virtual machine by default",
                "https://cloud.google.com/nat/docs/ports-and-addresses",
            ),
            (
                "TCP TIME_WAIT 120 s, established and idle 1,200 s; for gateways made after \
                 September 2026 the former is 30 s",
                "https://cloud.google.com/nat/docs/tune-nat-configuration",
            ),
        ],
    },
];

impl QuotaNat {
    /// The time for which a flow stays in a state without packets, in nanoseconds.
    pub(crate) const fn timeout(&self, state: TcpState) -> u64 {
        match state {
            TcpState::TimeWait => self.hold_after_close,
            TcpState::Close => self.hold_after_reset,
            _ => self.idle,
        }
    }
}

/// The first port that a quota hands out.
const FIRST: u32 = 1024;

/// The ports of each client, in blocks, in the order in which clients came.
#[derive(Clone, Debug, Default)]
pub(crate) struct Blocks {
    clients: Vec<Ip>,
}

/// The source of a new flow: the lowest port of the client's that no flow to the destination has,
/// or the number of ports if all are taken.
pub(crate) fn quota_source(
    blocks: &mut Blocks,
    flows: &mut Flows,
    quota: &QuotaNat,
    tuple: FlowTuple,
    addresses: &[Ip],
    now: Time,
) -> Result<FlowTuple, u32> {
    let each = quota.ports.min(u32::from(u16::MAX) + 1 - FIRST).max(1);
    let block = match quota.share {
        Share::All => 0,
        Share::Client => {
            let known = blocks.clients.iter().position(|one| *one == tuple.src);
            known.unwrap_or_else(|| {
                blocks.clients.push(tuple.src);
                blocks.clients.len() - 1
            })
        }
    };
    // An address has as many blocks as its ports are a multiple of.
    let blocks_of_address = ((u32::from(u16::MAX) + 1 - FIRST) / each) as usize;
    let address = addresses.get(block / blocks_of_address);
    let Some(address) = address else {
        return Err(0);
    };
    let low = FIRST + (block % blocks_of_address) as u32 * each;
    for port in low..low + each {
        let wanted = FlowTuple {
            src: *address,
            sport: u16::try_from(port).unwrap_or(u16::MAX),
            ..tuple
        };
        if flows.find(&wanted.inverted(), now).is_none() {
            return Ok(wanted);
        }
    }
    Err(each)
}

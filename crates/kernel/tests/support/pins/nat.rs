//! Pins of NAT hosts: the port that a server sees.

use super::super::{FixedChooser, NatLab};
use super::Pin;
use fourtuple_kernel::nat::LinuxNat;
use fourtuple_kernel::profile::Behaviours;
use fourtuple_kernel::profile::behaviour::*;

fn lab(b: Behaviours, low: u16, high: u16) -> NatLab<FixedChooser> {
    let rule = LinuxNat {
        ports: Some((low, high)),
        ..LinuxNat::default()
    };
    NatLab::new(b, rule, |_| FixedChooser::default())
}

/// The port that the server sees of a connection from a port, or `lost`.
fn seen(lab: &mut NatLab<FixedChooser>, client: usize, from: u16, server: usize) -> String {
    lab.connect(client, Some(from), server);
    let seen = lab.seen(server).last().map(|at| at.port().to_string());
    seen.unwrap_or_else(|| "lost".to_owned())
}

pub(super) const PINS: &[Pin] = &[
    Pin {
        behaviour: "nat_search",
        kernel: "linux-5.4",
        // One of 512 ports is free towards the first server. Searches start at the first one.
        program: |b| {
            let mut lab = lab(b, 40000, 40511);
            for port in 40000..40511 {
                lab.connect(0, Some(port), 0);
            }
            lab.seen(0);
            // Another client port, as flows of one port share their source.
            let probes = [(30000, 0), (30001, 1)];
            let seen = probes.map(|(from, server)| seen(&mut lab, 1, from, server));
            seen.join(" ")
        },
        answers: &[
            (|b| b.nat_search = NatSearch::Rover, "40511 40511"),
            (|b| b.nat_search = NatSearch::Scan, "40511 40000"),
            (|b| b.nat_search = NatSearch::Limited, "lost 40000"),
        ],
    },
    Pin {
        behaviour: "nat_evicts",
        kernel: "linux-6.6",
        program: |b| {
            let mut lab = lab(b, 40000, 40000);
            let first = lab.connect(0, None, 0);
            lab.close_both(first, 0);
            lab.advance_ms(1000);
            seen(&mut lab, 1, 30000, 0)
        },
        answers: &[
            (|b| b.nat_evicts = false, "lost"),
            (|b| b.nat_evicts = true, "40000"),
        ],
    },
];

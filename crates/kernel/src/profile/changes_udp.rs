//! The dates of the changes that concern UDP alone.

use super::change::Change;
use super::release::release;

/// All changes of UDP's own rules, oldest first. `SO_REUSEPORT`, the options of the range and the
/// reserved ports came to UDP with the releases that [`CHANGES`](super::CHANGES) names.
pub const UDP_CHANGES: &[Change] = &[
    Change {
        since: release(2, 633, 0),
        backports: &[],
        what: "udp: bind() optimisation",
        apply: |b| b.udp_wildcard_misses = true,
    },
    Change {
        since: release(4, 5, 0),
        backports: &[],
        what: "soreuseport: fast reuseport UDP socket selection",
        apply: |b| b.udp_reuseport_groups = true,
    },
    Change {
        since: release(4, 11, 0),
        backports: &[],
        what: "udp: inuse checks can quit early for reuseport",
        apply: |b| b.udp_reuseport_decides = true,
    },
    Change {
        since: release(7, 0, 0),
        backports: &[
            release(6, 1, 168),
            release(6, 6, 131),
            release(6, 12, 80),
            release(6, 18, 21),
            release(6, 19, 11),
        ],
        what: "udp: Fix wildcard bind conflict check when using hash2",
        apply: |b| b.udp_wildcard_misses = false,
    },
];

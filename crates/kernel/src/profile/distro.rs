//! Distribution kernels: the mainline or stable release they start from, and what they add.

use super::behaviour::*;
use super::changes::{Release, release};

/// Stable releases that get a name of their own because they differ from `linux-A.B`.
pub(super) const STABLE: &[((u16, u16), u16)] =
    &[((4, 4), 0), ((5, 10), 0), ((6, 1), 0), ((6, 17), 13)];

pub(super) struct Distro {
    pub(super) names: &'static [&'static str],
    pub(super) about: &'static str,
    pub(super) base: Release,
    pub(super) patch: fn(&mut Behaviours),
}

/// What every RHEL 6 kernel from 6.5 on has on top of 2.6.32.
fn rhel6(b: &mut Behaviours) {
    b.reserved_ports = Scope::Machine;
    b.bind_shares = true;
    b.pair_rule = PairRule::StrictRelaxed;
    b.pair_rule_v6_strict = true;
    b.bsockets_check = true;
    b.reuseport = true;
    b.rescan_any_uid = true;
    b.fastuid_zeroed = true;
    b.syn_rto_ms = 1000;
}

fn rhel68(b: &mut Behaviours) {
    rhel6(b);
    b.v6_foreign_bind = V6Foreign::Transparent;
    b.half_range = HalfRange::AnyReuse;
    b.connect_scan = ConnectScan::EvenStart;
    b.range_high = 60999;
}

fn rhel7(b: &mut Behaviours) {
    b.half_range = HalfRange::Reuse;
    b.connect_scan = ConnectScan::EvenStart;
    b.range_high = 60999;
    b.range_scope = Scope::Netns;
    b.syn_mute = false;
}

pub(super) const DISTROS: &[Distro] = &[
    Distro {
        names: &["rhel-6.5", "rhel-6.6", "rhel-6.7"],
        about: "Red Hat Enterprise Linux 6.5 to 6.7 (2.6.32-431 to -573)",
        base: release(2, 632, u16::MAX),
        patch: rhel6,
    },
    Distro {
        names: &["rhel-6.8", "rhel-6.9", "rhel-6.10"],
        about: "Red Hat Enterprise Linux 6.8 to 6.10 (2.6.32-642 to -754)",
        base: release(2, 632, u16::MAX),
        patch: rhel68,
    },
    Distro {
        names: &["rhel-7.3"],
        about: "Red Hat Enterprise Linux 7.3 (3.10.0-514)",
        base: release(3, 10, u16::MAX),
        patch: rhel7,
    },
    Distro {
        names: &["rhel-7.7", "rhel-7.8", "rhel-7.9"],
        about: "Red Hat Enterprise Linux 7.7 to 7.9 (3.10.0-1062 to -1160)",
        base: release(3, 10, u16::MAX),
        patch: |b| {
            rhel7(b);
            b.bind_address_no_port = true;
            b.v6_foreign_bind = V6Foreign::Sysctl;
            b.nonlocal_bind_scope = Scope::Netns;
            b.tw_timer = TwTimer::SlotWheelQuick;
        },
    },
    Distro {
        names: &["rhel-8"],
        about: "Red Hat Enterprise Linux 8 (4.18.0-147)",
        base: release(4, 18, 0),
        patch: |b| {
            b.tw_reuse = TwReuse::Loopback;
            b.hz = 1000;
        },
    },
    Distro {
        names: &["debian-11"],
        about: "Debian 11 (5.10.223); its last kernels are linux-5.10",
        base: release(5, 10, 223),
        patch: |_| {},
    },
    Distro {
        names: &["rhel-9"],
        about: "Red Hat Enterprise Linux 9 (5.14.0), as its base version",
        base: release(5, 14, 0),
        patch: |b| b.hz = 1000,
    },
    Distro {
        names: &["ubuntu-22.04"],
        about: "Ubuntu 22.04 (5.15), as its base version",
        base: release(5, 15, u16::MAX),
        patch: |_| {},
    },
    Distro {
        names: &["debian-12"],
        about: "Debian 12 (6.1.192)",
        base: release(6, 1, u16::MAX),
        patch: |_| {},
    },
    Distro {
        names: &["ubuntu-24.04"],
        about: "Ubuntu 24.04 (6.8), as its base version",
        base: release(6, 8, 0),
        patch: |_| {},
    },
    Distro {
        names: &["debian-13"],
        about: "Debian 13 (6.12.95)",
        base: release(6, 12, u16::MAX),
        patch: |_| {},
    },
    Distro {
        names: &["rhel-10"],
        about: "Red Hat Enterprise Linux 10 (6.12.0), as its base version",
        base: release(6, 12, u16::MAX),
        patch: |b| b.hz = 1000,
    },
];

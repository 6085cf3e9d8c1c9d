//! Distribution kernels: the mainline or stable release they start from, and what they add.

use super::behaviour::*;
use super::release::{Release, release};

/// Stable releases that get a name of their own because they differ from `linux-A.B`.
pub(super) const STABLE: &[((u16, u16), u16)] = &[
    ((3, 18), 0),
    ((3, 18), 140),
    ((4, 1), 0),
    ((4, 1), 52),
    ((4, 4), 0),
    ((5, 10), 0),
    ((6, 1), 0),
    ((6, 17), 8),
    ((6, 17), 13),
    ((6, 18), 0),
];

pub(super) struct Distro {
    pub(super) names: &'static [&'static str],
    pub(super) about: &'static str,
    pub(super) base: Release,
    pub(super) patch: fn(&mut Behaviours),
}

/// The changes that every RHEL 6 kernel from 6.5 on has on top of 2.6.32.
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
    b.fin_ack_stamped = false;
}

fn rhel68(b: &mut Behaviours) {
    rhel6(b);
    b.fin_ack_stamped = true;
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

fn rhel77(b: &mut Behaviours) {
    rhel7(b);
    b.bind_address_no_port = true;
    b.v6_foreign_bind = V6Foreign::Sysctl;
    b.nonlocal_bind_scope = Scope::Netns;
    b.tw_timer = TwTimer::SlotWheelQuick;
}

fn rhel8(b: &mut Behaviours) {
    b.tw_reuse = TwReuse::Loopback;
    b.hz = 1000;
}

fn rhel82(b: &mut Behaviours) {
    rhel8(b);
    b.tw_age = TwAge::NextSecond;
    b.tw_stamp_monotonic = true;
    b.foreign_source = ForeignSource::Unreachable;
}

fn rhel83(b: &mut Behaviours) {
    rhel82(b);
    b.reuseport_match = ReuseportMatch::SnapshotCovers;
}

fn rhel9(b: &mut Behaviours) {
    b.hz = 1000;
    b.perturb = Perturb::Cells65536;
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
        patch: |b| {
            rhel7(b);
            b.v6_foreign_bind = V6Foreign::Sysctl;
            b.nonlocal_bind_scope = Scope::FirstOnly;
        },
    },
    Distro {
        names: &["rhel-7.7", "rhel-7.8"],
        about: "Red Hat Enterprise Linux 7.7 and 7.8 (3.10.0-1062 and -1127)",
        base: release(3, 10, u16::MAX),
        patch: rhel77,
    },
    Distro {
        names: &["rhel-7.9"],
        about: "Red Hat Enterprise Linux 7.9 (3.10.0-1160)",
        base: release(3, 10, u16::MAX),
        patch: |b| {
            rhel77(b);
            b.foreign_source = ForeignSource::Unreachable;
        },
    },
    Distro {
        names: &["rhel-8.0", "rhel-8.1"],
        about: "Red Hat Enterprise Linux 8.0 and 8.1 (4.18.0-80 and -147)",
        base: release(4, 18, 0),
        patch: rhel8,
    },
    Distro {
        names: &["rhel-8.2"],
        about: "Red Hat Enterprise Linux 8.2 (4.18.0-193)",
        base: release(4, 18, 0),
        patch: rhel82,
    },
    Distro {
        names: &["rhel-8.3", "rhel-8.4", "rhel-8.5", "rhel-8.6"],
        about: "Red Hat Enterprise Linux 8.3 to 8.6 (4.18.0-240 to -372); 8.6 from -372.19.1 on is rhel-8.7",
        base: release(4, 18, 0),
        patch: rhel83,
    },
    Distro {
        names: &["rhel-8.7", "rhel-8.8", "rhel-8.9", "rhel-8"],
        about: "Red Hat Enterprise Linux 8.7 to 8.9 (4.18.0-425 to -513); rhel-8 is the last of them",
        base: release(4, 18, 0),
        patch: |b| {
            rhel83(b);
            b.perturb = Perturb::Cells65536;
        },
    },
    Distro {
        names: &["debian-11"],
        about: "Debian 11 (5.10.223); its last kernels are linux-5.10",
        base: release(5, 10, 223),
        patch: |_| {},
    },
    Distro {
        names: &["rhel-9.0.0"],
        about: "Red Hat Enterprise Linux 9.0 as released (5.14.0-70.13.1)",
        base: release(5, 14, 0),
        patch: |b| b.hz = 1000,
    },
    Distro {
        names: &["rhel-9.0", "rhel-9.1", "rhel-9.2"],
        about: "Red Hat Enterprise Linux 9.0 with updates (5.14.0-70.17.1) to 9.2 (-284)",
        base: release(5, 14, 0),
        patch: rhel9,
    },
    Distro {
        names: &["rhel-9.3", "rhel-9"],
        about: "Red Hat Enterprise Linux 9.3 (5.14.0-362); rhel-9 is the last release that is known",
        base: release(5, 14, 0),
        patch: |b| {
            rhel9(b);
            b.connect_resets_address = true;
        },
    },
    Distro {
        names: &["ubuntu-22.04"],
        about: "Ubuntu 22.04 (5.15), as its base version",
        base: release(5, 15, u16::MAX),
        patch: |_| {},
    },
    Distro {
        names: &["bottlerocket-5.10"],
        about: "Bottlerocket with Linux 5.10, as its base version",
        base: release(5, 10, u16::MAX),
        patch: |_| {},
    },
    Distro {
        names: &["bottlerocket-5.15"],
        about: "Bottlerocket with Linux 5.15, as its base version",
        base: release(5, 15, u16::MAX),
        patch: |_| {},
    },
    Distro {
        names: &["bottlerocket-6.1"],
        about: "Bottlerocket with Linux 6.1, as its base version",
        base: release(6, 1, u16::MAX),
        patch: |_| {},
    },
    Distro {
        names: &["amazon-2023"],
        about: "Amazon Linux 2023 with the kernel it began with (6.1), as its base version",
        base: release(6, 1, u16::MAX),
        patch: |_| {},
    },
    Distro {
        names: &["amazon-2023-6.12"],
        about: "Amazon Linux 2023 with Linux 6.12, as its base version",
        base: release(6, 12, u16::MAX),
        patch: |_| {},
    },
    Distro {
        names: &["amazon-2023-6.18"],
        about: "Amazon Linux 2023 with Linux 6.18, as its base version",
        base: release(6, 18, 0),
        patch: |_| {},
    },
    Distro {
        names: &["debian-12"],
        about: "Debian 12 (6.1.192)",
        base: release(6, 1, u16::MAX),
        patch: |_| {},
    },
    Distro {
        names: &["ubuntu-24.04.0"],
        about: "Ubuntu 24.04 as released (6.8.0-31)",
        base: release(6, 8, 0),
        patch: |_| {},
    },
    Distro {
        names: &["ubuntu-24.04"],
        about: "Ubuntu 24.04 with the kernel it began with (6.8.0-151); its images for clouds have ubuntu-24.04-hwe",
        base: release(6, 8, 0),
        patch: |b| {
            b.tw_reuse_not_fin_wait2 = true;
            b.bhash2 = Bhash2::UnifiedV6Only;
        },
    },
    Distro {
        names: &["ubuntu-25.10"],
        about: "Ubuntu 25.10 (6.17.0), as its base version",
        base: release(6, 17, 0),
        patch: |_| {},
    },
    Distro {
        names: &["ubuntu-24.04-hwe", "ubuntu-26.04"],
        about: "Ubuntu 24.04 with the newer kernel of its updates, as on AWS, Azure and Google Cloud, and Ubuntu 26.04 (7.0)",
        base: release(7, 0, 0),
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

//! Every behaviour in which kernels differ makes an observable difference: one pin for each, a
//! program whose answers depend on the value.

mod support;

use fourtuple_kernel::profile::{self, Behaviours};
use std::collections::BTreeSet;
use support::kernel;
use support::pins::{Pin, UNSEEN, all, equivalent, shown};

fn check(pin: &Pin) {
    let mut values = BTreeSet::new();
    let mut answers = BTreeSet::new();
    for (change, want) in pin.answers {
        let mut b = kernel(pin.kernel);
        change(&mut b);
        let value = shown(&b, pin.behaviour);
        assert!(
            b.differing(&kernel(pin.kernel))
                .iter()
                .all(|n| *n == pin.behaviour),
            "a pin changes its own behaviour only"
        );
        assert_eq!(
            (pin.program)(b),
            *want,
            "{} = {value} on {}",
            pin.behaviour,
            pin.kernel
        );
        values.insert(value);
        answers.insert(*want);
    }
    assert_eq!(values.len(), pin.answers.len(), "values are given once");
    assert!(answers.len() > 1, "a pin distinguishes values");
}

macro_rules! flags {
    ($($test:ident = $name:literal;)*) => {
        $(
            #[test]
            fn $test() {
                let pins: Vec<&Pin> = all().into_iter().filter(|p| p.behaviour == $name).collect();
                assert!(!pins.is_empty(), "no pin");
                pins.into_iter().for_each(check);
            }
        )*
        const TESTED: &[&str] = &[$($name,)*];
    };
}

flags! {
    flag_bind_family = "bind_family";
    flag_bind_scan = "bind_scan";
    flag_bind_shares = "bind_shares";
    flag_half_range = "half_range";
    flag_bsockets_check = "bsockets_check";
    flag_pair_rule = "pair_rule";
    flag_pair_rule_v6_strict = "pair_rule_v6_strict";
    flag_close_conflicts = "close_conflicts";
    flag_reuseport_group_term = "reuseport_group_term";
    flag_reuseport = "reuseport";
    flag_force_reuse = "force_reuse";
    flag_touch = "touch";
    flag_reuseport_match = "reuseport_match";
    flag_autobind_reuse = "autobind_reuse";
    flag_reserved_ports = "reserved_ports";
    flag_bind_address_no_port = "bind_address_no_port";
    flag_local_port_range_option = "local_port_range_option";
    flag_local_port_range_step_one = "local_port_range_step_one";
    flag_connect_scan = "connect_scan";
    flag_perturb = "perturb";
    flag_connect_resets_address = "connect_resets_address";
    flag_source_preferred = "source_preferred";
    flag_mapped_source_refused = "mapped_source_refused";
    flag_foreign_source = "foreign_source";
    flag_bhash2 = "bhash2";
    flag_recompute_on_release = "recompute_on_release";
    flag_child_counted = "child_counted";
    flag_uid_kept = "uid_kept";
    flag_v6only_before_check = "v6only_before_check";
    flag_tw_copies_reuseport = "tw_copies_reuseport";
    flag_tw_reuse = "tw_reuse";
    flag_tw_reuse_not_fin_wait2 = "tw_reuse_not_fin_wait2";
    flag_tw_age = "tw_age";
    flag_tw_stamp_monotonic = "tw_stamp_monotonic";
    flag_fin_ack_stamped = "fin_ack_stamped";
    flag_timer_slack = "timer_slack";
    flag_tw_timer = "tw_timer";
    flag_hz = "hz";
    flag_delayed_ack_ms = "delayed_ack_ms";
    flag_rto_max_setting = "rto_max_setting";
    flag_syn_rto_ms = "syn_rto_ms";
    flag_syn_linear = "syn_linear";
    flag_syn_quick_retry = "syn_quick_retry";
    flag_syn_mute = "syn_mute";
    flag_shutdown_after_handshake = "shutdown_after_handshake";
    flag_device_for_users = "device_for_users";
    flag_arrives_by_owner = "arrives_by_owner";
    flag_bind_checks_device = "bind_checks_device";
    flag_bind_to_index = "bind_to_index";
    flag_udp_reuseport_groups = "udp_reuseport_groups";
    flag_udp_reuseport_decides = "udp_reuseport_decides";
    flag_udp_wildcard_misses = "udp_wildcard_misses";
    flag_range_high = "range_high";
    flag_range_scope = "range_scope";
    flag_range_above_unprivileged = "range_above_unprivileged";
    flag_nonlocal_bind_scope = "nonlocal_bind_scope";
    flag_unprivileged_port_scope = "unprivileged_port_scope";
    flag_tw_reuse_scope = "tw_reuse_scope";
    flag_tw_recycle_scope = "tw_recycle_scope";
    flag_timestamps_scope = "timestamps_scope";
    flag_fin_timeout_scope = "fin_timeout_scope";
    flag_max_tw_scope = "max_tw_scope";
    flag_rfc1337_scope = "rfc1337_scope";
    flag_port_step_width = "port_step_width";
    flag_somaxconn = "somaxconn";
    flag_v6_foreign_bind = "v6_foreign_bind";
    flag_nat_search = "nat_search";
    flag_nat_evicts = "nat_evicts";
}

#[test]
fn every_behaviour_has_a_test() {
    let covered: BTreeSet<&str> = TESTED
        .iter()
        .copied()
        .chain(UNSEEN.iter().map(|(n, _)| *n))
        .collect();
    let wanted: BTreeSet<&str> = Behaviours::NAMES.iter().copied().collect();
    assert_eq!(covered, wanted);
    let pinned: BTreeSet<&str> = all().iter().map(|p| p.behaviour).collect();
    assert_eq!(pinned, TESTED.iter().copied().collect());
}

/// Some pin distinguishes each value that a kernel has from each other value of the behaviour.
#[test]
fn every_value_of_every_kernel_is_distinguished() {
    let mut missed = BTreeSet::new();
    for name in TESTED {
        let pins: Vec<&Pin> = all().into_iter().filter(|p| p.behaviour == *name).collect();
        let mut seen = BTreeSet::new();
        for p in profile::all() {
            if !seen.insert(shown(&p.behaviours, name)) {
                continue;
            }
            for m in p.behaviours.mutants(name) {
                let equivalent = equivalent(name, &p.behaviours, &m);
                if !equivalent && !pins.iter().any(|pin| pin.distinguishes(&p.behaviours, &m)) {
                    missed.insert(format!(
                        "{name}: {} / {}",
                        shown(&p.behaviours, name),
                        shown(&m, name)
                    ));
                }
            }
        }
    }
    assert_eq!(missed, BTreeSet::new());
}

//! Sysctls that no port depends on. Writing them succeeds, as on a kernel, and changes nothing.

/// The folders of `/proc/sys` beside `net`.
const TREES: &[&str] = &[
    "abi", "crypto", "debug", "dev", "fs", "kernel", "sunrpc", "user", "vm",
];

/// Families of names below `net.ipv4`.
const FAMILIES: &[&str] = &[
    "cipso_",
    "conf.",
    "fib_",
    "icmp_",
    "igmp_",
    "inet_peer_",
    "ipfrag_",
    "neigh.",
    "netfilter.",
    "nexthop_",
    "raw_",
    "route.",
    "udp_",
    "vs.",
    "xfrm4_",
];

/// Single names below `net.ipv4`.
const NAMES: &[&str] = &[
    "fwmark_reflect",
    "ip_default_ttl",
    "ip_dynaddr",
    "ip_early_demux",
    "ip_forward",
    "ip_forward_update_priority",
    "ip_forward_use_pmtu",
    "ip_no_pmtu_disc",
    "ping_group_range",
    "tcp_abort_on_overflow",
    "tcp_adv_win_scale",
    "tcp_allowed_congestion_control",
    "tcp_app_win",
    "tcp_autocorking",
    "tcp_available_congestion_control",
    "tcp_available_ulp",
    "tcp_backlog_ack_defer",
    "tcp_base_mss",
    "tcp_challenge_ack_limit",
    "tcp_child_ehash_entries",
    "tcp_comp_sack_delay_ns",
    "tcp_comp_sack_nr",
    "tcp_comp_sack_slack_ns",
    "tcp_congestion_control",
    "tcp_dsack",
    "tcp_early_demux",
    "tcp_early_retrans",
    "tcp_ecn",
    "tcp_ecn_fallback",
    "tcp_ecn_option",
    "tcp_ecn_option_beacon",
    "tcp_ehash_entries",
    "tcp_fack",
    "tcp_fastopen",
    "tcp_fastopen_blackhole_timeout_sec",
    "tcp_fastopen_key",
    "tcp_frto",
    "tcp_fwmark_accept",
    "tcp_invalid_ratelimit",
    "tcp_keepalive_intvl",
    "tcp_keepalive_probes",
    "tcp_keepalive_time",
    "tcp_l3mdev_accept",
    "tcp_limit_output_bytes",
    "tcp_low_latency",
    "tcp_max_orphans",
    "tcp_max_reordering",
    "tcp_max_syn_backlog",
    "tcp_mem",
    "tcp_migrate_req",
    "tcp_min_rtt_wlen",
    "tcp_min_snd_mss",
    "tcp_min_tso_segs",
    "tcp_moderate_rcvbuf",
    "tcp_mtu_probe_floor",
    "tcp_mtu_probing",
    "tcp_no_metrics_save",
    "tcp_no_ssthresh_metrics_save",
    "tcp_notsent_lowat",
    "tcp_orphan_retries",
    "tcp_pacing_ca_ratio",
    "tcp_pacing_ss_ratio",
    "tcp_pingpong_thresh",
    "tcp_plb_cong_thresh",
    "tcp_plb_enabled",
    "tcp_plb_idle_rehash_rounds",
    "tcp_plb_rehash_rounds",
    "tcp_plb_suspend_rto_sec",
    "tcp_probe_interval",
    "tcp_probe_threshold",
    "tcp_recovery",
    "tcp_reflect_tos",
    "tcp_reordering",
    "tcp_retrans_collapse",
    "tcp_retries1",
    "tcp_retries2",
    "tcp_rmem",
    "tcp_rto_min_us",
    "tcp_sack",
    "tcp_shrink_window",
    "tcp_slow_start_after_idle",
    "tcp_stdurg",
    "tcp_synack_retries",
    "tcp_syncookies",
    "tcp_thin_dupack",
    "tcp_thin_linear_timeouts",
    "tcp_tso_rtt_log",
    "tcp_tso_win_divisor",
    "tcp_window_scaling",
    "tcp_wmem",
    "tcp_workaround_signed_windows",
];

/// Returns `true` if Linux has a sysctl of this name that no port depends on.
pub(crate) fn has_no_effect(key: &str) -> bool {
    let Some((tree, rest)) = key.split_once('.') else {
        return false;
    };
    if tree != "net" {
        return TREES.contains(&tree);
    }
    match rest.split_once('.') {
        Some(("ipv4", name)) => {
            NAMES.contains(&name) || FAMILIES.iter().any(|family| name.starts_with(family))
        }
        Some(_) => true,
        None => rest == "nf_conntrack_max",
    }
}

//! The map from kernel functions to the model: for each function that decides about ports, the
//! place of its rule, the kernels that have it, and the refusals it explains.
//!
//! `docs/kernel-map.md` is [`page`] of this table. Tests check that every behaviour and every
//! [`Rule`] has a place here, and that the places exist.

use crate::explain::reason::Rule;
use crate::profile::{self, Behaviours};
use std::fmt::Write as _;

/// A kernel function and its counterpart in the model.
///
/// ```
/// use fourtuple_kernel::source_map::FUNCTIONS;
///
/// let f = FUNCTIONS.iter().find(|f| f.name == "inet_csk_get_port").ok_or("not modelled")?;
/// assert_eq!((f.file, f.place), ("conn/bind.rs", "bind_may_use"));
/// # Ok::<(), &str>(())
/// ```
#[non_exhaustive]
#[derive(Clone, Copy, Debug)]
pub struct KernelFunction {
    /// Name in the kernel's source.
    pub name: &'static str,
    /// Its decision, in a few words.
    pub decides: &'static str,
    /// The kernels that have the function.
    pub kernels: &'static str,
    /// Source file in the crate's `src` folder.
    pub file: &'static str,
    /// Function in that file.
    pub place: &'static str,
    /// Refusals that it explains.
    pub rules: &'static [Rule],
    /// `true` if the slow reference of `tests/reference` states the function a second time.
    pub in_reference: bool,
}

impl KernelFunction {
    /// The behaviours in which kernels differ here.
    #[must_use]
    pub fn behaviours(&self) -> Vec<&'static str> {
        let rows = profile::all()[0].behaviours.rows();
        let here = rows
            .iter()
            .filter(|row| row.function.split(" / ").any(|name| name == self.name));
        here.map(|row| row.name).collect()
    }
}

macro_rules! functions {
    ($($name:literal, $decides:literal, $kernels:literal,
       $file:literal => $place:literal, [$($rule:ident),*] $(, $reference:ident)?;)*) => {
        /// Every modelled function, in the order in which calls meet them.
        pub const FUNCTIONS: &[KernelFunction] = &[$(KernelFunction {
            name: $name,
            decides: $decides,
            kernels: $kernels,
            file: $file,
            place: $place,
            rules: &[$(Rule::$rule),*],
            in_reference: functions!(@reference $($reference)?),
        },)*];
    };
    (@reference) => { false };
    (@reference reference) => { true };
}

functions! {
    "sock_setsockopt", "SO_REUSEADDR, SO_REUSEPORT, SO_LINGER", "all",
        "conn/set_option.rs" => "set_option", [OptionUnknown, OptionInvalid], reference;
    "sock_setbindtodevice", "SO_BINDTODEVICE", "all",
        "conn/set_option.rs" => "set_option", [OptionInvalid];
    "proc_sys_call_handler", "writing a sysctl", "all",
        "machine.rs" => "sysctl", [SysctlUnknown, SysctlInvalid];
    "ipv4_local_port_range", "writing ip_local_port_range", "all",
        "sysctl.rs" => "write", [SysctlInvalid];
    "sysctl_local_ports", "defaults of ip_local_port_range", "all",
        "sysctl.rs" => "defaults", [], reference;
    "inet_bind", "checks of bind() before the port, AF_INET", "all",
        "conn/bind.rs" => "check_bind",
        [BindNotLocal, BindPrivileged, BindAlreadyBound], reference;
    "inet6_bind", "checks of bind() before the port, AF_INET6", "all",
        "conn/bind.rs" => "check_bind",
        [BindNotLocal, BindPrivileged, BindAlreadyBound, BindMappedV6Only, LinkLocalWithoutScope,
         ShortAddress];
    "inet_csk_get_port", "taking a port: bind() and listen()", "all",
        "conn/bind.rs" => "bind_may_use", [BindConflict, ListenConflict], reference;
    "inet_csk_find_open_port", "ephemeral port selection of bind() and listen()",
        "4.11 and later; before, part of `inet_csk_get_port`",
        "port/select_bind.rs" => "bind_may_select", [BindNoFreePort, ListenNoFreePort], reference;
    "inet_csk_bind_conflict", "whether two owners of a port may share it", "all",
        "bucket/conflict.rs" => "conflict", [BindConflict, ListenConflict], reference;
    "inet6_csk_bind_conflict", "the same for AF_INET6", "up to 4.10",
        "bucket/conflict.rs" => "conflict", [BindConflict, ListenConflict];
    "inet_bhash2_conflict", "the same by local address", "6.1 and later",
        "bucket/conflict.rs" => "meets", [BindConflict, ListenConflict], reference;
    "inet_rcv_saddr_equal", "whether two local addresses overlap", "all",
        "bucket/conflict.rs" => "overlap", [BindConflict, ListenConflict];
    "sk_reuseport_match", "the fast path of SO_REUSEPORT",
        "4.11 and later; inlined from 3.9 on",
        "bucket/conflict.rs" => "reuseport_match", [], reference;
    "inet_csk_update_fastreuse", "fastreuse and fastreuseport when a socket takes a port",
        "5.9 and later; inlined before",
        "bucket/touch.rs" => "update_fastreuse", [], reference;
    "sock_i_uid", "the uid that rules see", "up to 6.16",
        "conn/socket.rs" => "uid_seen", [], reference;
    "sk_uid", "the uid that rules see", "6.17 and later",
        "conn/socket.rs" => "uid_seen", [], reference;
    "inet_is_local_reserved_port", "ip_local_reserved_ports", "2.6.35 and later",
        "port/select_connect.rs" => "connect_may_use", [ConnectReserved], reference;
    "inet_get_local_port_range", "ip_local_port_range", "all",
        "port/mod.rs" => "port_range", [], reference;
    "inet_sk_get_local_port_range", "IP_LOCAL_PORT_RANGE", "6.3 and later",
        "port/mod.rs" => "port_range", [], reference;
    "inet_csk_listen_start", "listen()", "all",
        "conn/close.rs" => "listen", [ListenConflict, ListenNoFreePort], reference;
    "inet_listen", "checks of listen(), its backlog", "all",
        "conn/close.rs" => "listen", [ListenState], reference;
    "udp_lib_get_port", "taking a UDP port: bind(), connect() and sendto()", "all",
        "udp/select.rs" => "udp_may_select", [BindNoFreePort, AutobindNoFreePort];
    "udp_lib_lport_inuse", "whether two UDP sockets may share a port", "all",
        "udp/conflict.rs" => "udp_conflict", [BindConflict];
    "udp_lib_lport_inuse2", "the same for a port with more than ten sockets", "2.6.33 and later",
        "udp/conflict.rs" => "misses_addresses", [BindConflict];
    "udp_reuseport_add_sock", "the reuseport group of a UDP socket", "4.5 and later",
        "udp/select.rs" => "udp_hash", [];
    "inet_autobind", "the port of a UDP socket that was not bound", "all",
        "udp/connect.rs" => "udp_autobind", [AutobindNoFreePort];
    "__ip4_datagram_connect", "connect() of a UDP socket", "all",
        "udp/connect.rs" => "udp_connect", [ConnectUnreachable, ConnectFamily, SendBroadcast];
    "__udp_disconnect", "connect() to AF_UNSPEC: the port and the address that it gives back", "all",
        "udp/connect.rs" => "udp_disconnect", [];
    "udp_sendmsg", "sendto()", "all",
        "udp/datagram.rs" => "udp_send",
        [SendNoDestination, SendPortZero, SendTooLong, SendBroadcast, SendUnreachable];
    "__udp4_lib_lookup", "the socket that receives a datagram", "all",
        "udp/datagram.rs" => "udp_lookup", [];
    "sock_no_listen", "listen() and accept() on a UDP socket", "all",
        "conn/close.rs" => "listen", [DatagramSocket];
    "inet_stream_connect", "the state of the socket that connects", "all",
        "conn/connect.rs" => "connect", [ConnectState], reference;
    "ip_route_output_key", "source address and route", "all",
        "conn/connect.rs" => "source", [ConnectUnreachable];
    "inet_sk_bound_dev_eq", "which sockets see what arrives by an interface",
        "5.0 and later; inlined before",
        "conn/device.rs" => "reaches", [];
    "tcp_v4_connect", "connect() up to the port, AF_INET", "all",
        "conn/connect.rs" => "connect_to", [ConnectUnreachable, ConnectFamily], reference;
    "tcp_v6_connect", "connect() up to the port, AF_INET6", "all",
        "conn/connect.rs" => "destination",
        [ConnectUnreachable, ConnectFamily, LinkLocalWithoutScope, ShortAddress];
    "ipv6_chk_addr", "addresses in duplicate address detection", "all",
        "namespace.rs" => "is_tentative", [AddressTentative];
    "addrconf_disable_ipv6", "disable_ipv6", "all",
        "conn/connect.rs" => "refuse_route", [Ipv6Off];
    "__inet_hash_connect", "ephemeral port selection of connect()", "all",
        "port/select_connect.rs" => "connect_may_use",
        [ConnectNoPort, ConnectSkipFastreuse, ConnectTupleTaken, ConnectTupleTimeWait,
         ConnectReserved], reference;
    "__inet_check_established", "whether a 4-tuple is free", "all",
        "conn/established.rs" => "check_established",
        [ConnectTupleTaken, ConnectTupleTimeWait, ConnectBoundTuple, ConnectBoundTimeWait],
        reference;
    "tcp_twsk_unique", "replacing a TIME-WAIT socket", "all",
        "time_wait/reuse.rs" => "may_replace", [ConnectTupleTimeWait, ConnectBoundTimeWait], reference;
    "inet_bhash2_reset_saddr", "the address after a failed connect()",
        "6.2 and later, and stable branches",
        "conn/connect.rs" => "after_failed_connect", [], reference;
    "tcp_syn_options", "timestamps of a connection", "all",
        "conn/tcp.rs" => "send", [];
    "get_unique_tuple", "the source of a flow on a NAT host", "all",
        "nat/select.rs" => "unique_source", [NatKeep];
    "find_appropriate_src", "the source of another flow from the same client port", "all",
        "nat/select.rs" => "mapping_of_source", [];
    "find_best_ips_proto", "which address of a snat rule", "all",
        "nat/address.rs" => "source_address", [];
    "nf_nat_l4proto_unique_tuple", "the port of a flow whose own is taken",
        "all; a function for each protocol before 5.0",
        "nat/select.rs" => "search_port", [NatMove, NatDrop];
    "nf_nat_used_tuple_harder", "ports of closing flows", "6.5 and later",
        "nat/select.rs" => "may_evict", [NatEvict];
    "nf_nat_alloc_null_binding", "flows that no rule translates", "all",
        "nat/select.rs" => "null_binding", [NatMove];
    "__nf_conntrack_confirm", "entering a flow", "all",
        "nat/pass.rs" => "confirm", [NatDrop, NatRace];
    "init_conntrack", "a table of flows that is full", "all",
        "nat/pass.rs" => "has_room", [NatTableFull];
    "nf_conntrack_tcp_packet", "the state of a flow, and when it ends", "all",
        "nat/tcp.rs" => "step", [];
    "tcp_retransmit_timer", "repetitions of a SYN", "all",
        "conn/retransmit.rs" => "retry_syn", [ConnectTimedOut];
    "tcp_rto_max", "the longest distance of repetitions", "6.15 and later",
        "sysctl.rs" => "rto_max", [];
    "tcp_conn_request", "a SYN that meets a listener", "all",
        "conn/handshake.rs" => "receive_syn", [ConnectRefused];
    "__inet_inherit_port", "the child socket in its listener's bucket", "all",
        "conn/handshake.rs" => "spawn_child", [], reference;
    "tcp_rcv_synsent_state_process", "answers to a SYN", "all",
        "conn/tcp.rs" => "receive_syn_sent", [ConnectRefused];
    "tcp_rcv_state_process", "acknowledgement of a FIN, and of a handshake", "all",
        "conn/close.rs" => "enter_fin_wait2", [];
    "tcp_validate_incoming", "a SYN in an open connection", "all",
        "conn/tcp.rs" => "receive_open", [];
    "tcp_send_delayed_ack", "the acknowledgement of a lone FIN", "all",
        "conn/retransmit.rs" => "arm_delayed_ack", [];
    "tcp_reset", "a reset by the other end", "all",
        "conn/tcp.rs" => "reset", [ConnectionReset, ConnectRefused];
    "tcp_time_wait", "the socket that becomes a TIME-WAIT socket", "all",
        "time_wait/mod.rs" => "time_wait", [], reference;
    "tcp_fin_time", "the length of FIN-WAIT-2", "all",
        "conn/close.rs" => "fin_time", [];
    "tcp_timewait_state_process", "segments that meet a TIME-WAIT socket", "all",
        "time_wait/mod.rs" => "receive_tw", [];
    "inet_twsk_schedule", "the end of a TIME-WAIT socket", "all",
        "time_wait/mod.rs" => "schedule_tw", [], reference;
    "inet_twdr_hangman", "a tick of the TIME-WAIT wheel", "up to 4.0",
        "time_wait/death_row.rs" => "wheel_tick", [], reference;
    "tcp_replace_ts_recent", "the time stamp of the last segment", "all",
        "conn/tcp.rs" => "receive_open", [];
    "apply_slack", "how late a timer may be", "2.6.35 to 4.7",
        "time_wait/death_row.rs" => "slackened", [];
    "inet_bind_bucket_destroy", "the bucket when an owner leaves", "all",
        "bucket/owners.rs" => "unlink", [], reference;
    "inet_put_port", "giving a port back", "all",
        "conn/bind.rs" => "put_port", [], reference;
    "jiffies", "the kernel's clock", "all",
        "time_wait/timer.rs" => "own_timer_fires", [], reference;
}

/// The page of the map, in Markdown.
#[must_use]
pub fn page() -> String {
    let mut page = String::from(HEAD);
    for f in FUNCTIONS {
        let list = |names: Vec<String>| match names[..] {
            [] => "–".to_owned(),
            _ => names.join(", "),
        };
        let behaviours = f.behaviours().into_iter().map(|b| format!("`{b}`"));
        let rules = f.rules.iter().map(|rule| format!("`{rule}`"));
        let mut judges = vec!["recordings, fuzz".to_owned()];
        if !f.behaviours().is_empty() {
            judges.push("pins".to_owned());
        }
        if f.in_reference {
            judges.push("reference".to_owned());
        }
        let _ = writeln!(
            page,
            "| `{}` | {} | {} | [`{}`](../crates/kernel/src/{}) | {} | {} | {} |",
            f.name,
            f.decides,
            f.kernels,
            f.place,
            f.file,
            list(behaviours.collect()),
            list(rules.collect()),
            judges.join(", "),
        );
    }
    page
}

const HEAD: &str = "\
# From the kernel's source to the model

Every kernel function that decides about local ports, and the function of the model that states its
rule. *Behaviours* are the rows of the table in which kernels differ here (`fourtuple kernels NAME`
prints their values); *refusals* are the rules that `fourtuple explain` names.

How a row is judged: *recordings, fuzz* of real kernels, whose every answer the model must allow
(`fourtuple certify`, `fourtuple fuzz`); *pins*, a test for each value of each behaviour
(`crates/kernel/tests/support/pins`); *reference*, a second, slow statement of the rule that random
programs compare with the model (`crates/kernel/tests/reference`).

This page is generated: `FOURTUPLE_UPDATE=1 cargo test -p fourtuple-kernel --test source_map`.

| kernel function | decides | kernels | model | behaviours | refusals | judged by |
|---|---|---|---|---|---|---|
";

/// Behaviours that no function of the map has.
#[must_use]
pub fn unmapped_behaviours() -> Vec<&'static str> {
    let mapped: Vec<&str> = FUNCTIONS
        .iter()
        .flat_map(KernelFunction::behaviours)
        .collect();
    let names = Behaviours::NAMES.iter().copied();
    names.filter(|name| !mapped.contains(name)).collect()
}

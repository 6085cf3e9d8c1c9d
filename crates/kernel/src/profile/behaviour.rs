//! The table of behaviours in which kernels differ.
//!
//! Every rule of the model that is not the same on all kernels is one field here, with the kernel
//! function that it stands for. Algorithms read these fields and never a version number.

use super::flags::{FlagSet, Tracked};
use super::values::Value;

pub use super::values::{
    Bhash2, BindFamily, BindScan, ConnectScan, ForeignSource, HalfRange, NatSearch, PairRule,
    Perturb, ReuseportMatch, Scope, Touch, TwAge, TwReuse, TwTimer, V6Foreign,
};

macro_rules! behaviours {
    ($($(#[doc = $doc:literal])* $field:ident : $ty:ty, $func:literal;)*) => {
        /// Everything in which the modelled kernels differ: one field for each behaviour.
        ///
        /// Tests of a rule start from a real kernel and change one field:
        ///
        /// ```
        /// use fourtuple_kernel::Profile;
        ///
        /// let [old, new]: [Profile; 2] = ["linux-6.17".parse()?, "linux-6.18.0".parse()?];
        /// assert_eq!(old.behaviours.differing(&new.behaviours), ["recompute_on_release"]);
        ///
        /// let mut behaviours = old.behaviours;
        /// behaviours.recompute_on_release = true;
        /// assert_eq!(behaviours, new.behaviours);
        /// # Ok::<(), fourtuple_kernel::profile::UnknownProfile>(())
        /// ```
        #[derive(Clone, Copy, Debug, PartialEq)]
        #[non_exhaustive]
        pub struct Behaviours {
            $($(#[doc = $doc])* pub $field: $ty,)*
        }

        /// One row of [`Behaviours::rows`].
        #[derive(Clone, Debug, PartialEq, Eq)]
        #[non_exhaustive]
        pub struct Row {
            /// Name of the behaviour, the field's name.
            pub name: &'static str,
            /// The rule that it decides, as a phrase.
            pub about: &'static str,
            /// The kernel function that it stands for.
            pub function: &'static str,
            /// Its value in words.
            pub value: String,
        }

        impl Behaviours {
            /// Names of all behaviours, in the table's order.
            pub const NAMES: &'static [&'static str] = &[$(stringify!($field),)*];

            /// The table in words, in its order.
            #[must_use]
            pub fn rows(&self) -> Vec<Row> {
                vec![$(Row {
                    name: stringify!($field),
                    about: concat!($($doc,)*).trim_ascii(),
                    function: $func,
                    value: self.$field.show(),
                },)*]
            }

            /// Names of the behaviours in which two kernels differ.
            #[must_use]
            pub fn differing(&self, other: &Behaviours) -> Vec<&'static str> {
                let mut names = Vec::new();
                $(if self.$field != other.$field { names.push(stringify!($field)); })*
                names
            }

            /// Returns `true` if two kernels have the same values of all flags of a set.
            #[must_use]
            pub fn agrees_on(&self, other: &Behaviours, flags: FlagSet) -> bool {
                $((self.$field == other.$field || !flags.contains(Flag::$field as u32)))&&*
            }

            /// A copy with one behaviour as another kernel has it. An unknown name changes nothing.
            #[must_use]
            pub fn with(&self, name: &str, other: &Behaviours) -> Behaviours {
                match name {
                    $(stringify!($field) => Behaviours { $field: other.$field, ..*self },)*
                    _ => *self,
                }
            }

            /// Copies with one behaviour changed, for each other value it can have. An unknown
            /// name gives none.
            #[must_use]
            pub fn mutants(&self, name: &str) -> Vec<Behaviours> {
                match name {
                    $(stringify!($field) => self.$field.alternatives().into_iter()
                        .map(|v| Behaviours { $field: v, ..*self }).collect(),)*
                    _ => Vec::new(),
                }
            }
        }

        /// A behaviour by its place in the table.
        #[allow(non_camel_case_types)]
        #[derive(Clone, Copy)]
        enum Flag { $($field,)* }

        const _: () = assert!(Behaviours::NAMES.len() <= FlagSet::MOST);

        impl Tracked<Behaviours> {
            $(
                #[inline]
                pub(crate) fn $field(&self) -> $ty {
                    self.read(Flag::$field as u32).$field
                }
            )*
        }
    };
}

behaviours! {
    /// bind() with an address of the wrong family
    bind_family: BindFamily, "inet_bind";
    /// ephemeral ports: order of the search
    bind_scan: BindScan, "inet_csk_get_port / inet_csk_find_open_port";
    /// ephemeral ports may have a bucket already if no owner conflicts
    bind_shares: bool, "inet_csk_get_port";
    /// ephemeral ports: SO_REUSEADDR searches the lower half first
    half_range: HalfRange, "inet_csk_get_port / inet_csk_find_open_port";
    /// ephemeral ports: sharing early because of many sockets also demands no conflict
    bsockets_check: bool, "inet_csk_get_port";
    /// a port search starts again although fastreuseport is 0
    rescan_any_uid: bool, "inet_csk_get_port";
    /// fastuid of a bucket starts as 0 instead of undefined memory
    fastuid_zeroed: bool, "inet_csk_get_port";
    /// when two owners of one port may share it
    pair_rule: PairRule, "inet_csk_bind_conflict";
    /// the strict mode also holds for AF_INET6 binders
    pair_rule_v6_strict: bool, "inet6_csk_bind_conflict";
    /// a SO_REUSEADDR owner in state CLOSE counts like a listener
    close_conflicts: bool, "inet_csk_bind_conflict";
    /// a member of a reuseport group does not share by SO_REUSEPORT when it binds
    reuseport_group_term: bool, "inet_csk_bind_conflict";
    /// SO_REUSEPORT exists
    reuseport: bool, "sock_setsockopt";
    /// TCP_REPAIR's forced reuse skips every check
    force_reuse: bool, "inet_csk_get_port";
    /// how binders change fastreuse and fastreuseport
    touch: Touch, "inet_csk_update_fastreuse";
    /// when SO_REUSEPORT takes the fast path
    reuseport_match: ReuseportMatch, "sk_reuseport_match";
    /// ip_autobind_reuse exists
    autobind_reuse: bool, "inet_csk_find_open_port";
    /// ip_local_reserved_ports is kept out of searches
    reserved_ports: Scope, "inet_is_local_reserved_port";
    /// IP_BIND_ADDRESS_NO_PORT exists
    bind_address_no_port: bool, "inet_bind";
    /// IP_LOCAL_PORT_RANGE exists
    local_port_range_option: bool, "inet_sk_get_local_port_range";
    /// IP_LOCAL_PORT_RANGE makes connect() step by one
    local_port_range_step_one: bool, "__inet_hash_connect";
    /// order of the connect() search
    connect_scan: ConnectScan, "__inet_hash_connect";
    /// what moves the start of the connect() search
    perturb: Perturb, "__inet_hash_connect";
    /// a failed connect() resets the address it had chosen
    connect_resets_address: bool, "inet_bhash2_reset_saddr";
    /// source towards a local address is the route's preferred one
    source_preferred: bool, "ip_route_output_key";
    /// native IPv6 destination from a socket bound to a mapped address is refused at once
    mapped_source_refused: bool, "tcp_v6_connect";
    /// connect() from a bound IPv4 address that is not local, without IP_TRANSPARENT
    foreign_source: ForeignSource, "ip_route_output_key";
    /// owners are kept by address as well
    bhash2: Bhash2, "inet_bhash2_conflict";
    /// a bucket's state is recomputed when an owner leaves
    recompute_on_release: bool, "inet_bind_bucket_destroy";
    /// an accepted child counts as owner in bsockets and num_owners
    child_counted: bool, "__inet_inherit_port";
    /// the uid stays with the socket after close() and before accept()
    uid_kept: bool, "sock_i_uid / sk_uid";
    /// bind() to a native IPv6 address sets IPV6_V6ONLY before the conflict check
    v6only_before_check: bool, "inet6_bind";
    /// TIME-WAIT copies SO_REUSEPORT
    tw_copies_reuseport: bool, "tcp_time_wait";
    /// what tcp_tw_reuse values mean
    tw_reuse: TwReuse, "tcp_twsk_unique";
    /// the connect() search never replaces a TIME-WAIT socket in state FIN_WAIT2
    tw_reuse_not_fin_wait2: bool, "tcp_twsk_unique";
    /// age from which the connect() search may replace a TIME-WAIT socket
    tw_age: TwAge, "tcp_twsk_unique";
    /// the time stamp of the last segment is monotonic, so 0 in the first second after boot
    tw_stamp_monotonic: bool, "tcp_twsk_unique";
    /// the acknowledgement of a FIN counts as the last segment of the TIME-WAIT that it makes
    fin_ack_stamped: bool, "tcp_replace_ts_recent";
    /// what ends a TIME-WAIT
    tw_timer: TwTimer, "inet_twsk_schedule";
    /// a timer of more than 256 ticks may be late by a 256th of its length
    timer_slack: bool, "apply_slack";
    /// timer ticks per second
    hz: u32, "jiffies";
    /// longest delay of the acknowledgement of a lone FIN, in milliseconds
    delayed_ack_ms: u32, "tcp_send_delayed_ack";
    /// first repetition of an unanswered SYN, in milliseconds
    syn_rto_ms: u32, "tcp_retransmit_timer";
    /// how many repetitions of a SYN come before their distance doubles
    syn_linear: u32, "tcp_retransmit_timer";
    /// tcp_rto_max_ms exists: the longest distance between repetitions
    rto_max_setting: bool, "tcp_rto_max";
    /// the first repetition of a challenged SYN comes after two ticks instead of the full timeout
    syn_quick_retry: bool, "tcp_rcv_synsent_state_process";
    /// a SYN that meets the open other end of an old connection is dropped
    syn_mute: bool, "tcp_validate_incoming";
    /// default upper end of ip_local_port_range
    range_high: u16, "sysctl_local_ports";
    /// shutdown() before the connection was there sends its FIN once a SYN that came in has opened
    /// it
    shutdown_after_handshake: bool, "tcp_rcv_state_process";
    /// any user may bind a socket to a device, once
    device_for_users: bool, "sock_setbindtodevice";
    /// IPv4 segments to an own address arrive by the interface that has it, not by lo
    arrives_by_owner: bool, "ip_route_output_key";
    /// bind() to ::1 is refused on a socket that is bound to a device other than lo
    bind_checks_device: bool, "ipv6_chk_addr";
    /// SO_BINDTOIFINDEX exists
    bind_to_index: bool, "sock_setsockopt";
    /// UDP: SO_REUSEPORT sockets are in a group, a member of which does not share when it binds
    udp_reuseport_groups: bool, "udp_reuseport_add_sock";
    /// UDP: bind() to a port number ends its comparison at the first socket that shares by
    /// SO_REUSEPORT
    udp_reuseport_decides: bool, "udp_lib_lport_inuse";
    /// UDP: bind() of the wildcard to a port with more than ten sockets does not see those of
    /// single addresses
    udp_wildcard_misses: bool, "udp_lib_lport_inuse2";
    /// where ip_local_port_range lives
    range_scope: Scope, "inet_get_local_port_range";
    /// an ip_local_port_range below ip_unprivileged_port_start is refused
    range_above_unprivileged: bool, "ipv4_local_port_range";
    /// where ip_nonlocal_bind lives
    nonlocal_bind_scope: Scope, "inet_bind";
    /// where ip_unprivileged_port_start lives
    unprivileged_port_scope: Scope, "inet_bind";
    /// where tcp_tw_reuse lives
    tw_reuse_scope: Scope, "tcp_twsk_unique";
    /// where tcp_tw_recycle lives
    tw_recycle_scope: Scope, "tcp_time_wait";
    /// where tcp_timestamps lives
    timestamps_scope: Scope, "tcp_syn_options";
    /// where tcp_fin_timeout lives
    fin_timeout_scope: Scope, "tcp_fin_time";
    /// where tcp_max_tw_buckets lives
    max_tw_scope: Scope, "tcp_time_wait";
    /// where tcp_rfc1337 lives
    rfc1337_scope: Scope, "tcp_timewait_state_process";
    /// ip_local_port_step_width exists
    port_step_width: bool, "__inet_hash_connect";
    /// default of net.core.somaxconn, the most that listen()'s backlog can be
    somaxconn: u32, "inet_listen";
    /// which options let bind() take foreign IPv6 addresses
    v6_foreign_bind: V6Foreign, "inet6_bind";
    /// the ports that a NAT host tries for a flow whose own is taken
    nat_search: NatSearch, "nf_nat_l4proto_unique_tuple";
    /// a NAT host may take the port of a flow that is closing
    nat_evicts: bool, "nf_nat_used_tuple_harder";
}

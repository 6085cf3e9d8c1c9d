//! Two hosts of one kernel with different sysctls, and a call on both whose results differ.

use super::Maker;
use std::net::SocketAddr;

impl Maker {
    pub(super) fn two_settings(&mut self) {
        let uids = if self.kind.users { 7 } else { 6 };
        match self.rng.below(uids) {
            0 => {
                self.differ("net.ipv4.ip_nonlocal_bind", ["0", "1"]);
                self.on_both(|maker, host| {
                    let index = maker.socket_on(host, false, 0);
                    let port = maker.setting.range.0;
                    maker.bind_to(index, SocketAddr::from(([10, 99, 0, 1], port)));
                    maker.close(index);
                    // The model routes every address, the runner only those of hosts: nothing may
                    // connect to this one.
                    maker.sockets[index].local = None;
                });
            }
            1 => {
                self.differ("net.ipv4.tcp_rfc1337", ["0", "1"]);
                self.on_both(|maker, host| {
                    let pair = maker.pair(host);
                    maker.server_goes(&pair);
                });
            }
            2 => {
                self.reuse_soon();
                self.differ("net.ipv4.tcp_timestamps", ["0", "1"]);
                self.on_both(|maker, host| {
                    let pair = maker.pair(host);
                    maker.reuse_of_time_wait(&pair);
                });
            }
            3 => {
                self.reuse_soon();
                self.differ("net.ipv4.tcp_tw_reuse", ["0", "1"]);
                self.on_both(|maker, host| {
                    let pair = maker.pair(host);
                    maker.reuse_of_time_wait(&pair);
                });
            }
            4 => {
                self.differ("net.ipv4.tcp_fin_timeout", ["1", "30"]);
                self.on_both(|maker, host| {
                    let pair = maker.pair(host);
                    maker.wait_in_fin_wait2(&pair, 1300);
                });
            }
            5 => {
                // One TIME-WAIT socket on each host: the limits count per namespace.
                let values = self.rng.pick(&[["0", "9"], ["1", "1"]]);
                self.differ("net.ipv4.tcp_max_tw_buckets", values);
                self.on_both(|maker, host| {
                    let pair = maker.pair(host);
                    maker.close(pair.client);
                    maker.close(pair.child);
                    maker.take_the_port(host);
                });
            }
            _ => {
                self.differ("net.ipv4.ip_unprivileged_port_start", ["80", "1024"]);
                self.on_both(|maker, host| {
                    let index = maker.socket_on(host, false, 1000);
                    maker.bind_to(index, SocketAddr::from(([127, 0, 0, 1], 80)));
                });
            }
        }
    }

    /// Sets a different value on each host, in either order.
    fn differ(&mut self, key: &str, values: [&str; 2]) {
        let first = self.rng.below(2);
        for host in [first, 1 - first] {
            self.sysctl_on(host, key, values[host]);
        }
    }

    /// Lets both hosts reuse a port in TIME-WAIT after 1 ms.
    fn reuse_soon(&mut self) {
        for host in 0..2 {
            self.sysctl_on(host, "net.ipv4.tcp_tw_reuse", "1");
            self.sysctl_on(host, "net.ipv4.tcp_tw_reuse_delay", "1");
        }
    }

    fn on_both(&mut self, probe: impl Fn(&mut Maker, usize)) {
        let first = self.rng.below(2);
        for host in [first, 1 - first] {
            probe(self, host);
        }
    }
}

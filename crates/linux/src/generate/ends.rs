//! Ends of connections with one port in the range, so that the next connection meets the state that
//! one leaves.

use super::Maker;
use crate::program::Call;
use std::net::SocketAddr;

/// A connection of a host with itself.
pub(super) struct Pair {
    pub(super) host: usize,
    pub(super) client: usize,
    pub(super) child: usize,
    server: usize,
    to: SocketAddr,
}

impl Maker {
    pub(super) fn end_of_a_connection(&mut self) {
        let host = self.any_host();
        match self.rng.below(12) {
            10.. => self.on_the_grid(host),
            0..3 => {
                let pair = self.pair(host);
                self.server_goes(&pair);
            }
            3..5 => self.end_without_time_wait(host),
            5..8 => {
                let seconds = self.rng.pick(&[1, 3, 3]);
                self.sysctl_on(host, "net.ipv4.tcp_fin_timeout", &seconds.to_string());
                let pair = self.pair(host);
                // Timers are rounded to the timer wheel, so that those of three seconds fire up to
                // 256 ms late.
                let ms = match seconds == 3 && self.rng.percent(70) {
                    true => 3_000 + self.rng.between(65, 220),
                    false => seconds * 1000 + self.rng.between(0, 400) - 100,
                };
                self.wait_in_fin_wait2(&pair, ms);
            }
            _ => {
                let pair = self.pair(host);
                self.reuse_of_time_wait(&pair);
            }
        }
    }

    /// A connection over the only port of the range between two sockets of one host.
    pub(super) fn pair(&mut self, host: usize) -> Pair {
        let (low, _) = self.setting.range;
        self.sysctl_on(
            host,
            "net.ipv4.ip_local_port_range",
            &format!("{low} {low}"),
        );
        let server = self.socket_on(host, false, 0);
        // A port that no other situation of the program uses.
        let to = SocketAddr::from(([127, 0, 0, 1], 5100 + server as u16));
        self.bind_to(server, to);
        self.listen(server);
        let client = self.client_of(host, to);
        let child = self.accept(server);
        Pair {
            host,
            client,
            child,
            server,
            to,
        }
    }

    fn client_of(&mut self, host: usize, to: SocketAddr) -> usize {
        let client = self.socket_on(host, false, 0);
        self.connect_at(client, to);
        client
    }

    /// The server closes first and its listener is gone; the next SYN meets its TIME-WAIT socket.
    pub(super) fn server_goes(&mut self, pair: &Pair) {
        self.close(pair.child);
        self.close(pair.client);
        self.close(pair.server);
        self.client_of(pair.host, pair.to);
    }

    /// The client closes without a TIME-WAIT socket; its next SYN meets the peer's socket, which is
    /// still open.
    fn end_without_time_wait(&mut self, host: usize) {
        self.sysctl_on(host, "net.ipv4.tcp_max_tw_buckets", "0");
        let pair = self.pair(host);
        self.close(pair.client);
        let ms = self.rng.between(1, 150);
        self.push(Call::Sleep { ms });
        self.client_of(pair.host, pair.to);
    }

    /// The client waits in FIN-WAIT-2 for a FIN that does not come, and its port is bound again.
    pub(super) fn wait_in_fin_wait2(&mut self, pair: &Pair, ms: u32) {
        self.close(pair.client);
        self.push(Call::Sleep { ms });
        self.take_the_port(pair.host);
    }

    /// Sockets in FIN-WAIT-2 whose FIN does not come, one after the other. Timers of three seconds
    /// are rounded to a wheel of 256 ms: of sockets spaced like this, one certainly stays longer
    /// than an exact timer would allow.
    fn on_the_grid(&mut self, host: usize) {
        const APART_MS: u32 = 60;
        self.sysctl_on(host, "net.ipv4.tcp_fin_timeout", "3");
        let server = self.socket_on(host, false, 0);
        let own = |index: usize| SocketAddr::from(([127, 0, 0, 1], 5100 + index as u16));
        self.bind_to(server, own(server));
        self.listen(server);
        let mut clients = Vec::new();
        for _ in 0..4 {
            let client = self.socket_on(host, false, 0);
            self.bind_to(client, own(client));
            self.connect_at(client, own(server));
            self.accept(server);
            self.close(client);
            self.push(Call::Sleep { ms: APART_MS });
            clients.push(client);
        }
        let ms = 3_000 + self.rng.between(195, 215) - 4 * APART_MS;
        self.push(Call::Sleep { ms });
        for client in clients {
            let index = self.socket_on(host, false, 0);
            self.bind_to(index, own(client));
            self.push(Call::Sleep { ms: APART_MS });
        }
    }

    /// The client closed first, and the same connection is made again.
    pub(super) fn reuse_of_time_wait(&mut self, pair: &Pair) {
        self.close(pair.client);
        self.close(pair.child);
        // Certainly old enough with a tcp_tw_reuse_delay of 1 ms.
        self.push(Call::Sleep { ms: 130 });
        self.client_of(pair.host, pair.to);
    }

    /// Binds to the only port of the range.
    pub(super) fn take_the_port(&mut self, host: usize) {
        let (low, _) = self.setting.range;
        let index = self.socket_on(host, false, 0);
        self.bind_to(index, SocketAddr::from(([127, 0, 0, 1], low)));
    }
}

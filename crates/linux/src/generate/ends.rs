//! Ends of connections with one port in the range, so that what is left of one meets the next.

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
        match self.dice.below(12) {
            10.. => self.on_the_grid(host),
            0..3 => {
                let pair = self.pair(host);
                self.server_goes(&pair);
            }
            3..5 => self.end_without_stand_in(host),
            5..8 => {
                let seconds = self.dice.pick(&[1, 3, 3]);
                self.sysctl_on(host, "net.ipv4.tcp_fin_timeout", &seconds.to_string());
                let pair = self.pair(host);
                // Timers keep to a grid, so that those of three seconds are late by up to 256 ms.
                let ms = match seconds == 3 && self.dice.percent(70) {
                    true => 3_000 + self.dice.between(65, 220),
                    false => seconds * 1000 + self.dice.between(0, 400) - 100,
                };
                self.wait_in_fin_wait2(&pair, ms);
            }
            _ => {
                let pair = self.pair(host);
                self.reuse_of_the_stand_in(&pair);
            }
        }
    }

    /// A connection over the only port of the range, as good as ever two sockets of one host have it.
    pub(super) fn pair(&mut self, host: usize) -> Pair {
        let (low, _) = self.setting.range;
        self.sysctl_on(
            host,
            "net.ipv4.ip_local_port_range",
            &format!("{low} {low}"),
        );
        let server = self.socket_on(host, false, 0);
        // A port that no other situation of the program has.
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

    /// The server closes first and is gone; the next SYN meets its stand-in, behind which nobody listens.
    pub(super) fn server_goes(&mut self, pair: &Pair) {
        self.close(pair.child);
        self.close(pair.client);
        self.close(pair.server);
        self.client_of(pair.host, pair.to);
    }

    /// The client closes and leaves no stand-in; its next SYN meets the other end, which is still open.
    fn end_without_stand_in(&mut self, host: usize) {
        self.sysctl_on(host, "net.ipv4.tcp_max_tw_buckets", "0");
        let pair = self.pair(host);
        self.close(pair.client);
        let ms = self.dice.between(1, 150);
        self.push(Call::Sleep { ms });
        self.client_of(pair.host, pair.to);
    }

    /// The client's end waits for a FIN that does not come, and its port is asked for again.
    pub(super) fn wait_in_fin_wait2(&mut self, pair: &Pair, ms: u32) {
        self.close(pair.client);
        self.push(Call::Sleep { ms });
        self.take_the_port(pair.host);
    }

    /// Ends that wait for a FIN that does not come, one after the other. Timers of three seconds keep to a grid of 256 ms, so that of ends
    /// so far apart one is surely there for longer than an exact timer would let it.
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
        let ms = 3_000 + self.dice.between(195, 215) - 4 * APART_MS;
        self.push(Call::Sleep { ms });
        for client in clients {
            let index = self.socket_on(host, false, 0);
            self.bind_to(index, own(client));
            self.push(Call::Sleep { ms: APART_MS });
        }
    }

    /// The client closed first, and the same connection is asked for again.
    pub(super) fn reuse_of_the_stand_in(&mut self, pair: &Pair) {
        self.close(pair.client);
        self.close(pair.child);
        // With a tcp_tw_reuse_delay of 1 ms old enough beyond doubt.
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

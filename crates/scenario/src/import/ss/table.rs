//! The table that `ss -tan` prints, with or without `-o`, `-e`, `-p`, `-i`.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use crate::import::notes::Notes;

/// A row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) line: usize,
    pub(super) state: State,
    pub(super) local: SocketAddr,
    /// The other end; none for a listener.
    pub(super) peer: Option<SocketAddr>,
    /// Milliseconds that a TIME-WAIT still has, when `-o` was given.
    pub(super) left: Option<u64>,
}

/// What a state means for the port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Listen,
    /// A connection that holds its port, whichever of its ends is closed.
    Held,
    /// FIN-WAIT-2 of a socket that its program has closed.
    FinWait2,
    TimeWait,
}

/// Reads the table.
pub(super) fn rows(lines: &[(usize, &str)], notes: &mut Notes) -> Vec<Row> {
    let mut all = Vec::new();
    for (n, line) in lines {
        let words: Vec<&str> = line.split_whitespace().collect();
        // Further lines of one socket (`-i`) begin with a space; the heading is known by its words.
        if words.is_empty() || line.starts_with(char::is_whitespace) || line.contains("Recv-Q") {
            continue;
        }
        match row(*n, &words) {
            Read::Row(row) => all.push(row),
            Read::Skip(what) => notes.count(what, *n),
            Read::Odd => notes.odd(*n, line),
        }
    }
    all
}

enum Read {
    Row(Row),
    Skip(&'static str),
    Odd,
}

fn row(line: usize, words: &[&str]) -> Read {
    let words = match words.first() {
        // Without `-t`, the first column names the protocol.
        Some(&"tcp") => words.get(1..).unwrap_or_default(),
        Some(
            &("udp" | "u_str" | "u_dgr" | "u_seq" | "nl" | "raw" | "p_raw" | "p_dgr" | "icmp6"
            | "v_str" | "mptcp" | "sctp" | "tipc" | "xdp" | "???"),
        ) => {
            return Read::Skip("sockets of another kind than TCP");
        }
        _ => words,
    };
    let [state, _, _, local, peer, rest @ ..] = words else {
        return Read::Odd;
    };
    let state = match *state {
        "LISTEN" => State::Listen,
        "ESTAB" | "CLOSE-WAIT" | "FIN-WAIT-1" | "LAST-ACK" | "CLOSING" | "SYN-SENT" => State::Held,
        // With a timer of its own it is no socket any more, but holds the port all the same.
        "FIN-WAIT-2" => State::FinWait2,
        "TIME-WAIT" => State::TimeWait,
        "SYN-RECV" | "NEW-SYN-RECV" => {
            return Read::Skip("half-open connections (SYN-RECV), which hold no port of their own");
        }
        "UNCONN" => return Read::Skip("sockets without a connection (UNCONN)"),
        _ => return Read::Odd,
    };
    let Some(local) = address(local) else {
        return Read::Odd;
    };
    let peer = match (state, address(peer)) {
        (State::Listen, _) => None,
        (_, Some(peer)) if peer.port() != 0 => Some(peer),
        _ => return Read::Odd,
    };
    if local.port() == 0 {
        return Read::Odd;
    }
    let left = rest.iter().find_map(|word| timer(word));
    Read::Row(Row {
        line,
        state,
        local,
        peer,
        left,
    })
}

/// `192.168.0.4:3000`, `[::1]:80`, `*:80`, `127.0.0.1%lo:53`, `0.0.0.0:*`; mapped addresses become IPv4.
fn address(text: &str) -> Option<SocketAddr> {
    let (ip, port) = text.rsplit_once(':')?;
    let port = if port == "*" { 0 } else { port.parse().ok()? };
    let ip = ip.trim_start_matches('[').trim_end_matches(']');
    let ip = ip.split('%').next().unwrap_or_default();
    let ip = match ip.trim_end_matches(']') {
        "*" => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        ip => ip.parse::<IpAddr>().ok()?.to_canonical(),
    };
    Some(SocketAddr::new(ip, port))
}

/// `timer:(timewait,59sec,0)`
fn timer(word: &str) -> Option<u64> {
    let inner = word.strip_prefix("timer:(timewait,")?;
    let mut text = inner.split([',', ')']).next()?;
    let mut millis: u64 = 0;
    for (unit, length) in [("min", 60_000.0), ("ms", 1.0), ("sec", 1000.0)] {
        if let Some((number, rest)) = text.split_once(unit) {
            let number: f64 = number.parse().ok().filter(|n| (0.0..1e9).contains(n))?;
            millis = millis.saturating_add((number * length) as u64);
            text = rest;
        }
    }
    text.is_empty().then_some(millis)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(line: &str) -> Option<Row> {
        rows(&[(1, line)], &mut Notes::default()).pop()
    }

    #[test]
    fn rows_of_all_shapes() {
        let row = one("TIME-WAIT 0 0 192.168.0.12:40000 192.168.0.4:3000 timer:(timewait,59sec,0)")
            .expect("a row");
        assert_eq!((row.state, row.left), (State::TimeWait, Some(59_000)));
        let row = one("tcp LISTEN 0 128 *:22 *:* users:((\"sshd\"))").expect("a row");
        assert_eq!(
            (row.local.to_string().as_str(), row.peer),
            ("[::]:22", None)
        );
        let row = one("ESTAB 0 0 [::ffff:10.0.0.1]:40000 [::ffff:10.0.0.2]:80").expect("a row");
        assert_eq!(row.local.to_string(), "10.0.0.1:40000");
        let row = one("LISTEN 0 128 127.0.0.53%lo:53 0.0.0.0:*").expect("a row");
        assert_eq!(row.local.to_string(), "127.0.0.53:53");
        let row = one("ESTAB 0 0 [fe80::1%eth0]:40000 [fe80::2]:80").expect("a row");
        assert_eq!(row.local.to_string(), "[fe80::1]:40000");
        assert_eq!(one("State Recv-Q Send-Q Local Address:Port"), None);
        assert_eq!(one("ESTAB 0 0 localhost:http somewhere:1234"), None);
    }

    #[test]
    fn timers_are_read() {
        assert_eq!(timer("timer:(timewait,1min2sec,0)"), Some(62_000));
        assert_eq!(timer("timer:(timewait,450ms,0)"), Some(450));
        assert_eq!(timer("timer:(keepalive,1min,0)"), None);
        assert_eq!(timer("timer:(timewait,soon,0)"), None);
    }
}

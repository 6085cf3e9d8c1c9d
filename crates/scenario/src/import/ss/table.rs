//! Socket tables: `ss -tan` and `ss -uan`, with or without `-o`, `-e`, `-p`, `-i`, `-B` and
//! `--inet-sockopt`; `netstat -tuan`; `/proc/net/tcp`, `/proc/net/udp` and those of IPv6.

use std::borrow::Cow;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use fourtuple_syscall::{canonical, proc_address};
use indexmap::IndexMap;

use crate::import::notes::Notes;
use crate::value::Protocol;

/// A row of a socket table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) line: usize,
    pub(crate) protocol: Protocol,
    pub(crate) state: State,
    pub(crate) local: SocketAddr,
    /// The peer; `None` for a listener and for a socket that is only bound.
    pub(crate) peer: Option<SocketAddr>,
    /// The remaining milliseconds of a TIME-WAIT socket, if the table has timers.
    pub(crate) left: Option<u64>,
    /// The call that chose the port, if the table shows it: `IP_BIND_ADDRESS_NO_PORT`, which
    /// `--inet-sockopt` prints, or `port-by:` of a capture.
    pub(crate) chosen: Option<Chosen>,
}

/// The call that chose a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Chosen {
    Bind,
    Connect,
    Accept,
}

impl Chosen {
    fn of(line: &str) -> Option<Self> {
        // Names of processes may contain anything; a capture has none of them.
        let by = match line.split_once(" port-by:") {
            Some((before, call)) if !before.contains("users:(") => call.trim_end(),
            _ => "",
        };
        match by {
            "number" | "bind" => Some(Self::Bind),
            "connect" => Some(Self::Connect),
            "accept" => Some(Self::Accept),
            _ => line
                .contains("bind_address_no_port")
                .then_some(Self::Connect),
        }
    }
}

/// TCP states by their effect on the port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Listen,
    /// Bound, neither listening nor connected; also a UDP socket without a peer.
    Bound,
    /// A connection that holds its port; either end may be closed.
    Held,
    /// FIN-WAIT-2 of a socket that its program has closed.
    FinWait2,
    TimeWait,
}

/// Parses a table.
pub(crate) fn rows(lines: &[(usize, &str)], notes: &mut Notes) -> Vec<Row> {
    let mut all = Vec::new();
    // The rows since the last heading that do not name their protocol.
    let mut unnamed: Vec<usize> = Vec::new();
    for (n, line) in joined(lines) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let named = words.first().is_some_and(|word| protocol(word).is_some());
        let read = match words.as_slice() {
            [] => continue,
            // A heading, or the command line.
            [first, ..] if first.starts_with(['#', '$']) => continue,
            words if is_proc(words) => proc(words),
            _ if is_heading(&line) => {
                name_protocol(&mut all, &std::mem::take(&mut unnamed), notes);
                continue;
            }
            words => table(words, &line, n, notes),
        };
        match read {
            Read::Row(row) => {
                if !named && !is_proc(&words) {
                    unnamed.push(all.len());
                }
                all.push(Row { line: n, ..row });
            }
            Read::Skip(what) => notes.count(what, n),
            Read::Odd => notes.odd(n, &line),
        }
    }
    name_protocol(&mut all, &unnamed, notes);
    all
}

/// The protocol of the column that ss prints without `-t` and `-u`, and netstat always.
fn protocol(word: &str) -> Option<Protocol> {
    match word {
        "tcp" | "tcp6" => Some(Protocol::Tcp),
        "udp" | "udp6" => Some(Protocol::Udp),
        _ => None,
    }
}

/// Decides about a table without a column for the protocol: UDP sockets are `UNCONN` or `ESTAB`,
/// and none has a timer or listens.
fn name_protocol(all: &mut [Row], unnamed: &[usize], notes: &mut Notes) {
    let of_udp = |row: &Row| {
        matches!(row.state, State::Bound | State::Held)
            && row.left.is_none()
            && row.chosen.is_none()
    };
    let bound = unnamed.iter().any(|n| all[*n].state == State::Bound);
    if !bound || !unnamed.iter().all(|n| of_udp(&all[*n])) {
        return;
    }
    notes.assumed("a table with UNCONN and without a listener is one of UDP sockets, as `ss -uan` prints it; `ss -tuan` names the protocol");
    for n in unnamed {
        all[*n].protocol = Protocol::Udp;
    }
}

/// Adds the rows of another table of the same host. Of a socket that both show, timers and the
/// call that chose its port are kept from either.
pub(crate) fn merge(all: &mut Vec<Row>, more: Vec<Row>) {
    if all.is_empty() {
        *all = more;
        return;
    }
    let key = |row: &Row| {
        (
            row.protocol,
            row.local,
            row.peer,
            row.state == State::Listen,
        )
    };
    let mut known: IndexMap<_, usize> = IndexMap::new();
    for (n, row) in all.iter().enumerate() {
        known.entry(key(row)).or_insert(n);
    }
    for row in more {
        match known.get(&key(&row)).and_then(|n| all.get_mut(*n)) {
            Some(same) => {
                same.left = same.left.or(row.left);
                same.chosen = same.chosen.or(row.chosen);
            }
            None => all.push(row),
        }
    }
}

fn is_heading(line: &str) -> bool {
    line.contains("Recv-Q") || line.contains("local_address") || line.starts_with("Active Internet")
}

/// Joins lines with their continuations: the output of `-i` and `--inet-sockopt`, and lines wrapped
/// by a narrow terminal.
fn joined<'a>(lines: &[(usize, &'a str)]) -> Vec<(usize, Cow<'a, str>)> {
    let mut all: Vec<(usize, Cow<'a, str>)> = Vec::new();
    for (n, line) in lines {
        let indented = line.starts_with(char::is_whitespace);
        let more = indented && !starts_anew(line) && !is_heading(line);
        match all.last_mut() {
            Some((_, last)) if more && !is_heading(last) => {
                let last = last.to_mut();
                // The first continuation has the relevant fields; `-i` prints hundreds of words.
                if last.len() < 4096 {
                    last.push(' ');
                    last.push_str(line);
                }
            }
            _ => all.push((*n, Cow::Borrowed(line))),
        }
    }
    all
}

/// Returns `true` if a line that begins with a space is a row of its own.
fn starts_anew(line: &str) -> bool {
    let words: Vec<&str> = line.split_whitespace().take(5).collect();
    is_proc(&words) || words.first().is_some_and(|word| state(word).is_some())
}

enum Read {
    Row(Row),
    Skip(&'static str),
    Odd,
}

const HALF_OPEN: &str = "half-open connections (SYN-RECV), which hold no port of their own";

/// Parses a state name of ss and netstat. The error is the reason for ignoring the row.
fn state(word: &str) -> Option<Result<State, &'static str>> {
    Some(Ok(match word {
        "LISTEN" => State::Listen,
        "ESTAB" | "ESTABLISHED" | "CLOSE-WAIT" | "CLOSE_WAIT" | "FIN-WAIT-1" | "FIN_WAIT1"
        | "LAST-ACK" | "LAST_ACK" | "CLOSING" | "SYN-SENT" | "SYN_SENT" => State::Held,
        // With a timer of its own it is an `inet_timewait_sock`, which holds the port as well.
        "FIN-WAIT-2" | "FIN_WAIT2" => State::FinWait2,
        "TIME-WAIT" | "TIME_WAIT" => State::TimeWait,
        "UNCONN" => State::Bound,
        "SYN-RECV" | "NEW-SYN-RECV" | "SYN_RECV" => return Some(Err(HALF_OPEN)),
        _ => return None,
    }))
}

/// Parses a row of ss or netstat.
fn table(words: &[&str], line: &str, n: usize, notes: &mut Notes) -> Read {
    let protocol = words.first().and_then(|word| protocol(word));
    let words = match words.first() {
        Some(_) if protocol.is_some() => words.get(1..).unwrap_or_default(),
        Some(
            &("u_str" | "u_dgr" | "u_seq" | "nl" | "raw" | "p_raw" | "p_dgr" | "icmp6" | "v_str"
            | "mptcp" | "sctp" | "tipc" | "xdp" | "unix" | "???"),
        ) => {
            return Read::Skip("sockets other than TCP and UDP");
        }
        _ => words,
    };
    let number = |word: &str| word.parse::<u64>().is_ok();
    let (named, local, peer, rest) = match words {
        [state, received, sent, local, peer, rest @ ..] if number(received) && number(sent) => {
            (Some(*state), *local, *peer, rest)
        }
        // netstat prints the state after the addresses, and ss omits the column when its filter
        // names a state.
        [received, sent, local, peer, rest @ ..] if number(received) && number(sent) => {
            match rest.split_first() {
                Some((state, rest)) if !state.contains([':', '(']) => {
                    (Some(*state), *local, *peer, rest)
                }
                _ => (None, *local, *peer, rest),
            }
        }
        _ => return Read::Odd,
    };
    let (local, peer) = match (address(local), address(peer)) {
        (Ok(local), Ok(peer)) => (local, peer),
        (Err(what), _) | (_, Err(what)) => return what,
    };
    let left = rest
        .iter()
        .find_map(|word| timer(word))
        .or_else(|| netstat_timer(rest));
    let protocol = protocol.unwrap_or(Protocol::Tcp);
    let state = match (named, named.and_then(state)) {
        // UDP has two states, which netstat translates or leaves out.
        _ if protocol == Protocol::Udp && peer.port() == 0 => State::Bound,
        _ if protocol == Protocol::Udp => State::Held,
        (_, Some(Ok(state))) => state,
        (_, Some(Err(what))) => return Read::Skip(what),
        // netstat translates its states, and ss omits them when its filter names one.
        (Some(word), None) if word.contains(':') || word == "UNKNOWN" => return Read::Odd,
        (None, None) if left.is_some() => State::TimeWait,
        (_, None) => {
            notes.count("states that are not shown or not in English, assumed to be LISTEN without a peer and ESTABLISHED with one", n);
            if peer.port() == 0 {
                State::Listen
            } else {
                State::Held
            }
        }
    };
    let chosen = match protocol {
        Protocol::Tcp => Chosen::of(line),
        Protocol::Udp => None,
    };
    row(protocol, state, local, peer, left, chosen)
}

fn row(
    protocol: Protocol,
    state: State,
    local: SocketAddr,
    peer: SocketAddr,
    left: Option<u64>,
    chosen: Option<Chosen>,
) -> Read {
    if local.port() == 0 {
        return if state == State::Bound {
            Read::Skip("sockets without a port")
        } else {
            Read::Odd
        };
    }
    let peer = match state {
        State::Listen | State::Bound => None,
        _ if peer.port() == 0 => return Read::Odd,
        _ => Some(peer),
    };
    Read::Row(Row {
        line: 0,
        protocol,
        state,
        local,
        peer,
        left,
        chosen,
    })
}

/// Returns `true` for a row of `/proc/net/tcp` or `/proc/net/udp`: `0: 0100007F:0050 00000000:0000
/// 0A`
fn is_proc(words: &[&str]) -> bool {
    let hex = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_hexdigit());
    let [number, local, _, state, ..] = words else {
        return false;
    };
    let number = number.strip_suffix(':');
    number.is_some_and(|n| n.bytes().all(|b| b.is_ascii_digit()))
        && local
            .split_once(':')
            .is_some_and(|(ip, port)| hex(ip) && hex(port))
        && state.len() == 2
}

fn proc(words: &[&str]) -> Read {
    let [_, local, peer, state, rest @ ..] = words else {
        return Read::Odd;
    };
    // Taken to be of a little-endian machine.
    let address = |text| proc_address(text, true).map(canonical);
    let (Some(local), Some(peer)) = (address(local), address(peer)) else {
        return Read::Odd;
    };
    // A row of UDP ends with the datagrams dropped; one of TCP is longer, or in TIME-WAIT.
    let protocol = match (words.len(), *state) {
        (13, "01" | "07") => Protocol::Udp,
        _ => Protocol::Tcp,
    };
    let state = match *state {
        // connect() to port 0 is no error of UDP.
        "01" if protocol == Protocol::Udp && peer.port() == 0 => State::Bound,
        "0A" => State::Listen,
        "01" | "02" | "04" | "08" | "09" | "0B" => State::Held,
        "05" => State::FinWait2,
        "06" => State::TimeWait,
        "03" | "0C" => return Read::Skip(HALF_OPEN),
        "07" => State::Bound,
        _ => return Read::Odd,
    };
    // Timer 3 is the TIME-WAIT timer, in hundredths of a second.
    let left = rest
        .get(1)
        .and_then(|timer| timer.strip_prefix("03:"))
        .and_then(|left| u64::from_str_radix(left, 16).ok())
        .map(|left| left.saturating_mul(10));
    row(protocol, state, local, peer, left, None)
}

/// Parses `192.168.0.4:3000`, `[::1]:80`, `*:80`, `127.0.0.1%lo:53`, `0.0.0.0:*`, `:::80`. Mapped
/// addresses become IPv4.
fn address(text: &str) -> Result<SocketAddr, Read> {
    let (ip, port) = text.rsplit_once(':').ok_or(Read::Odd)?;
    let port = match port.parse() {
        Ok(port) => port,
        Err(_) if port == "*" => 0,
        Err(_) if port.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') => {
            return Err(Read::Skip(
                "rows with names instead of numbers; `-n` shows numbers",
            ));
        }
        Err(_) => return Err(Read::Odd),
    };
    let ip = ip.trim_start_matches('[');
    let ip = ip.split(['%', ']']).next().unwrap_or_default();
    let ip = match ip {
        "*" => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        ip => ip.parse::<IpAddr>().map_err(|_| Read::Odd)?.to_canonical(),
    };
    if matches!(ip, IpAddr::V6(ip) if ip.is_unicast_link_local()) {
        return Err(Read::Skip("sockets with link-local addresses"));
    }
    Ok(SocketAddr::new(ip, port))
}

/// Parses `timer:(timewait,59sec,0)`.
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

/// Parses `timewait (12.34/0/0)`.
fn netstat_timer(words: &[&str]) -> Option<u64> {
    let at = words.iter().position(|word| *word == "timewait")?;
    let seconds = words.get(at + 1)?.strip_prefix('(')?.split('/').next()?;
    let seconds: f64 = seconds.parse().ok().filter(|n| (0.0..1e9).contains(n))?;
    Some((seconds * 1000.0) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(text: &str) -> Vec<Row> {
        let lines: Vec<(usize, &str)> = text.lines().enumerate().collect();
        rows(&lines, &mut Notes::default())
    }

    fn one(line: &str) -> Option<Row> {
        all(line).pop()
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
        assert_eq!(one("ESTAB 0 0 [fe80::1%eth0]:40000 [fe80::2]:80"), None);
        assert_eq!(
            one("ESTAB 0 0 [fe80::1]%eth0:40000 [fe80::2]%eth0:80"),
            None
        );
        assert_eq!(one("State Recv-Q Send-Q Local Address:Port"), None);
        assert_eq!(one("ESTAB 0 0 localhost:http somewhere:1234"), None);
        let row = one("0 0 10.0.2.15:41234 192.0.2.10:443").expect("a filtered row");
        assert_eq!((row.state, row.local.port()), (State::Held, 41234));
        let row = one("tcp UNCONN 0 0 127.0.0.1:40000 0.0.0.0:*").expect("a bound socket");
        assert_eq!((row.state, row.peer), (State::Bound, None));
    }

    #[test]
    fn continued_rows_are_one() {
        let rows = all("ESTAB 0 0 10.0.0.5:41000 10.0.0.9:80\n\
             \t inet-sockopt: (recverr is_icsk bind_address_no_port)\n\
             TIME-WAIT 0 0 10.0.0.5:41001 10.0.0.9:80\n timer:(timewait,9sec,0)\n");
        assert_eq!(
            (rows[0].chosen, rows[1].chosen),
            (Some(Chosen::Connect), None)
        );
        assert_eq!(rows[1].left, Some(9_000));
    }

    #[test]
    fn netstat_is_read() {
        let row = one("tcp 0 0 10.0.0.5:41000 10.0.0.9:80 TIME_WAIT - timewait (12.34/0/0)")
            .expect("a row");
        assert_eq!((row.state, row.left), (State::TimeWait, Some(12_340)));
        let row = one("tcp6 0 0 :::80 :::* LISTEN 7/nginx").expect("a row");
        assert_eq!(
            (row.state, row.local.to_string().as_str()),
            (State::Listen, "[::]:80")
        );
        let row = one("tcp6 0 0 192.0.2.27:52673 192.0.2.19:53551 VERBUNDEN").expect("a row");
        assert_eq!(row.state, State::Held);
    }

    #[test]
    fn the_table_of_the_kernel_is_read() {
        let rows = all(
            "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when\n\
               0: 0100007F:0050 00000000:0000 0A 00000000:00000000 00:00000000 00000000\n\
               1: 0500000A:A028 0900000A:0050 06 00000000:00000000 03:00000F1A 00000000\n\
               2: 00000000000000000000000001000000:1F90 00000000000000000000000000000000:0000 0A 0:0 00:0\n",
        );
        assert_eq!(rows[0].local.to_string(), "127.0.0.1:80");
        assert_eq!(rows[1].local.to_string(), "10.0.0.5:41000");
        assert_eq!(
            (rows[1].state, rows[1].left),
            (State::TimeWait, Some(38_660))
        );
        assert_eq!(rows[2].local.to_string(), "[::1]:8080");
    }

    #[test]
    fn the_protocol_is_a_column_or_follows_from_the_states() {
        let protocols =
            |text: &str| -> Vec<Protocol> { all(text).iter().map(|row| row.protocol).collect() };
        let udp = "UNCONN 0 0 127.0.0.53%lo:53 0.0.0.0:*\nESTAB 0 0 10.0.0.5:41000 10.0.0.9:53\n";
        assert_eq!(protocols(udp), [Protocol::Udp; 2]);
        // A listener, and a table of connections.
        let bound = "UNCONN 0 0 127.0.0.1:40000 0.0.0.0:*\nLISTEN 0 128 *:22 *:*\n";
        assert_eq!(protocols(bound), [Protocol::Tcp; 2]);
        assert_eq!(
            protocols("ESTAB 0 0 10.0.0.5:41000 10.0.0.9:53\n"),
            [Protocol::Tcp]
        );
        // Each heading begins another table.
        let heading = "State Recv-Q Send-Q Local Address:Port Peer Address:Port Process\n";
        assert_eq!(
            protocols(&format!("{heading}{bound}{heading}{udp}")),
            [Protocol::Tcp, Protocol::Tcp, Protocol::Udp, Protocol::Udp]
        );
        let both = "udp UNCONN 0 0 *:5353 *:*\ntcp LISTEN 0 128 *:22 *:*\n\
                    udp6 0 0 :::123 :::*\nudp 0 0 10.0.0.5:68 10.0.0.1:67 VERBUNDEN\n";
        let [u, t] = [Protocol::Udp, Protocol::Tcp];
        assert_eq!(protocols(both), [u, t, u, u]);
        assert_eq!(all(both)[3].state, State::Held);
        let proc = "  427: 3500007F:0035 00000000:0000 07 00000000:00000000 00:00000000 00000000   101        0 18241 2 ffff8e0f4a3e8000 0\n";
        let two = format!("{proc}  sl  local_address remote_address st tx_queue rx_queue\n{proc}");
        assert_eq!(protocols(&two), [u, u]);
        let row = one(proc).expect("a row");
        assert_eq!((row.protocol, row.state), (u, State::Bound));
        assert_eq!(row.local.to_string(), "127.0.0.53:53");
    }

    #[test]
    fn tables_of_one_host_are_merged() {
        let mut rows =
            all("ESTAB 0 0 10.0.0.5:41000 10.0.0.9:80\nTIME-WAIT 0 0 10.0.0.5:41001 10.0.0.9:80\n");
        let netstat = "tcp 0 0 10.0.0.5:41001 10.0.0.9:80 TIME_WAIT - timewait (9/0/0)\n\
             tcp 0 0 10.0.0.5:41002 10.0.0.9:80 ESTABLISHED\n";
        merge(&mut rows, all(netstat));
        let ports: Vec<u16> = rows.iter().map(|row| row.local.port()).collect();
        assert_eq!(ports, [41000, 41001, 41002]);
        assert_eq!(rows[1].left, Some(9_000));
    }

    #[test]
    fn timers_are_read() {
        assert_eq!(timer("timer:(timewait,1min2sec,0)"), Some(62_000));
        assert_eq!(timer("timer:(timewait,450ms,0)"), Some(450));
        assert_eq!(timer("timer:(keepalive,1min,0)"), None);
        assert_eq!(timer("timer:(timewait,soon,0)"), None);
    }
}

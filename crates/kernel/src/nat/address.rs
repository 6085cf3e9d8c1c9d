//! The choice among several addresses of a `snat` rule (`find_best_ips_proto`).

use super::flow::FlowTuple;
use crate::addr::Ip;
use std::net::{IpAddr, Ipv4Addr};

/// The source address of a flow: a hash of the client's address and, unless `persistent`, of the
/// destination's. The hash has no secret, so that servers see a client come from the same address
/// even after a reboot. It does not look at ports that are taken: an address that is full is not
/// left for another.
///
/// Ranges of more than one address are IPv4 here.
pub(crate) fn source_address(tuple: &FlowTuple, range: (Ip, Ip), persistent: bool) -> Ip {
    if range.0 == range.1 {
        return range.0;
    }
    let [low, high, client, server] = [range.0, range.1, tuple.src, tuple.dst].map(ipv4);
    // The kernel hashes the words as they lie in memory.
    let seed = if persistent { 0 } else { server.swap_bytes() };
    let hash = jhash2([client.swap_bytes(), 0, 0, 0], seed);
    let addresses = u64::from(high - low) + 1;
    let offset = (u64::from(hash) * addresses) >> 32;
    Ipv4Addr::from(low + u32::try_from(offset).unwrap_or(0)).into()
}

fn ipv4(ip: Ip) -> u32 {
    match IpAddr::from(ip) {
        IpAddr::V4(ip) => ip.to_bits(),
        IpAddr::V6(_) => 0,
    }
}

/// Bob Jenkins' lookup3 over four words, as the kernel's `jhash2` has it.
fn jhash2(words: [u32; 4], seed: u32) -> u32 {
    let start = 0xdead_beef_u32.wrapping_add(4 << 2).wrapping_add(seed);
    let [mut a, mut b, mut c] = [words[0], words[1], words[2]].map(|word| start.wrapping_add(word));
    for (x, y, z, turn) in [
        (0, 2, 1, 4),
        (1, 0, 2, 6),
        (2, 1, 0, 8),
        (0, 2, 1, 16),
        (1, 0, 2, 19),
        (2, 1, 0, 4),
    ] {
        let mut v = [a, b, c];
        v[x] = v[x].wrapping_sub(v[y]) ^ v[y].rotate_left(turn);
        v[y] = v[y].wrapping_add(v[z]);
        [a, b, c] = v;
    }
    a = a.wrapping_add(words[3]);
    for (x, y, turn) in [
        (2, 1, 14),
        (0, 2, 11),
        (1, 0, 25),
        (2, 1, 16),
        (0, 2, 4),
        (1, 0, 14),
        (2, 1, 24),
    ] {
        let mut v = [a, b, c];
        v[x] = (v[x] ^ v[y]).wrapping_sub(v[y].rotate_left(turn));
        [a, b, c] = v;
    }
    c
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::addr::Endpoint;
    use fourtuple_syscall::Kind;

    /// The last bytes of the addresses that Linux 6.18 chose with `snat to 10.9.0.LOW-10.9.0.HIGH`
    /// for a client 10.C.0.2 and the servers 10.9.0.10 to 10.9.0.13.
    #[rustfmt::skip]
    const MEASURED: &[(u8, u8, bool, u8, [u8; 4])] = &[
        (1, 3, false, 1, [2, 2, 3, 2]),
        (1, 3, false, 2, [2, 3, 1, 3]),
        (1, 3, false, 3, [2, 2, 3, 2]),
        (1, 3, true, 1, [1, 1, 1, 1]),
        (1, 3, true, 2, [1, 1, 1, 1]),
        (1, 3, true, 3, [3, 3, 3, 3]),
        (2, 5, false, 1, [3, 4, 5, 3]),
        (2, 5, false, 2, [3, 5, 2, 5]),
        (2, 5, false, 3, [4, 4, 4, 4]),
    ];

    #[test]
    fn addresses_are_those_that_a_kernel_chose() {
        let ip = |bytes: [u8; 4]| Ip::from(Ipv4Addr::from(bytes));
        for &(low, high, persistent, client, want) in MEASURED {
            let range = (ip([10, 9, 0, low]), ip([10, 9, 0, high]));
            for (server, want) in (10..).zip(want) {
                let client = Endpoint::new(ip([10, client, 0, 2]), 80);
                let server = Endpoint::new(ip([10, 9, 0, server]), 80);
                let tuple = FlowTuple::new(Kind::Stream, client, server);
                let chosen = source_address(&tuple, range, persistent);
                assert_eq!(
                    chosen,
                    ip([10, 9, 0, want]),
                    "{client} {server} {persistent}"
                );
            }
        }
    }
}

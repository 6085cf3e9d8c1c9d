//! Lessons of random programs on real kernels (5.10.262 to 7.3.4): how connections end, and what is
//! left for the next call.

use crate::support::{Bench, S, kernel, ok};
use fourtuple_kernel::{Errno, Shutdown, SockOpt};
use rstest::rstest;
use rstest_reuse::{apply, template};
use std::net::SocketAddr;
use std::task::Poll;

#[template]
#[rstest]
#[case::linux_5_10_262("linux-5.10")]
#[case::debian_12_6_1("debian-12")]
#[case::debian_13_6_12("debian-13")]
#[case::linux_6_17("linux-6.17.13")]
#[case::linux_6_18("linux-6.18")]
#[case::linux_7_3("linux-7.3")]
fn fuzzed(#[case] name: &str) {}

fn bench(name: &str) -> Bench {
    Bench::local_with(kernel(name))
}

fn send(k: &mut Bench, s: S) -> Result<u32, Errno> {
    match k.w.send(s, 1) {
        Poll::Ready(r) => r,
        Poll::Pending => panic!("send() waits"),
    }
}

fn recv(k: &mut Bench, s: S) -> Result<u32, Errno> {
    match k.w.recv(s, 1) {
        Poll::Ready(r) => r,
        Poll::Pending => panic!("recv() waits"),
    }
}

#[apply(fuzzed)]
fn a_disconnect_leaves_its_error(#[case] name: &str) {
    let mut k = bench(name);
    let s = k.unbound_pair(k.s1);
    k.disconnect(s);
    assert_eq!(send(&mut k, s), Err(Errno::ECONNRESET));
    assert_eq!(send(&mut k, s), Err(Errno::EPIPE));
    let s = k.unbound_pair(k.s1);
    k.disconnect(s);
    assert_eq!(recv(&mut k, s), Err(Errno::ECONNRESET));
    assert_eq!(recv(&mut k, s), Err(Errno::ENOTCONN));
    // A listener does not look at it, and keeps it.
    let s = k.unbound_pair(k.s1);
    k.disconnect(s);
    k.listen(s).unwrap();
    assert_eq!(recv(&mut k, s), Err(Errno::ENOTCONN));
    assert_eq!(send(&mut k, s), Err(Errno::ECONNRESET));
}

#[apply(fuzzed)]
fn shutdown_of_an_unconnected_socket_lasts(#[case] name: &str) {
    let mut k = bench(name);
    let s = k.tcp();
    assert_eq!(k.w.shutdown(s, Shutdown::Both), Err(Errno::ENOTCONN));
    assert!(k.connect(s, k.s1).is_ok());
    assert_eq!(send(&mut k, s), Err(Errno::EPIPE));
    assert_eq!(recv(&mut k, s), Ok(0));
    // To itself: its own SYN opens it, so that its FIN follows.
    let mut k = bench(name);
    let s = k.tcp();
    k.bind(s, "127.0.0.1", 40000).unwrap();
    assert_eq!(k.w.shutdown(s, Shutdown::Write), Err(Errno::ENOTCONN));
    assert_eq!(k.connect(s, "127.0.0.1:40000"), Err(Errno::ECONNABORTED));
    // The TIME-WAIT of that connection holds the port.
    k.close(s);
    let next = k.tcp();
    assert_eq!(k.bind(next, "127.0.0.1", 40000), Err(Errno::EADDRINUSE));
}

#[apply(fuzzed)]
fn a_foreign_address_is_no_source(#[case] name: &str) {
    for (option, answer) in [
        (SockOpt::FreeBind(true), Err(Errno::ENETUNREACH)),
        (SockOpt::Transparent(true), Err(Errno::EINPROGRESS)),
    ] {
        let mut k = bench(name);
        let s = k.tcp();
        k.set(s, option);
        assert_eq!(k.bind(s, "10.99.0.1", 40000), ok(40000));
        assert_eq!(k.connect(s, k.s1), answer);
    }
}

#[apply(fuzzed)]
fn a_mapped_connect_that_fails_leaves_no_trace(#[case] name: &str) {
    let mut k = bench(name);
    k.range("40000 40000");
    k.unbound_pair(k.s1);
    let s = k.tcp6();
    // The only port is in use towards there.
    assert_eq!(
        k.connect(s, "[::ffff:127.0.0.1]:5001"),
        Err(Errno::EADDRNOTAVAIL)
    );
    // Afterwards its segments are answered.
    assert_eq!(k.connect(s, "[::1]:7000"), Err(Errno::ECONNREFUSED));
}

#[apply(fuzzed)]
fn a_socket_under_repair_is_silent(#[case] name: &str) {
    let mut k = bench(name);
    let s = k.tcp();
    k.set(s, SockOpt::Repair(true));
    assert_eq!(recv(&mut k, s), Err(Errno::EPERM));
    k.disconnect(s);
    assert_eq!(send(&mut k, s), Err(Errno::ECONNABORTED));
}

/// A client gets the port of an old connection again, whose TIME-WAIT socket is at the server's
/// end, where no listener is left. The answer to the challenge ends the TIME-WAIT socket, and the
/// SYN is repeated at once; under tcp_rfc1337 it does not, and only the first repetition comes at
/// once.
#[apply(fuzzed)]
fn time_wait_that_a_reset_does_not_end(#[case] name: &str) {
    let refused = |rfc1337: &str, every_ms: u64| {
        let mut k = bench(name);
        k.range("40000 40000").with("tcp_rfc1337", rfc1337);
        let l = k.serve("127.0.0.1:7000");
        let s = k.unbound_pair("127.0.0.1:7000");
        let c = k.peer(s);
        k.close(c);
        k.close(s);
        k.close(l);
        let again = k.tcp();
        let mut answer = k.connect(again, "127.0.0.1:7000");
        let mut ms = 0;
        while answer == Err(Errno::EINPROGRESS) {
            k.wait_ms(every_ms);
            ms += every_ms;
            answer = k.connected(again);
        }
        assert_eq!(answer, Err(Errno::ECONNREFUSED), "{name}, {rfc1337}");
        ms
    };
    assert_eq!(refused("0", 1), 8);
    // The first repetition of an unanswered SYN that finds the TIME-WAIT socket gone: the distances
    // are 1, 2, 4 ... s, on newer kernels 1, 1, 1, 1, 2, 4 ... s.
    let linear = kernel(name).syn_linear > 0;
    assert_eq!(
        refused("1", 500),
        if linear { 66_500 } else { 62_500 },
        "{name}"
    );
}

#[apply(fuzzed)]
fn a_mapped_address_does_not_fit_an_ipv4_socket(#[case] name: &str) {
    let mut k = bench(name);
    let mapped: SocketAddr = "[::ffff:127.0.0.1]:7000".parse().expect("an address");
    let (s, l) = (k.tcp(), k.tcp());
    assert_eq!(k.w.bind(s, mapped), Err(Errno::EAFNOSUPPORT));
    k.w.bind(l, SocketAddr::from(([127, 0, 0, 1], 7000)))
        .unwrap();
    k.listen(l).unwrap();
    let connected = k.w.connect(s, mapped);
    assert_eq!(connected, Poll::Ready(Err(Errno::EAFNOSUPPORT)));
    assert_eq!(k.connect(s, "127.0.0.1:7000").map(|_| ()), Ok(()));
}

#[apply(fuzzed)]
fn a_program_is_detached_once(#[case] name: &str) {
    let mut k = bench(name);
    let s = k.tcp();
    let attach = SockOpt::AttachReuseportBpf;
    assert_eq!(k.try_set(s, attach(false)), Err(Errno::EINVAL));
    k.set(s, SockOpt::ReusePort(true));
    assert_eq!(k.try_set(s, attach(false)), Err(Errno::ENOENT));
    assert_eq!(k.try_set(s, attach(true)), Ok(()));
    assert_eq!(k.try_set(s, attach(false)), Ok(()));
    assert_eq!(k.try_set(s, attach(false)), Err(Errno::ENOENT));
}

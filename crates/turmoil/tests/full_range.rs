//! One host holds a connection on every port of Linux's default range.

use fourtuple_turmoil::net::{TcpListener, TcpStream};
use fourtuple_turmoil::{BuildLinux, Errno, Linux, State, explain_last_error, ss};
use std::time::{Duration, SystemTime};

/// Ports in 32768-60999.
const RANGE: usize = 28_232;

#[test]
fn the_28233rd_connection_gets_the_kernels_errno() -> turmoil::Result {
    let mut sim = turmoil::Builder::new()
        .epoch(SystemTime::UNIX_EPOCH)
        .rng_seed(1)
        .simulation_duration(Duration::from_secs(3600))
        .min_message_latency(Duration::ZERO)
        .max_message_latency(Duration::ZERO)
        .build_linux(Linux::default());
    sim.host("server", || async {
        let listener = TcpListener::bind("0.0.0.0:80").await?;
        let mut accepted = Vec::new();
        loop {
            accepted.push(listener.accept().await?);
        }
    });
    sim.client("client", async {
        let mut held = Vec::new();
        for _ in 0..RANGE {
            held.push(TcpStream::connect("server:80").await?);
        }
        assert_eq!(ss("client")?.count(State::Established), RANGE);
        let refused = TcpStream::connect("server:80").await;
        let error = refused.expect_err("there is no port left");
        assert_eq!(error.raw_os_error(), Some(Errno::EADDRNOTAVAIL.number()));
        let why = explain_last_error().expect("a call failed");
        let refusal = why.refusal.as_ref().expect("the port model refused it");
        assert_eq!(refusal.tried as usize, RANGE, "{why}");

        // One port is enough, once a reset has freed it without TIME-WAIT.
        held.swap_remove(7).set_zero_linger()?;
        held.push(TcpStream::connect("server:80").await?);
        Ok(())
    });
    sim.run()
}

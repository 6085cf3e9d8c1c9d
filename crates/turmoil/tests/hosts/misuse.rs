//! Mistakes in tests are reported.

use fourtuple_turmoil::net::TcpListener;
use fourtuple_turmoil::{BuildLinux, Linux, LinuxSim};
use turmoil::{Builder, Sim};

/// Registers a host with turmoil itself: a `&mut LinuxSim` is accepted too.
fn add_host(sim: &mut Sim<'_>) {
    sim.client("plain", async {
        TcpListener::bind("0.0.0.0:80").await?;
        Ok(())
    });
}

#[test]
fn a_host_without_linux_is_reported_with_the_fix() {
    let mut sim = Builder::new().build_linux(Linux::default());
    add_host(&mut sim);
    let error = sim.run().unwrap_err();
    for text in [error.to_string(), format!("{error:?}")] {
        assert!(text.contains("have to take `&mut LinuxSim`"), "{text}");
    }
}

#[test]
#[should_panic(expected = "host `server` is registered already")]
fn a_configuration_that_comes_too_late_is_reported() {
    let mut sim = Builder::new().build_linux(Linux::default());
    sim.client("server", async { Ok(()) });
    sim.linux("server", Linux::default());
}

#[test]
fn a_configuration_of_no_host_is_reported() {
    let mut sim = LinuxSim::new(Builder::new().build(), Linux::default());
    sim.linux("sever", Linux::default());
    sim.client("server", async { Ok(()) });
    let error = sim.run().unwrap_err().to_string();
    assert!(error.contains("no host of that name"), "{error}");
    assert!(error.contains("`sever`"), "{error}");
}

//! A proxy that binds its source address uses a port for each connection, whatever the destination.
//! With `IP_BIND_ADDRESS_NO_PORT`, `connect` chooses the port and can use it for several
//! destinations.
//!
//! `cargo run -p fourtuple-turmoil --example proxy` prints how many connections fit; `cargo test`
//! asserts it.

use fourtuple_turmoil::net::{LinuxSocketExt, TcpListener, TcpSocket, TcpStream};
use fourtuple_turmoil::{BuildLinux, Linux};
use std::cell::RefCell;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::rc::Rc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// The address that upstreams expect the proxy to come from.
const SOURCE: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 7);

/// Connects to an upstream from the agreed source address.
async fn connect_from_source(to: SocketAddr, no_port: bool) -> io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    if no_port {
        socket.set_bind_address_no_port(true)?;
    }
    socket.bind((SOURCE, 0).into())?;
    socket.connect(to).await
}

/// Echoes one byte on each connection.
async fn upstream() -> turmoil::Result {
    let listener = TcpListener::bind("0.0.0.0:80").await?;
    loop {
        let (mut stream, from) = listener.accept().await?;
        assert_eq!(from.ip(), SOURCE);
        tokio::spawn(async move {
            while let Ok(byte) = stream.read_u8().await {
                stream.write_u8(byte).await?;
            }
            io::Result::Ok(())
        });
    }
}

/// Runs the proxy with four ports for eight clients, four for each of two upstreams. Returns the
/// errno of each client that failed.
fn serve(kernel: &str, no_port: bool) -> turmoil::Result<Vec<Option<i32>>> {
    let mut sim = turmoil::Builder::new()
        .rng_seed(1)
        .build_linux(Linux::default());
    let proxy = Linux::kernel(kernel)?
        .sysctl("net.ipv4.ip_local_port_range", "40000 40003")?
        .address(SOURCE);
    sim.linux("proxy", proxy);
    sim.host("red", upstream);
    sim.host("blue", upstream);
    let errors = Rc::new(RefCell::new(Vec::new()));
    let seen = Rc::clone(&errors);
    sim.client("proxy", async move {
        let mut held = Vec::new();
        for name in ["red", "blue"] {
            let to = SocketAddr::new(turmoil::lookup(name), 80);
            for byte in 0..4 {
                match connect_from_source(to, no_port).await {
                    Ok(mut stream) => {
                        stream.write_u8(byte).await?;
                        assert_eq!(stream.read_u8().await?, byte);
                        held.push(stream);
                        seen.borrow_mut().push(None);
                    }
                    Err(error) => seen.borrow_mut().push(error.raw_os_error()),
                }
            }
        }
        Ok(())
    });
    sim.run()?;
    drop(sim);
    Ok(Rc::into_inner(errors)
        .expect("the simulation is over")
        .into_inner())
}

fn main() -> turmoil::Result {
    for kernel in ["rhel-6.5", "linux-6.18"] {
        for no_port in [false, true] {
            let served = serve(kernel, no_port)?
                .iter()
                .filter(|e| e.is_none())
                .count();
            let option = if no_port { "with" } else { "without" };
            println!("{kernel} {option} IP_BIND_ADDRESS_NO_PORT: {served} of 8 clients served");
        }
    }
    Ok(())
}

#[test]
fn bound_connections_take_a_port_each() {
    let in_use = Some(fourtuple_turmoil::Errno::EADDRINUSE.number());
    let expected = vec![None, None, None, None, in_use, in_use, in_use, in_use];
    assert_eq!(serve("linux-6.18", false).unwrap(), expected);
}

#[test]
fn with_the_option_destinations_share_ports() {
    assert_eq!(serve("linux-6.18", true).unwrap(), vec![None; 8]);
}

#[test]
fn old_kernels_do_not_know_the_option() {
    let unknown = Some(fourtuple_turmoil::Errno::ENOPROTOOPT.number());
    assert_eq!(serve("rhel-6.5", true).unwrap(), vec![unknown; 8]);
}

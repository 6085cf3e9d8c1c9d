//! The kernel of this machine, in a network namespace: this program starts itself again inside of
//! it.

use crate::machine::RANGE;
use crate::sockets::{Cost, REFUSED};
use cpu_time::ThreadTime;
use socket2::{Domain, SockAddr, Socket, Type};
use std::io::{BufRead as _, BufReader, Read as _};
use std::net::{Ipv4Addr, SocketAddrV4, TcpStream};
use std::process::{Command, Stdio};

/// The argument with which this program runs inside the namespace.
pub(crate) const INSIDE: &str = "inside-a-namespace";
/// The argument with which it runs as one of the connecting processes there.
pub(crate) const PART: &str = "part-of-a-fill";
/// The line that such a process prints once it holds its connections.
const HELD: &str = "held";
/// Number of these processes.
const PARTS: usize = 3;
const SERVER: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::LOCALHOST, 80);

/// The measurements of the kernel.
pub(crate) struct Measured {
    pub(crate) cost: Cost,
    /// Nanoseconds of each connect of the fill.
    pub(crate) each: Vec<f64>,
}

/// Fills the range of a new namespace several times and returns the minimum for each connect.
pub(crate) fn measure(runs: usize) -> Result<Measured, String> {
    let this = std::env::current_exe().map_err(|e| e.to_string())?;
    let mut least: Option<Vec<f64>> = None;
    for _ in 0..runs {
        let output = Command::new("unshare")
            .args(["--map-root-user", "--net", "sh", "-c"])
            .arg(format!("ip link set lo up && exec \"$0\" {INSIDE}"))
            .arg(&this)
            .output()
            .map_err(|e| format!("failed to start unshare: {e}"))?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            return Err(said.lines().next().unwrap_or("no message").to_owned());
        }
        let text = String::from_utf8_lossy(&output.stdout);
        let times: Vec<f64> = text.lines().filter_map(|n| n.parse().ok()).collect();
        if times.len() != RANGE + 1 {
            return Err(format!(
                "{} measurements instead of {}",
                times.len(),
                RANGE + 1
            ));
        }
        least = Some(match least {
            None => times,
            Some(old) => old.iter().zip(&times).map(|(a, b)| a.min(*b)).collect(),
        });
    }
    let mut each = least.ok_or("expected at least one run")?;
    let refused = each.pop().unwrap_or_default();
    let fill = each.iter().sum::<f64>() / RANGE as f64;
    Ok(Measured {
        cost: Cost { fill, refused },
        each,
    })
}

/// Inside the namespace: prints the nanoseconds of each connect, then those of a refused one.
///
/// The connections are divided among processes, because a process may not have as many files as
/// there are ports. They are not accepted: they wait in the listener's queue.
pub(crate) fn inside() -> Result<(), std::io::Error> {
    std::fs::write("/proc/sys/net/core/somaxconn", "65535")?;
    let listener = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    listener.bind(&SockAddr::from(SERVER))?;
    listener.listen(65_535)?;
    let this = std::env::current_exe()?;
    let mut parts = Vec::new();
    for part in 0..PARTS {
        let count = (part + 1) * RANGE / PARTS - part * RANGE / PARTS;
        let mut child = Command::new(&this)
            .args([PART, &count.to_string(), &(part + 1 == PARTS).to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let lines = BufReader::new(child.stdout.take().expect("it is piped")).lines();
        for line in lines {
            let line = line?;
            if line == HELD {
                break;
            }
            println!("{line}");
        }
        parts.push(child);
    }
    for mut part in parts {
        drop(part.stdin.take());
        part.wait()?;
    }
    Ok(())
}

/// One of the processes: makes its connections and holds them until its input ends. The last one
/// also measures refused connects.
pub(crate) fn part(count: Option<String>, last: Option<String>) -> Result<(), std::io::Error> {
    let count = count.and_then(|n| n.parse().ok()).unwrap_or(0);
    rlimit::increase_nofile_limit(count + 100)?;
    let mut held = Vec::new();
    let mut times = Vec::new();
    for _ in 0..count {
        // socket(), connect(), and the work of the peer: the loopback interface does it in the same
        // call.
        let start = ThreadTime::now();
        let client = TcpStream::connect(SERVER)?;
        times.push(start.elapsed());
        held.push(client);
    }
    if last.as_deref() == Some("true") {
        let start = ThreadTime::now();
        for _ in 0..REFUSED {
            let refused = TcpStream::connect(SERVER);
            assert!(refused.is_err(), "the range is full");
        }
        times.push(start.elapsed() / REFUSED as u32);
    }
    for time in times {
        println!("{}", time.as_nanos());
    }
    println!("{HELD}");
    std::io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}

//! Writes the page of measurements.

use crate::bounds::{Bound, Bounds};
use crate::clock::best;
use crate::kernel;
use crate::loads::{LOADS, Load};
use crate::machine::RANGE;
use crate::machine::rounds::{FILLED, KERNELS};
use crate::{command, instructions, nat, plot, real, sockets};
use fourtuple_kernel::Profile;
use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

const HEAD: &str = "\
# Performance

This page is written by `cargo run --profile dist -p fourtuple-bench` (after `cargo build --profile dist`, the profile of
the binaries that are handed out); do not edit it. Times are CPU time of the thread, the minimum of several runs. The table by fill has the lower quartile of 200 batches of 64
calls; for the running kernel, each connect is the minimum of five fills.
`cargo bench -p fourtuple-kernel` measures single calls with criterion and counts their instructions, `cargo bench -p fourtuple-turmoil` whole
simulations.
";

/// Writes one row of a table.
fn row(page: &mut String, cells: &[String]) {
    let _ = writeln!(page, "| {} |", cells.join(" | "));
}

fn table(page: &mut String, heads: &[&str]) {
    row(
        page,
        &heads.iter().map(|h| (*h).to_owned()).collect::<Vec<_>>(),
    );
    let rule: Vec<String> = (0..heads.len())
        .map(|n| if n == 0 { "---" } else { "---:" }.to_owned())
        .collect();
    row(page, &rule);
}

/// Measures everything and writes the page and its plot.
pub(crate) fn write(top: &Path) -> Result<(), String> {
    let mut bounds = Bounds::default();
    // First of all: the maximum resident set of a child includes what this process had when it was
    // started.
    let processes = whole_process(top, &mut bounds)?;
    let mut figures = String::new();
    model(&mut figures, &mut bounds);
    reasons(&mut figures);
    figures += &counted(top)?;
    held(&mut figures, &mut bounds);
    side_by_side(&mut figures, top, &mut bounds)?;
    nat_host(&mut figures, &mut bounds)?;
    simulations(&mut figures, &mut bounds);
    let measured_on = format!("\nMeasured on {}.\n", machine());
    let page = [HEAD, &measured_on, &bounds.section(), &figures, &processes].concat();
    let file = top.join("docs/performance.md");
    std::fs::write(&file, page).map_err(|e| format!("{}: {e}", file.display()))
}

/// Describes the machine.
fn machine() -> String {
    let cpu = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "))
        .map_or("unknown model", |(_, name)| name);
    let count = std::thread::available_parallelism().map_or(1, usize::from);
    format!("{count} CPUs ({model}), {}", kernel_name())
}

/// The running kernel's version without its builder's suffix.
fn kernel_name() -> String {
    let release = release();
    let version = release.split('-').next().unwrap_or_default();
    format!("Linux {version}")
}

fn release() -> String {
    let text = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    text.trim().to_owned()
}

fn model(page: &mut String, bounds: &mut Bounds) {
    page.push_str("\n## The model: nanoseconds per call\n\nA call is socket() and connect() up to the established connection, or socket() and bind() to port 0. *Whole range*\nis the mean over all 28,232 ports on a machine that has just booted.\n\n");
    table(
        page,
        &[
            "kernel",
            "connect, whole range",
            "in all",
            "bind, whole range",
            "connect refused, full",
            "connect refused, all bound",
        ],
    );
    let (mut most, mut most_refused) = ([0.0; 2], 0.0);
    for name in KERNELS {
        let (connect, bind) = kernel::whole_range(name);
        let (full, poisoned) = kernel::refused(name);
        most = [connect.max(most[0]), bind.max(most[1])];
        most_refused = full.max(poisoned).max(most_refused);
        row(
            page,
            &[
                name.to_owned(),
                format!("{connect:.0}"),
                format!("{:.1} ms", connect * RANGE as f64 / 1e6),
                format!("{bind:.0}"),
                format!("{full:.0}"),
                format!("{poisoned:.0}"),
            ],
        );
    }
    for (call, most) in ["connect", "bind"].into_iter().zip(most) {
        let name = format!("nanoseconds of a {call}, whole range");
        bounds.add(name, Some(most), Bound::AtMost(350.0));
    }
    let name = "nanoseconds of a refused connect";
    bounds.add(name, Some(most_refused), Bound::AtMost(200.0));
    page.push_str("\nA connect() to one destination, by the percentage of the range that connections to it occupy:\n\n");
    table(
        page,
        &["kernel", "0 %", "50 %", "90 %", "99 %", "the last 64 ports"],
    );
    for name in KERNELS {
        let mut cells = vec![name.to_owned()];
        cells
            .extend([0, 50, 90, 99, 100].map(|fill| format!("{:.0}", kernel::at_fill(name, fill))));
        row(page, &cells);
    }
}

fn reasons(page: &mut String) {
    page.push_str("\nThe model can report why each port was refused. Nanoseconds of a connect() with this tracing disabled and enabled:\n\n");
    table(
        page,
        &[
            "kernel",
            "made, disabled",
            "made, enabled",
            "refused, disabled",
            "refused, enabled",
        ],
    );
    for name in KERNELS {
        let (made, refused) = kernel::reasons(name, false);
        let (made_asked, refused_asked) = kernel::reasons(name, true);
        let cells = [made, made_asked, refused, refused_asked].map(|ns| format!("{ns:.0}"));
        row(page, &[vec![name.to_owned()], cells.to_vec()].concat());
    }
}

const COUNTED: &str = "\n## The model: instructions per call\n";

fn counted(top: &Path) -> Result<String, String> {
    let mut page = COUNTED.to_owned();
    let counts = match instructions::count(top)? {
        Ok(counts) => counts,
        Err(reason) => {
            let _ = writeln!(page, "\nMissing here: {reason}.");
            return Ok(page);
        }
    };
    page.push_str("\nCounted by valgrind, the mean of 64 calls once all tables have grown, by the percentage of the range that is taken. At 100 % only the\nconnect to a 9th destination succeeds, all others are refused, and the connections that end are the last 64.\n\n");
    let filled = FILLED.map(|filled| format!("{filled} %"));
    let mut heads = vec!["call", "kernel"];
    heads.extend(filled.iter().map(String::as_str));
    table(&mut page, &heads);
    for (call, words) in instructions::CALLS {
        for kernel in KERNELS {
            let mut cells = vec![words.to_owned(), kernel.to_owned()];
            cells.extend(counts[&(call, kernel)].map(|count| format!("{count:.0}")));
            row(&mut page, &cells);
        }
    }
    Ok(page)
}

fn held(page: &mut String, bounds: &mut Bounds) {
    page.push_str("\n## Growth\n\nConnections held by one machine of the model, spread evenly over the destinations. Bytes include all allocations. The cost of one\nmore connection does not grow with their number, as the instructions show; the time does, once they exceed the caches.\n\n");
    table(
        page,
        &[
            "connections",
            "destinations",
            "bytes each",
            "instructions each",
            "nanoseconds each",
        ],
    );
    let sizes = [
        (1_000, 64),
        (10_000, 64),
        (100_000, 64),
        (1_000_000, 64),
        (10_000_000, 640),
    ];
    let mut all = Vec::new();
    for (connections, destinations) in sizes {
        let (bytes, time) = kernel::held(connections, destinations);
        let counted = instructions::held(connections, destinations);
        all.extend(counted);
        row(
            page,
            &[
                connections.to_string(),
                destinations.to_string(),
                format!("{bytes:.0}"),
                counted.map_or_else(|| "-".to_owned(), |count| format!("{count:.0}")),
                format!("{time:.0}"),
            ],
        );
    }
    let least = all.iter().copied().reduce(f64::min);
    let growth = all.iter().copied().reduce(f64::max).zip(least);
    bounds.add(
        "instructions of a connection, 1,000 to 10,000,000 of them: most by least",
        growth.map(|(most, least)| most / least),
        Bound::AtMost(instructions::LINEAR),
    );
}

fn side_by_side(page: &mut String, top: &Path, bounds: &mut Bounds) -> Result<(), String> {
    page.push_str("\n## Side by side\n\nThe same calls in one run: connections from one host to one listener until all 28,232 ports are taken (28,000 on\nturmoil, where they are accepted as well), each held, then 1,000 connects that find no port.\n\n");
    let profile = running()?;
    let model = sockets::model(&profile);
    let (stock, linux) = sockets::turmoil_sockets();
    let kernel = real::measure(5);
    let cost = kernel.as_ref().ok().map(|kernel| kernel.cost);
    bound_ratios(bounds, model, cost, linux / stock);
    table(
        page,
        &[
            "what runs",
            "ns per connection",
            "times the model",
            "ns per refused connect",
            "times the model",
        ],
    );
    let with = |fill: f64, refused: Option<f64>| {
        let ratio = |a: f64, b: f64| format!("{:.1}", a / b);
        let none = || "-".to_owned();
        [
            format!("{fill:.0}"),
            ratio(fill, model.fill),
            refused.map_or_else(none, |r| format!("{r:.0}")),
            refused.map_or_else(none, |r| ratio(r, model.refused)),
        ]
    };
    let mut line = |name: String, fill: f64, refused: Option<f64>| {
        let mut cells = vec![name];
        cells.extend(with(fill, refused));
        row(page, &cells);
    };
    line(
        format!("model of {}", profile.name),
        model.fill,
        Some(model.refused),
    );
    if let Ok(kernel) = &kernel {
        let name = format!("{} in a namespace", kernel_name());
        line(name, kernel.cost.fill, Some(kernel.cost.refused));
    }
    line("turmoil's own sockets".to_owned(), stock, None);
    line("fourtuple's sockets for turmoil".to_owned(), linux, None);
    let _ = writeln!(
        page,
        "\nfourtuple's sockets take {:.2} times as long as turmoil's own.",
        linux / stock
    );
    match kernel {
        Err(reason) => {
            let _ = writeln!(page, "\nThe running kernel was not measured: {reason}.");
        }
        Ok(kernel) => cost_curve(page, top, &profile, &kernel.each)?,
    }
    Ok(())
}

/// Prints the section about NAT hosts with its bounds.
pub(crate) fn print_nat() -> Result<(), String> {
    let (mut page, mut bounds) = (String::new(), Bounds::default());
    nat_host(&mut page, &mut bounds)?;
    println!("{page}{}", bounds.section());
    Ok(())
}

/// The profile of the running kernel.
fn running() -> Result<Profile, String> {
    let profile = fourtuple_linux::profile_of(&release());
    profile.ok_or_else(|| "the model does not know the running kernel".to_owned())
}

/// A NAT host whose ports are filled, beside nftables.
fn nat_host(page: &mut String, bounds: &mut Bounds) -> Result<(), String> {
    page.push_str("\n## A NAT host\n\nConnections of a client through a masquerading host to one listener until all 64,512 ports are taken. Bytes are those that a\nconnection takes more than without the NAT host.\n\n");
    let profile = running()?;
    let model = nat::model(&profile);
    let kernel = nat::kernel(3);
    table(page, &["what runs", "ns per connection", "bytes per flow"]);
    let mut line = |name: String, nanos: f64, bytes: String| {
        row(page, &[name, format!("{nanos:.0}"), bytes]);
    };
    let name = format!("model of {}", profile.name);
    line(name, model.nanos, format!("{:.0}", model.bytes));
    let name = "the same without the NAT host".to_owned();
    line(name, model.direct, "-".to_owned());
    if let Ok(nanos) = kernel {
        let name = format!("nftables on {}", kernel_name());
        line(name, nanos, "-".to_owned());
    }
    if let Err(reason) = &kernel {
        let _ = writeln!(page, "\nnftables was not measured: {reason}.");
    }
    let name = "nanoseconds of a connection through a NAT host, 64,512 ports";
    bounds.add(name, Some(model.nanos), Bound::AtMost(1000.0));
    let name = "bytes of a flow of a NAT host";
    bounds.add(name, Some(model.bytes), Bound::AtMost(200.0));
    Ok(())
}

/// Whole simulations on turmoil's own sockets and on those with Linux's ports.
fn simulations(page: &mut String, bounds: &mut Bounds) {
    page.push_str("\n## Simulations on turmoil's sockets and on Linux's\n\nThe same program with both, in alternation. Packets take turmoil's default latency of 0 to 100 ms unless the row says otherwise.\nSimulated time is longer where Linux's is: a connect takes a round trip, and a window bounds what is under way.\n\n");
    table(
        page,
        &[
            "load",
            "turmoil",
            "fourtuple",
            "ratio",
            "simulated",
            "simulated",
        ],
    );
    for load in LOADS {
        let [stock, linux] = alternate(load, 5);
        let ratio = linux.0 / stock.0;
        bounds.add(
            format!("CPU time, {}: times turmoil", load.name),
            Some(ratio),
            Bound::AtMost(load.bound),
        );
        let millis = |nanos: f64| format!("{:.0} ms", nanos / 1e6);
        let seconds = |time: Duration| format!("{:.3} s", time.as_secs_f64());
        row(
            page,
            &[
                load.name.to_owned(),
                millis(stock.0),
                millis(linux.0),
                format!("{ratio:.2}"),
                seconds(stock.1),
                seconds(linux.1),
            ],
        );
    }
}

/// The least nanoseconds of CPU time of a load on both kinds of sockets, and its simulated time.
fn alternate(load: &Load, runs: usize) -> [(f64, Duration); 2] {
    let mut least = [(f64::INFINITY, Duration::ZERO); 2];
    for _ in 0..runs {
        for (least, run) in least.iter_mut().zip([load.stock, load.linux]) {
            let took = best(1, || least.1 = run());
            least.0 = least.0.min(took);
        }
    }
    least
}

/// Adds the ratios between what runs side by side. `held` is that of the sockets for turmoil.
fn bound_ratios(
    bounds: &mut Bounds,
    model: sockets::Cost,
    kernel: Option<sockets::Cost>,
    held: f64,
) {
    let times = [
        (
            "fill of the range",
            kernel.map(|cost| cost.fill / model.fill),
            700.0,
        ),
        (
            "refused connect",
            kernel.map(|cost| cost.refused / model.refused),
            8000.0,
        ),
    ];
    for (name, times, least) in times {
        let name = format!("{name}: time of the running kernel by the model's");
        bounds.add(name, times, Bound::AtLeast(least));
    }
    let name = "28,000 connections held on turmoil: time by that of turmoil's own sockets";
    bounds.add(name, Some(held), Bound::AtMost(1.0));
}

/// Draws the ports that each connect of a fill examines beside the time that it took the kernel.
fn cost_curve(
    page: &mut String,
    top: &Path,
    profile: &Profile,
    each: &[f64],
) -> Result<(), String> {
    let examined = sockets::examined_by_each(profile);
    let file = top.join("docs/connect-cost.svg");
    plot::draw(&file, &profile.name, &examined, each).map_err(|e| e.to_string())?;
    let _ = writeln!(
        page,
        "\n![Ports examined as the model predicts, and microseconds as measured](connect-cost.svg)\n\nThe model also predicts what a connect() costs the kernel: the number of ports that its port selection examines. Over the fill the two\ncurves, means of 250 connects, have a correlation of {:.2}; most of it comes from the step where the ports of\none parity are used up.",
        plot::correlation(&examined, each)
    );
    Ok(())
}

/// A run of the command, with its bounds.
struct Run {
    arguments: &'static str,
    times: usize,
    /// The most milliseconds, milliseconds of CPU time, and MiB.
    most: [Option<f64>; 3],
}

const RUNS: [Run; 5] = [
    Run {
        arguments: "scenarios/rhel-6.5/connect-after-bind.yaml --engine model",
        times: 20,
        most: [Some(5.0), None, None],
    },
    Run {
        arguments: "scenarios/rhel-6.5/full-size.yaml --engine model",
        times: 10,
        most: [Some(60.0), None, Some(48.0)],
    },
    Run {
        arguments: "scenarios --engine model",
        times: 3,
        most: [Some(300.0), None, None],
    },
    Run {
        arguments: "scenarios --engine model --kernel all",
        times: 3,
        most: [Some(4000.0), None, Some(512.0)],
    },
    Run {
        arguments: "scenarios --engine model,turmoil",
        times: 3,
        most: [None, Some(7000.0), None],
    },
];

fn whole_process(top: &Path, bounds: &mut Bounds) -> Result<String, String> {
    let mut page = "\n## The command\n\nWhole processes, from start to exit.\n\n".to_owned();
    let units = ["ms", "ms of CPU time", "MiB"];
    table(
        &mut page,
        &["`fourtuple run`", units[0], units[1], units[2]],
    );
    for run in RUNS {
        let arguments: Vec<&str> = run.arguments.split(' ').collect();
        let took = command::run(top, &[&["run"], &arguments[..]].concat(), run.times)?;
        let took = [took.wall, took.processor, took.memory];
        let mut cells = vec![format!("`{}`", run.arguments)];
        cells.extend(took.map(|value| format!("{value:.0}")));
        row(&mut page, &cells);
        for ((unit, took), most) in units.into_iter().zip(took).zip(run.most) {
            if let Some(most) = most {
                let name = format!("`run {}`, {unit}", run.arguments);
                bounds.add(name, Some(took), Bound::AtMost(most));
            }
        }
    }
    Ok(page)
}

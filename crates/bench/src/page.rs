//! Writes the page of measurements.

use crate::kernel;
use crate::machine::RANGE;
use crate::machine::rounds::{FILLED, KERNELS};
use crate::{command, instructions, plot, real, sockets};
use std::fmt::Write as _;
use std::path::Path;

const HEAD: &str = "\
# Performance

This page is written by `cargo run --release -p fourtuple-bench` (after `cargo build --release`); do not edit it. Times
are CPU time of the thread, the minimum of several runs. The table by fill has the lower quartile of 200 batches of 64
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
    // First of all: the maximum resident set of a child includes what this process had when it was
    // started.
    let processes = whole_process(top)?;
    let mut page = HEAD.to_owned();
    let _ = writeln!(page, "\nMeasured on {}.", machine());
    model(&mut page);
    reasons(&mut page);
    page += &counted(top)?;
    held(&mut page);
    side_by_side(&mut page, top)?;
    page += &processes;
    let file = top.join("docs/performance.md");
    std::fs::write(&file, page).map_err(|e| format!("{}: {e}", file.display()))
}

/// Counts instructions and replaces them in the existing page: they do not depend on the load.
pub(crate) fn write_instructions(top: &Path) -> Result<(), String> {
    rewrite(top, |page| {
        let end = page.find(GROWTH)?;
        let start = page.find(COUNTED).unwrap_or(end);
        Some(counted(top).map(|part| [&page[..start], &part, &page[end..]].concat()))
    })
}

/// Measures whole processes only and replaces them in the existing page.
pub(crate) fn write_command(top: &Path) -> Result<(), String> {
    rewrite(top, |page| {
        let start = page.find(COMMAND)?;
        Some(whole_process(top).map(|part| [&page[..start], &part].concat()))
    })
}

/// Replaces a part of the existing page.
fn rewrite(
    top: &Path,
    anew: impl FnOnce(&str) -> Option<Result<String, String>>,
) -> Result<(), String> {
    let file = top.join("docs/performance.md");
    let failed = |e: std::io::Error| format!("{}: {e}", file.display());
    let page = std::fs::read_to_string(&file).map_err(failed)?;
    let no_section = || Err(format!("{} has no such section", file.display()));
    let page = anew(&page).unwrap_or_else(no_section)?;
    std::fs::write(&file, page).map_err(failed)
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

fn model(page: &mut String) {
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
    for name in KERNELS {
        let (connect, bind) = kernel::whole_range(name);
        let (full, poisoned) = kernel::refused(name);
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

const GROWTH: &str = "\n## Growth\n";

fn held(page: &mut String) {
    page.push_str(GROWTH);
    page.push_str("\nConnections held by one machine of the model, spread evenly over the destinations. Bytes include all allocations. The cost of one\nmore connection does not grow with their number, as the instructions show; the time does, once they exceed the caches.\n\n");
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
    for (connections, destinations) in sizes {
        let (bytes, time) = kernel::held(connections, destinations);
        let counted = instructions::held(connections, destinations);
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
}

fn side_by_side(page: &mut String, top: &Path) -> Result<(), String> {
    page.push_str("\n## Side by side\n\nThe same calls in one run: connections from one host to one listener until all 28,232 ports are taken (28,000 on\nturmoil, where they are accepted as well), each held, then 1,000 connects that find no port.\n\n");
    let profile = fourtuple_linux::profile_of(&release())
        .ok_or("the model does not know the running kernel")?;
    let model = sockets::model(&profile);
    let (stock, linux) = sockets::turmoil_sockets();
    let kernel = real::measure(5);
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
        Ok(kernel) => {
            let examined = sockets::examined_by_each(&profile);
            let file = top.join("docs/connect-cost.svg");
            plot::draw(&file, &profile.name, &examined, &kernel.each).map_err(|e| e.to_string())?;
            let _ = writeln!(
                page,
                "\n![Ports examined as the model predicts, and microseconds as measured](connect-cost.svg)\n\nThe model also predicts what a connect() costs the kernel: the number of ports that its port selection examines. Over the fill the two\ncurves, means of 250 connects, have a correlation of {:.2}; most of it comes from the step where the ports of\none parity are used up.",
                plot::correlation(&examined, &kernel.each)
            );
        }
    }
    Ok(())
}

const COMMAND: &str = "\n## The command\n";

fn whole_process(top: &Path) -> Result<String, String> {
    let mut page = format!("{COMMAND}\nWhole processes, from start to exit.\n\n");
    table(
        &mut page,
        &[
            "`fourtuple run ... --engine model`",
            "ms",
            "ms of CPU time",
            "MiB",
        ],
    );
    let runs: [(&str, &[&str], usize); 4] = [
        (
            "`scenarios/rhel-6.5/connect-after-bind.yaml`",
            &["scenarios/rhel-6.5/connect-after-bind.yaml"],
            20,
        ),
        (
            "`scenarios/rhel-6.5/full-size.yaml`",
            &["scenarios/rhel-6.5/full-size.yaml"],
            10,
        ),
        ("`scenarios`", &["scenarios"], 3),
        (
            "`scenarios`, on all kernels",
            &["scenarios", "--kernel", "all"],
            3,
        ),
    ];
    for (name, arguments, times) in runs {
        let mut all = vec!["run", "--engine", "model"];
        all.extend(arguments);
        let took = command::run(top, &all, times)?;
        row(
            &mut page,
            &[
                name.to_owned(),
                format!("{:.0}", took.wall),
                format!("{:.0}", took.processor),
                format!("{:.0}", took.memory),
            ],
        );
    }
    Ok(page)
}

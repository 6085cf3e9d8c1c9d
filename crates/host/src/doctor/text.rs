//! A report for people.

use std::fmt::Write as _;

use super::{Destination, Effect, Interval, Pair, Program, Report};
use crate::document::printable;

/// Programs and listeners that are named; more are counted.
const NAMED: usize = 8;

impl std::fmt::Display for Interval {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let text = match self.at_least == self.at_most {
            true => self.at_least.to_string(),
            false => format!("{} to {}", self.at_least, self.at_most),
        };
        f.pad(&text)
    }
}

impl std::fmt::Display for Pair {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.destination {
            Some(to) => write!(f, "{} -> {to}", self.source),
            None => write!(f, "{} -> any other", self.source),
        }
    }
}

impl Report {
    /// The report as text.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut out = String::new();
        // Writing to a string cannot fail.
        let _ = writeln!(
            out,
            "Linux {} (as {}), {} TCP sockets, ephemeral ports {}-{}: {} and {} reserved",
            printable(&self.kernel),
            self.profile,
            self.sockets,
            self.range.low,
            self.range.high,
            self.range.ports,
            self.range.reserved
        );
        self.destinations_to_text(&mut out);
        self.origins_to_text(&mut out);
        listed(
            &mut out,
            "Bound sockets close ports to connect():",
            &self.blockers,
            "ports",
        );
        if !self.listeners.is_empty() {
            out.push_str("\nListeners inside the range; another program may get their ports while they restart:\n");
            for one in self.listeners.iter().take(NAMED) {
                let _ = writeln!(out, "  {} ({})", one.at, printable(&one.program));
            }
            more(&mut out, self.listeners.len());
            out.push_str("  = help: reserve them with net.ipv4.ip_local_reserved_ports\n");
        }
        let title = "Sockets in CLOSE-WAIT: the peer has closed and the program has not:";
        listed(&mut out, title, &self.close_wait, "sockets");
        if !self.settings.is_empty() {
            out.push_str("\nSettings:\n");
            for note in &self.settings {
                let _ = writeln!(out, "  {}", printable(note));
            }
        }
        self.fixes_to_text(&mut out);
        out
    }

    fn destinations_to_text(&self, out: &mut String) {
        if self.destinations.is_empty() {
            out.push_str("\nNo connection from a port of the range.\n");
            return;
        }
        let watched = self
            .destinations
            .iter()
            .any(|one| one.growth_per_second.is_some());
        let mut heading = [
            "connections",
            "held",
            "TIME-WAIT",
            "connect()s left",
            "bind()s left",
        ]
        .map(str::to_owned)
        .to_vec();
        if watched {
            heading.extend(["per second", "lasts"].map(str::to_owned));
        }
        let mut rows = vec![heading];
        for one in &self.destinations {
            let mut row = vec![
                one.pair.to_string(),
                one.held.to_string(),
                one.time_wait.to_string(),
                one.connects_left.to_string(),
                one.binds_left.to_string(),
            ];
            if watched {
                row.extend(growth(one));
            }
            rows.push(row);
        }
        out.push('\n');
        table(out, &rows);
        if self.more_destinations > 0 {
            let _ = writeln!(
                out,
                "and {} more destinations with fewer sockets",
                self.more_destinations
            );
        }
    }

    fn origins_to_text(&self, out: &mut String) {
        let origins = self.origins;
        let _ = writeln!(
            out,
            "\nPorts of the range: bind() chose those of {} sockets, connect() of {}, accept() of {}, unknown {}.",
            origins.bind, origins.connect, origins.accept, origins.unknown
        );
        let _ = writeln!(
            out,
            "{} ports are closed to connect(), whatever the destination.",
            self.blocked
        );
        let most = self
            .destinations
            .iter()
            .map(|one| one.connects_left.at_most);
        if self.stays_closed && origins.bind > 0 && most.max() > Some(self.without_sockets) {
            let _ = writeln!(
                out,
                "This kernel keeps a port closed after its binder has ended while other sockets have the port, which no capture shows: in the worst case {} connect()s are left to any destination.",
                self.without_sockets
            );
        }
        if origins.unknown > 0 {
            out.push_str(
                "The first number of an interval holds if bind() chose the unknown ports, the second if connect() did.\n  = help: --assume connect or --assume bind, if you know what the programs do\n",
            );
        }
    }

    fn fixes_to_text(&self, out: &mut String) {
        let Some(pair) = self.fixes_for.filter(|_| !self.fixes.is_empty()) else {
            return;
        };
        let _ = writeln!(out, "\nChanges tried for {pair}, connect()s left:");
        let mut sorted: Vec<_> = self.fixes.iter().collect();
        sorted.sort_by_key(|fix| (fix.effect, std::cmp::Reverse(fix.connects_left.at_least)));
        let rows: Vec<Vec<String>> = sorted
            .iter()
            .map(|fix| {
                let effect = match fix.effect {
                    Effect::Helps => "helps",
                    Effect::MayHelp => "may help",
                    Effect::None => "no effect",
                };
                vec![
                    format!("  {effect}"),
                    fix.connects_left.to_string(),
                    fix.change.clone(),
                ]
            })
            .collect();
        table(out, &rows);
    }
}

/// The columns of a destination that was watched.
fn growth(one: &Destination) -> [String; 2] {
    let rate = one
        .growth_per_second
        .map_or_else(String::new, |rate| format!("{rate:+}"));
    let lasts = one.lasts_seconds.map_or_else(
        || "-".to_owned(),
        |seconds| match seconds {
            0..120 => format!("{seconds} s"),
            120..7200 => format!("{} min", seconds / 60),
            _ => format!("{} h", seconds / 3600),
        },
    );
    [rate, lasts]
}

fn listed(out: &mut String, title: &str, programs: &[Program], unit: &str) {
    if programs.is_empty() {
        return;
    }
    let _ = writeln!(out, "\n{title}");
    for one in programs.iter().take(NAMED) {
        let _ = writeln!(out, "  {}: {} {unit}", printable(&one.program), one.count);
    }
    more(out, programs.len());
}

fn more(out: &mut String, count: usize) {
    if count > NAMED {
        let _ = writeln!(out, "  and {} more", count - NAMED);
    }
}

/// Writes rows in columns; the first is on the left, numbers on the right, and what follows the
/// last number on the left again.
fn table(out: &mut String, rows: &[Vec<String>]) {
    let columns = rows.first().map_or(0, Vec::len);
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    for row in rows {
        let mut line = String::new();
        for (n, (cell, width)) in row.iter().zip(&widths).enumerate() {
            let text = n == 0 || n + 1 == columns && cell.contains(' ') && columns == 3;
            let gap = if n == 0 { "" } else { "  " };
            let _ = match text {
                true => write!(line, "{gap}{cell:<width$}"),
                false => write!(line, "{gap}{cell:>width$}"),
            };
        }
        out.push_str(line.trim_end());
        out.push('\n');
    }
}

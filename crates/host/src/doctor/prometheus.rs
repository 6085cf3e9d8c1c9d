//! A report in the text format of Prometheus, for node_exporter's textfile collector.

use std::fmt::Write as _;

use super::{Interval, Report};

impl Report {
    /// The report as metrics.
    #[must_use]
    pub fn to_prometheus(&self) -> String {
        let mut out = Metrics::default();
        out.metric(
            "fourtuple_capture_timestamp_seconds",
            "Time of the capture of the sockets, in seconds since 1970.",
        );
        out.value(&[], self.time);
        out.metric(
            "fourtuple_ephemeral_ports",
            "Ports of net.ipv4.ip_local_port_range without reserved ones.",
        );
        out.value(&[], self.range.ports);
        out.metric(
            "fourtuple_ephemeral_ports_used_ratio",
            "Used part of the range towards the destination that runs out first.",
        );
        out.value(&[], f64::from(self.used_percent()) / 100.0);
        out.metric(
            "fourtuple_ports_blocked",
            "Ports of the range that connect() skips because bind() or listen() touched them.",
        );
        out.interval(&[], self.blocked);
        self.destinations_to(&mut out);
        out.metric(
            "fourtuple_listeners_in_range",
            "Listeners on ports of the range that are not reserved.",
        );
        out.value(&[], self.listeners.len());
        out.metric(
            "fourtuple_close_wait_sockets",
            "Sockets in CLOSE-WAIT, whose peer has closed, by program.",
        );
        for one in &self.close_wait {
            out.value(&[("program", &one.program)], one.count);
        }
        out.text
    }

    fn destinations_to(&self, out: &mut Metrics) {
        let labels: Vec<(String, String)> = self
            .destinations
            .iter()
            .map(|one| {
                let to = one.pair.destination;
                let to = to.map_or_else(|| "new".to_owned(), |to| to.to_string());
                (one.pair.source.to_string(), to)
            })
            .collect();
        let rows = || {
            let labels = labels.iter();
            labels
                .map(|(source, to)| [("source", source.as_str()), ("destination", to.as_str())])
                .zip(&self.destinations)
        };
        out.metric(
            "fourtuple_destination_sockets",
            "Sockets from ports of the range to a destination, by state.",
        );
        for (labels, one) in rows() {
            for (state, count) in [("held", one.held), ("time_wait", one.time_wait)] {
                let labels = [labels[0], labels[1], ("state", state)];
                out.value(&labels, count);
            }
        }
        out.metric(
            "fourtuple_destination_connects_left",
            "Calls of connect() to a destination that will succeed, by the port model.",
        );
        for (labels, one) in rows() {
            out.interval(&labels, one.connects_left);
        }
    }
}

/// Metrics, all of them gauges.
#[derive(Default)]
struct Metrics {
    text: String,
    name: &'static str,
}

impl Metrics {
    fn metric(&mut self, name: &'static str, help: &str) {
        self.name = name;
        // Writing to a string cannot fail.
        let _ = writeln!(self.text, "# HELP {name} {help}\n# TYPE {name} gauge");
    }

    fn value(&mut self, labels: &[(&str, &str)], value: impl std::fmt::Display) {
        let labels: Vec<String> = labels
            .iter()
            .map(|(name, value)| format!("{name}=\"{}\"", escaped(value)))
            .collect();
        let labels = match labels.is_empty() {
            true => String::new(),
            false => format!("{{{}}}", labels.join(",")),
        };
        let _ = writeln!(self.text, "{}{labels} {value}", self.name);
    }

    fn interval(&mut self, labels: &[(&str, &str)], interval: Interval) {
        for (bound, value) in [
            ("at_least", interval.at_least),
            ("at_most", interval.at_most),
        ] {
            let mut labels = labels.to_vec();
            labels.push(("bound", bound));
            self.value(&labels, value);
        }
    }
}

/// A label value: backslashes, quotes and line feeds are escaped.
fn escaped(value: &str) -> String {
    value
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}

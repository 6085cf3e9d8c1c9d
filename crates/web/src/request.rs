//! The requests of the page.

use serde::Deserialize;

/// A request, `{ "do": "run", "text": "about: ..." }`.
#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "do", rename_all = "kebab-case")]
pub enum Request {
    /// The version, and the kernels in the order of history.
    About,
    /// The errors of a scenario.
    Check {
        /// The scenario.
        #[serde(flatten)]
        asked: Asked,
    },
    /// Settings without effect, and likely surprises.
    Lint {
        /// The scenario.
        #[serde(flatten)]
        asked: Asked,
    },
    /// The outcome, as `fourtuple run` prints it and in parts.
    Run {
        /// The scenario.
        #[serde(flatten)]
        asked: Asked,
    },
    /// The outcome as the document of `fourtuple run --format json`.
    Document {
        /// The scenario.
        #[serde(flatten)]
        asked: Asked,
    },
    /// The text of `fourtuple explain`.
    Explain {
        /// The scenario.
        #[serde(flatten)]
        asked: Asked,
    },
    /// Every call with the bind buckets after it.
    Steps {
        /// The scenario.
        #[serde(flatten)]
        asked: Asked,
        /// The case, by its place among those of the scenario.
        #[serde(default)]
        point: usize,
    },
    /// Kernels with equal outcomes, and the changes between them.
    Compare {
        /// The scenario.
        #[serde(flatten)]
        asked: Asked,
    },
    /// Fixes that were tried, with the changed scenario of each.
    Fixes {
        /// The scenario.
        #[serde(flatten)]
        asked: Asked,
        /// The most calls that the trials make.
        #[serde(default = "most_calls")]
        calls: u64,
    },
    /// Connections that fit, and the cost of each.
    Capacity {
        /// The scenario.
        #[serde(flatten)]
        asked: Asked,
    },
    /// A scenario of the sockets of a host.
    Import {
        /// The captures.
        #[serde(flatten)]
        host: Captures,
    },
    /// The parts of a capture that an import understands.
    Understood {
        /// The capture.
        #[serde(flatten)]
        capture: Capture,
    },
}

/// A scenario with what overrides it.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Asked {
    /// The text of the scenario.
    pub text: String,
    /// The path that outcomes and errors name.
    #[serde(default = "file")]
    pub file: String,
    /// The kernels instead of the scenario's own: names, ranges, or `all`.
    #[serde(default)]
    pub kernel: Vec<String>,
    /// The seed instead of the scenario's own.
    #[serde(default)]
    pub seed: Option<u64>,
    /// True if the answer is wanted although it takes long.
    #[serde(default)]
    pub patient: bool,
}

/// Captures of one host.
#[derive(Clone, Debug, Deserialize)]
pub struct Captures {
    /// Tables of sockets, and `sysctl -a`.
    pub captures: Vec<Capture>,
    /// The kernels of the scenario.
    #[serde(default)]
    pub kernel: Vec<String>,
}

/// The output of a tool.
#[derive(Clone, Debug, Deserialize)]
pub struct Capture {
    /// The tool.
    pub tool: Tool,
    /// Its output.
    pub text: String,
}

/// A tool that shows the sockets or the settings of a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub enum Tool {
    /// `ss -tan`, with or without further options.
    #[serde(rename = "ss")]
    Ss,
    /// `netstat -tan`.
    #[serde(rename = "netstat")]
    Netstat,
    /// `/proc/net/tcp` and `/proc/net/tcp6`.
    #[serde(rename = "/proc/net/tcp")]
    Proc,
    /// `sysctl -a`.
    #[serde(rename = "sysctl")]
    Sysctl,
}

impl Tool {
    /// The name by which notes name its lines.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Tool::Ss => "ss",
            Tool::Netstat => "netstat",
            Tool::Proc => "/proc/net/tcp",
            Tool::Sysctl => "sysctl",
        }
    }
}

fn file() -> String {
    "scenario.yaml".to_owned()
}

/// The default of `fourtuple remedies`.
fn most_calls() -> u64 {
    1_500_000
}

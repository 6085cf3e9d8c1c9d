//! One run: a scenario on one kernel at one point of its matrix.

use std::sync::Arc;
use std::time::Duration;

use indexmap::IndexMap;

use super::{Body, Check, ExpectBlock, Host, Network, Program};
use crate::span::Spanned;

/// One run of a scenario, ready for an interpreter. Parts that are equal on all kernels are shared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Case {
    /// The scenario's name, such as `rhel-6.5/connect-after-bind`.
    pub scenario: String,
    /// The path of the file as given, with `/` as separator; empty for a generated scenario.
    pub file: String,
    /// The question that the scenario asks.
    pub about: String,
    /// The kernel, by the name that the scenario used for it.
    pub kernel: String,
    /// The value of each matrix axis, in the order of the file; empty without a matrix.
    pub axes: Arc<IndexMap<String, String>>,
    /// Seed of all randomness.
    pub seed: u64,
    /// Length of TIME-WAIT; `None` for the kernel's own, 60 seconds.
    pub time_wait: Option<Duration>,
    /// The network between the hosts.
    pub network: Network,
    /// The hosts by name, in the order of the file.
    pub hosts: Arc<IndexMap<String, Host>>,
    /// The program that runs on them.
    pub program: Arc<Program>,
    /// Expectations that apply to this kernel, in the order of the file.
    pub expect: Vec<Spanned<Check>>,
}

impl Case {
    /// The kernel of a host: its own if it names one, otherwise the kernel of the case.
    pub fn kernel_of(&self, host: &str) -> &str {
        self.hosts
            .get(host)
            .and_then(|host| host.kernel.as_ref())
            .map_or(self.kernel.as_str(), |kernel| kernel.value.as_str())
    }

    /// The point of the matrix, each axis as `name=value`; empty without a matrix.
    #[must_use]
    pub fn point(&self) -> Vec<String> {
        let axes = self.axes.iter();
        axes.map(|(name, value)| format!("{name}={value}"))
            .collect()
    }

    /// Mutable hosts, copied if other cases share them.
    pub fn hosts_mut(&mut self) -> &mut IndexMap<String, Host> {
        Arc::make_mut(&mut self.hosts)
    }

    /// The mutable program, copied if other cases share it.
    pub fn program_mut(&mut self) -> &mut Program {
        Arc::make_mut(&mut self.program)
    }

    /// The running part as a scenario's [`Body`].
    pub fn body(&self) -> Body {
        let expect = match self.expect.as_slice() {
            [] => Vec::new(),
            checks => vec![ExpectBlock {
                kernel: None,
                checks: checks.to_vec(),
            }],
        };
        Body {
            seed: self.seed,
            time_wait: self.time_wait,
            network: self.network.clone(),
            hosts: (*self.hosts).clone(),
            program: (*self.program).clone(),
            expect,
        }
    }
}

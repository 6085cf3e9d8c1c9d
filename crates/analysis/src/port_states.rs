//! Port states: the bind buckets of every host after each call, to step through a run.

use std::collections::BTreeMap;

use fourtuple_harness::{EngineError, Model, Name};
use fourtuple_kernel::BucketView;
use fourtuple_kernel::profile::Profile;
use fourtuple_scenario::{Case, PortRange};

use crate::edit;
use crate::port_timeline::{Kinds, Use};

/// The bind buckets of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortStates {
    /// The hosts, with their ranges of local ports.
    pub hosts: Vec<(Name, PortRange)>,
    /// The states in order; the first one is that before the first call.
    pub states: Vec<PortState>,
    /// True if the run makes more calls than were recorded.
    pub truncated: bool,
}

/// The changes of one call, or of the time before it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortState {
    /// Virtual time since the start.
    pub at_ns: u64,
    /// The number of calls so far.
    pub calls: usize,
    /// The ports that changed since the state before.
    pub changes: Vec<PortChange>,
}

/// A port that changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortChange {
    /// The host, by its place in [`PortStates::hosts`].
    pub host: usize,
    /// The port.
    pub port: u16,
    /// Its use from now on, and its bucket; none if it became free.
    pub now: Option<(Use, BucketView)>,
}

/// Runs a case on the model and records the buckets of all hosts after each of the first
/// `most_calls` calls.
///
/// # Errors
/// When the model cannot run the case.
pub fn port_states(
    case: &Case,
    profile: &Profile,
    most_calls: usize,
) -> Result<PortStates, EngineError> {
    let high = profile.behaviours.range_high;
    let hosts = case.hosts.keys();
    let mut recorder = Recorder {
        ports: hosts.clone().map(|_| BTreeMap::new()).collect(),
        made: PortStates {
            hosts: hosts
                .map(|name| (name.as_str().into(), edit::range_of(case, name, high)))
                .collect(),
            states: Vec::new(),
            truncated: false,
        },
    };
    Model::watched(case, profile, &mut |net, moment| {
        if moment.calls > most_calls {
            recorder.made.truncated = true;
            return;
        }
        let buckets = net.hosts.iter().map(|host| net.world.buckets(host.ns));
        recorder.look(net.elapsed(), moment.calls, buckets);
    })?;
    Ok(recorder.made)
}

/// A port in use, with its owners as they were known before.
type Known = (Kinds, Use, BucketView);

struct Recorder {
    /// The ports of each host.
    ports: Vec<BTreeMap<u16, Known>>,
    made: PortStates,
}

impl Recorder {
    fn look(&mut self, at_ns: u64, calls: usize, hosts: impl Iterator<Item = Vec<BucketView>>) {
        let mut changes = Vec::new();
        for (host, (ports, buckets)) in self.ports.iter_mut().zip(hosts).enumerate() {
            let mut gone = std::mem::take(ports);
            for bucket in buckets {
                let port = bucket.port;
                let before = gone.remove(&port);
                let mut kinds = before.clone().map(|(kinds, ..)| kinds).unwrap_or_default();
                kinds.follow(&bucket);
                let what = kinds.what(&bucket);
                if before.is_none_or(|(_, old, view)| (old, &view) != (what, &bucket)) {
                    let now = Some((what, bucket.clone()));
                    changes.push(PortChange { host, port, now });
                }
                ports.insert(port, (kinds, what, bucket));
            }
            changes.extend(gone.into_keys().map(|port| PortChange {
                host,
                port,
                now: None,
            }));
        }
        let last = self.made.states.last();
        if !changes.is_empty() || last.is_none_or(|last| last.calls != calls) {
            self.made.states.push(PortState {
                at_ns,
                calls,
                changes,
            });
        }
    }
}

//! Port timeline: the use of each port of a host over virtual time.
//!
//! Sampled during a run of the model; the outcome format does not contain it.

use std::collections::BTreeMap;

use fourtuple_harness::{EngineError, Model, Name};
use fourtuple_kernel::BucketView;
use fourtuple_kernel::profile::Profile;
use fourtuple_scenario::{Case, PortRange};

use crate::edit::port_list;

/// Ranges up to this size are kept port by port; of larger ones only how many ports are used for
/// what.
pub const PORTS_SHOWN: u32 = 64;
/// Most samples of one run.
pub const SAMPLES: usize = 120;

/// The use of a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Use {
    /// No socket has it.
    Free,
    /// connect() chose it; other connections may share it.
    Connect,
    /// bind() or listen() holds it, so that connect() passes it over.
    Bound,
    /// Only connections that connect() made are left, but its bucket keeps the mark of a bind():
    /// connect() still passes it over.
    Poisoned,
    /// Only connections in TIME-WAIT hold it.
    TimeWait,
    /// The sysctl keeps it out of every search.
    Reserved,
}

impl Use {
    /// All uses, in the order of a legend.
    pub const ALL: [Use; 6] = [
        Use::Free,
        Use::Connect,
        Use::Bound,
        Use::Poisoned,
        Use::TimeWait,
        Use::Reserved,
    ];

    /// The word for people.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Use::Free => "free",
            Use::Connect => "connect-made",
            Use::Bound => "bound",
            Use::Poisoned => "poisoned",
            Use::TimeWait => "TIME-WAIT",
            Use::Reserved => "reserved",
        }
    }

    /// One letter, for those who see no colour.
    #[must_use]
    pub const fn letter(self) -> &'static str {
        match self {
            Use::Free => "",
            Use::Connect => "C",
            Use::Bound => "B",
            Use::Poisoned => "P",
            Use::TimeWait => "T",
            Use::Reserved => "R",
        }
    }

    const fn place(self) -> usize {
        self as usize
    }
}

/// The ports at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sample {
    /// Virtual time since the start.
    pub at_ns: u64,
    /// The number of ports for each use, in the order of [`Use::ALL`].
    pub counts: [u32; 6],
    /// The use of each port of the range; empty for a large range.
    pub uses: Vec<Use>,
}

impl Sample {
    /// Returns the number of ports used for this.
    #[must_use]
    pub fn count(&self, what: Use) -> u32 {
        self.counts[what.place()]
    }
}

/// The ports of one host over time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortTimeline {
    /// The host.
    pub host: Name,
    /// Its range of local ports.
    pub range: PortRange,
    /// The moments at which something was different from before, in order; the first one is the
    /// start.
    pub samples: Vec<Sample>,
}

/// Runs a case on the model and watches the ports of its hosts. Hosts on which nothing happened to
/// the range are left out. `calls` is how many calls the case makes, so that long runs are looked
/// at now and then only.
///
/// # Errors
/// When the model cannot run the case.
pub fn port_timelines(
    case: &Case,
    profile: &Profile,
    calls: usize,
) -> Result<Vec<PortTimeline>, EngineError> {
    let mut recorder = Recorder {
        hosts: BTreeMap::new(),
        every: (calls / SAMPLES).max(1),
        looks: 0,
    };
    for (name, host) in &*case.hosts {
        let set = |key: &str| host.sysctl.get(key).map(String::as_str);
        let range = set("net.ipv4.ip_local_port_range").and_then(ends);
        let range = range.unwrap_or(PortRange::new(32768, profile.behaviours.range_high));
        let reserved = set("net.ipv4.ip_local_reserved_ports").unwrap_or_default();
        let host = HostRecorder::new(range, reserved);
        recorder.hosts.insert(name.as_str().into(), host);
    }
    Model::watched(case, profile, &mut |net, moment| {
        if moment.is_turn_over && recorder.is_due(moment.is_end) {
            for host in &net.hosts {
                recorder.look(net.elapsed(), &host.name, &net.world.buckets(host.ns));
            }
        }
    })?;
    let mut timelines = Vec::new();
    for (name, host) in recorder.hosts {
        if host.samples.len() > 1 {
            timelines.push(PortTimeline {
                host: name,
                range: host.range,
                samples: host.samples,
            });
        }
    }
    let place = |timeline: &PortTimeline| case.hosts.get_index_of(&*timeline.host);
    timelines.sort_by_key(place);
    Ok(timelines)
}

fn ends(value: &str) -> Option<PortRange> {
    let mut parts = value.split(|c: char| c.is_whitespace() || c == '-');
    let (low, high) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
    (low <= high).then(|| PortRange::new(low, high))
}

/// Collects the samples of all hosts.
struct Recorder {
    hosts: BTreeMap<Name, HostRecorder>,
    every: usize,
    looks: usize,
}

impl Recorder {
    /// Something has happened; whether it is time to look.
    fn is_due(&mut self, last: bool) -> bool {
        self.looks += 1;
        last || (self.looks - 1).is_multiple_of(self.every.max(1))
    }

    /// Looks at a host.
    fn look(&mut self, at_ns: u64, host: &Name, buckets: &[BucketView]) {
        if let Some(host) = self.hosts.get_mut(host) {
            host.look(at_ns, buckets);
        }
    }
}

struct HostRecorder {
    range: PortRange,
    reserved: Vec<PortRange>,
    /// The sockets of each port while its bucket was marked: by bind() or listen(). The rest came
    /// by connect().
    kinds: BTreeMap<u16, Kinds>,
    samples: Vec<Sample>,
}

/// Owners of one port by their addresses.
#[derive(Clone, Debug, Default)]
pub(crate) struct Kinds {
    binders: BTreeMap<String, u32>,
    all: BTreeMap<String, u32>,
}

impl HostRecorder {
    fn new(range: PortRange, reserved: &str) -> Self {
        HostRecorder {
            range,
            reserved: port_list(reserved),
            kinds: BTreeMap::new(),
            samples: Vec::new(),
        }
    }

    fn look(&mut self, at_ns: u64, buckets: &[BucketView]) {
        let size = self.range.size();
        let mut uses = vec![Use::Free; size as usize];
        for PortRange { low, high } in &self.reserved {
            for port in (*low.max(&self.range.low))..=(*high.min(&self.range.high)) {
                uses[usize::from(port - self.range.low)] = Use::Reserved;
            }
        }
        let mut gone = std::mem::take(&mut self.kinds);
        for bucket in buckets
            .iter()
            .filter(|bucket| self.range.contains(bucket.port))
        {
            let mut kinds = gone.remove(&bucket.port).unwrap_or_default();
            kinds.follow(bucket);
            uses[usize::from(bucket.port - self.range.low)] = kinds.what(bucket);
            self.kinds.insert(bucket.port, kinds);
        }
        let mut counts = [0; 6];
        for what in &uses {
            counts[what.place()] += 1;
        }
        if size > PORTS_SHOWN {
            uses.clear();
        }
        let sample = Sample {
            at_ns,
            counts,
            uses,
        };
        let same = |last: &Sample| last.counts == sample.counts && last.uses == sample.uses;
        if !self.samples.last().is_some_and(same) {
            self.samples.push(sample);
        }
    }
}

impl Kinds {
    /// Updates the owners. An owner that is added while the bucket is marked called bind(), because
    /// connect() skips such buckets.
    pub(crate) fn follow(&mut self, bucket: &BucketView) {
        let mut now: BTreeMap<String, u32> = BTreeMap::new();
        for owner in &bucket.owners {
            let local = owner.split(' ').next().unwrap_or_default();
            *now.entry(local.to_owned()).or_default() += 1;
        }
        for (local, count) in &now {
            let before = self.all.get(local).copied().unwrap_or(0);
            if *count > before && bucket.blocks_connect() {
                *self.binders.entry(local.clone()).or_default() += count - before;
            }
        }
        // Connections are assumed to leave before binders: a remaining binder keeps the mark.
        self.binders.retain(|local, binders| {
            *binders = (*binders).min(now.get(local).copied().unwrap_or(0));
            *binders > 0
        });
        self.all = now;
    }

    pub(crate) fn what(&self, bucket: &BucketView) -> Use {
        let waits = |owner: &String| owner.contains(" TIME-WAIT ");
        if !bucket.owners.is_empty() && bucket.owners.iter().all(waits) {
            Use::TimeWait
        } else if !bucket.blocks_connect() {
            Use::Connect
        } else if self.binders.is_empty() {
            Use::Poisoned
        } else {
            Use::Bound
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fourtuple_kernel::profile;
    use fourtuple_scenario::{expand, parse};

    fn timeline(text: &str, kernel: &str) -> PortTimeline {
        let scenario = parse("x.yaml", text).expect("a scenario");
        let case = expand(&scenario, &fourtuple_harness::kernels::names())
            .expect("cases")
            .remove(0);
        let profile = profile::find(kernel).expect("a kernel");
        port_timelines(&case, &profile, 1).expect("a run").remove(0)
    }

    const POISON: &str = "
about: x
kernel: KERNEL
hosts:
  app: { addresses: [10.0.0.1, 10.0.0.2], sysctl: { net.ipv4.ip_local_port_range: 40000-40001, net.ipv4.ip_local_reserved_ports: 40001 } }
  api: { addresses: [10.0.0.9], listen: 10.0.0.9:80 }
steps:
  - { socket: a, by: p, on: app }
  - { connect: a, to: 10.0.0.9:80 }
  - { socket: b, by: p, on: app, options: { linger: reset } }
  - { bind: b, at: 10.0.0.2:40000 }
  - { close: b }
  - { close: a }
";

    #[test]
    fn a_bucket_keeps_the_mark_of_a_binder_that_has_gone_before_linux_6_18() {
        let old = timeline(&POISON.replace("KERNEL", "linux-6.12"), "linux-6.12");
        let uses: Vec<Use> = old.samples.iter().map(|sample| sample.uses[0]).collect();
        assert_eq!(
            uses,
            [Use::Free, Use::Connect, Use::Bound, Use::Poisoned],
            "FIN-WAIT-2 is not TIME-WAIT"
        );
        assert!(
            old.samples
                .iter()
                .all(|sample| sample.uses[1] == Use::Reserved)
        );
        let new = timeline(&POISON.replace("KERNEL", "linux-6.18"), "linux-6.18");
        let uses: Vec<Use> = new.samples.iter().map(|sample| sample.uses[0]).collect();
        assert_eq!(uses, [Use::Free, Use::Connect, Use::Bound, Use::Connect]);
    }
}

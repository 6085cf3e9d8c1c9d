//! Smaller scenarios with the same finding.

use fourtuple_scenario::{Body, Hold, Network, Options, Process, Program, Scenario, Step};
use std::time::Duration;

use super::check::{Engines, Finding, alone};
use super::of;

/// A scenario apart from its name: its kernels and its body.
type Parts = (Vec<String>, Body);

/// Looks for a smaller scenario with a finding of the same kind, by the same engine, with at most
/// `most` scenarios tried.
///
/// Returns nothing if the finding does not come again when its scenario is run without the others
/// of its batch.
#[must_use]
pub fn shrink(found: &Finding, seed: u64, engines: Engines<'_>, most: usize) -> Option<Finding> {
    let mut tried = 0;
    let mut shows = |parts: &Parts| {
        tried += 1;
        let scenario = of(seed, found.number, &parts.0, parts.1.clone());
        let again = alone(&scenario, found.number, engines)?;
        let same = again.kind == found.kind && again.engine == found.engine;
        (same && tried <= most).then_some(again)
    };
    let mut parts = parts(&found.scenario)?;
    let mut best = shows(&parts)?;
    'smaller: loop {
        for candidate in candidates(&parts) {
            if let Some(again) = shows(&candidate) {
                (parts, best) = (candidate, again);
                continue 'smaller;
            }
        }
        return Some(best);
    }
}

fn parts(scenario: &Scenario) -> Option<Parts> {
    let kernels = scenario.kernel.patterns.iter().map(|one| one.to_string());
    let body = &scenario.points().first()?.body;
    Some((kernels.collect(), body.clone()))
}

/// Scenarios that are smaller by one thing, the largest things first.
fn candidates((kernels, body): &Parts) -> Vec<Parts> {
    let mut all: Vec<Parts> = Vec::new();
    if kernels.len() > 1 {
        all.extend(kernels.iter().map(|one| (vec![one.clone()], body.clone())));
    }
    let mut edits = Edits {
        body,
        made: Vec::new(),
    };
    edits.program();
    edits.hosts();
    edits.rest();
    all.extend(edits.made.into_iter().map(|body| (kernels.clone(), body)));
    all
}

/// Bodies that differ from one in a single thing.
struct Edits<'a> {
    body: &'a Body,
    made: Vec<Body>,
}

impl Edits<'_> {
    fn edit(&mut self, change: impl FnOnce(&mut Body)) {
        let mut body = self.body.clone();
        change(&mut body);
        if body != *self.body {
            self.made.push(body);
        }
    }

    fn program(&mut self) {
        match &self.body.program {
            Program::Steps(steps) => {
                let count = steps.len();
                // Halves and quarters before single steps.
                for size in [count / 2, count / 4, 1] {
                    for from in (0..count).step_by(size.max(1)).filter(|_| size > 0) {
                        self.steps(|steps| drop(steps.drain(from..(from + size).min(count))));
                    }
                }
                for at in 0..count {
                    self.steps(|steps| simpler_step(&mut steps[at].value));
                }
            }
            Program::Processes(processes) => {
                let count = processes.len();
                for at in 0..count {
                    self.processes(|processes| {
                        let gone = processes.shift_remove_index(at).map(|(name, _)| name);
                        for process in processes.values_mut() {
                            process.after.retain(|name| Some(name) != gone.as_ref());
                        }
                    });
                }
                for at in 0..count {
                    self.process(at);
                }
            }
        }
    }

    fn steps(&mut self, change: impl FnOnce(&mut Vec<fourtuple_scenario::Spanned<Step>>)) {
        self.edit(|body| {
            if let Program::Steps(steps) = &mut body.program {
                change(steps);
                complete(steps);
            }
        });
    }

    fn processes(&mut self, change: impl FnOnce(&mut indexmap::IndexMap<String, Process>)) {
        self.edit(|body| {
            if let Program::Processes(processes) = &mut body.program {
                change(processes);
            }
        });
    }

    fn process(&mut self, at: usize) {
        let Some((_, process)) = self
            .body
            .program
            .processes()
            .and_then(|all| all.get_index(at))
        else {
            return;
        };
        let mut simpler = process.with_one_default();
        let mut to = |change: &dyn Fn(&mut Process)| {
            let mut other = process.clone();
            change(&mut other);
            simpler.push(other);
        };
        for count in [process.count / 2, process.count - 1] {
            to(&|p| p.count = count.max(1));
        }
        for count in [process.connections / 2, process.connections - 1] {
            to(&|p| p.connections = count.max(1));
        }
        to(&|p| p.hold = Hold::For(Duration::ZERO));
        for n in 0..process.listen.len() {
            to(&|p| {
                p.listen.remove(n);
            });
        }
        for n in 0..process.bind.len() {
            to(&|p| {
                p.bind.remove(n);
            });
        }
        for n in 0..process.connect.len() {
            to(&|p| {
                p.connect.remove(n);
            });
        }
        for n in 0..process.options.iter().count() {
            to(&|p| p.options = without(&p.options, n));
        }
        for one in simpler {
            self.processes(|all| all[at] = one);
        }
    }

    fn hosts(&mut self) {
        for (at, (_, host)) in self.body.hosts.iter().enumerate() {
            if self.body.hosts.len() > 1 {
                // What refers to it makes the scenario unreadable, which is not the finding.
                self.edit(|body| drop(body.hosts.shift_remove_index(at)));
            }
            for n in 0..host.sysctl.len() {
                self.edit(|body| drop(body.hosts[at].sysctl.shift_remove_index(n)));
            }
            for n in 0..host.listen.len() {
                self.edit(|body| {
                    body.hosts[at].listen.remove(n);
                });
            }
            for n in 0..host.addresses.len() {
                self.edit(|body| {
                    body.hosts[at].addresses.remove(n);
                });
            }
            self.edit(|body| body.hosts[at].via = None);
            self.edit(|body| {
                body.hosts.values_mut().for_each(|host| host.via = None);
                body.hosts[at].nat = None;
            });
            self.edit(|body| body.hosts[at].machine = None);
            self.edit(|body| body.hosts[at].kernel = None);
        }
    }

    fn rest(&mut self) {
        self.edit(|body| body.network = Network::default());
        for n in 0..self.body.network.faults.len() {
            self.edit(|body| drop(body.network.faults.remove(n)));
        }
        self.edit(|body| body.network.latency = None);
        self.edit(|body| body.network.loss = Default::default());
        self.edit(|body| body.time_wait = None);
        self.edit(|body| body.seed = 1);
    }
}

/// Options without the one at a place.
fn without(options: &Options, place: usize) -> Options {
    let mut left = Options::default();
    for (n, option) in options.iter().enumerate() {
        if n != place {
            left.set(option);
        }
    }
    left
}

fn simpler_step(step: &mut Step) {
    match step {
        Step::Socket(socket) => {
            let first = socket.options.iter().count().checked_sub(1);
            match first {
                Some(last) => socket.options = without(&socket.options, last),
                None => (socket.uid, socket.nonblock) = (0, false),
            }
        }
        Step::Set(set) if set.options.iter().count() > 1 => set.options = without(&set.options, 0),
        Step::Sleep(sleep) => sleep.sleep /= 2,
        _ => {}
    }
}

/// Leaves out calls on sockets that nothing makes any more, and ports that nothing names.
fn complete(steps: &mut Vec<fourtuple_scenario::Spanned<Step>>) {
    let mut sockets: Vec<String> = Vec::new();
    let mut ports: Vec<String> = Vec::new();
    steps.retain(|step| {
        let made = match &step.value {
            Step::Socket(socket) => Some(socket.socket.clone()),
            Step::Accept(accept) => accept.accepted.clone(),
            _ => None,
        };
        let known = |name: &str| sockets.iter().any(|one| one == name);
        let on = step
            .socket()
            .filter(|_| !matches!(step.value, Step::Socket(_)));
        let port = match &step.value {
            Step::Bind(bind) => bind.at.variable(),
            Step::Connect(connect) => connect.to.variable(),
            _ => None,
        };
        let keep = on.is_none_or(known) && port.is_none_or(|name| ports.iter().any(|p| p == name));
        if keep {
            sockets.extend(made);
            ports.extend(step.port_as().map(str::to_owned));
        }
        keep
    });
}

//! The settings of a case: sysctls and socket options, wherever they stand.

use fourtuple_kernel::Kind;
use fourtuple_scenario::{Case, Family, Options, Program, Scenario, Segment, SockOpt, Span, Step};

pub(super) const RECYCLE: &str = "net.ipv4.tcp_tw_recycle";

/// The holder of a setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Owner {
    /// A host, from the start.
    Host(String),
    /// A program of the declarative form.
    Process(String),
    /// The step at this place among the case's steps.
    Step(usize),
}

/// The setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum What {
    /// A sysctl of a host.
    Sysctl {
        host: String,
        key: String,
        value: String,
    },
    /// An option of sockets of this family and type.
    Option {
        option: SockOpt,
        v6: bool,
        kind: Kind,
        uid: u32,
    },
}

/// One setting.
#[derive(Clone, Debug)]
pub(super) struct Setting {
    pub(super) owner: Owner,
    pub(super) what: What,
    pub(super) span: Span,
}

impl Setting {
    pub(super) fn name(&self) -> &str {
        match &self.what {
            What::Sysctl { key, .. } => key,
            What::Option { option, .. } => option.name(),
        }
    }
}

/// All settings of a case, in the order of the file.
pub(super) fn all(scenario: &Scenario, case: &Case) -> Vec<Setting> {
    let mut found = Vec::new();
    for (name, host) in &*case.hosts {
        for (key, value) in &host.sysctl {
            let path = super::keys(&["hosts", name, "sysctl", key]);
            found.push(Setting {
                owner: Owner::Host(name.clone()),
                what: What::Sysctl {
                    host: name.clone(),
                    key: key.clone(),
                    value: value.clone(),
                },
                span: scenario.span_of(&path),
            });
        }
    }
    match &*case.program {
        Program::Processes(all) => {
            for (name, process) in all {
                let mut addresses = process
                    .bind
                    .iter()
                    .chain(&process.connect)
                    .chain(&process.listen);
                let v6 = addresses.any(std::net::SocketAddr::is_ipv6);
                for option in process.options.iter() {
                    let path = super::keys(&["processes", name, "options", option.name()]);
                    found.push(Setting {
                        owner: Owner::Process(name.clone()),
                        span: scenario.span_of(&path),
                        what: What::Option {
                            option,
                            v6,
                            kind: process.protocol.kind(),
                            uid: process.uid,
                        },
                    });
                }
            }
        }
        Program::Steps(steps) => {
            for (n, step) in steps.iter().enumerate() {
                let here = [Segment::Key("steps"), Segment::At(step.span)];
                let below = |keys: &[&str]| {
                    let mut path = here.to_vec();
                    path.extend(super::keys(keys));
                    scenario.span_of(&path)
                };
                if let Step::Sysctl(sysctl) = &step.value {
                    for (key, value) in &sysctl.sysctl {
                        found.push(Setting {
                            owner: Owner::Step(n),
                            span: below(&["sysctl", key]),
                            what: What::Sysctl {
                                host: sysctl.on.clone(),
                                key: key.clone(),
                                value: value.clone(),
                            },
                        });
                    }
                }
                let Some(options) = options_of(&step.value) else {
                    continue;
                };
                let socket = step.socket().and_then(|name| made(case, name));
                for option in options.iter() {
                    found.push(Setting {
                        owner: Owner::Step(n),
                        span: below(&["options", option.name()]),
                        what: What::Option {
                            option,
                            v6: socket.is_some_and(|socket| socket.family == Family::Inet6),
                            kind: socket.map_or(Kind::Stream, |socket| socket.kind.kind()),
                            uid: socket.map_or(0, |socket| socket.uid),
                        },
                    });
                }
            }
        }
    }
    found
}

/// The step that makes a socket.
pub(super) fn made<'a>(case: &'a Case, name: &str) -> Option<&'a fourtuple_scenario::SocketStep> {
    let steps = case.program.steps()?;
    steps.iter().find_map(|step| match &step.value {
        Step::Socket(socket) if socket.socket == name => Some(socket),
        _ => None,
    })
}

fn options_of(step: &Step) -> Option<&Options> {
    match step {
        Step::Socket(step) => Some(&step.options),
        Step::Set(step) => Some(&step.options),
        _ => None,
    }
}

/// The case without a setting.
pub(super) fn without(case: &Case, setting: &Setting) -> Case {
    let mut case = case.clone();
    match (&setting.owner, case.program_mut()) {
        (Owner::Host(host), _) => {
            if let Some(host) = case.hosts_mut().get_mut(host) {
                host.sysctl.shift_remove(setting.name());
            }
        }
        (Owner::Process(name), Program::Processes(all)) => {
            if let Some(process) = all.get_mut(name) {
                take(&mut process.options, setting.name());
            }
        }
        (Owner::Step(n), Program::Steps(steps)) => {
            let empty = match steps.get_mut(*n).map(|step| &mut step.value) {
                Some(Step::Sysctl(step)) => {
                    step.sysctl.shift_remove(setting.name());
                    step.sysctl.is_empty()
                }
                Some(Step::Socket(step)) => {
                    take(&mut step.options, setting.name());
                    false
                }
                Some(Step::Set(step)) => {
                    take(&mut step.options, setting.name());
                    step.options.is_empty()
                }
                _ => false,
            };
            if empty {
                steps.remove(*n);
            }
        }
        (Owner::Process(_) | Owner::Step(_), _) => {}
    }
    case
}

fn take(options: &mut Options, name: &str) {
    let mut left = Options::default();
    for option in options.iter().filter(|option| option.name() != name) {
        left.set(option);
    }
    *options = left;
}

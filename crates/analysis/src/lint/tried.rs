//! Rules that run the scenario: what the kernels refuse, and what changes nothing.

use fourtuple_harness::{Attempt, Attempts, Engine as _, Model, RunReport, sysctl_refusal};
use fourtuple_kernel::profile::behaviour::Scope;
use fourtuple_kernel::{
    Behaviours, Errno, Family, Kind, SockOpt, World, sysctl_is_default, sysctl_names, sysctl_scope,
};
use fourtuple_scenario::{Case, Op};
use fourtuple_syscall::OptValue;
use indexmap::IndexMap;

use super::settings::{self, Owner, Setting, What};
use super::{LintFinding, LintRule, Subject, hints};
use crate::chooser::ExperimentChooser;
use crate::findings::{Finding, findings as remarks};

/// A setting as it is written, with the cases in which it is set.
type Uses = Vec<(usize, Setting)>;

pub(super) fn check(
    subject: &Subject<'_>,
    findings: &mut Vec<LintFinding>,
    progress: &mut dyn FnMut(&str),
) {
    let mut settings: IndexMap<(u32, String), Uses> = IndexMap::new();
    for (n, (case, _, _)) in subject.cases.iter().enumerate() {
        for setting in settings::all(subject.scenario, case) {
            let key = (setting.span.start, setting.name().to_owned());
            settings.entry(key).or_default().push((n, setting));
        }
    }
    let runs: Vec<_> = subject
        .cases
        .iter()
        .map(|(case, profile, _)| Model.run(case, profile).ok())
        .collect();
    findings.extend(to_itself(subject, &runs));
    for uses in settings.values() {
        let (_, setting) = &uses[0];
        progress(setting.name());
        let refused = refused(subject, uses, &|case| {
            runs[case].as_ref().map_or(&[], |run| run.notes.as_slice())
        });
        let before = findings.len();
        findings.extend(refused);
        let known = |one: &LintFinding| one.span.start == setting.span.start;
        if findings.len() > before || findings.iter().any(known) {
            continue;
        }
        // Without its network a scenario is another one, and the model has none.
        if subject
            .cases
            .iter()
            .any(|(case, _, _)| !case.network.is_ideal())
        {
            continue;
        }
        let counts = |(case, setting): &&(usize, Setting)| !says_what_is(subject, *case, setting);
        let tried: Vec<&(usize, Setting)> = uses.iter().filter(counts).collect();
        let idle = |(n, setting): &&(usize, Setting)| {
            let (case, profile, _) = &subject.cases[*n];
            let Some(before) = &runs[*n] else {
                return false;
            };
            let changed = settings::without(case, setting);
            Model
                .run(&changed, profile)
                .is_ok_and(|after| same(&before.attempts, &after.attempts))
        };
        if !tried.is_empty() && tried.iter().all(idle) {
            findings.push(does_nothing(subject, setting));
        }
    }
}

/// Programs that are connected to themselves on some kernel.
fn to_itself(subject: &Subject<'_>, runs: &[Option<RunReport>]) -> Vec<LintFinding> {
    let mut by: IndexMap<String, (Vec<usize>, Finding)> = IndexMap::new();
    for (n, run) in runs.iter().enumerate() {
        let (case, profile, _) = &subject.cases[n];
        let Some(run) = run else { continue };
        for one in remarks(case, profile, &run.attempts) {
            if one.kind == "connected-to-itself" {
                let entry = by.entry(one.program.clone());
                entry.or_insert_with(|| (Vec::new(), one)).0.push(n);
            }
        }
    }
    let finding = |(program, (cases, one)): (String, (Vec<usize>, Finding))| {
        let path = match subject.case(0).program.processes() {
            Some(_) => super::keys(&["processes", &program, "connect"]),
            None => super::keys(&["steps"]),
        };
        let found = subject.find(
            LintRule::ToItself,
            subject.scenario.span_of(&path),
            format!(
                "{program} is connected to itself on {}",
                subject.kernels(&cases)
            ),
            "connect() may choose the destination port as its source",
        );
        LintFinding {
            diagnostic: found.diagnostic.with_help(one.check),
            ..found
        }
    };
    by.into_iter().map(finding).collect()
}

fn does_nothing(subject: &Subject<'_>, setting: &Setting) -> LintFinding {
    let case = subject.case(0);
    let name = setting.name();
    let found = subject.find(
        LintRule::DoesNothing,
        setting.span,
        format!("{name} has no effect here"),
        "without it every answer is the same",
    );
    let hint = match &setting.what {
        What::Sysctl { host, key, value } => hints::sysctl(case, host, key, value),
        What::Option { option, .. } => hints::option(case, &setting.owner, *option),
    };
    LintFinding {
        diagnostic: match hint {
            Some(hint) => found.diagnostic.with_note(hint),
            None => found.diagnostic,
        },
        ..found
    }
}

/// Returns whether a setting only says what is so anyway. That is no fault: it says what is meant.
fn says_what_is(subject: &Subject<'_>, case: usize, setting: &Setting) -> bool {
    match &setting.what {
        What::Sysctl { host, key, value } => {
            matches!(setting.owner, Owner::Host(_))
                && sysctl_is_default(&subject.behaviours(case, host), key, value)
        }
        What::Option { option, .. } => option.value() == OptValue::Flag(false),
    }
}

/// The part of a setting that kernels refuse; none if all of them accept it.
fn refused<'a>(
    subject: &Subject<'_>,
    uses: &Uses,
    notes: &dyn Fn(usize) -> &'a [String],
) -> Option<LintFinding> {
    let mut by: Vec<(usize, String)> = Vec::new();
    for (n, setting) in uses {
        let errno = match &setting.what {
            What::Sysctl { host, key, value } => {
                let start = sysctl_refusal(host, key, value);
                let note = notes(*n).iter().find_map(|note| note.strip_prefix(&*start));
                note.map(str::to_owned)
            }
            What::Option {
                option,
                v6,
                kind,
                uid,
            } => {
                let host = host_of(subject.case(*n), setting);
                let behaviours = subject.behaviours(*n, &host);
                let errno = refuses(behaviours, *option, (*v6, *kind), *uid);
                errno.map(|errno| errno.name().to_owned())
            }
        };
        by.extend(errno.map(|errno| (*n, errno)));
    }
    let (_, errno) = by.first()?;
    let cases: Vec<usize> = by.iter().map(|(n, _)| *n).collect();
    let kernels = subject.kernels(&cases);
    let (_, setting) = &uses[0];
    let name = setting.name();
    Some(match &setting.what {
        What::Option { .. } => subject
            .find(
                LintRule::IgnoredOption,
                setting.span,
                format!("{name} is refused with {errno} on {kernels}"),
                "programs that do not look at the answer go on without it",
            )
            .helped(hints::since(name)),
        What::Sysctl { .. } if errno != Errno::ENOENT.name() => subject.find(
            LintRule::RefusedValue,
            setting.span,
            format!("the value of {name} is refused with {errno} on {kernels}"),
            "the old value stays",
        ),
        What::Sysctl { .. } if !sysctl_names().contains(&name) => subject.find(
            LintRule::UnknownSysctl,
            setting.span,
            format!("the model does not know {name}"),
            "it changes no answer here, whatever it does on a real kernel",
        ),
        What::Sysctl { .. } if name == super::settings::RECYCLE => return None,
        What::Sysctl { host, key, .. } if hidden(subject, cases[0], host, key) => subject.find(
            LintRule::UnknownSysctl,
            setting.span,
            format!("on {kernels} {key} belongs to the whole machine, and this namespace does not have it"),
            "writing it fails there",
        ),
        What::Sysctl { .. } => subject
            .find(
                LintRule::UnknownSysctl,
                setting.span,
                format!("{name} does not exist on {kernels}"),
                "writing it fails there",
            )
            .helped(hints::since(name)),
    })
}

/// Returns whether a kernel has a sysctl, though not in every namespace.
fn hidden(subject: &Subject<'_>, case: usize, host: &str, key: &str) -> bool {
    let scope = sysctl_scope(&subject.behaviours(case, host), key);
    scope.is_some_and(|scope| scope != Scope::Absent)
}

impl LintFinding {
    fn helped(self, help: Option<String>) -> LintFinding {
        LintFinding {
            diagnostic: match help {
                Some(help) => self.diagnostic.with_help(help),
                None => self.diagnostic,
            },
            ..self
        }
    }
}

/// The host on which an option is set.
pub(super) fn host_of(case: &Case, setting: &Setting) -> String {
    let of_step = |n: usize| {
        let step = case.program.steps()?.get(n)?;
        let socket = settings::made(case, step.socket()?)?;
        Some(socket.on.clone())
    };
    match &setting.owner {
        Owner::Host(host) => host.clone(),
        Owner::Process(name) => case
            .program
            .processes()
            .and_then(|all| all.get(name))
            .map_or_else(String::new, |process| process.on.clone()),
        Owner::Step(n) => of_step(*n).unwrap_or_default(),
    }
}

/// The result of setting an option on a new socket.
fn refuses(
    behaviours: Behaviours,
    option: SockOpt,
    (v6, kind): (bool, Kind),
    uid: u32,
) -> Option<Errno> {
    let mut world = World::new();
    let machine = world.add_machine(behaviours, ExperimentChooser::seeded(1, "lint", 0));
    let ns = world.add_namespace(machine);
    let family = if v6 { Family::Inet6 } else { Family::Inet };
    let socket = world.socket_of(ns, family, kind, uid);
    if matches!(option, SockOpt::AttachReuseportBpf(_)) {
        // Without this every kernel refuses it, which says nothing of the kernel; one that does not
        // have this does not have that.
        let _ = world.set_option(socket, SockOpt::ReusePort(true));
    }
    world.set_option(socket, option).err()
}

/// Returns whether two outcomes are the same, but for the calls that set something.
fn same(before: &Attempts, after: &Attempts) -> bool {
    fn calls(attempts: &Attempts) -> impl Iterator<Item = Attempt<'_>> {
        let sets = |attempt: &Attempt<'_>| matches!(attempt.op(), Op::Set | Op::Socket);
        attempts.iter().filter(move |attempt| !sets(attempt))
    }
    let equivalent =
        |one: Attempt<'_>, other: Attempt<'_>| one.at_ns() == other.at_ns() && one.same_as(other);
    calls(before).count() == calls(after).count()
        && calls(before)
            .zip(calls(after))
            .all(|(one, other)| equivalent(one, other))
}

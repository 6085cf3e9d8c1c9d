//! A log in which the same few things are done again and again, as processes of the declarative form.
//!
//! This is for logs of the kind in which ports run out: runs of sockets that are made, bound and connected alike,
//! held to the end. Anything else stays in steps, which say exactly what was recorded.

use std::net::SocketAddr;

use indexmap::IndexMap;

use super::steps::PAUSE_MICROS;
use super::story::{Act, Event, Story};
use super::world::{HERE, World};
use crate::model::{Check, ExpectBlock, Expected, Options, Process, Program};
use crate::value::{Answer, Op};

/// Runs of sockets that may be told as one process each.
const MAX_RUNS: usize = 6;
/// Sockets that a run has on average, or the steps are as short.
const LEAST_PER_RUN: usize = 2;

/// What one socket did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Pattern {
    task: usize,
    options: Options,
    bind: Option<SocketAddr>,
    connect: Option<SocketAddr>,
}

struct Run {
    pattern: Pattern,
    sockets: u32,
    bound: IndexMap<Answer, u32>,
    connected: IndexMap<Answer, u32>,
}

/// The processes, with what is expected of them; none if the log is not that regular.
pub(super) fn processes(story: &Story, world: &World) -> Option<(Program, Vec<ExpectBlock>)> {
    if paused(&story.events) || world.servers.values().any(|server| server.stepwise) {
        return None;
    }
    let runs = runs(story)?;
    let sockets: u32 = runs.iter().map(|run| run.sockets).sum();
    if runs.len() > MAX_RUNS || (sockets as usize) < runs.len() * LEAST_PER_RUN || sockets < 4 {
        return None;
    }
    let mut processes: IndexMap<String, Process> = IndexMap::new();
    let mut checks = Vec::new();
    for run in runs {
        let kind = match (run.pattern.bind, run.pattern.connect) {
            (Some(_), Some(_)) => "binders",
            (Some(_), None) => "bound",
            _ => "plain",
        };
        let mut name = kind.to_owned();
        for n in 2.. {
            if !processes.contains_key(&name) {
                break;
            }
            name = format!("{kind}{n}");
        }
        let mut process = Process::new(HERE);
        process.after = processes.keys().last().cloned().into_iter().collect();
        process.connections = run.sockets;
        process.options = run.pattern.options;
        process.bind = run.pattern.bind.into_iter().collect();
        process.connect = run.pattern.connect.into_iter().collect();
        for (op, counts) in [(Op::Bind, run.bound), (Op::Connect, run.connected)] {
            if !counts.is_empty() {
                let expected = Expected::Counts(counts);
                checks.push(
                    Check {
                        process: name.clone(),
                        op,
                        expected,
                    }
                    .into(),
                );
            }
        }
        processes.insert(name, process);
    }
    let expect = vec![ExpectBlock {
        kernel: None,
        checks,
    }];
    Some((Program::Processes(processes), expect))
}

/// Whether time passes between calls, which processes that start after each other would leave out.
fn paused(events: &[Event]) -> bool {
    let times: Vec<u64> = events.iter().filter_map(|event| event.time).collect();
    times
        .windows(2)
        .any(|pair| pair[1].saturating_sub(pair[0]) >= PAUSE_MICROS)
}

/// Sockets in the order in which they were made, alike ones together; none if a socket does anything else, or two
/// sockets are worked on in turn.
fn runs(story: &Story) -> Option<Vec<Run>> {
    let mut runs: Vec<Run> = Vec::new();
    let mut current: Option<(usize, Vec<&Event>)> = None;
    let mut failed: Vec<usize> = Vec::new();
    for event in &story.events {
        match &mut current {
            // A socket that got no port holds nothing, whenever it is closed.
            _ if event.act == Act::Close && failed.contains(&event.sock) => {}
            Some((sock, events)) if *sock == event.sock => events.push(event),
            _ => {
                if event.act != Act::Socket {
                    return None;
                }
                if let Some((_, events)) = current.replace((event.sock, vec![event])) {
                    add(&mut runs, story, &events)?;
                }
            }
        }
        if matches!(event.act, Act::Connect(_) | Act::Bind(_))
            && event.answer.is_some_and(|answer| !answer.is_ok())
        {
            // A bound socket whose connect failed still holds its port.
            if story.socks[event.sock].bound.is_none() {
                failed.push(event.sock);
            }
        }
    }
    let (_, events) = current?;
    add(&mut runs, story, &events)?;
    Some(runs)
}

fn add(runs: &mut Vec<Run>, story: &Story, events: &[&Event]) -> Option<()> {
    let first = events.first()?;
    let mut pattern = Pattern {
        task: story.socks.get(first.sock)?.task,
        ..Pattern::default()
    };
    let (mut bound, mut connected) = (None, None);
    for event in events.iter().skip(1) {
        match &event.act {
            Act::Set(option)
                if event.answer == Some(Answer::OK)
                    && pattern.bind.is_none()
                    && pattern.connect.is_none() =>
            {
                pattern.options.set(option.clone());
            }
            // A port of the socket's own is not the same for two of them.
            Act::Bind(at)
                if pattern.bind.is_none() && pattern.connect.is_none() && at.port() == 0 =>
            {
                pattern.bind = Some(*at);
                bound = Some(event.answer?);
            }
            Act::Connect(to) if pattern.connect.is_none() && to.port() != 0 => {
                pattern.connect = Some(*to);
                connected = Some(event.answer?);
            }
            _ => return None,
        }
    }
    // A bind that failed keeps the program from connecting, so that such a socket goes with the run before it.
    let fits = |run: &&mut Run| {
        let same = run.pattern.task == pattern.task
            && run.pattern.options == pattern.options
            && run.pattern.bind == pattern.bind;
        let stopped = bound.is_some_and(|answer: Answer| !answer.is_ok());
        same && (run.pattern.connect == pattern.connect || (stopped && pattern.connect.is_none()))
    };
    let run = match runs.last_mut().filter(fits) {
        Some(run) => run,
        None => {
            pattern.bind.or(pattern.connect)?;
            runs.push(Run {
                pattern,
                sockets: 0,
                bound: IndexMap::new(),
                connected: IndexMap::new(),
            });
            runs.last_mut()?
        }
    };
    run.sockets += 1;
    for (counts, answer) in [(&mut run.bound, bound), (&mut run.connected, connected)] {
        if let Some(answer) = answer {
            *counts.entry(answer).or_default() += 1;
        }
    }
    Some(())
}

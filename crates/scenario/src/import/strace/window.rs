//! The part of a long log that fits into a scenario: the calls up to the last refusal, and the
//! sockets that were open when they begin.

use std::collections::BTreeSet;

use super::history::{Act, Event, History};
use super::{plural, regular};
use crate::import::MAX_IMPORTED_STEPS;
use crate::value::Answer;

/// Most steps for the calls of the window.
const STEPS: usize = 2_400;
/// Most steps for the sockets that are open or in TIME-WAIT when it begins.
const STATE_STEPS: usize = 2_400;
/// Length of TIME-WAIT in microseconds.
const TIME_WAIT: u64 = 60_000_000;

/// Removes events that no answer depends on, and all but the end of a long log.
pub(super) fn cut(history: &mut History) {
    let last = history.events.iter().rposition(|event| event.act.asks());
    let tail = history.events.split_off(last.map_or(0, |last| last + 1));
    let closes = tail.iter().filter(|event| event.act == Act::Close).count();
    if closes > 0 {
        history.notes.left_out(format!(
            "{closes} {} after the last call that asks for a port",
            plural(closes, "close")
        ));
    }
    let steps: usize = history
        .events
        .iter()
        .map(|event| cost(history, event))
        .sum();
    if steps <= MAX_IMPORTED_STEPS || regular::is_regular(history) {
        return;
    }
    let refused = |event: &Event| history.refused(event);
    if let Some(last) = history.events.iter().rposition(refused) {
        history.events.truncate(last + 1);
    }
    let mut left = STEPS;
    let start = history.events.iter().rposition(|event| {
        let cost = cost(history, event);
        left = left.saturating_sub(cost);
        left == 0
    });
    let Some(start) = start.filter(|start| *start > 0) else {
        return;
    };
    let kept = kept(history, start);
    let line = history.events[start].line;
    let before = history.events.len();
    let mut n = 0;
    history.events.retain(|event| {
        n += 1;
        n > start || kept.contains(&event.sock)
    });
    history.compact();
    history.notes.left_out(format!(
        "{} calls before line {line}: the log is too long for one scenario of {MAX_IMPORTED_STEPS} steps, which has the calls up to the last refusal and {} that {} open or in TIME-WAIT at line {line}",
        before - history.events.len(),
        if kept.len() == 1 { "the socket".to_owned() } else { format!("{} sockets", kept.len()) },
        if kept.len() == 1 { "was" } else { "were" },
    ));
}

/// The maximum number of steps of an event, including those of sockets outside the log.
fn cost(history: &History, event: &Event) -> usize {
    match event.act {
        Act::Connect(_) | Act::Close => 2,
        Act::Accepted(_) if history.socks[event.sock].other_end.is_none() => 5,
        _ => 1,
    }
}

/// Sockets whose history before the window matters in it: the newest ones that fit.
fn kept(history: &mut History, start: usize) -> BTreeSet<usize> {
    let begin = history.events[start].time;
    let mut dead: BTreeSet<usize> = BTreeSet::new();
    let mut connected: BTreeSet<usize> = BTreeSet::new();
    for event in &history.events[..start] {
        match event.act {
            Act::Connect(_) | Act::Accepted(_) if event.answer.is_none_or(Answer::is_ok) => {
                connected.insert(event.sock);
            }
            Act::Close => {
                let recent = match (event.time, begin) {
                    (Some(closed), Some(begin)) => begin.saturating_sub(closed) < TIME_WAIT,
                    _ => false,
                };
                if !(recent && connected.contains(&event.sock)) {
                    dead.insert(event.sock);
                }
            }
            _ => {}
        }
    }
    let mut steps: Vec<usize> = vec![0; history.socks.len()];
    for event in &history.events[..start] {
        steps[event.sock] += cost(history, event);
    }
    let mut kept: BTreeSet<usize> = BTreeSet::new();
    // The window needs the sockets of its own calls.
    for event in &history.events[start..] {
        with_its_own(history, event.sock, &mut kept);
    }
    let needed: usize = kept.iter().map(|sock| steps[*sock]).sum();
    let mut left = STATE_STEPS.saturating_sub(needed);
    let mut more = 0;
    for event in history.events[..start].iter().rev() {
        let sock = event.sock;
        if dead.contains(&sock) || kept.contains(&sock) {
            continue;
        }
        if steps[sock] > left {
            dead.insert(sock);
            more += 1;
            continue;
        }
        left -= steps[sock];
        with_its_own(history, sock, &mut kept);
    }
    if more > 0 {
        history.notes.left_out(format!(
            "{more} further sockets that were open or in TIME-WAIT when the calls of the scenario begin"
        ));
    }
    kept.retain(|sock| steps[*sock] > 0);
    kept
}

/// Keeps a socket with its peer and the listener that accepted it.
fn with_its_own(history: &History, sock: usize, kept: &mut BTreeSet<usize>) {
    let mut open = vec![sock];
    while let Some(sock) = open.pop() {
        if kept.insert(sock) {
            let one = &history.socks[sock];
            open.extend(one.other_end);
            open.extend(one.accepted_from);
        }
    }
}

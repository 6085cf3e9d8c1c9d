//! The part of a long log that a scenario has space for: the calls that end with the last refusal, and the sockets that
//! were open when they begin.

use std::collections::BTreeSet;

use super::story::{Act, Event, Story};
use super::{plural, repeat};
use crate::import::MAX_IMPORTED_STEPS;
use crate::value::Answer;

/// Steps for the calls of the window.
const STEPS: usize = 2_400;
/// Steps for the sockets that are open when it begins, or in TIME-WAIT.
const STATE_STEPS: usize = 2_400;
/// Length of TIME-WAIT in microseconds.
const TIME_WAIT: u64 = 60_000_000;

/// Leaves out what no answer depends on, and of a long log all but its end.
pub(super) fn cut(story: &mut Story) {
    let last = story.events.iter().rposition(|event| event.act.asks());
    let tail = story.events.split_off(last.map_or(0, |last| last + 1));
    let closes = tail.iter().filter(|event| event.act == Act::Close).count();
    if closes > 0 {
        story.notes.left_out(format!(
            "{closes} {} after the last call that asks for a port",
            plural(closes, "close")
        ));
    }
    let steps: usize = story.events.iter().map(|event| cost(story, event)).sum();
    if steps <= MAX_IMPORTED_STEPS || repeat::is_regular(story) {
        return;
    }
    if let Some(last) = story.events.iter().rposition(refused) {
        story.events.truncate(last + 1);
    }
    let mut left = STEPS;
    let start = story.events.iter().rposition(|event| {
        let cost = cost(story, event);
        left = left.saturating_sub(cost);
        left == 0
    });
    let Some(start) = start.filter(|start| *start > 0) else {
        return;
    };
    let kept = kept(story, start);
    let line = story.events[start].line;
    let before = story.events.len();
    let mut n = 0;
    story.events.retain(|event| {
        n += 1;
        n > start || kept.contains(&event.sock)
    });
    story.notes.left_out(format!(
        "{} calls before line {line}: the log is too long for one scenario of {MAX_IMPORTED_STEPS} steps, which has the calls up to the last refusal and {} that {} open or in TIME-WAIT at line {line}",
        before - story.events.len(),
        if kept.len() == 1 { "the socket".to_owned() } else { format!("{} sockets", kept.len()) },
        if kept.len() == 1 { "was" } else { "were" },
    ));
}

fn refused(event: &Event) -> bool {
    let no_port = |answer: Answer| matches!(answer.as_str(), "EADDRNOTAVAIL" | "EADDRINUSE");
    event.act.asks() && event.answer.is_some_and(no_port)
}

/// Steps that an event takes at most, with those of the sockets outside the log.
fn cost(story: &Story, event: &Event) -> usize {
    match event.act {
        Act::Connect(_) | Act::Close => 2,
        Act::Accepted(_) if story.socks[event.sock].other_end.is_none() => 5,
        _ => 1,
    }
}

/// Sockets with a history before the window that matters in it: the newest, as far as there is space.
fn kept(story: &mut Story, start: usize) -> BTreeSet<usize> {
    let begin = story.events[start].time;
    let mut dead: BTreeSet<usize> = BTreeSet::new();
    let mut connected: BTreeSet<usize> = BTreeSet::new();
    for event in &story.events[..start] {
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
    let mut steps: Vec<usize> = vec![0; story.socks.len()];
    for event in &story.events[..start] {
        steps[event.sock] += cost(story, event);
    }
    let mut kept: BTreeSet<usize> = BTreeSet::new();
    // The window needs the sockets that its own calls are about.
    for event in &story.events[start..] {
        with_its_own(story, event.sock, &mut kept);
    }
    let needed: usize = kept.iter().map(|sock| steps[*sock]).sum();
    let mut left = STATE_STEPS.saturating_sub(needed);
    let mut more = 0;
    for event in story.events[..start].iter().rev() {
        let sock = event.sock;
        if dead.contains(&sock) || kept.contains(&sock) {
            continue;
        }
        if steps[sock] > left {
            // Counted once.
            dead.insert(sock);
            more += 1;
            continue;
        }
        left -= steps[sock];
        with_its_own(story, sock, &mut kept);
    }
    if more > 0 {
        story.notes.left_out(format!(
            "{more} further sockets that were open or in TIME-WAIT when the calls of the scenario begin"
        ));
    }
    kept.retain(|sock| steps[*sock] > 0);
    kept
}

/// A socket with its other end and the listener that it came from.
fn with_its_own(story: &Story, sock: usize, kept: &mut BTreeSet<usize>) {
    let mut open = vec![sock];
    while let Some(sock) = open.pop() {
        if kept.insert(sock) {
            let one = &story.socks[sock];
            open.extend(one.other_end);
            open.extend(one.accepted_from);
        }
    }
}

//! The outcome of a scenario down to the kernel functions: the call path of each kind of call, the
//! buckets that a search examined, and the reason why it skipped them.

use std::collections::BTreeMap;

use fourtuple_analysis::findings;
use fourtuple_harness::{
    Answer, Attempt, Attempts, CaseReport, EventTable, ScenarioReport, SocketName, Why,
};
use fourtuple_kernel::{
    Behaviours, Family, PortVerdict, Rule, call_path, datagram_call_path, profile,
};
use fourtuple_scenario::{Op, Program};

use super::{WIDTH, columns, events, labelled, plain, ranges, wrap};

/// Rows of events shown.
const ROWS: usize = 40;
/// Ports shown of one search.
const PORTS: usize = 8;

/// The explanation of every case of a report.
#[must_use]
pub fn explain(report: &ScenarioReport) -> String {
    let mut out = String::new();
    labelled(&mut out, "", &report.about);
    for case in &report.cases {
        explain_case(&mut out, case);
    }
    out
}

fn explain_case(out: &mut String, case: &CaseReport) {
    let Some(report) = case.reference() else {
        return;
    };
    let Some(profile) = profile::find(&case.case.kernel) else {
        return;
    };
    let point = case.point();
    let title = if point.is_empty() {
        report.kernel.to_string()
    } else {
        format!("{}, {point}", report.kernel)
    };
    out.push_str(&format!("\nWhat happened on {title}\n\n"));
    let steps = case.case.program.steps().is_some();
    events::write(&EventTable::of(&report.attempts, steps), out, ROWS);
    for note in &report.notes {
        labelled(out, "  note: ", note);
    }

    let kinds = kinds(&report.attempts, &case.case.program);
    for kind in &kinds {
        out.push('\n');
        match kind.why {
            Some(why) => refused(out, kind, why),
            None => allowed(out, kind, &profile.behaviours),
        }
    }
    let findings = findings(&case.case, &profile, &report.attempts);
    let refused = kinds.iter().any(|kind| kind.why.is_some());
    if !refused && !report.expect_failed.is_empty() {
        out.push_str("\nThe model refuses no call, which is not what the scenario expects.\n");
    } else if !refused && findings.is_empty() {
        out.push_str("\nNo call was refused.\n");
    }
    for finding in &findings {
        out.push('\n');
        labelled(out, "note: ", &finding.text);
        labelled(out, "      ", &finding.check);
    }
}

/// Calls with the same answer for the same reason.
struct Kind<'a> {
    first: Attempt<'a>,
    why: Option<&'a Why>,
    /// The port that the socket held when the call was made.
    held: Option<u16>,
    /// The socket is a datagram socket.
    datagram: bool,
    count: u32,
    instances: Vec<u32>,
}

/// Which kinds of calls there were. Of those that succeeded only what decides about ports: bind,
/// and connect with and without a port of one's own.
fn kinds<'a>(attempts: &'a Attempts, program: &Program) -> Vec<Kind<'a>> {
    let mut kinds: Vec<Kind<'_>> = Vec::new();
    let mut held: BTreeMap<String, u16> = BTreeMap::new();
    let mut last: Option<(SocketName<'_>, u16)> = None;
    for attempt in attempts {
        // The socket of the last call is nearly always the one; the map is for the others.
        let key = attempt.socket().to_string();
        let port = match last {
            Some((socket, port)) if socket == attempt.socket() => Some(port),
            _ => held.get(&key).copied(),
        };
        let port = port.filter(|port| *port != 0);
        if matches!(
            attempt.op(),
            Op::Bind | Op::Listen | Op::Connect | Op::SendTo
        ) {
            let datagram = program.is_datagram(attempt.process(), &key);
            let like = kinds.iter_mut().find(|kind| {
                kind.first.op() == attempt.op()
                    && kind.first.result() == attempt.result()
                    && kind.held.is_some() == port.is_some()
                    && kind.datagram == datagram
                    && kind.why.map(|why| why.rule) == attempt.why().map(|why| why.rule)
                    && (attempt.why().is_some()
                        || kind.first.process() == attempt.process()
                        || !attempt.result().is_ok())
            });
            match like {
                Some(kind) => {
                    kind.count += 1;
                    kind.instances.push(attempt.instance());
                }
                None => kinds.push(Kind {
                    first: attempt,
                    why: attempt.why().map(|why| &**why),
                    held: port,
                    datagram,
                    count: 1,
                    instances: vec![attempt.instance()],
                }),
            }
        }
        if let Some(local) = attempt.local() {
            last = Some((attempt.socket(), local.port()));
            held.insert(key, local.port());
        }
    }
    // A successful kind is described once for all processes.
    let mut shown: Vec<(Op, bool, bool)> = Vec::new();
    kinds.retain(|kind| {
        let key = (kind.first.op(), kind.held.is_some(), kind.datagram);
        kind.why.is_some()
            || (kind.first.result().is_ok() && !shown.contains(&key) && {
                shown.push(key);
                true
            })
    });
    kinds
}

impl Kind<'_> {
    fn title(&self) -> String {
        let first = self.first;
        let mut title = format!("Call {}: {} = {}", first.n(), first.call(), first.answer());
        if let Answer::Errno(errno) = first.result() {
            title.push_str(&format!(" ({})", errno.text()));
        }
        if self.count > 1 {
            title.push_str(&format!(
                "; {} calls like it, {} {}",
                self.count,
                first.process(),
                ranges(&self.instances)
            ));
        }
        title
    }
}

fn path(out: &mut String, path: &[&'static str], decided: bool) {
    out.push_str("  Call path in the kernel\n");
    for (depth, function) in path.iter().enumerate() {
        let mark = if decided && depth + 1 == path.len() {
            "   <- decided here"
        } else {
            ""
        };
        out.push_str(&format!("    {:depth$}{function}{mark}\n", ""));
    }
}

fn paragraph(out: &mut String, text: &str) {
    for line in wrap(text, WIDTH - 2) {
        out.push_str(&format!("  {line}\n"));
    }
}

fn refused(out: &mut String, kind: &Kind<'_>, why: &Why) {
    labelled(out, "", &kind.title());
    paragraph(out, &format!("Refused because {}.", plain::reason(why)));
    path(out, &why.path, true);
    paragraph(out, &format!("Decided by the rule {}.", why.rule));
    // Routing comes before the port.
    let has_routed =
        |function: &&str| !function.starts_with("ip_route") && !function.starts_with("ip6_dst");
    if kind.datagram {
        datagram_refused(out, why);
    } else if kind.first.op() == Op::Connect && why.path.last().is_none_or(has_routed) {
        paragraph(
            out,
            match kind.held {
                None => {
                    "The socket has no port of its own: inet_sk(sk)->num is 0. So __inet_hash_connect() searches the \
                 whole range of local ports."
                }
                Some(_) => {
                    "The socket has a port of its own: inet_sk(sk)->num is not 0. So there is no search, and only its \
                 own 4-tuple is looked up."
                }
            },
        );
    }
    if why.refused.is_empty() {
        return;
    }
    out.push_str(&format!(
        "\n  Ports that the search examined: {}\n",
        why.ports.words()
    ));
    let mut rows = vec![
        ["port", "bucket", "held by", "verdict"]
            .map(str::to_owned)
            .to_vec(),
    ];
    for one in why.refused.iter().take(PORTS) {
        let bucket = one.bucket.map_or_else(
            || "none".to_owned(),
            |(reuse, reuseport)| format!("fastreuse {reuse}, fastreuseport {reuseport}"),
        );
        let owners = match one.owners.as_slice() {
            [] => "none".to_owned(),
            [only] => only.clone(),
            [first, rest @ ..] => format!("{first} and {} more", rest.len()),
        };
        rows.push(vec![
            one.port.to_string(),
            bucket,
            owners,
            one.verdict.name().to_owned(),
        ]);
    }
    columns(out, 4, &rows);
    let shown = why.refused.len().min(PORTS);
    let more = (why.ports.tried as usize).saturating_sub(shown);
    if more > 0 {
        out.push_str(&format!("    ... and {more} more ports\n"));
    }
    let fastreuse = count(why, PortVerdict::Fastreuse);
    if fastreuse > 0 {
        out.push('\n');
        never_compared(out, kind.first, why, fastreuse);
    }
}

/// Adds the rule behind the refusal of a port to a datagram socket.
fn datagram_refused(out: &mut String, why: &Why) {
    let text = match why.rule {
        Rule::AutobindNoFreePort => {
            "The socket has no port, so inet_autobind() binds it before the destination counts: to the wildcard \
             address, unless bind() set an address. Every socket whose address overlaps keeps its port to itself, \
             whatever it is connected to, so another destination does not help. The errno is EAGAIN."
        }
        Rule::BindNoFreePort | Rule::BindConflict => {
            "UDP compares the addresses and the options of now; connections and their destinations play no part."
        }
        _ => return,
    };
    paragraph(out, text);
}

/// The decision about the port of a call on a datagram socket.
fn datagram_allowed(op: Op, held: Option<u16>, explicit: bool) -> &'static str {
    match (op, held, explicit) {
        (Op::Bind, _, false) => {
            "Port 0: udp_lib_get_port() takes the first port of the range, from a random one on, on which no socket \
             conflicts. A socket with SO_REUSEADDR or SO_REUSEPORT shares a port as soon as its owners have the \
             option too, although others are free."
        }
        (Op::Bind, ..) => {
            "A port is named: udp_lib_lport_inuse() only asks whether a socket of that port overlaps in address and \
             does not share."
        }
        (_, Some(_), _) => {
            "The socket has a port already and keeps it; the destination is not compared with anything."
        }
        (_, None, _) => {
            "The socket had no port: inet_autobind() took one first, at the wildcard address unless bind() set one. A \
             connect() then narrows the address to the source that routing chose."
        }
    }
}

fn count(why: &Why, verdict: PortVerdict) -> u32 {
    let found = why
        .ports
        .counts
        .iter()
        .find(|(name, _)| *name == verdict.name());
    found.map_or(0, |(_, count)| *count)
}

/// Explains why connect() skips buckets that bind() or listen() touched.
fn never_compared(out: &mut String, attempt: Attempt<'_>, why: &Why, skipped: u32) {
    out.push_str("  Why the 4-tuple was never compared\n");
    let mut to = String::new();
    for (_, value) in attempt.args().pairs() {
        to.push_str(&value);
    }
    let tried = why.ports.tried;
    let were = if skipped == 1 { "was" } else { "were" };
    for text in [
        format!(
            "A port in use has a bind bucket. connect() itself makes buckets with fastreuse -1 and shares them: there \
             it calls __inet_check_established(), which compares the 4-tuple (source address, port, {to}) with the \
             connections there are. A bucket that bind() or listen() has touched has fastreuse 0 or 1 (or \
             fastreuseport from 0 on); connect() leaves it at once and goes on to the next port, whatever the \
             addresses are."
        ),
        format!(
            "Here {skipped} of {tried} ports {were} left that way, so the comparison was reached for {} of them, and \
             for the others the kernel did not check whether the 4-tuple to {to} was free. After the last port of the \
             range the answer is EADDRNOTAVAIL.",
            tried.saturating_sub(skipped)
        ),
    ] {
        for line in wrap(&text, WIDTH - 4) {
            out.push_str(&format!("    {line}\n"));
        }
    }
}

fn allowed(out: &mut String, kind: &Kind<'_>, behaviours: &Behaviours) {
    let attempt = kind.first;
    labelled(out, "", &kind.title());
    let family = match attempt.local() {
        Some(local) if local.is_ipv6() => Family::Inet6,
        _ => Family::Inet,
    };
    let explicit = match attempt.op() {
        Op::Bind => attempt.args().pairs().all(|(_, at)| !at.ends_with(":0")),
        _ => kind.held.is_some(),
    };
    let functions = match kind.datagram {
        true => datagram_call_path(attempt.op().as_str(), family, explicit),
        false => call_path(behaviours, attempt.op().as_str(), family, explicit),
    };
    path(out, &functions, false);
    if kind.datagram {
        return paragraph(out, datagram_allowed(attempt.op(), kind.held, explicit));
    }
    let text = match (attempt.op(), kind.held, explicit) {
        (Op::Bind, _, false) => {
            "Port 0: inet_csk_get_port() searches the range for a port without a conflict. The bucket that it makes \
             has fastreuse 0 (1 if the socket has SO_REUSEADDR), which says: made by bind()."
        }
        (Op::Bind, _, true) => {
            "A port is named: inet_csk_get_port() only asks whether another owner of that port overlaps in address \
             and does not share. Another source address does not overlap."
        }
        (Op::Connect, None, _) => {
            "No port of its own: __inet_hash_connect() searched the range, and took the first port that has no \
             bucket, or a bucket made by connect() alone (fastreuse -1) in which this 4-tuple is free."
        }
        (Op::Connect, Some(_), _) => {
            "The socket has a port of its own, inet_sk(sk)->num > 0, so __inet_hash_connect() searches nothing and \
             looks at no bucket's fastreuse. It only asks __inet_check_established() whether this 4-tuple is free. \
             That is why binding first helps."
        }
        _ => "The port was free for listening.",
    };
    paragraph(out, text);
}

//! Changes of the side that closes a connection, and of the time.

use fourtuple_scenario::{
    Case, Close, Hold, OnSocketStep, PortRef, Program, SockOpt, Spanned, Step,
};

use super::connecting;

/// Changes the side that closes connections. Returns `false` if no connection is closed, or that
/// side closes already.
pub(crate) fn close(case: &mut Case, close: Close) -> bool {
    match case.program_mut() {
        Program::Processes(all) => {
            let mut changed = false;
            for process in all.values_mut() {
                let closes = !process.connect.is_empty() && process.hold != Hold::Forever;
                if closes && process.close != close {
                    process.close = close;
                    changed = true;
                }
            }
            changed
        }
        Program::Steps(steps) => match close {
            Close::Reset => reset(steps),
            Close::Client => reorder(steps, true),
            Close::Server => reorder(steps, false),
            Close::Both => false,
        },
    }
}

/// Returns whether any connection of a case is closed.
pub(crate) fn closes(case: &Case) -> bool {
    match &*case.program {
        Program::Processes(all) => all
            .values()
            .any(|process| !process.connect.is_empty() && process.hold != Hold::Forever),
        Program::Steps(steps) => pairs(steps)
            .iter()
            .any(|(client, server)| closed(steps, client).or(closed(steps, server)).is_some()),
    }
}

/// Sets SO_LINGER 0 on both ends of the connections that are closed.
fn reset(steps: &mut [Spanned<Step>]) -> bool {
    let connected = connecting(steps);
    let mut changed = false;
    let closing: Vec<String> = connected
        .into_iter()
        .filter(|name| closed(steps, name).is_some())
        .collect();
    for step in steps.iter_mut() {
        if let Step::Socket(socket) = &mut step.value
            && closing.contains(&socket.socket)
        {
            socket.implicit = false;
            let before = socket.options.clone();
            socket.options.set(SockOpt::RESET);
            changed |= socket.options != before;
        }
    }
    // Only the end that closes first leaves a TIME-WAIT, so that the reset has to come first.
    changed | reorder(steps, true)
}

/// The place of the step that closes a socket.
fn closed(steps: &[Spanned<Step>], name: &str) -> Option<usize> {
    steps
        .iter()
        .position(|step| matches!(&step.value, Step::Close(close) if close.socket == name))
}

/// The client and the accepted socket of each connection: the n-th `accept` of a listener takes the
/// n-th `connect` to its port.
fn pairs(steps: &[Spanned<Step>]) -> Vec<(String, String)> {
    let mut ports: Vec<(String, PortRef)> = Vec::new();
    let mut waiting: Vec<(PortRef, String)> = Vec::new();
    let mut found = Vec::new();
    for step in steps {
        match &step.value {
            Step::Bind(bind) => {
                ports.push((bind.bind.clone(), bind.at.port.clone()));
                if let Some(name) = &bind.port_as {
                    ports.push((bind.bind.clone(), PortRef::Variable(name.clone())));
                }
            }
            Step::Connect(connect) => {
                waiting.push((connect.to.port.clone(), connect.connect.clone()));
            }
            Step::Accept(accept) => {
                let of_listener = |port: &PortRef| {
                    let mut ports = ports.iter();
                    ports.any(|(name, one)| *name == accept.accept && one == port)
                };
                let Some(at) = waiting.iter().position(|(port, _)| of_listener(port)) else {
                    continue;
                };
                let (_, client) = waiting.remove(at);
                found.extend(accept.accepted.clone().map(|server| (client, server)));
            }
            _ => {}
        }
    }
    found
}

/// Lets one end of each connection close before the other.
fn reorder(steps: &mut [Spanned<Step>], client_first: bool) -> bool {
    let mut changed = false;
    for (client, server) in pairs(steps) {
        let (Some(c), Some(s)) = (closed(steps, &client), closed(steps, &server)) else {
            continue;
        };
        if (c < s) != client_first {
            steps.swap(c, s);
            changed = true;
        }
    }
    changed
}

/// Closes each socket of these processes as soon as its peer has closed, where the steps leave it
/// open (CLOSE-WAIT).
pub(crate) fn close_with_peer(case: &mut Case) -> usize {
    let Program::Steps(steps) = case.program_mut() else {
        return 0;
    };
    let mut added = 0;
    for (client, server) in pairs(steps) {
        let (at, open) = match (closed(steps, &client), closed(steps, &server)) {
            (None, Some(at)) => (at, client),
            (Some(at), None) => (at, server),
            _ => continue,
        };
        let close = OnSocketStep {
            socket: open,
            expect: Vec::new(),
        };
        steps.insert(at + 1, Step::Close(close).into());
        added += 1;
    }
    added
}

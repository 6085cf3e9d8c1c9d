//! The declarative form on the kernel model.

use std::sync::Arc;

use fourtuple_kernel::Chooser;
use fourtuple_program::{HostId, Interpreter, run};
use fourtuple_scenario::Case;

use super::Played;
use super::net::Net;
use crate::compile;
use crate::engine::Cannot;
use crate::recording::Recording;

/// Runs the processes of a case to their end.
pub(super) fn play<C: Chooser>(mut net: Net<C>, case: &Case) -> Result<Played<C>, Cannot> {
    let plan = Arc::new(compile::plan(case)?);
    let mut interpreter = Interpreter::new(&plan);
    for (host, socket, port) in &net.listeners {
        interpreter.add_listener(HostId(*host as u32), *port, *socket);
    }
    let mut recording = Recording::new(case, &plan);
    net.happened(false);
    run(&plan, &mut interpreter, &mut net, &mut recording, |net| {
        net.happened(false);
    });
    net.happened(true);
    Ok((recording.finish(), net))
}

//! The kernels of the model, and one scenario on several of them.

use fourtuple_analysis::histories;
use fourtuple_harness::{Group, Model, kernels, runner};
use fourtuple_kernel::profile;
use fourtuple_render::text::compare;
use serde::Serialize;

use crate::reply::Reply;
use crate::request::Asked;
use crate::run::{self, Answer};
use crate::select::{self, Selected};

#[derive(Serialize)]
struct About {
    version: &'static str,
    kernels: Vec<Kernel>,
}

#[derive(Serialize)]
struct Kernel {
    name: String,
    /// Kernel packages behind the name of a distribution.
    about: Option<&'static str>,
}

#[derive(Serialize)]
struct Compared {
    /// The output of `fourtuple compare`.
    text: String,
    answers: Vec<Answer>,
    histories: Vec<History>,
}

#[derive(Serialize)]
struct History {
    point: String,
    stretches: Vec<Stretch>,
    changes: Vec<Change>,
}

#[derive(Serialize)]
struct Stretch {
    first: String,
    last: String,
    /// The place of their answer; none if no kernel that was asked for has it.
    answer: Option<usize>,
}

#[derive(Serialize)]
struct Change {
    from: String,
    to: String,
    alone: bool,
    behaviours: Vec<(&'static str, String)>,
}

/// The version and the kernels. Stable releases that have names of their own are left out: the
/// slider goes from release to release.
pub(crate) fn about() -> Reply {
    let names = profile::names().into_iter();
    Reply::ok(&About {
        version: env!("CARGO_PKG_VERSION"),
        kernels: names
            .filter(|name| !kernels::is_stable(name))
            .map(|name| Kernel {
                about: profile::distribution(&name),
                name,
            })
            .collect(),
    })
}

/// Compares kernels.
pub(crate) fn compare(asked: &Asked) -> Reply {
    let (scenario, folded) = match Selected::folded(asked) {
        Ok(selected) => selected,
        Err(reply) => return reply,
    };
    let report = runner::run_folded(&scenario, &folded, &[&Model]);
    let checked = select::certificate(folded.iter().map(|(case, ..)| &**case));
    let groups = Group::all(&report);
    let walked = histories(&report, &groups);
    Reply::ok(&Compared {
        text: run::certified(&compare::compare(&report), &checked),
        answers: run::answers(&report),
        histories: walked
            .into_iter()
            .map(|one| History {
                point: one.point,
                stretches: one
                    .stretches
                    .into_iter()
                    .map(|one| Stretch {
                        first: one.first,
                        last: one.last,
                        answer: one.group,
                    })
                    .collect(),
                changes: one
                    .differences
                    .into_iter()
                    .map(|one| Change {
                        from: one.from,
                        to: one.to,
                        alone: one.alone,
                        behaviours: one
                            .behaviours
                            .into_iter()
                            .map(|one| (one.name, one.text))
                            .collect(),
                    })
                    .collect(),
            })
            .collect(),
    })
}

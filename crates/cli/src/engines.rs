//! The engines.

use std::io::Write as _;
use std::time::Duration;

use fourtuple_harness::{Engine, External, Model};
use fourtuple_kernel::profile::Profile;
use fourtuple_linux::RunError;
use fourtuple_linux::engine::{self, KernelEngine};
use fourtuple_linux::exec::{self, Exec};
use fourtuple_turmoil::engine::{Stock, Turmoil, TurmoilNet};

use crate::output::{Failure, Output};
use crate::selected::Folded;

/// The default engines: those that need nothing but this program and must agree.
const DEFAULT: [&str; 2] = ["model", "turmoil"];

/// A configured engine.
pub(crate) enum Made {
    /// Runs within this process.
    Own(Box<dyn Engine>),
    /// Runs outside of this process, such as on a real kernel.
    External(Box<dyn External>),
}

impl Made {
    /// The engine.
    pub(crate) fn engine(&self) -> &dyn Engine {
        match self {
            Made::Own(engine) => &**engine,
            Made::External(engine) => &**engine,
        }
    }

    /// The engine, if it runs outside of this process.
    pub(crate) fn external(&self) -> Option<&dyn External> {
        match self {
            Made::Own(_) => None,
            Made::External(engine) => Some(&**engine),
        }
    }
}

/// The engines of a verb.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct EngineArgs {
    /// Engines to run on: model, turmoil, stock, turmoil-net, linux, vm [default: model,turmoil].
    #[arg(long = "engine", value_name = "NAME", value_delimiter = ',')]
    names: Vec<String>,
    #[command(flatten)]
    real: RealArgs,
}

impl EngineArgs {
    /// The engines that were selected by name.
    pub(crate) fn named(&self) -> &[String] {
        &self.names
    }

    /// The engines, each once.
    pub(crate) fn make(&self) -> Result<Vec<Made>, Failure> {
        match self.names.as_slice() {
            [] => by_name(&DEFAULT.map(str::to_owned), &self.real),
            names => by_name(names, &self.real),
        }
    }
}

/// Options of the engines that have a real kernel.
#[derive(Clone, Debug, clap::Args)]
struct RealArgs {
    /// The kernel of the vm engine: a bzImage, or a name such as debian:6.1 for a packaged one.
    #[arg(long, value_name = "IMAGE")]
    kernel_image: Option<String>,
    #[command(flatten)]
    wait: WaitArgs,
    /// The caller shrinks cases itself.
    #[arg(skip)]
    whole_cases: bool,
}

/// Limit of the real clock.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct WaitArgs {
    /// Maximum real time in seconds that a scenario may take on the running kernel; longer ones are
    /// skipped.
    #[arg(long, value_name = "SECONDS", default_value_t = engine::MAX_WAIT.as_secs())]
    pub(crate) max_wait: u64,
}

impl WaitArgs {
    pub(crate) fn limit(&self) -> Duration {
        Duration::from_secs(self.max_wait)
    }
}

/// An engine's name, its description, and its constructor.
type Maker = (
    &'static str,
    &'static str,
    fn(&RealArgs) -> Result<Made, Failure>,
);

/// Every engine. The model comes first: the others are compared with it.
fn all() -> Vec<Maker> {
    vec![
        (Model::NAME, Model.about(), |_| {
            Ok(Made::Own(Box::new(Model)))
        }),
        (Turmoil.name(), Turmoil.about(), |_| {
            Ok(Made::Own(Box::new(Turmoil)))
        }),
        (Stock.name(), Stock.about(), |_| {
            Ok(Made::Own(Box::new(Stock)))
        }),
        (TurmoilNet.name(), TurmoilNet.about(), |_| {
            Ok(Made::Own(Box::new(TurmoilNet)))
        }),
        (engine::LINUX.name, engine::LINUX.about, |real| {
            let kernel = real_kernel("host", None, real.wait.limit())?;
            let kernel = match real.whole_cases {
                true => kernel.reporting_whole_cases(),
                false => kernel,
            };
            Ok(Made::External(Box::new(kernel)))
        }),
        (engine::VM.name, engine::VM.about, |real| {
            let Some(image) = &real.kernel_image else {
                return Err(Failure::Message(
                    "error: the vm engine needs a kernel image\n  = help: add `--kernel-image IMAGE`, a bzImage or a name such as debian:6.1"
                        .to_owned(),
                ));
            };
            let kernel = real_kernel(image, None, real.wait.limit())?;
            Ok(Made::External(Box::new(kernel)))
        }),
    ]
}

/// A real kernel to run scenarios on: `host`, or an image. Its answers are checked with `profile`,
/// or with its own.
pub(crate) fn real_kernel(
    name: &str,
    profile: Option<Profile>,
    limit: Duration,
) -> Result<KernelEngine, Failure> {
    KernelEngine::named(name, profile, limit).map_err(|e| {
        let help = match e {
            RunError::NoProfile(_) => {
                "\n  = help: `fourtuple certify --profile NAME` checks it with a profile of your choice"
            }
            _ => "",
        };
        Failure::Message(format!("error: {e}{help}"))
    })
}

/// Engines for random scenarios, by name. `limit` is the longest wait of a connect() on a real
/// clock.
pub(crate) fn for_fuzz(names: &[String], limit: Duration) -> Result<Vec<Made>, Failure> {
    let real = RealArgs {
        kernel_image: None,
        wait: WaitArgs {
            max_wait: limit.as_secs(),
        },
        whole_cases: true,
    };
    by_name(names, &real)
}

/// The engines with these names, each once.
fn by_name(names: &[String], real: &RealArgs) -> Result<Vec<Made>, Failure> {
    let engines = all();
    let known = |name: &str| engines.iter().any(|one| one.0 == name) || command(name).is_some();
    if let Some(name) = names.iter().find(|name| !known(name)) {
        let mut message = format!("error: unknown engine `{name}`");
        let about = engines.iter().map(|(name, about, _)| (*name, *about));
        for (name, about) in about.chain([(exec::NAME, exec::ABOUT)]) {
            message.push_str(&format!("\n  = help: {name}: {about}"));
        }
        return Err(Failure::Message(message));
    }
    let mut made: Vec<Made> = engines
        .into_iter()
        .filter(|one| names.iter().any(|name| one.0 == name))
        .map(|(_, _, make)| make(real))
        .collect::<Result<_, _>>()?;
    let mut commands = names.iter().filter_map(|name| command(name));
    if let Some(command) = commands.next() {
        let engine = external(command, real.wait.limit())?;
        made.push(Made::External(Box::new(engine)));
    }
    if let Some(second) = commands.next() {
        return Err(Failure::Message(format!(
            "error: more than one external engine: `{second}`\n  = help: run the command once for each of them"
        )));
    }
    Ok(made)
}

/// The command of `exec:COMMAND`.
fn command(name: &str) -> Option<&str> {
    name.strip_prefix(exec::NAME)?.strip_prefix(':')
}

/// The external engine behind a command.
fn external(command: &str, limit: Duration) -> Result<Exec, Failure> {
    Exec::new(command, limit, exec::PATIENCE).map_err(|e| {
        Failure::Message(format!(
            "error: failed to use `{command}` as an engine: {e}\n  = help: docs/exec-engine.md describes the protocol"
        ))
    })
}

/// Prepares external engines for all cases at once.
pub(crate) fn prepare(engines: &[Made], folded: &[Folded]) {
    let cases = folded.iter().flat_map(|one| &one.cases);
    let cases: Vec<_> = cases
        .map(|(case, profile, _)| (&**case, &**profile))
        .collect();
    for engine in engines.iter().filter_map(Made::external) {
        engine.prepare(&cases);
    }
}

/// Fails if the run of an engine broke off; the results until then are written first.
pub(crate) fn check_engines_completed(out: &mut Output, engines: &[Made]) -> Result<(), Failure> {
    let mut engines = engines.iter().filter_map(Made::external);
    engines.try_for_each(|engine| check_engine_completed(out, engine))
}

/// As [`check_engines_completed`] for one engine.
pub(crate) fn check_engine_completed(
    out: &mut Output,
    engine: &dyn External,
) -> Result<(), Failure> {
    let Some(why) = engine.broken() else {
        return Ok(());
    };
    out.flush()?;
    Err(Failure::Message(format!("error: a run broke off: {why}")))
}

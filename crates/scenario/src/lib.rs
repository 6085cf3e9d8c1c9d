//! YAML scenarios about TCP local ports: parsing, validation, expansion.
//!
//! A scenario is a YAML file with hosts, the program that runs on them, and the kernels to ask.
//! This crate converts it to typed [`Case`]s, in which every reference is resolved, and reports
//! each problem with its place in the file. It does not depend on engines or kernel models: the
//! caller supplies the names of kernels ([`KernelNames`]).
//!
//! ```
//! use fourtuple_scenario::{KernelNames, expand, parse};
//!
//! let scenario = parse("example.yaml", r#"
//! about: Can a plain connect() use a port that another program bound?
//! kernel: [rhel-6.5, linux-6.18]
//! hosts:
//!   app: { addresses: [192.168.0.12] }
//!   api: { addresses: [192.168.0.4], listen: "192.168.0.4:3000" }
//! processes:
//!   binders: { on: app, count: 4, bind: "192.168.0.12:0", connect: "192.168.0.4:3000" }
//! "#)?;
//! let kernels = KernelNames::new([("rhel-6.5", ["rhel-6.4"]), ("linux-6.18", ["linux-6.17.13"])]);
//! let cases = expand(&scenario, &kernels)?;
//! assert_eq!(cases.len(), 2);
//! # Ok::<(), fourtuple_scenario::Errors>(())
//! ```
//!
//! The stages of parsing, which are also a map of the code:
//!
//! | stage | module |
//! |---|---|
//! | bytes to text, within a size limit | [`load`](fn@load), [`discover`] |
//! | text to a tree with spans, within limits on values and nesting | `yaml` |
//! | matrix values substituted in the tree, for each point | `decode::matrix` |
//! | tree to types, with all problems | `decode`, `check`, `value` |
//! | types to cases, with kernel names looked up | [`expand`](fn@expand) |
//! | types to YAML | `encode` |
//! | changed types to the text of a file, with its comments and layout | `edit` |
//! | types to JSON Schema | [`schema`](fn@schema) |

pub mod import;
pub mod limits;

mod check;
mod decode;
mod diagnostic;
mod digest;
mod edit;
mod encode;
mod expand;
mod kernels;
mod load;
mod locate;
mod model;
mod schema;
mod source;
mod span;
mod suggest;
mod value;
mod yaml;

pub use diagnostic::{Diagnostic, Errors, Place, Severity, is_control};
pub use digest::digest;
pub use expand::{expand, expandable};
pub use fourtuple_syscall::{OptId, SockOpt};
pub use kernels::KernelNames;
pub use load::{discover, load, name_of};
pub use locate::Segment;
pub use model::{
    AcceptStep, BindStep, Body, Case, Check, ConnectStep, ExpectBlock, Expected, Fault, FaultKind,
    Host, KernelPattern, KernelSelector, ListenStep, Matrix, NameStep, Nat, NatSource, Network,
    OnSocketStep, Options, Point, Process, Program, RecvfromStep, Scenario, SendtoStep, SetStep,
    ShutdownStep, SleepStep, SocketStep, Step, SysctlStep, Sysctls, TransferStep,
};
pub use schema::{schema, schema_text};
pub use span::{Span, Spanned};
pub use suggest::nearest_few;
pub use value::{
    Accepted, Address, Answer, Close, Family, Hold, Latency, Loss, NatPreset, NatRandom, Op,
    PortRange, PortRef, Protocol, Shutdown, SocketType, Switch, format_duration,
};

/// Parses a scenario. `file` is the path shown in errors, and determines the scenario's name.
///
/// # Errors
///
/// All problems of the text.
pub fn parse(file: &str, text: &str) -> Result<Scenario, Errors> {
    parse_named(file, &name_of(std::path::Path::new(file)), text)
}

fn parse_named(file: &str, name: &str, text: &str) -> Result<Scenario, Errors> {
    if text.len() as u64 > limits::MAX_FILE_BYTES {
        let problem = Diagnostic::of_file(file, format!("the text has {} bytes", text.len()))
            .with_help(format!("the limit is {} bytes", limits::MAX_FILE_BYTES));
        return Err(problem.into());
    }
    if let Some(at) = text.find('\0') {
        let problem = Diagnostic::of_file(file, format!("the file is not text: byte {at} is NUL"))
            .with_help("scenarios are YAML in UTF-8; is this the right file?");
        return Err(problem.into());
    }
    let source = source::SourceFile::new(file, text);
    let Some(root) = yaml::read(&source)?.filter(|root| !root.is_null()) else {
        let problem = Diagnostic::of_file(file, "the file is empty")
            .with_help("start with `about: ...`, then `hosts:` and `processes:` or `steps:`");
        return Err(problem.into());
    };
    decode::decode(&root, name.to_owned(), &source)
}

//! The verbs. To add one, write a file with an `Args` that has a `run`, and name it below.

use clap::Subcommand;

use crate::output::{Failure, Output, Verdict};

macro_rules! verbs {
    ($($module:ident $variant:ident,)*) => {
        $(mod $module;)*

        /// A verb of the command.
        #[derive(Debug, Subcommand)]
        pub(crate) enum Verb {
            $(#[allow(missing_docs)] $variant($module::Args),)*
        }

        impl Verb {
            /// Runs the verb.
            pub(crate) fn run(self, out: &mut Output) -> Result<Verdict, Failure> {
                match self {
                    $(Verb::$variant(args) => args.run(out),)*
                }
            }
        }
    };
}

/// An export format of tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Export {
    /// A table in Markdown.
    Markdown,
}

/// `certify` for scenarios.
mod certify_scenarios;
/// `fuzz` for scenarios on several engines.
mod fuzz_engines;
/// Report formatting for `fuzz`.
mod fuzz_report;

// The order of `fourtuple --help`.
verbs! {
    run Run,
    test Test,
    explain Explain,
    compare Compare,
    remedies Remedies,
    capacity Capacity,
    lint Lint,
    explore Explore,
    certify Certify,
    fuzz Fuzz,
    merge Merge,
    import Import,
    report Report,
    kernels Kernels,
    new New,
    schema Schema,
    completions Completions,
    man Man,
}

//! The verbs. To add one, write a file with an `Args` that has a `run`, and name it below.

use clap::{Command, Subcommand};

use crate::output::{Failure, Output, Verdict};

macro_rules! verbs {
    ($($group:literal { $($module:ident $variant:ident,)* })*) => {
        $($(mod $module;)*)*

        /// A verb of the command.
        #[derive(Debug, Subcommand)]
        pub(crate) enum Verb {
            $($(#[allow(missing_docs)] $variant($module::Args),)*)*
        }

        impl Verb {
            /// Runs the verb.
            pub(crate) fn run(self, out: &mut Output) -> Result<Verdict, Failure> {
                match self {
                    $($(Verb::$variant(args) => args.run(out),)*)*
                }
            }
        }

        /// The groups of verbs in `fourtuple --help`.
        const GROUPS: &[(&str, &[&str])] = &[$(($group, &[$(stringify!($module)),*])),*];
    };
}

/// The help text of the verbs: a line for each, in groups.
pub(crate) fn summaries(command: &Command) -> String {
    let width = GROUPS.iter().flat_map(|(_, verbs)| *verbs);
    let width = width.map(|verb| verb.len()).max().unwrap_or(0);
    let (header, literal) = (
        command.get_styles().get_header(),
        command.get_styles().get_literal(),
    );
    let mut text = String::new();
    for (group, verbs) in GROUPS {
        text.push_str(&format!("{header}{group}:{header:#}\n"));
        for verb in *verbs {
            let about = command
                .find_subcommand(verb)
                .and_then(Command::get_about)
                .map(ToString::to_string)
                .unwrap_or_default();
            let gap = " ".repeat(width - verb.len());
            text.push_str(&format!("  {literal}{verb}{literal:#}{gap}  {about}\n"));
        }
        text.push('\n');
    }
    text
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

// The groups and the order of `fourtuple --help`.
verbs! {
    "Run scenarios" {
        run Run,
        test Test,
        report Report,
        merge Merge,
    }
    "Ask about a scenario" {
        explain Explain,
        remedies Remedies,
        compare Compare,
        explore Explore,
        capacity Capacity,
    }
    "Ask about a running host" {
        doctor Doctor,
        capture Capture,
    }
    "Write scenarios" {
        new New,
        import Import,
        lint Lint,
        schema Schema,
    }
    "Check the model" {
        kernels Kernels,
        certify Certify,
        fuzz Fuzz,
    }
    "Set up the command" {
        completions Completions,
        man Man,
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn summaries_of_verbs_fit_on_a_line() {
        let command = crate::command();
        for verb in command.get_subcommands() {
            let about = verb.get_about().map(ToString::to_string);
            let about = about.unwrap_or_else(|| panic!("{} has no summary", verb.get_name()));
            assert!(about.len() <= 60, "{}: {about}", verb.get_name());
            assert!(!about.ends_with('.'), "{}: {about}", verb.get_name());
        }
    }
}

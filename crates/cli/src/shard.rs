//! A part of a sweep, for several machines: `--shard 2/5`, or `--shard auto` on a scheduler that
//! numbers its tasks.
//!
//! Each part is a contiguous range, so that the concatenated lines of all parts are the lines of
//! the whole. In json-lines a part ends with a [`Seal`], a line from which `merge` knows the part
//! and its sweep.

use std::collections::BTreeSet;
use std::fmt;
use std::io::{self, Write};
use std::ops::Range;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One of so many parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shard {
    part: usize,
    of: usize,
}

/// The default is everything in one part.
impl Default for Shard {
    fn default() -> Self {
        Shard { part: 1, of: 1 }
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.part, self.of)
    }
}

impl FromStr for Shard {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "auto" {
            return Self::of_scheduler(|name| std::env::var(name).ok());
        }
        let wrong = || {
            format!(
                "invalid part `{text}`: expected `K/N`, such as `2/5` for the second of five, or `auto`"
            )
        };
        let (part, of) = text.split_once('/').ok_or_else(wrong)?;
        let number = |text: &str| text.parse::<u32>().map_err(|_| wrong());
        let (part, of) = (number(part)? as usize, number(of)? as usize);
        if part == 0 || part > of {
            return Err(wrong());
        }
        Ok(Shard { part, of })
    }
}

/// The option of every verb that sweeps.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(crate) struct Sweep {
    /// Take one part of the sweep only, such as 2/5 for the second of five; `auto` on a scheduler.
    ///
    /// Scenarios are shared out, programs by `fuzz`, and the kernels and points of the matrix of a
    /// scenario by `explore` and `remedies`. `fourtuple merge` joins json-lines and certificates.
    #[arg(
        long,
        value_name = "K/N",
        default_value = "1/1",
        hide_default_value = true
    )]
    pub(crate) shard: Shard,
}

/// The environment variables in which a scheduler numbers its tasks.
struct Scheduler {
    name: &'static str,
    /// The number of the task.
    index: &'static str,
    /// The number of the first task: a variable, or else a constant.
    first: (Option<&'static str>, usize),
    /// The number of tasks.
    total: &'static str,
}

/// Kubernetes and GNU parallel do not provide the number of tasks: the job sets `FOURTUPLE_SHARDS`.
/// GitHub provides it to the workflow only, which passes it on (see `deploy/`).
const SCHEDULERS: [Scheduler; 5] = [
    Scheduler {
        name: "a Slurm array",
        index: "SLURM_ARRAY_TASK_ID",
        first: (Some("SLURM_ARRAY_TASK_MIN"), 0),
        total: "SLURM_ARRAY_TASK_COUNT",
    },
    Scheduler {
        name: "GitLab",
        index: "CI_NODE_INDEX",
        first: (None, 1),
        total: "CI_NODE_TOTAL",
    },
    Scheduler {
        name: "a GitHub matrix",
        index: "STRATEGY_JOB_INDEX",
        first: (None, 0),
        total: "STRATEGY_JOB_TOTAL",
    },
    Scheduler {
        name: "a Kubernetes indexed job",
        index: "JOB_COMPLETION_INDEX",
        first: (None, 0),
        total: "FOURTUPLE_SHARDS",
    },
    Scheduler {
        name: "GNU parallel",
        index: "PARALLEL_SEQ",
        first: (None, 1),
        total: "FOURTUPLE_SHARDS",
    },
];

impl Shard {
    /// The part that a scheduler's variables name. The first scheduler of the table that numbers
    /// this task decides.
    fn of_scheduler(variable: impl Fn(&str) -> Option<String>) -> Result<Self, String> {
        let number = |name: &str| -> Result<usize, String> {
            let value = variable(name).ok_or_else(|| format!("`{name}` is not set"))?;
            value
                .parse::<u32>()
                .map(|number| number as usize)
                .map_err(|_| format!("invalid `{name}` value `{value}`: expected a number"))
        };
        let scheduler = SCHEDULERS
            .iter()
            .find(|one| variable(one.index).is_some())
            .ok_or_else(|| {
                let names: Vec<&str> = SCHEDULERS.iter().map(|one| one.index).collect();
                format!("`auto` needs a scheduler's variable: {}", names.join(", "))
            })?;
        let within = |problem: String| format!("`auto` in {}: {problem}", scheduler.name);
        let index = number(scheduler.index).map_err(within)?;
        let first = match scheduler.first {
            (Some(name), _) => number(name).map_err(within)?,
            (None, first) => first,
        };
        let of = number(scheduler.total).map_err(within)?;
        match index.checked_sub(first) {
            Some(at) if at < of => Ok(Shard { part: at + 1, of }),
            _ => Err(within(format!(
                "task {index} of {of} is out of range: tasks count from {first} without gaps"
            ))),
        }
    }

    /// The range of this part among `count` things.
    pub(crate) fn range(self, count: usize) -> Range<usize> {
        // 128 bits, because the product of two sizes may not fit into one.
        let edge = |part: usize| (count as u128 * part as u128 / self.of as u128) as usize;
        edge(self.part - 1)..edge(self.part)
    }

    /// The seal of this part of a sweep; none if the part is the whole. `items` describe all that
    /// the sweep consists of.
    pub(crate) fn seal(self, verb: &str, items: impl IntoIterator<Item = String>) -> Option<Seal> {
        let mut text = verb.to_owned();
        for item in items {
            text.push('\n');
            text.push_str(&item);
        }
        (self.of > 1).then(|| Seal {
            part: self.part,
            of: self.of,
            sweep: fourtuple_scenario::digest(&text),
        })
    }

    /// Keeps the things that belong to this part.
    pub(crate) fn keep<T>(self, things: &mut Vec<T>) {
        let range = self.range(things.len());
        things.truncate(range.end);
        things.drain(..range.start);
    }
}

/// The identity of one part of a sweep.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Seal {
    /// Which part, counted from 1.
    pub(crate) part: usize,
    /// The number of parts.
    pub(crate) of: usize,
    /// A digest of everything that the sweep consists of.
    sweep: String,
}

impl fmt::Display for Seal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "part {} of {}", self.part, self.of)
    }
}

/// The line that closes a part.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SealLine {
    /// The version of this format.
    format: u32,
    /// The part.
    shard: Seal,
}

impl Seal {
    /// Writes the line that closes the part.
    pub(crate) fn write(&self, out: &mut impl Write) -> io::Result<()> {
        let line = SealLine {
            format: 1,
            shard: self.clone(),
        };
        serde_json::to_writer(&mut *out, &line)?;
        out.write_all(b"\n")
    }

    /// Reads a line that closes a part; none for other lines, and for one that has no end.
    pub(crate) fn read(line: &[u8]) -> Option<Self> {
        let line = line.strip_suffix(b"\n")?;
        let line: SealLine = (line.starts_with(b"{\"format\":1,\"shard\":"))
            .then(|| serde_json::from_slice(line).ok())
            .flatten()?;
        let seal = line.shard;
        (1..=seal.of).contains(&seal.part).then_some(seal)
    }
}

/// The parts of a sweep that are there.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Parts {
    /// The number of parts.
    of: usize,
    /// A digest of everything that the sweep consists of.
    sweep: String,
    /// The parts that are there.
    there: BTreeSet<usize>,
}

/// Maximum number of missing parts that are listed one by one.
const NAMED: usize = 20;

impl Parts {
    /// The part of one seal.
    pub(crate) fn one(seal: &Seal) -> Self {
        Parts {
            of: seal.of,
            sweep: seal.sweep.clone(),
            there: BTreeSet::from([seal.part]),
        }
    }

    /// True if a seal belongs to the same sweep.
    pub(crate) fn is_of(&self, seal: &Seal) -> bool {
        self.there.is_empty() || (self.of == seal.of && self.sweep == seal.sweep)
    }

    /// Adds a part.
    pub(crate) fn insert(&mut self, seal: &Seal) -> Result<(), String> {
        self.join(&Parts::one(seal))
    }

    /// Adds parts that are not there yet.
    pub(crate) fn join(&mut self, other: &Parts) -> Result<(), String> {
        if self.there.is_empty() {
            *self = other.clone();
            return Ok(());
        }
        if self.of != other.of {
            return Err(format!(
                "it is of a sweep in {} parts, and the files before it are of one in {}",
                other.of, self.of
            ));
        }
        if self.sweep != other.sweep {
            return Err("it is of another sweep than the files before it".to_owned());
        }
        if let Some(part) = self.there.intersection(&other.there).next() {
            return Err(format!("part {part} of {} is there twice", self.of));
        }
        self.there.extend(&other.there);
        Ok(())
    }

    /// A list of the missing parts; none if all exist.
    pub(crate) fn missing(&self) -> Option<String> {
        let missing = self.of - self.there.len().min(self.of);
        let absent = (1..=self.of).filter(|part| !self.there.contains(part));
        let mut names: Vec<String> = absent.take(NAMED).map(|part| part.to_string()).collect();
        if missing > NAMED {
            names.push(format!("{} more", missing - NAMED));
        }
        let s = if missing == 1 { "" } else { "s" };
        (missing > 0).then(|| format!("part{s} {} of {}", names.join(", "), self.of))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_one_after_the_other_are_the_whole() {
        for count in [0, 1, 2, 7, 100] {
            for of in 1..=9 {
                let whole: Vec<usize> = (0..count).collect();
                let mut joined = Vec::new();
                for part in 1..=of {
                    let mut things = whole.clone();
                    Shard { part, of }.keep(&mut things);
                    assert!(things.len() <= count.div_ceil(of), "{part}/{of} of {count}");
                    joined.extend(things);
                }
                assert_eq!(joined, whole, "{of} parts of {count}");
            }
        }
    }

    /// The part that `auto` finds in these variables.
    fn auto(variables: &[(&str, &str)]) -> Result<Shard, String> {
        let find = |name: &str| variables.iter().find(|(one, _)| *one == name);
        Shard::of_scheduler(|name| find(name).map(|(_, value)| (*value).to_owned()))
    }

    #[test]
    fn auto_reads_the_variables_of_each_scheduler() {
        let slurm = [
            ("SLURM_ARRAY_TASK_ID", "7"),
            ("SLURM_ARRAY_TASK_MIN", "5"),
            ("SLURM_ARRAY_TASK_COUNT", "8"),
        ];
        assert_eq!(auto(&slurm), Ok(Shard { part: 3, of: 8 }));
        for (index, first, total) in [
            ("CI_NODE_INDEX", 1, "CI_NODE_TOTAL"),
            ("STRATEGY_JOB_INDEX", 0, "STRATEGY_JOB_TOTAL"),
            ("JOB_COMPLETION_INDEX", 0, "FOURTUPLE_SHARDS"),
            ("PARALLEL_SEQ", 1, "FOURTUPLE_SHARDS"),
        ] {
            for at in 0..4 {
                let variables = [(index, &*(at + first).to_string()), (total, "4")];
                assert_eq!(
                    auto(&variables),
                    Ok(Shard {
                        part: at + 1,
                        of: 4
                    }),
                    "{index}"
                );
            }
            let beyond = [(index, &*(4 + first).to_string()), (total, "4")];
            assert!(auto(&beyond).is_err(), "{index}");
        }
    }

    #[test]
    fn auto_names_the_variable_that_is_missing_or_invalid() {
        let refused = |variables| auto(variables).expect_err("no part");
        assert!(refused(&[]).contains("JOB_COMPLETION_INDEX"));
        assert!(
            refused(&[("JOB_COMPLETION_INDEX", "0")]).contains("`FOURTUPLE_SHARDS` is not set")
        );
        let invalid = refused(&[("CI_NODE_INDEX", "1"), ("CI_NODE_TOTAL", "two")]);
        assert!(
            invalid.contains("invalid `CI_NODE_TOTAL` value `two`"),
            "{invalid}"
        );
    }

    #[test]
    fn invalid_parts_are_refused() {
        for text in [
            "",
            "1",
            "0/2",
            "3/2",
            "1/0",
            "-1/2",
            "a/b",
            "1/2/3",
            "99999999999/99999999999",
        ] {
            assert!(text.parse::<Shard>().is_err(), "{text}");
        }
        assert_eq!("2/5".parse(), Ok(Shard { part: 2, of: 5 }));
    }
}

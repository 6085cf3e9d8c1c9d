//! A part of a sweep, for several machines: `--shard 2/5`, or `--shard auto` on a scheduler that numbers its tasks.
//!
//! The parts are neighbours, so that the lines of all of them, one part after the other, are the lines of the whole.

use std::ops::Range;
use std::str::FromStr;

/// One of so many parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shard {
    part: usize,
    of: usize,
}

/// Everything in one part.
impl Default for Shard {
    fn default() -> Self {
        Shard { part: 1, of: 1 }
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

/// Kubernetes and GNU parallel do not say how many tasks there are: the job sets `FOURTUPLE_SHARDS`. GitHub says it to
/// the workflow only, which passes it on (see `deploy/`).
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
    /// The part that a scheduler's variables name. The first scheduler of the table that numbers this task decides.
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

    /// Which of so many things belong to this part.
    pub(crate) fn range(self, count: usize) -> Range<usize> {
        // 128 bits, because the product of two sizes may not fit into one.
        let edge = |part: usize| (count as u128 * part as u128 / self.of as u128) as usize;
        edge(self.part - 1)..edge(self.part)
    }

    /// Keeps the things that belong to this part.
    pub(crate) fn keep<T>(self, things: &mut Vec<T>) {
        let range = self.range(things.len());
        things.truncate(range.end);
        things.drain(..range.start);
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
    fn what_is_no_part_is_refused() {
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

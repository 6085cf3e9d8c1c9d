//! A part of a sweep, for several machines: `--shard 2/5`.
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
        let wrong =
            || format!("`{text}` is no part of a whole, such as `2/5` for the second of five");
        let (part, of) = text.split_once('/').ok_or_else(wrong)?;
        let number = |text: &str| text.parse::<u32>().map_err(|_| wrong());
        let (part, of) = (number(part)? as usize, number(of)? as usize);
        if part == 0 || part > of {
            return Err(wrong());
        }
        Ok(Shard { part, of })
    }
}

impl Shard {
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

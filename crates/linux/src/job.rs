//! What a guest can be given to do: a program, or a scenario.

use crate::plan::{AnswerError, Plan, ProgramError};
use crate::program::Program;

/// Something that becomes one frame for the guest, whose answer becomes something again.
pub(crate) trait Job: Sync {
    /// It, with what the kernel answered.
    type Answered: Send;

    /// Its name, for messages.
    fn name(&self) -> &str;

    /// The operations.
    fn plan(&self) -> Result<Plan, ProgramError>;

    /// Puts the guest's answer back.
    fn answered(&self, plan: &Plan, frame: &[u8]) -> Result<Self::Answered, AnswerError>;

    /// The calls that were made, with their answers.
    fn program(answered: &Self::Answered) -> &Program;
}

impl Job for Program {
    type Answered = Program;

    fn name(&self) -> &str {
        &self.program
    }

    fn plan(&self) -> Result<Plan, ProgramError> {
        Plan::new(self)
    }

    fn answered(&self, plan: &Plan, frame: &[u8]) -> Result<Program, AnswerError> {
        plan.answers(self, frame)
    }

    fn program(answered: &Program) -> &Program {
        answered
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    /// The compiler does not notice two operations of one number, and the guest takes one for the other.
    #[test]
    fn operations_have_numbers_of_their_own() {
        let numbers: Vec<u8> = include_str!("wire.rs")
            .lines()
            .filter_map(|line| line.strip_prefix("pub(crate) const OP_")?.split_once(" = "))
            .map(|(_, number)| number.trim_end_matches(';').parse().expect("a number"))
            .collect();
        assert!(numbers.len() > 20, "{numbers:?}");
        let distinct: BTreeSet<u8> = numbers.iter().copied().collect();
        assert_eq!(distinct.len(), numbers.len(), "{numbers:?}");
    }
}

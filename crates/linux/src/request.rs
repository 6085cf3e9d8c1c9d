//! Requests to a guest: programs and scenarios.

use crate::plan::{AnswerError, Plan, ProgramError};
use crate::program::Program;

/// A request that is encoded as one frame for the guest, and decodes the guest's answer.
pub(crate) trait GuestRequest: Sync {
    /// The request with the kernel's answers.
    type Answered: Send;

    /// Name for messages.
    fn name(&self) -> &str;

    /// Encodes the operations.
    fn plan(&self) -> Result<Plan, ProgramError>;

    /// Decodes the guest's answer.
    fn answered(&self, plan: &Plan, frame: &[u8]) -> Result<Self::Answered, AnswerError>;

    /// The calls that were made, with their answers.
    fn program(answered: &Self::Answered) -> &Program;
}

impl GuestRequest for Program {
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

    /// Two operations with one number compile, but the guest takes one for the other.
    #[test]
    fn operation_numbers_are_distinct() {
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

//! The source of chance of all experiments. It is one type, because the kernel model is compiled
//! anew for each.

use fourtuple_kernel::Chooser;
use fourtuple_kernel::chooser::PortHashInput;

use crate::capacity::recording::RecordingChooser;
use crate::explore::recorded::RecordedChoices;

/// The source of chance of an experiment.
#[derive(Clone, Debug)]
pub(crate) enum ExperimentChooser {
    /// Choices that are replayed or varied.
    Recorded(RecordedChoices),
    /// The choices of a seed.
    Seeded(Box<RecordingChooser>),
}

impl ExperimentChooser {
    /// The choices of a seed for a machine; its timer wheel starts at a phase.
    pub(crate) fn seeded(seed: u64, machine: &str, tick_phase: u64) -> Self {
        let chooser = RecordingChooser::new(seed, machine).with_tick_phase(tick_phase);
        ExperimentChooser::Seeded(Box::new(chooser))
    }

    /// The choices that are replayed or varied, if it has them.
    pub(crate) fn recorded(&self) -> Option<&RecordedChoices> {
        match self {
            ExperimentChooser::Recorded(choices) => Some(choices),
            ExperimentChooser::Seeded(_) => None,
        }
    }

    /// As [`recorded`](Self::recorded), to change them.
    pub(crate) fn recorded_mut(&mut self) -> Option<&mut RecordedChoices> {
        match self {
            ExperimentChooser::Recorded(choices) => Some(choices),
            ExperimentChooser::Seeded(_) => None,
        }
    }

    /// Takes the start of the last connect() search of a seed.
    pub(crate) fn take_start(&mut self) -> Option<u32> {
        match self {
            ExperimentChooser::Recorded(_) => None,
            ExperimentChooser::Seeded(chooser) => chooser.start.take(),
        }
    }
}

impl From<RecordedChoices> for ExperimentChooser {
    fn from(choices: RecordedChoices) -> Self {
        ExperimentChooser::Recorded(choices)
    }
}

/// The answer of the variant.
macro_rules! ask {
    ($chooser:ident.$name:ident($($argument:ident),*)) => {
        match $chooser {
            ExperimentChooser::Recorded(choices) => choices.$name($($argument),*),
            ExperimentChooser::Seeded(chooser) => chooser.$name($($argument),*),
        }
    };
}

impl Chooser for ExperimentChooser {
    fn bind_start(&mut self, n: u32, parity: bool) -> u32 {
        ask!(self.bind_start(n, parity))
    }

    fn rescans(&mut self, kernel: u32) -> u32 {
        ask!(self.rescans(kernel))
    }

    fn port_hash(&mut self, input: PortHashInput) -> u64 {
        ask!(self.port_hash(input))
    }

    fn connect_start(&mut self, base: u32, n: u32, even: bool) -> u32 {
        ask!(self.connect_start(base, n, even))
    }

    fn perturb_cell(&mut self, index: u32) -> u32 {
        ask!(self.perturb_cell(index))
    }

    fn perturb_step(&mut self, n: u32) -> u32 {
        ask!(self.perturb_step(n))
    }

    fn step_factor(&mut self, most: u32) -> u32 {
        ask!(self.step_factor(most))
    }

    fn garbage_uid_matches(&mut self) -> bool {
        ask!(self.garbage_uid_matches())
    }

    fn garbage_bit(&mut self) -> bool {
        ask!(self.garbage_bit())
    }

    fn timer_fired(&mut self, nominal: u64, now: u64) -> bool {
        ask!(self.timer_fired(nominal, now))
    }

    fn uncertain(&mut self, nominal: bool) -> bool {
        ask!(self.uncertain(nominal))
    }

    fn slack(&self) -> u64 {
        ask!(self.slack())
    }

    fn tick_phase(&self) -> u64 {
        ask!(self.tick_phase())
    }

    fn pick_listener(&mut self, n: u32) -> u32 {
        ask!(self.pick_listener(n))
    }
}

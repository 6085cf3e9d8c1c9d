//! The kernel that programs are run on: the running one, or an image in a virtual machine.

use crate::error::RunError;
use crate::generate::Kind;
use crate::job::Job;
use crate::program::Program;
use crate::{Answers, Host, Image, Vm};
use fourtuple_harness::threads;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::sync::{Mutex, PoisonError};

/// Programs of one boot of a virtual machine. A boot takes seconds, and what is left when one breaks off is lost.
const PER_BOOT: usize = 400;

/// A kernel that can be asked.
#[derive(Clone, Debug)]
pub struct On {
    place: Place,
    /// How many programs, or virtual machines, run at a time.
    jobs: usize,
    release: String,
    users: bool,
}

#[derive(Clone, Debug)]
enum Place {
    Host,
    Vm(Vm),
}

/// Programs that run at a time on the running kernel, for each processor: they sleep most of the time. With more of them a kernel's
/// timers now and then come so late that what it answers is no longer a matter of its rules.
const ON_HOST: usize = 10;

impl On {
    /// `host`, or the name of an image as [`Image::named`] takes it. Looks whether it works, and which kernel it is.
    ///
    /// # Errors
    /// Where the kernel cannot be used, in one line.
    pub fn named(name: &str, jobs: Option<usize>) -> Result<On, RunError> {
        let processors = threads::cpus();
        if name == "host" {
            let host = Host::start()?;
            return Ok(On {
                place: Place::Host,
                // Programs that sleep cost nothing meanwhile.
                jobs: jobs.unwrap_or(ON_HOST * processors),
                release: host.release().to_owned(),
                users: host.has_users(),
            });
        }
        let vm = Vm::new(Image::named(name)?);
        let release = vm.run(&[])?.release;
        Ok(On {
            place: Place::Vm(vm),
            jobs: jobs.unwrap_or(processors),
            release,
            users: true,
        })
    }

    /// What uname calls the kernel.
    pub fn release(&self) -> &str {
        &self.release
    }

    /// The kernel in words.
    pub fn name(&self) -> String {
        match &self.place {
            Place::Host => format!("the running kernel {}", self.release),
            Place::Vm(vm) => format!("{} ({})", vm.image.name, self.release),
        }
    }

    /// `host` or `vm`.
    pub fn how(&self) -> &'static str {
        match self.place {
            Place::Host => "host",
            Place::Vm(_) => "vm",
        }
    }

    /// What programs it can run.
    pub fn kind(&self) -> Kind {
        match &self.place {
            Place::Host => Kind {
                virtual_time: false,
                users: self.users,
                links: true,
            },
            Place::Vm(vm) => Kind {
                virtual_time: true,
                users: true,
                links: !vm.image.modules.is_empty(),
            },
        }
    }

    /// For kernels whose programs do see what others left behind: one at a time.
    pub fn in_order(mut self) -> On {
        self.jobs = 1;
        self
    }

    /// Whether the kernel is booted afresh for program `number` of a run.
    pub fn begins_boot(&self, number: usize) -> bool {
        matches!(self.place, Place::Vm(_)) && number.is_multiple_of(PER_BOOT)
    }

    /// Runs `count` programs, which `make` gives by number, and hands each one that is done to `each`, on one of several threads.
    /// Programs of one boot come in order; with one job all do.
    ///
    /// # Errors
    /// When the kernel cannot be used any more. What is wrong with single programs goes to `each`.
    pub fn run(
        &self,
        count: usize,
        make: &(dyn Fn(usize) -> Program + Sync),
        each: &(dyn Fn(usize, Result<Program, RunError>) + Sync),
    ) -> Result<(), RunError> {
        self.run_jobs(count, make, each)
    }

    /// [`On::run`] for anything that can be planned.
    pub(crate) fn run_jobs<J: Job>(
        &self,
        count: usize,
        make: &(dyn Fn(usize) -> J + Sync),
        each: &(dyn Fn(usize, Result<J::Answered, RunError>) + Sync),
    ) -> Result<(), RunError> {
        let next = AtomicUsize::new(0);
        let work = || -> Result<(), RunError> {
            match &self.place {
                Place::Host => {
                    // The kernel has been used before: that it cannot be any more is no property of a program.
                    let mut host = Host::start().map_err(RunError::into_broken)?;
                    loop {
                        let number = next.fetch_add(1, Ordering::Relaxed);
                        if number >= count {
                            return Ok(());
                        }
                        match host.run_job(&make(number)) {
                            Err(e @ RunError::Broken { .. }) => {
                                next.store(count, Ordering::Relaxed);
                                return Err(e);
                            }
                            answer => each(number, answer),
                        }
                    }
                }
                Place::Vm(vm) => loop {
                    let first = next.fetch_add(PER_BOOT, Ordering::Relaxed);
                    if first >= count {
                        return Ok(());
                    }
                    let numbers = first..count.min(first + PER_BOOT);
                    let jobs: Vec<J> = numbers.clone().map(make).collect();
                    let run = Vm {
                        seed: vm.seed + (first / PER_BOOT) as u32,
                        ..vm.clone()
                    }
                    .run_jobs(&jobs)
                    .inspect_err(|_| next.store(count, Ordering::Relaxed))?;
                    for (number, answer) in numbers.zip(run.answers) {
                        each(number, answer);
                    }
                },
            }
        };
        let jobs = self.jobs.clamp(1, count.max(1));
        let result = Mutex::new(Ok(()));
        threads::crew(jobs, || {
            if let Err(e) = work() {
                let mut result = result.lock().unwrap_or_else(PoisonError::into_inner);
                if result.is_ok() {
                    *result = Err(e);
                }
            }
        });
        result.into_inner().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs programs and gives their answers in order.
    ///
    /// # Errors
    /// As [`On::run`].
    pub fn run_all(&self, programs: &[Program]) -> Result<Answers, RunError> {
        let (sender, receiver) = mpsc::channel();
        self.run(programs.len(), &|n| programs[n].clone(), &|n, answer| {
            let _ = sender.send((n, answer));
        })?;
        drop(sender);
        let mut answers: Vec<_> = receiver.into_iter().collect();
        answers.sort_by_key(|(n, _)| *n);
        Ok(answers.into_iter().map(|(_, answer)| answer).collect())
    }
}

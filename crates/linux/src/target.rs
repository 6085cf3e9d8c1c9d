//! The kernel on which programs run: the running one, or an image in a virtual machine.

use crate::error::RunError;
use crate::generate::Kind;
use crate::program::Program;
use crate::request::GuestRequest;
use crate::{Answers, Host, Image, Vm};
use fourtuple_harness::threads;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::sync::{Mutex, PoisonError};

/// Programs per boot of a virtual machine. A boot takes seconds, but a failure loses the rest of
/// its programs.
const PER_BOOT: usize = 400;

/// A kernel on which programs can be run.
#[derive(Clone, Debug)]
pub struct Target {
    place: Place,
    /// Number of programs, or virtual machines, that run at a time.
    jobs: usize,
    release: String,
    users: bool,
}

#[derive(Clone, Debug)]
enum Place {
    Host,
    Vm(Vm),
}

/// Programs that run at a time on the running kernel, per CPU: they sleep most of the time. With
/// more, kernel timers fire so late that answers no longer depend on the port rules alone.
const ON_HOST: usize = 10;

impl Target {
    /// Opens `host`, or an image by its name (see [`Image::named`]), and asks it for its release.
    ///
    /// # Errors
    /// One line: the kernel cannot be used.
    pub fn named(name: &str, jobs: Option<usize>) -> Result<Target, RunError> {
        let processors = threads::cpus();
        if name == "host" {
            let host = Host::start()?;
            return Ok(Target {
                place: Place::Host,
                // Sleeping programs use no CPU.
                jobs: jobs.unwrap_or(ON_HOST * processors),
                release: host.release().to_owned(),
                users: host.has_users(),
            });
        }
        let vm = Vm::new(Image::named(name)?);
        let release = vm.run(&[])?.release;
        Ok(Target {
            place: Place::Vm(vm),
            jobs: jobs.unwrap_or(processors),
            release,
            users: true,
        })
    }

    /// The release that uname reports.
    pub fn release(&self) -> &str {
        &self.release
    }

    /// Description of the kernel for messages.
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

    /// The kind of programs that it can run.
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

    /// Runs one program at a time, for kernels on which programs see state that earlier ones left
    /// behind.
    pub fn in_order(mut self) -> Target {
        self.jobs = 1;
        self
    }

    /// True if the kernel is rebooted before program `number` of a run.
    pub fn begins_boot(&self, number: usize) -> bool {
        matches!(self.place, Place::Vm(_)) && number.is_multiple_of(PER_BOOT)
    }

    /// Runs `count` programs, made by `make` from their number, and passes each result to `each`,
    /// on one of several threads. Programs of one boot run in order; with one job all do.
    ///
    /// # Errors
    /// An error that ends the run. Errors of single programs are passed to `each`.
    pub fn run(
        &self,
        count: usize,
        make: &(dyn Fn(usize) -> Program + Sync),
        each: &(dyn Fn(usize, Result<Program, RunError>) + Sync),
    ) -> Result<(), RunError> {
        self.run_requests(count, make, each)
    }

    /// [`Target::run`] for any request.
    pub(crate) fn run_requests<R: GuestRequest>(
        &self,
        count: usize,
        make: &(dyn Fn(usize) -> R + Sync),
        each: &(dyn Fn(usize, Result<R::Answered, RunError>) + Sync),
    ) -> Result<(), RunError> {
        let next = AtomicUsize::new(0);
        let work = || -> Result<(), RunError> {
            match &self.place {
                Place::Host => {
                    // The kernel worked before, so a failure to start now is not an error of a
                    // program.
                    let mut host = Host::start().map_err(RunError::into_broken)?;
                    loop {
                        let number = next.fetch_add(1, Ordering::Relaxed);
                        if number >= count {
                            return Ok(());
                        }
                        match host.run_request(&make(number)) {
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
                    let requests: Vec<R> = numbers.clone().map(make).collect();
                    let run = Vm {
                        seed: vm.seed + (first / PER_BOOT) as u32,
                        ..vm.clone()
                    }
                    .run_requests(&requests)
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

    /// Runs programs and returns their answers in order.
    ///
    /// # Errors
    /// As [`Target::run`].
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

//! The running kernel, in namespaces of its own.
//!
//! The guest program runs as a child process. It makes network, mount and PID namespaces (as root,
//! or inside a user namespace), so that programs have no effect outside, and the kernel removes
//! everything in them together. The child also ends when its standard input is closed, which
//! happens even if this process is killed.

use crate::error::RunError;
use crate::handshake::{self, Hello};
use crate::plan::{AnswerError, Plan};
use crate::program::Program;
use crate::request::GuestRequest;
use crate::{guest, sys};
use fourtuple_harness::threads;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::{fs, thread};

/// A guest on the running kernel. Programs run on it one after the other, each in namespaces of its
/// own. Dropping it ends the guest at once.
pub struct Host {
    child: Child,
    /// Taken to end the guest.
    input: Option<ChildStdin>,
    output: io::BufReader<ChildStdout>,
    hello: Hello,
    /// The guest's executable, which must outlive its start.
    _binary: File,
}

impl Host {
    /// Starts a guest. The error is one line, such as that namespaces are not permitted.
    pub fn start() -> Result<Host, RunError> {
        let unavailable =
            |m: String| RunError::Unavailable(format!("the running kernel cannot be used: {m}"));
        let binary = guest::binary().map_err(unavailable)?;
        let file = sys::memory_file(binary).map_err(|e| unavailable(e.to_string()))?;
        let (program, _binary) = executable(file).map_err(|e| unavailable(e.to_string()))?;
        let mut command = Command::new(&program);
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .env_clear();
        let mut child = command
            .spawn()
            .map_err(|e| unavailable(format!("the guest program did not start ({e})")))?;
        let input = child.stdin.take();
        let output = child.stdout.take();
        let (Some(input), Some(output)) = (input, output) else {
            return Err(unavailable("the guest program has no pipes".into()));
        };
        let hello = Hello {
            release: String::new(),
            one_uid: false,
        };
        let mut host = Host {
            child,
            input: Some(input),
            output: io::BufReader::new(output),
            hello,
            _binary,
        };
        let frame = host
            .frame()
            .map_err(|_| unavailable("the guest program did not answer".into()))?;
        host.hello = handshake::parse(&frame).map_err(unavailable)?;
        Ok(host)
    }

    /// The release that uname reports.
    pub fn release(&self) -> &str {
        &self.hello.release
    }

    /// True if sockets can belong to different users, which needs root.
    pub fn has_users(&self) -> bool {
        !self.hello.one_uid
    }

    /// Runs one program and returns it with its answers. After [`RunError::Broken`] the guest
    /// cannot be used any more.
    pub fn run(&mut self, program: &Program) -> Result<Program, RunError> {
        self.run_request(program)
    }

    /// Runs programs in order, sending ahead, and passes each one to `done` as it ends. The error
    /// of a single program is passed to `done` as well; only an error that ends the run is
    /// returned.
    pub fn run_each(
        &mut self,
        programs: &[Program],
        done: impl FnMut(usize, Result<Program, RunError>),
    ) -> Result<(), RunError> {
        self.run_requests(programs, done)
    }

    /// Runs one request.
    pub(crate) fn run_request<R: GuestRequest>(
        &mut self,
        request: &R,
    ) -> Result<R::Answered, RunError> {
        let mut answers = None;
        self.run_requests(std::slice::from_ref(request), |_, answer| {
            answers = Some(answer)
        })?;
        answers.unwrap_or_else(|| Err(RunError::broken("the guest program ended too early")))
    }

    /// [`Host::run_each`] for any request.
    pub(crate) fn run_requests<R: GuestRequest>(
        &mut self,
        requests: &[R],
        mut done: impl FnMut(usize, Result<R::Answered, RunError>),
    ) -> Result<(), RunError> {
        let plans: Vec<_> = requests.iter().map(|p| self.plan(p)).collect();
        let Some(mut input) = self.input.take() else {
            return Err(RunError::broken("the guest program has ended"));
        };
        let result = thread::scope(|scope| {
            // Both pipes have limited capacity: writing and reading must not wait for each other.
            let write = || {
                plans
                    .iter()
                    .flatten()
                    .try_for_each(|plan| input.write_all(&plan.frame))
            };
            let writer = thread::Builder::new()
                .spawn_scoped(scope, write)
                .map_err(|e| RunError::broken(format!("failed to start a thread ({e})")))?;
            let mut result = Ok(());
            for (i, plan) in plans.iter().enumerate() {
                match plan {
                    Ok(plan) => match self.answer(plan, &requests[i]) {
                        Err(e @ RunError::Broken { .. }) => {
                            result = Err(e);
                            break;
                        }
                        answer => done(i, answer),
                    },
                    Err(e) => done(i, Err(e.again())),
                }
            }
            // A guest that stopped does not read any more; killing it ends a blocked write.
            if result.is_err() {
                let _ = self.child.kill();
            }
            let _ = writer.join();
            result
        });
        self.input = Some(input);
        result
    }

    fn plan(&self, request: &impl GuestRequest) -> Result<Plan, Refusal> {
        let plan = request.plan().map_err(Refusal::Program)?;
        if plan.needs_users() && !self.has_users() {
            return Err(Refusal::Users(request.name().to_owned()));
        }
        Ok(plan)
    }

    fn answer<R: GuestRequest>(
        &mut self,
        plan: &Plan,
        request: &R,
    ) -> Result<R::Answered, RunError> {
        let early =
            |e: io::Error| RunError::broken(format!("the guest program ended too early ({e})"));
        let frame = self.frame().map_err(early)?;
        let answered = request.answered(plan, &frame).map_err(|e| match e {
            AnswerError::Setup(failure) => RunError::setup(request.name(), failure),
            AnswerError::Short => RunError::broken("the guest program left answers out"),
        })?;
        match RunError::shortage(R::program(&answered)) {
            Some(shortage) => Err(shortage),
            None => Ok(answered),
        }
    }

    fn frame(&mut self) -> io::Result<Vec<u8>> {
        let mut length = [0; 4];
        self.output.read_exact(&mut length)?;
        let mut frame = vec![0; u32::from_le_bytes(length) as usize];
        self.output.read_exact(&mut frame)?;
        Ok(frame)
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        // The guest watches the other end of this pipe. After the wait all its processes are gone.
        drop(self.input.take());
        let _ = self.child.wait();
    }
}

/// A program that was refused before it was sent.
enum Refusal {
    Program(crate::plan::ProgramError),
    Users(String),
}

impl Refusal {
    fn again(&self) -> RunError {
        match self {
            Refusal::Program(e) => RunError::Program(e.clone()),
            Refusal::Users(program) => RunError::Users {
                program: program.clone(),
            },
        }
    }
}

/// The path from which a memory file can be executed.
fn executable(file: File) -> io::Result<(PathBuf, File)> {
    let path = sys::path_of(&file);
    // Reported here because spawn() would only say that the file does not exist.
    fs::metadata(&path).map_err(|_| io::Error::other("/proc is not mounted"))?;
    Ok((path, file))
}

/// The outcome of each program, in order.
pub type Answers = Vec<Result<Program, RunError>>;

/// Runs programs on `jobs` guests at a time. With one job they run in order, as in a recording of
/// one boot; with more, state that the whole machine shares reaches them in any order. Sleeping
/// programs use no CPU, so more jobs than CPUs are useful for those.
pub fn run_all(programs: &[Program], jobs: usize) -> Result<Answers, RunError> {
    let jobs = jobs.clamp(1, programs.len().max(1));
    if jobs == 1 {
        let mut answers = Vec::with_capacity(programs.len());
        Host::start()?.run_each(programs, |_, answer| answers.push(answer))?;
        return Ok(answers);
    }
    let next = AtomicUsize::new(0);
    let stop = AtomicBool::new(false);
    let results = Mutex::new(programs.iter().map(|_| None).collect::<Vec<_>>());
    let work = || -> Result<(), RunError> {
        let mut host = Host::start()?;
        loop {
            let i = next.fetch_add(1, Ordering::Relaxed);
            if i >= programs.len() || stop.load(Ordering::Relaxed) {
                return Ok(());
            }
            let answer = host.run(&programs[i]);
            if let Err(e @ RunError::Broken { .. }) = answer {
                return Err(e);
            }
            if let Ok(mut results) = results.lock() {
                results[i] = Some(answer);
            }
        }
    };
    let ended = Mutex::new(Ok(()));
    threads::crew(jobs, || {
        if let Err(e) = work() {
            stop.store(true, Ordering::Relaxed);
            *ended.lock().unwrap_or_else(PoisonError::into_inner) = Err(e);
        }
    });
    ended.into_inner().unwrap_or_else(PoisonError::into_inner)?;
    let results = results.into_inner().unwrap_or_else(PoisonError::into_inner);
    Ok(results
        .into_iter()
        .map(|r| r.unwrap_or_else(|| Err(RunError::broken("was not run"))))
        .collect())
}

#[cfg(test)]
mod tests {
    use super::Host;

    /// Packets that two CPUs handle may overtake each other, and then a reset ends a TIME-WAIT.
    #[test]
    fn all_processes_of_a_guest_share_a_cpu() {
        let host = match Host::start() {
            Ok(host) => host,
            Err(e) => return println!("skipped: {e}"),
        };
        let status = format!("/proc/{}/status", host.child.id());
        let status = std::fs::read_to_string(status).expect("it runs");
        let cpus = status
            .lines()
            .find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
        let cpus = cpus.expect("Linux has this line").trim();
        assert!(cpus.parse::<u32>().is_ok(), "{cpus}");
    }
}

//! Any kernel image, in a virtual machine.
//!
//! The machine is emulated instruction by instruction and its clock counts instructions, so every
//! run is the same: the same ports, the same times, and a sleep takes no time. Its first process is
//! the guest program, which reads its programs from the initial file system and answers on the
//! second serial port; the first one is the console.
//!
//! Everything that the emulator reads or writes, except for the kernel image, is an anonymous file.
//! The emulator dies with the thread that started it, so nothing is left behind.

use crate::error::RunError;
use crate::handshake;
use crate::image::Image;
use crate::plan::{AnswerError, Plan};
use crate::program::Program;
use crate::request::GuestRequest;
use crate::wire::MAGIC;
use crate::{cpio, guest, sys};
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// A virtual machine that boots an image.
#[derive(Clone, Debug)]
pub struct Vm {
    /// The image to boot.
    pub image: Image,
    /// The emulator; `qemu-system-x86_64` by default.
    pub qemu: PathBuf,
    /// The seed of the machine's random numbers. The same seed results in the same ports.
    pub seed: u32,
    /// Limit of the real time of one boot.
    pub limit: Duration,
}

/// The outcome of a boot.
#[derive(Debug)]
pub struct VmRun<A = Program> {
    /// The release that uname reports.
    pub release: String,
    /// The programs with their answers, in order. If the machine stopped early, the remaining ones
    /// have errors.
    pub answers: Vec<Result<A, RunError>>,
    /// The console output of the kernel.
    pub console: String,
}

impl Vm {
    /// Makes a machine for this image, with a limit of ten minutes and seed 42.
    pub fn new(image: Image) -> Vm {
        Vm {
            image,
            qemu: "qemu-system-x86_64".into(),
            seed: 42,
            limit: Duration::from_secs(600),
        }
    }

    /// Boots once and runs the programs in order.
    pub fn run(&self, programs: &[Program]) -> Result<VmRun, RunError> {
        self.run_requests(programs)
    }

    /// [`Vm::run`] for any request.
    pub(crate) fn run_requests<R: GuestRequest>(
        &self,
        requests: &[R],
    ) -> Result<VmRun<R::Answered>, RunError> {
        let plans: Vec<_> = requests.iter().map(GuestRequest::plan).collect();
        let plans_ok: Vec<&Plan> = plans.iter().flatten().collect();
        let initrd = self.initial_files(&plans_ok)?;
        let unavailable =
            |e: io::Error| RunError::Unavailable(format!("failed to start a virtual machine: {e}"));
        let files = Files {
            initrd: sys::memory_file(&initrd).map_err(unavailable)?,
            console: sys::memory_file(&[]).map_err(unavailable)?,
            answers: sys::memory_file(&[]).map_err(unavailable)?,
        };
        let memory = 256 + 4 * (initrd.len() >> 20);
        let mut emulator = self.start(&files, memory)?;
        let end = emulator.wait(self.limit).map_err(unavailable)?;
        let console =
            String::from_utf8_lossy(&content(&files.console).map_err(unavailable)?).into_owned();
        let answers = content(&files.answers).map_err(unavailable)?;
        let mut frames = frames(&answers);
        let broken = || RunError::Broken {
            message: end.message(self),
            console: last_lines(&console),
        };
        let hello = frames.next().ok_or_else(broken)?;
        let hello = handshake::parse(hello).map_err(RunError::broken)?;
        let mut outcome = Vec::with_capacity(requests.len());
        for (plan, request) in plans.into_iter().zip(requests) {
            outcome.push(match plan {
                Err(e) => Err(RunError::Program(e)),
                Ok(plan) => frames.next().ok_or_else(broken).and_then(|frame| {
                    request.answered(&plan, frame).map_err(|e| match e {
                        AnswerError::Setup(failure) => RunError::setup(request.name(), failure),
                        AnswerError::Short => broken(),
                    })
                }),
            });
        }
        Ok(VmRun {
            release: hello.release,
            answers: outcome,
            console,
        })
    }

    fn initial_files(&self, plans: &[&Plan]) -> Result<Vec<u8>, RunError> {
        let unavailable =
            |m: String| RunError::Unavailable(format!("failed to start a virtual machine: {m}"));
        let binary = guest::binary().map_err(unavailable)?;
        if !cfg!(target_arch = "x86_64") {
            return Err(unavailable("the guest program is not for x86_64".into()));
        }
        check_kernel(&self.image.kernel).map_err(unavailable)?;
        let mut archive = cpio::Archive::default();
        archive.directory("dev");
        archive.directory("proc");
        archive.directory("modules");
        archive.device("dev/console", 5, 1);
        archive.device("dev/ttyS0", 4, 64);
        archive.device("dev/ttyS1", 4, 65);
        archive.file("init", 0o755, binary);
        let has_nat = plans.iter().any(|plan| plan.has_nat);
        let of_nat = self.image.nat_modules.iter().filter(|_| has_nat);
        for (i, module) in self.image.modules.iter().chain(of_nat).enumerate() {
            let content =
                fs::read(module).map_err(|e| unavailable(format!("{}: {e}", module.display())))?;
            archive.file(&format!("modules/{i:02}"), 0o644, &content);
        }
        let programs: Vec<u8> = plans.iter().flat_map(|p| p.frame.iter().copied()).collect();
        archive.file("programs", 0o644, &programs);
        Ok(archive.finish())
    }

    fn start(&self, files: &Files, memory: usize) -> Result<Emulator, RunError> {
        let path = |f: &File| sys::path_of(f).display().to_string();
        let mut command = Command::new(&self.qemu);
        command.args([
            "-accel",
            "tcg",
            "-icount",
            "shift=1,sleep=off",
            "-rtc",
            "base=2020-01-01,clock=vm",
        ]);
        command.args([
            "-seed",
            &self.seed.to_string(),
            "-nodefaults",
            "-display",
            "none",
            "-no-reboot",
        ]);
        command.args(["-m", &memory.to_string()]);
        command.args([
            "-chardev",
            &format!("file,id=console,path={}", path(&files.console)),
        ]);
        command.args([
            "-chardev",
            &format!("file,id=answers,path={}", path(&files.answers)),
        ]);
        command.args(["-serial", "chardev:console", "-serial", "chardev:answers"]);
        command.arg("-kernel").arg(&self.image.kernel);
        command.args(["-initrd", &path(&files.initrd)]);
        command.args([
            "-append",
            "console=ttyS0 quiet panic=-1 rdinit=/init random.trust_cpu=on",
        ]);
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        sys::tie(
            &mut command,
            &[&files.initrd, &files.console, &files.answers],
        );
        let child = command.spawn().map_err(|e| {
            let name = self.qemu.display();
            RunError::Unavailable(match e.kind() {
                io::ErrorKind::NotFound => {
                    format!("failed to start a virtual machine: {name} is not installed")
                }
                _ => format!("failed to start a virtual machine: {name}: {e}"),
            })
        })?;
        Ok(Emulator(child))
    }
}

struct Files {
    initrd: File,
    console: File,
    answers: File,
}

/// The running emulator; killed when dropped.
struct Emulator(Child);

/// The end of a machine that gave fewer answers than expected.
enum End {
    Limit,
    Exit {
        success: bool,
        signal: Option<i32>,
        said: String,
    },
}

impl End {
    fn message(&self, vm: &Vm) -> String {
        let name = &vm.image.name;
        match self {
            End::Limit => format!(
                "{name}: the machine was not done after {} s",
                vm.limit.as_secs()
            ),
            End::Exit { success: true, .. } => format!("{name}: the machine stopped too early"),
            End::Exit {
                signal: Some(signal),
                ..
            } => format!("{name}: the emulator was ended by signal {signal}"),
            End::Exit { said, .. } => format!("{name}: the emulator failed: {}", said.trim()),
        }
    }
}

impl Emulator {
    fn wait(&mut self, limit: Duration) -> io::Result<End> {
        let start = Instant::now();
        // Short compared to the seconds that a boot takes.
        let pause = Duration::from_millis(20);
        loop {
            if let Some(status) = self.0.try_wait()? {
                let mut said = String::new();
                if let Some(mut stderr) = self.0.stderr.take() {
                    let mut bytes = Vec::new();
                    stderr.read_to_end(&mut bytes)?;
                    said = String::from_utf8_lossy(&bytes).into_owned();
                }
                return Ok(End::Exit {
                    success: status.success(),
                    signal: status.signal(),
                    said,
                });
            }
            if start.elapsed() > limit {
                self.0.kill()?;
                self.0.wait()?;
                return Ok(End::Limit);
            }
            thread::sleep(pause);
        }
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Reads a whole file, independent of its position.
fn content(file: &File) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; file.metadata()?.len() as usize];
    file.read_exact_at(&mut bytes, 0)?;
    Ok(bytes)
}

/// The complete frames in `bytes`, starting with the hello. Old serial drivers send a byte of their
/// own when they probe the port.
fn frames(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let magic = bytes.windows(MAGIC.len()).position(|w| w == MAGIC);
    let start = magic
        .and_then(|at| at.checked_sub(4))
        .unwrap_or(bytes.len());
    let mut rest = &bytes[start..];
    std::iter::from_fn(move || {
        let (length, tail) = rest.split_first_chunk()?;
        let (frame, tail) = tail.split_at_checked(u32::from_le_bytes(*length) as usize)?;
        rest = tail;
        Some(frame)
    })
}

fn last_lines(console: &str) -> String {
    let lines: Vec<_> = console.lines().collect();
    lines[lines.len().saturating_sub(20)..].join("\n")
}

/// Reports early, and more clearly than the emulator, that a file is not a kernel.
fn check_kernel(path: &Path) -> Result<(), String> {
    let wrong = |e: &dyn std::fmt::Display| format!("{}: {e}", path.display());
    let file = File::open(path).map_err(|e| wrong(&e))?;
    let mut magic = [0; 4];
    // The magic number of the x86 boot protocol.
    match file.read_exact_at(&mut magic, 0x202) {
        Ok(()) if magic == *b"HdrS" => Ok(()),
        _ => Err(wrong(&"not a kernel image (bzImage)")),
    }
}

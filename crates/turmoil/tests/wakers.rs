//! Wakers: random programs of tasks that connect, accept, read and write, on streams and on their
//! halves, and that are cancelled at any time.
//!
//! Every operation is polled for other reasons as well, by timers beside it in a `select`. The
//! kernel model decides whether it is ready then. An operation that had to wait and is ready now
//! must have been woken: otherwise a program without such timers would wait for ever.

use fourtuple_turmoil::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use fourtuple_turmoil::net::{TcpListener, TcpStream};
use fourtuple_turmoil::{BuildLinux, Linux};
use std::cell::{Cell, RefCell};
use std::future::Future;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::{JoinHandle, spawn_local};
use tokio::time::{interval, sleep};
use turmoil::Builder;

const MS: Duration = Duration::from_millis(1);

/// Number of programs. Each one is a seed.
const PROGRAMS: u64 = 100;

/// The longest time that an operation waits.
const LONGEST: Duration = Duration::from_millis(400);

/// Clients of a program.
const CLIENTS: u64 = 5;

/// Random numbers of one task (splitmix64).
#[derive(Clone, Debug)]
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }

    fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    fn split(&mut self) -> Random {
        Random(self.next())
    }
}

/// The findings of a program, and how much of it was checked.
#[derive(Debug, Default)]
struct Log {
    lost: RefCell<Vec<String>>,
    /// Operations that were ready after a wait.
    woken: Cell<u32>,
    cancelled: Cell<u32>,
    /// Streams that were read to their end.
    complete: Cell<u32>,
}

/// A waker that records its call.
struct Flag {
    woken: AtomicBool,
    task: Mutex<Waker>,
}

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.woken.store(true, Ordering::Relaxed);
        let task = self.task.lock().map(|task| task.clone());
        task.into_iter().for_each(Waker::wake);
    }
}

/// An operation whose wakers are checked.
struct Audited<'a, F> {
    operation: Pin<&'a mut F>,
    name: &'static str,
    flag: Arc<Flag>,
    waited: bool,
    log: &'a Log,
}

impl<F: Future> Future for Audited<'_, F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        if let Ok(mut task) = self.flag.task.lock() {
            task.clone_from(cx.waker());
        }
        let waker = Waker::from(Arc::clone(&self.flag));
        let answer = self
            .operation
            .as_mut()
            .poll(&mut Context::from_waker(&waker));
        // A kernel timer that is due may fire within the poll, and wake its task then.
        let woken = self.flag.woken.load(Ordering::Relaxed);
        if answer.is_pending() {
            self.waited = true;
            self.flag.woken.store(false, Ordering::Relaxed);
        } else if self.waited {
            self.log.woken.set(self.log.woken.get() + 1);
            if !woken {
                self.log.lost.borrow_mut().push(self.name.to_owned());
            }
        }
        answer
    }
}

/// Awaits an operation, and polls it every millisecond too. Returns `None` if it was cancelled
/// after a random time.
async fn audited<F: Future>(
    name: &'static str,
    random: &mut Random,
    log: &Log,
    operation: F,
) -> Option<F::Output> {
    let limit = if random.chance(25) {
        MS * random.below(40) as u32
    } else {
        LONGEST
    };
    let mut audited = pin!(Audited {
        operation: pin!(operation),
        name,
        flag: Arc::new(Flag {
            woken: AtomicBool::new(false),
            task: Mutex::new(Waker::noop().clone()),
        }),
        waited: false,
        log,
    });
    let mut end = pin!(sleep(limit));
    let mut ticks = interval(MS * (1 + random.below(5) as u32));
    loop {
        tokio::select! {
            biased;
            answer = &mut audited => return Some(answer),
            () = &mut end => break,
            _ = ticks.tick() => {}
        }
    }
    log.cancelled.set(log.cancelled.get() + 1);
    None
}

/// The expected byte at an offset of a stream.
fn byte(at: usize) -> u8 {
    (at % 251) as u8
}

/// Writes a random amount, then ends in one of the ways in which programs do.
async fn write(mut half: OwnedWriteHalf, mut random: Random, log: Rc<Log>) {
    let mut sent = 0;
    for _ in 0..random.below(12) {
        let len = 1 + random.below(30_000) as usize;
        let bytes: Vec<u8> = (sent..sent + len).map(byte).collect();
        match audited("write", &mut random, &log, half.write(&bytes)).await {
            Some(Ok(written)) => sent += written,
            Some(Err(_)) => return,
            None => {}
        }
        if random.chance(30) {
            sleep(MS * random.below(15) as u32).await;
        }
    }
    match random.below(3) {
        0 => drop(half),
        1 => half.forget(),
        _ => {
            let _ = half.shutdown().await;
        }
    }
}

/// Reads to the end, or stops early.
async fn read(mut half: OwnedReadHalf, mut random: Random, log: Rc<Log>) {
    let mut received = 0;
    let mut buffer = vec![0; 1 + random.below(20_000) as usize];
    let stops = if random.chance(20) {
        random.below(10)
    } else {
        1_000
    };
    // The peer may neither write nor close.
    let mut patience = 5;
    for _ in 0..stops {
        let read = audited("read", &mut random, &log, half.read(&mut buffer)).await;
        match read {
            Some(Ok(0)) => {
                log.complete.set(log.complete.get() + 1);
                return;
            }
            Some(Ok(len)) => {
                let expected = (received..received + len).map(byte);
                assert!(buffer[..len].iter().copied().eq(expected));
                received += len;
            }
            Some(Err(_)) => return,
            None if patience == 0 => return,
            None => patience -= 1,
        }
        if random.chance(20) {
            let ready = audited("readable", &mut random, &log, half.readable()).await;
            assert!(ready.is_none_or(|ready| ready.is_ok()));
        }
    }
}

/// Uses both halves of a connection, each in a task of its own that may be aborted.
async fn talk(stream: TcpStream, mut random: Random, log: Rc<Log>) {
    let (reading, writing) = stream.into_split();
    let tasks: [JoinHandle<()>; 2] = [
        spawn_local(read(reading, random.split(), Rc::clone(&log))),
        spawn_local(write(writing, random.split(), log)),
    ];
    for task in tasks {
        if random.chance(15) {
            sleep(MS * random.below(40) as u32).await;
            task.abort();
        }
        match task.await {
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            _ => {}
        }
    }
}

async fn serve(mut random: Random, log: Rc<Log>) -> turmoil::Result {
    loop {
        let listener = TcpListener::bind("0.0.0.0:80").await?;
        for _ in 0..1 + random.below(12) {
            let accepted = audited("accept", &mut random, &log, listener.accept()).await;
            if let Some(accepted) = accepted {
                let (stream, _) = accepted?;
                spawn_local(talk(stream, random.split(), Rc::clone(&log)));
            }
        }
    }
}

async fn call(mut random: Random, log: Rc<Log>) {
    for _ in 0..1 + random.below(3) {
        sleep(MS * random.below(50) as u32).await;
        let to = if random.chance(90) {
            "server:80"
        } else {
            "server:81"
        };
        let connected = audited("connect", &mut random, &log, TcpStream::connect(to)).await;
        if let Some(Ok(stream)) = connected {
            talk(stream, random.split(), Rc::clone(&log)).await;
        }
    }
}

/// Runs the program of a seed.
fn run(seed: u64) -> Rc<Log> {
    let log = Rc::new(Log::default());
    let mut random = Random(seed);
    let latency = MS * random.below(6) as u32;
    let mut sim = Builder::new()
        .rng_seed(seed)
        .simulation_duration(Duration::from_secs(120))
        .min_message_latency(latency)
        .max_message_latency(latency)
        .build_linux(Linux::default().window(20_000));
    let (served, shared) = (random.split(), Rc::clone(&log));
    sim.host("server", move || serve(served.clone(), Rc::clone(&shared)));
    let shared = Rc::clone(&log);
    sim.client("client", async move {
        let calls = (0..CLIENTS).map(|_| spawn_local(call(random.split(), Rc::clone(&shared))));
        let calls: Vec<_> = calls.collect();
        for call in calls {
            call.await?;
        }
        Ok(())
    });
    sim.run()
        .unwrap_or_else(|error| panic!("program {seed}: {error}"));
    drop(sim);
    log
}

#[test]
fn operations_that_become_ready_are_woken() {
    let (mut woken, mut cancelled, mut complete) = (0, 0, 0);
    for seed in 0..PROGRAMS {
        let log = run(seed);
        let lost = log.lost.borrow();
        assert!(lost.is_empty(), "program {seed}: not woken: {lost:?}");
        woken += log.woken.get();
        cancelled += log.cancelled.get();
        complete += log.complete.get();
    }
    // Asserts that operations wait, are cancelled and complete.
    assert!(woken > 2_000, "{woken} operations waited");
    assert!(cancelled > 500, "{cancelled} operations were cancelled");
    assert!(complete > 100, "{complete} streams were read to the end");
}

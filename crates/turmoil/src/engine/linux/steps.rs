//! The step form: one call after the other, in the order of the file, each made by a task on its
//! host.

use super::scene::{Scene, errno_of};
use crate::Socket;
use fourtuple_harness::{Answer, Args, Name, Seen, Slot};
use fourtuple_kernel::{Endpoint, Errno};
use fourtuple_scenario::{Address, Options, Spanned, Step};
use std::collections::BTreeMap;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

/// Longest time that one `connect` step blocks. Kernels give up after two minutes or less.
const PATIENCE: Duration = Duration::from_secs(300);

/// Runs the steps of a case.
pub(super) async fn run(scene: Rc<Scene>, steps: &[Spanned<Step>]) {
    let mut runner = Runner {
        scene,
        sockets: BTreeMap::new(),
        ports: BTreeMap::new(),
        unnamed: Vec::new(),
    };
    for step in steps {
        runner.step(step).await;
        runner.settle().await;
    }
}

/// A socket of the steps. It keeps its name and owner when it is closed, for calls that come too
/// late.
struct Held {
    socket: Option<Rc<Socket>>,
    host: usize,
    process: Name,
    nonblock: bool,
}

struct Runner {
    scene: Rc<Scene>,
    sockets: BTreeMap<Name, Held>,
    ports: BTreeMap<Name, u16>,
    /// Sockets that stay open without a name.
    unnamed: Vec<Rc<Socket>>,
}

type Outcome = io::Result<Seen>;

impl Runner {
    /// Waits until what the step has sent has arrived, and what that has caused.
    async fn settle(&self) {
        if self.scene.pace.is_ideal() {
            self.scene.network.idle().await;
        } else {
            let settled = self.scene.latency * 4 + Duration::from_millis(4);
            self.scene.pause(settled).await;
        }
    }

    fn keep(&mut self, name: &str, held: Held) {
        if let Some(old) = self.sockets.insert(name.into(), held) {
            self.unnamed.extend(old.socket);
        }
    }

    async fn step(&mut self, step: &Step) {
        match step {
            Step::Sleep(sleep) => {
                if self.scene.pace.is_ideal() {
                    let pace = &self.scene.pace;
                    pace.advance(pace.now() + sleep.sleep).await;
                } else {
                    self.scene.pause(sleep.sleep).await;
                }
            }
            Step::Sysctl(sysctl) => {
                let Some(host) = self.scene.host(&sysctl.on) else {
                    return;
                };
                for (key, value) in &sysctl.sysctl {
                    self.sysctl(host, key, value);
                }
            }
            Step::Socket(step) => {
                let Some(host) = self.scene.host(&step.on) else {
                    return;
                };
                let family = step.family;
                let (scene, uid) = (Rc::clone(&self.scene), step.uid);
                let made = self
                    .scene
                    .on(host, move || scene.socket(host, family, uid))
                    .await;
                let socket = made.and_then(Result::ok).map(Rc::new);
                let held = Held {
                    socket: socket.clone(),
                    host,
                    process: step.by.as_str().into(),
                    nonblock: step.nonblock,
                };
                self.keep(&step.socket, held);
                if step.implicit {
                    return;
                }
                let slot = self.call(
                    &step.socket,
                    fourtuple_scenario::Op::Socket,
                    Args::Family(step.family),
                );
                match socket {
                    Some(socket) => self.set(slot, host, socket, step.options.clone()).await,
                    None => self.scene.foreign(slot, Answer::Foreign("EBADF".into())),
                }
            }
            _ => self.on_socket(step).await,
        }
    }

    fn sysctl(&self, host: usize, key: &str, value: &str) {
        let Some(kernel) = self.scene.kernel(host) else {
            return;
        };
        let namespace = self.scene.hosts[host].namespace;
        self.scene.note_sysctl(&self.scene.hosts[host].name, key);
        let written = kernel.enter(|s| {
            let ns = s.namespaces[namespace].0;
            let written = s.machine.sysctl(ns, key, value);
            s.machine.take_refusal();
            written
        });
        if let Err(errno) = written {
            let name = &self.scene.hosts[host].name;
            self.scene.note(format!(
                "{name}: sysctl {key} = {value} is refused with {errno}"
            ));
        }
    }

    /// A step that is a call on a socket.
    async fn on_socket(&mut self, step: &Step) {
        let (Some(name), Some(op)) = (step.socket(), step.op()) else {
            return;
        };
        let args = match self.args(step) {
            Ok(args) => args,
            Err(args) => {
                // The port was to come from a call that failed.
                let slot = self.call(name, op, args);
                self.scene.foreign(slot, Answer::Foreign("NOPORT".into()));
                return;
            }
        };
        let slot = self.call(name, op, args.clone());
        let held = self.sockets.get(name);
        let host = held.map_or(0, |h| h.host);
        let nonblock = held.is_some_and(|h| h.nonblock);
        match held.and_then(|h| h.socket.clone()).filter(|s| s.is_up()) {
            // The socket was closed, its host has crashed, or it comes from an accept that failed.
            None => self.scene.foreign(slot, Answer::Foreign("EBADF".into())),
            Some(socket) => {
                self.perform(step, &args, slot, host, nonblock, socket)
                    .await
            }
        }
    }

    /// The address that a step passes, whose variable is known to have a value.
    fn sockaddr(&self, address: &Address) -> SocketAddr {
        let port = |name: &str| self.ports.get(name).copied();
        let unknown = SocketAddr::new(address.ip, 0);
        address.resolve(port).unwrap_or(unknown)
    }

    /// The arguments of a step, with its variables looked up; as an error if a variable has no
    /// value.
    fn args(&self, step: &Step) -> Result<Args, Args> {
        let address = |address: &Address, make: fn(Endpoint) -> Args| match address
            .resolve(|name| self.ports.get(name).copied())
        {
            Some(found) => Ok(make(found.into())),
            None => Err(make(Endpoint::new(address.ip.into(), 0))),
        };
        Ok(match step {
            Step::Set(set) => {
                let names: Vec<&str> = set.options.iter().map(|option| option.name()).collect();
                let values: Vec<String> = set
                    .options
                    .iter()
                    .map(|option| option.value().to_string())
                    .collect();
                Args::Option(names.join(",").into(), values.join(",").into())
            }
            Step::Bind(bind) => address(&bind.at, Args::At)?,
            Step::Connect(connect) => address(&connect.to, Args::To)?,
            Step::Listen(listen) => Args::Backlog(listen.backlog),
            Step::Accept(accept) => accept
                .accepted
                .as_deref()
                .map_or(Args::None, |name| Args::As(name.into())),
            Step::Send(transfer) | Step::Recv(transfer) => Args::Len(transfer.len),
            Step::Shutdown(shutdown) => Args::How(shutdown.how),
            _ => Args::None,
        })
    }

    fn call(&self, name: &str, op: fourtuple_scenario::Op, args: Args) -> Slot {
        let held = self.sockets.get(name);
        let host = &self.scene.hosts[held.map_or(0, |h| h.host)].name;
        let process = held.map_or_else(|| "main".into(), |h| h.process.clone());
        let caller = self.scene.caller(host, process, name);
        self.scene.call(caller, op, args)
    }

    /// Sets every option; the first failure is the answer, and does not keep the others from being
    /// set.
    async fn set(&self, slot: Slot, host: usize, socket: Rc<Socket>, options: Options) {
        let on = Rc::clone(&socket);
        let set = move || {
            let mut answer = Ok(());
            for option in options.iter() {
                answer = answer.and(on.set(option));
            }
            answer
        };
        let result = self.on(host, set).await;
        self.scene
            .result(slot, &socket, result.map(|()| Seen::default()));
    }

    /// Makes a call on a host; `EBADF` if that has crashed.
    async fn on<R: 'static>(
        &self,
        host: usize,
        call: impl FnOnce() -> io::Result<R> + 'static,
    ) -> io::Result<R> {
        let result = self.scene.on(host, call).await;
        result.unwrap_or_else(|| Err(io::Error::other("EBADF")))
    }

    async fn perform(
        &mut self,
        step: &Step,
        args: &Args,
        slot: Slot,
        host: usize,
        nonblock: bool,
        socket: Rc<Socket>,
    ) {
        let s = Rc::clone(&socket);
        let blocks = |result: Outcome| match result {
            Err(e) if errno_of(&e) == Some(Errno::EAGAIN) && !nonblock => None,
            result => Some(result),
        };
        let result = match (step, args.clone()) {
            (Step::Set(set), _) => return self.set(slot, host, socket, set.options.clone()).await,
            (Step::Bind(bind), Args::At(_)) => Some({
                let at = self.sockaddr(&bind.at);
                self.on(host, move || s.bind(at).map(|()| Scene::local(&s)))
                    .await
            }),
            (Step::Listen(_), Args::Backlog(backlog)) => Some(
                self.on(host, move || s.listen(backlog).map(|()| Scene::local(&s)))
                    .await,
            ),
            (Step::Connect(connect), Args::To(_)) => {
                self.connect(host, s, self.sockaddr(&connect.to), nonblock)
                    .await
            }
            (Step::Accept(accept), _) => {
                let result = self.on(host, move || s.try_accept_as(0)).await;
                let result =
                    result.map(|(child, _)| self.accepted(step, accept.accepted.as_deref(), child));
                blocks(result)
            }
            (Step::Send(_), Args::Len(len)) => {
                let bytes = vec![b'.'; len as usize];
                blocks(self.on(host, move || s.send(&bytes).map(moved)).await)
            }
            (Step::Recv(_), Args::Len(len)) => {
                let mut bytes = vec![0; len as usize];
                blocks(self.on(host, move || s.recv(&mut bytes).map(moved)).await)
            }
            (Step::Shutdown(shutdown), _) => {
                let how = shutdown.how;
                Some(
                    self.on(host, move || s.shutdown(how).map(|()| Seen::default()))
                        .await,
                )
            }
            (Step::Disconnect(_), _) => Some(
                self.on(host, move || s.disconnect().map(|()| Seen::default()))
                    .await,
            ),
            (Step::Close(_), _) => {
                if let Some(held) = step.socket().and_then(|name| self.sockets.get_mut(name)) {
                    held.socket = None;
                }
                drop(socket);
                let closed = self.on(host, move || {
                    drop(s);
                    Ok(Seen::default())
                });
                let result = closed.await;
                self.scene
                    .answer(slot, result.map_err(|_| Errno::EINVAL), None);
                return;
            }
            (Step::Getsockname(_), _) => Some(Ok(Scene::local(&s))),
            (Step::Getpeername(_), _) => Some(s.peer_addr().map(|peer| Seen {
                peer: Some(peer.into()),
                ..Seen::default()
            })),
            _ => return,
        };
        let Some(result) = result else {
            self.scene.foreign(slot, Answer::Waiting);
            return;
        };
        if let (Some(name), Ok(seen)) = (step.port_as(), &result) {
            let at = if matches!(step, Step::Getpeername(_)) {
                seen.peer
            } else {
                seen.local
            };
            if let Some(at) = at {
                self.ports.insert(name.into(), at.port);
            }
        }
        self.scene.result(slot, &socket, result);
    }

    /// Connects; nothing when the call is still waiting.
    async fn connect(
        &self,
        host: usize,
        socket: Rc<Socket>,
        to: SocketAddr,
        nonblock: bool,
    ) -> Option<Outcome> {
        let s = Rc::clone(&socket);
        let deadline = self.scene.pace.now() + PATIENCE;
        match self.on(host, move || s.start_connect(to)).await {
            Err(e) if errno_of(&e) == Some(Errno::EINPROGRESS) => {}
            result => return Some(result.map(|()| Scene::ends(&socket))),
        }
        if !self.scene.pace.is_ideal() {
            if nonblock {
                return Some(Err(crate::socket::io_error(Errno::EINPROGRESS)));
            }
            let result = tokio::select! {
                biased;
                result = poll_fn(|cx| socket.poll_connect(cx)) => result,
                () = self.scene.network.clock.sleep_until(Some(deadline)) => return None,
            };
            return Some(result.map(|()| Scene::ends(&socket)));
        }
        self.scene.network.idle().await;
        loop {
            if let Some(answer) = socket.connect_result() {
                return Some(
                    answer
                        .map(|()| Scene::ends(&socket))
                        .map_err(crate::socket::io_error),
                );
            }
            if nonblock {
                return Some(Err(crate::socket::io_error(Errno::EINPROGRESS)));
            }
            let next = self
                .scene
                .pace
                .next_event()
                .filter(|next| *next <= deadline)?;
            self.scene.pace.advance(next).await;
        }
    }

    fn accepted(&mut self, step: &Step, name: Option<&str>, child: Socket) -> Seen {
        let seen = Scene::ends(&child);
        let child = Rc::new(child);
        let listener = step.socket().and_then(|name| self.sockets.get(name));
        match name.zip(listener.map(|l| (l.host, l.process.clone()))) {
            Some((name, (host, process))) => {
                self.keep(
                    name,
                    Held {
                        socket: Some(child),
                        host,
                        process,
                        nonblock: false,
                    },
                );
            }
            None => self.unnamed.push(child),
        }
        seen
    }
}

fn moved(bytes: usize) -> Seen {
    Seen {
        bytes: u32::try_from(bytes).ok(),
        ..Seen::default()
    }
}

//! The step form on turmoil's own sockets.

use super::calls::{Failed, call, inexpressible};
use super::stage::Stage;
use crate::engine::grant::Grant;
use fourtuple_harness::{Answer, Args, Name, Seen, Slot};
use fourtuple_kernel::Endpoint;
use fourtuple_scenario::{Address, How, Op, Spanned, Step};
use std::any::Any;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::future::{Future, poll_fn};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWriteExt, ReadBuf};
use turmoil::net::{TcpListener, TcpStream};

/// How long a step waits for the network.
const PATIENCE: Duration = Duration::from_millis(20);

/// What a name of the scenario stands for on turmoil.
#[derive(Default)]
enum Socket {
    #[default]
    Fresh,
    Listener(Rc<TcpListener>),
    Stream(TcpStream),
    Closed,
}

struct Held {
    socket: Rc<RefCell<Socket>>,
    host: usize,
    process: Name,
    /// A later step listens on it.
    listens: bool,
}

struct Runner<'a> {
    stage: &'a Rc<Stage>,
    sockets: BTreeMap<Name, Held>,
    ports: BTreeMap<Name, u16>,
}

/// Runs the steps of a case.
pub(super) async fn run(stage: &Rc<Stage>, steps: &[Spanned<Step>]) {
    let mut runner = Runner {
        stage,
        sockets: BTreeMap::new(),
        ports: BTreeMap::new(),
    };
    // The scenario's own listeners open in turmoil's first tick.
    stage.pause(Duration::from_millis(1)).await;
    for (n, step) in steps.iter().enumerate() {
        runner.step(step, &steps[n..]).await;
        stage.pause(Duration::from_millis(3)).await;
    }
}

type Local<R> = Pin<Box<dyn Future<Output = R>>>;

impl Runner<'_> {
    /// Runs something on a host, for as long as a step waits.
    async fn on<R: 'static>(
        &self,
        host: usize,
        make: impl FnOnce() -> Local<R> + 'static,
    ) -> Option<R> {
        let (result, done) = (Rc::new(RefCell::new(None)), Grant::new());
        let (result2, done2) = (Rc::clone(&result), Rc::clone(&done));
        self.stage.on(host, move || {
            tokio::task::spawn_local(async move {
                let value = make().await;
                *result2.borrow_mut() = Some(value);
                done2.give();
            });
        });
        self.stage.within(PATIENCE, done.taken()).await?;
        result.take()
    }

    fn call(&self, name: &str, op: Op, args: Args) -> Slot {
        let held = self.sockets.get(name);
        let host = &self.stage.hosts[held.map_or(0, |h| h.host)].name;
        let process = held.map_or_else(|| "main".into(), |h| h.process.clone());
        let caller = self.stage.caller(host, process, name);
        self.stage.call(caller, op, args)
    }

    /// Gives a socket a name. The stage has it too, so that it outlives this task, which is on another host.
    fn keep(&mut self, name: &str, held: Held) {
        let socket: Rc<dyn Any> = Rc::clone(&held.socket) as Rc<dyn Any>;
        self.stage.sockets.borrow_mut().push(socket);
        self.sockets.insert(name.into(), held);
    }

    fn resolve(&self, address: &Address) -> Option<SocketAddr> {
        address.resolve(|name| self.ports.get(name).copied())
    }

    async fn step(&mut self, step: &Step, rest: &[Spanned<Step>]) {
        match step {
            Step::Sleep(step) => self.stage.pause(step.sleep).await,
            Step::Sysctl(step) => {
                step.sysctl
                    .keys()
                    .for_each(|key| self.stage.note(format!("turmoil has no {key}")));
            }
            Step::Socket(step) => {
                let Some(host) = self.stage.host(&step.on) else {
                    return;
                };
                let listens = rest
                    .iter()
                    .any(|s| matches!(&s.value, Step::Listen(l) if l.listen == step.socket));
                let held = Held {
                    socket: Rc::default(),
                    host,
                    process: step.by.as_str().into(),
                    listens,
                };
                self.keep(&step.socket, held);
                for option in step.options.iter() {
                    self.stage.note(format!(
                        "turmoil's sockets have no options: {} is left out",
                        option.name()
                    ));
                }
                if !step.implicit {
                    let slot = self.call(&step.socket, Op::Socket, Args::Family(step.family));
                    self.stage.ok(slot, Seen::default());
                }
            }
            Step::Set(step) => {
                let names: Vec<&str> = step.options.iter().map(|option| option.name()).collect();
                let values: Vec<String> = step
                    .options
                    .iter()
                    .map(|option| option.value().to_string())
                    .collect();
                let args = Args::Option(names.join(",").into(), values.join(",").into());
                let slot = self.call(&step.set, Op::Set, args);
                self.stage.failed_with(slot, inexpressible());
            }
            Step::Bind(bind) => {
                let at = self.resolve(&bind.at);
                let shown = Endpoint::new(bind.at.ip.into(), at.map_or(0, |at| at.port()));
                let slot = self.call(&bind.bind, Op::Bind, Args::At(shown));
                match at {
                    None => self
                        .stage
                        .failed_with(slot, Answer::Foreign("NOPORT".into())),
                    Some(at) if self.listens(&bind.bind) => {
                        self.listen(&bind.bind, at, slot, bind.port_as.as_deref())
                            .await;
                    }
                    Some(_) => {
                        self.stage
                            .note("turmoil cannot bind before connect".to_owned());
                        self.stage.failed_with(slot, inexpressible());
                    }
                }
            }
            Step::Listen(listen) => {
                let slot = self.call(&listen.listen, Op::Listen, Args::Backlog(listen.backlog));
                match self.listener(&listen.listen) {
                    Some(listener) => {
                        let local = listener.local_addr().ok().map(|at| self.stage.shown(at));
                        self.stage.ok(
                            slot,
                            Seen {
                                local,
                                ..Seen::default()
                            },
                        );
                    }
                    None => {
                        let any: IpAddr = if self.stage.v4 {
                            Ipv4Addr::UNSPECIFIED.into()
                        } else {
                            Ipv6Addr::UNSPECIFIED.into()
                        };
                        self.listen(
                            &listen.listen,
                            (any, 0).into(),
                            slot,
                            listen.port_as.as_deref(),
                        )
                        .await;
                    }
                }
            }
            Step::Connect(connect) => {
                let to = self.resolve(&connect.to);
                let shown = Endpoint::new(connect.to.ip.into(), to.map_or(0, |to| to.port()));
                let slot = self.call(&connect.connect, Op::Connect, Args::To(shown));
                match to {
                    Some(to) => {
                        self.connect(&connect.connect, to, slot, connect.port_as.as_deref())
                            .await
                    }
                    None => self
                        .stage
                        .failed_with(slot, Answer::Foreign("NOPORT".into())),
                }
            }
            _ => self.other(step).await,
        }
    }

    fn listens(&self, name: &str) -> bool {
        self.sockets.get(name).is_some_and(|h| h.listens)
    }

    fn listener(&self, name: &str) -> Option<Rc<TcpListener>> {
        match &*self.sockets.get(name)?.socket.borrow() {
            Socket::Listener(listener) => Some(Rc::clone(listener)),
            _ => None,
        }
    }

    /// `bind` and `listen`, which are one call on turmoil.
    async fn listen(&mut self, name: &str, at: SocketAddr, slot: Slot, port_as: Option<&str>) {
        let Some((host, socket)) = self
            .sockets
            .get(name)
            .map(|h| (h.host, Rc::clone(&h.socket)))
        else {
            return;
        };
        let place = self.stage.listen_at(at);
        match self
            .on(host, move || Box::pin(call(TcpListener::bind(place))))
            .await
        {
            Some(Ok(listener)) => {
                let port = listener.local_addr().map_or(0, |at| at.port());
                self.stage.ok(
                    slot,
                    Seen {
                        local: Some(Endpoint::new(at.ip().into(), port)),
                        ..Seen::default()
                    },
                );
                if let Some(name) = port_as {
                    self.ports.insert(name.into(), port);
                }
                *socket.borrow_mut() = Socket::Listener(Rc::new(listener));
            }
            Some(Err(failed)) => self.stage.refused(slot, &failed),
            None => self.stage.failed_with(slot, Answer::Waiting),
        }
    }

    async fn connect(&mut self, name: &str, to: SocketAddr, slot: Slot, port_as: Option<&str>) {
        let Some((host, socket)) = self
            .sockets
            .get(name)
            .map(|h| (h.host, Rc::clone(&h.socket)))
        else {
            return;
        };
        if !matches!(*socket.borrow(), Socket::Fresh) {
            self.stage
                .note("turmoil's streams cannot connect again".to_owned());
            self.stage.failed_with(slot, inexpressible());
            return;
        }
        let (place, stage, into) = (
            self.stage.place(to),
            Rc::clone(self.stage),
            Rc::clone(&socket),
        );
        let connected = self.on(host, move || {
            Box::pin(async move {
                let stream = call(TcpStream::connect(place)).await?;
                let seen = Seen {
                    peer: Some(Endpoint::from(to)),
                    ..stage.ends(&stream)
                };
                *into.borrow_mut() = Socket::Stream(stream);
                Ok::<Seen, Failed>(seen)
            })
        });
        match connected.await {
            Some(Ok(seen)) => {
                if let (Some(name), Some(local)) = (port_as, seen.local) {
                    self.ports.insert(name.into(), local.port);
                }
                self.stage.ok(slot, seen);
            }
            Some(Err(failed)) => self.stage.refused(slot, &failed),
            None => {
                self.stage
                    .note("turmoil's connect returns only when the server accepts".to_owned());
                self.stage.failed_with(slot, Answer::Waiting);
            }
        }
    }

    async fn other(&mut self, step: &Step) {
        let (Some(name), Some(op)) = (step.socket(), step.op()) else {
            return;
        };
        let args = match step {
            Step::Accept(accept) => accept
                .accepted
                .as_deref()
                .map_or(Args::None, |name| Args::As(name.into())),
            Step::Send(transfer) | Step::Recv(transfer) => Args::Len(transfer.len),
            Step::Shutdown(shutdown) => Args::How(shutdown.how),
            _ => Args::None,
        };
        let slot = self.call(name, op, args);
        let Some((host, socket)) = self
            .sockets
            .get(name)
            .map(|h| (h.host, Rc::clone(&h.socket)))
        else {
            return;
        };
        match step {
            Step::Accept(accept) => {
                self.accept(name, host, accept.accepted.as_deref(), slot)
                    .await
            }
            Step::Close(_) => {
                let old = std::mem::replace(&mut *socket.borrow_mut(), Socket::Closed);
                if matches!(old, Socket::Closed) {
                    self.stage
                        .failed_with(slot, Answer::Foreign("EBADF".into()));
                } else {
                    self.stage.on(host, move || drop(old));
                    self.stage.ok(slot, Seen::default());
                }
            }
            Step::Getsockname(_) | Step::Getpeername(_) => self.names(step, &socket, slot),
            Step::Send(_) | Step::Recv(_) | Step::Shutdown(_) => {
                let what = step.clone();
                let done = self.on(host, move || {
                    Box::pin(async move { transfer(&what, &socket).await })
                });
                match done.await {
                    Some(Ok(bytes)) => self.stage.ok(
                        slot,
                        Seen {
                            bytes,
                            ..Seen::default()
                        },
                    ),
                    Some(Err(answer)) => self.stage.failed_with(slot, answer),
                    None => self.stage.failed_with(slot, Answer::Waiting),
                }
            }
            _ => self.stage.failed_with(slot, inexpressible()),
        }
    }

    async fn accept(&mut self, name: &str, host: usize, child: Option<&str>, slot: Slot) {
        let Some(listener) = self.listener(name) else {
            self.stage.failed_with(slot, inexpressible());
            return;
        };
        let stage = Rc::clone(self.stage);
        let accepted = self.on(host, move || {
            Box::pin(async move { stage.within(PATIENCE / 2, call(listener.accept())).await })
        });
        match accepted.await.flatten() {
            Some(Ok((stream, _))) => {
                self.stage.ok(slot, self.stage.ends(&stream));
                let process = self
                    .sockets
                    .get(name)
                    .map_or_else(|| "main".into(), |h| h.process.clone());
                let socket = Rc::new(RefCell::new(Socket::Stream(stream)));
                let child = child.map_or_else(|| format!("{name} child"), str::to_owned);
                self.keep(
                    &child,
                    Held {
                        socket,
                        host,
                        process,
                        listens: false,
                    },
                );
            }
            Some(Err(failed)) => self.stage.refused(slot, &failed),
            None => self.stage.failed_with(slot, Answer::Waiting),
        }
    }

    fn names(&mut self, step: &Step, socket: &RefCell<Socket>, slot: Slot) {
        let seen = match &*socket.borrow() {
            Socket::Stream(stream) => Some(self.stage.ends(stream)),
            Socket::Listener(listener) => {
                let local = listener.local_addr().ok().map(|at| self.stage.shown(at));
                Some(Seen {
                    local,
                    ..Seen::default()
                })
            }
            _ => None,
        };
        let own = matches!(step, Step::Getsockname(_));
        let at = seen.and_then(|seen| if own { seen.local } else { seen.peer });
        match at {
            Some(at) => {
                let (local, peer) = if own {
                    (Some(at), None)
                } else {
                    (None, Some(at))
                };
                self.stage.ok(
                    slot,
                    Seen {
                        local,
                        peer,
                        bytes: None,
                    },
                );
                if let Some(name) = step.port_as() {
                    self.ports.insert(name.into(), at.port);
                }
            }
            None => self.stage.failed_with(slot, inexpressible()),
        }
    }
}

/// `send`, `recv` and `shutdown` on a stream, on its own host.
async fn transfer(step: &Step, socket: &RefCell<Socket>) -> Result<Option<u32>, Answer> {
    // The stream is taken out while turmoil works on it: nobody else may use it then anyway.
    let mut stream = match std::mem::take(&mut *socket.borrow_mut()) {
        Socket::Stream(stream) => stream,
        Socket::Closed => {
            *socket.borrow_mut() = Socket::Closed;
            return Err(Answer::Foreign("EBADF".into()));
        }
        other => {
            *socket.borrow_mut() = other;
            return Err(inexpressible());
        }
    };
    let result = match step {
        Step::Send(transfer) => {
            let bytes = vec![b'.'; transfer.len as usize];
            call(async { stream.try_write(&bytes) })
                .await
                .map(|n| u32::try_from(n).ok())
        }
        Step::Recv(transfer) => {
            let mut bytes = vec![0; transfer.len as usize];
            let read = call(poll_fn(|cx| {
                let mut buf = ReadBuf::new(&mut bytes);
                match pin!(&mut stream).poll_read(cx, &mut buf) {
                    Poll::Ready(result) => Poll::Ready(result.map(|()| Some(buf.filled().len()))),
                    Poll::Pending => Poll::Ready(Ok(None)),
                }
            }));
            match read.await {
                Ok(None) => {
                    *socket.borrow_mut() = Socket::Stream(stream);
                    return Err(Answer::Waiting);
                }
                Ok(Some(n)) => Ok(u32::try_from(n).ok()),
                Err(failed) => Err(failed),
            }
        }
        Step::Shutdown(shutdown) if shutdown.how == How::Write => {
            call(stream.shutdown()).await.map(|()| None)
        }
        _ => {
            *socket.borrow_mut() = Socket::Stream(stream);
            return Err(inexpressible());
        }
    };
    *socket.borrow_mut() = Socket::Stream(stream);
    result.map_err(|failed| failed.answer())
}

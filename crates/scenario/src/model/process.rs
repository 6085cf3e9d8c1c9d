use std::net::SocketAddr;
use std::time::Duration;

use schemars::JsonSchema;

use super::Options;
use crate::schema::written;
use crate::value::{Accepted, Close, Hold, Protocol};

/// A program on a host that makes socket calls.
///
/// Each of its `count` instances opens its listeners, then makes its connections one after the
/// other: `socket`, the options, `bind` if configured, `connect`. A failed connection is not
/// retried, and the next one follows.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Process {
    /// The host; optional if there is only one.
    #[schemars(with = "Option<String>")]
    pub on: String,
    /// The protocol of its sockets: `tcp` (the default) or `udp`. UDP sockets bind and connect;
    /// they do not listen.
    #[schemars(with = "Option<written::Protocol>")]
    pub protocol: Protocol,
    /// Number of instances [default: 1]. They take turns: first the first connection of each.
    #[schemars(with = "Option<written::Count>")]
    pub count: u32,
    /// The user id of the instances [default: 0].
    #[schemars(with = "Option<u32>")]
    pub uid: u32,
    /// Start time, counted from the start of the run [default: 0s]. Excludes `after`.
    #[schemars(with = "Option<written::Duration>")]
    pub start: Duration,
    /// Processes that must have made all their attempts before this one starts: one name or a list.
    #[schemars(with = "Option<written::OneOrMany<String>>")]
    pub after: Vec<String>,
    /// Local address to bind before each connect: `none` (the default), ADDR:PORT, or a list of
    /// ADDR:PORT used in turn. Port 0 lets the kernel choose; `0.0.0.0` and `[::]` are the
    /// wildcards.
    #[schemars(with = "Option<written::Bind>")]
    pub bind: Vec<SocketAddr>,
    /// Socket options, set on every connection and listener before `bind`.
    #[schemars(with = "Option<Options>")]
    pub options: Options,
    /// Destination: ADDR:PORT, or a list used in turn. Without it the process only binds or
    /// listens.
    #[schemars(with = "Option<written::OneOrMany<written::Endpoint>>")]
    pub connect: Vec<SocketAddr>,
    /// Number of connections that each instance makes [default: 1].
    #[schemars(with = "Option<written::Count>")]
    pub connections: u32,
    /// The time between two connections of one instance [default: 0s].
    #[schemars(with = "Option<written::Duration>")]
    pub every: Duration,
    /// The time for which each connection is held: a duration, or `forever` (the default). A
    /// process without connections closes its listeners after this time.
    #[schemars(with = "Option<written::Hold>")]
    pub hold: Hold,
    /// The end that closes a connection after `hold`: `client` (the default), `server`, `both` or
    /// `reset`.
    #[schemars(with = "Option<written::Close>")]
    pub close: Close,
    /// Number of times that each instance does all of this, each time after its last connection was
    /// closed [default: 1].
    #[schemars(with = "Option<written::Count>")]
    pub repeat: u32,
    /// The instance makes no further connections or listeners after its first `bind`, `listen` or
    /// `connect` that fails [default: false]. Open ones stay open.
    #[schemars(with = "Option<bool>")]
    pub stop_on_failure: bool,
    /// Addresses to listen on: ADDR:PORT or a list.
    #[schemars(with = "Option<written::OneOrMany<written::SocketAddr>>")]
    pub listen: Vec<SocketAddr>,
    /// The fate of the connections that the listeners have accepted when `hold` closes the
    /// listeners: `keep` (the default), `close` or `reset`.
    #[schemars(with = "Option<written::Accepted>")]
    pub accepted: Accepted,
    /// The process whose listeners it shares, as after fork(): a listener is closed once every
    /// process that has it has closed it. Without `start` or `after` it starts when they listen.
    #[schemars(with = "Option<String>")]
    pub inherit: Option<String>,
}

impl Process {
    /// Makes a process without socket calls, with the defaults of the format.
    pub fn new(on: impl Into<String>) -> Self {
        Self {
            on: on.into(),
            protocol: Protocol::Tcp,
            count: 1,
            uid: 0,
            start: Duration::ZERO,
            after: Vec::new(),
            bind: Vec::new(),
            options: Options::default(),
            connect: Vec::new(),
            connections: 1,
            every: Duration::ZERO,
            hold: Hold::Forever,
            close: Close::Client,
            repeat: 1,
            stop_on_failure: false,
            listen: Vec::new(),
            accepted: Accepted::Keep,
            inherit: None,
        }
    }

    /// Returns `true` for a process that makes no connections, whose `hold` is about its listeners.
    pub fn only_listens(&self) -> bool {
        self.connect.is_empty() && self.bind.is_empty()
    }

    /// The local address that a connection binds, if it does. Instances and connections are counted
    /// from 0, and a list is used in turn over all of them: the first instance makes connections 0
    /// to `connections - 1`, and so on.
    pub fn bind_of(&self, instance: u32, connection: u32) -> Option<SocketAddr> {
        self.in_turn(&self.bind, instance, connection)
    }

    /// The destination of a connection, if the process connects; used in turn like
    /// [`bind_of`](Self::bind_of).
    pub fn connect_of(&self, instance: u32, connection: u32) -> Option<SocketAddr> {
        self.in_turn(&self.connect, instance, connection)
    }

    fn in_turn(&self, list: &[SocketAddr], instance: u32, connection: u32) -> Option<SocketAddr> {
        if list.is_empty() {
            return None;
        }
        let turn = u64::from(instance) * u64::from(self.connections) + u64::from(connection);
        let index = turn % list.len() as u64;
        list.get(usize::try_from(index).ok()?).copied()
    }

    /// The number of connections that each instance makes, over all repeats.
    pub fn connections_each(&self) -> u64 {
        u64::from(self.connections) * u64::from(self.repeat)
    }

    /// The number of connections of all instances, over all repeats.
    pub fn total_connections(&self) -> u64 {
        self.connections_each().saturating_mul(self.count.into())
    }

    /// The time from the start of the run to the last close, if calls take none. A process that
    /// never closes ends with its last connection, and one with `after` starts at 0.
    pub fn length(&self) -> Duration {
        let hold = match self.hold {
            Hold::Forever => Duration::ZERO,
            Hold::For(time) => time,
        };
        let round = self.every.saturating_mul(self.connections);
        let round = round.saturating_add(hold);
        self.start.saturating_add(round.saturating_mul(self.repeat))
    }

    /// Makes each instance open at most so many connections, which it holds until the end.
    pub fn keep_connections(&mut self, most: u32) {
        self.connections = self.connections.min(most);
        self.repeat = 1;
        self.hold = Hold::Forever;
        self.close = Close::Client;
    }

    /// Copies of the process in which one field has its default, for each field that has not.
    pub fn with_one_default(&self) -> Vec<Process> {
        let default = Process::new(self.on.clone());
        macro_rules! copies {
            ($($field:ident)*) => {
                vec![$(Process { $field: default.$field.clone(), ..self.clone() }),*]
            };
        }
        let mut copies = copies!(
            count connections repeat after start every hold close uid listen bind connect options
            accepted inherit stop_on_failure
        );
        copies.retain(|one| one != self);
        copies
    }
}

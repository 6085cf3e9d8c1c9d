//! Processes of the declarative form.

use std::net::SocketAddr;
use std::time::Duration;

use schemars::JsonSchema;

use super::Options;
use crate::schema::written;
use crate::value::{Close, Hold};

/// A program on a host that makes socket calls.
///
/// Each of its `count` instances opens its listeners, then makes its connections one after the other: `socket`, the
/// options, `bind` if there is one, `connect`. A connection that fails is not tried again.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Process {
    /// The host. It may be left out when there is only one.
    #[schemars(with = "Option<String>")]
    pub on: String,
    /// How many instances there are; 1 if left out. They make their calls in turn: first the first connection of each.
    #[schemars(with = "Option<written::Count>")]
    pub count: u32,
    /// The user id of the instances; 0 if left out.
    #[schemars(with = "Option<u32>")]
    pub uid: u32,
    /// When the process starts, counted from the start of the run; at once if left out. Excludes `after`.
    #[schemars(with = "Option<written::Duration>")]
    pub start: Duration,
    /// Processes that have made all their attempts before this one starts: one name or a list.
    #[schemars(with = "Option<written::OneOrMany<String>>")]
    pub after: Vec<String>,
    /// Where each connection binds before it connects: `none` (also if left out), ADDR:PORT, or a list of ADDR:PORT
    /// taken in turn. Port 0 lets the kernel choose; `0.0.0.0` and `[::]` are the wildcards.
    #[schemars(with = "Option<written::Bind>")]
    pub bind: Vec<SocketAddr>,
    /// Socket options, set on every connection and listener before `bind`.
    #[schemars(with = "Option<Options>")]
    pub options: Options,
    /// Where to connect to: ADDR:PORT, or a list taken in turn. Without it the process only binds or listens.
    #[schemars(with = "Option<written::OneOrMany<written::Endpoint>>")]
    pub connect: Vec<SocketAddr>,
    /// How many connections each instance makes; 1 if left out.
    #[schemars(with = "Option<written::Count>")]
    pub connections: u32,
    /// The time between two connections of one instance; none if left out.
    #[schemars(with = "Option<written::Duration>")]
    pub every: Duration,
    /// How long each connection is held: a duration, or `forever`, which is also meant if left out.
    #[schemars(with = "Option<written::Hold>")]
    pub hold: Hold,
    /// Who closes a connection that has been held: `client` (also if left out), `server`, `both` or `reset`.
    #[schemars(with = "Option<written::Close>")]
    pub close: Close,
    /// How often each instance does all of this, each time after its last connection was closed; 1 if left out.
    #[schemars(with = "Option<written::Count>")]
    pub repeat: u32,
    /// Where the process listens: ADDR:PORT or a list.
    #[schemars(with = "Option<written::OneOrMany<written::SocketAddr>>")]
    pub listen: Vec<SocketAddr>,
}

impl Process {
    /// A process on a host that does nothing yet, with the defaults of the format.
    pub fn new(on: impl Into<String>) -> Self {
        Self {
            on: on.into(),
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
            listen: Vec::new(),
        }
    }

    /// Where a connection binds, if it does. Instances and connections are counted from 0, and a list is taken in
    /// turn over all of them: the first instance makes connections 0 to `connections - 1`, and so on.
    pub fn bind_of(&self, instance: u32, connection: u32) -> Option<SocketAddr> {
        self.in_turn(&self.bind, instance, connection)
    }

    /// Where a connection goes, if the process connects; taken in turn like [`bind_of`](Self::bind_of).
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

    /// Connections that all instances make together, over all repeats.
    pub fn total_connections(&self) -> u64 {
        u64::from(self.count)
            .saturating_mul(u64::from(self.connections))
            .saturating_mul(u64::from(self.repeat))
    }
}

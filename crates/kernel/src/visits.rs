//! For tests: a machine whose connections leave TIME-WAITs.

use crate::Family;
use crate::addr::{Endpoint, Ip};
use crate::chooser::Seeded;
use crate::machine::{Call, Machine, NsId, SockId};
use crate::profile::{self, Behaviours};

/// A machine with a listener on its loopback address.
pub(crate) struct Client {
    pub(crate) machine: Machine,
    pub(crate) ns: NsId,
    listener: SockId,
}

impl Client {
    pub(crate) fn new(behaviours: Behaviours) -> Self {
        let mut machine = Machine::new(behaviours, Seeded::new(1, "visits"));
        let ns = machine.add_namespace();
        let listener = machine.socket(ns, Family::Inet, 0);
        assert_eq!(machine.bind(listener, Self::server()), Ok(()));
        assert_eq!(machine.listen(listener, 8), Ok(()));
        Client {
            machine,
            ns,
            listener,
        }
    }

    fn server() -> Endpoint {
        Endpoint::new(Ip::LOOPBACK4, 5000)
    }

    /// Connections that the client closes first, one after the other. Each leaves a TIME-WAIT.
    pub(crate) fn visit(&mut self, times: u64) {
        for _ in 0..times {
            let sock = self.machine.socket(self.ns, Family::Inet, 0);
            let connected = self.machine.connect(sock, Self::server());
            assert_eq!(connected, Call::Done(Ok(())));
            let Call::Done(Ok(child)) = self.machine.accept(self.listener, 0) else {
                panic!("the connection is there");
            };
            self.machine.close(sock);
            self.machine.close(child);
        }
    }

    pub(crate) fn pass(&mut self, nanos: u64) {
        let now = self.machine.now();
        self.machine.advance(now.after(nanos));
    }
}

/// The behaviours of a kernel that is known.
pub(crate) fn behaviours(kernel: &str) -> Behaviours {
    profile::find(kernel).expect("a known kernel").behaviours
}

//! The bind bucket (`struct inet_bind_bucket`) and its entries by address
//! (`struct inet_bind2_bucket`, Linux 6.1 and later).

pub(crate) mod conflict;
pub(crate) mod held;
pub(crate) mod owners;
pub(crate) mod touch;

use crate::addr::Ip;
use smallvec::SmallVec;

/// The owner of a port: a full socket or a TIME-WAIT socket, packed into 32 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Owner(u32);

const TW_BIT: u32 = 1 << 31;

/// The two kinds of owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OwnerKind {
    Sock(u32),
    Tw(u32),
}

impl Owner {
    pub(crate) const fn sock(i: u32) -> Self {
        Owner(i)
    }
    pub(crate) const fn tw(i: u32) -> Self {
        Owner(i | TW_BIT)
    }
    pub(crate) const fn kind(self) -> OwnerKind {
        if self.0 & TW_BIT == 0 {
            OwnerKind::Sock(self.0)
        } else {
            OwnerKind::Tw(self.0 & !TW_BIT)
        }
    }
}

/// `fastreuseport` values.
pub(crate) mod frp {
    pub(crate) const NO: i8 = 0;
    pub(crate) const ANY: i8 = 1;
    pub(crate) const STRICT: i8 = 2;
}

/// The uid that `fastreuseport` goes with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Fastuid {
    /// Uninitialised memory.
    Undefined,
    Of(u32),
}

/// The address that set `fastreuseport`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Snapshot {
    pub(crate) addr: Ip,
    pub(crate) inet6: bool,
    pub(crate) v6only: bool,
}

/// An entry by address.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct ByAddr {
    pub(crate) addr: Ip,
    /// The first owner was an AF_INET6 socket.
    pub(crate) inet6: bool,
    pub(crate) fastreuse: i8,
    pub(crate) fastreuseport: i8,
    /// AF_INET and AF_INET6 owners.
    pub(crate) owners: [u32; 2],
    /// The number of owners that got their port inside connect().
    pub(crate) connect_owners: u32,
}

/// One port in use in one namespace, both families together.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Bucket {
    pub(crate) port: u16,
    /// -1: only connect() made owners; 0: bind() or listen() touched it; 1: all of them with
    /// `SO_REUSEADDR` and not listening.
    pub(crate) fastreuse: i8,
    pub(crate) fastreuseport: i8,
    pub(crate) fastuid: Fastuid,
    pub(crate) snapshot: Option<Box<Snapshot>>,
    /// `num_owners`: full sockets only; may drift below 0 on old kernels.
    pub(crate) num_owners: i32,
    pub(crate) owners: SmallVec<[Owner; 4]>,
    pub(crate) by_addr: SmallVec<[ByAddr; 1]>,
}

impl Bucket {
    pub(crate) fn new(port: u16, value: i8) -> Self {
        Bucket {
            port,
            fastreuse: value,
            fastreuseport: value,
            fastuid: Fastuid::Undefined,
            snapshot: None,
            num_owners: 0,
            owners: SmallVec::new(),
            by_addr: SmallVec::new(),
        }
    }

    /// connect() without bind() skips such a bucket.
    pub(crate) fn blocks_connect(&self) -> bool {
        self.fastreuse >= 0 || self.fastreuseport >= 0
    }
}

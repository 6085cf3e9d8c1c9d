//! Numbers that the host side and the guest program agree on.
//!
//! This file is compiled twice: as a module of this crate and as a module of the guest, which has
//! neither `std` nor `alloc`. Only constants belong here.
//!
//! All integers are little-endian. Towards the guest goes one frame for each program, `u32 length`,
//! `u16 setup` and then its operations back to back: `u8 opcode`, `u8 host`, `u16 process`, `u16
//! length`, operands (texts are `u16 length` and bytes, NUL at the end). Process 0 is the one that
//! made the host's namespace; any other number is a process of its own, started when it is first
//! named. The first `setup` operations make the hosts: the program ends with the first of them that
//! fails.
//!
//! Back comes one frame for each program: `u32 length` and then one record for each operation that
//! was done, in order: `i16 result`, `u64 microseconds`, `u8 family` (0, 4 or 6; then `u16 port`
//! and 4 or 16 bytes of address), or `u8 FAMILY_LENGTH` and `u32` for calls that move data.
//! `OP_PLAY` answers with as many records as there are calls, see there.
//!
//! An address is `u8 family`, `u16 port`, `u32 scope` and 16 bytes. With `PORT_OF` in its family
//! the port is that of the record with that number, counted from 0 over the program; if that call
//! gave none, the operation is not done and answers `RESULT_NOPORT`.
//!
//! Before the first program the guest sends one hello frame: magic, `u8 version`, `u8 stage`, `i32
//! errno`, `u8 flags`, then the kernel's release as text.

/// Opens every hello frame.
pub(crate) const MAGIC: [u8; 4] = *b"4TPL";
/// Changes whenever a frame's layout does.
pub(crate) const VERSION: u8 = 6;

/// The largest frame that the guest takes, in bytes.
pub(crate) const MAX_FRAME: usize = 2 + MAX_OPERATIONS;
/// The most bytes of one program's operations.
pub(crate) const MAX_OPERATIONS: usize = 8 << 20;
/// Maximum number of operations of one program, which limits the guest's answer.
pub(crate) const MAX_STEPS: usize = 100_000;
/// Maximum number of socket names of one program.
pub(crate) const MAX_SOCKETS: usize = 65_535;
/// Maximum number of hosts of one program.
pub(crate) const MAX_HOSTS: usize = 16;
/// Maximum number of processes of one program, not counting those that hold its hosts' namespaces.
pub(crate) const MAX_PROCESSES: usize = 256;
/// Maximum size of the guest's answer to one program, in bytes.
pub(crate) const MAX_ANSWER: usize = 16 << 20;
/// Maximum number of bytes that one send or recv moves.
pub(crate) const MAX_DATA: usize = 1 << 20;

/// `result` of a call that was still blocking when the caller stopped waiting.
pub(crate) const RESULT_WAITING: i16 = -1;
/// `result` of a call on a socket that does not exist.
pub(crate) const RESULT_NOSOCK: i16 = -2;
/// `result` of a call whose port was to be taken from a call that returned none.
pub(crate) const RESULT_NOPORT: i16 = -3;

/// `peer host` of a link whose ends are on one host.
pub(crate) const NO_PEER: u8 = 255;
/// Flag of an address's family: the port is that of an earlier record.
pub(crate) const PORT_OF: u8 = 0x40;
/// The length of an address.
pub(crate) const ADDRESS: usize = 23;

/// Marks a record that carries a number of bytes instead of an address.
pub(crate) const FAMILY_LENGTH: u8 = 255;

/// The uid of an accepted socket if none is given: that of the listening socket.
pub(crate) const UID_INHERIT: u32 = u32::MAX;
/// Flag of `OP_SOCKET`: the socket is non-blocking.
pub(crate) const SOCKET_NONBLOCK: u8 = 1;
/// Flag of `OP_SOCKET`: it is a datagram socket.
pub(crate) const SOCKET_DATAGRAM: u8 = 2;

/// The guest could not start: it has no namespaces of its own.
pub(crate) const STAGE_NAMESPACES: u8 = 1;
/// The guest could not start: it could not map its user.
pub(crate) const STAGE_USER_MAP: u8 = 2;
/// The guest could not start: it could not start its worker.
pub(crate) const STAGE_FORK: u8 = 3;
/// The guest could not start: there is no /proc/sys/net for its namespace.
pub(crate) const STAGE_PROC: u8 = 4;
/// The guest is ready.
pub(crate) const STAGE_READY: u8 = 0;

/// Flag of the hello: the guest's user namespace maps one user only.
pub(crate) const HELLO_ONE_UID: u8 = 1;

/// A new network namespace with only `lo` up.
pub(crate) const OP_NS: u8 = 1;
/// `text path`, `text value`.
pub(crate) const OP_SYSCTL: u8 = 2;
/// `u16 slot`, `u8 family`, `u8 flags`, `u32 uid`.
pub(crate) const OP_SOCKET: u8 = 3;
/// `u16 slot`, `i32 level`, `i32 option`, `bytes value`.
pub(crate) const OP_SET: u8 = 4;
/// `u16 slot`, address.
pub(crate) const OP_BIND: u8 = 5;
/// `u16 slot`, `i32 backlog`.
pub(crate) const OP_LISTEN: u8 = 6;
/// `u16 slot`, address, `u32 wait_ms`.
pub(crate) const OP_CONNECT: u8 = 7;
/// `u16 slot`, `u16 new slot`, `u32 uid`, `u32 wait_ms`.
pub(crate) const OP_ACCEPT: u8 = 8;
/// `u16 slot`, `u32 length`, `u32 wait_ms`.
pub(crate) const OP_SEND: u8 = 9;
/// `u16 slot`, `u32 length`, `u32 wait_ms`.
pub(crate) const OP_RECV: u8 = 10;
/// `u16 slot`, `u8 how`.
pub(crate) const OP_SHUTDOWN: u8 = 11;
/// `u16 slot`.
pub(crate) const OP_DISCONNECT: u8 = 12;
/// `u16 slot`.
pub(crate) const OP_CLOSE: u8 = 13;
/// `u16 slot`.
pub(crate) const OP_GETSOCKNAME: u8 = 14;
/// `u16 slot`.
pub(crate) const OP_GETPEERNAME: u8 = 15;
/// `u32 ms`.
pub(crate) const OP_SLEEP: u8 = 16;
/// `text interface`, `u8 prefix`, address (its port is ignored).
pub(crate) const OP_ADDR: u8 = 17;
/// Starts the namespace of the host that the operation names.
pub(crate) const OP_HOST: u8 = 18;
/// `u8 peer host`, `text interface`, `text peer interface`, 6 bytes of hardware address that both
/// ends get. With `NO_PEER` both ends are on this host.
pub(crate) const OP_LINK: u8 = 19;
/// `text interface`: up, without address resolution.
pub(crate) const OP_LINK_UP: u8 = 20;
/// `text interface`: waits until it carries packets.
pub(crate) const OP_LINK_READY: u8 = 22;
/// `text interface`, address of the destination, address to prefer as the source (family 0: none).
pub(crate) const OP_ROUTE: u8 = 21;

/// Runs processes of a scenario's declarative form. Its operands: `u16 first slot` that is free in
/// every process, `u32 wait_ms` for connects; `u16 n` listeners that are there already, each `u8
/// host`, `u16 slot`, `u16 port`; then the processes as `fourtuple_program::codec` writes them.
/// Each process of the list is a process of its own, by its place, counted from 1.
///
/// There is a record for each call of the program in order, and for each step of its clock. A
/// connect that succeeded is followed by `OP_GETPEERNAME`, an accept by `OP_GETSOCKNAME`.
pub(crate) const OP_PLAY: u8 = 23;
/// `u32 ms`: no call of the program waits for longer than until then. The first operation, and
/// without a record.
pub(crate) const OP_DEADLINE: u8 = 24;
/// `text interface`: up, with address resolution.
pub(crate) const OP_LINK_UP_ARP: u8 = 25;
/// Like `OP_ADDR`, but the address is tentative until duplicate address detection ends.
pub(crate) const OP_ADDR_TENTATIVE: u8 = 26;
/// `u16 slot`, address, `u32 length`, `u32 wait_ms`. Answers with the socket's own address.
pub(crate) const OP_SENDTO: u8 = 27;
/// `u16 slot`, `u32 length`, `u32 wait_ms`. Answers with the sender's address.
pub(crate) const OP_RECVFROM: u8 = 28;
/// Messages of netlink for the kernel's packet filter, of which the last asks for an answer.
pub(crate) const OP_NETFILTER: u8 = 29;
/// Maximum number of instances, and of their connections in total.
pub(crate) const MAX_CONNECTIONS: usize = 30_000;
/// Maximum number of listeners of all instances.
pub(crate) const MAX_LISTENERS: usize = 4_000;

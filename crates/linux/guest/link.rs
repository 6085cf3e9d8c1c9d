//! Namespaces, interfaces, addresses and routes, set up by ioctl and netlink.

use crate::frame::Addr;
use crate::sys::{self, Res};

pub const IFF_UP: u16 = 1;
/// No address resolution: both ends of a link have the same hardware address, so packets never wait
/// for ARP or neighbour discovery.
pub const IFF_NOARP: u16 = 0x80;

/// Makes a network namespace with `lo` up.
pub fn fresh_namespace() -> Res<()> {
    sys::unshare(sys::NEWNET)?;
    up(b"lo\0", 0)
}

/// `struct ifreq`, of which only the first field after the name is used.
#[repr(C, align(8))]
struct IfReq {
    name: [u8; 16],
    data: [u8; 24],
}

impl IfReq {
    fn new(name: &[u8]) -> IfReq {
        let mut r = IfReq {
            name: [0; 16],
            data: [0; 24],
        };
        let n = name.len().min(15);
        r.name[..n].copy_from_slice(&name[..n]);
        r
    }
}

fn with_socket<T>(f: impl FnOnce(i32) -> Res<T>) -> Res<T> {
    let fd = sys::socket(sys::AF_INET, sys::SOCK_DGRAM, 0)?;
    let r = f(fd);
    let _ = sys::close(fd);
    r
}

/// Sets an interface up, with additional flags.
pub fn up(name: &[u8], flags: u16) -> Res<()> {
    const SIOCGIFFLAGS: usize = 0x8913;
    const SIOCSIFFLAGS: usize = 0x8914;
    with_socket(|fd| {
        let mut r = IfReq::new(name);
        sys::ioctl(fd, SIOCGIFFLAGS, &mut r)?;
        let now = u16::from_ne_bytes([r.data[0], r.data[1]]);
        r.data[..2].copy_from_slice(&(now | IFF_UP | flags).to_ne_bytes());
        sys::ioctl(fd, SIOCSIFFLAGS, &mut r).map(|_| ())
    })
}

fn index(name: &[u8]) -> Res<u32> {
    const SIOCGIFINDEX: usize = 0x8933;
    with_socket(|fd| {
        let mut r = IfReq::new(name);
        sys::ioctl(fd, SIOCGIFINDEX, &mut r)?;
        Ok(u32::from_ne_bytes([
            r.data[0], r.data[1], r.data[2], r.data[3],
        ]))
    })
}

/// A netlink request under construction.
struct Request {
    bytes: [u8; 512],
    len: usize,
}

impl Request {
    /// A request that creates an object.
    fn make(kind: u16, body: &[u8]) -> Request {
        const ACK: u16 = 4;
        const EXCL: u16 = 0x200;
        const CREATE: u16 = 0x400;
        Request::new(kind, ACK | EXCL | CREATE, body)
    }

    fn new(kind: u16, flags: u16, body: &[u8]) -> Request {
        const REQUEST: u16 = 1;
        let mut r = Request {
            bytes: [0; 512],
            len: 4,
        };
        let (kind, flags) = (kind.to_ne_bytes(), (REQUEST | flags).to_ne_bytes());
        r.push(&[kind[0], kind[1], flags[0], flags[1]]);
        // The sequence number and the sender, neither of which matters.
        r.push(&[0; 8]);
        r.push(body);
        r
    }

    fn push(&mut self, bytes: &[u8]) {
        self.bytes[self.len..self.len + bytes.len()].copy_from_slice(bytes);
        // Netlink messages and attributes are aligned to four bytes.
        self.len += bytes.len().next_multiple_of(4);
    }

    /// Opens an attribute, which `end` closes. Attributes nest.
    fn begin(&mut self, kind: u16) -> usize {
        let at = self.len;
        self.push(&[0; 4]);
        self.bytes[at + 2..at + 4].copy_from_slice(&kind.to_ne_bytes());
        at
    }

    fn end(&mut self, at: usize) {
        let n = (self.len - at) as u16;
        self.bytes[at..at + 2].copy_from_slice(&n.to_ne_bytes());
    }

    fn attribute(&mut self, kind: u16, value: &[u8]) {
        let at = self.begin(kind);
        self.push(value);
        // The length does not include the padding.
        let n = (4 + value.len()) as u16;
        self.bytes[at..at + 2].copy_from_slice(&n.to_ne_bytes());
    }

    /// Sends the request and receives the kernel's answer, truncated to the buffer.
    fn exchange(&mut self, answer: &mut [u8]) -> Res<usize> {
        const ROUTE: usize = 0;
        let n = self.len as u32;
        self.bytes[..4].copy_from_slice(&n.to_ne_bytes());
        exchange(ROUTE, &self.bytes[..self.len], answer)
    }

    /// Sends the request and waits for its acknowledgement.
    fn send(&mut self) -> Res<()> {
        let mut answer = [0u8; 1024];
        let n = self.exchange(&mut answer)?;
        acknowledged(&answer[..n])
    }
}

/// Sends a request of a netlink protocol and receives the kernel's answer, truncated to the buffer.
fn exchange(protocol: usize, request: &[u8], answer: &mut [u8]) -> Res<usize> {
    let fd = sys::socket(sys::AF_NETLINK, sys::SOCK_RAW, protocol)?;
    let r = sys::send(fd, request).and_then(|_| sys::recv(fd, answer));
    let _ = sys::close(fd);
    r
}

/// The result that an answer reports.
fn acknowledged(answer: &[u8]) -> Res<()> {
    let Some([a, b, c, d]) = answer.get(16..20) else {
        return Err(sys::EIO);
    };
    match i32::from_ne_bytes([*a, *b, *c, *d]) {
        0 => Ok(()),
        e => Err(-e),
    }
}

/// Sends messages to the packet filter. The first answer is that of the first message that failed,
/// or of the last one.
pub fn change_filter(messages: &[u8]) -> Res<()> {
    const NETFILTER: usize = 12;
    let mut answer = [0u8; 1024];
    let n = exchange(NETFILTER, messages, &mut answer)?;
    acknowledged(&answer[..n.min(1024)])
}

fn af(a: &Addr) -> u8 {
    if a.family == 4 {
        sys::AF_INET as u8
    } else {
        sys::AF_INET6 as u8
    }
}

/// Adds an address that can be used at once.
pub fn add_address(interface: &[u8], a: &Addr, prefix: u8) -> Res<()> {
    // No duplicate address detection.
    const IFA_F_NODAD: u8 = 2;
    if a.family != 6 {
        return new_address(interface, a, prefix, 0);
    }
    new_address(interface, a, prefix, IFA_F_NODAD)?;
    // The kernel adds the local route later, in a worker.
    until(|| is_local(a))
}

/// Adds an address, which is tentative until duplicate address detection ends.
pub fn add_tentative(interface: &[u8], a: &Addr, prefix: u8) -> Res<()> {
    new_address(interface, a, prefix, 0)
}

fn new_address(interface: &[u8], a: &Addr, prefix: u8, flags: u8) -> Res<()> {
    const RTM_NEWADDR: u16 = 20;
    const IFA_ADDRESS: u16 = 1;
    const IFA_LOCAL: u16 = 2;
    let index = index(interface)?.to_ne_bytes();
    let mut r = Request::make(
        RTM_NEWADDR,
        &[
            af(a),
            prefix,
            flags,
            0,
            index[0],
            index[1],
            index[2],
            index[3],
        ],
    );
    r.attribute(IFA_LOCAL, a.ip());
    r.attribute(IFA_ADDRESS, a.ip());
    r.send()
}

/// Time limit in milliseconds for the kernel's deferred work.
const PATIENCE_MS: u32 = 5000;

/// Waits until a condition is true.
fn until(holds: impl Fn() -> Res<bool>) -> Res<()> {
    for _ in 0..PATIENCE_MS {
        if holds()? {
            return Ok(());
        }
        sys::sleep_ms(1)?;
    }
    Err(sys::ETIMEDOUT)
}

/// Returns true if packets to an address stay on this host.
fn is_local(a: &Addr) -> Res<bool> {
    const RTM_NEWROUTE: u16 = 24;
    const RTM_GETROUTE: u16 = 26;
    const RTA_DST: u16 = 1;
    const RTN_LOCAL: u8 = 2;
    let mut head = [0; 12];
    (head[0], head[1]) = (af(a), a.ip().len() as u8 * 8);
    let mut answer = [0; 1024];
    let mut r = Request::new(RTM_GETROUTE, 0, &head);
    r.attribute(RTA_DST, a.ip());
    r.exchange(&mut answer)?;
    // Before the route exists the kernel answers with an error, or with the route of the prefix.
    let kind = u16::from_ne_bytes([answer[4], answer[5]]);
    Ok(kind == RTM_NEWROUTE && answer[16 + 7] == RTN_LOCAL)
}

/// Waits until a link carries packets. A kernel worker notices later that the peer is up, and
/// packets before that are dropped.
pub fn ready(name: &[u8]) -> Res<()> {
    until(|| works(name))?;
    // The worker may still be running; changing flags waits for the lock that it holds.
    up(name, 0)
}

/// Returns true once the worker has seen the interface come up (IFLA_OPERSTATE). The flags of a new
/// interface claim it earlier.
fn works(name: &[u8]) -> Res<bool> {
    const RTM_GETLINK: u16 = 18;
    const IFLA_OPERSTATE: u16 = 16;
    const IF_OPER_UP: u8 = 6;
    let mut body = [0; 16];
    body[4..8].copy_from_slice(&index(name)?.to_ne_bytes());
    let mut answer = [0; 1024];
    let n = Request::new(RTM_GETLINK, 0, &body).exchange(&mut answer)?;
    // Two headers of 16 bytes, then attributes.
    let mut rest = answer.get(32..n).unwrap_or(&[]);
    while let [l0, l1, k0, k1, value @ ..] = rest {
        if u16::from_ne_bytes([*k0, *k1]) == IFLA_OPERSTATE {
            return Ok(value.first() == Some(&IF_OPER_UP));
        }
        let len = u16::from_ne_bytes([*l0, *l1]).max(4) as usize;
        rest = rest.get(len.next_multiple_of(4)..).unwrap_or(&[]);
    }
    Ok(false)
}

/// Adds a route to one address at the other end of `interface`.
pub fn add_route(interface: &[u8], to: &Addr, source: &Addr) -> Res<()> {
    const RTM_NEWROUTE: u16 = 24;
    const RTA_DST: u16 = 1;
    const RTA_OIF: u16 = 4;
    const RTA_PREFSRC: u16 = 7;
    const TABLE_MAIN: u8 = 254;
    const PROTOCOL_BOOT: u8 = 3;
    const SCOPE_LINK: u8 = 253;
    const UNICAST: u8 = 1;
    let scope = if to.family == 4 { SCOPE_LINK } else { 0 };
    let bits = to.ip().len() as u8 * 8;
    let head = [
        af(to),
        bits,
        0,
        0,
        TABLE_MAIN,
        PROTOCOL_BOOT,
        scope,
        UNICAST,
        0,
        0,
        0,
        0,
    ];
    let mut r = Request::make(RTM_NEWROUTE, &head);
    r.attribute(RTA_DST, to.ip());
    r.attribute(RTA_OIF, &index(interface)?.to_ne_bytes());
    if source.family == to.family {
        r.attribute(RTA_PREFSRC, source.ip());
    }
    r.send()
}

/// Adds a veth pair whose second interface is in the namespace of the process `peer`, or in this
/// one if `peer` is 0.
pub fn add_veth(name: &[u8], peer_name: &[u8], hardware: &[u8; 6], peer: i32) -> Res<()> {
    const RTM_NEWLINK: u16 = 16;
    const IFLA_ADDRESS: u16 = 1;
    const IFLA_IFNAME: u16 = 3;
    const IFLA_LINKINFO: u16 = 18;
    const IFLA_NET_NS_PID: u16 = 19;
    const INFO_KIND: u16 = 1;
    const INFO_DATA: u16 = 2;
    const VETH_INFO_PEER: u16 = 1;
    let ifinfomsg = [0; 16];
    let mut r = Request::make(RTM_NEWLINK, &ifinfomsg);
    r.attribute(IFLA_IFNAME, name);
    r.attribute(IFLA_ADDRESS, hardware);
    let info = r.begin(IFLA_LINKINFO);
    r.attribute(INFO_KIND, b"veth");
    let data = r.begin(INFO_DATA);
    let end = r.begin(VETH_INFO_PEER);
    r.push(&ifinfomsg);
    r.attribute(IFLA_IFNAME, peer_name);
    r.attribute(IFLA_ADDRESS, hardware);
    if peer != 0 {
        r.attribute(IFLA_NET_NS_PID, &peer.to_ne_bytes());
    }
    r.end(end);
    r.end(data);
    r.end(info);
    r.send()
}

//! Execution of single socket calls.

use crate::frame::{Addr, Detail, Operands, Record};
use crate::wire::*;
use crate::{link, sys};

/// The sockets of a program by slot. Zeroed memory means that all slots are empty.
pub struct Sockets<const N: usize> {
    /// The descriptor plus one.
    fds: [i32; N],
    uids: [u32; N],
    /// The flags of `OP_SOCKET`.
    flags: [u8; N],
    /// Slots from here on have never been used.
    used: usize,
}

impl<const N: usize> Sockets<N> {
    pub const NONE: Self = Sockets {
        fds: [0; N],
        uids: [0; N],
        flags: [0; N],
        used: 0,
    };
}

/// Executes operations in the current process and namespace.
pub struct Executor<'a> {
    sockets: &'a mut Sockets<MAX_SOCKETS>,
    data: &'a mut [u8; MAX_DATA],
    /// When the last wait ends, in microseconds. Processes that are started later inherit it.
    deadline_us: u64,
}

const SOL_SOCKET: i32 = 1;
const SO_ATTACH_REUSEPORT_CBPF: i32 = 51;
const SO_RCVTIMEO: i32 = 20;
const SO_SNDTIMEO: i32 = 21;

impl<'a> Executor<'a> {
    pub fn new(sockets: &'a mut Sockets<MAX_SOCKETS>, data: &'a mut [u8; MAX_DATA]) -> Self {
        Executor {
            sockets,
            data,
            deadline_us: u64::MAX,
        }
    }

    /// Lets no call wait past so many milliseconds from now.
    pub fn end_waits_in(&mut self, ms: u32) {
        self.deadline_us = sys::now_us().saturating_add(u64::from(ms) * 1000);
    }

    /// Runs one operation. `peer` is the process of the other host where the operation has one.
    pub fn run(&mut self, code: u8, o: &mut Operands, peer: i32) -> Record {
        match code {
            OP_NS => Record::of(link::fresh_namespace()),
            OP_SYSCTL => Record::of(write_sysctl(o.text(), o.text())),
            OP_SLEEP => Record::of(sys::sleep_ms(o.u32())),
            OP_ADDR => {
                let (interface, prefix) = (o.text(), o.u8());
                Record::of(link::add_address(interface, &o.addr(), prefix))
            }
            OP_ADDR_TENTATIVE => {
                let (interface, prefix) = (o.text(), o.u8());
                Record::of(link::add_tentative(interface, &o.addr(), prefix))
            }
            OP_LINK => {
                o.u8();
                Record::of(link::add_veth(
                    o.text(),
                    o.text(),
                    &o.hardware_address(),
                    peer,
                ))
            }
            OP_LINK_UP => Record::of(link::up(o.text(), link::IFF_NOARP)),
            OP_LINK_UP_ARP => Record::of(link::up(o.text(), 0)),
            OP_LINK_READY => Record::of(link::ready(o.text())),
            OP_ROUTE => Record::of(link::add_route(o.text(), &o.addr(), &o.addr())),
            OP_NETFILTER => Record::of(link::change_filter(o.rest())),
            OP_SOCKET => self.socket(o),
            _ => {
                let slot = o.u16() as usize;
                match self.sockets.fds.get(slot) {
                    Some(&fd) if fd > 0 => self.on_socket(code, slot, fd - 1, o),
                    _ => Record::new(RESULT_NOSOCK, Detail::None),
                }
            }
        }
    }

    /// Closes all sockets of the program, in the order of the slots.
    pub fn close_all(&mut self) {
        for slot in 0..self.sockets.used {
            self.put(slot, 0, 0, 0);
        }
        self.sockets.used = 0;
    }

    /// Fills a slot (`fd` counted from one) and closes its previous socket.
    fn put(&mut self, slot: usize, fd: i32, uid: u32, flags: u8) {
        let before = self.sockets.fds[slot];
        self.sockets.fds[slot] = fd;
        self.sockets.uids[slot] = uid;
        self.sockets.flags[slot] = flags;
        self.sockets.used = self.sockets.used.max(slot + 1);
        if before > 0 {
            let _ = sys::close(before - 1);
        }
    }

    fn socket(&mut self, o: &mut Operands) -> Record {
        let (slot, family, flags, uid) = (o.u16() as usize, o.u8(), o.u8(), o.u32());
        if slot >= MAX_SOCKETS {
            return Record::errno(sys::EMFILE);
        }
        let family = if family == 6 {
            sys::AF_INET6
        } else {
            sys::AF_INET
        };
        let kind = match flags & SOCKET_DATAGRAM {
            0 => sys::SOCK_STREAM,
            _ => sys::SOCK_DGRAM,
        };
        let made = as_user(uid, || sys::socket(family, kind, 0));
        let record = Record::of(made);
        if let Ok(fd) = made {
            if flags & SOCKET_NONBLOCK != 0 {
                let _ = sys::set_nonblock(fd);
            }
            self.put(slot, fd + 1, uid, flags);
        }
        record
    }

    /// Executes a call on a socket as the user that owns it, with no more rights than that user
    /// has.
    fn on_socket(&mut self, code: u8, slot: usize, fd: i32, o: &mut Operands) -> Record {
        let uid = self.sockets.uids[slot];
        if code == OP_ACCEPT {
            // accept() runs as the owner of the new socket.
            return self.accept(slot, fd, o);
        }
        as_user(uid, || Ok(self.as_its_user(code, slot, fd, o))).unwrap_or_else(Record::errno)
    }

    fn as_its_user(&mut self, code: u8, slot: usize, fd: i32, o: &mut Operands) -> Record {
        match code {
            OP_SET => {
                let (level, option) = (o.i32(), o.i32());
                Record::of(match (level, option) {
                    (SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF) => {
                        sys::attach(fd, level, option, o.text())
                    }
                    _ => sys::setsockopt(fd, level, option, o.text()),
                })
            }
            OP_BIND => {
                let (raw, len) = o.addr().raw();
                with_local(fd, sys::bind(fd, &raw[..len]))
            }
            OP_LISTEN => with_local(fd, sys::listen(fd, o.i32())),
            OP_CONNECT => self.connect(slot, fd, o),
            OP_SEND => {
                let n = o.u32() as usize;
                self.set_wait(fd, SO_SNDTIMEO, o.u32());
                match sys::send(fd, &self.data[..n.min(MAX_DATA)]) {
                    // A datagram socket that gets no port. It does not wait to send.
                    Err(sys::EAGAIN) if self.is_datagram(slot) => Record::errno(sys::EAGAIN),
                    sent => self.moved(slot, sent),
                }
            }
            OP_SENDTO => {
                let ((raw, len), n) = (o.addr().raw(), o.u32() as usize);
                self.set_wait(fd, SO_SNDTIMEO, o.u32());
                let data = &self.data[..n.min(MAX_DATA)];
                let stream = !self.is_datagram(slot);
                match sys::sendto(fd, data, &raw[..len]) {
                    Err(sys::EAGAIN) if stream && self.blocks(slot) => Record::waiting(),
                    sent => with_local(fd, sent),
                }
            }
            OP_RECVFROM => self.receive_from(slot, fd, o),
            OP_RECV => {
                let n = o.u32() as usize;
                self.set_wait(fd, SO_RCVTIMEO, o.u32());
                let got = sys::recv(fd, &mut self.data[..n.min(MAX_DATA)]);
                self.moved(slot, got)
            }
            OP_SHUTDOWN => Record::of(sys::shutdown(fd, o.u8())),
            OP_DISCONNECT => Record::of(sys::connect(fd, &[0; 16])),
            OP_CLOSE => {
                self.sockets.fds[slot] = 0;
                Record::of(sys::close(fd))
            }
            OP_GETSOCKNAME => with_local(fd, Ok(0)),
            OP_GETPEERNAME => {
                let mut raw = [0; 28];
                match sys::getpeername(fd, &mut raw) {
                    Ok(_) => Record::new(0, Detail::Addr(Addr::from_raw(&raw))),
                    Err(e) => Record::errno(e),
                }
            }
            _ => Record::errno(sys::EINVAL),
        }
    }

    /// A blocking connect. Its time limit is the socket's SO_SNDTIMEO, so that the call takes the
    /// same path in the kernel as any blocking connect, including the socket's address after a
    /// failure.
    fn connect(&mut self, slot: usize, fd: i32, o: &mut Operands) -> Record {
        let (raw, len) = o.addr().raw();
        self.set_wait(fd, SO_SNDTIMEO, o.u32());
        match sys::connect(fd, &raw[..len]) {
            // EALREADY: an earlier connect() is still in progress as well.
            Err(sys::EINPROGRESS | sys::EALREADY) if self.blocks(slot) => Record::waiting(),
            r => with_local(fd, r),
        }
    }

    fn accept(&mut self, slot: usize, fd: i32, o: &mut Operands) -> Record {
        let (new, uid) = (o.u16() as usize, o.u32());
        let uid = if uid == UID_INHERIT {
            self.sockets.uids[slot]
        } else {
            uid
        };
        self.set_wait(fd, SO_RCVTIMEO, o.u32());
        let mut raw = [0; 28];
        match as_user(uid, || sys::accept(fd, &mut raw)) {
            Ok(got) => {
                let record = Record::new(0, Detail::Addr(Addr::from_raw(&raw)));
                if new < MAX_SOCKETS {
                    self.put(new, got + 1, uid, 0);
                } else {
                    let _ = sys::close(got);
                }
                record
            }
            Err(sys::EAGAIN) if self.blocks(slot) => Record::waiting(),
            Err(e) => Record::errno(e),
        }
    }

    fn receive_from(&mut self, slot: usize, fd: i32, o: &mut Operands) -> Record {
        let n = o.u32() as usize;
        self.set_wait(fd, SO_RCVTIMEO, o.u32());
        let mut raw = [0; 28];
        match sys::recvfrom(fd, &mut self.data[..n.min(MAX_DATA)], &mut raw) {
            Ok(_) => Record::new(0, Detail::Addr(Addr::from_raw(&raw))),
            Err(sys::EAGAIN) if self.blocks(slot) => Record::waiting(),
            Err(e) => Record::errno(e),
        }
    }

    fn blocks(&self, slot: usize) -> bool {
        self.sockets.flags[slot] & SOCKET_NONBLOCK == 0
    }

    fn is_datagram(&self, slot: usize) -> bool {
        self.sockets.flags[slot] & SOCKET_DATAGRAM != 0
    }

    fn moved(&self, slot: usize, r: sys::Res<usize>) -> Record {
        match r {
            Ok(n) => Record::new(0, Detail::Length(n as u32)),
            Err(sys::EAGAIN) if self.blocks(slot) => Record::waiting(),
            Err(e) => Record::errno(e),
        }
    }

    /// Limits how long calls on a socket block. 0 means for ever, so the shortest limit is 1 ms.
    fn set_wait(&self, fd: i32, which: i32, ms: u32) {
        let mut value = [0; 16];
        let left = match self.deadline_us {
            u64::MAX => u64::MAX,
            deadline => deadline.saturating_sub(sys::now_us()) / 1000,
        };
        let ms = u64::from(ms).min(left).max(1) as i64;
        value[..8].copy_from_slice(&(ms / 1000).to_ne_bytes());
        value[8..].copy_from_slice(&(ms % 1000 * 1000).to_ne_bytes());
        let _ = sys::setsockopt(fd, SOL_SOCKET, which, &value);
    }
}

/// The result `r`, with the socket's local address after success.
fn with_local(fd: i32, r: sys::Res<usize>) -> Record {
    if let Err(e) = r {
        return Record::errno(e);
    }
    let mut raw = [0; 28];
    match sys::getsockname(fd, &mut raw) {
        Ok(_) => Record::new(0, Detail::Addr(Addr::from_raw(&raw))),
        Err(e) => Record::errno(e),
    }
}

/// Executes a call as `uid`: new sockets belong to that user, and privileged calls are refused to
/// others. The real user stays root, so the effective one can be restored.
fn as_user<T>(uid: u32, make: impl FnOnce() -> sys::Res<T>) -> sys::Res<T> {
    let before = sys::geteuid();
    if before == uid {
        return make();
    }
    sys::seteuid(uid)?;
    let r = make();
    // A failure here cannot be handled; the next call of the program will show it.
    let _ = sys::seteuid(before);
    // The kernel clears this setting when the user changes.
    let _ = sys::prctl(sys::PR_SET_PDEATHSIG, 9);
    r
}

fn write_sysctl(path: &[u8], value: &[u8]) -> sys::Res<()> {
    let fd = sys::open(path, sys::O_WRONLY)?;
    // The text ends with a NUL, which the kernel must not see.
    let r = sys::write(fd, &value[..value.len().saturating_sub(1)]);
    let _ = sys::close(fd);
    r.map(|_| ())
}

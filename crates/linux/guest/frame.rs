//! Decodes the host side's operations and encodes the records that answer them.

use crate::sys::{self, Errno, RawAddr};
use crate::wire::{FAMILY_LENGTH, RESULT_WAITING};

/// The operands of one operation. A read past the end returns zeroes: the host side validates what
/// it sends.
pub struct Operands<'a>(pub &'a [u8]);

impl<'a> Operands<'a> {
    pub fn bytes(&mut self, n: usize) -> &'a [u8] {
        let n = n.min(self.0.len());
        let (head, tail) = self.0.split_at(n);
        self.0 = tail;
        head
    }

    fn array<const N: usize>(&mut self) -> [u8; N] {
        let mut out = [0; N];
        let got = self.bytes(N);
        out[..got.len()].copy_from_slice(got);
        out
    }

    pub fn u8(&mut self) -> u8 {
        self.array::<1>()[0]
    }

    pub fn u16(&mut self) -> u16 {
        u16::from_le_bytes(self.array())
    }

    pub fn u32(&mut self) -> u32 {
        u32::from_le_bytes(self.array())
    }

    pub fn i32(&mut self) -> i32 {
        i32::from_le_bytes(self.array())
    }

    /// A length and as many bytes; texts end with a NUL.
    pub fn text(&mut self) -> &'a [u8] {
        let n = self.u16() as usize;
        self.bytes(n)
    }

    /// All bytes that are left.
    pub fn rest(&mut self) -> &'a [u8] {
        self.bytes(usize::MAX)
    }

    pub fn hardware_address(&mut self) -> [u8; 6] {
        self.array()
    }

    pub fn addr(&mut self) -> Addr {
        let family = self.u8();
        if family == 0 {
            return Addr::default();
        }
        let (port, scope) = (self.u16(), self.u32());
        let ip = self.array();
        Addr {
            family,
            port,
            scope,
            ip,
        }
    }
}

/// An IP address and port.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Addr {
    /// 0 (none), 4 or 6.
    pub family: u8,
    pub port: u16,
    pub scope: u32,
    /// The first four bytes count for IPv4.
    pub ip: [u8; 16],
}

impl Addr {
    pub fn ip(&self) -> &[u8] {
        if self.family == 4 {
            &self.ip[..4]
        } else {
            &self.ip
        }
    }

    /// The address with an IPv4-mapped address converted to IPv4, and without its scope, so that it
    /// can be compared.
    pub fn plain(self) -> Addr {
        const MAPPED: [u8; 12] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff];
        let mut plain = Addr { scope: 0, ..self };
        if self.family == 6 && self.ip[..12] == MAPPED {
            plain.family = 4;
            plain.ip = [0; 16];
            plain.ip[..4].copy_from_slice(&self.ip[12..]);
        }
        plain
    }

    /// The address in the kernel's layout, and its length.
    pub fn raw(&self) -> (RawAddr, usize) {
        let mut raw = [0; 28];
        raw[2..4].copy_from_slice(&self.port.to_be_bytes());
        if self.family == 4 {
            raw[..2].copy_from_slice(&sys::AF_INET.to_ne_bytes());
            raw[4..8].copy_from_slice(&self.ip[..4]);
            (raw, 16)
        } else {
            raw[..2].copy_from_slice(&sys::AF_INET6.to_ne_bytes());
            raw[8..24].copy_from_slice(&self.ip);
            raw[24..28].copy_from_slice(&self.scope.to_ne_bytes());
            (raw, 28)
        }
    }

    pub fn from_raw(raw: &RawAddr) -> Addr {
        let mut addr = Addr {
            port: u16::from_be_bytes([raw[2], raw[3]]),
            ..Addr::default()
        };
        match u16::from_ne_bytes([raw[0], raw[1]]) {
            sys::AF_INET => {
                addr.family = 4;
                addr.ip[..4].copy_from_slice(&raw[4..8]);
            }
            sys::AF_INET6 => {
                addr.family = 6;
                addr.ip.copy_from_slice(&raw[8..24]);
            }
            _ => {}
        }
        addr
    }
}

/// The detail of a call's result.
pub enum Detail {
    None,
    Addr(Addr),
    Length(u32),
}

/// The encoded answer to one operation.
pub struct Record {
    bytes: [u8; 32],
    len: usize,
}

impl Record {
    /// Reads the clock, so it must be made right after the call.
    pub fn new(result: i16, detail: Detail) -> Record {
        let mut r = Record {
            bytes: [0; 32],
            len: 0,
        };
        r.push(&result.to_le_bytes());
        r.push(&sys::now_us().to_le_bytes());
        match detail {
            Detail::None | Detail::Addr(Addr { family: 0, .. }) => r.push(&[0]),
            Detail::Addr(a) => {
                r.push(&[a.family]);
                r.push(&a.port.to_le_bytes());
                r.push(a.ip());
            }
            Detail::Length(n) => {
                r.push(&[FAMILY_LENGTH]);
                r.push(&n.to_le_bytes());
            }
        }
        r
    }

    pub fn ok() -> Record {
        Record::new(0, Detail::None)
    }

    pub fn errno(e: Errno) -> Record {
        Record::new(e as i16, Detail::None)
    }

    pub fn waiting() -> Record {
        Record::new(RESULT_WAITING, Detail::None)
    }

    pub fn of<T>(r: sys::Res<T>) -> Record {
        match r {
            Ok(_) => Record::ok(),
            Err(e) => Record::errno(e),
        }
    }

    fn push(&mut self, bytes: &[u8]) {
        self.bytes[self.len..self.len + bytes.len()].copy_from_slice(bytes);
        self.len += bytes.len();
    }

    pub fn bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }

    /// A record made by another process.
    pub fn from_bytes(bytes: &[u8]) -> Record {
        let mut r = Record {
            bytes: [0; 32],
            len: 0,
        };
        r.push(&bytes[..bytes.len().min(32)]);
        r
    }

    /// The time at which the call returned, in microseconds.
    pub fn at_us(&self) -> u64 {
        let mut raw = [0; 8];
        raw.copy_from_slice(&self.bytes[2..10]);
        u64::from_le_bytes(raw)
    }

    /// 0 after success.
    pub fn result(&self) -> i16 {
        i16::from_le_bytes([self.bytes[0], self.bytes[1]])
    }

    /// The address in the record; family 0 if there is none.
    pub fn addr(&self) -> Addr {
        let (family, rest) = (self.bytes[10], &self.bytes[11..]);
        let mut addr = Addr {
            family,
            ..Addr::default()
        };
        match family {
            4 => addr.ip[..4].copy_from_slice(&rest[2..6]),
            6 => addr.ip.copy_from_slice(&rest[2..18]),
            _ => return Addr::default(),
        }
        addr.port = u16::from_le_bytes([rest[0], rest[1]]);
        addr
    }
}

/// The answer to one program, after space for its length.
pub struct Output<'a> {
    buffer: &'a mut [u8],
    len: usize,
}

impl<'a> Output<'a> {
    pub fn new(buffer: &'a mut [u8]) -> Output<'a> {
        Output { buffer, len: 4 }
    }

    /// Drops what does not fit, and all that follows: the host side notices that records are
    /// missing.
    pub fn push(&mut self, bytes: &[u8]) {
        match self.buffer.get_mut(self.len..self.len + bytes.len()) {
            Some(to) => {
                to.copy_from_slice(bytes);
                self.len += bytes.len();
            }
            None => {
                let full = core::mem::take(&mut self.buffer);
                self.buffer = &mut full[..self.len];
            }
        }
    }

    pub fn send(self, fd: i32) -> sys::Res<()> {
        let n = (self.len - 4) as u32;
        self.buffer[..4].copy_from_slice(&n.to_le_bytes());
        sys::write_all(fd, &self.buffer[..self.len])
    }
}

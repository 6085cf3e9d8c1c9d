//! Processes as bytes, for an interpreter in another program on another machine.
//!
//! Integers are little-endian, lists are a `u16` length and their items, and optional values a byte
//! that is 1 if the value follows. Both ends are built from the same sources, so there are no
//! versions.

use alloc::string::ToString;
use alloc::vec::Vec;
use core::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};

use fourtuple_syscall::{Kind, SockOpt};

use crate::{AcceptedFate, Close, HostId, Process, ProcessId, Target};

/// A list is too long to be encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooLong;

/// Adds processes to `out`.
///
/// # Errors
/// There are more than 65,535 of them, or a list of one of them is longer.
pub fn encode(processes: &[Process], out: &mut Vec<u8>) -> Result<(), TooLong> {
    list(processes, out)
}

/// The processes at the beginning of `bytes`, which then has the rest. None if `bytes` is too
/// short, or a value is unknown.
pub fn decode(bytes: &mut &[u8]) -> Option<Vec<Process>> {
    Field::take(bytes)
}

trait Field: Sized {
    fn put(&self, out: &mut Vec<u8>) -> Result<(), TooLong>;
    fn take(from: &mut &[u8]) -> Option<Self>;
}

/// A struct, whose fields follow one another.
macro_rules! fields {
    ($name:ident: $($field:ident)*) => {
        impl Field for $name {
            fn put(&self, out: &mut Vec<u8>) -> Result<(), TooLong> {
                $(self.$field.put(out)?;)*
                Ok(())
            }

            fn take(from: &mut &[u8]) -> Option<Self> {
                Some($name { $($field: Field::take(from)?,)* })
            }
        }
    };
}

fields!(
    Process: host kind uid count start after options bind connect connections every hold close
    repeat stop_on_failure listen backlog listen_for inherit accepted
);
fields!(Target: addr host);

/// Words, each of which is a byte.
macro_rules! words {
    ($($name:ident: $($word:ident = $number:literal)*;)*) => {$(
        impl Field for $name {
            fn put(&self, out: &mut Vec<u8>) -> Result<(), TooLong> {
                let number: u8 = match self { $($name::$word => $number,)* };
                number.put(out)
            }

            fn take(from: &mut &[u8]) -> Option<Self> {
                match u8::take(from)? {
                    $($number => Some($name::$word),)*
                    _ => None,
                }
            }
        }
    )*};
}

words! {
    Kind: Stream = 0 Datagram = 1;
    Close: Client = 0 Server = 1 Both = 2 Reset = 3;
    AcceptedFate: Keep = 0 Close = 1 Reset = 2;
}

impl Field for bool {
    fn put(&self, out: &mut Vec<u8>) -> Result<(), TooLong> {
        u8::from(*self).put(out)
    }

    fn take(from: &mut &[u8]) -> Option<Self> {
        u8::take(from).map(|byte| byte != 0)
    }
}

macro_rules! integers {
    ($($name:ident)*) => {$(
        impl Field for $name {
            fn put(&self, out: &mut Vec<u8>) -> Result<(), TooLong> {
                out.extend(self.to_le_bytes());
                Ok(())
            }

            fn take(from: &mut &[u8]) -> Option<Self> {
                bytes(from).map($name::from_le_bytes)
            }
        }
    )*};
}

integers! { u8 u16 u32 u64 i32 }

/// A number with a type of its own.
macro_rules! numbers {
    ($($name:ident)*) => {$(
        impl Field for $name {
            fn put(&self, out: &mut Vec<u8>) -> Result<(), TooLong> {
                self.0.put(out)
            }

            fn take(from: &mut &[u8]) -> Option<Self> {
                Field::take(from).map($name)
            }
        }
    )*};
}

numbers! { HostId ProcessId }

fn list<T: Field>(items: &[T], out: &mut Vec<u8>) -> Result<(), TooLong> {
    u16::try_from(items.len()).map_err(|_| TooLong)?.put(out)?;
    items.iter().try_for_each(|item| item.put(out))
}

impl<T: Field> Field for Vec<T> {
    fn put(&self, out: &mut Vec<u8>) -> Result<(), TooLong> {
        list(self, out)
    }

    fn take(from: &mut &[u8]) -> Option<Self> {
        let length = u16::take(from)?;
        (0..length).map(|_| T::take(from)).collect()
    }
}

impl<T: Field> Field for Option<T> {
    fn put(&self, out: &mut Vec<u8>) -> Result<(), TooLong> {
        u8::from(self.is_some()).put(out)?;
        self.as_ref().map_or(Ok(()), |value| value.put(out))
    }

    fn take(from: &mut &[u8]) -> Option<Self> {
        match u8::take(from)? {
            0 => Some(None),
            _ => T::take(from).map(Some),
        }
    }
}

impl Field for SocketAddr {
    fn put(&self, out: &mut Vec<u8>) -> Result<(), TooLong> {
        match self {
            SocketAddr::V4(addr) => {
                4u8.put(out)?;
                out.extend(addr.ip().octets());
            }
            SocketAddr::V6(addr) => {
                6u8.put(out)?;
                out.extend(addr.ip().octets());
                addr.flowinfo().put(out)?;
                addr.scope_id().put(out)?;
            }
        }
        self.port().put(out)
    }

    fn take(from: &mut &[u8]) -> Option<Self> {
        Some(match u8::take(from)? {
            4 => {
                let ip = Ipv4Addr::from(bytes::<4>(from)?);
                SocketAddrV4::new(ip, u16::take(from)?).into()
            }
            6 => {
                let ip = Ipv6Addr::from(bytes::<16>(from)?);
                let (flow, scope) = (u32::take(from)?, u32::take(from)?);
                SocketAddrV6::new(ip, u16::take(from)?, flow, scope).into()
            }
            _ => return None,
        })
    }
}

fn bytes<const N: usize>(from: &mut &[u8]) -> Option<[u8; N]> {
    let (head, tail) = from.split_first_chunk()?;
    *from = tail;
    Some(*head)
}

impl Field for SockOpt {
    /// Its name and its value, as scenarios write them.
    fn put(&self, out: &mut Vec<u8>) -> Result<(), TooLong> {
        list(self.name().as_bytes(), out)?;
        list(self.value().to_string().as_bytes(), out)
    }

    fn take(from: &mut &[u8]) -> Option<Self> {
        let (name, value) = (Vec::take(from)?, Vec::take(from)?);
        let (name, value) = (core::str::from_utf8(&name), core::str::from_utf8(&value));
        SockOpt::parse(name.ok()?, value.ok()?).ok()
    }
}

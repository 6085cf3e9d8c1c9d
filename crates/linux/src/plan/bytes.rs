//! Operands in the encoding of frames.

use crate::wire::MAX_DATA;
use std::net::{IpAddr, SocketAddr};

pub(super) fn bytes(o: &mut Vec<u8>, value: &[u8]) {
    // Callers check that their texts are short; `op` rejects operands that are too long for a
    // frame.
    o.extend((value.len() as u16).to_le_bytes());
    o.extend(value);
}

pub(super) fn text(o: &mut Vec<u8>, value: &[u8]) {
    o.extend((value.len() as u16 + 1).to_le_bytes());
    o.extend(value);
    o.push(0);
}

pub(super) fn socket_address(o: &mut Vec<u8>, a: &SocketAddr) {
    let (family, scope) = match a {
        SocketAddr::V4(_) => (4, 0),
        SocketAddr::V6(a) => (6, a.scope_id()),
    };
    o.push(family);
    o.extend(a.port().to_le_bytes());
    o.extend(u32::to_le_bytes(scope));
    match a.ip() {
        IpAddr::V4(ip) => {
            o.extend(ip.octets());
            o.extend([0; 12]);
        }
        IpAddr::V6(ip) => o.extend(ip.octets()),
    }
}

pub(super) fn address(interface: &str, ip: IpAddr) -> Vec<u8> {
    let mut o = Vec::new();
    text(&mut o, interface.as_bytes());
    o.push(if ip.is_ipv4() { 32 } else { 128 });
    socket_address(&mut o, &SocketAddr::new(ip, 0));
    o
}

/// Encodes a sysctl as a file and a value. Only `net.` is allowed: the rest is not part of the
/// namespace.
pub(super) fn sysctl(key: &str, value: &str) -> Result<Vec<u8>, String> {
    let part = |p: &str| {
        !p.is_empty()
            && p.bytes()
                .all(|c| c.is_ascii_alphanumeric() || c == b'_' || c == b'-')
    };
    if !key.starts_with("net.") || key.len() > 200 || !key.split('.').all(part) {
        return Err(format!(
            "invalid sysctl `{key}`: expected a name such as net.ipv4.ip_local_port_range"
        ));
    }
    if value.len() > 4000 || value.contains('\0') {
        return Err(format!(
            "sysctl `{key}`: the value is too long or has a NUL in it"
        ));
    }
    let mut o = Vec::new();
    text(
        &mut o,
        format!("/proc/sys/{}", key.replace('.', "/")).as_bytes(),
    );
    text(&mut o, value.as_bytes());
    Ok(o)
}

pub(super) fn length(len: u32) -> Result<u32, String> {
    if len as usize > MAX_DATA {
        Err(format!("`len`: more than {MAX_DATA} bytes"))
    } else {
        Ok(len)
    }
}

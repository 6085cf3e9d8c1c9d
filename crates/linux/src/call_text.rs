//! Descriptions of calls for messages.

use crate::program::Call;

/// Describes a call, such as `plain.1 connect 192.168.0.5:3000`.
pub(crate) fn describe(call: &Call) -> String {
    let sock = call.sock().unwrap_or_default();
    match call {
        Call::Ns => "a new namespace".to_owned(),
        Call::Addr { at } => format!("address {at}"),
        Call::Sysctl { key, value } => format!("sysctl {key} = {value}"),
        Call::Sleep { ms } => format!("sleep {ms} ms"),
        Call::Socket { .. } => format!("{sock} socket"),
        Call::Set { option, .. } => format!("{sock} set {option}"),
        Call::Bind { at, .. } => format!("{sock} bind {at}"),
        Call::Listen { .. } => format!("{sock} listen"),
        Call::Connect { to, .. } => format!("{sock} connect {to}"),
        Call::Accept { .. } => format!("{sock} accept"),
        Call::Send { len, .. } => format!("{sock} send {len}"),
        Call::Recv { len, .. } => format!("{sock} recv {len}"),
        Call::Shutdown { .. } => format!("{sock} shutdown"),
        Call::Disconnect { .. } => format!("{sock} disconnect"),
        Call::Close { .. } => format!("{sock} close"),
        Call::Getsockname { .. } => format!("{sock} getsockname"),
        Call::Getpeername { .. } => format!("{sock} getpeername"),
    }
}

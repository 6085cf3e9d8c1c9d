//! Socket options of scenarios, in the words that programs have for them.

use crate::program::OptionValue;
use fourtuple_harness::Cannot;
use fourtuple_scenario::{Linger, Options, SocketOption};

/// The options with their values, in the order in which they are set.
pub(super) fn of(options: &Options, hosts: usize) -> Result<Vec<(String, OptionValue)>, Cannot> {
    options.iter().map(|option| one(&option, hosts)).collect()
}

fn one(option: &SocketOption, hosts: usize) -> Result<(String, OptionValue), Cannot> {
    let value = match option {
        SocketOption::ReuseAddr(on)
        | SocketOption::ReusePort(on)
        | SocketOption::BindAddressNoPort(on)
        | SocketOption::V6Only(on)
        | SocketOption::FreeBind(on)
        | SocketOption::Transparent(on)
        | SocketOption::TcpRepair(on)
        | SocketOption::AttachReuseportCbpf(on) => OptionValue::Bool(*on),
        SocketOption::LocalPortRange(range) => {
            OptionValue::Text(format!("{}-{}", range.low, range.high))
        }
        SocketOption::Linger(Linger::Off) => OptionValue::Bool(false),
        SocketOption::Linger(Linger::Reset) => OptionValue::Int(0),
        SocketOption::Linger(Linger::Seconds(seconds)) => OptionValue::Int(i64::from(*seconds)),
        SocketOption::BindToDevice(name) => {
            // A host has one interface towards each of the others.
            if name == "eth0" && hosts != 2 {
                return Err(Cannot::new(
                    "only where there are two hosts has each one interface, eth0",
                ));
            }
            OptionValue::Text(name.clone())
        }
        SocketOption::TcpLinger2(seconds) => OptionValue::Int(i64::from(*seconds)),
        SocketOption::TcpSyncnt(count) => OptionValue::Int(i64::from(*count)),
    };
    Ok((option.name().to_owned(), value))
}

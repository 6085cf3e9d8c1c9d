//! Socket options of scenarios in the encoding of programs.

use crate::program::OptionValue;
use fourtuple_harness::EngineError;
use fourtuple_scenario::Options;
use fourtuple_syscall::{OptValue, SockOpt};

/// The options with their values, in the order in which they are set.
pub(super) fn of(
    options: &Options,
    hosts: usize,
) -> Result<Vec<(String, OptionValue)>, EngineError> {
    options.iter().map(|option| one(option, hosts)).collect()
}

fn one(option: SockOpt, hosts: usize) -> Result<(String, OptionValue), EngineError> {
    if let SockOpt::BindToDevice(name) = option
        && name.as_str() == "eth0"
        && hosts != 2
    {
        // A host has one interface for each of the others.
        return Err(EngineError::new(
            "the interface eth0 is only known where there are two hosts",
        ));
    }
    if let SockOpt::BindToIfIndex(2..) = option {
        return Err(EngineError::new(
            "real kernels number their interfaces themselves; only lo is always 1",
        ));
    }
    Ok(written(option))
}

/// An option in the encoding of programs.
pub(super) fn written(option: SockOpt) -> (String, OptionValue) {
    let value = match option.value() {
        OptValue::Flag(on) => OptionValue::Bool(on),
        OptValue::Int(number) => OptionValue::Int(number),
        OptValue::Linger(None) => OptionValue::Bool(false),
        OptValue::Linger(Some(seconds)) => OptionValue::Int(i64::from(seconds)),
        OptValue::Range(range) => OptionValue::Text(range.to_string()),
        OptValue::Name(name) => OptionValue::Text(name.to_string()),
    };
    (option.name().to_owned(), value)
}

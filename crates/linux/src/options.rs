//! Socket options of programs, in their JSON form.

use crate::program::OptionValue;
use fourtuple_syscall::SockOpt;

/// The names of all options that a `set` step accepts.
pub fn names() -> impl Iterator<Item = &'static str> {
    SockOpt::TABLE.iter().map(|row| row.name)
}

/// The option with this name and value.
pub(crate) fn sock_opt(name: &str, value: &OptionValue) -> Result<SockOpt, String> {
    let text = match value {
        OptionValue::Bool(on) => on.to_string(),
        OptionValue::Int(number) => number.to_string(),
        OptionValue::Text(text) => text.clone(),
    };
    SockOpt::parse(name, &text)
        .map_err(|e| format!("invalid socket option `{name}` with value `{text}`: {e}"))
}

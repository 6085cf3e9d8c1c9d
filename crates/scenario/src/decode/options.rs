//! Socket options.

use crate::model::Options;
use crate::span::Span;
use crate::value::{Bad, OptionRange, Word};
use crate::yaml::Node;

use super::Problems;
use super::fields::{Fields, OPTIONS};
use super::values::word;

/// The name of an interface.
struct Interface(String);

impl Word for Interface {
    const EXPECTED: &'static str = "the name of an interface such as `lo`";

    fn parse(text: &str) -> Result<Self, Bad> {
        let good = !text.is_empty()
            && text.len() < 16
            && text.chars().all(|c| c.is_ascii_graphic() && c != '/');
        if good {
            Ok(Self(text.to_owned()))
        } else {
            Err(Bad::help("an interface has a name of 1 to 15 characters"))
        }
    }
}

/// The value of `options`.
pub(crate) fn options(node: &Node, problems: &mut Problems<'_>) -> Option<Options> {
    let fields = Fields::of(node, "socket options", OPTIONS, Span::default(), problems)?;
    Some(Options {
        reuseaddr: fields.take("reuseaddr", problems, word),
        reuseport: fields.take("reuseport", problems, word),
        bind_address_no_port: fields.take("bind_address_no_port", problems, word),
        local_port_range: fields
            .take("local_port_range", problems, word::<OptionRange>)
            .map(|range| range.0),
        v6only: fields.take("v6only", problems, word),
        linger: fields.take("linger", problems, word),
        bindtodevice: fields
            .take("bindtodevice", problems, word::<Interface>)
            .map(|interface| interface.0),
        freebind: fields.take("freebind", problems, word),
        transparent: fields.take("transparent", problems, word),
        tcp_linger2: fields.take("tcp_linger2", problems, word),
        tcp_repair: fields.take("tcp_repair", problems, word),
        attach_reuseport_cbpf: fields.take("attach_reuseport_cbpf", problems, word),
        tcp_syncnt: fields.take("tcp_syncnt", problems, word),
    })
}

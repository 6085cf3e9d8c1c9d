//! Decoding of socket options.

use fourtuple_syscall::{OptId, OptValue, Shape, ShortName, SockOpt};

use crate::diagnostic::quoted;
use crate::model::Options;
use crate::span::Span;
use crate::value::{Invalid, Linger, OptionRange, Word};
use crate::yaml::Node;

use super::Problems;
use super::fields::{Fields, OPTIONS};
use super::values::{text, word};

/// The name of an interface; empty for none.
struct Interface(ShortName);

impl Word for Interface {
    const EXPECTED: &'static str = "the name of an interface such as `lo`, or `\"\"` for none";

    fn parse(text: &str) -> Result<Self, Invalid> {
        let good = text.chars().all(|c| c.is_ascii_graphic() && c != '/');
        ShortName::new(text)
            .filter(|_| good)
            .map(Self)
            .ok_or_else(|| Invalid::help("the name of an interface has at most 15 characters"))
    }
}

/// Decodes the value of `options`.
pub(crate) fn options(node: &Node, problems: &mut Problems<'_>) -> Option<Options> {
    let fields = Fields::of(node, "socket options", &OPTIONS, Span::default(), problems)?;
    let mut options = Options::default();
    for name in OPTIONS {
        let id = OptId::from_name(name)?;
        let option = fields
            .node(name)
            .and_then(|node| option(id, node, problems));
        if let Some(option) = option {
            options.set(option);
        }
    }
    Some(options)
}

/// Decodes the value of one option.
fn option(id: OptId, node: &Node, problems: &mut Problems<'_>) -> Option<SockOpt> {
    let value = match id.info().shape {
        Shape::Flag => OptValue::Flag(word(node, problems)?),
        Shape::Int { min, max } => OptValue::Int(number(node, min, max, problems)?),
        Shape::Range => OptValue::Range(word::<OptionRange>(node, problems)?.0),
        Shape::Linger => OptValue::Linger(word::<Linger>(node, problems)?.0),
        Shape::Name => OptValue::Name(word::<Interface>(node, problems)?.0),
    };
    SockOpt::new(id, value)
}

/// Decodes a number within the bounds of its option.
fn number(node: &Node, min: i64, max: i64, problems: &mut Problems<'_>) -> Option<i64> {
    let expected = format!("a whole number from {min} to {max}");
    let text = text(node, &expected, problems)?;
    let number = text.parse().ok().filter(|n| (min..=max).contains(n));
    if number.is_none() {
        let message = format!("invalid value {}", quoted(text));
        problems.report(node.span, message, &expected, None);
    }
    number
}

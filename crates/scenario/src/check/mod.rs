//! Checks over several parts of a scenario.

mod order;

pub(crate) use order::Order;

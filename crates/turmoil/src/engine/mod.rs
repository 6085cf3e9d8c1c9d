//! Two engines for scenarios: `turmoil` on this crate's sockets, and `stock` on turmoil's own.

mod grant;
mod linux;
mod stock;

pub use linux::Turmoil;
pub use stock::Stock;

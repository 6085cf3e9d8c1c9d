//! Hosts as turmoil's users see them: the end of their software, their loopback interface, the
//! settings of the builder, and misuse.

mod ended;
mod loopback;
mod misuse;
mod settings;
mod silence;
mod udp;

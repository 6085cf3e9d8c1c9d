//! Every limit of the format, in one place.
//!
//! Scenarios are often generated or taken from a bug report, so each quantity has an upper bound
//! that is checked before the work is done. The bounds are far above the needs of a useful
//! scenario: a port space has 65,536 ports.

use std::time::Duration;

/// Largest scenario file, in bytes. Checked before the file is read.
pub const MAX_FILE_BYTES: u64 = 1024 * 1024;
/// Deepest nesting of lists and maps. The format itself needs six levels.
pub const MAX_NESTING: usize = 32;
/// Most values (scalars, lists and maps) in one file once YAML aliases are followed.
pub const MAX_VALUES: usize = 200_000;
/// Most values over all the cases of one scenario: values in the file times matrix points times
/// kernels.
pub const MAX_EXPANDED_VALUES: usize = 4_000_000;
/// Most combinations of matrix values in one scenario.
pub const MAX_MATRIX_POINTS: usize = 1_000;
/// Most cases in one scenario: kernels times matrix points.
pub const MAX_CASES: usize = 10_000;
/// Most hosts in one scenario.
pub const MAX_HOSTS: usize = 64;
/// Most addresses on one host, and most addresses in one list.
pub const MAX_ADDRESSES: usize = 1_024;
/// Most named processes in one scenario.
pub const MAX_PROCESSES: usize = 256;
/// Largest `count`, `connections` and `repeat`.
pub const MAX_COUNT: u32 = 100_000;
/// Lowest `CONFIG_HZ` (ticks per second) that Linux can be built with.
pub const MIN_HZ: u32 = 24;
/// Highest `CONFIG_HZ` that Linux can be built with.
pub const MAX_HZ: u32 = 1200;
/// Most connections in one run: the sum over all processes of `count` × `connections` × `repeat`.
pub const MAX_CONNECTIONS: u64 = 1_000_000;
/// Most steps in a scenario of the step form.
pub const MAX_STEPS: usize = 10_000;
/// Most timed faults in `network`.
pub const MAX_FAULTS: usize = 1_000;
/// Longest duration or point in time: a day.
pub const MAX_DURATION: Duration = Duration::from_secs(24 * 60 * 60);
/// Most bytes that one `send` or `recv` step moves.
pub const MAX_TRANSFER_BYTES: u32 = 1024 * 1024;
/// Longest name of a host, a process, a socket, a port or an axis, in characters.
pub const MAX_NAME_CHARS: usize = 64;
/// Most errors shown for one file; further ones are counted.
pub const MAX_ERRORS: usize = 20;
/// Most files that one call of [`discover`](crate::discover) returns.
pub const MAX_FILES: usize = 10_000;
/// Deepest directory that [`discover`](crate::discover) descends into.
pub const MAX_DIRECTORY_DEPTH: usize = 32;

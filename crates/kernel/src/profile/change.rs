//! One dated change of behaviour.

use super::behaviour::Behaviours;
use super::release::Release;

/// One dated change of behaviour.
#[non_exhaustive]
pub struct Change {
    /// The first mainline release with it; of `u16::MAX`, if only stable branches have it.
    pub since: Release,
    /// The stable branches that have it, each from a release on.
    pub backports: &'static [Release],
    /// The change, in the upstream commit's terms.
    pub what: &'static str,
    /// Sets the behaviours that changed.
    pub(super) apply: fn(&mut Behaviours),
}

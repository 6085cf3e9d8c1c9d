//! Duplicate address detection that a scenario asks for.

use super::destinations;
use crate::program::DETECTION_SLACK_MS;
use fourtuple_harness::EngineError;
use fourtuple_scenario::Case;
use std::time::Duration;

/// Checks that duplicate address detection can be timed as the case asks.
pub(super) fn possible(case: &Case) -> Result<(), EngineError> {
    let shortest = Duration::from_millis(2 * u64::from(DETECTION_SLACK_MS));
    for (name, host) in &*case.hosts {
        let own = || host.addresses.iter().filter(|ip| ip.is_ipv6());
        if host.tentative.is_zero() {
            continue;
        }
        if host.tentative < shortest {
            return Err(EngineError::new(format!(
                "duplicate address detection shorter than {} ms cannot be timed there",
                shortest.as_millis()
            )));
        }
        if own().count() > 1 {
            return Err(EngineError::new(format!(
                "the kernel itself chooses among the several tentative addresses of host `{name}`"
            )));
        }
        let itself = own().any(|ip| destinations(case).contains(ip));
        if itself && case.hosts.len() == 1 {
            return Err(EngineError::new(
                "a host whose address is tentative looks for it on its links, which cannot be timed",
            ));
        }
    }
    Ok(())
}

//! The rules of NAT hosts.

use fourtuple_kernel::nat::{
    DestinationNat, LinuxNat, NatRules, PRESETS, QuotaNat, Randomness, Share, SourceNat,
};
use fourtuple_scenario::{Nat, NatRandom, NatSource};

use super::nanos;

/// The rules of a NAT host.
#[must_use]
pub fn nat_rules(nat: &Nat) -> NatRules {
    NatRules {
        source: nat.source.as_ref().and_then(nat_source),
        destinations: nat
            .dnat
            .iter()
            .map(|(to, backends)| DestinationNat {
                to: *to,
                backends: backends.clone(),
            })
            .collect(),
    }
}

/// The translation of sources; none for a provider that the model does not know.
#[must_use]
pub fn nat_source(source: &NatSource) -> Option<SourceNat> {
    Some(match source {
        NatSource::Linux {
            addresses,
            ports,
            random,
            persistent,
        } => SourceNat::Linux(LinuxNat {
            addresses: addresses.first().copied().zip(addresses.last().copied()),
            ports: ports.map(|range| (range.low, range.high)),
            random: match random {
                NatRandom::No => Randomness::No,
                NatRandom::Random => Randomness::Hashed,
                NatRandom::Fully => Randomness::Fully,
            },
            persistent: *persistent,
        }),
        NatSource::Preset(name) => {
            let known = PRESETS.iter().find(|one| one.name == name.as_str())?;
            SourceNat::Quota(known.quota)
        }
        NatSource::Quota {
            ports_per_client,
            hold_after_close,
            idle,
        } => SourceNat::Quota(QuotaNat {
            share: Share::Client,
            ports: *ports_per_client,
            hold_after_close: nanos(*hold_after_close),
            hold_after_reset: nanos(*hold_after_close),
            idle: nanos(*idle),
            resets: false,
        }),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use fourtuple_scenario::NatPreset;

    #[test]
    fn each_preset_of_a_scenario_is_known() {
        for name in NatPreset::ALL {
            assert!(nat_source(&NatSource::Preset(*name)).is_some(), "{name}");
        }
        assert_eq!(NatPreset::ALL.len(), PRESETS.len());
    }
}

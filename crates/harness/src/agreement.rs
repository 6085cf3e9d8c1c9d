//! The comparison of engines: the same calls, the same answers?
//!
//! Two outcomes agree when they list the same calls in the same order with the same answers, ports
//! included. Times are not compared: a simulated network has a tick, the model has none. A real
//! kernel is checked for conformance instead, see [`crate::conformance`].

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Serialize, Serializer};

use crate::attempt::Name;
use crate::attempts::Attempt;
use crate::conformance::Conformance;
use crate::report::RunReport;
use crate::standing::Standing;

/// One engine compared with the model on one kernel and one point of the matrix.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Agreement {
    /// The scenario.
    pub scenario: Name,
    /// The kernel.
    pub kernel: Name,
    /// The point of the matrix.
    #[serde(serialize_with = "crate::report::axes")]
    #[schemars(with = "BTreeMap<String, String>")]
    pub axes: Vec<(Name, Name)>,
    /// The engine that is compared.
    pub engine: &'static str,
    /// The engine it is compared with.
    pub with: &'static str,
    /// True if every attempt is the same.
    pub agrees: bool,
    /// True if a difference is a failure.
    pub required: bool,
    /// Attempts in the longer outcome.
    pub attempts: u32,
    /// The number of them that differ.
    pub differing: u32,
    /// The number of those that differ in the call or the result, not in an address or port alone.
    pub differing_results: u32,
    /// The first difference.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first: Option<FirstDifference>,
}

impl Agreement {
    /// Returns whether this makes the run fail.
    #[must_use]
    pub fn fails(&self) -> bool {
        self.required && !self.agrees
    }
}

/// The first attempt on which two engines differ.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct FirstDifference {
    /// Its number.
    pub n: u32,
    /// The call, for example `plain.1 connect 192.168.0.5:3000`.
    pub call: String,
    /// The result of the compared engine; none if it made no such call.
    #[serde(serialize_with = "or_null")]
    #[schemars(with = "Option<String>")]
    pub got: Option<String>,
    /// The result of the reference; none if it made no such call.
    #[serde(serialize_with = "or_null")]
    #[schemars(with = "Option<String>")]
    pub reference: Option<String>,
}

fn or_null<S: Serializer>(value: &Option<String>, to: S) -> Result<S::Ok, S::Error> {
    value.serialize(to)
}

/// Compares an engine's outcome with the reference's.
#[must_use]
pub fn compare(reference: &RunReport, other: &RunReport, standing: Standing) -> Agreement {
    if let Some(conformance) = &other.conformance {
        return allowed(reference, other, conformance);
    }
    let (a, b) = (&reference.attempts, &other.attempts);
    let longer = a.len().max(b.len());
    let mut differing = 0;
    let mut differing_results = 0;
    let mut first = None;
    for index in 0..longer {
        let (wanted, got) = (a.get(index), b.get(index));
        if matches!((wanted, got), (Some(wanted), Some(got)) if wanted.same_as(got)) {
            continue;
        }
        differing += 1;
        let port_only = matches!((wanted, got), (Some(wanted), Some(got))
            if wanted.same_call(got) && wanted.result() == got.result());
        differing_results += u32::from(!port_only);
        if first.is_none() {
            first = Some(difference(index, wanted, got));
        }
    }
    Agreement {
        scenario: other.scenario.clone(),
        kernel: other.kernel.clone(),
        axes: other.axes.clone(),
        engine: other.engine,
        with: reference.engine,
        agrees: differing == 0,
        required: standing == Standing::MustAgree,
        attempts: u32::try_from(longer).unwrap_or(u32::MAX),
        differing,
        differing_results,
        first,
    }
}

/// A real kernel agrees when the model allows each of its answers: what the model answered by
/// itself is one way of many.
fn allowed(reference: &RunReport, other: &RunReport, conformance: &Conformance) -> Agreement {
    let first = conformance.disallowed.as_ref().map(|one| FirstDifference {
        n: one.n,
        call: one.call.clone(),
        got: Some(one.seen.clone()),
        reference: Some(one.allowed()),
    });
    Agreement {
        scenario: other.scenario.clone(),
        kernel: other.kernel.clone(),
        axes: other.axes.clone(),
        engine: other.engine,
        with: reference.engine,
        agrees: conformance.allowed(),
        required: true,
        attempts: u32::try_from(other.attempts.len()).unwrap_or(u32::MAX),
        differing: u32::from(!conformance.allowed()),
        differing_results: u32::from(!conformance.allowed()),
        first,
    }
}

fn difference(
    index: usize,
    wanted: Option<Attempt<'_>>,
    got: Option<Attempt<'_>>,
) -> FirstDifference {
    let same_call = matches!((wanted, got), (Some(wanted), Some(got)) if wanted.same_call(got));
    let shown = |attempt: Attempt<'_>| {
        if same_call {
            attempt.answer()
        } else {
            format!("{}: {}", attempt.call(), attempt.answer())
        }
    };
    let named = wanted.or(got);
    FirstDifference {
        n: u32::try_from(index + 1).unwrap_or(u32::MAX),
        call: named.map(Attempt::call).unwrap_or_default(),
        got: got.map(shown),
        reference: wanted.map(shown),
    }
}

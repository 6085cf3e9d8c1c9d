//! Typed scenario to YAML, the inverse of [`decode`](crate::decode).
//!
//! Fields at their default are omitted, so that generated scenarios look like written ones.

mod body;
mod build;
mod steps;

use indexmap::IndexMap;

use crate::model::{Body, Case, KernelSelector, Matrix, Point, Scenario};
use crate::source::SourceFile;

impl Scenario {
    /// Makes a scenario without a matrix. It is not checked; writing it with
    /// [`to_yaml`](Self::to_yaml) and reading it with [`parse`](crate::parse) does that.
    pub fn new(about: impl Into<String>, kernel: KernelSelector, body: Body) -> Self {
        Self {
            name: String::new(),
            file: String::new(),
            about: about.into(),
            source: Vec::new(),
            kernel,
            matrix: Matrix::new(),
            written: body::body(&body),
            points: vec![Point {
                axes: IndexMap::new(),
                body,
            }],
            text: SourceFile::new("", ""),
        }
    }

    /// Makes a scenario that runs exactly one case, on its kernel.
    pub fn from_case(case: &Case) -> Self {
        let kernel = KernelSelector::of([&case.kernel]);
        Self::new(case.about.clone(), kernel, case.body())
    }

    /// Encodes the scenario as YAML. Comments and layout of a file are not preserved.
    pub fn to_yaml(&self) -> String {
        body::scenario(self)
    }
}

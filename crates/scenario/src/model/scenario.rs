//! A whole scenario.

use std::sync::Arc;

use indexmap::IndexMap;

use super::{Body, KernelSelector};
use crate::source::SourceFile;
use crate::yaml::{Key, Node};

/// The axes of a matrix: name to values, in the order of the file.
pub type Matrix = IndexMap<String, Vec<String>>;

/// One scenario, read and checked.
///
/// The head (`about`, `source`, `kernel`) can be changed in place. The body exists once for each
/// point of the matrix; a tool that changes it takes the [`Body`] of a point or a
/// [`Case`](super::Case) and makes a new scenario of it with [`Scenario::new`] or
/// [`Scenario::from_case`].
#[derive(Clone, Debug)]
pub struct Scenario {
    /// The name: the path below the `scenarios` directory without its extension.
    pub name: String,
    /// The path of the file as given, with `/` as separator; empty for a generated scenario.
    pub file: String,
    /// The question that the scenario asks.
    pub about: String,
    /// The sources of the question: reports, links, kernel commits.
    pub source: Vec<String>,
    /// The kernels to run on.
    pub kernel: KernelSelector,
    /// The axes of the matrix; empty without one. They are substituted when a file is read, so a
    /// change here has no effect on [`points`](Self::points).
    pub matrix: Matrix,
    /// The body at each point of the matrix.
    pub(crate) points: Vec<Point>,
    /// The fields of the body as written, with their `${name}`.
    pub(crate) written: Vec<(Key, Node)>,
    /// The text that spans point into.
    pub(crate) text: Arc<SourceFile>,
}

/// One point of a matrix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Point {
    /// The value of each axis.
    pub axes: IndexMap<String, String>,
    /// The body at this point.
    pub body: Body,
}

impl Scenario {
    /// The points of the matrix in order, the last axis varying fastest; one point without axes if
    /// there is no matrix.
    pub fn points(&self) -> &[Point] {
        &self.points
    }
}

/// Scenarios are equal if their contents are, whatever their names and layout.
impl PartialEq for Scenario {
    fn eq(&self, other: &Self) -> bool {
        self.about == other.about
            && self.source == other.source
            && self.kernel == other.kernel
            && self.matrix == other.matrix
            && self.points == other.points
    }
}

impl Eq for Scenario {}

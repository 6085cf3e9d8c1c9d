//! A whole scenario.

use std::sync::Arc;

use indexmap::IndexMap;

use super::{Body, Case, KernelSelector};
use crate::source::SourceFile;
use crate::yaml::{Key, Node};

/// The axes of a matrix: name to values, in the order of the file.
pub type Matrix = IndexMap<String, Vec<String>>;

/// One scenario, read and checked.
///
/// The head (`about`, `source`, `kernel`) can be changed in place. The body exists once for each point of
/// the matrix; a tool that changes it takes the [`Body`] of a point or a [`Case`] and makes a new scenario of it with
/// [`Scenario::new`] or [`Scenario::from_case`].
#[derive(Clone, Debug)]
pub struct Scenario {
    /// The name: the path below the `scenarios` directory without its extension.
    pub name: String,
    /// The path of the file as it was given, with `/` between its parts; empty for a scenario that a tool made.
    pub file: String,
    /// The question that the scenario asks.
    pub about: String,
    /// Where the question comes from.
    pub source: Vec<String>,
    /// The kernels to run on.
    pub kernel: KernelSelector,
    /// The axes of the matrix; empty when there is none. They are put into the body when a file is read, so that a
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
    /// What runs there.
    pub body: Body,
}

impl Scenario {
    /// A scenario without a matrix, made by a tool. It is not checked; writing it with
    /// [`to_yaml`](Self::to_yaml) and reading it with [`parse`](crate::parse) does that.
    pub fn new(about: impl Into<String>, kernel: KernelSelector, body: Body) -> Self {
        Self {
            name: String::new(),
            file: String::new(),
            about: about.into(),
            source: Vec::new(),
            kernel,
            matrix: Matrix::new(),
            written: crate::encode::body(&body),
            points: vec![Point {
                axes: IndexMap::new(),
                body,
            }],
            text: SourceFile::new("", ""),
        }
    }

    /// The scenario that runs exactly one case, on its kernel.
    pub fn from_case(case: &Case) -> Self {
        let kernel = KernelSelector::of([&case.kernel]);
        Self::new(case.about.clone(), kernel, case.body())
    }

    /// The points of the matrix in order, the last axis fastest; one point without axes when there is no matrix.
    pub fn points(&self) -> &[Point] {
        &self.points
    }

    /// The scenario as YAML. Comments and layout of a file that was read are not kept.
    pub fn to_yaml(&self) -> String {
        crate::encode::scenario(self)
    }
}

/// Two scenarios are equal when they say the same, whatever they are called and however they are written.
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

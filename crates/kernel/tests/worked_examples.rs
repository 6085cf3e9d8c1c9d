//! The worked examples, truth tables and recorded tables from which the model was written, each
//! on every kernel era that it names.

mod support;
mod worked;

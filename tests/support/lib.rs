//! The regression suite lives in `tests/`; this package exists so that its snapshots sit at the top of the repository.

//! Every input that the fuzzers keep, through the same functions, without a fuzzer.

#[path = "../fuzz/src/lib.rs"]
#[allow(unreachable_pub, reason = "it is a library of its own there")]
mod fuzz;

use fourtuple_suite::{files, root};

#[test]
fn every_kept_input_holds() {
    for (name, target) in fuzz::TARGETS {
        let inputs = files(&root().join("fuzz/corpus").join(name));
        assert!(!inputs.is_empty(), "there is no input for {name}");
        for path in inputs {
            let bytes = std::fs::read(&path).expect("an input can be read");
            // Shown when the target panics.
            println!("{}", path.display());
            target(&bytes);
        }
    }
}

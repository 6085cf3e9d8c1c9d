//! TIME-WAIT ends on the step of the timer wheel that the model computes, to the tick. Set
//! FOURTUPLE_VM_IMAGE to one or more images, separated by commas (files or names such as
//! debian:6.1), of kernels from 4.8 on; otherwise the test prints that it is skipped.
#![cfg(target_os = "linux")]

#[path = "../examples/time_wait/measure.rs"]
#[allow(dead_code, reason = "the example prints more than the test looks at")]
mod measure;

use fourtuple_linux::{Image, Vm};

#[test]
fn time_wait_ends_on_the_next_step_of_the_wheel_after_60_s() {
    let Ok(images) = std::env::var("FOURTUPLE_VM_IMAGE") else {
        eprintln!("skipped: FOURTUPLE_VM_IMAGE names no kernel image");
        return;
    };
    for name in images.split(',') {
        let image = Image::named(name).expect("the image can be had");
        let found = measure::measure(&Vm::new(image)).expect("it boots");
        // Polling every millisecond adds one, and the call itself a little.
        let exact = found.tick + 2_000;
        assert!(found.off_the_grid() <= exact, "{found:?}");
        assert!(found.off_the_model() <= exact, "{found:?}");
        for one in &found.all {
            let most = 60_000_000 + found.step() + exact;
            assert!((60_000_000..=most).contains(&one.lasted()), "{found:?}");
        }
        let lasted = |one: &measure::Measured| one.lasted() / 100_000;
        assert!(
            found
                .all
                .windows(2)
                .any(|two| lasted(&two[0]) != lasted(&two[1])),
            "all have the same length, so that the step was not observed: {found:?}"
        );
        assert!(!found.release.is_empty() && !found.profile.is_empty());
    }
}

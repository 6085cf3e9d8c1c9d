//! One program, compiled against `tokio::net` on this machine's loopback and against this crate's
//! `net` in a simulation, with equal results.

mod on_tokio {
    use tokio::net;
    include!("program.rs");
}

mod on_linux {
    use fourtuple_turmoil::net;
    include!("program.rs");
}

use fourtuple_turmoil::{BuildLinux, Linux};
use std::cell::RefCell;
use std::rc::Rc;

#[test]
fn one_program_sees_the_same_on_both() -> turmoil::Result {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let on_tokio = runtime.block_on(on_tokio::run())?;
    assert!(on_tokio.len() > 25, "{on_tokio:?}");

    let seen = Rc::new(RefCell::new(Vec::new()));
    let mut sim = turmoil::Builder::new().build_linux(Linux::default());
    let into = Rc::clone(&seen);
    sim.client("app", async move {
        *into.borrow_mut() = on_linux::run().await?;
        Ok(())
    });
    sim.run()?;
    assert_eq!(on_tokio, *seen.borrow());
    Ok(())
}

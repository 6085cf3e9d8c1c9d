//! The results of the corpus on real kernels. The kernels are not at hand here; the test checks
//! that every scenario has a row, that every disallowed answer is known, and that the page matches
//! the data.

use fourtuple_suite::{certified, index, root, scenarios};

#[test]
fn the_page_is_up_to_date() {
    let path = root().join("docs/certified.md");
    let page = certified::page(&certified::kept());
    if std::env::var_os("FOURTUPLE_UPDATE").is_some() {
        std::fs::write(&path, page).expect("the page can be written");
        return;
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        page == kept,
        "docs/certified.md is out of date: FOURTUPLE_UPDATE=1 cargo test --test certified"
    );
}

#[test]
fn every_scenario_has_a_row_and_disallowed_answers_are_known() {
    let names: Vec<String> = scenarios().iter().map(|path| index::name(path)).collect();
    let found = certified::kept();
    assert!(found.kernels.len() >= 3, "the host and two images at least");
    for kernel in &found.kernels {
        let release = &kernel.release;
        for name in &names {
            let row = kernel.row(name).unwrap_or_else(|| {
                panic!("{name} has no row for {release}: fourtuple certify scenarios --on ... --data docs/certified.json")
            });
            let known = certified::UNEXPLAINED.iter();
            let known = known
                .filter(|(on, of, _)| on == release && of == name)
                .count();
            assert!(
                row.disallowed == 0 || known > 0,
                "{name} on {release}: an answer that is not allowed and not listed"
            );
            assert!(
                row.cases > 0 && row.calls > 0 || row.left_out.is_some(),
                "{name} on {release}: neither ran nor has a reason"
            );
        }
        let gone = kernel
            .scenarios
            .iter()
            .find(|row| !names.contains(&row.scenario));
        assert!(gone.is_none(), "{release}: {gone:?} is no scenario");
        // What is left out is the exception.
        assert!(
            kernel.ran() * 2 > names.len(),
            "{release}: only {} ran",
            kernel.ran()
        );
    }
}

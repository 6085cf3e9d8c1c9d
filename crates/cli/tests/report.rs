//! The page in a real browser: what it shows is in the document that the browser builds of it, and nothing is fetched.

mod common;

use std::path::Path;
use std::process::{Command, Stdio};

use common::{fourtuple, root, scratch};

/// A browser that can run without a screen.
fn chromium() -> Option<&'static str> {
    ["chromium", "chromium-browser", "google-chrome"]
        .into_iter()
        .find(|name| {
            let answer = Command::new(name)
                .arg("--version")
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .status();
            answer.is_ok_and(|status| status.success())
        })
}

/// What the browser makes of a page.
fn document(browser: &str, directory: &Path, page: &Path) -> String {
    let output = Command::new(browser)
        .args([
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--no-first-run",
            "--dump-dom",
        ])
        .arg(format!(
            "--user-data-dir={}",
            directory.join("profile").display()
        ))
        .arg(format!("file://{}", page.display()))
        .stderr(Stdio::null())
        .output()
        .expect("the browser starts");
    String::from_utf8(output.stdout).expect("text")
}

#[test]
fn a_browser_finds_everything_on_the_page() {
    let directory = scratch("report-browser");
    let page = directory.join("report.html");
    let path = page.display().to_string();
    let arguments = [
        "report",
        "scenarios/rhel-6.5/connect-after-bind.yaml",
        "scenarios/rhel-6.5/way-out-3-tw-reuse-after-connect.yaml",
        "-o",
        &path,
    ];
    let said = fourtuple(&root(), &arguments);
    assert_eq!(
        (said.status, said.out.trim()),
        (0, path.as_str()),
        "{}",
        said.err
    );
    let written = std::fs::read(&page).expect("the page");
    assert_eq!(fourtuple(&root(), &arguments).status, 0);
    assert_eq!(
        std::fs::read(&page).expect("the page"),
        written,
        "the same bytes again"
    );

    let Some(browser) = chromium() else {
        eprintln!("skipped: there is no chromium to look at the page with");
        return;
    };
    let dom = document(browser, &directory, &page);
    for wanted in [
        "<h1>TCP local ports</h1>",
        "4 EADDRNOTAVAIL",
        "connect.skip-bucket-fastreuse",
        "Ports 40000-40003 of app over time",
        "<th scope=\"row\">turmoil</th>",
        "connect without bind",
        "name=\"viewport\"",
    ] {
        assert!(dom.contains(wanted), "{wanted}");
    }
    // A browser closes what was left open inside of other elements; shapes stand beside each other.
    for shape in ["rect", "circle", "path", "line"] {
        let opened = dom.matches(&format!("<{shape} ")).count();
        let closed = dom.matches(&format!("></{shape}>")).count();
        assert!(
            opened > 0 && opened == closed,
            "{shape}: {opened} opened, {closed} empty"
        );
    }
    // Four ports at each moment, and a letter on those that are bound.
    assert!(dom.matches("class=\"bound\"").count() >= 4);
    assert!(dom.matches("class=\"waits\"").count() >= 4);
    assert_eq!(dom.matches("<main").count(), 1);
    // Each picture says what it is.
    let pictures: Vec<&str> = dom
        .split("<svg")
        .skip(1)
        .filter(|svg| svg.contains("role=\"img\""))
        .collect();
    assert!(pictures.len() >= 6);
    assert!(pictures.iter().all(|svg| svg.contains("<title id=")));
}

#[test]
fn a_page_that_cannot_be_written_is_told() {
    let directory = scratch("report-wrong");
    let scenario = root()
        .join("scenarios/rhel-6.5/connect-after-bind.yaml")
        .display()
        .to_string();
    let said = fourtuple(
        &directory,
        &[
            "report",
            &scenario,
            "--engine",
            "model",
            "-o",
            "missing/report.html",
        ],
    );
    assert_eq!(said.status, 2);
    assert!(said.err.contains("cannot be written"), "{}", said.err);
}

#[test]
fn manual_pages_are_written_for_every_verb() {
    let directory = scratch("man");
    let said = fourtuple(&directory, &["man", "pages"]);
    assert_eq!(said.status, 0, "{}", said.err);
    let help = fourtuple(&directory, &["--help"]).out;
    let verbs = help
        .lines()
        .skip_while(|line| *line != "Commands:")
        .skip(1)
        .take_while(|line| line.starts_with("  "))
        .filter_map(|line| line.split_whitespace().next())
        .filter(|verb| *verb != "help");
    let mut count = 0;
    for verb in verbs {
        let page = std::fs::read_to_string(directory.join(format!("pages/fourtuple-{verb}.1")));
        let page = page.unwrap_or_else(|error| panic!("{verb}: {error}"));
        assert!(page.contains(&format!(".TH fourtuple-{verb} 1")), "{page}");
        count += 1;
    }
    assert!(count >= 8, "{help}");
    let said = fourtuple(&directory, &["man"]);
    assert!(said.out.contains(".TH fourtuple 1"), "{}", said.out);
}

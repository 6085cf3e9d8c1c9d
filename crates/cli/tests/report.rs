//! The page in a real browser: what it shows is in the document that the browser builds of it, and
//! nothing is fetched.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::common::{fourtuple, root, scratch};

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

/// Runs the browser on a page, without a screen, without a network, with a profile of its own.
fn browse(browser: &str, directory: &Path, page: &Path, more: &[&str]) -> Vec<u8> {
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
            "--hide-scrollbars",
        ])
        .args(more)
        .arg(format!(
            "--user-data-dir={}",
            directory.join("profile").display()
        ))
        .arg(format!("file://{}", page.display()))
        .stderr(Stdio::null())
        .output()
        .expect("the browser starts");
    output.stdout
}

/// Returns the document that the browser makes of a page.
fn document(browser: &str, directory: &Path, page: &Path, more: &[&str]) -> String {
    let more = [more, &["--dump-dom"]].concat();
    String::from_utf8(browse(browser, directory, page, &more)).expect("text")
}

/// A picture of the page as the browser shows it: its width, and the brightness of its pixels, from
/// 0 to 255.
fn picture(
    browser: &str,
    directory: &Path,
    page: &Path,
    name: &str,
    more: &[&str],
) -> (u32, Vec<u8>) {
    let path = directory.join(format!("{name}.png"));
    let to = format!("--screenshot={}", path.display());
    browse(browser, directory, page, &[more, &[&to]].concat());
    let file = std::fs::File::open(&path).expect("a screenshot");
    let mut reader = png::Decoder::new(std::io::BufReader::new(file))
        .read_info()
        .expect("a picture");
    let mut bytes = vec![0; reader.output_buffer_size().expect("a size")];
    let info = reader.next_frame(&mut bytes).expect("pixels");
    let samples = info.color_type.samples();
    assert!(samples >= 3, "colours");
    let pixels = bytes[..info.buffer_size()].chunks_exact(samples);
    let brightness = |pixel: &[u8]| {
        let sum: u32 = pixel[..3].iter().map(|part| u32::from(*part)).sum();
        u8::try_from(sum / 3).expect("a mean of bytes")
    };
    (info.width, pixels.map(brightness).collect())
}

/// The share of pixels, in percent, whose brightness is in a range.
fn share(pixels: &[u8], range: std::ops::RangeInclusive<u8>) -> usize {
    pixels.iter().filter(|pixel| range.contains(pixel)).count() * 100 / pixels.len()
}

/// A report of a few scenarios in a directory of its own.
fn report(name: &str) -> (PathBuf, PathBuf) {
    let directory = scratch(name);
    let page = directory.join("report.html");
    let path = page.display().to_string();
    let arguments = [
        "report",
        "scenarios/rhel-6.5/connect-after-bind.yaml",
        "scenarios/rhel-6.5/workaround-3-tw-reuse-after-connect.yaml",
        "scenarios/rhel-6.5/workaround-4-bind-own-address.yaml",
        "-o",
        &path,
    ];
    let said = fourtuple(&root(), &arguments);
    assert_eq!(said.status, 0, "{}", said.err);
    (directory, page)
}

#[test]
fn it_is_readable_light_dark_and_on_a_phone() {
    let Some(browser) = chromium() else {
        eprintln!("skipped: there is no chromium to look at the page with");
        return;
    };
    let (directory, page) = report("report-pictures");
    let look = |name: &str, more: &[&str]| picture(browser, &directory, &page, name, more);
    let wide = "--window-size=1100,1500";
    let (width, light) = look("light", &[wide, "--blink-settings=preferredColorScheme=1"]);
    assert_eq!(width, 1100);
    // Paper and ink, and neither alone.
    assert!(
        share(&light, 230..=255) > 60,
        "{}",
        share(&light, 230..=255)
    );
    assert!(share(&light, 0..=90) > 0, "no text");
    let (_, dark) = look("dark", &[wide, "--blink-settings=preferredColorScheme=0"]);
    assert!(share(&dark, 0..=70) > 60, "{}", share(&dark, 0..=70));
    assert!(share(&dark, 200..=255) > 0, "no text");
    let (width, phone) = look("phone", &["--window-size=390,1500"]);
    assert_eq!(width, 390);
    assert!(share(&phone, 0..=90) > 0, "no text");

    // On a phone nothing but the boxes that scroll by themselves is wider than the screen. A copy
    // of the page says so.
    let measured = directory.join("measured.html");
    let script = "<script>document.title = document.documentElement.scrollWidth <= innerWidth ? 'fits' : 'too wide'</script>";
    let text = std::fs::read_to_string(&page).expect("the page");
    assert!(!text.contains("<script"), "the page itself runs nothing");
    std::fs::write(&measured, format!("{text}{script}")).expect("a copy");
    let dom = document(browser, &directory, &measured, &["--window-size=390,844"]);
    assert!(
        dom.contains("<title>fits</title>"),
        "the page is wider than a phone"
    );
}

#[test]
fn the_fixes_of_all_kernels_are_one_table() {
    let (_, page) = report("report-ways-out");
    let text = std::fs::read_to_string(page).expect("the page");
    let tables = text.matches("<table class=\"remedies cards\">").count();
    assert_eq!(tables, text.matches("<h3>Fixes</h3>").count());
    let (_, table) = text
        .split_once("<table class=\"remedies cards\">")
        .expect("fixes");
    let (table, _) = table.split_once("</table>").expect("its end");
    for wanted in [
        "connect without bind",
        "IP_BIND_ADDRESS_NO_PORT on programs that bind",
    ] {
        assert!(table.contains(wanted), "{wanted}: {table}");
    }
    // The option does not exist on the old kernel and works on the new one.
    let (_, row) = table.split_once("IP_BIND_ADDRESS_NO_PORT").expect("a row");
    let (row, _) = row.split_once("</tr>").expect("its end");
    assert!(row.contains("absent") && row.contains("always"), "{row}");
}

#[test]
fn a_browser_finds_everything_on_the_page() {
    let directory = scratch("report-browser");
    let page = directory.join("report.html");
    let path = page.display().to_string();
    let arguments = [
        "report",
        "scenarios/rhel-6.5/connect-after-bind.yaml",
        "scenarios/rhel-6.5/workaround-3-tw-reuse-after-connect.yaml",
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
    let dom = document(browser, &directory, &page, &[]);
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
fn a_page_that_cannot_be_written_is_reported() {
    let directory = scratch("report-wrong");
    std::fs::write(directory.join("taken"), "a file, no directory").expect("a scratch file");
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
            "taken/report.html",
        ],
    );
    assert_eq!(said.status, 2);
    assert!(said.err.contains("failed to write"), "{}", said.err);
}

#[test]
fn manual_pages_are_written_for_every_verb() {
    let directory = scratch("man");
    let said = fourtuple(&directory, &["man", "pages"]);
    assert_eq!(said.status, 0, "{}", said.err);
    let help = fourtuple(&directory, &["--help"]).out;
    let verbs = help
        .lines()
        .take_while(|line| *line != "Options:")
        .filter_map(|line| line.strip_prefix("  "))
        .filter_map(|line| line.split_whitespace().next());
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

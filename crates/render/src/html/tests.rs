//! The page as a document: complete, the same every time, nothing from outside, a text for every
//! picture.

use fourtuple_harness::{Engine, Model, runner};
use fourtuple_scenario::{expand, parse};

use super::*;

const REPORT: &str = "
about: Four programs <bind> & hold all ports. Is there one for a plain connect()?
kernel: [rhel-6.5, linux-6.18]
hosts:
  app: { addresses: [192.168.0.12], sysctl: { net.ipv4.ip_local_port_range: 40000-40003 } }
  api: { addresses: [192.168.0.4, 192.168.0.5], listen: [192.168.0.4:3000, 192.168.0.5:3000] }
processes:
  binders: { on: app, count: 4, bind: 192.168.0.12:0, connect: 192.168.0.4:3000 }
  plain: { on: app, after: binders, count: 4, connect: 192.168.0.5:3000 }
";

fn entry(text: &str) -> Answers {
    let scenario = parse("scenarios/a.yaml", text).expect("a scenario");
    let cases = expand(&scenario, &fourtuple_harness::kernels::names()).expect("cases");
    let engines: [&dyn Engine; 1] = [&Model];
    Answers::new(runner::run(&scenario, cases, &engines))
}

#[test]
fn the_same_bytes_every_time_and_nothing_from_outside() {
    let page = page(&[entry(REPORT)], &About::default());
    assert_eq!(page, super::page(&[entry(REPORT)], &About::default()));
    for outside in [
        "http://", "https://", "<script", "<link", "@import", "url(", "<img",
    ] {
        assert!(!page.contains(outside), "{outside}");
    }
    assert!(page.starts_with("<!DOCTYPE html><html lang=\"en\">"));
    assert!(page.contains("&lt;bind&gt; &amp; hold"), "text is escaped");
}

#[test]
fn every_picture_has_a_text() {
    let page = page(&[entry(REPORT)], &About::default());
    let mut pictures = 0;
    for svg in page.split("<svg").skip(1) {
        let head = svg.split('>').next().unwrap_or_default();
        if head.contains("aria-hidden") {
            continue;
        }
        pictures += 1;
        assert!(
            head.contains("role=\"img\"") && head.contains("aria-labelledby=\""),
            "{head}"
        );
        let id = head
            .split("aria-labelledby=\"")
            .nth(1)
            .and_then(|rest| rest.split('"').next());
        let id = id.unwrap_or_default();
        assert!(svg.contains(&format!("<title id=\"{id}\">")), "{id}");
    }
    assert!(pictures >= 2, "a timeline of sockets and one of ports");
}

#[test]
fn ids_are_unique_and_links_lead_somewhere() {
    let page = page(&[entry(REPORT), entry(REPORT)], &About::default());
    let mut ids: Vec<&str> = page
        .split(" id=\"")
        .skip(1)
        .filter_map(|rest| rest.split('"').next())
        .collect();
    let all = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), all);
    for link in page.split("href=\"#").skip(1) {
        let target = link.split('"').next().unwrap_or_default();
        assert!(ids.contains(&target), "{target}");
    }
}

#[test]
fn the_ports_of_a_large_range_are_shown_in_shares() {
    let large = REPORT
        .replace("40000-40003", "40000-49999")
        .replace("count: 4", "count: 400");
    let page = page(&[entry(&large)], &About::default());
    assert!(page.contains("Ports 40000-49999 of app over time"));
    assert!(page.contains("400 bound"), "the table names how many");
}

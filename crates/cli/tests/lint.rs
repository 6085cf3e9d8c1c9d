//! `lint`: findings in each format, and the exit status.

use crate::common::{fourtuple, scratch};

const STALE: &str = "\
about: A host with advice from long ago
kernel: [linux-4.11, linux-6.18]
hosts:
  app: { addresses: [192.168.0.12], sysctl: { net.ipv4.tcp_tw_recycle: 1 } }
  api: { addresses: [192.168.0.4], listen: \"192.168.0.4:3000\" }
processes:
  client: { on: app, connect: \"192.168.0.4:3000\" }
";

#[test]
fn findings_end_with_1_and_have_their_place_in_every_format() {
    let dir = scratch("lint");
    std::fs::write(dir.join("stale.yaml"), STALE).expect("a scratch file");
    std::fs::write(
        dir.join("clean.yaml"),
        STALE.replace("net.ipv4.tcp_tw_recycle: 1", ""),
    )
    .expect("a scratch file");

    let said = fourtuple(&dir, &["lint", "clean.yaml", "stale.yaml"]);
    assert_eq!((said.status, said.err.as_str()), (1, ""));
    let wanted = "\
warning[stale-advice]: net.ipv4.tcp_tw_recycle is stale advice
 --> stale.yaml:4:47
  |
4 |   app: { addresses: [192.168.0.12], sysctl: { net.ipv4.tcp_tw_recycle: 1 } }
  |                                               ^^^^^^^^^^^^^^^^^^^^^^^^^^ Linux 4.12 took it away
";
    assert!(said.out.contains(wanted), "{}", said.out);
    assert!(
        said.out.ends_with("1 finding in 1 of 2 scenarios\n"),
        "{}",
        said.out
    );

    let said = fourtuple(&dir, &["lint", "stale.yaml", "--format", "json"]);
    assert_eq!(said.status, 1);
    let document: serde_json::Value = serde_json::from_str(&said.out).expect("JSON");
    assert_eq!(document["format"], 1);
    let finding = &document["findings"][0];
    assert_eq!(finding["rule"], "stale-advice");
    assert_eq!(finding["file"], "stale.yaml");
    assert_eq!(
        (&finding["line"], &finding["column"]),
        (&4.into(), &47.into())
    );

    let said = fourtuple(&dir, &["lint", "stale.yaml", "--format", "github"]);
    assert_eq!(said.status, 1);
    let wanted = "::warning file=stale.yaml,line=4,col=47,title=stale-advice::net.ipv4.tcp_tw_recycle is stale advice";
    assert!(said.out.starts_with(wanted), "{}", said.out);
    assert!(!said.out.contains('\r') && said.out.lines().count() == 2);

    let said = fourtuple(&dir, &["lint", "clean.yaml"]);
    assert_eq!(
        (said.status, said.out.as_str()),
        (0, "1 scenario: no findings\n")
    );
}

#[test]
fn a_scenario_that_cannot_be_read_ends_with_2() {
    let dir = scratch("lint-wrong");
    std::fs::write(dir.join("wrong.yaml"), "about: x\n").expect("a scratch file");
    for arguments in [
        &["lint"][..],
        &["lint", "wrong.yaml"],
        &["lint", "none.yaml"],
    ] {
        let said = fourtuple(&dir, arguments);
        assert_eq!((said.status, said.out.as_str()), (2, ""), "{arguments:?}");
        assert!(!said.err.is_empty(), "{arguments:?}");
    }
}

#[test]
fn every_rule_is_in_the_help() {
    let said = fourtuple(&scratch("lint-help"), &["lint", "--help"]);
    for rule in fourtuple_analysis::LintRule::ALL {
        assert!(said.out.contains(rule.name()), "{}", rule.name());
        assert!(said.out.contains(rule.about()), "{}", rule.about());
    }
}

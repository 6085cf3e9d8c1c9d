//! The source of a question, as a link if its address is known.

use maud::{Markup, html};

/// Projects that sources name without their owner.
const OWNERS: [(&str, &str); 19] = [
    ("Envoy", "envoyproxy/envoy"),
    ("k6", "grafana/k6"),
    ("HAProxy", "haproxy/haproxy"),
    ("EMQX", "emqx/emqx"),
    ("unbound", "NLnetLabs/unbound"),
    ("rspamd", "rspamd/rspamd"),
    ("wrk", "wg/wrk"),
    ("shadowsocks-libev", "shadowsocks/shadowsocks-libev"),
    ("amazon-eks-ami", "awslabs/amazon-eks-ami"),
    ("hiredis", "redis/hiredis"),
    ("neper", "google/neper"),
    ("omicron", "oxidecomputer/omicron"),
    ("php-src", "php/php-src"),
    ("pomerium", "pomerium/pomerium"),
    ("predis", "predis/predis"),
    ("rancher", "rancher/rancher"),
    ("redis", "redis/redis"),
    ("siege", "JoeDog/siege"),
    ("TechEmpower", "TechEmpower/FrameworkBenchmarks"),
];

/// The source, linked if possible; each of several that are joined by `and`.
pub(super) fn source(text: &str) -> Markup {
    let several: Vec<&str> = text.split(" and ").collect();
    let parts = match several.iter().all(|part| address(part).is_some()) {
        true => several,
        false => vec![text],
    };
    html! {
        @for (n, part) in parts.into_iter().enumerate() {
            @if n > 0 { " and " }
            @match address(part) {
                Some(address) => a href=(address) rel="noreferrer" { (part) },
                None => (part),
            }
        }
    }
}

fn digits(text: &str) -> Option<&str> {
    let end = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    (end > 0).then(|| &text[..end])
}

fn after<'a>(text: &'a str, before: &str) -> Option<&'a str> {
    text.split_once(before).map(|(_, rest)| rest)
}

/// The address of a source.
fn address(text: &str) -> Option<String> {
    if let Some(at) = text.find("https://") {
        let end = text[at..]
            .find(|c: char| c.is_whitespace() || matches!(c, ')' | '"' | '>'))
            .unwrap_or(text.len() - at);
        return Some(text[at..at + end].to_owned());
    }
    if let Some(number) = after(text, "RFC ").and_then(digits) {
        return Some(format!("https://www.rfc-editor.org/rfc/rfc{number}"));
    }
    if let Some(number) = after(text, "Red Hat solution ").and_then(digits) {
        return Some(format!("https://access.redhat.com/solutions/{number}"));
    }
    if text.starts_with("Linux kernel")
        && let Some(rest) = after(text, "commit ")
    {
        let hash = rest.split(|c: char| !c.is_ascii_hexdigit()).next()?;
        return (hash.len() >= 12).then(|| format!("https://git.kernel.org/linus/{hash}"));
    }
    let (project, rest) = text.split_once('#')?;
    let number = digits(rest)?;
    let owned = project.split_once('/').filter(|(owner, name)| {
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        !owner.is_empty() && !name.is_empty() && owner.chars().chain(name.chars()).all(plain)
    });
    let known = OWNERS.iter().find(|(name, _)| *name == project);
    let repository = match (owned, known) {
        (Some(_), _) => project,
        (None, Some((_, repository))) => repository,
        (None, None) => return None,
    };
    Some(format!("https://github.com/{repository}/issues/{number}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_forms_have_an_address() {
        for (text, wanted) in [
            (
                "golang/go#16012",
                "https://github.com/golang/go/issues/16012",
            ),
            (
                "Envoy#44747",
                "https://github.com/envoyproxy/envoy/issues/44747",
            ),
            (
                "RFC 9293 section 3.6",
                "https://www.rfc-editor.org/rfc/rfc9293",
            ),
            (
                "Red Hat solution 1269783",
                "https://access.redhat.com/solutions/1269783",
            ),
            (
                "Linux kernel, commit 79e9fed46038 (x)",
                "https://git.kernel.org/linus/79e9fed46038",
            ),
            ("see https://example.org/a b", "https://example.org/a"),
            ("predis#597", "https://github.com/predis/predis/issues/597"),
        ] {
            assert_eq!(address(text).as_deref(), Some(wanted));
        }
        for text in [
            "turmoil's hold",
            "someproject#6689",
            "a report, 2014",
            "#5",
            "x y/z#7",
        ] {
            assert_eq!(address(text), None, "{text}");
        }
    }

    #[test]
    fn each_of_several_sources_is_linked() {
        let linked = source("predis#597 and hiredis#58").into_string();
        assert_eq!(linked.matches("<a ").count(), 2, "{linked}");
        let plain = source("fd and port limits").into_string();
        assert_eq!(plain, "fd and port limits");
    }
}

//! Which profile a running kernel has, by what uname calls it.

use fourtuple_kernel::profile::{self, Profile};

/// The profile of a kernel with this release; none for one that the model does not know.
pub fn profile_of(release: &str) -> Option<Profile> {
    let name = name_of(release)?;
    let exact = profile::find(&name)?;
    // The plain name of the branch, where that is the same.
    let short = name.rsplit_once('.').map_or("", |(short, _)| short);
    if exact.names.iter().any(|n| n == short) {
        return profile::find(short);
    }
    Some(exact)
}

fn name_of(release: &str) -> Option<String> {
    let end = release
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(release.len());
    let (version, rest) = release.split_at(end);
    let numbers: Vec<u32> = version.split('.').filter_map(|n| n.parse().ok()).collect();
    let (&major, &minor) = (numbers.first()?, numbers.get(1)?);
    if rest.contains(".el") {
        return red_hat(rest);
    }
    let mainline = format!("linux-{major}.{minor}");
    if rest.contains("amzn2023")
        && let Some(name) = based_on(&mainline, "amazon-2023")
    {
        return Some(name);
    }
    if UBUNTU.iter().any(|flavour| rest.ends_with(flavour))
        && let Some(name) = based_on(&mainline, "ubuntu-")
    {
        return Some(name);
    }
    // Debian's kernels of these branches are long-term ones, with everything that their branch has; the release
    // itself does not say its patch level.
    if rest.contains("deb") || rest.ends_with("-amd64") || rest.ends_with("-arm64") {
        match (major, minor) {
            // Debian counts its builds of this branch; 32 is 5.10.223, 46 is 5.10.262, which has more from later kernels.
            (5, 10) if build_of(rest).is_some_and(|n| n >= 46) => return Some("linux-5.10".into()),
            (5, 10) => return Some("debian-11".into()),
            (6, 1) => return Some("debian-12".into()),
            (6, 12) => return Some("debian-13".into()),
            _ => {}
        }
    }
    let patch = match (major, minor, numbers.get(2)) {
        (2, 6, Some(&branch)) => return Some(format!("linux-2.6.{branch}")),
        (_, _, Some(patch)) => format!(".{patch}"),
        (_, _, None) => String::new(),
    };
    Some(format!("linux-{major}.{minor}{patch}"))
}

/// The flavours of Ubuntu's kernels.
const UBUNTU: [&str; 8] = [
    "-generic",
    "-generic-64k",
    "-lowlatency",
    "-virtual",
    "-aws",
    "-azure",
    "-gcp",
    "-oracle",
];

/// A distribution's profile that starts from a mainline version: in the order of names it follows that version.
fn based_on(mainline: &str, distribution: &str) -> Option<String> {
    let names = profile::names();
    let stable = format!("{mainline}.");
    let own = names.iter().skip_while(|name| *name != mainline).skip(1);
    let mut own = own.take_while(|name| !name.starts_with("linux-") || name.starts_with(&stable));
    own.find(|name| name.starts_with(distribution)).cloned()
}

/// The number that follows the version: 431 of `-431.el6.x86_64`.
fn build_of(rest: &str) -> Option<u32> {
    let digits = rest.trim_start_matches('-');
    let end = digits.find(|c: char| !c.is_ascii_digit())?;
    digits[..end].parse().ok()
}

/// `-431.el6.x86_64` and the like.
fn red_hat(rest: &str) -> Option<String> {
    let build = build_of(rest)?;
    let name = if rest.contains(".el6") {
        if build >= 642 { "rhel-6.8" } else { "rhel-6.5" }
    } else if rest.contains(".el7") {
        if build >= 1062 {
            "rhel-7.7"
        } else {
            "rhel-7.3"
        }
    } else if rest.contains(".el8") {
        "rhel-8"
    } else if rest.contains(".el9") {
        "rhel-9"
    } else {
        return None;
    };
    Some(name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_of_amazon_linux_have_its_profile_where_there_is_one() {
        let found = profile_of("6.1.141-155.222.amzn2023.x86_64").expect("a profile");
        let known = profile::find("amazon-2023").map_or("linux-6.1".to_owned(), |one| one.name);
        assert!(
            [known.as_str(), "linux-6.1.141"].contains(&found.name.as_str()),
            "{}",
            found.name
        );
    }

    #[test]
    fn releases_have_profiles() {
        for (release, name) in [
            ("6.18.5", "linux-6.18"),
            ("6.18.5-fc-1", "linux-6.18"),
            ("5.10.0-32-cloud-amd64", "debian-11"),
            ("5.10.0-46-cloud-amd64", "linux-5.10"),
            ("6.1.0-56-cloud-amd64", "debian-12"),
            ("6.12.95+deb13-cloud-amd64", "debian-13"),
            ("6.17.13+deb13-cloud-amd64", "linux-6.17.13"),
            ("7.3.4+deb13-cloud-amd64", "linux-7.3"),
            ("2.6.32-431.el6.x86_64", "rhel-6.5"),
            ("3.10.0-1160.el7.x86_64", "rhel-7.7"),
            ("6.1.0-57-arm64", "debian-12"),
            ("5.15.0-1051-aws", "ubuntu-22.04"),
            ("6.8.0-45-generic", "ubuntu-24.04"),
            ("6.6.87.2-microsoft-standard-WSL2", "linux-6.6"),
            ("4.19.13", "linux-4.19.13"),
            ("4.4.178", "linux-4.4"),
        ] {
            assert_eq!(
                profile_of(release).map(|p| p.name).as_deref(),
                Some(name),
                "{release}"
            );
        }
        assert_eq!(profile_of("9.9.9"), None);
        assert_eq!(profile_of("strange"), None);
    }
}

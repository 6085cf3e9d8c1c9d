//! Profiles of running kernels, found by their release.

use fourtuple_kernel::profile::{self, Profile};

/// Returns the profile of a kernel with this release, or `None` if the model does not know it.
pub fn profile_of(release: &str) -> Option<Profile> {
    let name = name_of(release)?;
    let exact = profile::find(&name)?;
    // The name of the branch is preferred where its profile is the same.
    let short = name.rsplit_once('.').map_or("", |(short, _)| short);
    if name.starts_with("linux-") && exact.names.iter().any(|n| n == short) {
        return profile::find(short);
    }
    Some(exact)
}

/// The numbers at the beginning of a release, and the rest.
fn split(release: &str) -> (&str, &str) {
    let end = release.find(|c: char| !c.is_ascii_digit() && c != '.');
    release.split_at(end.unwrap_or(release.len()))
}

fn name_of(release: &str) -> Option<String> {
    let (version, rest) = split(release);
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
    // Ubuntu's 6.8 includes rules of later stable branches. Build 151 was inspected; earlier builds
    // are treated as the released 6.8.
    if rest.ends_with("-generic") && (major, minor) == (6, 8) && build_of(rest) >= Some(151) {
        return Some("ubuntu-24.04".into());
    }
    if UBUNTU.iter().any(|flavour| rest.ends_with(flavour))
        && let Some(name) = based_on(&mainline, "ubuntu-")
    {
        return Some(name);
    }
    // Debian's kernels of these branches are long-term ones, with everything that their branch has;
    // their release does not contain the patch level.
    if rest.contains("deb") || rest.ends_with("-amd64") || rest.ends_with("-arm64") {
        match (major, minor) {
            // The builds of this branch are numbered; 32 is 5.10.223, 46 is 5.10.262, which has
            // more changes of later kernels.
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

/// The profile of a distribution that is based on a mainline version: it comes after that version
/// in the list of names.
fn based_on(mainline: &str, distribution: &str) -> Option<String> {
    let names = profile::names();
    let stable = format!("{mainline}.");
    let own = names.iter().skip_while(|name| *name != mainline).skip(1);
    let mut own = own.take_while(|name| !name.starts_with("linux-") || name.starts_with(&stable));
    own.find(|name| name.starts_with(distribution)).cloned()
}

/// Returns the profile of a recorded kernel: the one in its header or, where that is coarser or
/// newer than the release, the one of the stable release, or of the distribution as released.
pub fn profile_of_recording(name: &str, release: &str) -> Option<Profile> {
    let (version, _) = split(release);
    let stable = format!("linux-{version}");
    let is_stable_of = |name: &str| {
        stable
            .strip_prefix(name)
            .is_some_and(|rest| rest.starts_with('.'))
    };
    let patch = version
        .strip_prefix("6.8.")
        .and_then(|patch| patch.parse::<u32>().ok());
    // Ubuntu merged the stable releases up to 6.8.12 first, and those of other branches after that.
    let is_first = name == "ubuntu-24.04" && patch.is_some_and(|patch| (1..12).contains(&patch));
    match is_first {
        true => profile::find("ubuntu-24.04.0"),
        false if is_stable_of(name) => profile::find(&stable),
        false => profile::find(name),
    }
}

/// The number that follows the version: 431 of `-431.el6.x86_64`.
fn build_of(rest: &str) -> Option<u32> {
    let digits = rest.trim_start_matches('-');
    let end = digits.find(|c: char| !c.is_ascii_digit())?;
    digits[..end].parse().ok()
}

/// Finds the profile of a release such as `-431.el6.x86_64`.
fn red_hat(rest: &str) -> Option<String> {
    let build = builds_of(rest);
    let of_release = |el: &str| rest.contains(el);
    let (_, borders) = RED_HAT.iter().find(|(el, _)| of_release(el))?;
    let (_, name) = borders.iter().rfind(|(first, _)| build >= *first)?;
    Some((*name).to_owned())
}

/// Builds of a kernel package: 372, 19 and 1 of `-372.19.1.el8_6`.
type Build = [u32; 3];

/// The profiles of Red Hat's releases, each with the first build that has it.
const RED_HAT: &[(&str, &[(Build, &str)])] = &[
    (".el6", &[([0; 3], "rhel-6.5"), ([642, 0, 0], "rhel-6.8")]),
    (
        ".el7",
        &[
            ([0; 3], "rhel-7.3"),
            ([1062, 0, 0], "rhel-7.7"),
            ([1160, 0, 0], "rhel-7.9"),
        ],
    ),
    (
        ".el8",
        &[
            ([0; 3], "rhel-8.1"),
            ([193, 0, 0], "rhel-8.2"),
            ([240, 0, 0], "rhel-8.3"),
            ([372, 0, 0], "rhel-8.6"),
            ([372, 19, 1], "rhel-8.7"),
            ([477, 0, 0], "rhel-8.8"),
            ([513, 0, 0], "rhel-8.9"),
        ],
    ),
    (
        ".el9",
        &[
            ([0; 3], "rhel-9.0.0"),
            ([70, 17, 1], "rhel-9.0"),
            ([284, 0, 0], "rhel-9.2"),
            ([362, 0, 0], "rhel-9.3"),
        ],
    ),
    (".el10", &[([0; 3], "rhel-10")]),
];

fn builds_of(rest: &str) -> Build {
    let mut numbers = rest
        .trim_start_matches('-')
        .split('.')
        .map_while(|n| n.parse().ok());
    std::array::from_fn(|_| numbers.next().unwrap_or(0))
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
            ("6.18.5", "linux-6.18.5"),
            ("6.18.44-fc-1", "linux-6.18"),
            ("5.10.0-32-cloud-amd64", "debian-11"),
            ("5.10.0-46-cloud-amd64", "linux-5.10"),
            ("6.1.0-56-cloud-amd64", "debian-12"),
            ("6.12.95+deb13-cloud-amd64", "debian-13"),
            ("6.17.13+deb13-cloud-amd64", "linux-6.17.13"),
            ("7.3.4+deb13-cloud-amd64", "linux-7.3"),
            ("2.6.32-431.el6.x86_64", "rhel-6.5"),
            ("6.1.0-57-arm64", "debian-12"),
            ("5.15.0-1051-aws", "ubuntu-22.04"),
            ("6.8.0-45-generic", "ubuntu-24.04.0"),
            ("6.8.0-151-generic", "ubuntu-24.04"),
            ("6.6.87.2-microsoft-standard-WSL2", "linux-6.6.87"),
            ("3.10.0-1160.el7.x86_64", "rhel-7.9"),
            ("4.18.0-147.el8.x86_64", "rhel-8.1"),
            ("4.18.0-372.9.1.el8.x86_64", "rhel-8.6"),
            ("4.18.0-372.19.1.el8_6.x86_64", "rhel-8.7"),
            ("4.18.0-553.el8_10.x86_64", "rhel-8.9"),
            ("5.14.0-70.13.1.el9_0.x86_64", "rhel-9.0.0"),
            ("5.14.0-70.30.1.el9_0.x86_64", "rhel-9.0"),
            ("5.14.0-427.13.1.el9_4.x86_64", "rhel-9.3"),
            ("6.12.0-55.9.1.el10_0.x86_64", "rhel-10"),
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

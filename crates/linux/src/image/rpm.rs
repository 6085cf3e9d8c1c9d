//! Kernels in RPM repositories, downloaded with `dnf`.

use super::{Image, cache, package};
use std::fs;
use std::process::Command;

/// Distributions and the repositories of their kernels; `{release}` is a number such as 9.
const DISTRIBUTIONS: [(&str, &str); 3] = [
    (
        "almalinux",
        "https://repo.almalinux.org/almalinux/{release}/BaseOS/x86_64/os/",
    ),
    (
        "rocky",
        "https://download.rockylinux.org/pub/rocky/{release}/BaseOS/x86_64/os/",
    ),
    (
        "centos",
        "https://mirror.stream.centos.org/{release}-stream/BaseOS/x86_64/os/",
    ),
];

/// Packages that contain the kernel and the modules that are loaded. A release lacks some of them:
/// modules moved from one to another.
const PACKAGES: [&str; 4] = [
    "kernel-core",
    "kernel-modules-core",
    "kernel-modules",
    "kernel",
];

pub(super) fn is_distribution(name: &str) -> bool {
    DISTRIBUTIONS.iter().any(|(known, _)| *known == name)
}

/// The newest kernel of a release.
pub(super) fn release(
    name: &str,
    distribution: &str,
    release: &str,
    mirror: Option<&str>,
) -> Result<Image, String> {
    let number = |c: char| c.is_ascii_digit() || c == '.';
    if release.is_empty() || !release.chars().all(number) {
        return Err(format!(
            "`{release}` is not a release: expected a number such as 9"
        ));
    }
    let known = DISTRIBUTIONS
        .iter()
        .find(|(known, _)| *known == distribution);
    let usual = known
        .map_or("", |(_, address)| address)
        .replace("{release}", release);
    image(name, mirror.unwrap_or(&usual))
}

/// The newest kernel of the repository at an address.
pub(super) fn image(name: &str, address: &str) -> Result<Image, String> {
    if !["https://", "http://", "file:///"]
        .iter()
        .any(|scheme| address.starts_with(scheme))
    {
        return Err(
            "expected `rpm:` and the address of a repository, with https:, http: or file:"
                .to_owned(),
        );
    }
    let dir = cache::entry(&cache::file_name(name), |dir| {
        let downloads = dir.join("packages");
        let metadata = dir.join("metadata");
        fs::create_dir_all(&downloads).map_err(|e| format!("{}: {e}", downloads.display()))?;
        for package in PACKAGES {
            let mut command = Command::new("dnf");
            command
                .args([
                    "--quiet",
                    "--assumeyes",
                    "--releasever=/",
                    "--forcearch=x86_64",
                ])
                .arg(format!("--setopt=cachedir={}", metadata.display()))
                .args([
                    "--setopt=reposdir=/dev/null",
                    "--setopt=install_weak_deps=False",
                ])
                .arg(format!("--repofrompath=fourtuple,{address}"))
                .args(["--repo=fourtuple", "download", package, "--destdir"])
                .arg(&downloads);
            // A package that the release does not have is no error as long as there is a kernel.
            let downloaded = package::run(&mut command);
            if package == PACKAGES[0] {
                downloaded?;
            }
        }
        package::keep(&package::files_in(&downloads)?, dir)?;
        for used in [downloads, metadata] {
            fs::remove_dir_all(&used).map_err(|e| format!("{}: {e}", used.display()))?;
        }
        Ok(())
    })?;
    Ok(cache::image(name.to_owned(), &dir))
}

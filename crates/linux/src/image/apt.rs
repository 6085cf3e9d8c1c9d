//! Kernels of Debian and Ubuntu, downloaded with `apt-get`.
//!
//! The machine's own package lists are tried first. Kernels of other releases are found with lists
//! kept in the cache directory, made from the mirrors that the machine's apt already uses.

use super::{Image, cache, package};
use std::cmp::Ordering;
use std::ffi::OsStr;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, SystemTime};

/// A distribution whose kernels are packages of apt.
pub(super) struct Distribution {
    name: &'static str,
    /// The kind of kernel, as in the names of packages.
    flavour: &'static str,
    keyring: &'static str,
    /// Each archive: its label in apt's lists, its usual address, and its releases, oldest first.
    archives: [(&'static str, &'static str, &'static [&'static str]); 2],
    component: &'static str,
}

pub(super) const DEBIAN: Distribution = Distribution {
    name: "debian",
    flavour: "-cloud-amd64",
    keyring: "/usr/share/keyrings/debian-archive-keyring.gpg",
    archives: [
        (
            "Debian",
            "",
            &[
                "bullseye",
                "bookworm",
                "bookworm-backports",
                "trixie",
                "trixie-backports",
                "forky",
                "sid",
            ],
        ),
        (
            "Debian-Security",
            "",
            &["bullseye-security", "bookworm-security", "trixie-security"],
        ),
    ],
    component: "main",
};

pub(super) const UBUNTU: Distribution = Distribution {
    name: "ubuntu",
    flavour: "-generic",
    keyring: "/usr/share/keyrings/ubuntu-archive-keyring.gpg",
    archives: [
        (
            "Ubuntu",
            "http://archive.ubuntu.com/ubuntu",
            &[
                "focal-updates",
                "jammy-updates",
                "noble-updates",
                "questing-updates",
                "resolute",
            ],
        ),
        (
            "Ubuntu",
            "http://security.ubuntu.com/ubuntu",
            &["focal-security", "jammy-security", "noble-security"],
        ),
    ],
    component: "main",
};

/// Maximum number of packages tried before the first error is reported.
const TRIES: usize = 8;
/// Age after which the cached package lists are updated.
const LISTS_AGE: Duration = Duration::from_secs(7 * 24 * 3600);

impl Distribution {
    /// Returns the kernel whose version starts with `version`: a cached one, or the newest on
    /// offer. The packages of a mirror that the user names are not checked for signatures: they
    /// are executed in a virtual machine only.
    pub(super) fn image(&self, version: &str, mirror: Option<&str>) -> Result<Image, String> {
        let home = cache::home()?;
        let known = fs::read_dir(&home).into_iter().flatten().flatten();
        let known = known.filter_map(|e| e.file_name().into_string().ok());
        let known = self.newest_first(
            known.filter(|name| home.join(name).join(cache::KERNEL).exists()),
            version,
        );
        if let Some(package) = known.first() {
            return self.fetch(&Apt::machine(), package);
        }
        if mirror.is_none()
            && let Ok(Some(image)) = self.fetch_newest(&Apt::machine(), version)
        {
            return Ok(image);
        }
        // The machine's own lists lack other releases, and may name packages that are gone.
        let found = self.fetch_newest(&self.other_releases(mirror)?, version)?;
        found.ok_or_else(|| {
            let kind = self.flavour.trim_start_matches('-');
            format!("there is no such kernel among the packages linux-image-*-{kind}")
        })
    }

    /// Downloads the newest package that is available: a list may name packages that its mirror
    /// does not have yet.
    fn fetch_newest(&self, apt: &Apt, version: &str) -> Result<Option<Image>, String> {
        let mut first_error = None;
        let packages = self.newest_first(self.packages(apt)?.into_iter(), version);
        for package in packages.iter().take(TRIES) {
            match self.fetch(apt, package) {
                Ok(image) => return Ok(Some(image)),
                Err(e) => first_error = first_error.or(Some(e)),
            }
        }
        first_error.map_or(Ok(None), Err)
    }

    /// The kernel of a package: the cached one, or downloaded.
    fn fetch(&self, apt: &Apt, package: &str) -> Result<Image, String> {
        let version = self.version_of(package).unwrap_or(package);
        let dir = cache::entry(package, |dir| {
            let downloads = dir.join("packages");
            fs::create_dir_all(&downloads).map_err(|e| format!("{}: {e}", downloads.display()))?;
            let download = |name: &str| {
                apt.run(
                    "apt-get",
                    ["-qq", "download", name].map(OsStr::new),
                    &downloads,
                )
            };
            download(package)?;
            // Ubuntu has the modules in a package of their own, Debian since Linux 7.0 the kernel
            // as well. Where there are no such packages, everything is in the first one.
            for part in ["binary", "modules"] {
                let _ = download(&format!("linux-{part}-{version}{}", self.flavour));
            }
            package::keep(&package::files_in(&downloads)?, dir)?;
            fs::remove_dir_all(&downloads).map_err(|e| format!("{}: {e}", downloads.display()))
        })?;
        Ok(cache::image(format!("{}:{version}", self.name), &dir))
    }

    /// The versions of all kernels on offer, oldest first.
    pub(super) fn versions(&self) -> Result<Vec<String>, String> {
        let mut packages = self.packages(&Apt::machine())?;
        // Without the other releases the list is shorter, but still right.
        if let Ok(more) = self
            .other_releases(None)
            .and_then(|apt| self.packages(&apt))
        {
            packages.extend(more);
        }
        let mut versions: Vec<_> = packages
            .iter()
            .filter_map(|p| self.version_of(p))
            .map(str::to_owned)
            .collect();
        versions.sort_by(|a, b| by_version(a, b));
        versions.dedup();
        Ok(versions)
    }

    fn packages(&self, apt: &Apt) -> Result<Vec<String>, String> {
        let pattern = format!(
            "^linux-image-(unsigned-)?[0-9].*{}(-unsigned)?$",
            self.flavour
        );
        let text = apt.output("apt-cache", ["search", "--names-only", &pattern])?;
        let names = text.lines().filter_map(|l| l.split_whitespace().next());
        Ok(names
            .filter(|n| self.version_of(n).is_some())
            .map(str::to_owned)
            .collect())
    }

    /// The version in a package's name: `6.1.0-56` of `linux-image-6.1.0-56-cloud-amd64-unsigned`.
    fn version_of<'a>(&self, package: &'a str) -> Option<&'a str> {
        let rest = package.strip_prefix("linux-image-")?;
        let rest = rest.strip_prefix("unsigned-").unwrap_or(rest);
        let rest = rest.strip_suffix("-unsigned").unwrap_or(rest);
        // Without a patch level it is a metapackage that depends on the real one.
        rest.strip_suffix(self.flavour)
            .filter(|v| v.matches('.').count() >= 2)
    }

    /// The packages whose version starts with `wanted`, newest first. A signed package precedes its
    /// unsigned twin.
    fn newest_first(&self, packages: impl Iterator<Item = String>, wanted: &str) -> Vec<String> {
        let begins = |version: &str| {
            let rest = version.strip_prefix(wanted);
            // `6.1` must not match `6.12`.
            rest.is_some_and(|r| !wanted.is_empty() && !r.starts_with(|c: char| c.is_ascii_digit()))
        };
        let mut found: Vec<_> = packages
            .filter(|p| self.version_of(p).is_some_and(begins))
            .collect();
        found.sort_by(|a, b| {
            let (of_a, of_b) = (self.version_of(a), self.version_of(b));
            by_version(of_b.unwrap_or(""), of_a.unwrap_or("")).then_with(|| a.cmp(b))
        });
        found
    }

    /// Package lists of all releases, updated when they are older than [`LISTS_AGE`].
    fn other_releases(&self, mirror: Option<&str>) -> Result<Apt, String> {
        let home = cache::home()?.join(match self.name {
            "debian" => ".apt".to_owned(),
            name => format!(".apt-{name}"),
        });
        let said = |e: std::io::Error| format!("{}: {e}", home.display());
        for dir in ["lists/partial", "archives/partial"] {
            fs::create_dir_all(home.join(dir)).map_err(said)?;
        }
        let sources = home.join("sources.list");
        let mut apt = Apt::machine();
        let text = self.sources(
            &apt.output(
                "apt-get",
                ["indextargets", "--format", "$(REPO_URI) $(LABEL)"],
            )?,
            mirror,
        )?;
        for (name, value) in [
            ("Dir::Etc::SourceList", sources.as_path()),
            ("Dir::Etc::SourceParts", Path::new("/dev/null")),
            ("Dir::State::Lists", &home.join("lists")),
            ("Dir::Cache", &home),
        ] {
            apt.options.push(format!("{name}={}", value.display()));
        }
        apt.options.push("Acquire::Languages=none".into());
        // DEP-11 metadata (for graphical package managers) is as large as the lists themselves.
        apt.options
            .push("Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false".into());
        let stamp = home.join("updated");
        let fresh = fs::metadata(&stamp)
            .and_then(|m| m.modified())
            .is_ok_and(|time| {
                SystemTime::now()
                    .duration_since(time)
                    .is_ok_and(|age| age < LISTS_AGE)
            });
        if !fresh || fs::read_to_string(&sources).ok().as_deref() != Some(&text) {
            fs::write(&sources, text).map_err(said)?;
            // The update fails if a mirror lacks one release, with the other lists in place.
            let updated = apt.output("apt-get", ["-qq", "update"]);
            if self.packages(&apt)?.is_empty() {
                updated?;
            }
            fs::write(stamp, "").map_err(said)?;
        }
        Ok(apt)
    }

    /// Writes a `sources.list` for all releases from the mirrors in `targets` (lines of URI and
    /// label), or from the usual ones.
    fn sources(&self, targets: &str, mirror: Option<&str>) -> Result<String, String> {
        let place = |label: &str| {
            let mut lines = targets.lines().filter_map(|l| l.split_once(' '));
            lines.find(|(_, l)| *l == label).map(|(address, _)| address)
        };
        let options = match mirror {
            Some(_) => "[trusted=yes] ".to_owned(),
            None if Path::new(self.keyring).exists() => format!("[signed-by={}] ", self.keyring),
            None => String::new(),
        };
        let mut text = String::new();
        for (label, usual, suites) in self.archives {
            let address = mirror.or(place(label)).unwrap_or(usual);
            for suite in suites.iter().filter(|_| !address.is_empty()) {
                text += &format!("deb {options}{address} {suite} {}\n", self.component);
            }
        }
        if text.is_empty() {
            Err(format!("apt has no mirror for packages of {}", self.name))
        } else {
            Ok(text)
        }
    }
}

/// Compares versions: numbers as numbers, everything else as text.
fn by_version(a: &str, b: &str) -> Ordering {
    let parts = |s: &str| -> Vec<(u64, String)> {
        s.split(['.', '-', '+'])
            .map(|p| (p.parse().unwrap_or(0), p.to_owned()))
            .collect()
    };
    parts(a).cmp(&parts(b))
}

/// Apt with the options that select its package lists.
struct Apt {
    options: Vec<String>,
}

impl Apt {
    fn machine() -> Apt {
        Apt {
            options: Vec::new(),
        }
    }

    fn output<const N: usize>(&self, program: &str, args: [&str; N]) -> Result<String, String> {
        let bytes = self.run(program, args.map(OsStr::new), Path::new("/"))?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    fn run<const N: usize>(
        &self,
        program: &str,
        args: [&OsStr; N],
        within: &Path,
    ) -> Result<Vec<u8>, String> {
        let mut command = Command::new(program);
        for option in &self.options {
            command.arg("-o").arg(option);
        }
        package::run(command.args(args).current_dir(within).env("LC_ALL", "C"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn newest_version_with_the_prefix_comes_first() {
        let names = [
            "6.1.0-9",
            "6.1.0-56",
            "6.12.107+deb12",
            "6.12.95+deb12",
            "6.1",
        ];
        let names = names.map(|v| format!("linux-image-{v}-cloud-amd64"));
        let take = |wanted| DEBIAN.newest_first(names.iter().cloned(), wanted);
        assert_eq!(take("6.1"), [names[1].clone(), names[0].clone()]);
        assert_eq!(take("6.12"), [names[2].clone(), names[3].clone()]);
        assert_eq!(take("6.12.95"), [names[3].clone()]);
        assert!(take("").is_empty());
    }

    #[test]
    fn sources_name_the_mirror_of_the_machine_or_the_one_that_is_given() {
        let targets = "http://mirror.example/debian Debian\nhttp://mirror.example/x Other\n";
        let debian = DEBIAN.sources(targets, None).expect("a mirror");
        assert!(
            debian.contains("http://mirror.example/debian bookworm main\n"),
            "{debian}"
        );
        assert!(!debian.contains("security"), "{debian}");
        assert!(DEBIAN.sources("", None).is_err());
        let ubuntu = UBUNTU
            .sources(targets, Some("http://127.0.0.1:1"))
            .expect("a mirror");
        assert!(ubuntu.starts_with("deb [trusted=yes] http://127.0.0.1:1 focal-updates main\n"));
    }
}

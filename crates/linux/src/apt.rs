//! Kernel images from Debian packages, downloaded with `apt-get` and unpacked with `dpkg-deb`.
//! Nothing is installed.
//!
//! The machine's own package lists are tried first. Kernels of other Debian releases are found with
//! lists kept in the cache directory, made from the mirrors that the machine's apt already uses.

use crate::image::Image;
use crate::tar;
use std::cmp::Ordering;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime};

/// Debian releases whose kernels are offered, oldest first.
const SUITES: [&str; 7] = [
    "bullseye",
    "bookworm",
    "bookworm-backports",
    "trixie",
    "trixie-backports",
    "forky",
    "sid",
];
const SECURITY_SUITES: [&str; 3] = ["bullseye-security", "bookworm-security", "trixie-security"];
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";
/// Maximum number of packages tried before the first error is reported.
const TRIES: usize = 8;
/// Age after which the cached package lists are updated.
const LISTS_AGE: Duration = Duration::from_secs(7 * 24 * 3600);

/// Returns the kernel whose version starts with `version`: a cached one, or the newest on offer.
pub(crate) fn image(version: &str) -> Result<Image, String> {
    let cache = cache()?;
    let known = fs::read_dir(&cache).into_iter().flatten().flatten();
    let known = known.filter_map(|e| e.file_name().into_string().ok());
    let known = newest_first(
        known.filter(|name| cache.join(name).join("vmlinuz").exists()),
        version,
    );
    if let Some(package) = known.first() {
        return unpacked(&cache.join(package));
    }
    match fetch_newest(&Apt::machine(), version, &cache) {
        // The machine's own lists lack other releases, and may name packages that are gone.
        Ok(None) | Err(_) => {}
        Ok(Some(image)) => return Ok(image),
    }
    let found = fetch_newest(&Apt::with_other_releases(&cache)?, version, &cache)?;
    found.ok_or_else(|| "Debian has no such kernel (for cloud machines, amd64)".into())
}

/// Downloads the newest package that is available: a list may name packages that its mirror does
/// not have yet.
fn fetch_newest(apt: &Apt, version: &str, cache: &Path) -> Result<Option<Image>, String> {
    let mut first_error = None;
    for package in newest_first(apt.packages()?.into_iter(), version)
        .iter()
        .take(TRIES)
    {
        match fetch(apt, package, cache) {
            Ok(image) => return Ok(Some(image)),
            Err(e) => first_error = first_error.or(Some(e)),
        }
    }
    first_error.map_or(Ok(None), Err)
}

/// The versions of all kernels on offer, oldest first.
pub(crate) fn versions() -> Result<Vec<String>, String> {
    let mut packages = Apt::machine().packages()?;
    // Without the other releases the list is shorter, but still right.
    if let Ok(more) = Apt::with_other_releases(&cache()?).and_then(|apt| apt.packages()) {
        packages.extend(more);
    }
    let mut versions: Vec<_> = packages
        .iter()
        .filter_map(|p| version_of(p))
        .map(str::to_owned)
        .collect();
    versions.sort_by(|a, b| by_version(a, b));
    versions.dedup();
    Ok(versions)
}

/// The directory in which images are kept.
fn cache() -> Result<PathBuf, String> {
    let absolute = |name| {
        std::env::var_os(name)
            .map(PathBuf::from)
            .filter(|p| p.is_absolute())
    };
    let base =
        absolute("XDG_CACHE_HOME").or_else(|| absolute("HOME").map(|home| home.join(".cache")));
    let dir =
        base.ok_or("there is no cache directory, as neither XDG_CACHE_HOME nor HOME is set")?;
    let dir = dir.join("fourtuple").join("kernels");
    fs::create_dir_all(&dir).map_err(|e| format!("{}: {e}", dir.display()))?;
    Ok(dir)
}

/// The version in a package's name: `6.1.0-56` of `linux-image-6.1.0-56-cloud-amd64-unsigned`.
fn version_of(package: &str) -> Option<&str> {
    let rest = package.strip_prefix("linux-image-")?;
    let rest = rest.strip_suffix("-unsigned").unwrap_or(rest);
    // Without a patch level it is a metapackage that depends on the real one.
    rest.strip_suffix("-cloud-amd64")
        .filter(|v| v.matches('.').count() >= 2)
}

/// The packages whose version starts with `wanted`, newest first. A signed package precedes its
/// unsigned twin.
fn newest_first(packages: impl Iterator<Item = String>, wanted: &str) -> Vec<String> {
    let begins = |version: &str| {
        let rest = version.strip_prefix(wanted);
        // `6.1` must not match `6.12`.
        rest.is_some_and(|r| !wanted.is_empty() && !r.starts_with(|c: char| c.is_ascii_digit()))
    };
    let mut found: Vec<_> = packages
        .filter(|p| version_of(p).is_some_and(begins))
        .collect();
    found.sort_by(|a, b| {
        by_version(version_of(b).unwrap_or(""), version_of(a).unwrap_or("")).then_with(|| a.cmp(b))
    });
    found
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

    /// Package lists of all releases, updated when they are older than [`LISTS_AGE`].
    fn with_other_releases(cache: &Path) -> Result<Apt, String> {
        let home = cache.join(".apt");
        let said = |e: std::io::Error| format!("{}: {e}", home.display());
        for dir in ["lists/partial", "archives/partial"] {
            fs::create_dir_all(home.join(dir)).map_err(said)?;
        }
        let sources = home.join("sources.list");
        let mut apt = Apt::machine();
        let text = other_releases(&apt.output(
            "apt-get",
            ["indextargets", "--format", "$(REPO_URI) $(LABEL)"],
        )?)?;
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
            if apt.packages()?.is_empty() {
                updated?;
            }
            fs::write(stamp, "").map_err(said)?;
        }
        Ok(apt)
    }

    fn packages(&self) -> Result<Vec<String>, String> {
        let pattern = "^linux-image-[0-9].*-cloud-amd64(-unsigned)?$";
        let text = self.output("apt-cache", ["search", "--names-only", pattern])?;
        let names = text.lines().filter_map(|l| l.split_whitespace().next());
        Ok(names
            .filter(|n| version_of(n).is_some())
            .map(str::to_owned)
            .collect())
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
        command
            .args(args)
            .current_dir(within)
            .env("LC_ALL", "C")
            .stdin(Stdio::null());
        run(&mut command)
    }
}

fn run(command: &mut Command) -> Result<Vec<u8>, String> {
    let program = command.get_program().display().to_string();
    let output = command.output().map_err(|e| match e.kind() {
        std::io::ErrorKind::NotFound => format!("{program} is not installed"),
        _ => format!("{program}: {e}"),
    })?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let line = said
        .lines()
        .find(|l| l.starts_with("E:"))
        .or(said.lines().next())
        .unwrap_or("no message");
    Err(format!("{program} failed: {line}"))
}

/// Writes a `sources.list` for all releases from the mirrors in `targets` (lines of URI and label).
fn other_releases(targets: &str) -> Result<String, String> {
    let place = |label: &str| {
        targets
            .lines()
            .find_map(|l| l.split_once(' ').filter(|(_, l)| *l == label))
    };
    let signed = if Path::new(KEYRING).exists() {
        format!("[signed-by={KEYRING}] ")
    } else {
        String::new()
    };
    let mut text = String::new();
    for (label, suites) in [
        ("Debian", SUITES.as_slice()),
        ("Debian-Security", &SECURITY_SUITES),
    ] {
        for suite in suites {
            if let Some((address, _)) = place(label) {
                text += &format!("deb {signed}{address} {suite} main\n");
            }
        }
    }
    if text.is_empty() {
        Err("apt has no mirror for Debian packages".into())
    } else {
        Ok(text)
    }
}

/// Downloads a package and keeps its kernel and the modules needed.
fn fetch(apt: &Apt, package: &str, cache: &Path) -> Result<Image, String> {
    let said = |e: std::io::Error| format!("{}: {e}", cache.display());
    // Written under a temporary name and renamed, so that a cached directory is always complete.
    let unfinished = cache.join(format!(".{package}.{}", std::process::id()));
    fs::create_dir_all(&unfinished).map_err(said)?;
    let result = fetch_into(apt, package, &unfinished).and_then(|()| {
        let home = cache.join(package);
        match fs::rename(&unfinished, &home) {
            // Another process may have renamed its copy first.
            Err(_) if home.join("vmlinuz").exists() => {}
            r => r.map_err(said)?,
        }
        unpacked(&home)
    });
    let _ = fs::remove_dir_all(&unfinished);
    result
}

fn fetch_into(apt: &Apt, package: &str, dir: &Path) -> Result<(), String> {
    let files = files_of(apt, package, dir)?;
    if let Some(kernel) = kernel_in(&files) {
        return keep(dir, kernel, &files);
    }
    // Since Linux 7.0 the package only depends on the ones with the kernel and its modules.
    let version = version_of(package).unwrap_or("");
    let files = files_of(apt, &format!("linux-binary-{version}-cloud-amd64"), dir)?;
    let kernel = kernel_in(&files).ok_or("the package contains no kernel")?;
    let modules = files_of(apt, &format!("linux-modules-{version}-cloud-amd64"), dir)?;
    keep(dir, kernel, &modules)
}

/// The content of a package as a tar archive.
fn files_of(apt: &Apt, package: &str, dir: &Path) -> Result<Vec<u8>, String> {
    apt.run("apt-get", ["-qq", "download", package].map(OsStr::new), dir)?;
    let said = |e: std::io::Error| format!("{}: {e}", dir.display());
    let is_deb = |p: &PathBuf| p.extension() == Some(OsStr::new("deb"));
    let deb = fs::read_dir(dir)
        .map_err(said)?
        .flatten()
        .map(|e| e.path())
        .find(is_deb);
    let deb = deb.ok_or("apt-get left no package behind")?;
    let files = run(Command::new("dpkg-deb").arg("--fsys-tarfile").arg(&deb))?;
    fs::remove_file(&deb).map_err(said)?;
    Ok(files)
}

fn kernel_in(files: &[u8]) -> Option<&[u8]> {
    let is_kernel = |name: &str| {
        name.rsplit('/')
            .next()
            .is_some_and(|file| file.starts_with("vmlinuz"))
    };
    tar::find(files, is_kernel).map(|(_, kernel)| kernel)
}

/// Writes the kernel, and the veth module if `modules` contains it.
fn keep(dir: &Path, kernel: &[u8], modules: &[u8]) -> Result<(), String> {
    let said = |e: std::io::Error| format!("{}: {e}", dir.display());
    if let Some((name, module)) = tar::find(modules, |name| name.contains("/drivers/net/veth.ko")) {
        let file = dir.join(Path::new(name).file_name().unwrap_or(OsStr::new("veth.ko")));
        fs::write(&file, module).map_err(said)?;
        if file.extension() == Some(OsStr::new("xz")) {
            run(Command::new("xz").arg("-d").arg(&file))?;
        }
    }
    fs::write(dir.join("vmlinuz"), kernel).map_err(said)
}

/// The image in a cache directory.
fn unpacked(dir: &Path) -> Result<Image, String> {
    let package = dir.file_name().and_then(OsStr::to_str).unwrap_or_default();
    let name = format!("debian:{}", version_of(package).unwrap_or(package));
    let modules = [dir.join("veth.ko")]
        .into_iter()
        .filter(|m| m.exists())
        .collect();
    Ok(Image {
        name,
        kernel: dir.join("vmlinuz"),
        modules,
    })
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
        let take = |wanted| newest_first(names.iter().cloned(), wanted);
        assert_eq!(take("6.1"), [names[1].clone(), names[0].clone()]);
        assert_eq!(take("6.12"), [names[2].clone(), names[3].clone()]);
        assert_eq!(take("6.12.95"), [names[3].clone()]);
        assert!(take("").is_empty());
    }
}

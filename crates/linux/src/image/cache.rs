//! The directory in which unpacked kernels are kept.

use super::Image;
use std::fs;
use std::path::{Path, PathBuf};

/// The file name of a kernel in its directory.
pub(super) const KERNEL: &str = "vmlinuz";
/// The name of the module that links the hosts of a topology.
const VETH: &str = "veth";
/// The names of the modules of NAT hosts, in the order in which they depend on each other. Some
/// kernels have the first ones built in.
const NAT: [&str; 11] = [
    "libcrc32c",
    "nfnetlink",
    "nf_defrag_ipv4",
    "nf_defrag_ipv6",
    "nf_conntrack",
    "nf_nat",
    "nf_tables",
    "nft_chain_nat",
    "nft_nat",
    "nft_masq",
    "nft_numgen",
];

/// The names of all modules that are kept.
pub(super) fn modules() -> impl Iterator<Item = &'static str> {
    [VETH].into_iter().chain(NAT)
}

/// The directory in which images are kept.
pub(super) fn home() -> Result<PathBuf, String> {
    let absolute = |name| {
        std::env::var_os(name)
            .map(PathBuf::from)
            .filter(|p| p.is_absolute())
    };
    let base =
        absolute("XDG_CACHE_HOME").or_else(|| absolute("HOME").map(|home| home.join(".cache")));
    let dir =
        base.ok_or("there is no cache directory, as neither XDG_CACHE_HOME nor HOME is set")?;
    // Directories of the first name have no modules for NAT hosts.
    let dir = dir.join("fourtuple").join("images");
    fs::create_dir_all(&dir).map_err(|e| format!("{}: {e}", dir.display()))?;
    Ok(dir)
}

/// The directory of this name, filled by `fill` unless it is there. It is filled under a temporary
/// name and renamed, so that a cached directory is always complete.
pub(super) fn entry(
    name: &str,
    fill: impl FnOnce(&Path) -> Result<(), String>,
) -> Result<PathBuf, String> {
    let cache = home()?;
    let dir = cache.join(name);
    if dir.join(KERNEL).exists() {
        return Ok(dir);
    }
    let said = |e: std::io::Error| format!("{}: {e}", cache.display());
    let unfinished = cache.join(format!(".{name}.{}", std::process::id()));
    fs::create_dir_all(&unfinished).map_err(said)?;
    let result = fill(&unfinished).and_then(|()| match fs::rename(&unfinished, &dir) {
        // Another process may have renamed its copy first.
        Err(_) if dir.join(KERNEL).exists() => Ok(dir),
        r => r.map(|()| dir).map_err(said),
    });
    let _ = fs::remove_dir_all(&unfinished);
    result
}

/// A name for a directory: characters that a path does not take are replaced.
pub(super) fn file_name(text: &str) -> String {
    let plain = |c: char| {
        if c.is_ascii_alphanumeric() || ".-_+".contains(c) {
            c
        } else {
            '_'
        }
    };
    text.chars().map(plain).collect()
}

/// The image in a directory.
pub(super) fn image(name: String, dir: &Path) -> Image {
    let there = |names: &[&str]| {
        let files = names.iter().map(|name| dir.join(format!("{name}.ko")));
        files.filter(|file| file.exists()).collect()
    };
    Image {
        name,
        kernel: dir.join(KERNEL),
        modules: there(&[VETH]),
        nat_modules: there(&NAT),
    }
}

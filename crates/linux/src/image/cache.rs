//! The directory in which unpacked kernels are kept.

use super::Image;
use std::fs;
use std::path::{Path, PathBuf};

/// The file name of a kernel in its directory.
pub(super) const KERNEL: &str = "vmlinuz";
/// The file name of the module that links the hosts of a topology.
pub(super) const VETH: &str = "veth.ko";

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
    let dir = dir.join("fourtuple").join("kernels");
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
    let module = dir.join(VETH);
    Image {
        name,
        kernel: dir.join(KERNEL),
        modules: [module].into_iter().filter(|m| m.exists()).collect(),
    }
}

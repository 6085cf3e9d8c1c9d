//! Kernel images: files, or names such as `debian:6.1` that stand for packages.

use crate::apt;
use crate::error::RunError;
use std::path::{Path, PathBuf};

/// A kernel to boot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// What it is called in messages.
    pub name: String,
    /// The bzImage.
    pub kernel: PathBuf,
    /// Modules to load before the first program, in order; at most ten. Packaged kernels have veth, which joins the hosts of a topology, as
    /// a module.
    pub modules: Vec<PathBuf>,
}

impl Image {
    /// An image file, without modules.
    pub fn file(kernel: impl Into<PathBuf>) -> Image {
        let kernel = kernel.into();
        Image {
            name: kernel.display().to_string(),
            kernel,
            modules: Vec::new(),
        }
    }

    /// What a user wrote: `debian:` and the beginning of a version, for the newest such kernel that Debian packages; or a file. A package is
    /// fetched once and kept in the user's cache directory, so the same name stays the same kernel.
    pub fn named(name: &str) -> Result<Image, RunError> {
        match name.strip_prefix("debian:") {
            Some(version) => {
                apt::image(version).map_err(|e| RunError::Unavailable(format!("{name}: {e}")))
            }
            None if Path::new(name).exists() => Ok(Image::file(name)),
            None => Err(RunError::Unavailable(format!(
                "{name}: neither a file nor a name such as debian:6.1"
            ))),
        }
    }

    /// The versions that `debian:` can be followed by on this machine, oldest first. Looks in apt's lists, and where they are old or
    /// miss releases of Debian, fetches those first.
    pub fn available() -> Result<Vec<String>, RunError> {
        apt::versions().map_err(|e| RunError::Unavailable(format!("no kernel packages: {e}")))
    }
}

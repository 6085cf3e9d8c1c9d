//! Kernel images: files, or names of packages such as `debian:6.1`.

use crate::apt;
use crate::error::RunError;
use std::path::{Path, PathBuf};

/// A kernel to boot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// Name for messages.
    pub name: String,
    /// The bzImage.
    pub kernel: PathBuf,
    /// Modules to load before the first program, in order; at most ten. Packaged kernels have veth,
    /// which links the hosts of a topology, as a module.
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

    /// Finds an image by name: `debian:` and a version prefix for the newest such kernel that
    /// Debian packages, or the path of a file. A package is downloaded once and kept in the user's
    /// cache directory, so the same name stays the same kernel.
    pub fn named(name: &str) -> Result<Image, RunError> {
        match name.strip_prefix("debian:") {
            Some(version) => {
                apt::image(version).map_err(|e| RunError::Unavailable(format!("{name}: {e}")))
            }
            None if Path::new(name).exists() => Ok(Image::file(name)),
            None => Err(RunError::Unavailable(format!(
                "unknown kernel image `{name}`: expected a file or a name such as `debian:6.1`"
            ))),
        }
    }

    /// Lists the versions available as `debian:VERSION` on this machine, oldest first. Reads apt's
    /// package lists, and downloads them first where they are old or lack releases of Debian.
    pub fn available() -> Result<Vec<String>, RunError> {
        apt::versions().map_err(|e| RunError::Unavailable(format!("no kernel packages: {e}")))
    }
}

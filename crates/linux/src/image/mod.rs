//! Kernel images: files, packages, and names of packages such as `debian:6.1`.
//!
//! Nothing is installed: kernels are downloaded by the package tools of the machine, unpacked, and
//! kept in the user's cache directory.

#[cfg(target_os = "linux")]
mod apt;
#[cfg(target_os = "linux")]
mod cache;
#[cfg(target_os = "linux")]
mod named;
#[cfg(target_os = "linux")]
mod oci;
#[cfg(target_os = "linux")]
mod package;
#[cfg(target_os = "linux")]
mod rpm;
#[cfg(target_os = "linux")]
mod tar;

use std::path::PathBuf;

/// A kernel to boot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// Name for messages.
    pub name: String,
    /// The bzImage.
    pub kernel: PathBuf,
    /// Modules to load before the first program, in order. Packaged kernels have veth,
    /// which links the hosts of a topology, as a module.
    pub modules: Vec<PathBuf>,
    /// The same for programs with NAT hosts.
    pub nat_modules: Vec<PathBuf>,
}

impl Image {
    /// An image file, without modules.
    pub fn file(kernel: impl Into<PathBuf>) -> Image {
        let kernel = kernel.into();
        Image {
            name: kernel.display().to_string(),
            kernel,
            modules: Vec::new(),
            nat_modules: Vec::new(),
        }
    }
}

//! Images by their names.

use super::{Image, apt, cache, oci, package, rpm};
use crate::error::RunError;
use std::path::Path;

/// An address that replaces those of Ubuntu's archive and of RPM repositories, for a mirror nearby.
const MIRROR: &str = "FOURTUPLE_MIRROR";

impl Image {
    /// Finds an image by name:
    ///
    /// - the path of a bzImage, of a `.deb` or `.rpm` package, or of a directory of such packages
    /// - `debian:6.1`, `ubuntu:6.8`: the newest kernel of the distribution whose version starts so
    /// - `almalinux:9`, `rocky:9`, `centos:9`: the kernel of a release; `rpm:URL`: of a repository
    /// - `oci:REFERENCE`: the kernel in an OCI image
    ///
    /// An image with a name is downloaded once and kept in the user's cache directory, so the same
    /// name stays the same kernel. `FOURTUPLE_MIRROR` is the address of a mirror for Ubuntu and
    /// RPM, whose signatures are not checked.
    ///
    /// # Errors
    /// Nothing has this name, the download fails, or it contains no kernel.
    pub fn named(name: &str) -> Result<Image, RunError> {
        let mirror = std::env::var(MIRROR).ok();
        let mirror = mirror.as_deref();
        let image = match name.split_once(':') {
            Some(("debian", version)) => apt::DEBIAN.image(version, None),
            Some(("ubuntu", version)) => apt::UBUNTU.image(version, mirror),
            Some(("oci", reference)) => oci::image(reference),
            Some(("rpm", address)) => rpm::image(name, address),
            Some((distribution, release)) if rpm::is_distribution(distribution) => {
                rpm::release(name, distribution, release, mirror)
            }
            _ if Path::new(name).exists() => of_path(Path::new(name)),
            _ => {
                return Err(RunError::Unavailable(format!(
                    "unknown kernel image `{name}`: expected a file or a name such as `debian:6.1`"
                )));
            }
        };
        image.map_err(|e| RunError::Unavailable(format!("{name}: {e}")))
    }

    /// Lists the versions available as `debian:VERSION` on this machine, oldest first. Reads apt's
    /// package lists, and downloads them first where they are old or lack releases of Debian.
    pub fn available() -> Result<Vec<String>, RunError> {
        apt::DEBIAN
            .versions()
            .map_err(|e| RunError::Unavailable(format!("no kernel packages: {e}")))
    }
}

/// A bzImage, or the kernel of packages.
fn of_path(path: &Path) -> Result<Image, String> {
    let packages = match path.is_dir() {
        true => package::files_in(path)?,
        false if package::is_package(path) => vec![path.to_owned()],
        false => return Ok(Image::file(path)),
    };
    let digest = package::digest(&packages)?;
    let dir = cache::entry(&format!("packages-{digest}"), |dir| {
        package::keep(&packages, dir)
    })?;
    Ok(cache::image(path.display().to_string(), &dir))
}

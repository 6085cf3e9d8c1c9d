//! Kernels in OCI images, downloaded with `skopeo`.

use super::{Image, cache, package};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The kernel in an image such as `quay.io/lvh-images/kernel-images:6.6-main`.
pub(super) fn image(reference: &str) -> Result<Image, String> {
    let name = format!("oci-{}", cache::file_name(reference));
    let dir = cache::entry(&name, |dir| {
        let layers = dir.join("layers");
        download(reference, &layers)?;
        package::keep(&layers_of(&layers)?, dir)?;
        fs::remove_dir_all(&layers).map_err(|e| format!("{}: {e}", layers.display()))
    })?;
    Ok(cache::image(format!("oci:{reference}"), &dir))
}

fn download(reference: &str, to: &Path) -> Result<(), String> {
    let mut command = Command::new("skopeo");
    command.args([
        // Images are not trusted: they are executed in a virtual machine only.
        "--insecure-policy",
        "copy",
        "--quiet",
        "--override-arch=amd64",
        "--override-os=linux",
    ]);
    // A registry of this machine seldom has a certificate.
    if is_loopback(reference) {
        command.arg("--src-tls-verify=false");
    }
    command.arg(format!("docker://{reference}"));
    command.arg(format!("dir:{}", to.display()));
    package::run(&mut command).map(drop)
}

fn is_loopback(reference: &str) -> bool {
    let host = reference.split(['/', ':']).next();
    matches!(host, Some("localhost" | "127.0.0.1"))
}

/// The layers of a downloaded image, the last one first: it has precedence.
fn layers_of(dir: &Path) -> Result<Vec<PathBuf>, String> {
    let file = dir.join("manifest.json");
    let wrong = |e: &dyn std::fmt::Display| format!("{}: {e}", file.display());
    let text = fs::read(&file).map_err(|e| wrong(&e))?;
    let manifest: serde_json::Value = serde_json::from_slice(&text).map_err(|e| wrong(&e))?;
    let layers = manifest["layers"].as_array().map_or(&[][..], Vec::as_slice);
    let digests = layers
        .iter()
        .filter_map(|layer| layer["digest"].as_str()?.split_once(':'));
    // The names of files come from a registry.
    let hex = |digest: &str| digest.chars().all(|c| c.is_ascii_hexdigit());
    let files = digests
        .filter(|(_, digest)| hex(digest))
        .map(|(_, digest)| dir.join(digest));
    Ok(files.collect())
}

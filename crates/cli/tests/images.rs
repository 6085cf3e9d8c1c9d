//! Kernels in packages, in repositories and in an OCI registry served on loopback. The kernel is a
//! small file, so that nothing boots: what is checked is what the command unpacks.
#![cfg(target_os = "linux")]

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::common::{Said, command, root, scratch};

const KERNEL: &[u8] = b"not a kernel, but unpacked as one";
const MODULE: &[u8] = b"a module";

/// Returns whether the programs are there, and prints one that is not.
fn have(programs: &[&str]) -> bool {
    let missing = |program: &&&str| {
        let found = Command::new("sh")
            .args(["-c", "command -v \"$0\"", program])
            .output();
        !found.is_ok_and(|found| found.status.success())
    };
    match programs.iter().find(missing) {
        None => true,
        Some(program) => {
            println!("skipped: {program} is not installed");
            false
        }
    }
}

fn run(command: &mut Command) {
    let output = command.stdin(Stdio::null()).output().expect("it starts");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {said}");
}

/// Makes the files of a kernel package below a directory.
fn files(top: &Path, version: &str, kernel: bool, module: bool) {
    let home = top.join("lib/modules").join(version);
    let drivers = home.join("kernel/drivers/net");
    fs::create_dir_all(&drivers).expect("directories");
    if kernel {
        fs::write(home.join("vmlinuz"), KERNEL).expect("a file");
    }
    if module {
        fs::write(drivers.join("veth.ko"), MODULE).expect("a file");
        run(Command::new("xz").arg(drivers.join("veth.ko")));
    }
}

/// A kernel and its module.
type Unpacked = (Vec<u8>, Vec<u8>);

/// Asks for a kernel, and returns what is said and what was unpacked: the kernel and the module.
fn asked(cache: &Path, on: &str, mirror: Option<&str>) -> (Said, Option<Unpacked>) {
    let file = "scenarios/rhel-6.5/connect-after-bind.yaml";
    let mut command = command(&root(), &["certify", file, "--on", on]);
    command.env("XDG_CACHE_HOME", cache);
    if let Some(mirror) = mirror {
        command.env("FOURTUPLE_MIRROR", mirror);
    }
    let output = command.output().expect("the command starts");
    let said = Said {
        status: output.status.code().expect("an exit status"),
        out: String::from_utf8(output.stdout).expect("text"),
        err: String::from_utf8(output.stderr).expect("text"),
    };
    let kernels = cache.join("fourtuple/images");
    let entries = fs::read_dir(kernels).into_iter().flatten().flatten();
    let unpacked = entries.map(|entry| entry.path()).find_map(|dir| {
        assert!(!dir.join("packages").exists(), "downloads are left behind");
        let kernel = fs::read(dir.join("vmlinuz")).ok()?;
        Some((kernel, fs::read(dir.join("veth.ko")).expect("the module")))
    });
    (said, unpacked)
}

/// The kernel is found under this name, and the command only lacks a real one.
fn found(cache: &Path, on: &str, mirror: Option<&str>) {
    let (said, unpacked) = asked(cache, on, mirror);
    assert_eq!(said.status, 2, "{said:?}");
    assert!(
        said.err.contains("not a kernel image (bzImage)"),
        "{}",
        said.err
    );
    assert_eq!(
        unpacked,
        Some((KERNEL.to_owned(), MODULE.to_owned())),
        "{}",
        said.err
    );
}

/// Builds an RPM package from a directory of files.
fn rpm(scratch: &Path, name: &str, files: &Path, to: &Path) {
    let spec = scratch.join(format!("{name}.spec"));
    let text = format!(
        "Name: {name}\nVersion: 5.14.0\nRelease: 1\nSummary: A test\nLicense: MIT\n\
         %define __os_install_post %{{nil}}\n%define debug_package %{{nil}}\n\
         %description\nA test\n%install\ncp -r {}/. %{{buildroot}}\n%files\n/lib/modules\n",
        files.display()
    );
    fs::write(&spec, text).expect("a file");
    let rpms = format!("_rpmdir {}", to.display());
    let top = format!("_topdir {}", scratch.join("rpmbuild").display());
    let mut build = Command::new("rpmbuild");
    build.args([
        "-bb", "--quiet", "--target", "x86_64", "--define", &rpms, "--define", &top,
    ]);
    run(build.arg(spec));
}

/// An RPM repository as RHEL 9 has it: the modules are a package of their own.
fn repository(scratch: &Path) -> PathBuf {
    let repository = scratch.join("repository");
    for (name, kernel) in [("kernel-core", true), ("kernel-modules-core", false)] {
        let inside = scratch.join(name);
        files(&inside, "5.14.0", kernel, !kernel);
        rpm(scratch, name, &inside, &repository);
    }
    run(Command::new("createrepo_c").arg("--quiet").arg(&repository));
    repository
}

/// Builds a Debian package from a directory of files.
fn deb(package: &str, files: &Path, to: &Path) {
    fs::create_dir_all(files.join("DEBIAN")).expect("a directory");
    fs::create_dir_all(to).expect("a directory");
    let control = format!(
        "Package: {package}\nVersion: 1\nArchitecture: amd64\nMaintainer: a test\nDescription: a test\n"
    );
    fs::write(files.join("DEBIAN/control"), control).expect("a file");
    let build = ["--root-owner-group", "--build"];
    run(Command::new("dpkg-deb").args(build).arg(files).arg(to));
}

#[test]
fn packages_are_unpacked() {
    if !have(&["dpkg-deb", "xz"]) {
        return;
    }
    let scratch = scratch("images-deb");
    let (inside, packages) = (scratch.join("files"), scratch.join("packages"));
    files(&inside, "6.8.0", true, true);
    deb("linux-image-6.8.0-generic", &inside, &packages);
    let one = packages.join("linux-image-6.8.0-generic_1_amd64.deb");
    found(&scratch.join("a"), &one.to_string_lossy(), None);
    found(&scratch.join("b"), &packages.to_string_lossy(), None);
}

#[test]
fn rpm_repositories_are_asked_for_the_kernel() {
    if !have(&["rpmbuild", "createrepo_c", "dnf", "bsdtar", "xz"]) {
        return;
    }
    let scratch = scratch("images-rpm");
    let repository = repository(&scratch);
    let served = serve(below(&repository));
    found(&scratch.join("a"), &format!("rpm:{served}/"), None);
    found(&scratch.join("b"), "almalinux:9", Some(&served));
    // Without the network: packages of the repository are a directory like others.
    found(
        &scratch.join("c"),
        &repository.join("x86_64").to_string_lossy(),
        None,
    );
}

#[test]
fn a_mirror_of_ubuntu_is_asked_for_the_kernel() {
    if !have(&["dpkg-deb", "dpkg-scanpackages", "apt-get", "xz"]) {
        return;
    }
    let scratch = scratch("images-apt");
    let mirror = scratch.join("mirror");
    for (package, kernel) in [("image", true), ("modules", false)] {
        let inside = scratch.join(package);
        files(&inside, "6.8.0-45-generic", kernel, !kernel);
        deb(
            &format!("linux-{package}-6.8.0-45-generic"),
            &inside,
            &mirror.join("pool"),
        );
    }
    let scan = ["--multiversion", "pool"];
    let scanned = Command::new("dpkg-scanpackages")
        .args(scan)
        .current_dir(&mirror)
        .output();
    let list = scanned.expect("it starts").stdout;
    assert!(!list.is_empty());
    let suite = mirror.join("dists/noble-updates");
    let lists = suite.join("main/binary-amd64");
    fs::create_dir_all(&lists).expect("directories");
    fs::write(lists.join("Packages"), &list).expect("a file");
    let release = "Codename: noble-updates\nComponents: main\nArchitectures: amd64\n";
    fs::write(suite.join("Release"), release).expect("a file");
    let served = serve(below(&mirror));
    found(&scratch.join("cache"), "ubuntu:6.8", Some(&served));
}

#[test]
fn oci_registries_are_asked_for_the_kernel() {
    if !have(&["skopeo", "bsdtar", "xz"]) {
        return;
    }
    let scratch = scratch("images-oci");
    let inside = scratch.join("files");
    files(&inside, "6.6.1", true, true);
    let layer = scratch.join("layer.tar.gz");
    run(Command::new("bsdtar")
        .arg("-czf")
        .arg(&layer)
        .arg("-C")
        .arg(&inside)
        .arg("lib"));
    let layer = fs::read(layer).expect("the layer");
    let config =
        br#"{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":[]}}"#;
    let blob = |kind: &str, bytes: &[u8]| {
        serde_json::json!({
            "mediaType": format!("application/vnd.oci.image.{kind}"),
            "digest": digest(&scratch, bytes),
            "size": bytes.len(),
        })
    };
    let manifest = serde_json::json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": blob("config.v1+json", config),
        "layers": [blob("layer.v1.tar+gzip", &layer)],
    });
    let manifest = manifest.to_string().into_bytes();
    let path = |kind: &str, name: &str| format!("/v2/test/kernel/{kind}/{name}");
    let files = BTreeMap::from([
        ("/v2/".to_owned(), b"{}".to_vec()),
        (path("manifests", "6.6"), manifest.clone()),
        (
            path("manifests", &digest(&scratch, &manifest)),
            manifest.clone(),
        ),
        (path("blobs", &digest(&scratch, config)), config.to_vec()),
        (path("blobs", &digest(&scratch, &layer)), layer),
    ]);
    let served = serve(files);
    let registry = served.trim_start_matches("http://");
    found(
        &scratch.join("cache"),
        &format!("oci:{registry}/test/kernel:6.6"),
        None,
    );
}

#[test]
fn what_has_no_kernel_is_named() {
    let scratch = scratch("images-wrong");
    let empty = scratch.join("empty");
    fs::create_dir(&empty).expect("a directory");
    fs::write(scratch.join("broken.rpm"), "not a package").expect("a file");
    let nowhere = "oci:127.0.0.1:1/test/kernel:6.6";
    let broken = scratch.join("broken.rpm");
    let cases = [
        (&*empty.to_string_lossy(), "no `.deb` or `.rpm` package"),
        (&*broken.to_string_lossy(), "bsdtar"),
        ("almalinux:new", "is not a release"),
        ("rpm:/tmp", "the address of a repository"),
        (nowhere, "skopeo"),
    ];
    for (on, expected) in cases {
        let (said, unpacked) = asked(&scratch.join("cache"), on, None);
        assert_eq!((said.status, unpacked), (2, None), "{on}");
        assert!(said.err.contains(expected), "{on}: {}", said.err);
    }
}

/// The digest of a blob, as registries name it.
fn digest(scratch: &Path, bytes: &[u8]) -> String {
    let file = scratch.join("blob");
    fs::write(&file, bytes).expect("a file");
    let output = Command::new("sha256sum")
        .arg(file)
        .output()
        .expect("it starts");
    let text = String::from_utf8(output.stdout).expect("text");
    format!("sha256:{}", text.split(' ').next().expect("a digest"))
}

/// The files below a directory, by their paths from it.
fn below(top: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut open = vec![top.to_owned()];
    while let Some(dir) = open.pop() {
        for entry in fs::read_dir(dir).expect("a directory").flatten() {
            let path = entry.path();
            match path.is_dir() {
                true => open.push(path),
                false => {
                    let name = path.strip_prefix(top).expect("it is below");
                    let content = fs::read(&path).expect("a file");
                    found.insert(format!("/{}", name.display()), content);
                }
            }
        }
    }
    found
}

/// Serves files by HTTP until the test ends, and returns the address.
fn serve(files: BTreeMap<String, Vec<u8>>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            // A client that goes away is no failure of the server.
            let _ = answer(stream, &files);
        }
    });
    format!("http://{address}")
}

fn answer(mut stream: TcpStream, files: &BTreeMap<String, Vec<u8>>) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    let request = lines.next().unwrap_or(Ok(String::new()))?;
    for line in lines {
        if line?.is_empty() {
            break;
        }
    }
    let mut words = request.split(' ');
    let (method, path) = (words.next().unwrap_or(""), words.next().unwrap_or(""));
    let (status, content) = match files.get(&path.replace("//", "/")) {
        Some(content) => ("200 OK", content.as_slice()),
        None => ("404 Not Found", &[][..]),
    };
    let kind = match path.contains("/manifests/") {
        true => "application/vnd.oci.image.manifest.v1+json",
        false => "application/octet-stream",
    };
    let length = content.len();
    write!(
        stream,
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
    )?;
    if method == "GET" {
        stream.write_all(content)?;
    }
    stream.flush()
}

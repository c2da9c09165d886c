//! The guest's disk, kernel, initrd and memory, built from Debian packages and cached by content.
//!
//! The recipe is the folder `guest` beside this crate's sources: the package list, an overlay of files,
//! a last hook, and which units that hook enables. Its hash, together with the month (so that point releases and kernels arrive), names
//! the image. When the disk is made, the guest is booted once, and its memory kept (`standby`). Packages come from wherever this machine's apt gets its own.

use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result};

use super::{machine, standby};
use crate::packages;
use crate::workshop::{cache, output, run};

const RELEASE: &str = "bookworm";

/// Room for the packages and for a scenario's medium files; the file is sparse.
const DISK_SIZE: &str = "6G";

/// A guest that has booted and stands by. Never written to: each run has its own overlay.
pub(crate) struct Image {
    folder: PathBuf,
}

impl Image {
    /// The image of today's recipe; builds it if the cache has none, which takes a minute or two.
    ///
    /// # Errors
    /// When a package is missing here, or the build fails.
    pub(crate) fn ready() -> Result<Self> {
        packages::install(packages::GUEST)?;
        let cache = cache()?;
        fs::create_dir_all(&cache).with_context(|| format!("cannot make {}", cache.display()))?;
        let lock = File::create(cache.join("guest.lock"))?;
        lock.lock().context("cannot lock the cache")?;

        let image = Self { folder: cache.join(format!("guest-{}", key()?)) };
        if !image.folder.exists() {
            forget_older(&cache)?;
            image.build()?;
        }
        Ok(image)
    }

    pub(super) fn disk(&self) -> PathBuf {
        self.folder.join("disk.img")
    }

    pub(super) fn kernel(&self) -> PathBuf {
        self.folder.join("vmlinuz")
    }

    pub(super) fn initrd(&self) -> PathBuf {
        self.folder.join("initrd.img")
    }

    /// What the guest had in memory and in its devices when the disk was as it is.
    pub(super) fn memory(&self) -> PathBuf {
        self.folder.join("memory")
    }

    /// Builds in a folder beside the final one and renames it, so that a folder that exists is whole.
    fn build(&self) -> Result<()> {
        println!("building the guest in {} (about two minutes)", self.folder.display());
        let started = Instant::now();
        let workplace = self.folder.with_extension("new");
        if workplace.exists() {
            fs::remove_dir_all(&workplace)?;
        }
        fs::create_dir_all(&workplace)?;

        let tree = workplace.join("rootfs.tar");
        bootstrap(&workplace, &tree)?;
        make_disk(&workplace, &tree)?;
        fs::remove_file(&tree)?;
        standby::make(&Self { folder: workplace.clone() })?;
        fs::rename(&workplace, &self.folder)?;
        println!("the guest is built, {:.0} s", started.elapsed().as_secs_f64());
        Ok(())
    }
}

fn recipe() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("guest")
}

/// The hash of the recipe, of the code that follows it and of the machine it is for, and the month. A
/// hash that another Rust release computes otherwise costs one build.
fn key() -> Result<String> {
    let mut files = Vec::new();
    list_files(&recipe(), &mut files)?;
    files.sort();
    let mut hasher = DefaultHasher::new();
    for code in [include_str!("image.rs"), include_str!("machine.rs"), include_str!("standby.rs")] {
        code.hash(&mut hasher);
    }
    machine::identity()?.hash(&mut hasher);
    for file in files {
        file.strip_prefix(recipe())?.hash(&mut hasher);
        fs::read(&file)?.hash(&mut hasher);
    }
    let month = output(Command::new("date").args(["--utc", "+%Y-%m"]))?;
    Ok(format!("{}-{:016x}", month.trim(), hasher.finish()))
}

fn list_files(folder: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    let entries = fs::read_dir(folder).with_context(|| format!("no {}", folder.display()))?;
    for entry in entries {
        let path = entry?.path();
        if path.is_dir() { list_files(&path, files)? } else { files.push(path) }
    }
    Ok(())
}

/// An image is close to a gigabyte: one is enough.
fn forget_older(cache: &Path) -> Result<()> {
    for entry in fs::read_dir(cache)? {
        let path = entry?.path();
        if path.is_dir() && path.file_name().is_some_and(is_image) {
            fs::remove_dir_all(&path)?;
        }
    }
    Ok(())
}

fn is_image(name: &std::ffi::OsStr) -> bool {
    name.to_string_lossy().starts_with("guest-")
}

/// Makes the root file system as an archive.
fn bootstrap(workplace: &Path, tree: &Path) -> Result<()> {
    let recipe = recipe();
    let include = package_list(&fs::read_to_string(recipe.join("packages"))?);
    let apt_options = workplace.join("apt.conf");
    fs::write(&apt_options, apt_options_of_this_machine()?)?;

    let mut command = Command::new("mmdebstrap");
    command
        .args(["--quiet", "--variant=minbase"])
        .arg(format!("--include={include}"))
        .arg(format!("--aptopt={}", apt_options.display()))
        .args(
            ["man", "locale", "doc"]
                .map(|kind| format!("--dpkgopt=path-exclude=/usr/share/{kind}/*")),
        )
        // Before the kernel's package runs update-initramfs, which the overlay configures.
        .arg(format!("--essential-hook=sync-in '{}' /", recipe.join("overlay").display()))
        .arg(format!("--customize-hook='{0}/customize' \"$1\" '{0}'", recipe.display()))
        .arg(RELEASE)
        .arg(tree);
    let sources = apt_sources_of_this_machine()?;
    if !sources.is_empty() {
        let list = workplace.join("sources.list");
        fs::write(&list, sources)?;
        command.arg(list);
    }
    run(&mut command)
}

/// One package a line, `#` starts a comment.
fn package_list(text: &str) -> String {
    let lines = text.lines().map(str::trim);
    lines.filter(|line| !line.is_empty() && !line.starts_with('#')).collect::<Vec<_>>().join(",")
}

/// This machine's own mirrors of the release, as `sources.list` lines. Empty where apt knows none (on
/// another distribution): mmdebstrap then takes Debian's own.
fn apt_sources_of_this_machine() -> Result<String> {
    let line = "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] \
                $(REPO_URI) $(RELEASE) $(COMPONENT)";
    let mut command = Command::new("apt-get");
    command.args(["indextargets", "--format", line, "Identifier: Packages", "Origin: Debian"]);
    let targets = output(&mut command)?;
    let mut lines: Vec<&str> = targets.lines().filter(|line| is_of_release(line)).collect();
    lines.sort_unstable();
    lines.dedup();
    Ok(lines.iter().flat_map(|line| [line, "\n"]).collect())
}

/// `bookworm` itself, `bookworm-updates` and `bookworm-security`.
fn is_of_release(source: &str) -> bool {
    let suite = source.split_whitespace().nth_back(1).unwrap_or_default();
    matches!(suite.strip_prefix(RELEASE), Some("" | "-updates" | "-security"))
}

/// How this machine's apt reaches its mirrors: proxies, and what it makes of old release files.
fn apt_options_of_this_machine() -> Result<String> {
    let all = output(Command::new("apt-config").args(["dump", "Acquire"]))?;
    let wanted = |line: &&str| {
        ["::Proxy", "::Check-Valid-Until", "::Check-Date", "::Retries", "::Verify-Peer", "::CaInfo"]
            .iter()
            .any(|option| line.split(' ').next().is_some_and(|name| name.ends_with(option)))
    };
    Ok(all.lines().filter(wanted).flat_map(|line| [line, "\n"]).collect())
}

/// Unpacks the archive and turns it into an ext4 disk, kernel and initrd beside it.
///
/// Without being root the files' owners survive in a user namespace; no device node is needed, the
/// guest mounts devtmpfs. No journal: a guest is thrown away after its run.
fn make_disk(workplace: &Path, tree: &Path) -> Result<()> {
    const SCRIPT: &str = "set -eu
        PATH=$PATH:/usr/sbin:/sbin
        cd \"$1\"
        trap 'rm -rf root' EXIT
        mkdir root
        tar --extract --exclude='./dev/*' --directory=root --file=\"$2\"
        cp --dereference root/vmlinuz root/initrd.img .
        chmod a+r vmlinuz initrd.img
        truncate --size=\"$3\" disk.img
        mke2fs -q -t ext4 -O ^has_journal -E lazy_itable_init=0 -d root disk.img";
    let mut command = if packages::is_root()? {
        Command::new("sh")
    } else {
        let mut unshare = Command::new("unshare");
        unshare.args(["--map-root-user", "--map-auto", "sh"]);
        unshare
    };
    run(command.args(["-c", SCRIPT, "make-disk"]).arg(workplace).arg(tree).arg(DISK_SIZE))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_package_list_has_comments() {
        assert_eq!(package_list("# the machine\nudev\n\n  kmod\n"), "udev,kmod");
    }

    #[test]
    fn only_the_release_and_its_updates_are_sources() {
        let of =
            |suite: &str| is_of_release(&format!("deb [x] http://mirror/debian/ {suite} main"));
        assert!(of("bookworm") && of("bookworm-security") && of("bookworm-updates"));
        assert!(!of("bookworm-backports") && !of("trixie") && !of("bookwormish"));
    }
}

//! `cargo xtask dist`: the Debian package.
//!
//! A tree is staged below the target folder and handed to `dpkg-deb`; `dpkg-shlibdeps` computes the
//! dependencies. The folder `debian` beside this crate's sources holds the control files, with
//! `@NAME@` where a value goes. Why not cargo-deb: `docs/decisions/0008-debian-package-by-dpkg-deb.md`.

mod stage;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use clap::Args;

use crate::packages;
use crate::workshop::{cargo, output, root, run as run_command, target};
use stage::{Stage, gzip, set_mode};

/// How to make the package.
#[derive(Args)]
pub(crate) struct Options {
    /// The cargo profile in which the program is built.
    #[arg(long, default_value = "release")]
    profile: String,
}

/// Debian's revision of this version.
const REVISION: &str = "1";

/// What is installed as it lies in the repository: from, to, mode.
const FILES: &[(&str, &str, u32)] = &[
    ("systemd/pulsefield.service", "usr/lib/systemd/system/pulsefield.service", 0o644),
    (
        "systemd/org.kernel.TCMUService1.service",
        "usr/share/dbus-1/system-services/org.kernel.TCMUService1.service",
        0o644,
    ),
    ("systemd/pulsefield.conf", "usr/share/dbus-1/system.d/pulsefield.conf", 0o644),
    ("systemd/pulsefield.toml", "etc/pulsefield/pulsefield.toml", 0o644),
    ("monitoring/alerts.yaml", "usr/share/pulsefield/alerts.yaml", 0o644),
    ("monitoring/dashboard.json", "usr/share/pulsefield/dashboard.json", 0o644),
    ("src/xtask/debian/lintian-overrides", "usr/share/lintian/overrides/pulsefield", 0o644),
];

/// Shells and where their completions go.
const COMPLETIONS: &[(&str, &str)] = &[
    ("bash", "usr/share/bash-completion/completions/pulsefield"),
    ("zsh", "usr/share/zsh/vendor-completions/_pulsefield"),
    ("fish", "usr/share/fish/vendor_completions.d/pulsefield.fish"),
];

const CONTROL_SCRIPTS: &[&str] = &["preinst", "postinst", "prerm", "postrm"];

/// Makes the package and prints where it is.
///
/// # Errors
/// As [`package`].
pub(crate) fn run(options: &Options) -> Result<()> {
    println!("{}", package(&options.profile)?.display());
    Ok(())
}

/// Builds the program in `profile` and makes the package of it; returns the package's path.
///
/// # Errors
/// When something does not build, or a file that belongs into the package is missing.
pub(crate) fn package(profile: &str) -> Result<PathBuf> {
    packages::install(packages::BUILD)?;
    run_command(cargo().args(["build", "--profile", profile, "--package=pulsefield"]))?;
    assemble(profile)
}

/// Makes the package of the program as it was built in `profile`; returns the package's path.
///
/// # Errors
/// When a file that belongs into the package is missing.
pub(crate) fn assemble(profile: &str) -> Result<PathBuf> {
    packages::install(packages::DIST)?;
    let folder = target().join("dist").join(profile);
    let stage = Stage::empty(&folder)?;
    let values = Values::of_this_checkout()?;

    let program = stage.path("usr/bin/pulsefield")?;
    // Debugging data goes, the symbol table stays: a panic in the journal names its functions.
    let built = target().join(profile).join("pulsefield");
    run_command(Command::new("strip").args(["--strip-debug", "-o"]).arg(&program).arg(built))?;
    set_mode(&program, 0o755)?;

    for (from, to, mode) in FILES {
        stage.install(&root().join(from), to, *mode)?;
    }
    for (shell, to) in COMPLETIONS {
        stage.write(to, &output(Command::new(&program).args(["completions", shell]))?, 0o644)?;
    }
    manual_pages(&stage, &program)?;
    documents(&stage, &values)?;
    control_files(&stage, &program, &values)?;

    let package = folder.join(format!("pulsefield_{}_{}.deb", values.version, values.architecture));
    run_command(
        Command::new("dpkg-deb")
            .args(["--root-owner-group", "--build"])
            .args([&stage.root, &package])
            .env("SOURCE_DATE_EPOCH", &values.epoch)
            .stdout(std::process::Stdio::null()),
    )?;
    Ok(package)
}

/// One page a command, gzipped as Debian has them.
fn manual_pages(stage: &Stage, program: &Path) -> Result<()> {
    let folder = stage.path("usr/share/man/man1/pulsefield.1")?;
    let folder = folder.parent().expect("the page lies in a folder");
    run_command(Command::new(program).arg("manual").arg(folder))?;
    for page in fs::read_dir(folder)? {
        let page = page?.path();
        set_mode(&page, 0o644)?;
        gzip(&page)?;
    }
    Ok(())
}

fn documents(stage: &Stage, values: &Values) -> Result<()> {
    let folder = "usr/share/doc/pulsefield";
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("debian");
    let fill = |name: &str| -> Result<String> {
        Ok(values.fill(&fs::read_to_string(sources.join(name))?))
    };
    stage.write(&format!("{folder}/copyright"), &fill("copyright")?, 0o644)?;
    let log = stage.write(&format!("{folder}/changelog.Debian"), &fill("changelog")?, 0o644)?;
    gzip(&log)?;
    let log = stage.install(&root().join("CHANGELOG.md"), &format!("{folder}/changelog"), 0o644)?;
    gzip(&log)?;

    let examples = root().join("targetcli-examples");
    for (from, to) in [(examples.clone(), "targetcli"), (examples.join("faults"), "faults")] {
        for example in fs::read_dir(&from)? {
            let from = example?.path();
            if from.is_dir() {
                continue;
            }
            let script = from.extension().is_some_and(|kind| kind == "sh");
            let mode = if script { 0o755 } else { 0o644 };
            let name = from.file_name().context("an example has a name")?.to_string_lossy();
            stage.install(&from, &format!("{folder}/examples/{to}/{name}"), mode)?;
        }
    }
    Ok(())
}

fn control_files(stage: &Stage, program: &Path, values: &Values) -> Result<()> {
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("debian");
    for script in CONTROL_SCRIPTS {
        stage.install(&sources.join(script), &format!("DEBIAN/{script}"), 0o755)?;
    }
    let conffiles = FILES.iter().filter(|(_, to, _)| to.starts_with("etc/"));
    let conffiles: String = conffiles.map(|(_, to, _)| format!("/{to}\n")).collect();
    stage.write("DEBIAN/conffiles", &conffiles, 0o644)?;

    let sums = "find . -type f -not -path './DEBIAN/*' -printf '%P\\0' | sort -z | xargs -0 md5sum";
    let sums = output(Command::new("sh").args(["-c", sums]).current_dir(&stage.root))?;
    stage.write("DEBIAN/md5sums", &sums, 0o644)?;

    let size = output(Command::new("du").args(["-k", "--summarize"]).arg(&stage.root))?;
    let size = size.split_whitespace().next().context("du says nothing")?;
    let control = values
        .fill(&fs::read_to_string(sources.join("control"))?)
        .replace("@SIZE@", size)
        .replace("@DEPENDS@", &shared_libraries(program)?);
    stage.write("DEBIAN/control", &control, 0o644)?;
    Ok(())
}

/// The packages of the libraries that `program` is linked against, with the versions it needs.
fn shared_libraries(program: &Path) -> Result<String> {
    // dpkg-shlibdeps wants to stand in a source package.
    let sources = target().join("dist/shlibdeps");
    fs::create_dir_all(sources.join("debian"))?;
    fs::write(sources.join("debian/control"), "Source: pulsefield\n")?;
    let mut command = Command::new("dpkg-shlibdeps");
    let found = output(command.arg("-O").arg(program).current_dir(sources))?;
    let depends = found.trim().strip_prefix("shlibs:Depends=");
    Ok(depends.with_context(|| format!("dpkg-shlibdeps says {found:?}"))?.to_owned())
}

/// What goes where `@NAME@` stands in a control file.
struct Values {
    version: String,
    architecture: String,
    /// Seconds since 1970 of the last commit: the same checkout makes the same package.
    epoch: String,
    date: String,
}

impl Values {
    fn of_this_checkout() -> Result<Self> {
        let architecture = output(Command::new("dpkg").arg("--print-architecture"))?;
        let epoch =
            output(Command::new("git").args(["log", "-1", "--format=%ct"]).current_dir(root()));
        // Outside a checkout (an unpacked archive) there is no commit.
        let epoch = epoch.map_or_else(|_| "0".to_owned(), |text| text.trim().to_owned());
        let date = output(Command::new("date").args(["--utc", "-R", "-d", &format!("@{epoch}")]))?;
        Ok(Self {
            version: format!("{}-{REVISION}", env!("CARGO_PKG_VERSION")),
            architecture: architecture.trim().to_owned(),
            epoch,
            date: date.trim().to_owned(),
        })
    }

    fn fill(&self, template: &str) -> String {
        template
            .replace("@VERSION@", &self.version)
            .replace("@ARCHITECTURE@", &self.architecture)
            .replace("@DATE@", &self.date)
            .replace("@HOMEPAGE@", env!("CARGO_PKG_REPOSITORY"))
    }
}

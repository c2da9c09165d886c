//! A file system that fills up.
//!
//! A program of its own: it starts others, and one that has been forked and not yet begun holds a copy of every
//! descriptor, so that in the same process a file which another test has just closed would still be in use.

use std::env;
use std::path::Path;
use std::process::Command;

use pulsefield_backstore::conformance::execute as run;
use pulsefield_backstore::{BackstoreError, Geometry, Handler as _, Op, OpOutput, OpenSpec};
use pulsefield_data::Buffer;
use pulsefield_file::FileHandler;
use pulsefield_units::{BlockCount, BlockLength, Lba, LbaRange};
use tempfile::tempdir;

const BLOCKS: u64 = 4096;
const DONE: Result<OpOutput, BackstoreError> = Ok(OpOutput::Done);

/// Names the small file system to the test that runs in it.
const SMALL_FILE_SYSTEM: &str = "PULSEFIELD_TEST_SMALL_FILE_SYSTEM";

#[test]
fn a_full_disk_is_no_space_and_recovers() {
    if let Some(mount) = env::var_os(SMALL_FILE_SYSTEM) {
        return full_disk(Path::new(&mount));
    }
    // A mount namespace of its own lets any user mount a file system of one megabyte, where the
    // machine permits user namespaces; this test then runs again inside it.
    let folder = tempdir().unwrap();
    let mut namespace = Command::new("unshare");
    namespace.args(["--user", "--map-root-user", "--mount"]);
    let probe = namespace.arg("mount").args(["-t", "tmpfs", "none"]).arg(folder.path()).output();
    if !probe.is_ok_and(|probe| probe.status.success()) {
        eprintln!("not tested: this machine lets a test mount nothing");
        return;
    }
    let output = Command::new("unshare")
        .args(["--user", "--map-root-user", "--mount", "sh", "-ec"])
        .arg(r#"mount -t tmpfs -o size=1m none "$1"; exec "$2" --exact --nocapture "$3""#)
        .arg("sh")
        .arg(folder.path())
        .arg(env::current_exe().unwrap())
        .arg("a_full_disk_is_no_space_and_recovers")
        .env(SMALL_FILE_SYSTEM, folder.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
}

fn full_disk(mount: &Path) {
    let spec = OpenSpec {
        name: "lu".to_owned(),
        config: format!("file/{}/lu.img", mount.display()).parse().expect("a cfgstring"),
        geometry: Geometry { block_length: BlockLength::B512, blocks: BlockCount::new(BLOCKS) },
        claim: None,
    };
    let medium = FileHandler.open(&spec).expect("room for an empty file");
    let everything = LbaRange::new(Lba::new(0), BlockCount::new(BLOCKS)).expect("some blocks");
    let data = || Buffer::heap(usize::try_from(BLOCKS * 512).expect("it fits"));
    let whole = Op::Write { range: everything, durable: false };
    assert_eq!(run(&*medium, whole, data()), Err(BackstoreError::NoSpace));
    let first = LbaRange::new(Lba::new(0), BlockCount::new(8)).expect("some blocks");
    let rewrite = Op::Write { range: first, durable: true };
    assert_eq!(run(&*medium, rewrite, data()), DONE, "what has space can still be written");
    assert_eq!(run(&*medium, Op::Unmap { range: everything }, Buffer::empty()), DONE);
    let half = LbaRange::new(Lba::new(BLOCKS - 1024), BlockCount::new(1024)).expect("some blocks");
    let write = Op::Write { range: half, durable: true };
    assert_eq!(run(&*medium, write, data()), DONE, "space that came back is used");
    assert_eq!(run(&*medium, Op::Flush, Buffer::empty()), DONE, "nothing answered was lost");
}

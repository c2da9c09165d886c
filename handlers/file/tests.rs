use std::fs;
use std::os::unix::fs::{FileExt as _, PermissionsExt as _, symlink};

use pulsefield_backstore::conformance::{Origin, Retains, Subject, execute as run};
use pulsefield_backstore::{BackstoreError, Geometry, OpOutput};
use pulsefield_data::Buffer;
use pulsefield_units::{BlockCount, BlockLength, Lba, LbaRange};
use tempfile::{TempDir, tempdir};

use super::*;

mod defaults {
    use super::*;

    pulsefield_backstore::conformance_tests!(Subject {
        handler: &FileHandler,
        cfgstring: |folder| format!("file/{}/lu.img", folder.display()),
        read_only: Some(|folder| format!("file/{}/lu.img;read-only=yes", folder.display())),
        retains: Retains::Yes,
        origin: Origin::Made,
    });
}

mod write_through_on_one_worker {
    use super::*;

    pulsefield_backstore::conformance_tests!(Subject {
        handler: &FileHandler,
        cfgstring: |folder| {
            format!("file/{}/lu.img;cache=write-through;workers=1", folder.display())
        },
        read_only: Some(|folder| format!("file/{}/lu.img;read-only=yes", folder.display())),
        retains: Retains::Yes,
        origin: Origin::Made,
    });
}

mod by_io_uring {
    use super::*;

    pulsefield_backstore::conformance_tests!(Subject {
        handler: &FileHandler,
        // As it is where there is none.
        cfgstring: |folder| {
            let way = if has_io_uring() { "uring" } else { "auto" };
            format!("file/{}/lu.img;io={way}", folder.display())
        },
        read_only: Some(|folder| format!("file/{}/lu.img;read-only=yes", folder.display())),
        retains: Retains::Yes,
        origin: Origin::Made,
    });
}

/// Whether this machine lets a test have io_uring.
fn has_io_uring() -> bool {
    let scene = Scene::new();
    let opened = FileHandler.open(&scene.spec("lu.img;io=uring"));
    if let Err(error) = &opened {
        eprintln!("not tested with io_uring: {error}");
    }
    opened.is_ok()
}

const BLOCKS: u64 = 4096;
const BYTES: u64 = BLOCKS * 512;

/// A folder, and what is tried with the file `lu.img` in it.
struct Scene {
    folder: TempDir,
}

impl Scene {
    fn new() -> Self {
        Self { folder: tempdir().unwrap() }
    }

    fn with_file(bytes: u64) -> Self {
        let scene = Self::new();
        File::create(scene.path()).unwrap().set_len(bytes).unwrap();
        scene
    }

    fn path(&self) -> std::path::PathBuf {
        self.folder.path().join("lu.img")
    }

    fn spec(&self, name_and_options: &str) -> OpenSpec {
        spec(&self.folder.path().join(name_and_options).display().to_string())
    }

    fn open(&self, name_and_options: &str) -> Arc<dyn Backstore> {
        FileHandler.open(&self.spec(name_and_options)).unwrap()
    }

    /// What both `check` and `open` say against it, with the folder's name taken out.
    fn refusal(&self, name_and_options: &str) -> String {
        let checked = FileHandler.check(&self.spec(name_and_options).config).map(|()| "fine");
        let checked = self.without_folder(&checked.unwrap_err());
        assert_eq!(checked, self.refusal_to_open(name_and_options), "check and open disagree");
        checked
    }

    /// What only `open` can see is wrong.
    fn refusal_to_open(&self, name_and_options: &str) -> String {
        let opened = FileHandler.open(&self.spec(name_and_options)).map(|_| "opened");
        self.without_folder(&opened.unwrap_err())
    }

    fn without_folder(&self, error: &OpenError) -> String {
        error.to_string().replace(&self.folder.path().display().to_string(), "")
    }
}

fn spec(locator_and_options: &str) -> OpenSpec {
    OpenSpec {
        name: "lu".to_owned(),
        config: format!("file/{locator_and_options}").parse().unwrap(),
        geometry: Geometry { block_length: BlockLength::B512, blocks: BlockCount::new(BLOCKS) },
        claim: None,
    }
}

fn everything() -> LbaRange {
    LbaRange::new(Lba::new(0), BlockCount::new(BLOCKS)).unwrap()
}

fn data() -> Buffer {
    let mut buffer = Buffer::heap(usize::try_from(BYTES).unwrap());
    buffer.fill(0, buffer.len(), 0x5a);
    buffer
}

const DONE: Result<OpOutput, BackstoreError> = Ok(OpOutput::Done);

#[test]
fn a_medium_that_takes_anothers_place_is_not_in_its_way() {
    let scene = Scene::with_file(BYTES);
    let first = scene.open("lu.img");
    let other = scene.open("other.img");
    let in_place_of = |medium: &Arc<dyn Backstore>| {
        let spec = scene.spec("lu.img;cache=write-through");
        FileHandler.open(&OpenSpec { claim: medium.claim(), ..spec })
    };
    assert!(matches!(in_place_of(&other), Err(OpenError::InUse { .. })), "another file's claim");
    let second = in_place_of(&first).unwrap();
    drop(first);
    assert!(scene.refusal("lu.img").contains("in use"), "the claim went over");
    let third = in_place_of(&second).unwrap();
    drop(second);
    assert!(scene.refusal("lu.img").contains("in use"));
    drop(third);
    drop(scene.open("lu.img"));
}

#[test]
fn a_missing_file_is_created_sparse_and_for_its_owner_only() {
    let scene = Scene::new();
    let medium = scene.open("lu.img");
    let metadata = fs::metadata(scene.path()).unwrap();
    assert_eq!((metadata.len(), metadata.blocks()), (BYTES, 0));
    assert_eq!(metadata.permissions().mode() & 0o777, 0o600);
    assert_eq!(run(&*medium, Op::Write { range: everything(), durable: true }, data()), DONE);
    drop(medium);
    drop(scene.open("lu.img"));
    let mut bytes = [0; 4];
    File::open(scene.path()).unwrap().read_exact_at(&mut bytes, BYTES - 4).unwrap();
    assert_eq!(bytes, [0x5a; 4], "an existing file is opened as it is");
}

#[test]
fn unmapping_frees_space_on_the_disk() {
    let scene = Scene::new();
    let medium = scene.open("lu.img");
    assert!(medium.capabilities().thin, "the tests' file system cannot punch holes");
    let blocks = || fs::metadata(scene.path()).unwrap().blocks();
    assert_eq!(run(&*medium, Op::Write { range: everything(), durable: true }, data()), DONE);
    assert!(blocks() >= BLOCKS);
    assert_eq!(run(&*medium, Op::Unmap { range: everything() }, Buffer::empty()), DONE);
    assert_eq!(blocks(), 0);
}

#[test]
fn a_missing_folder_is_named() {
    let scene = Scene::new();
    assert_eq!(
        scene.refusal("srv/lu.img"),
        "/srv/lu.img cannot be created: there is no folder /srv"
    );
}

#[test]
fn a_path_must_be_there_and_absolute() {
    let check = |text: &str| FileHandler.check(&text.parse().unwrap()).unwrap_err().to_string();
    assert_eq!(check("file/"), "`file/` must be followed by an absolute path");
    assert_eq!(check("file/srv/a"), "`srv/a` is not an absolute path; write file//srv/a");
}

#[test]
fn only_regular_files_are_served() {
    let scene = Scene::new();
    fs::create_dir(scene.path()).unwrap();
    assert_eq!(scene.refusal("lu.img"), "/lu.img is a folder; file/ serves regular files only");
    let error = FileHandler.check(&spec("/dev/null").config).unwrap_err();
    assert_eq!(
        error.to_string(),
        "/dev/null is a character device; file/ serves regular files only"
    );
}

#[test]
fn a_file_of_another_size_is_refused_with_both_numbers() {
    assert_eq!(
        Scene::with_file(BYTES - 512).refusal_to_open("lu.img"),
        "/lu.img holds 2096640 bytes, the logical unit wants 2097152; \
         give the logical unit that size, or grow the file with truncate(1)"
    );
    let scene = Scene::with_file(BYTES + 1);
    assert_eq!(
        scene.refusal_to_open("lu.img"),
        "/lu.img holds 2097153 bytes, the logical unit wants 2097152; \
         give the logical unit that size, or cut the file with truncate(1) and lose its end"
    );
    assert_eq!(fs::metadata(scene.path()).unwrap().len(), BYTES + 1, "it is left as it was");
}

#[test]
fn one_file_serves_one_logical_unit_by_whatever_name() {
    let scene = Scene::new();
    let first = scene.open("lu.img");
    fs::hard_link(scene.path(), scene.folder.path().join("hard.img")).unwrap();
    symlink(scene.path(), scene.folder.path().join("soft.img")).unwrap();
    for name in ["lu.img", "hard.img", "soft.img", "lu.img;read-only=yes"] {
        let path = name.split(';').next().unwrap();
        assert_eq!(
            scene.refusal(name),
            format!("/{path} is in use by another logical unit or program")
        );
    }
    drop(first);
    drop(scene.open("hard.img"));
}

#[test]
fn what_fails_to_open_leaves_no_file_behind() {
    let scene = Scene::new();
    let mut spec = scene.spec("lu.img");
    // A size that no file has, and one that no file system of the tests has.
    for blocks in [1 << 60, (1 << 54) - 1] {
        spec.geometry.blocks = BlockCount::new(blocks);
        assert!(FileHandler.open(&spec).is_err());
        assert!(!scene.path().exists());
    }
}

#[test]
fn a_file_that_cannot_be_written_is_served_only_when_asked() {
    // Not even root may write this one, and no test needs to prepare it.
    const FIXED: &str = "/sys/kernel/uevent_seqnum";
    let error = FileHandler.check(&spec(FIXED).config).unwrap_err().to_string();
    assert!(error.starts_with("/sys/kernel/uevent_seqnum cannot be written ("), "{error}");
    assert!(error.ends_with("); `;read-only=yes` serves it as it is"), "{error}");
    FileHandler.check(&spec(&format!("{FIXED};read-only=yes")).config).unwrap();

    let scene = Scene::with_file(BYTES);
    let medium = scene.open("lu.img;read-only=yes");
    assert!(medium.capabilities().read_only);
    assert_eq!(run(&*medium, Op::Read { range: everything() }, data()), DONE);
    let refused = run(&*medium, Op::Write { range: everything(), durable: false }, data());
    assert_eq!(refused, Err(BackstoreError::ReadOnly));
}

#[test]
fn a_missing_file_is_not_created_for_reading() {
    let scene = Scene::new();
    assert_eq!(
        scene.refusal("lu.img;read-only=yes"),
        "open /lu.img: No such file or directory (os error 2)"
    );
    assert!(!scene.path().exists());
}

#[test]
fn options_are_checked_before_anything_is_touched() {
    let scene = Scene::new();
    assert_eq!(
        scene.refusal("lu.img;cache=writethrough"),
        "`writethrough` is no value of option `cache`; did you mean `write-through`? \
         (known: write-back, write-through)"
    );
    assert_eq!(
        scene.refusal("lu.img;workers=0"),
        "option `workers` is a number from 1 to 64, not `0`"
    );
    assert!(!scene.path().exists());
}

#[test]
fn the_write_cache_is_what_the_option_says() {
    let scene = Scene::new();
    assert!(scene.open("a.img").capabilities().write_cache);
    assert!(scene.open("b.img;cache=write-back").capabilities().write_cache);
    assert!(!scene.open("c.img;cache=write-through").capabilities().write_cache);
}

#[test]
fn a_deleted_file_is_served_to_the_end() {
    let scene = Scene::new();
    let medium = scene.open("lu.img");
    fs::remove_file(scene.path()).unwrap();
    assert_eq!(run(&*medium, Op::Write { range: everything(), durable: false }, data()), DONE);
    assert_eq!(run(&*medium, Op::Flush, Buffer::empty()), DONE);
    assert_eq!(run(&*medium, Op::Read { range: everything() }, data()), DONE);
}

#[test]
fn a_deletion_is_noticed_once() {
    let scene = Scene::with_file(BYTES);
    let file = File::open(scene.path()).unwrap();
    let watch = DeletionWatch::default();
    assert!(!watch.notices(&file));
    fs::remove_file(scene.path()).unwrap();
    assert!(watch.notices(&file));
    assert!(!watch.notices(&file));
}

//! The kit runs on image files opened the way devices are, so everywhere; what only a device shows
//! runs on loop devices, where the machine has them and lets a test have one.

use std::cell::RefCell;
use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _, symlink};
use std::path::PathBuf;
use std::process::Command;

use nix::fcntl::OFlag;
use pulsefield_backstore::conformance::{self, Origin, Retains, Subject, execute as run};
use pulsefield_backstore::{BackstoreError, Op, OpOutput, Topology};
use pulsefield_data::Buffer;
use pulsefield_units::{BlockCount, BlockLength, Lba, LbaRange};
use tempfile::{TempDir, tempdir};

use super::*;

/// Larger than any medium of the kit.
const DISK_BYTES: u64 = 24 << 20;

/// A device's options on an image file, which the first to open it makes.
struct ImageHandler;

impl Handler for ImageHandler {
    fn name(&self) -> &'static str {
        "image"
    }

    fn description(&self) -> &'static str {
        BlockHandler.description()
    }

    fn options(&self) -> &'static [&'static str] {
        BlockHandler.options()
    }

    fn check(&self, config: &Cfgstring) -> Result<(), OpenError> {
        Options::parse(config).map(drop).map_err(OpenError::from)
    }

    fn open(&self, spec: &OpenSpec) -> Result<Arc<dyn Backstore>, OpenError> {
        let options = Options::parse(&spec.config)?;
        let path = spec.config.absolute_path()?;
        let direct = if options.cache == Cache::None { OFlag::O_DIRECT } else { OFlag::empty() };
        let mut open = OpenOptions::new();
        open.read(true).write(true).create(true).truncate(false).custom_flags(direct.bits());
        let file = open.open(path).unwrap();
        file.set_len(DISK_BYTES).unwrap();
        let limits = Limits {
            logical_block_bytes: 512,
            read_only: false,
            zoned: false,
            write_cache: true,
            punches: true,
            topology: Topology::default(),
        };
        let medium = options.medium(Device { file, limits, claim: None }, path, spec.geometry)?;
        let Options { io, workers, .. } = options;
        Ok(Arc::new(WorkedMedium::start(medium, &spec.name, io, workers, |_, _| {}).unwrap()))
    }
}

mod past_the_page_cache {
    use super::*;

    pulsefield_backstore::conformance_tests!(Subject {
        handler: &ImageHandler,
        cfgstring: |folder| format!("image/{}/disk.img", folder.display()),
        read_only: Some(|folder| format!("image/{}/disk.img;read-only=yes", folder.display())),
        retains: Retains::Yes,
        origin: Origin::Found,
    });
}

mod by_threads {
    use super::*;

    pulsefield_backstore::conformance_tests!(Subject {
        handler: &ImageHandler,
        cfgstring: |folder| format!("image/{}/disk.img;io=threads", folder.display()),
        read_only: Some(|folder| format!("image/{}/disk.img;read-only=yes", folder.display())),
        retains: Retains::Yes,
        origin: Origin::Found,
    });
}

mod through_the_page_cache {
    use super::*;

    pulsefield_backstore::conformance_tests!(Subject {
        handler: &ImageHandler,
        cfgstring: |folder| format!("image/{}/disk.img;cache=write-through", folder.display()),
        read_only: Some(|folder| format!("image/{}/disk.img;read-only=yes", folder.display())),
        retains: Retains::Yes,
        origin: Origin::Found,
    });
}

/// A loop device over `disk.img`.
struct Loop {
    device: String,
    image: PathBuf,
}

impl Loop {
    /// `None`, and a word about it, where there are none to be had.
    fn over(folder: &Path, options: &[&str]) -> Option<Self> {
        let image = folder.join("disk.img");
        File::create(&image).unwrap().set_len(DISK_BYTES).unwrap();
        let mut command = Command::new("losetup");
        let attached = command.args(["--find", "--show"]).args(options).arg(&image).output();
        let Some(output) = attached.ok().filter(|output| output.status.success()) else {
            eprintln!("not tested on a device: this machine gives a test no loop device");
            return None;
        };
        let device = String::from_utf8(output.stdout).unwrap().trim().to_owned();
        Some(Self { device, image })
    }

    fn losetup(&self, option: &str) {
        let done = Command::new("losetup").args([option, &self.device]).status();
        assert!(done.unwrap().success(), "losetup {option} {}", self.device);
    }

    fn spec(&self, options: &str) -> OpenSpec {
        spec(&format!("{}{options}", self.device))
    }

    /// What both `check` and `open` say against it.
    fn refusal(&self, options: &str) -> String {
        let spec = self.spec(options);
        let checked = BlockHandler.check(&spec.config).unwrap_err().to_string();
        let opened = BlockHandler.open(&spec).map(|_| "opened").unwrap_err().to_string();
        assert_eq!(checked, opened, "check and open disagree");
        checked.replace(&self.device, "/dev/loop")
    }
}

impl Drop for Loop {
    fn drop(&mut self) {
        // Detached at the last close if somebody still has it.
        let _ = Command::new("losetup").args(["--detach", &self.device]).status();
    }
}

const BLOCKS: u64 = 4096;

fn spec(locator_and_options: &str) -> OpenSpec {
    OpenSpec {
        name: "lu".to_owned(),
        config: format!("block/{locator_and_options}").parse().unwrap(),
        geometry: Geometry { block_length: BlockLength::B512, blocks: BlockCount::new(BLOCKS) },
        claim: None,
    }
}

fn blocks(start: u64, blocks: u64) -> LbaRange {
    LbaRange::new(Lba::new(start), BlockCount::new(blocks)).unwrap()
}

const DONE: Result<OpOutput, BackstoreError> = Ok(OpOutput::Done);

#[test]
fn only_block_devices_are_served() {
    let refusal = |path: &str| BlockHandler.check(&spec(path).config).unwrap_err().to_string();
    assert_eq!(
        refusal("/dev/null"),
        "/dev/null is a character device; block/ serves block devices only"
    );
    let folder = tempdir().unwrap();
    let file = folder.path().join("disk.img");
    File::create(&file).unwrap();
    let file = file.display().to_string();
    let expected = format!("{file} is a regular file; block/ serves block devices only");
    assert_eq!(refusal(&file), expected);
    assert_eq!(refusal("/dev/sdnone"), "open /dev/sdnone: No such file or directory (os error 2)");
    let check = |text: &str| BlockHandler.check(&text.parse().unwrap()).unwrap_err().to_string();
    assert_eq!(check("block/dev/sda"), "`dev/sda` is not an absolute path; write block//dev/sda");
}

#[test]
fn the_write_cache_is_the_devices_unless_the_page_cache_is_used() {
    let folder = tempdir().unwrap();
    let file = || tempfile::tempfile_in(folder.path()).unwrap();
    for (cache, devices, expected) in [
        ("none", true, true),
        ("none", false, false),
        ("write-back", false, true),
        ("write-through", true, false),
    ] {
        let spec = spec(&format!("/dev/sdx;cache={cache}"));
        let limits = Limits {
            logical_block_bytes: 512,
            read_only: false,
            zoned: false,
            write_cache: devices,
            punches: false,
            topology: Topology::default(),
        };
        let file = file();
        file.set_len(DISK_BYTES).unwrap();
        let options = Options::parse(&spec.config).unwrap();
        let medium = options
            .medium(Device { file, limits, claim: None }, "/dev/sdx", spec.geometry)
            .unwrap();
        assert_eq!(medium.capabilities().write_cache, expected, "{cache}");
    }
}

thread_local! {
    /// The loop devices of the test that runs on this thread.
    static LOOPS: RefCell<Vec<Loop>> = const { RefCell::new(Vec::new()) };
}

/// The cfgstring of the loop device over the image in `folder`, attached when first asked for.
fn loop_in(folder: &Path) -> String {
    LOOPS.with_borrow_mut(|loops| {
        if !loops.iter().any(|it| it.image.starts_with(folder)) {
            loops.push(Loop::over(folder, &[]).expect("there was one a moment ago"));
        }
        let found = loops.iter().find(|it| it.image.starts_with(folder)).unwrap();
        format!("block/{}", found.device)
    })
}

#[test]
fn loop_devices_keep_the_promises() {
    let folder = tempdir().unwrap();
    if Loop::over(folder.path(), &[]).is_none() {
        return;
    }
    let subject = Subject {
        handler: &BlockHandler,
        cfgstring: loop_in,
        read_only: Some(|folder| format!("{};read-only=yes", loop_in(folder))),
        retains: Retains::Yes,
        origin: Origin::Found,
    };
    for promise in [
        conformance::what_is_written_is_read_back,
        conformance::a_longer_buffer_keeps_its_tail,
        conformance::zeroed_blocks_read_as_zeros,
        conformance::unmapped_blocks_read_as_zeros,
        conformance::provisioning_covers_every_block,
        conformance::durable_writes_and_flushes_are_answered,
        conformance::requests_side_by_side_are_each_answered_once,
        conformance::growing_adds_zeros_and_shrinking_forgets,
        conformance::a_read_only_medium_refuses_to_change,
    ] {
        promise(&subject);
        LOOPS.with_borrow_mut(Vec::clear);
    }
}

/// A test's folder, and a loop device in it if there is one.
fn scene(options: &[&str]) -> Option<(TempDir, Loop)> {
    let folder = tempdir().unwrap();
    let disk = Loop::over(folder.path(), options)?;
    Some((folder, disk))
}

#[test]
fn a_device_serves_one_logical_unit_by_whatever_name() {
    let Some((folder, disk)) = scene(&[]) else { return };
    let first = BlockHandler.open(&disk.spec("")).unwrap();
    let busy = "/dev/loop is in use by another logical unit or program";
    assert_eq!(disk.refusal(""), busy);
    assert_eq!(disk.refusal(";read-only=yes"), busy);
    let link = folder.path().join("link");
    symlink(&disk.device, &link).unwrap();
    let link = spec(&link.display().to_string());
    assert!(matches!(BlockHandler.open(&link), Err(OpenError::InUse { .. })));
    // But not if it takes the place of the one that has it.
    let second = BlockHandler.open(&OpenSpec { claim: first.claim(), ..link.clone() }).unwrap();
    drop(first);
    assert_eq!(disk.refusal(""), busy, "the claim went over");
    drop(second);
    drop(BlockHandler.open(&link).unwrap());
}

#[test]
fn a_device_may_be_larger_than_its_logical_unit_and_not_smaller() {
    let Some((_folder, disk)) = scene(&[]) else { return };
    let medium = BlockHandler.open(&disk.spec("")).unwrap();
    let all = DISK_BYTES / 512;
    medium.resize(BlockCount::new(all)).unwrap();
    let more = BlockCount::new(all + 1);
    let refused = medium.resize(more).unwrap_err();
    assert_eq!(
        refused.to_string().replace(&disk.device, "/dev/loop"),
        "/dev/loop holds 25165824 bytes, the logical unit wants 25166336; \
         give the logical unit at most that size, or grow the device"
    );
    OpenOptions::new().write(true).open(&disk.image).unwrap().set_len(DISK_BYTES + 512).unwrap();
    disk.losetup("--set-capacity");
    medium.resize(more).unwrap();
}

#[test]
fn a_4kn_device_takes_no_blocks_of_512_bytes() {
    let Some((_folder, disk)) = scene(&["--sector-size", "4096"]) else { return };
    let mut spec = disk.spec("");
    let refused = BlockHandler.open(&spec).map(|_| "opened").unwrap_err();
    assert!(matches!(refused, OpenError::BlockLength { found: 4096, wanted: 512, .. }));
    spec.geometry.block_length = BlockLength::B4096;
    let medium = BlockHandler.open(&spec).unwrap();
    assert_eq!(medium.capabilities().topology.physical_block_bytes, 4096);
    let write = Op::Write { range: blocks(1, 1), durable: true };
    assert_eq!(run(&*medium, write, Buffer::heap(4096)), DONE);
}

#[test]
fn a_device_that_cannot_be_written_is_served_only_when_asked() {
    let Some((_folder, disk)) = scene(&["--read-only"]) else { return };
    assert_eq!(
        disk.refusal(""),
        "/dev/loop cannot be written (Read-only file system (os error 30)); \
         `;read-only=yes` serves it as it is"
    );
    let medium = BlockHandler.open(&disk.spec(";read-only=yes")).unwrap();
    assert!(medium.capabilities().read_only && !medium.capabilities().thin);
    let write = Op::Write { range: blocks(0, 1), durable: false };
    assert_eq!(run(&*medium, write, Buffer::heap(512)), Err(BackstoreError::ReadOnly));
}

#[test]
fn writes_go_past_the_page_cache_and_unmap_gives_space_back() {
    let Some((_folder, disk)) = scene(&[]) else { return };
    let medium = BlockHandler.open(&disk.spec("")).unwrap();
    assert!(medium.capabilities().thin, "a loop device over this file system cannot unmap");
    let mut data = Buffer::heap(1 << 20);
    data.fill(0, 1 << 20, 0x5a);
    let write = Op::Write { range: blocks(0, 2048), durable: true };
    assert_eq!(run(&*medium, write, data), DONE);
    let mut bytes = [0; 4];
    File::open(&disk.image).unwrap().read_exact_at(&mut bytes, 4096).unwrap();
    assert_eq!(bytes, [0x5a; 4], "the device has it, and nobody closed anything");
    let allocated = || std::os::unix::fs::MetadataExt::blocks(&fs::metadata(&disk.image).unwrap());
    assert!(allocated() >= 2048);
    assert_eq!(run(&*medium, Op::Unmap { range: blocks(0, 2048) }, Buffer::empty()), DONE);
    assert!(allocated() < 2048);
}

#[test]
fn a_device_that_was_taken_away_is_gone_and_not_full() {
    let Some((_folder, disk)) = scene(&[]) else { return };
    let medium = BlockHandler.open(&disk.spec("")).unwrap();
    OpenOptions::new().write(true).open(&disk.image).unwrap().set_len(0).unwrap();
    disk.losetup("--set-capacity");
    let gone = Err(BackstoreError::Gone);
    let range = blocks(0, 8);
    let room = || Buffer::heap(4096);
    assert_eq!(run(&*medium, Op::Read { range }, room()), gone);
    assert_eq!(run(&*medium, Op::Write { range, durable: false }, room()), gone);
    assert_eq!(run(&*medium, Op::Unmap { range }, Buffer::empty()), gone);
    let size = medium.resize(BlockCount::new(BLOCKS + 1)).unwrap_err();
    assert!(matches!(size, OpenError::Size { found: 0, .. }));
}

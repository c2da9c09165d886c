//! Golden bytes: every page and every descriptor of a command that a unit answers with is in `golden.txt`,
//! and nothing else is.
//!
//! The codes are tried one by one, so a new page or command fails here until its bytes have been read
//! against the standard and put there. A test that fails prints what the unit says in the file's own form.

use std::collections::BTreeMap;

use pulsefield_scsi::{Status, opcode};
use pulsefield_units::Cdb;

use crate::testing::{World, cdb, filled, out, room};
use crate::{Identity, PoolLimits, SpaceReport};

/// Some bytes and what they are.
struct Row {
    bytes: Vec<u8>,
    note: &'static str,
}

/// Answers by name.
#[derive(Default)]
struct Answers(BTreeMap<String, Vec<Row>>);

impl Answers {
    /// The sections of the file whose names begin with `family`.
    fn golden(family: &str) -> Self {
        let mut sections = Self::default();
        let mut rows: Option<&mut Vec<Row>> = None;
        for line in include_str!("golden.txt").lines() {
            let line = line.split('#').next().unwrap_or_default().trim();
            if let Some(name) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
                let wanted = name.starts_with(family);
                rows = wanted.then(|| sections.0.entry(name.to_owned()).or_default());
            } else if let Some(rows) = &mut rows {
                let bytes = line.split_whitespace().map(|byte| u8::from_str_radix(byte, 16));
                rows.push(Row { bytes: bytes.collect::<Result<_, _>>().unwrap(), note: "" });
            }
        }
        sections
    }

    /// Adds a page, 16 bytes a row.
    fn add_page(&mut self, name: String, bytes: &[u8]) {
        let row = |bytes: &[u8]| Row { bytes: bytes.to_vec(), note: "" };
        self.0.insert(name, bytes.chunks(16).map(row).collect());
    }

    fn bytes(&self, name: &str) -> Option<Vec<u8>> {
        self.0.get(name).map(|rows| rows.iter().flat_map(|row| row.bytes.clone()).collect())
    }

    /// What of `self` is not in `other`, as it would stand in the file.
    fn without(&self, other: &Self) -> String {
        let differs = |name: &&String| self.bytes(name) != other.bytes(name);
        self.0.keys().filter(differs).map(|name| self.section(name)).collect()
    }

    fn section(&self, name: &str) -> String {
        let row = |row: &Row| {
            let bytes: String = row.bytes.iter().map(|byte| format!("{byte:02x} ")).collect();
            let note = if row.note.is_empty() { String::new() } else { format!(" # {}", row.note) };
            format!("{}{note}\n", bytes.trim_end())
        };
        let rows: String = self.0[name].iter().map(row).collect();
        format!("[{name}]\n{rows}\n")
    }

    #[track_caller]
    fn assert_golden(&self, family: &str) {
        let golden = Self::golden(family);
        let (said, wanted) = (self.without(&golden), golden.without(self));
        assert!(said.is_empty() && wanted.is_empty(), "said:\n{said}golden:\n{wanted}");
    }
}

/// The parameter list of MODE SELECT (6) that leaves the Control page as it is.
const CONTROL_PAGE: [u8; 16] =
    [0, 0, 0, 0, 0x0a, 0x0a, 0x02, 0x10, 0, 0x40, 0, 0, 0xff, 0xff, 0, 0];

/// A unit that has every command and every page: thin, removable, with atomic writes and CDBs of 32 bytes, in
/// a pool with a threshold of which nothing is reached.
fn world() -> World {
    const MIB: u64 = 1 << 20;
    let mut world = World::with(|setup| {
        setup.config.removable = true;
        setup.config.long_cdbs = true;
        let name = "gold".to_owned();
        setup.config.pool = Some(PoolLimits { name, limit: 64 * MIB, thresholds: vec![48 * MIB] });
    });
    world.server.on_identity(Identity::new("0ab8b6e1-1c4a-4d0a-9f0e-c2b1b1b8d8f7"));
    world.server.on_space(SpaceReport { allocated: 3 * MIB, used: 5 * MIB });
    world.poll();
    world
}

/// The data that a command returns, unless it is refused.
fn asked(world: &mut World, cdb: &[u8]) -> Option<Vec<u8>> {
    let tag = world.send(cdb, room(4096));
    if world.waits(tag) {
        world.server.on_port_groups(vec![]);
        world.poll();
    }
    let reply = world.answer(tag);
    (reply.status == Status::Good).then(|| reply.bytes[..reply.data_in.unwrap()].to_vec())
}

#[test]
fn vital_product_data() {
    let (mut world, mut answers) = (world(), Answers::default());
    answers.add_page("INQUIRY".to_owned(), &asked(&mut world, &cdb::inquiry(None)).unwrap());
    for code in 0..=0xff {
        if let Some(bytes) = asked(&mut world, &cdb::inquiry(Some(code))) {
            answers.add_page(format!("INQUIRY, page {code:02X}h"), &bytes);
        }
    }
    answers.assert_golden("INQUIRY");
}

#[test]
fn mode_pages() {
    let (mut world, mut answers) = (world(), Answers::default());
    // So that the four kinds of values differ: D_SENSE on for good, then WCE off for now.
    let (write_cache, mut control) = (cdb::write_cache(false), CONTROL_PAGE);
    control[4 + 2] |= 0x04;
    world.execute(&[0x15, 0x11, 0, 0, 16, 0], out(&control)).good();
    world.execute(&cdb::mode_select(&write_cache), out(&write_cache)).good();
    // 3Fh and FFh stand for all of them.
    for (code, subpage) in (0..0x3f).flat_map(|code| (0..0xff).map(move |sub| (code, sub))) {
        let values = (0..).zip(["current", "changeable", "default", "saved"]);
        let rows = values.filter_map(|(page_control, note)| {
            let mode_sense = [0x1a, 0x08, page_control << 6 | code, subpage, 255, 0];
            asked(&mut world, &mode_sense).map(|bytes| Row { bytes, note })
        });
        let rows: Vec<_> = rows.collect();
        if !rows.is_empty() {
            answers.0.insert(format!("MODE SENSE (6), page {code:02X}h/{subpage:02X}h"), rows);
        }
    }
    for (form, descriptor) in [(0x00, "short"), (0x10, "long")] {
        let mode_sense = [0x5a, form, 0x0a, 0, 0, 0, 0, 2, 0, 0];
        let name = format!("MODE SENSE (10), {descriptor} block descriptor");
        answers.add_page(name, &asked(&mut world, &mode_sense).unwrap());
    }
    answers.assert_golden("MODE SENSE");
}

#[test]
fn log_pages() {
    let (mut world, mut answers) = (world(), Answers::default());
    world.execute(&cdb::write(0, 3), out(&filled(b'A', 3))).good();
    world.execute(&cdb::read(0, 2), room(1024)).good();
    for (code, subpage) in (0..=0x3f).flat_map(|code| (0..=0xff).map(move |sub| (code, sub))) {
        let log_sense = [0x4d, 0, 0x40 | code, subpage, 0, 0, 0, 2, 0, 0];
        if let Some(bytes) = asked(&mut world, &log_sense) {
            answers.add_page(format!("LOG SENSE, page {code:02X}h/{subpage:02X}h"), &bytes);
        }
    }
    answers.assert_golden("LOG SENSE");
}

/// REPORT SUPPORTED OPERATION CODES.
fn operation_codes(world: &mut World, options: u8, opcode: u8, action: u8) -> Vec<u8> {
    let report = [0xa3, 0x0c, options, opcode, 0, action, 0, 0, 0x10, 0, 0, 0];
    asked(world, &report).unwrap()
}

/// T10's name of a command. Its service action stands in byte 1 or, of a CDB of 32 bytes, in byte 9.
fn name_of(opcode: u8, action: u8) -> &'static str {
    let cdb = [opcode, action, 0, 0, 0, 0, 0, 0, 0, action];
    opcode::name_of(&Cdb::new(&cdb)).unwrap_or_default()
}

#[test]
fn operation_code_descriptors() {
    const ALL: u8 = 0;
    const ONE_WITH_TIMEOUTS: u8 = 0x80 | 0b011;
    const NOT_SUPPORTED: [u8; 4] = [0, 1, 0, 0];
    let (mut world, mut answers) = (world(), Answers::default());
    let all = operation_codes(&mut world, ALL, 0, 0);
    let (length, descriptors) = all.split_at(4);
    let mut rows = vec![Row { bytes: length.to_vec(), note: "COMMAND DATA LENGTH" }];
    rows.extend(
        descriptors
            .chunks(8)
            .map(|bytes| Row { bytes: bytes.to_vec(), note: name_of(bytes[0], bytes[3]) }),
    );
    answers.0.insert("COMMANDS, all".to_owned(), rows);
    let every = (0..=0xff).flat_map(|opcode| (0..0x20).map(move |action| (opcode, action)));
    let rows = every.map(|(opcode, action)| {
        let bytes = operation_codes(&mut world, ONE_WITH_TIMEOUTS, opcode, action);
        Row { bytes, note: name_of(opcode, action) }
    });
    let supported = rows.filter(|row| row.bytes != NOT_SUPPORTED);
    answers.0.insert("COMMANDS, one by one, with timeouts".to_owned(), supported.collect());
    answers.assert_golden("COMMANDS");
}

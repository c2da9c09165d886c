//! Commands that are nearly right: most of what a device server gets wrong lies just beside what it
//! gets right.

// What is said of a command here is said of that one alone.
#![allow(clippy::wildcard_enum_match_arm)]

use pulsefield_ring::simulated_kernel::Data;
use pulsefield_units::Random;

use crate::checker::{data_out_of, transfer_blocks_max, write_same_blocks_max};
use crate::shape::Shape;
use crate::standard::{
    ADDITIONAL_CDB_LENGTH, FORMS, Form, Role, VARIABLE_LENGTH, cdb_length, control_at, flags_at,
    form_of,
};
use crate::unit::STALE;

/// Bytes of every CDB here; what follows its end is not part of it.
pub(crate) const CDB_BYTES: usize = 32;

/// A command as an initiator sends it.
#[derive(Clone, Debug)]
pub(crate) struct Sent {
    pub(crate) cdb: [u8; CDB_BYTES],
    pub(crate) data: Data,
}

impl Sent {
    /// The CDB without what follows it.
    pub(crate) fn cdb(&self) -> &[u8] {
        &self.cdb[..cdb_length(self.cdb[0])]
    }

    /// Data-Out.
    pub(crate) fn data_out(&self) -> &[u8] {
        match &self.data {
            Data::Out(bytes) => bytes,
            Data::None | Data::In(_) | Data::Bidirectional { .. } => &[],
        }
    }

    /// The expected data transfer length, whichever the direction.
    pub(crate) fn expected(&self) -> usize {
        match &self.data {
            Data::None => 0,
            Data::In(expected) | Data::Bidirectional { expected, .. } => *expected,
            Data::Out(bytes) => bytes.len(),
        }
    }
}

/// A command for a unit of `shape` whose medium holds `medium`.
pub(crate) fn command(random: &mut Random, shape: &Shape, medium: &[u8]) -> Sent {
    let mut cdb = [0; CDB_BYTES];
    let form = choose(random, &mut cdb);
    if let Some(form) = form {
        fill(random, shape, form, &mut cdb);
    }
    let end = cdb_length(cdb[0]);
    if random.one_in(16) {
        cdb[1 + random.index(end - 1)] = random.byte();
    }
    // CONTROL: any bit but NACA is ignored.
    cdb[control_at(cdb[0])] = if random.one_in(40) { random.byte() } else { 0 };
    cdb[end..].fill_with(|| random.byte());
    // A spoilt byte may have made it another command.
    let data = data_for(random, shape, form_of(&cdb[..end]), &cdb[..end], medium);
    Sent { cdb, data }
}

/// Puts an operation code into `cdb`, mostly one that exists, and of those mostly one on blocks.
fn choose(random: &mut Random, cdb: &mut [u8]) -> Option<&'static Form> {
    if random.one_in(32) {
        cdb[0] = random.byte();
        cdb[1] = random.byte();
        return form_of(cdb);
    }
    let on_blocks = !random.one_in(4);
    loop {
        let form = &FORMS[random.index(FORMS.len())];
        let other = matches!(form.role, Role::DataIn(..) | Role::ParameterList | Role::Other);
        // Marks make reads fail until somebody writes: a few of them go a long way.
        let rare = form.role == Role::WriteLong && !random.one_in(8);
        if other != on_blocks && !rare {
            cdb[0] = form.opcode;
            let service_action = form.service_action.unwrap_or(0).into();
            if form.opcode == VARIABLE_LENGTH {
                cdb[7] = ADDITIONAL_CDB_LENGTH;
                put(cdb, 8, 2, service_action);
            } else {
                put(cdb, 1, 1, service_action);
            }
            return Some(form);
        }
    }
}

fn fill(random: &mut Random, shape: &Shape, form: &Form, cdb: &mut [u8; CDB_BYTES]) {
    match form.role {
        Role::DataIn(at, len) => {
            if random.one_in(2) {
                cdb[1] |= random.pick(&[0x00, 0x01, 0x08, 0x10, 0x18]);
                cdb[2] = random.pick(&[
                    0x00, 0x01, 0x02, 0x03, 0x08, 0x0a, 0x1c, 0x3f, 0x80, 0x83, 0x86, 0xb0, 0xb1,
                    0xb2,
                ]);
                cdb[3] = random.pick(&[0x00, 0x12, 0x28, 0x42, 0x89, 0x9e, 0xa3, 0xff]);
            }
            let length =
                random.pick(&[0, 1, 4, 5, 8, 20, 24, 36, 64, 96, 255, 512, 4096, u64::MAX]);
            put(cdb, at, len, length);
        }
        Role::ParameterList => {
            let length = random.pick(&[0, 4, 8, 12, 20, 24, 28, 40, 56, 255]);
            cdb[1] |= random.pick(&[0x00, 0x01, 0x10, 0x11]);
            // Where most of them have their PARAMETER LIST LENGTH.
            match cdb_length(form.opcode) {
                6 => put(cdb, 4, 1, length),
                10 => put(cdb, 7, 2, length),
                12 => put(cdb, 6, 4, length),
                _ => put(cdb, 10, 4, length),
            }
        }
        Role::Other => {
            if random.one_in(4) {
                cdb[2..16].fill_with(|| random.byte());
            }
        }
        role => fill_blocks(random, shape, role, cdb),
    }
}

/// Flags, the first block and the number of blocks.
fn fill_blocks(random: &mut Random, shape: &Shape, role: Role, cdb: &mut [u8; CDB_BYTES]) {
    let limits = [
        shape.compare_and_write_blocks_max.into(),
        transfer_blocks_max(shape),
        write_same_blocks_max(shape),
        u64::from(u16::MAX),
        u64::from(u32::MAX),
    ];
    let count = match random.below(16) {
        0..10 => random.below(5),
        10..14 => random.below(40),
        14 => random.pick(&limits).saturating_add(random.below(3)).saturating_sub(1),
        _ => random.any(),
    };
    let lba = match random.below(16) {
        0..11 => random.below(shape.blocks()),
        11..14 => shape.blocks().saturating_sub(count),
        14 => shape.blocks().saturating_add(random.below(3)).saturating_sub(1),
        _ => random.any(),
    };
    let bits = random.below(8);
    if cdb_length(cdb[0]) > 6 && bits < 3 {
        cdb[flags_at(cdb[0])] = match (bits, role) {
            // BYTCHK; UNMAP, ANCHOR, NDOB; DPO and FUA.
            (0..2, Role::Verify | Role::WriteAndVerify) => {
                random.pick(&[0x02, 0x02, 0x06, 0x04, 0x10])
            }
            (0..2, Role::WriteSame) => random.pick(&[0x01, 0x08, 0x09, 0x10, 0x18, 0x02, 0x04]),
            (0..2, _) => random.pick(&[0x08, 0x10, 0x18, 0x02]),
            _ => random.byte(),
        };
    }
    match (cdb_length(cdb[0]), role) {
        (length, Role::WriteLong) => {
            cdb[1] |= if random.one_in(8) { 0x00 } else { 0x40 };
            put(cdb, 2, if length == 10 { 4 } else { 8 }, lba);
        }
        (6, _) => {
            put(cdb, 1, 3, lba & 0x1f_ffff);
            put(cdb, 4, 1, count);
        }
        (10, _) => {
            put(cdb, 2, 4, lba);
            put(cdb, 7, 2, count);
        }
        (12, _) => {
            put(cdb, 2, 4, lba);
            put(cdb, 6, 4, count);
        }
        (32, _) => {
            put(cdb, 12, 8, lba);
            put(cdb, 28, 4, count);
        }
        (_, Role::CompareAndWrite) => {
            put(cdb, 2, 8, lba);
            put(cdb, 13, 1, count);
        }
        (_, Role::WriteAtomic) => {
            put(cdb, 2, 8, lba);
            put(cdb, 12, 2, count);
        }
        _ => {
            put(cdb, 2, 8, lba);
            put(cdb, 10, 4, count);
        }
    }
}

/// Writes the low bytes of `number`.
fn put(cdb: &mut [u8], at: usize, len: usize, number: u64) {
    cdb[at..at + len].copy_from_slice(&number.to_be_bytes()[8 - len..]);
}

/// The data phase: what the command wants, or, once in a while, something else.
fn data_for(
    random: &mut Random,
    shape: &Shape,
    form: Option<&Form>,
    cdb: &[u8],
    medium: &[u8],
) -> Data {
    /// More than any command here moves, and less than the data area.
    const BYTES_MAX: u64 = 256 << 10;
    let near = |random: &mut Random, length: u64| {
        let length = match random.below(16) {
            0 => length / 2,
            1 => length.saturating_add(random.below(600)),
            2 => random.pick(&[0, 1, 511, 512, 513, 4096]),
            _ => length,
        };
        usize::try_from(length.min(BYTES_MAX)).expect("bounded")
    };
    let Some(form) = form else {
        let length = near(random, 64);
        return match random.below(3) {
            0 => Data::None,
            1 => Data::In(length),
            _ => Data::Out(payload(random, length)),
        };
    };
    match form.role {
        Role::Read => {
            let (_, blocks) = crate::standard::blocks_of(cdb, form.role);
            Data::In(near(random, blocks.saturating_mul(shape.block_bytes())))
        }
        Role::DataIn(..) | Role::Other => Data::In(near(random, 512)),
        Role::ParameterList => {
            let length = near(random, 64);
            Data::Out(parameter_list(random, shape, cdb[0], length))
        }
        role => match near(random, data_out_of(shape, role, cdb)) {
            0 => Data::None,
            length => Data::Out(block_data(random, shape, role, cdb, medium, length)),
        },
    }
}

/// Blocks: what the medium holds, so that comparisons succeed, or a pattern.
fn block_data(
    random: &mut Random,
    shape: &Shape,
    role: Role,
    cdb: &[u8],
    medium: &[u8],
    length: usize,
) -> Vec<u8> {
    let mut bytes = payload(random, length);
    let compares = matches!(role, Role::CompareAndWrite | Role::Verify) && !random.one_in(4);
    let (lba, _) = crate::standard::blocks_of(cdb, role);
    let start = usize::try_from(lba.saturating_mul(shape.block_bytes())).unwrap_or(usize::MAX);
    if let (true, Some(held)) = (compares, medium.get(start..)) {
        let compared = if role == Role::CompareAndWrite { length / 2 } else { length };
        let known = compared.min(held.len());
        bytes[..known].copy_from_slice(&held[..known]);
        if known > 0 && random.one_in(4) {
            bytes[random.index(known)] ^= 0x01;
        }
    }
    bytes
}

/// Bytes without [`STALE`], mostly zeros and mostly alike.
fn payload(random: &mut Random, length: usize) -> Vec<u8> {
    let mut bytes = vec![random.pick(&[0x00, 0x00, 0x01, 0x02, 0xff]); length];
    for _ in 0..random.below(3) {
        if length > 0 {
            bytes[random.index(length)] = match random.byte() {
                STALE => 0,
                byte => byte,
            };
        }
    }
    bytes
}

/// A list for UNMAP or MODE SELECT that is nearly right, for the others just bytes.
fn parameter_list(random: &mut Random, shape: &Shape, opcode: u8, length: usize) -> Vec<u8> {
    let mut list = payload(random, length);
    let head: Vec<u8> = match opcode {
        0x42 => {
            let mut descriptors = Vec::new();
            for _ in 0..=random.below(3) {
                descriptors.extend(random.below(shape.blocks()).to_be_bytes());
                descriptors.extend([0, 0, 0, random.pick(&[0, 1, 2, 7]), 0, 0, 0, 0]);
            }
            let length = u16::try_from(descriptors.len()).expect("four descriptors");
            let lengths = [(length + 6).to_be_bytes(), length.to_be_bytes(), [0; 2], [0; 2]];
            [lengths.concat(), descriptors].concat()
        }
        0x15 => [&[0, 0, 0, 0, 0x08, 0x12][..], &[0; 18]].concat(),
        0x55 => [&[0, 0, 0, 0, 0, 0, 0, 0, 0x0a, 0x0a][..], &[0; 10]].concat(),
        _ => Vec::new(),
    };
    let known = head.len().min(list.len());
    list[..known].copy_from_slice(&head[..known]);
    if known > 0 && random.one_in(4) {
        list[random.index(known)] = random.pick(&[0x00, 0x01, 0x04, 0x08, 0x10, 0xff]);
    }
    list
}

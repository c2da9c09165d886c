//! Data-In: as long as it says itself, cut off where it must be, and nobody else's bytes.

use anyhow::{Result, ensure};
use pulsefield_ring::simulated_kernel::{Data, Finished};

use super::sense::Sense;
use crate::commands::Sent;
use crate::shape::Shape;
use crate::standard::{Role, blocks_of, number};
use crate::unit::STALE;

/// So many [`STALE`] bytes in a row are no accident.
const LEAK_BYTES: usize = 4;

/// Objects to the data of a command that ended with GOOD.
pub(super) fn check(
    shape: &Shape,
    role: Option<Role>,
    sent: &Sent,
    finished: &Finished,
) -> Result<()> {
    let Data::In(expected) = sent.data else { return Ok(()) };
    let data = &finished.data_in[..];
    ensure!(
        !data.windows(LEAK_BYTES).any(|run| run == [STALE; LEAK_BYTES]),
        "another command's bytes"
    );
    ensure!(data.len() + finished.residual == expected, "a residual of {}", finished.residual);
    let whole = match role {
        Some(Role::Read) => {
            let (_, blocks) = blocks_of(sent.cdb(), Role::Read);
            blocks.saturating_mul(shape.block_bytes())
        }
        Some(Role::DataIn(at, len)) => match number(sent.cdb(), at, len) {
            0 => 0,
            allocation_length => match describe(shape, sent.cdb(), data)? {
                Some(stated) => stated.min(allocation_length),
                None => return Ok(()),
            },
        },
        _ => return Ok(()),
    };
    let due = usize::try_from(whole).unwrap_or(usize::MAX).min(expected);
    // TCMU cannot say that there is no data at all: what there is room for is then zeros.
    let none = due == 0 && data.iter().all(|byte| *byte == 0);
    ensure!(none || data.len() == due, "{} bytes, where {due} are due", data.len());
    Ok(())
}

/// The length that parameter data states itself, if that far is there; objects to what is wrong in it.
fn describe(shape: &Shape, cdb: &[u8], data: &[u8]) -> Result<Option<u64>> {
    let counted = |at: usize, len: usize, more: u64| {
        (data.len() >= at + len).then(|| number(data, at, len) + more)
    };
    Ok(match (cdb[0], cdb[1] & 0x1f) {
        // REQUEST SENSE.
        (0x03, _) => {
            if counted(7, 1, 8).is_some_and(|stated| stated <= data.len() as u64) && data[0] != 0 {
                Sense::decode(data)?;
            }
            counted(7, 1, 8)
        }
        // INQUIRY: a page of vital product data, or the standard data.
        (0x12, action) if action & 1 != 0 => {
            if data.len() >= 4 && data.iter().any(|byte| *byte != 0) {
                ensure!(data[..2] == [0, cdb[2]], "another page");
            }
            counted(2, 2, 4)
        }
        (0x12, _) => counted(4, 1, 5),
        // MODE SENSE (6) and (10).
        (0x1a, _) => counted(0, 1, 1),
        (0x5a, _) => counted(0, 2, 2),
        // READ DEFECT DATA (10) and (12): a disk without defects.
        (0x37, _) => counted(2, 2, 4),
        (0xb7, _) => counted(4, 4, 8),
        // READ CAPACITY (16).
        (0x9e, 0x10) => {
            if data.len() >= 12 {
                ensure!(number(data, 0, 8) == shape.blocks() - 1, "another capacity");
                ensure!(number(data, 8, 4) == shape.block_bytes(), "another block length");
            }
            Some(32)
        }
        // GET LBA STATUS: runs that follow one another from the first block asked for on.
        (0x9e, 0x12) => {
            let mut next = number(cdb, 2, 8);
            for descriptor in data.get(8..).unwrap_or_default().chunks_exact(16) {
                ensure!(number(descriptor, 0, 8) == next, "a gap before block {next}");
                let blocks = number(descriptor, 8, 4);
                ensure!(blocks > 0, "a run of no blocks");
                next += blocks;
                ensure!(next <= shape.blocks(), "a run past the end");
                let mapped = number(descriptor, 12, 1) & 0x0f == 0;
                ensure!(
                    shape.thin() || mapped,
                    "a block without space where every one has its own"
                );
            }
            counted(0, 4, 4)
        }
        // REPORT TARGET PORT GROUPS.
        (0xa3, 0x0a) => counted(0, 4, 4),
        // REPORT SUPPORTED OPERATION CODES, of all commands and of one.
        (0xa3, 0x0c) if cdb[2] & 0x07 == 0 => counted(0, 4, 4),
        (0xa3, 0x0c) => {
            if data.len() >= 5 && data[1] & 0x07 == 0b011 {
                ensure!(data[4] == cdb[3], "the usage map of another command");
            }
            let timeouts = if data.get(1).is_some_and(|byte| byte & 0x80 != 0) { 12 } else { 0 };
            counted(2, 2, 4 + timeouts)
        }
        _ => None,
    })
}

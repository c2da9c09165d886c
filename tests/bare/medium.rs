//! A file, and the least that can be done with it: one system call for a read or a write, two for a COMPARE AND
//! WRITE, none of them elsewhere than in the loop itself.

use std::fs::File;
use std::os::fd::AsFd as _;

use anyhow::{Context as _, Result, ensure};
use pulsefield_data::Buffer;

use crate::identity::BLOCK;

/// What a CDB does with the medium, from which block on (SBC-3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Transfer {
    Read(u64),
    Write(u64),
    CompareAndWrite(u64),
}

impl Transfer {
    /// `None` for what moves no data.
    fn of(cdb: &[u8]) -> Option<Self> {
        let lba_10 = || Some(u64::from(u32::from_be_bytes(cdb.get(2..6)?.try_into().ok()?)));
        let lba_16 = || Some(u64::from_be_bytes(cdb.get(2..10)?.try_into().ok()?));
        match cdb.first()? {
            0x28 => lba_10().map(Self::Read),
            0x88 => lba_16().map(Self::Read),
            0x2a => lba_10().map(Self::Write),
            0x8a => lba_16().map(Self::Write),
            0x89 => lba_16().map(Self::CompareAndWrite),
            _ => None,
        }
    }
}

/// Carries out a command on `file`, through the page cache, if it moves data; `false` if a COMPARE AND WRITE found
/// something else than it expects.
///
/// # Errors
/// The file did not take or give all of it.
pub(crate) fn carry_out(file: &File, cdb: &[u8], data: &mut Buffer) -> Result<bool> {
    let position = |lba: u64| lba.checked_mul(BLOCK.into()).context("a block beyond any file");
    let len = data.len();
    match Transfer::of(cdb) {
        None => {}
        Some(Transfer::Read(lba)) => {
            let read = data.pread(0, len, file.as_fd(), position(lba)?)?;
            ensure!(read == len, "the file ends at block {lba}");
        }
        Some(Transfer::Write(lba)) => write(file, data, 0, position(lba)?)?,
        Some(Transfer::CompareAndWrite(lba)) => {
            let (half, position) = (len / 2, position(lba)?);
            let mut there = Buffer::heap(half);
            let read = there.pread(0, half, file.as_fd(), position)?;
            ensure!(read == half, "the file ends at block {lba}");
            let mut test = vec![0; half];
            data.read_at(0, &mut test);
            if there.first_difference(0, &test).is_some() {
                return Ok(false);
            }
            write(file, data, half, position)?;
        }
    }
    Ok(true)
}

/// Writes what `data` holds from `from` on.
fn write(file: &File, data: &Buffer, from: usize, position: u64) -> Result<()> {
    let len = data.len() - from;
    let written = data.pwrite(from, len, file.as_fd(), position, false)?;
    ensure!(written == len, "the file takes no more at byte {position}");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn buffer(bytes: &[u8]) -> Buffer {
        let mut buffer = Buffer::heap(bytes.len());
        buffer.write_at(0, bytes);
        buffer
    }

    fn cdb_16(opcode: u8, lba: u8) -> [u8; 16] {
        let mut cdb = [0; 16];
        (cdb[0], cdb[9]) = (opcode, lba);
        cdb
    }

    #[test]
    fn what_is_written_is_read_and_compared() {
        let file = tempfile::tempfile().unwrap();
        file.set_len(8 * 512).unwrap();
        let write_10 = [0x2a, 0, 0, 0, 0, 3, 0, 0, 1, 0];
        assert!(carry_out(&file, &write_10, &mut buffer(&[b'A'; 512])).unwrap());
        let mut swap = buffer(&[[b'A'; 512], [b'B'; 512]].concat());
        assert!(carry_out(&file, &cdb_16(0x89, 3), &mut swap).unwrap());
        assert!(!carry_out(&file, &cdb_16(0x89, 3), &mut swap).unwrap(), "it is B now");
        let mut read = Buffer::heap(1024);
        assert!(carry_out(&file, &cdb_16(0x88, 3), &mut read).unwrap());
        assert_eq!(read.first_difference(0, &[[b'B'; 512], [0; 512]].concat()), None);
    }

    #[test]
    fn what_lies_behind_the_end_is_an_error() {
        let file = tempfile::tempfile().unwrap();
        file.set_len(8 * 512).unwrap();
        assert!(carry_out(&file, &cdb_16(0x88, 8), &mut Buffer::heap(512)).is_err());
        assert!(carry_out(&file, &[0; 6], &mut Buffer::heap(512)).unwrap(), "moves no data");
    }
}

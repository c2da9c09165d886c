//! What an initiator does to see whether something is broken, and how it puts what it saw.
//!
//! Each probe lays out old data by WRITE (10), which no rule here is for, sends the command that counts
//! (of 16 bytes), and reads.

use anyhow::Result;

use super::LBA;
use crate::cdb;
use crate::disk::COMMAND_LIMIT;
use crate::reply::Reply;
use crate::sg::{Data, Device};

/// Bytes in a block.
pub(super) const BLOCK: usize = 512;
/// What lies on the medium before.
pub(super) const OLD: [u8; BLOCK] = [0x11; BLOCK];
/// What is written.
pub(super) const NEW: [u8; BLOCK] = [0x22; BLOCK];
/// What does not lie there: it differs first at byte 17.
pub(super) const UNEQUAL: [u8; BLOCK] = {
    let mut block = OLD;
    block[17] = 0x33;
    block
};
/// As many blocks as a page has; the elsewhere of a misdirected write.
pub(super) const PAGE_BLOCKS: u32 = 8;
/// How many wrong bits are still told as such.
const BITS_MAX: u32 = 64;

/// Does something and says what was seen.
pub(super) type Probe = fn(&Device) -> Result<String>;

/// COMPARE AND WRITE of data that is equal.
pub(super) fn compare_equal(device: &Device) -> Result<String> {
    put(device, LBA)?;
    let reply = compare_and_write(device, LBA, &OLD, &NEW)?;
    Ok(format!("{}; {}", reply.answer(), look(device, LBA)?))
}

/// COMPARE AND WRITE of data that differs, and where it does so by the target's word.
pub(super) fn compare_unequal(device: &Device) -> Result<String> {
    put(device, LBA)?;
    let reply = compare_and_write(device, LBA, &UNEQUAL, &NEW)?;
    Ok(format!("{}; {}", told(&reply), look(device, LBA)?))
}

/// COMPARE AND WRITE forth and back.
pub(super) fn compare_twice(device: &Device) -> Result<String> {
    put(device, LBA)?;
    let forth = compare_and_write(device, LBA, &OLD, &NEW)?.answer();
    let back = compare_and_write(device, LBA, &NEW, &OLD)?.answer();
    Ok(format!("{forth}, {back}; {}", look(device, LBA)?))
}

/// COMPARE AND WRITE, and what the Block Limits page says of it.
pub(super) fn support(device: &Device) -> Result<String> {
    put(device, LBA)?;
    let answer = compare_and_write(device, LBA, &OLD, &NEW)?.answer();
    Ok(format!("{answer}; {} blocks at most", device.compare_and_write_length()?))
}

/// WRITE of one block.
pub(super) fn write(device: &Device) -> Result<String> {
    put(device, LBA)?;
    let reply = execute(device, &cdb::write_16(LBA, 1), Data::Out(&NEW))?;
    Ok(format!("{}; {}", told(&reply), look(device, LBA)?))
}

/// WRITE of one block, and what lies a page away.
pub(super) fn write_and_look_away(device: &Device) -> Result<String> {
    let away = LBA + u64::from(PAGE_BLOCKS);
    put(device, away)?;
    Ok(format!("{}, {} away", write(device)?, look(device, away)?))
}

/// WRITE of one block, then of another; what became of the first.
pub(super) fn write_twice(device: &Device) -> Result<String> {
    let away = LBA + u64::from(PAGE_BLOCKS);
    put(device, LBA)?;
    let first = execute(device, &cdb::write_16(LBA, 1), Data::Out(&NEW))?;
    let second = execute(device, &cdb::write_16(away, 1), Data::Out(&NEW))?;
    Ok(format!("{}, {}; {}", told(&first), told(&second), look(device, LBA)?))
}

/// READ of one block.
pub(super) fn read(device: &Device) -> Result<String> {
    put(device, LBA)?;
    let mut block = [0; BLOCK];
    let reply = execute(device, &cdb::read_16(LBA, 1), Data::In(&mut block))?;
    let seen = told(&reply);
    Ok(if reply.is_good() { format!("{seen}; {}", content(&block)) } else { seen })
}

/// GET LBA STATUS of a block that was written.
pub(super) fn lba_status(device: &Device) -> Result<String> {
    put(device, LBA)?;
    let mut status = [0; 24];
    let reply = execute(device, &cdb::get_lba_status(LBA), Data::In(&mut status))?;
    let provisioning = match status[20] & 0x0f {
        0 => "mapped",
        1 => "deallocated",
        _ => "neither mapped nor deallocated",
    };
    Ok(format!("{}; {provisioning}", told(&reply)))
}

/// UNMAP of a page.
pub(super) fn unmap(device: &Device) -> Result<String> {
    put(device, LBA)?;
    let list = cdb::unmap_list(LBA, PAGE_BLOCKS);
    let reply = execute(device, &cdb::unmap(24), Data::Out(&list))?;
    Ok(format!("{}; {}", told(&reply), look(device, LBA)?))
}

/// WRITE SAME of one block of zeros.
pub(super) fn write_same(device: &Device) -> Result<String> {
    put(device, LBA)?;
    let reply = execute(device, &cdb::write_same_16(LBA, 1), Data::Out(&[0; BLOCK]))?;
    Ok(format!("{}; {}", told(&reply), look(device, LBA)?))
}

/// Lays out old data.
pub(super) fn put(device: &Device, lba: u64) -> Result<()> {
    device.must(&cdb::write_10(u32::try_from(lba)?, 1), Data::Out(&OLD))
}

/// One COMPARE AND WRITE, whatever its answer is.
pub(super) fn compare_and_write(
    device: &Device,
    lba: u64,
    compare: &[u8; BLOCK],
    write: &[u8; BLOCK],
) -> Result<Reply> {
    let halves = [*compare, *write].concat();
    execute(device, &cdb::compare_and_write(lba, 1), Data::Out(&halves))
}

/// What lies on a block.
pub(super) fn look(device: &Device, lba: u64) -> Result<String> {
    Ok(content(&device.read_block(lba, u32::try_from(BLOCK)?)?))
}

/// One command, once: a unit attention is an answer like any other.
fn execute(device: &Device, cdb: &[u8], data: Data<'_>) -> Result<Reply> {
    Ok(device.execute(cdb, data, COMMAND_LIMIT)?)
}

/// The answer, and the INFORMATION that came with it.
fn told(reply: &Reply) -> String {
    let answer = reply.answer();
    reply.information().map_or_else(
        || answer.to_string(),
        |information| format!("{answer} INFORMATION {information}"),
    )
}

/// A block in words.
fn content(block: &[u8]) -> String {
    let known = [("old", OLD), ("new", NEW), ("unequal", UNEQUAL), ("zeros", [0; BLOCK])];
    if let Some((name, _)) = known.iter().find(|(_, bytes)| bytes == block) {
        return (*name).to_owned();
    }
    let torn = block.iter().zip(NEW).take_while(|(seen, new)| *seen == new).count();
    if torn > 0 && block[torn..] == OLD[torn..] {
        return format!("new to byte {torn}, then old");
    }
    let wrong_bits = |right: &[u8; BLOCK]| -> u32 {
        block.iter().zip(right).map(|(seen, right)| (seen ^ right).count_ones()).sum()
    };
    let nearest = [("old", OLD), ("new", NEW)].map(|(name, right)| (wrong_bits(&right), name));
    match nearest.into_iter().min() {
        Some((bits, name)) if bits <= BITS_MAX => format!("{name} but for {bits} bits"),
        _ => "something else".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_in_words() {
        assert_eq!(content(&OLD), "old");
        assert_eq!(content(&NEW), "new");
        assert_eq!(content(&UNEQUAL), "unequal");
        assert_eq!(content(&[0; BLOCK]), "zeros");
        assert_eq!(content(&[0xff; BLOCK]), "something else");
        let torn = [&NEW[..256], &OLD[256..]].concat();
        assert_eq!(content(&torn), "new to byte 256, then old");
        let mut flipped = NEW;
        flipped[9] ^= 0x41;
        assert_eq!(content(&flipped), "new but for 2 bits");
        flipped = OLD;
        flipped[0] ^= 1;
        assert_eq!(content(&flipped), "old but for 1 bits");
    }
}

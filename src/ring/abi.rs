//! The structures of `linux/target_core_user.h`, as they lie in shared memory.
//!
//! Native endian, 8-byte aligned. The names are the header's. Numbers below come from the kernel's
//! own compiler: the test at the end builds `abi_probe.c` against the installed header and compares
//! every size and offset. Note that `struct tcmu_cmd_entry` is packed outside and *not* inside, so
//! `cdb_off` lies at 24 and not at 20.

// Offsets are added at compile time only, where an overflow is an error.
#![allow(clippy::arithmetic_side_effects)]

use std::mem::{offset_of, size_of};

use zerocopy::{FromBytes, Immutable, IntoBytes};

// `struct iovec` in the entries is the kernel's: 16 bytes, whatever the size of our own pointers.
#[cfg(not(target_pointer_width = "64"))]
compile_error!("a TCMU ring can only be served by a 64-bit process on a 64-bit kernel");

/// The only mailbox version there is since Linux 4.1.
pub(crate) const MAILBOX_VERSION: u16 = 2;

/// `TCMU_MAILBOX_FLAG_CAP_OOOC`: the kernel takes completions out of order.
pub(crate) const FLAG_CAP_OOOC: u16 = 0x1;
/// `TCMU_MAILBOX_FLAG_CAP_READ_LEN`: the kernel takes short Data-In lengths.
pub(crate) const FLAG_CAP_READ_LEN: u16 = 0x2;
/// `TCMU_MAILBOX_FLAG_CAP_TMR`: the kernel can post task management notifications.
pub(crate) const FLAG_CAP_TMR: u16 = 0x4;
/// `TCMU_MAILBOX_FLAG_CAP_KEEP_BUF`: data blocks can outlive their command.
pub(crate) const FLAG_CAP_KEEP_BUF: u16 = 0x8;

/// `TCMU_OP_PAD`: filler up to the end of the ring.
pub(crate) const OP_PAD: u32 = 0;
/// `TCMU_OP_CMD`: a SCSI command.
pub(crate) const OP_CMD: u32 = 1;
/// `TCMU_OP_TMR`: a task management notification.
pub(crate) const OP_TMR: u32 = 2;
/// `TCMU_OP_MASK`: the bits of `len_op` that hold the opcode.
pub(crate) const OP_MASK: u32 = 0x7;
/// `TCMU_OP_ALIGN_SIZE`: every entry starts and ends on such a boundary.
pub(crate) const OP_ALIGN_SIZE: u32 = 8;

/// `TCMU_UFLAG_UNKNOWN_OP`: the handler does not know this opcode.
pub(crate) const UFLAG_UNKNOWN_OP: u8 = 0x1;
/// `TCMU_UFLAG_READ_LEN`: `read_len` holds the number of Data-In bytes.
pub(crate) const UFLAG_READ_LEN: u8 = 0x2;
/// `TCMU_UFLAG_KEEP_BUF`: the handler goes on using the data blocks after the answer.
#[cfg(any(test, feature = "simulated-kernel"))]
pub(crate) const UFLAG_KEEP_BUF: u8 = 0x4;

/// `TCMU_SENSE_BUFFERSIZE` in bytes.
pub(crate) const SENSE_BUFFERSIZE: usize = 96;

/// The part of `struct tcmu_mailbox` that is written once, before the device is shown to anybody.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub(crate) struct MailboxHeader {
    pub(crate) version: u16,
    pub(crate) flags: u16,
    /// Where the command ring starts, in bytes from the start of the region.
    pub(crate) cmdr_off: u32,
    /// Length of the command ring in bytes; not a power of two.
    pub(crate) cmdr_size: u32,
}

/// `sizeof(struct tcmu_mailbox)`: packed, but its 64-aligned member rounds 68 up to 128.
pub(crate) const MAILBOX_SIZE: usize = 128;
/// Offset of `cmd_head`: the next byte the kernel will write, relative to the start of the ring.
pub(crate) const MAILBOX_CMD_HEAD: usize = 12;
/// Offset of `cmd_tail`: the first byte not yet completed; the only member the handler writes.
pub(crate) const MAILBOX_CMD_TAIL: usize = 64;

/// `struct tcmu_cmd_entry_hdr`, at the start of every entry.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub(crate) struct EntryHeader {
    /// Opcode in the low three bits, length in bytes in the others.
    pub(crate) len_op: u32,
    /// 1 to 65535 for a command, 0 for PAD and TMR.
    pub(crate) cmd_id: u16,
    pub(crate) kflags: u8,
    pub(crate) uflags: u8,
}

impl EntryHeader {
    /// The opcode.
    pub(crate) const fn opcode(self) -> u32 {
        self.len_op & OP_MASK
    }

    /// The length of the whole entry in bytes, a multiple of [`OP_ALIGN_SIZE`] by construction.
    pub(crate) const fn len(self) -> u32 {
        self.len_op & !OP_MASK
    }
}

/// Offset of `hdr.cmd_id` in an entry.
pub(crate) const ENTRY_CMD_ID: usize = offset_of!(EntryHeader, cmd_id);
/// Offset of `hdr.uflags` in an entry.
pub(crate) const ENTRY_UFLAGS: usize = offset_of!(EntryHeader, uflags);
/// Offset of the union of request and response in a command entry.
pub(crate) const ENTRY_BODY: usize = size_of::<EntryHeader>();

/// The request half of `struct tcmu_cmd_entry`, at [`ENTRY_BODY`], but for two words of padding at its end: each
/// word is read from memory that others write to.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub(crate) struct CommandRequest {
    /// Number of Data-Out vectors, or of those of the only direction.
    pub(crate) iov_cnt: u32,
    /// Number of Data-In vectors of a bidirectional command; they follow the others.
    pub(crate) iov_bidi_cnt: u32,
    /// Number of protection information vectors; every kernel so far writes 0.
    pub(crate) iov_dif_cnt: u32,
    pub(crate) _padding: u32,
    /// Where the CDB lies, in bytes from the start of the *region*.
    pub(crate) cdb_off: u64,
}

/// Offset of `req.iov[]` in a command entry.
pub(crate) const COMMAND_IOV: usize =
    ENTRY_BODY + size_of::<CommandRequest>() + 2 * size_of::<u64>();

/// `struct iovec` as the kernel writes it.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub(crate) struct Iovec {
    /// First byte, counted from the start of the region.
    pub(crate) iov_base: u64,
    /// Length in bytes.
    pub(crate) iov_len: u64,
}

/// The response half of `struct tcmu_cmd_entry`, at [`ENTRY_BODY`]; it overlays the request and up
/// to four of its vectors.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub(crate) struct CommandResponse {
    pub(crate) scsi_status: u8,
    pub(crate) _pad1: u8,
    pub(crate) _pad2: u16,
    /// Number of Data-In bytes, if [`UFLAG_READ_LEN`] is set.
    pub(crate) read_len: u32,
    pub(crate) sense_buffer: [u8; SENSE_BUFFERSIZE],
}

/// Offset of `rsp.scsi_status` in a command entry.
pub(crate) const RESPONSE_STATUS: usize = ENTRY_BODY + offset_of!(CommandResponse, scsi_status);
/// Offset of `rsp.read_len` in a command entry.
pub(crate) const RESPONSE_READ_LEN: usize = ENTRY_BODY + offset_of!(CommandResponse, read_len);
/// Offset of `rsp.sense_buffer` in a command entry.
pub(crate) const RESPONSE_SENSE: usize = ENTRY_BODY + offset_of!(CommandResponse, sense_buffer);
/// `sizeof(struct tcmu_cmd_entry)`: the least length of a command entry, so that it can be answered.
pub(crate) const COMMAND_ENTRY_SIZE: usize = ENTRY_BODY + size_of::<CommandResponse>();

/// `struct tcmu_tmr_entry` after its header, at [`ENTRY_BODY`].
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub(crate) struct TmrBody {
    pub(crate) tmr_type: u8,
    pub(crate) _pad1: u8,
    pub(crate) _pad2: u16,
    /// Number of command ids that follow; may be 0.
    pub(crate) cmd_cnt: u32,
    pub(crate) _pad3: u64,
    pub(crate) _pad4: u64,
}

/// `sizeof(struct tcmu_tmr_entry)`, which is also the offset of `cmd_ids[]`.
pub(crate) const TMR_ENTRY_SIZE: usize = ENTRY_BODY + size_of::<TmrBody>();

const _: () = {
    assert!(offset_of!(MailboxHeader, version) == 0);
    assert!(offset_of!(MailboxHeader, flags) == 2);
    assert!(offset_of!(MailboxHeader, cmdr_off) == 4);
    assert!(offset_of!(MailboxHeader, cmdr_size) == 8);
    assert!(size_of::<MailboxHeader>() == MAILBOX_CMD_HEAD);
    assert!(size_of::<EntryHeader>() == 8 && ENTRY_CMD_ID == 4 && ENTRY_UFLAGS == 7);
    assert!(offset_of!(EntryHeader, kflags) == 6);
    assert!(ENTRY_BODY + offset_of!(CommandRequest, iov_cnt) == 8);
    assert!(ENTRY_BODY + offset_of!(CommandRequest, iov_bidi_cnt) == 12);
    assert!(ENTRY_BODY + offset_of!(CommandRequest, iov_dif_cnt) == 16);
    assert!(ENTRY_BODY + offset_of!(CommandRequest, cdb_off) == 24);
    assert!(COMMAND_IOV == 48 && size_of::<Iovec>() == 16);
    assert!(RESPONSE_STATUS == 8 && RESPONSE_READ_LEN == 12 && RESPONSE_SENSE == 16);
    assert!(COMMAND_ENTRY_SIZE == 112);
    assert!(ENTRY_BODY + offset_of!(TmrBody, tmr_type) == 8);
    assert!(ENTRY_BODY + offset_of!(TmrBody, cmd_cnt) == 12);
    assert!(TMR_ENTRY_SIZE == 32);
};

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::process::Command;

    use super::*;
    use crate::TmrKind;

    /// What this file believes, under the names that `abi_probe.c` prints.
    fn ours() -> BTreeMap<String, u64> {
        let request = |offset: usize| (ENTRY_BODY + offset) as u64;
        [
            ("TCMU_MAILBOX_VERSION", u64::from(MAILBOX_VERSION)),
            ("TCMU_MAILBOX_FLAG_CAP_OOOC", u64::from(FLAG_CAP_OOOC)),
            ("TCMU_MAILBOX_FLAG_CAP_READ_LEN", u64::from(FLAG_CAP_READ_LEN)),
            ("TCMU_MAILBOX_FLAG_CAP_TMR", u64::from(FLAG_CAP_TMR)),
            ("TCMU_MAILBOX_FLAG_CAP_KEEP_BUF", u64::from(FLAG_CAP_KEEP_BUF)),
            ("TCMU_OP_PAD", u64::from(OP_PAD)),
            ("TCMU_OP_CMD", u64::from(OP_CMD)),
            ("TCMU_OP_TMR", u64::from(OP_TMR)),
            ("TCMU_OP_MASK", u64::from(OP_MASK)),
            ("TCMU_OP_ALIGN_SIZE", u64::from(OP_ALIGN_SIZE)),
            ("TCMU_UFLAG_UNKNOWN_OP", u64::from(UFLAG_UNKNOWN_OP)),
            ("TCMU_UFLAG_READ_LEN", u64::from(UFLAG_READ_LEN)),
            ("TCMU_UFLAG_KEEP_BUF", u64::from(UFLAG_KEEP_BUF)),
            ("TCMU_SENSE_BUFFERSIZE", SENSE_BUFFERSIZE as u64),
            ("TCMU_TMR_UNKNOWN", u64::from(TmrKind::Unknown(0).code())),
            ("TCMU_TMR_ABORT_TASK", u64::from(TmrKind::AbortTask.code())),
            ("TCMU_TMR_ABORT_TASK_SET", u64::from(TmrKind::AbortTaskSet.code())),
            ("TCMU_TMR_CLEAR_ACA", u64::from(TmrKind::ClearAca.code())),
            ("TCMU_TMR_CLEAR_TASK_SET", u64::from(TmrKind::ClearTaskSet.code())),
            ("TCMU_TMR_LUN_RESET", u64::from(TmrKind::LunReset.code())),
            ("TCMU_TMR_TARGET_WARM_RESET", u64::from(TmrKind::TargetWarmReset.code())),
            ("TCMU_TMR_TARGET_COLD_RESET", u64::from(TmrKind::TargetColdReset.code())),
            ("TCMU_TMR_LUN_RESET_PRO", u64::from(TmrKind::LunResetPro.code())),
            ("sizeof.tcmu_mailbox", MAILBOX_SIZE as u64),
            ("tcmu_mailbox.version", offset_of!(MailboxHeader, version) as u64),
            ("tcmu_mailbox.flags", offset_of!(MailboxHeader, flags) as u64),
            ("tcmu_mailbox.cmdr_off", offset_of!(MailboxHeader, cmdr_off) as u64),
            ("tcmu_mailbox.cmdr_size", offset_of!(MailboxHeader, cmdr_size) as u64),
            ("tcmu_mailbox.cmd_head", MAILBOX_CMD_HEAD as u64),
            ("tcmu_mailbox.cmd_tail", MAILBOX_CMD_TAIL as u64),
            ("sizeof.tcmu_cmd_entry_hdr", size_of::<EntryHeader>() as u64),
            ("tcmu_cmd_entry_hdr.len_op", offset_of!(EntryHeader, len_op) as u64),
            ("tcmu_cmd_entry_hdr.cmd_id", ENTRY_CMD_ID as u64),
            ("tcmu_cmd_entry_hdr.kflags", offset_of!(EntryHeader, kflags) as u64),
            ("tcmu_cmd_entry_hdr.uflags", ENTRY_UFLAGS as u64),
            ("sizeof.tcmu_cmd_entry", COMMAND_ENTRY_SIZE as u64),
            ("tcmu_cmd_entry.req.iov_cnt", request(offset_of!(CommandRequest, iov_cnt))),
            ("tcmu_cmd_entry.req.iov_bidi_cnt", request(offset_of!(CommandRequest, iov_bidi_cnt))),
            ("tcmu_cmd_entry.req.iov_dif_cnt", request(offset_of!(CommandRequest, iov_dif_cnt))),
            ("tcmu_cmd_entry.req.cdb_off", request(offset_of!(CommandRequest, cdb_off))),
            ("tcmu_cmd_entry.req.iov", COMMAND_IOV as u64),
            ("sizeof.iovec", size_of::<Iovec>() as u64),
            ("iovec.iov_base", offset_of!(Iovec, iov_base) as u64),
            ("iovec.iov_len", offset_of!(Iovec, iov_len) as u64),
            ("tcmu_cmd_entry.rsp.scsi_status", RESPONSE_STATUS as u64),
            ("tcmu_cmd_entry.rsp.read_len", RESPONSE_READ_LEN as u64),
            ("tcmu_cmd_entry.rsp.sense_buffer", RESPONSE_SENSE as u64),
            ("sizeof.tcmu_tmr_entry", TMR_ENTRY_SIZE as u64),
            ("tcmu_tmr_entry.tmr_type", request(offset_of!(TmrBody, tmr_type))),
            ("tcmu_tmr_entry.cmd_cnt", request(offset_of!(TmrBody, cmd_cnt))),
            ("tcmu_tmr_entry.cmd_ids", TMR_ENTRY_SIZE as u64),
        ]
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
    }

    #[test]
    fn every_size_and_offset_agrees_with_the_kernel_header() {
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("abi_probe");
        let compiled = Command::new("cc")
            .args(["-Wall", "-Werror", "-o"])
            .arg(&program)
            .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/abi_probe.c"))
            .output()
            .expect("a C compiler is needed for this test: install the package gcc");
        assert!(
            compiled.status.success(),
            "abi_probe.c does not compile; is the package linux-libc-dev installed?\n{}",
            String::from_utf8_lossy(&compiled.stderr)
        );
        let printed = Command::new(&program).output().unwrap();
        assert!(printed.status.success(), "abi_probe failed: {}", printed.status);
        let theirs: BTreeMap<String, u64> = String::from_utf8(printed.stdout)
            .unwrap()
            .lines()
            .map(|line| {
                let (name, value) = line.split_once(' ').unwrap();
                (name.to_owned(), value.parse().unwrap())
            })
            .collect();
        assert_eq!(ours(), theirs);
    }
}

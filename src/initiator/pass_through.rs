//! Linux' SCSI pass-through: the ioctls `SG_IO`, interface version 3, and `SG_SCSI_RESET` (`<scsi/sg.h>`).
//!
//! The only file of this crate with `unsafe`. Invariants: `Header` has the layout of `struct sg_io_hdr` (asserted
//! below for 64-bit machines), every pointer in it comes from a live slice with its own length beside it, and the
//! kernel keeps none of them after the ioctl has returned. The kernel does not check that a CDB and its data length
//! fit together: who tests a target may send what he wants.

#![allow(unsafe_code)]

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::time::Duration;

/// `SG_IO`.
const SG_IO: libc::c_ulong = 0x2285;
/// `SG_SCSI_RESET`.
const SG_SCSI_RESET: libc::c_ulong = 0x2284;
/// `SG_SCSI_RESET_DEVICE` and `SG_SCSI_RESET_NO_ESCALATE`: the logical unit, and nothing larger if that fails.
const RESET_UNIT: libc::c_int = 0x1 | 0x100;
/// `SG_FLAG_Q_AT_TAIL`: in the order of arrival. Without it the kernel puts a command in front of those that wait for
/// room at the device, and some of many would wait for ever.
const QUEUE_AT_TAIL: u32 = 0x10;
/// As much sense data as the kernel keeps (`SCSI_SENSE_BUFFERSIZE`).
const SENSE_CAPACITY: usize = 96;

/// The data phase of a command. Its length is the expected data transfer length, whatever the CDB says.
#[derive(Debug)]
pub enum Transfer<'a> {
    /// No data phase.
    None,
    /// Data-In: the device fills this.
    In(&'a mut [u8]),
    /// Data-Out: the device receives this.
    Out(&'a [u8]),
}

/// How a command ended, as the kernel tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The SCSI status; it means something only if the target has answered.
    pub status: u8,
    /// `DID_*` of the SCSI mid-layer: 0 if the target has answered, else why it has not.
    pub host_status: u16,
    /// `DRIVER_*`, which kernels before 5.14 set beside it.
    pub driver_status: u16,
    pub(crate) sense: [u8; SENSE_CAPACITY],
    pub(crate) sense_length: usize,
    /// Expected minus actual transfer length in bytes.
    pub residual: i32,
}

impl Answer {
    /// An answer that was made up.
    #[cfg(test)]
    pub(crate) fn new(status: u8, host_status: u16, sense_data: &[u8]) -> Self {
        let mut sense = [0; SENSE_CAPACITY];
        sense[..sense_data.len()].copy_from_slice(sense_data);
        let sense_length = sense_data.len();
        Self { status, host_status, driver_status: 0, sense, sense_length, residual: 0 }
    }

    /// The sense data that came; empty if none did.
    pub fn sense(&self) -> &[u8] {
        &self.sense[..self.sense_length]
    }
}

/// Sends one CDB of 6 to 32 bytes by an open `sd` or `sg` node and waits for its answer. After `timeout` the kernel
/// aborts it, and tells a host status when it has been aborted. Commands may be sent from several threads at once.
///
/// A thread that sends by an `sg` node must not be interrupted by signals: the kernel forgets the command then, or
/// sends it again (`sg_ioctl` in `drivers/scsi/sg.c`).
///
/// # Errors
/// The kernel refused to send it at all: the device is gone, nobody may send it, or a length is impossible. From an
/// `sg` node that vanishes also when it was sent.
pub fn execute(
    node: &File,
    cdb: &[u8],
    data: Transfer<'_>,
    timeout: Duration,
) -> io::Result<Answer> {
    let mut sense = [0; SENSE_CAPACITY];
    let mut header = Header::new(cdb, data, &mut sense, timeout)?;
    // SAFETY: `header` is a valid sg_io_hdr whose pointers are live for the whole call.
    let returned = unsafe { libc::ioctl(node.as_raw_fd(), SG_IO, &raw mut header) };
    if returned < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(Answer {
        status: header.status,
        host_status: header.host_status,
        driver_status: header.driver_status,
        sense,
        sense_length: usize::from(header.sb_len_wr).min(SENSE_CAPACITY),
        residual: header.resid,
    })
}

/// Resets the logical unit behind an open node, and waits until that is done. Whoever has commands there loses
/// them; who asked in vain loses nothing.
///
/// # Errors
/// It could not be done (`EIO`), or the driver cannot, or nobody may.
pub fn reset_unit(node: &File) -> io::Result<()> {
    let mut what = RESET_UNIT;
    // SAFETY: the ioctl reads one int by this pointer, which is live for the whole call.
    let returned = unsafe { libc::ioctl(node.as_raw_fd(), SG_SCSI_RESET, &raw mut what) };
    if returned < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// `struct sg_io_hdr`.
#[repr(C)]
struct Header {
    interface_id: i32,
    dxfer_direction: i32,
    cmd_len: u8,
    mx_sb_len: u8,
    iovec_count: u16,
    dxfer_len: u32,
    dxferp: *mut libc::c_void,
    cmdp: *const u8,
    sbp: *mut u8,
    timeout: u32,
    flags: u32,
    pack_id: i32,
    usr_ptr: *mut libc::c_void,
    status: u8,
    masked_status: u8,
    msg_status: u8,
    sb_len_wr: u8,
    host_status: u16,
    driver_status: u16,
    resid: i32,
    duration: u32,
    info: u32,
}

const _: () = {
    assert!(size_of::<Header>() == 88);
    assert!(std::mem::offset_of!(Header, dxferp) == 16);
    assert!(std::mem::offset_of!(Header, usr_ptr) == 56);
    assert!(std::mem::offset_of!(Header, host_status) == 68);
};

impl Header {
    const DXFER_NONE: i32 = -1;
    const DXFER_TO_DEV: i32 = -2;
    const DXFER_FROM_DEV: i32 = -3;

    fn new(
        cdb: &[u8],
        data: Transfer<'_>,
        sense: &mut [u8; SENSE_CAPACITY],
        timeout: Duration,
    ) -> io::Result<Self> {
        let (dxfer_direction, dxferp, length) = match data {
            Transfer::None => (Self::DXFER_NONE, std::ptr::null_mut(), 0),
            Transfer::In(bytes) => (Self::DXFER_FROM_DEV, bytes.as_mut_ptr().cast(), bytes.len()),
            // The kernel only reads through this pointer when the direction is to the device.
            Transfer::Out(bytes) => {
                (Self::DXFER_TO_DEV, bytes.as_ptr().cast_mut().cast(), bytes.len())
            }
        };
        let too_long = |_| io::Error::from(io::ErrorKind::InvalidInput);
        Ok(Self {
            interface_id: i32::from(b'S'),
            dxfer_direction,
            cmd_len: u8::try_from(cdb.len()).map_err(too_long)?,
            mx_sb_len: u8::try_from(SENSE_CAPACITY).map_err(too_long)?,
            iovec_count: 0,
            dxfer_len: u32::try_from(length).map_err(too_long)?,
            dxferp,
            cmdp: cdb.as_ptr(),
            sbp: sense.as_mut_ptr(),
            timeout: u32::try_from(timeout.as_millis()).map_err(too_long)?,
            flags: QUEUE_AT_TAIL,
            pack_id: 0,
            usr_ptr: std::ptr::null_mut(),
            status: 0,
            masked_status: 0,
            msg_status: 0,
            sb_len_wr: 0,
            host_status: 0,
            driver_status: 0,
            resid: 0,
            duration: 0,
            info: 0,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_scsi_device_refuses() {
        let null = File::open("/dev/null").unwrap();
        let limit = Duration::from_secs(1);
        assert!(execute(&null, &[0; 6], Transfer::None, limit).is_err());
        assert!(reset_unit(&null).is_err());
    }

    #[test]
    fn a_cdb_or_a_time_that_no_header_can_hold_is_refused() {
        let null = File::open("/dev/null").unwrap();
        let kind =
            |cdb: &[u8], limit| execute(&null, cdb, Transfer::None, limit).unwrap_err().kind();
        assert_eq!(kind(&[0; 256], Duration::ZERO), io::ErrorKind::InvalidInput);
        assert_eq!(kind(&[0; 6], Duration::MAX), io::ErrorKind::InvalidInput);
    }

    #[test]
    fn directions_are_the_initiators() {
        let mut sense = [0; SENSE_CAPACITY];
        let mut header = |data| Header::new(&[0; 6], data, &mut sense, Duration::ZERO).unwrap();
        assert_eq!(header(Transfer::None).dxfer_direction, -1);
        assert_eq!(header(Transfer::Out(&[1, 2])).dxfer_direction, -2);
        let read = header(Transfer::In(&mut [0; 3]));
        assert_eq!((read.dxfer_direction, read.dxfer_len, read.iovec_count), (-3, 3, 0));
    }
}

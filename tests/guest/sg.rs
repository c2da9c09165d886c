//! SCSI pass-through: the `SG_IO` ioctl of `/dev/sgN`, interface version 3.
//!
//! The only file of this crate with `unsafe`. Invariants: `Header` has the layout of `struct
//! sg_io_hdr` in `<scsi/sg.h>` (asserted below for 64-bit machines), every pointer in it comes from
//! a live slice with its own length beside it, and the kernel keeps none of them after the ioctl
//! returns. The kernel does not check that a CDB and its data length fit together, which is
//! what makes this the right tool for hostile commands.

#![allow(unsafe_code)]

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::reply::Reply;
use crate::sense::Sense;

/// `SG_IO` in `<scsi/sg.h>`.
const SG_IO: libc::c_ulong = 0x2285;
const SENSE_CAPACITY: usize = 96;

/// The data phase of a command, as the initiator sees it. Its length is the expected data transfer
/// length, whatever the CDB says.
#[derive(Debug)]
pub enum Data<'a> {
    /// No data phase.
    None,
    /// Data-In: the device fills this.
    In(&'a mut [u8]),
    /// Data-Out: the device receives this.
    Out(&'a [u8]),
}

/// An open `/dev/sgN`. Commands may be sent from several threads at once.
#[derive(Debug)]
pub struct Device {
    file: File,
    path: PathBuf,
}

impl Device {
    /// Opens a generic SCSI node.
    ///
    /// # Errors
    /// What the operating system said.
    pub fn open(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new().read(true).write(true).open(path)?;
        Ok(Self { file, path: path.to_owned() })
    }

    /// The node's path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Sends one CDB of 6 to 32 bytes and waits for its answer; after `timeout` the kernel aborts it and
    /// reports a host status.
    ///
    /// # Errors
    /// The kernel refused to send it at all: the device is gone, or the CDB's length is impossible.
    pub fn execute(&self, cdb: &[u8], data: Data<'_>, timeout: Duration) -> io::Result<Reply> {
        let mut sense = [0_u8; SENSE_CAPACITY];
        let mut header = Header::new(cdb, data, &mut sense, timeout)?;
        // SAFETY: `header` is a valid sg_io_hdr whose pointers are live for the whole call.
        let returned = unsafe { libc::ioctl(self.file.as_raw_fd(), SG_IO, &raw mut header) };
        if returned < 0 {
            return Err(io::Error::last_os_error());
        }
        let written = usize::from(header.sb_len_wr).min(SENSE_CAPACITY);
        Ok(Reply {
            status: header.status,
            host_status: header.host_status,
            sense: Sense::parse(&sense[..written]),
            residual: header.resid,
        })
    }
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
        data: Data<'_>,
        sense: &mut [u8; SENSE_CAPACITY],
        timeout: Duration,
    ) -> io::Result<Self> {
        let (dxfer_direction, dxferp, length) = match data {
            Data::None => (Self::DXFER_NONE, std::ptr::null_mut(), 0),
            Data::In(bytes) => (Self::DXFER_FROM_DEV, bytes.as_mut_ptr().cast(), bytes.len()),
            // The kernel only reads through this pointer when the direction is to the device.
            Data::Out(bytes) => (Self::DXFER_TO_DEV, bytes.as_ptr().cast_mut().cast(), bytes.len()),
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
            flags: 0,
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

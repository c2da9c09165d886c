//! `pulsefield-bare`: serves one TCMU device with as little as can be done, to show what the ring and the
//! kernel alone cost. `cargo xtask bench` compares the `null` handler with it.
//!
//! It drains the ring, answers, rings the doorbell once and blocks in poll(2). Reads, writes and COMPARE
//! AND WRITE are GOOD, and nobody looks at their data: what initiators read is whatever lay in the data
//! area. So never let anybody keep anything here. With `--file` it reads, writes and compares there,
//! in the loop itself: the limit for `file`, as long as there is one command at a time.
//!
//! It knows `ring` and `kernel` and, unlike a handler, no device server.

mod identity;
mod medium;

use std::fs::File;
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Parser;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use pulsefield_data::Buffer;
use pulsefield_kernel::{Roots, UioError, UioFile, region_len};
use pulsefield_ring::{Answer, DataIn, Entry, Mapping, Ring, RingCommand};
use pulsefield_units::LuId;

use identity::{Identity, Reply};

/// How long the device's node may take to appear.
const PATIENCE: Duration = Duration::from_secs(30);

#[derive(Parser)]
#[command(about = "Answers every command of one TCMU device with as little as can be done")]
struct Options {
    /// The device: the N of /dev/uioN.
    #[arg(long)]
    uio: u32,
    /// How large it says it is, in blocks of 512 bytes.
    #[arg(long)]
    blocks: u64,
    /// Its unit serial number.
    #[arg(long)]
    serial: String,
    /// Where its data is; without, its data is not touched.
    #[arg(long)]
    file: Option<PathBuf>,
}

fn main() -> Result<()> {
    let Options { uio, blocks, serial, file } = Options::parse();
    let file = file.map(|path| open(&path)).transpose()?;
    let roots = Roots::default();
    let uio = UioFile::open(&roots, LuId::new(uio), PATIENCE)?;
    let len = usize::try_from(region_len(&roots, uio.id())?)?;
    let region = Mapping::of_device(uio.as_fd(), len).context("mapping the ring")?;
    let ring = Ring::attach(region)?;
    match serve(&uio, ring, &Identity { blocks, serial }, file.as_ref()) {
        // The device was removed: that is the end, not an error.
        Err(error) if matches!(error.downcast_ref(), Some(UioError::Gone(_))) => Ok(()),
        ended => ended,
    }
}

/// Serves until the device goes.
fn serve(uio: &UioFile, mut ring: Ring, identity: &Identity, file: Option<&File>) -> Result<()> {
    loop {
        uio.take_event()?;
        while let Some(entry) = ring.next_entry()? {
            if let Entry::Command(command) = entry {
                answer(&mut ring, command, identity, file)?;
            }
        }
        if ring.publish() {
            uio.doorbell()?;
        }
        let mut polled = [PollFd::new(uio.as_fd(), PollFlags::POLLIN)];
        match poll(&mut polled, PollTimeout::NONE) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(error) => return Err(error).context("waiting for commands"),
        }
    }
}

fn answer(
    ring: &mut Ring,
    command: RingCommand,
    identity: &Identity,
    file: Option<&File>,
) -> Result<()> {
    let RingCommand { token, cdb, mut data, .. } = command;
    let good = Answer { status: GOOD, sense: None, data_in: DataIn::All };
    let check = |sense| {
        let data_in = DataIn::Short(0);
        Answer { status: CHECK_CONDITION, sense: Some(sense), data_in }
    };
    let answer = match identity.reply(cdb.as_bytes()) {
        Reply::Medium => match file {
            Some(file) if !medium::carry_out(file, cdb.as_bytes(), &mut data)? => {
                check(&identity::MISCOMPARE)
            }
            Some(_) | None => good,
        },
        Reply::Data(bytes) => Answer { data_in: DataIn::Short(fill(&mut data, &bytes)), ..good },
        Reply::Unknown => check(&identity::UNKNOWN),
    };
    ring.complete(token, answer, data);
    Ok(())
}

fn open(path: &Path) -> Result<File> {
    let opened = File::options().read(true).write(true).open(path);
    opened.with_context(|| format!("opening {}", path.display()))
}

/// SAM-5: GOOD and CHECK CONDITION.
const GOOD: u8 = 0x00;
const CHECK_CONDITION: u8 = 0x02;

/// Writes as much of `bytes` as there is room for; says how much.
fn fill(data: &mut Buffer, bytes: &[u8]) -> u32 {
    let sent = bytes.len().min(data.len());
    data.write_at(0, &bytes[..sent]);
    u32::try_from(sent).unwrap_or(u32::MAX)
}

//! What a line of a host's log reports, recognised by its words.
//!
//! The words are those that lines of ESX 3.5 to ESXi 8 have in common. Names and line numbers of
//! source files stand before many of them and change with every build: nothing here looks at them.

mod describe;
mod event_id;

use std::time::Duration;

use crate::scan::Scan;
use crate::{CommandFailure, HeartbeatRecord, Volume};

/// What a line reports. A `volume` that is `None` is not named, or the line was cut in its name; so
/// is a `record`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The host has not written its heartbeat for 16 s, and holds the volume for lost until it has.
    HeartbeatTimedOut {
        /// On which volume.
        volume: Option<Volume>,
    },
    /// It waits for a heartbeat that timed out.
    HeartbeatWaiting {
        /// The slot as the host wrote it last.
        record: Option<HeartbeatRecord>,
        /// On which volume.
        volume: Option<Volume>,
    },
    /// It tried to take its timed-out heartbeat up again.
    HeartbeatReclaiming {
        /// The slot.
        record: Option<HeartbeatRecord>,
        /// On which volume.
        volume: Option<Volume>,
        /// Why that failed, in the host's words.
        failure: Option<String>,
    },
    /// It has its heartbeat again.
    HeartbeatReclaimed {
        /// The slot as the host has just written it.
        record: Option<HeartbeatRecord>,
        /// On which volume.
        volume: Option<Volume>,
    },
    /// It has not got its heartbeat back, and its locks on the volume are lost.
    HeartbeatUnrecoverable {
        /// On which volume.
        volume: Option<Volume>,
    },
    /// A heartbeat slot holds what is no heartbeat.
    HeartbeatCorrupt {
        /// Where the slot lies, in bytes from the start of the volume.
        offset: Option<u64>,
        /// What was found there.
        record: Option<HeartbeatRecord>,
        /// On which volume.
        volume: Option<Volume>,
    },
    /// A heartbeat's COMPARE AND WRITE found another image than the host's last (KB 2113956).
    AtsMiscompare {
        /// Where the slot lies, in bytes from the start of the volume.
        offset: Option<u64>,
        /// On which volume.
        volume: Option<Volume>,
    },
    /// Something failed with `VMK_ATS_MISCOMPARE`, "Atomic test and set of disk block returned
    /// false for equality".
    AtsNotEqual,
    /// A host found a lock taken that had been its own.
    LockLost,
    /// A lock's sector holds what is no lock.
    LockCorrupt {
        /// On which volume.
        volume: Option<Volume>,
    },
    /// A volume that is to be locked by ATS alone is on a device that does not offer it any more.
    AtsSupportLost {
        /// Which volume.
        volume: Option<Volume>,
    },
    /// The reservation for a critical section without ATS was held for long.
    ReservationHeld {
        /// On which volume.
        volume: Option<Volume>,
        /// For how long.
        held: Duration,
    },
    /// A SCSI command failed.
    CommandFailed(CommandFailure),
    /// The volume cannot be reached; recovery goes on.
    AccessLost {
        /// Which volume.
        volume: Option<Volume>,
    },
    /// The volume can be reached again.
    AccessRestored {
        /// Which volume.
        volume: Option<Volume>,
    },
    /// VMFS reset the device, in its own view, to be rid of all that was under way: what follows a
    /// heartbeat that was lost.
    VirtReset,
    /// A write came to a partition that VMFS has stopped.
    WriteQuiesced {
        /// The partition, `naa.…:1`.
        partition: String,
    },
    /// Commands take much longer than they did.
    LatencyDeteriorated {
        /// The device.
        device: String,
        /// How long they took on average, and take now.
        times: Option<(Duration, Duration)>,
    },
    /// No path of a device works.
    AllPathsDown {
        /// The device, if the line names it.
        device: Option<String>,
    },
    /// No path has worked for 140 s: the host gives the device's commands up.
    AllPathsDownTimedOut {
        /// The device, if the line names it.
        device: Option<String>,
    },
    /// The last path to a device is gone.
    ConnectivityLost {
        /// The device, if the line names it.
        device: Option<String>,
    },
}

/// Words that only one kind of line has, and how the rest of that line is read: what stands before
/// them, and after.
struct Form {
    words: &'static str,
    read: fn(before: &str, after: &str) -> Option<Event>,
}

/// The more telling words first: a line may have several.
const FORMS: &[Form] = &[
    Form {
        words: "ATS Miscompare detected between test and set HB images at offset ",
        read: ats_miscompare,
    },
    Form { words: "may be damaged on disk. Corrupt heartbeat detected", read: heartbeat_corrupt },
    // "timed-out" is ESX 3.5.
    Form { words: "Waiting for timed out ", read: heartbeat_waiting },
    Form { words: "Waiting for timed-out heartbeat ", read: heartbeat_waiting },
    Form { words: "Reclaiming timed out ", read: heartbeat_reclaiming },
    Form { words: "Reclaimed timed out heartbeat ", read: heartbeat_reclaimed_of_3_5 },
    Form { words: "Reclaimed heartbeat for volume ", read: heartbeat_reclaimed },
    Form { words: "Lost access to volume ", read: access_lost },
    Form { words: "restored access to volume ", read: access_restored },
    Form { words: "Lost previously held disk lock", read: |_, _| Some(Event::LockLost) },
    Form { words: "ATS-ONLY VMFS volume '", read: ats_support_lost },
    Form { words: "rsv time on '", read: reservation_held },
    Form {
        words: "Cmd(",
        read: |before, after| failed(CommandFailure::of_device_io(before, after)),
    },
    Form {
        words: "Cmd 0x",
        read: |before, after| failed(CommandFailure::of_multipathing(before, after)),
    },
    Form {
        words: "Command 0x",
        read: |before, after| failed(CommandFailure::of_esx_4(before, after)),
    },
    Form {
        words: "StorageMonitor:",
        read: |before, after| failed(CommandFailure::of_esx_3(before, after)),
    },
    Form { words: "to write-quiesced partition ", read: write_quiesced },
    Form { words: " performance has deteriorated.", read: latency_deteriorated },
    Form { words: "aborted by VMFS via a virt-reset", read: |_, _| Some(Event::VirtReset) },
    Form {
        words: "Atomic test and set of disk block returned false for equality",
        read: |_, _| Some(Event::AtsNotEqual),
    },
];

/// What reading a line's words came to.
// It is looked at once and not kept.
#[allow(clippy::large_enum_variant)]
pub(crate) enum Reading {
    /// They report this.
    Event(Event),
    /// They begin to report something, and break off or go on in an unknown way.
    Broken,
    /// Nothing here knows them.
    Unknown,
}

impl Reading {
    /// What `message` reports: a line without time and origin.
    pub(crate) fn of(message: &str) -> Self {
        let mut broken = false;
        for form in FORMS {
            let Some((before, after)) = message.split_once(form.words) else { continue };
            match (form.read)(before, after) {
                Some(event) => return Self::Event(event),
                None => broken = true,
            }
        }
        match event_id::read(message) {
            Some(event) => Self::Event(event),
            None if broken => Self::Broken,
            None => Self::Unknown,
        }
    }
}

fn failed(failure: Option<CommandFailure>) -> Option<Event> {
    failure.map(Event::CommandFailed)
}

/// `3964928 on vol 'Datastore'`: KB 2113956 has it, and not whether the name is in quotes.
fn ats_miscompare(_: &str, after: &str) -> Option<Event> {
    let mut scan = Scan::new(after);
    let offset = scan.decimal();
    // A number that nothing follows may have lost digits.
    let offset = offset.filter(|_| scan.rest().starts_with(' '));
    let volume = scan.until(" on vol ").and_then(|_| match scan.rest() {
        quoted if quoted.starts_with('\'') => Volume::labelled(in_quotes(quoted)?),
        bare => Volume::labelled(bare.trim_end_matches('.')),
    });
    Some(Event::AtsMiscompare { offset, volume })
}

/// Before: `Volume UUID ("1TB-LAB") `; after: ` at offset 3751936: [HB state 0 …`.
fn heartbeat_corrupt(before: &str, after: &str) -> Option<Event> {
    let volume = before
        .rsplit_once("Volume ")
        .and_then(|(_, named)| Volume::scan(&mut Scan::new(named), " (\"", "\")"));
    let mut scan = Scan::new(after);
    let offset = scan.literal(" at offset ").and_then(|()| scan.decimal());
    let offset = offset.filter(|_| scan.literal(": ").is_some());
    Some(Event::HeartbeatCorrupt { offset, record: HeartbeatRecord::scan(&mut scan), volume })
}

/// `[HB …] on vol 'Datastore'`; ESX 3.5 does not name the volume.
fn heartbeat_waiting(_: &str, after: &str) -> Option<Event> {
    let mut scan = Scan::new(after);
    let record = HeartbeatRecord::scan(&mut scan);
    Some(Event::HeartbeatWaiting { record, volume: on_volume(scan.rest()) })
}

/// `[HB …] on vol 'Datastore' failed: Timeout`.
fn heartbeat_reclaiming(_: &str, after: &str) -> Option<Event> {
    let mut scan = Scan::new(after);
    let record = HeartbeatRecord::scan(&mut scan);
    let failure = scan.rest().rsplit_once(" failed: ").map(|(_, why)| why.to_owned());
    Some(Event::HeartbeatReclaiming { record, volume: on_volume(scan.rest()), failure })
}

/// `[HB …]` (ESX 3.5).
fn heartbeat_reclaimed_of_3_5(_: &str, after: &str) -> Option<Event> {
    let record = HeartbeatRecord::scan(&mut Scan::new(after));
    Some(Event::HeartbeatReclaimed { record, volume: None })
}

/// `UUID (Datastore): [Timeout] [HB …]` in vmkernel.log, `UUID Datastore [Timeout] [HB …]` in
/// vobd.log.
fn heartbeat_reclaimed(_: &str, after: &str) -> Option<Event> {
    let mut scan = Scan::new(after);
    let volume = if after.contains(" (") {
        Volume::scan(&mut scan, " (", "): ")
    } else {
        Volume::scan(&mut scan, " ", " [")
    };
    let record =
        after.find("[HB ").and_then(|at| HeartbeatRecord::scan(&mut Scan::new(&after[at..])));
    Some(Event::HeartbeatReclaimed { record, volume })
}

fn access_lost(_: &str, after: &str) -> Option<Event> {
    let volume = Volume::scan(&mut Scan::new(after), " (", ") ");
    Some(Event::AccessLost { volume })
}

fn access_restored(_: &str, after: &str) -> Option<Event> {
    let volume = Volume::scan(&mut Scan::new(after), " (", ") ");
    Some(Event::AccessRestored { volume })
}

/// `NAME' not mounted. Host does not support ATS or ATS initialization failed`.
fn ats_support_lost(_: &str, after: &str) -> Option<Event> {
    let label = after.split_once("' not mounted").map(|(label, _)| label);
    Some(Event::AtsSupportLost { volume: label.and_then(Volume::labelled) })
}

/// `DS' (held for 6441 msecs). # R: 1, …`.
fn reservation_held(_: &str, after: &str) -> Option<Event> {
    let mut scan = Scan::new(after);
    let volume = Volume::labelled(scan.until("' (held for ")?);
    let millis = scan.decimal()?;
    scan.literal(" msecs")?;
    Some(Event::ReservationHeld { volume, held: Duration::from_millis(millis) })
}

/// `naa.x:1`.
fn write_quiesced(_: &str, after: &str) -> Option<Event> {
    let partition = Scan::new(after).word()?.trim_end_matches('.').to_owned();
    Some(Event::WriteQuiesced { partition })
}

/// Before: `Device naa.x`; after: ` I/O latency increased from average value of 1234 microseconds
/// to 123456 microseconds.`
fn latency_deteriorated(before: &str, after: &str) -> Option<Event> {
    let (_, device) = before.rsplit_once("Device ")?;
    let mut scan = Scan::new(after);
    let mut time = |words: &str| {
        scan.until(words)?;
        let micros = scan.decimal()?;
        scan.literal(" microseconds")?;
        Some(Duration::from_micros(micros))
    };
    let times = time(" from average value of ").zip(time(" to "));
    Some(Event::LatencyDeteriorated { device: device.to_owned(), times })
}

/// The volume in ` on vol 'Datastore'`.
fn on_volume(text: &str) -> Option<Volume> {
    let (_, named) = text.split_once(" on vol ")?;
    Volume::labelled(in_quotes(named)?)
}

/// What stands between the first quote, which must come first, and the last one: a label may have
/// one of its own.
fn in_quotes(text: &str) -> Option<&str> {
    text.strip_prefix('\'')?.rsplit_once('\'').map(|(inside, _)| inside)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(message: &str) -> Option<Event> {
        match Reading::of(message) {
            Reading::Event(event) => Some(event),
            Reading::Broken | Reading::Unknown => None,
        }
    }

    #[test]
    fn a_miscompare_names_its_slot_and_volume() {
        let head = "HBX: 1: ATS Miscompare detected between test and set HB images at offset ";
        for (tail, expected, label) in [
            ("3964928 on vol 'DS1'", Some(3_964_928), Some("DS1")),
            ("3964928 on vol DS1.", Some(3_964_928), Some("DS1")),
            ("3964928 on vol 'Rob's'", Some(3_964_928), Some("Rob's")),
            ("3964928 on vol 'DS", Some(3_964_928), None),
            ("3964928 on v", Some(3_964_928), None),
            ("39649", None, None),
            ("XXX on vol YYY", None, Some("YYY")),
        ] {
            let Some(Event::AtsMiscompare { offset, volume }) = event(&format!("{head}{tail}"))
            else {
                panic!("{tail}");
            };
            assert_eq!(offset, expected, "{tail}");
            assert_eq!(volume.and_then(|volume| volume.label).as_deref(), label, "{tail}");
        }
    }

    #[test]
    fn of_several_words_the_more_telling_count() {
        let line = "[vob.vmfs.heartbeat.recovered] Reclaimed heartbeat for volume \
                    4e203815-40b2561a-dd72-0017a477003a DS [Timeout] [HB state abcdef02 offset 3145728 \
                    gen 3 stampUS 5 uuid";
        let Some(Event::HeartbeatReclaimed { record: Some(record), volume: Some(volume) }) =
            event(line)
        else {
            panic!("no record");
        };
        assert_eq!((record.offset, volume.to_string().as_str()), (3_145_728, "'DS'"));
    }

    #[test]
    fn words_without_what_belongs_to_them_are_broken() {
        for line in ["Cmd(0x43) 0x89, CmdSN", "Cmd 0x28 (0x41", "rsv time on 'DS' (held for 6"] {
            assert!(matches!(Reading::of(line), Reading::Broken), "{line}");
        }
        assert!(matches!(Reading::of("Cow: 2342: nothing"), Reading::Unknown));
        assert!(matches!(Reading::of("[esx.problem.vm.other] x"), Reading::Unknown));
    }
}

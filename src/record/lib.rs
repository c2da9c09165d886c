//! The recorder: what went through a logical unit, kept in a file that outlives the daemon.
//!
//! Floor 3: the words of SCSI and of the device server; memmap2 to map the file and
//! rustix to give it space. No clock is read and no thread started here: a [`Recorder`] is the unit's
//! thread's own, and is told what happened and when.
//!
//! A file has two tracks, each a ring of records (`format.rs`): one for what explains a heartbeat or a lock
//! that went wrong, kept for hours, and one for all other traffic, kept for as long as there is room. A
//! [`Reader`] puts them together again, in the order in which things happened; also while the file is
//! being written, after the daemon was killed, and from a copy that was cut short.

mod checksum;
mod dump;
mod entry;
mod error;
mod event;
mod follow;
mod format;
mod functions;
mod images;
mod joined;
mod map;
mod marks;
mod reader;
mod recorder;
mod source;
mod track;
mod watched;
mod written;

pub use dump::{Dumps, Reason, is_record, save};
pub use error::{DumpError, OpenError, ReadError};
pub use event::{
    AttentionRaised, Command, Event, FaultHit, Found, Image, ImageRole, Origin, Overdue, Record,
    SenseCode, Start, Stop, TaskManagement, TaskManagementOver,
};
pub use follow::Follower;
pub use format::{VERSION, file_name};
pub use joined::Joiner;
pub use reader::Reader;
pub use recorder::{Detail, Finished, Recorder, Unit, WallTime};
pub use source::{Place, Source};

#[cfg(test)]
mod tests;

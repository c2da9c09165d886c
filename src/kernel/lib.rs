//! What Pulsefield says to and hears from LIO and TCMU outside the command ring.
//!
//! Floor 1: units, and the operating system. Four places of the kernel's interface live here, one
//! file each: the UIO devices ([`UioFile`], [`scan`]), the configfs directory of a device
//! ([`Device`]), the generic netlink family that announces devices ([`Netlink`]), and the module's
//! parameters ([`Module`]). On top of them stands one procedure, [`adopt()`]: how a ring that a dead
//! process left behind becomes ours without a second owner.
//!
//! No thread is started here, nothing is mapped (that is the `ring` room), and no SCSI byte is
//! read. Every path hangs below [`Roots`], so the room is tested on a tree of plain files. What is
//! said of the kernel was read in `drivers/target/target_core_user.c`,
//! `drivers/target/target_core_configfs.c` and `drivers/uio/uio.c`.

mod adopt;
mod alua;
mod attribute;
mod configfs;
mod holder;
mod initiators;
mod module;
mod netlink;
mod roots;
mod runner;
mod uio;
mod uio_name;

pub use adopt::{AdoptError, Adoption, Blocked, adopt};
pub use alua::{AccessState, AccessStatus, AccessType, TargetPortGroup};
pub use attribute::AttributeError;
pub use configfs::{Device, DeviceInfo, RingReset};
pub use holder::{Hold, Holder, HolderError, holders};
pub use module::{LoadError, Module, NetlinkBlocked};
pub use netlink::{Change, Event, EventKind, Netlink, NetlinkError};
pub use roots::Roots;
pub use runner::runner_pid;
pub use uio::{OpenUioError, UioDevice, UioError, UioFile, region_len, scan};
pub use uio_name::{SUBTYPE, UioName, UioNameError};

//! What is to be seen of Pulsefield inside a guest with a real LIO kernel, as root.
//!
//! Beside the house, and a stranger to it: of our crates only the initiator's pass-through is used here,
//! which hands bytes to the kernel. CDBs, sense data and the judgement over them are written again from the
//! standards, so that a mistake in the target's codec is not shared by its checker. From the bottom up:
//!
//! - `sg`, `sense`, `reply`, `cdb`, `disk`: an initiator's commands and their answers;
//! - `command`, `targetcli`, `configfs`, `examples`, `persist`, `daemon`, `control`, `fault`, `explain`, `processes`, `kernel_log`, `terminal`: the system;
//! - `backstore`, `fabric`, `nexuses`: what is exported, over what and to how many;
//! - `vmfs`: what hosts write;
//! - `tally`, `increment`, `race`, `hammer`, `collision`, `pulse`, `latency`, `load`, `fio`, `suite`, `soak`: what is measured and judged;
//! - `report`, `table`: what is told;
//! - `scenario`, `bench`: the order in which all that happens.

pub mod backstore;
pub mod bench;
pub mod cdb;
pub mod clock;
pub mod collision;
pub mod command;
pub mod configfs;
pub mod control;
pub mod daemon;
pub mod disk;
pub mod examples;
pub mod explain;
pub mod fabric;
pub mod fault;
pub mod fio;
pub mod hammer;
pub mod increment;
pub mod kernel_log;
pub mod latency;
pub mod load;
pub mod nexuses;
pub mod persist;
pub mod processes;
pub mod pulse;
pub mod race;
pub mod random;
pub mod reply;
pub mod report;
pub mod scenario;
pub mod sense;
pub mod sg;
pub mod soak;
pub mod suite;
pub mod table;
pub mod tally;
pub mod targetcli;
pub mod terminal;
pub mod vmfs;
pub mod wait;

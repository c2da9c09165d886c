//! The test kit that every handler passes: one function per promise of [`Backstore`].
//!
//! A handler's tests say `conformance_tests!(Subject { … })` and get one `#[test]` per promise. The
//! kit opens media through the handler, as the daemon does, and compares what they hold with an
//! array in memory.
//!
//! [`Backstore`]: crate::Backstore

mod bench;
mod model;
mod promises;
mod random;
mod scattered;

use std::path::Path;

pub use bench::execute;
pub use promises::*;
pub use random::random_ops_agree_with_an_array;

use crate::Handler;

/// The handler that is tested.
#[derive(Clone, Copy)]
pub struct Subject {
    /// It itself.
    pub handler: &'static dyn Handler,
    /// The cfgstring of a medium; the folder is empty, and removed after the test.
    pub cfgstring: fn(folder: &Path) -> String,
    /// The cfgstring that opens the same medium for reading only, if the handler can do that.
    pub read_only: Option<fn(folder: &Path) -> String>,
    /// Whether it keeps what is written.
    pub retains: Retains,
    /// Where the medium comes from.
    pub origin: Origin,
}

/// Where a medium comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The handler made it: blocks that are new read as zeros, and where it has holes is known.
    Made,
    /// A device that was there: blocks that come with a larger size hold whatever they held, and it
    /// need not tell which ones have space behind them.
    Found,
}

/// Whether a medium keeps what is written to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retains {
    /// What was written is read back.
    Yes,
    /// Writes are forgotten; every block reads as zeros (`null`).
    No,
}

/// Makes a `#[test]` of every promise for one [`Subject`], in a module `conformance`.
#[macro_export]
macro_rules! conformance_tests {
    ($subject:expr) => {
        $crate::conformance_tests! {
            @each $subject;
            a_fresh_medium_reads_as_zeros
            what_is_written_is_read_back
            later_writes_win
            scattered_buffers_are_used_in_order
            a_longer_buffer_keeps_its_tail
            zeroed_blocks_read_as_zeros
            unmapped_blocks_read_as_zeros
            provisioning_covers_every_block
            space_that_is_told_of_follows_what_is_written
            durable_writes_and_flushes_are_answered
            requests_side_by_side_are_each_answered_once
            closing_answers_what_is_queued
            growing_adds_zeros_and_shrinking_forgets
            a_read_only_medium_refuses_to_change
            compare_and_write_is_all_or_nothing
            atomic_writes_land_where_they_belong
            copies_are_what_the_source_was
            a_copy_of_what_has_no_space_takes_none
            random_ops_agree_with_an_array
        }
    };
    (@each $subject:expr; $($promise:ident)*) => {
        mod conformance {
            use super::*;
            $(
                #[test]
                fn $promise() {
                    $crate::conformance::$promise(&$subject);
                }
            )*
        }
    };
}

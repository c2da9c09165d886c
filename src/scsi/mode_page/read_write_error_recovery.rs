//! Read-Write Error Recovery (01h; SBC-4).

use std::borrow::Cow;

use super::ModePage;

/// No recovery of ours, no retries, no time limit: the medium below sees to that.
pub(super) const PAGE: ModePage =
    ModePage { bytes: Cow::Borrowed(&[0x01, 0x0a, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]), settings: &[] };

//! Logical Block Provisioning (1Ch/02h; SBC-4): at what thresholds initiators are warned.

use std::borrow::Cow;

use super::{ModePage, PROVISIONING_THRESHOLDS_MAX};
use crate::encode::length_prefixed;

/// ENABLED, THRESHOLD TYPE 000b (a count of threshold sets) and THRESHOLD ARMING 000b (decreasing).
const ENABLED_DECREASING_COUNT: u8 = 0x80;
/// THRESHOLD RESOURCE: what the Logical Block Provisioning log page tells as its parameter 0001h,
/// Available LBA Mapping Resource Count.
const AVAILABLE: u8 = 0x01;

/// The page with a threshold descriptor for each of `thresholds`, if there are any. SITUA is 0: a
/// warning is for every I_T nexus.
///
/// # Panics
/// If there are more than [`PROVISIONING_THRESHOLDS_MAX`]: a bug of the caller.
pub(super) fn page(thresholds: &[u32]) -> Option<ModePage> {
    assert!(thresholds.len() <= PROVISIONING_THRESHOLDS_MAX, "more thresholds than fit");
    if thresholds.is_empty() {
        return None;
    }
    let mut bytes = vec![0x5c, 0x02];
    length_prefixed::<2>(&mut bytes, |bytes| {
        bytes.extend_from_slice(&[0; 12]);
        for count in thresholds {
            bytes.extend_from_slice(&[ENABLED_DECREASING_COUNT, AVAILABLE, 0, 0]);
            bytes.extend_from_slice(&count.to_be_bytes());
        }
    });
    Some(ModePage { bytes: Cow::Owned(bytes), settings: &[] })
}

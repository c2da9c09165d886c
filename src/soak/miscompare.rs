//! Why a COMPARE AND WRITE miscompared, as far as its initiator can know: what it was about, and what it meant
//! to do. Who had written what lay there only the record of the unit says (`witness`).

use pulsefield_checkers::HostId;
use pulsefield_report::Found;
use pulsefield_vmfs::{HeartbeatState, LockMode, Object};

/// A cause, and what there is to say about one time.
pub(crate) struct Cause {
    /// What it is called.
    pub(crate) name: &'static str,
    /// What to do about it.
    pub(crate) advice: &'static str,
    about: String,
    meant: String,
}

/// The cause of a miscompare of `test`, in place of which `set` was to be written.
pub(crate) fn cause(test: &[u8], set: &[u8]) -> Cause {
    match (Object::decode(test), Object::decode(set)) {
        (Some(Object::Lock(test)), Some(Object::Lock(set))) => Cause {
            name: "lock contended",
            advice: "none: another host changed the lock between this one's READ and its ATS",
            about: format!("lock of a {} at {:#x}", test.kind.name(), test.address),
            meant: format!(
                "expected token {} ({}), wanted {}",
                test.token,
                test.mode.name(),
                match set.mode {
                    LockMode::Free => "to let it go",
                    LockMode::Exclusive => "it for itself",
                    LockMode::ReadOnly => "to share it for reading",
                    LockMode::MultiWriter => "to share it for writing",
                }
            ),
        },
        (Some(Object::Heartbeat(test)), Some(Object::Heartbeat(set))) => {
            let own = test.owner.is_some() && test.owner == set.owner;
            let (name, advice) = match (own, set.state) {
                (true, HeartbeatState::InUse) => (
                    "heartbeat",
                    "look whether a heartbeat timed out before, or the host was frozen",
                ),
                (false, HeartbeatState::InUse) => (
                    "slot contended",
                    "none: another host took the slot, and this one takes the next",
                ),
                (_, HeartbeatState::Clear | HeartbeatState::Replaying) => {
                    ("takeover contended", "none: the owner lives, or another host was faster")
                }
            };
            let about = format!("heartbeat slot {}", test.slot());
            let meant = format!(
                "expected generation {} with stamp {} µs",
                test.generation,
                test.stamp.as_micros()
            );
            Cause { name, advice, about, meant }
        }
        _ => Cause {
            name: "other",
            advice: "look at what lies there: it is neither a heartbeat nor a lock",
            about: "a block that is neither a heartbeat nor a lock".to_owned(),
            meant: "expected bytes that are neither".to_owned(),
        },
    }
}

impl Cause {
    /// What a report says about this one.
    pub(crate) fn explanation(&self, host: HostId, offset: Option<u64>) -> Found {
        let text = format!("{}; {}", self.meant, told(offset));
        Found { host: Some(host), about: self.about.clone(), text }
    }
}

/// What the host was told of the first difference.
pub(crate) fn told(offset: Option<u64>) -> String {
    match offset {
        Some(offset) => format!("the first difference was at byte {offset}"),
        None => "the unit did not say where the first difference was".to_owned(),
    }
}

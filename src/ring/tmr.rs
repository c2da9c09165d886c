//! Task management notifications: what an initiator or LIO itself has aborted.

/// The kernel tells that a task management function was carried out on this device.
///
/// Nothing is to be answered. The commands it names must still be completed, each through its own
/// token: LIO waits for them before it answers the initiator. An id that is no longer in flight was
/// answered before the kernel saw it; a command that reuses the id always comes later.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tmr {
    /// Which function.
    pub kind: TmrKind,
    /// Ids of the commands it aborted; may be empty.
    pub command_ids: Vec<u16>,
}

/// A task management function (SAM-6 clause 7), as numbered by `linux/target_core_user.h`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TmrKind {
    /// One task of one initiator.
    AbortTask,
    /// All tasks of one initiator.
    AbortTaskSet,
    /// An auto contingent allegiance was cleared.
    ClearAca,
    /// All tasks of all initiators.
    ClearTaskSet,
    /// LOGICAL UNIT RESET.
    LunReset,
    /// Target warm reset.
    TargetWarmReset,
    /// Target cold reset.
    TargetColdReset,
    /// A logical unit reset that PERSISTENT RESERVE OUT with PREEMPT AND ABORT implies.
    LunResetPro,
    /// Code 0, or one that is younger than this program.
    Unknown(u8),
}

impl TmrKind {
    /// The function with the kernel's number `code`.
    pub const fn from_code(code: u8) -> Self {
        match code {
            1 => Self::AbortTask,
            2 => Self::AbortTaskSet,
            3 => Self::ClearAca,
            4 => Self::ClearTaskSet,
            5 => Self::LunReset,
            6 => Self::TargetWarmReset,
            7 => Self::TargetColdReset,
            128 => Self::LunResetPro,
            other => Self::Unknown(other),
        }
    }

    /// Whether the whole logical unit is reset, and not only commands of it.
    pub const fn is_reset(self) -> bool {
        matches!(self, Self::LunReset | Self::TargetWarmReset | Self::TargetColdReset)
    }

    /// The kernel's number for the function.
    pub const fn code(self) -> u8 {
        match self {
            Self::AbortTask => 1,
            Self::AbortTaskSet => 2,
            Self::ClearAca => 3,
            Self::ClearTaskSet => 4,
            Self::LunReset => 5,
            Self::TargetWarmReset => 6,
            Self::TargetColdReset => 7,
            Self::LunResetPro => 128,
            Self::Unknown(code) => code,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_survive_both_ways() {
        for code in 0..=u8::MAX {
            assert_eq!(TmrKind::from_code(code).code(), code);
        }
    }
}

//! Whether the unit can carry a command out just now: its power condition, and whether its medium is
//! in.
//!
//! All of it is kept here alone and gone with the device server: a unit starts active, with its
//! medium in and its removal allowed.

use pulsefield_scsi::{Asc, Command, PowerCondition, Sense, SenseKey, StartStopUnit, UnitChange};

use crate::background::Operation;
use crate::logical_unit::LogicalUnit;
use crate::unit_attention::UnitAttention;

/// What START STOP UNIT and PREVENT ALLOW MEDIUM REMOVAL change.
#[derive(Debug)]
pub(crate) struct Readiness {
    pub(crate) power: PowerCondition,
    /// Whether a removable medium was taken out.
    ejected: bool,
    /// Whether that is prevented. TCMU hides which I_T nexus a command came by, so the unit has one
    /// such state and not one for each nexus: whoever allows removal allows it, and the loss of a
    /// nexus does not show (`docs/operating.md`).
    removal_prevented: bool,
}

impl Readiness {
    pub(crate) const fn new() -> Self {
        Self { power: PowerCondition::Active, ejected: false, removal_prevented: false }
    }

    /// The medium is one that cannot be taken out any more.
    pub(crate) const fn put_back(&mut self) {
        self.ejected = false;
        self.removal_prevented = false;
    }
}

impl LogicalUnit {
    /// Refuses a command that needs what is not there; one that needs the medium ends an idle or
    /// standby condition.
    ///
    /// # Errors
    /// 02h/04h/04h or 1Bh, with a progress indication, while the medium is formatted or sanitized;
    /// 02h/3Ah/00h without a medium; 03h/31h/01h or 03h after a formatting or sanitizing that failed;
    /// 02h/04h/02h for a unit that was stopped.
    pub(crate) fn require_ready(&mut self, command: &Command) -> Result<(), Sense> {
        if let Some(background) = &self.background
            && !goes_beside_background(command)
        {
            return Err(background.sense());
        }
        if does_without_medium(command) {
            return Ok(());
        }
        self.require_present()?;
        if let Some(failed) = self.failed
            && !goes_after_failure(command, failed)
        {
            return Err(failed.failed());
        }
        if matches!(command, Command::ReadCapacity10 | Command::ReadCapacity16(_)) {
            // Known, and not read from the medium.
            return Ok(());
        }
        self.require_started()?;
        if !matches!(command, Command::TestUnitReady) {
            self.readiness.power = PowerCondition::Active;
        }
        Ok(())
    }

    /// The same for a part of a copy, which is about blocks alone, like a READ or a WRITE.
    ///
    /// # Errors
    /// As [`Self::require_ready`].
    pub(crate) fn require_ready_for_part(&mut self) -> Result<(), Sense> {
        if let Some(background) = &self.background {
            return Err(background.sense());
        }
        self.require_present()?;
        if let Some(failed) = self.failed {
            return Err(failed.failed());
        }
        self.require_started()?;
        self.readiness.power = PowerCondition::Active;
        Ok(())
    }

    const fn require_present(&self) -> Result<(), Sense> {
        if self.readiness.ejected {
            return Err(Sense::new(SenseKey::NotReady, Asc::MEDIUM_NOT_PRESENT));
        }
        Ok(())
    }

    fn require_started(&self) -> Result<(), Sense> {
        if self.readiness.power == PowerCondition::Stopped {
            let asc = Asc::LOGICAL_UNIT_NOT_READY_INITIALIZING_COMMAND_REQUIRED;
            return Err(Sense::new(SenseKey::NotReady, asc));
        }
        Ok(())
    }

    /// Whether `command` can be carried out: nothing but loading and ejecting needs a reason.
    ///
    /// # Errors
    /// 05h/24h/00h if the medium cannot be taken out at all, 05h/53h/02h if that is prevented, which
    /// also keeps a medium from being loaded.
    pub(crate) fn check_change(&self, command: StartStopUnit) -> Result<(), Sense> {
        match command.change {
            UnitChange::Load | UnitChange::Eject if !self.config.removable => {
                Err(StartStopUnit::LOEJ_NOT_SUPPORTED)
            }
            UnitChange::Load | UnitChange::Eject if self.readiness.removal_prevented => {
                Err(Sense::new(SenseKey::IllegalRequest, Asc::MEDIUM_REMOVAL_PREVENTED))
            }
            UnitChange::Load | UnitChange::Eject | UnitChange::Power(_) | UnitChange::Nothing => {
                Ok(())
            }
        }
    }

    /// Carries `change` out. That a medium was loaded is told to the other initiators.
    pub(crate) fn change_readiness(&mut self, change: UnitChange) {
        let Readiness { power, ejected, .. } = &mut self.readiness;
        match change {
            // As with every drive whose medium can be taken out, what stops is started again by the
            // next access: its power condition is standby_z, and only ejecting makes it not ready.
            UnitChange::Power(PowerCondition::Stopped) if self.config.removable => {
                *power = PowerCondition::StandbyZ;
            }
            UnitChange::Power(condition) => *power = condition,
            UnitChange::Load => {
                *power = PowerCondition::Active;
                if std::mem::replace(ejected, false) {
                    self.attentions.raise_for_others(UnitAttention::MediumMayHaveChanged);
                }
            }
            UnitChange::Eject => *ejected = true,
            UnitChange::Nothing => {}
        }
    }

    /// PREVENT ALLOW MEDIUM REMOVAL.
    pub(crate) fn prevent_removal(&mut self, prevent: bool) {
        self.readiness.removal_prevented = prevent;
    }

    /// A reset of the unit allows the removal of its medium (SPC-4, PREVENT ALLOW MEDIUM REMOVAL).
    pub(crate) fn reset(&mut self) {
        self.readiness.removal_prevented = false;
    }

    /// What REQUEST SENSE answers if there is nothing else: how far a background operation is, or that
    /// the unit is not ready, idle or in standby.
    pub(crate) fn pollable_sense(&self) -> Sense {
        if let Some(background) = &self.background {
            return background.sense();
        }
        if let Some(failed) = self.failed {
            return failed.failed();
        }
        let asc = match self.readiness.power {
            _ if self.readiness.ejected => {
                return Sense::new(SenseKey::NotReady, Asc::MEDIUM_NOT_PRESENT);
            }
            PowerCondition::Active => return Sense::NO_SENSE,
            PowerCondition::Stopped => {
                let asc = Asc::LOGICAL_UNIT_NOT_READY_INITIALIZING_COMMAND_REQUIRED;
                return Sense::new(SenseKey::NotReady, asc);
            }
            PowerCondition::IdleA => Asc::IDLE_CONDITION_ACTIVATED_BY_COMMAND,
            PowerCondition::IdleB => Asc::IDLE_B_CONDITION_ACTIVATED_BY_COMMAND,
            PowerCondition::IdleC => Asc::IDLE_C_CONDITION_ACTIVATED_BY_COMMAND,
            PowerCondition::StandbyY => Asc::STANDBY_Y_CONDITION_ACTIVATED_BY_COMMAND,
            PowerCondition::StandbyZ => Asc::STANDBY_CONDITION_ACTIVATED_BY_COMMAND,
        };
        Sense::new(SenseKey::NoSense, asc)
    }
}

/// The commands that are about the unit itself. Any other needs the medium, in its slot and turning.
const fn does_without_medium(command: &Command) -> bool {
    matches!(
        command,
        Command::RequestSense(_)
            | Command::Inquiry(_)
            | Command::ModeSense(_)
            | Command::LogSelect(_)
            | Command::LogSense(_)
            | Command::ReceiveDiagnosticResults(_)
            | Command::SendNoDiagnostic
            | Command::ReportIdentifyingInformation(_)
            | Command::SetIdentifyingInformation(_)
            | Command::ModeSelect(_)
            | Command::StartStopUnit(_)
            | Command::PreventAllowMediumRemoval(_)
            | Command::ReportSupportedOperationCodes(_)
            | Command::ReportSupportedTaskManagementFunctions(_)
            | Command::ReportTargetPortGroups(_)
            | Command::ReceiveCopyResults(_)
            | Command::SetTargetPortGroups(_)
    )
}

/// The commands that are carried out while a background operation has the medium: what SBC-4 lists
/// for SANITIZE and FORMAT UNIT (REPORT LUNS is LIO's), and the states of target port groups, so that
/// the paths to a unit are not taken for broken because it is busy.
const fn goes_beside_background(command: &Command) -> bool {
    matches!(
        command,
        Command::Inquiry(_)
            | Command::RequestSense(_)
            | Command::ReportSupportedOperationCodes(_)
            | Command::ReportSupportedTaskManagementFunctions(_)
            | Command::ReportTargetPortGroups(_)
    )
}

/// Whether `command` is carried out although an operation has failed: sanitizing again ends the
/// failure of sanitizing, and both end that of formatting, which keeps nobody from asking how large
/// the medium is.
const fn goes_after_failure(command: &Command, failed: Operation) -> bool {
    match failed {
        Operation::Sanitize { .. } => {
            matches!(command, Command::Sanitize(_) | Command::ExitSanitizeFailureMode)
        }
        Operation::Format => matches!(
            command,
            Command::Sanitize(_)
                | Command::FormatUnit(_)
                | Command::ReadCapacity10
                | Command::ReadCapacity16(_)
        ),
    }
}

#[cfg(test)]
mod tests;

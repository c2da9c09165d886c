//! Who may do what under a persistent reservation of each type: every command of the tables in SPC-5 and
//! SBC-4, *commands that are allowed in the presence of various reservations*, that changes nothing
//! beyond one block; sent by the holder, by a registered initiator, and by one that is not.

use anyhow::{Result, ensure};

use super::{BLOCK, Initiator, Initiators, LBA};
use crate::cdb;
use crate::persist::{Registrant, Type, Verdict};
use crate::reply::Answer;
use crate::report::Report;
use crate::sg::Data;

/// The keys of the holder and of the registered initiator.
const HOLDER: u64 = 0xa1;
const REGISTERED: u64 = 0xb2;
const WRITTEN: u8 = 0x66;

/// What the standards say of a command.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Rule {
    /// Everybody may.
    Always,
    /// Everybody may while only writing is exclusive.
    Reading,
    /// Only the holder may, or whoever is registered under the types that admit them.
    Changing,
}

/// The data phase.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    None,
    In(usize),
    Out(usize),
}

struct Command {
    name: &'static str,
    cdb: Vec<u8>,
    phase: Phase,
    rule: Rule,
}

/// Who sends a command under which reservation.
#[derive(Clone, Copy)]
struct Situation {
    kind: Type,
    /// Whether the sender, who does not hold the reservation, is registered.
    registered: bool,
}

/// Something `core_scsi3_pr_seq_non_holder` (`drivers/target/target_core_pr.c`) does its own way.
struct Deviation {
    /// What, and in which line.
    what: &'static str,
    applies: fn(&Command, Situation) -> bool,
}

const DEVIATIONS: [Deviation; 4] = [
    Deviation {
        what: "whoever is not registered may change the medium where only writing is exclusive, by \
               commands without Data-Out: WRITE SAME with NDOB (line 498)",
        applies: |command, Situation { kind, registered }| {
            !registered
                && kind.is_write_exclusive()
                && command.rule == Rule::Changing
                && command.phase == Phase::None
        },
    },
    Deviation {
        what: "whoever is registered may not VERIFY, PRE-FETCH or start the unit under Write Exclusive, \
               while whoever is not may: commands without Data-In are refused (line 546)",
        applies: |command, Situation { kind, registered }| {
            registered
                && kind == Type::WriteExclusive
                && matches!(command.rule, Rule::Reading | Rule::Always)
                && command.phase == Phase::None
                && command.cdb[0] != TEST_UNIT_READY
        },
    },
    Deviation {
        what: "READ CAPACITY and START are refused where access is exclusive (they are missing at line 472)",
        applies: |command, Situation { kind, registered }| {
            !(kind.is_write_exclusive() || registered && kind.admits_registrants())
                && [READ_CAPACITY_10, READ_CAPACITY_16, START_STOP_UNIT].contains(&command.cdb[0])
                && command.rule == Rule::Always
        },
    },
    Deviation {
        what: "whoever is registered may MODE SENSE and REPORT SUPPORTED OPERATION CODES under \
               Exclusive Access (lines 377 and 443)",
        applies: |command, Situation { kind, registered }| {
            registered
                && kind == Type::ExclusiveAccess
                && [MODE_SENSE_6, MAINTENANCE_IN].contains(&command.cdb[0])
                && command.rule == Rule::Reading
        },
    },
];

const TEST_UNIT_READY: u8 = 0x00;
const MODE_SENSE_6: u8 = 0x1a;
const START_STOP_UNIT: u8 = 0x1b;
const READ_CAPACITY_10: u8 = 0x25;
const READ_CAPACITY_16: u8 = 0x9e;
const MAINTENANCE_IN: u8 = 0xa3;

#[rustfmt::skip]
fn commands() -> Vec<Command> {
    use Phase::{In, None, Out};
    use Rule::{Always, Changing, Reading};
    let command = |name, cdb: &[u8], phase, rule| Command { name, cdb: cdb.to_vec(), phase, rule };
    let with = |mut cdb: Vec<u8>, at: usize, byte: u8| { cdb[at] = byte; cdb };
    let sixteen = |opcode| with(cdb::verify_16(LBA, 1).to_vec(), 0, opcode);
    vec![
        command("TEST UNIT READY", &cdb::TEST_UNIT_READY, None, Always),
        command("REQUEST SENSE", &[0x03, 0, 0, 0, 18, 0], In(18), Always),
        command("INQUIRY", &cdb::inquiry_vpd(0x83), In(255), Always),
        command("START STOP UNIT, START", &[START_STOP_UNIT, 0, 0, 0, 1, 0], None, Always),
        command("READ CAPACITY (10)", &[READ_CAPACITY_10, 0, 0, 0, 0, 0, 0, 0, 0, 0], In(8), Always),
        command("READ CAPACITY (16)", &cdb::read_capacity_16(), In(32), Always),
        command("LOG SENSE", &[0x4d, 0, 0x40, 0, 0, 0, 0, 0, 64, 0], In(64), Always),
        command("PERSISTENT RESERVE IN", &[0x5e, 0, 0, 0, 0, 0, 0, 0, 64, 0], In(64), Always),
        command("REPORT LUNS", &[0xa0, 0, 0, 0, 0, 0, 0, 0, 0, 64, 0, 0], In(64), Always),
        command("REPORT TARGET PORT GROUPS", &[MAINTENANCE_IN, 0x0a, 0, 0, 0, 0, 0, 0, 0, 64, 0, 0], In(64), Always),
        command("READ (10)", &cdb::read_10(4096, 1), In(BLOCK), Reading),
        command("READ (16)", &cdb::read_16(LBA, 1), In(BLOCK), Reading),
        command("VERIFY (16)", &cdb::verify_16(LBA, 1), None, Reading),
        command("PRE-FETCH (16)", &sixteen(0x90), None, Reading),
        command("GET LBA STATUS", &cdb::get_lba_status(LBA), In(24), Reading),
        command("MODE SENSE (6)", &cdb::mode_sense_6(0x3f, 64), In(64), Reading),
        command("REPORT SUPPORTED OPERATION CODES", &[MAINTENANCE_IN, 0x0c, 0, 0, 0, 0, 0, 0, 0, 64, 0, 0], In(64), Reading),
        command("WRITE (10)", &cdb::write_10(4096, 1), Out(BLOCK), Changing),
        command("WRITE (16)", &cdb::write_16(LBA, 1), Out(BLOCK), Changing),
        command("COMPARE AND WRITE", &cdb::compare_and_write(LBA, 1), Out(2 * BLOCK), Changing),
        command("ORWRITE (16)", &with(cdb::write_16(LBA, 1).to_vec(), 0, 0x8b), Out(BLOCK), Changing),
        command("WRITE SAME (16)", &cdb::write_same_16(LBA, 1), Out(BLOCK), Changing),
        command("WRITE SAME (16) with NDOB", &with(cdb::write_same_16(LBA, 1).to_vec(), 1, 1), None, Changing),
        command("UNMAP", &cdb::unmap(24), Out(24), Changing),
        command("MODE SELECT (6)", &[0x15, 0x10, 0, 0, 4, 0], Out(4), Changing),
        command("EXTENDED COPY", &cdb::extended_copy(0, 16), Out(16), Changing),
    ]
}

impl Command {
    /// Whether it got past the reservation, whatever became of it then.
    fn passes(&self, initiator: &Initiator) -> Result<bool> {
        let mut bytes = vec![0; 1024];
        if self.cdb[0] == cdb::unmap(0)[0] {
            bytes[..24].copy_from_slice(&cdb::unmap_list(LBA, 1));
        }
        let data = match self.phase {
            Phase::None => Data::None,
            Phase::In(length) => Data::In(&mut bytes[..length]),
            Phase::Out(length) => Data::Out(&bytes[..length]),
        };
        let answer = initiator.device.send(&self.cdb, data)?.answer();
        Ok(answer != Answer::RESERVATION_CONFLICT)
    }

    fn allowed(&self, Situation { kind, registered }: Situation) -> bool {
        match self.rule {
            Rule::Always => true,
            Rule::Reading => kind.is_write_exclusive() || registered && kind.admits_registrants(),
            Rule::Changing => registered && kind.admits_registrants(),
        }
    }
}

pub(super) fn run(report: &mut Report, initiators: &Initiators) -> Result<()> {
    let mut seen = [0_u64; DEVIATIONS.len()];
    for (place, kind) in Type::ALL.into_iter().enumerate() {
        // Another fabric each time, so that all of them play all parts.
        let who = |part: usize| &initiators.each[(place + part) % initiators.each.len()];
        under(report, kind, [who(0), who(1), who(2)], &mut seen)?;
    }
    for (deviation, times) in DEVIATIONS.iter().zip(seen) {
        report.at_least(&format!("the kernel's way: {}", deviation.what), 1, times);
    }
    Ok(())
}

fn under(
    report: &mut Report,
    kind: Type,
    [holder, registered, stranger]: [&Initiator; 3],
    seen: &mut [u64; DEVIATIONS.len()],
) -> Result<()> {
    report.step(format!("{kind}, held over {}", holder.disk.transport));
    let owner = Registrant::new(&holder.disk, HOLDER);
    for verdict in [
        owner.register(false)?,
        Registrant::new(&registered.disk, REGISTERED).register(false)?,
        owner.reserve(kind)?,
    ] {
        ensure!(verdict == Verdict::Done, "{kind}: {verdict}");
    }
    let mut refused = Vec::new();
    for command in commands() {
        if !command.passes(holder)? {
            refused.push(command.name);
        }
    }
    report.none(&format!("{kind}: refused to the holder"), &refused);
    for (who, is_registered) in [(registered, true), (stranger, false)] {
        let situation = Situation { kind, registered: is_registered };
        let role = if is_registered { "a registered initiator" } else { "a stranger" };
        let mut wrong = Vec::new();
        for command in commands() {
            let allowed = command.allowed(situation);
            let mut deviates = false;
            for (deviation, times) in DEVIATIONS.iter().zip(seen.iter_mut()) {
                if (deviation.applies)(&command, situation) {
                    deviates = true;
                    *times += 1;
                }
            }
            let passed = command.passes(who)?;
            if passed != (allowed != deviates) {
                let passed = if passed { "let through" } else { "refused" };
                wrong.push(format!("{} was {passed}", command.name));
            }
        }
        let name =
            format!("{kind}: {} commands of {role} over {}", commands().len(), who.disk.transport);
        report.none(&name, &wrong);
    }
    exclusive(report, kind, holder, stranger)?;
    ensure!(owner.clear()? == Verdict::Done, "CLEAR of {kind}");
    Ok(())
}

/// A stranger's WRITE and COMPARE AND WRITE leave the block as it is, in every type.
fn exclusive(
    report: &mut Report,
    kind: Type,
    holder: &Initiator,
    stranger: &Initiator,
) -> Result<()> {
    holder.device.write_block(LBA, &[WRITTEN; BLOCK])?;
    let answers = [stranger.write(0)?, stranger.compare_and_write(WRITTEN, 0)?];
    let kept = holder.device.read_block(LBA, 512)? == [WRITTEN; BLOCK];
    let right = kept && answers == [Answer::RESERVATION_CONFLICT; 2];
    report.check(
        &format!("{kind}: a stranger's WRITE and COMPARE AND WRITE"),
        right,
        "RESERVATION CONFLICT, the block as it was",
        format_args!("{}, {}, kept: {kept}", answers[0], answers[1]),
    );
    Ok(())
}

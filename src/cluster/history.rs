//! The history of a run, as checkers hear it: what hosts asked their device for and were told, and what they
//! noticed.

use std::sync::Arc;
use std::time::Duration;

use pulsefield_checkers::{
    Begun, Claim, ClaimMode, Ending, Event, HostId, Operation, OperationId, OperationKind, Pulse,
    UnitId,
};
use pulsefield_hosts::{self as hosts, Access, Io, Notice, Outcome};
use pulsefield_scsi::parameter::{ProvisioningStatus, first_lba_status};
use pulsefield_scsi::{Sense, SenseKey};
use pulsefield_units::{BlockCount, BlockLength, Instant, Lba, LbaRange};
use pulsefield_vmfs::{HostUuid, LockMode};

/// The one logical unit of a cluster, whichever paths lead there.
pub const UNIT: UnitId = UnitId(0);

/// A command about blocks that is in flight.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    begun: Begun,
    kind: OperationKind,
    block_length: BlockLength,
    /// Whether it asks how a block is provisioned: if it is deallocated, it reads as zeros.
    is_status: bool,
}

impl Asked {
    /// The command `id` of `host`; `None` if it is not about blocks.
    pub(crate) fn new(
        id: OperationId,
        host: HostId,
        at: Instant,
        io: &Io,
        block_length: BlockLength,
    ) -> Option<Self> {
        let (blocks, kind) = kind(io, block_length)?;
        let begun = Begun { id, host, unit: UNIT, at, blocks };
        Some(Self { begun, kind, block_length, is_status: matches!(io, Io::LbaStatus(_)) })
    }

    /// What checkers hear before it is sent.
    pub(crate) const fn begun(&self) -> Event {
        Event::Begun(self.begun)
    }

    /// What checkers hear when it has ended so.
    pub(crate) fn ended(self, at: Instant, outcome: &Outcome) -> Event {
        let Self { begun: Begun { id, host, unit, at: invoked, blocks }, mut kind, .. } = self;
        if let (OperationKind::Read { data }, Outcome::Good(read)) = (&mut kind, outcome) {
            *data = match self.is_status {
                true => told_by(read, blocks.start(), self.block_length),
                false => Arc::from(read.as_slice()),
            };
        }
        let (ending, returned) = match outcome {
            Outcome::Good(_) => (Ending::Done, Some(at)),
            Outcome::Miscompare(offset) => (Ending::Miscompared(*offset), Some(at)),
            Outcome::ReservationConflict => (Ending::Refused, Some(at)),
            Outcome::Failed { sense, .. } if nothing_done(*sense) => (Ending::Refused, Some(at)),
            // The command has ended, or its abort was answered: what it did not do by now it never does. BUSY is
            // also the answer to what a target had in hand when it died (docs/decisions/0007).
            Outcome::Busy | Outcome::Failed { .. } | Outcome::TimedOut => (Ending::Maybe, Some(at)),
            // It may still be on its way.
            Outcome::Lost => (Ending::Maybe, None),
        };
        Event::Operation(Operation { id, host, unit, blocks, invoked, returned, kind, ending })
    }
}

/// What is known of the block at `lba` from an answer to GET LBA STATUS: zeros, if it is deallocated and so reads as
/// zeros; else nothing.
fn told_by(answer: &[u8], lba: Lba, block_length: BlockLength) -> Arc<[u8]> {
    let reads_zeros = first_lba_status(answer).is_some_and(|first| {
        let range = LbaRange::new(first.start, first.blocks);
        let tells = range.is_some_and(|range| range.start() <= lba && lba < range.end());
        tells && first.status == ProvisioningStatus::Deallocated
    });
    match reads_zeros {
        true => Arc::from(vec![0; block_length.bytes() as usize]),
        false => Arc::default(),
    }
}

/// The blocks that it reads or writes, and what it does with them.
fn kind(io: &Io, block_length: BlockLength) -> Option<(LbaRange, OperationKind)> {
    let covered = |lba: Lba, data: &[u8]| {
        let bytes = u64::try_from(data.len()).ok()?;
        LbaRange::new(lba, block_length.blocks_in(bytes))
    };
    Some(match io {
        Io::Read(blocks) => (*blocks, OperationKind::Read { data: Arc::from([]) }),
        Io::Write { lba, data } => {
            (covered(*lba, data)?, OperationKind::Write { data: Arc::from(data.as_slice()) })
        }
        Io::CompareAndWrite { lba, test, set } => {
            let (test, set) = (Arc::from(test.as_slice()), Arc::from(set.as_slice()));
            let block = LbaRange::new(*lba, BlockCount::new(1))?;
            (block, OperationKind::CompareAndWrite { test, set })
        }
        Io::Unmap(blocks) | Io::WriteZeros(blocks) => (*blocks, OperationKind::Zero),
        Io::LbaStatus(lba) => {
            let block = LbaRange::new(*lba, BlockCount::new(1))?;
            (block, OperationKind::Read { data: Arc::from([]) })
        }
        Io::Copy { from, to, blocks } => {
            (LbaRange::new(*to, *blocks)?, OperationKind::Copy { from: *from })
        }
        Io::Reserve | Io::Release | Io::TestUnitReady | Io::BlockLimits | Io::LogicalUnitReset => {
            return None;
        }
    })
}

/// Whether a command that ended with CHECK CONDITION and this sense data changed nothing: it was refused
/// before it began.
fn nothing_done(sense: Option<Sense>) -> bool {
    /// LOGICAL UNIT COMMUNICATION FAILURE, TIME-OUT and the like: what LIO answers for a daemon that has had the
    /// command and is not heard of any more (`drivers/target/target_core_user.c`, `cmd_time_out`).
    const COMMUNICATION: u8 = 0x08;
    sense.is_some_and(|Sense { key, asc, .. }| {
        let unheard_of = key == SenseKey::NotReady && asc.asc() == COMMUNICATION;
        let refused = matches!(
            key,
            SenseKey::NotReady
                | SenseKey::IllegalRequest
                | SenseKey::UnitAttention
                | SenseKey::DataProtect
        );
        refused && !unheard_of
    })
}

/// What checkers hear of what `host` noticed. `frozen` says for how long the host was frozen from a moment on,
/// for that it heard of an answer late is not the device's fault; `whose` knows the hosts of the cluster.
pub(crate) fn noticed(
    host: HostId,
    at: Instant,
    notice: &Notice,
    frozen: impl Fn(Instant) -> Duration,
    whose: impl Fn(HostUuid) -> Option<HostId>,
) -> Option<Event> {
    match notice {
        Notice::Pulse { took, alive, .. } => {
            let invoked = earlier(at, *took);
            let returned = earlier(at, frozen(invoked));
            let pulse = Pulse { host, unit: UNIT, invoked, returned, alive: *alive };
            Some(Event::Pulse(pulse))
        }
        Notice::LockTaken(taken) => claim(host, at, taken).map(Event::Taken),
        Notice::LockLeft(left) => claim(host, at, left).map(Event::Left),
        Notice::Crashed | Notice::Access { access: Access::LocksLost, .. } => {
            Some(Event::Forgotten { host, at })
        }
        Notice::Replayed { owner, .. } => {
            let dead = (*owner).and_then(whose)?;
            Some(Event::DeclaredDead { host: dead, unit: UNIT, by: host, at })
        }
        Notice::HeartbeatAcquired { .. }
        | Notice::NotMounted { .. }
        | Notice::LockingChanged { .. }
        | Notice::Extension { .. }
        | Notice::HeartbeatCleared { .. }
        | Notice::HeartbeatLeft { .. }
        | Notice::Access { access: Access::Lost | Access::Resumed | Access::Reacquired, .. }
        | Notice::LockBroken { .. }
        | Notice::Finished { .. }
        | Notice::Started => None,
    }
}

fn earlier(at: Instant, by: Duration) -> Instant {
    Instant::default().after(at.since(Instant::default()).saturating_sub(by))
}

fn claim(host: HostId, at: Instant, claim: &hosts::Claim) -> Option<Claim> {
    let mode = match claim.mode {
        LockMode::Free => return None,
        LockMode::Exclusive => ClaimMode::Exclusive,
        LockMode::ReadOnly => ClaimMode::ReadOnly,
        LockMode::MultiWriter => ClaimMode::MultiWriter,
    };
    Some(Claim { host, unit: UNIT, at, lock: claim.lock, mode, token: claim.token })
}

#[cfg(test)]
mod tests {
    use super::*;
    use pulsefield_hosts::VolumeId;
    use pulsefield_scsi::{Asc, Status};

    const HOST: HostId = HostId(3);

    fn at(seconds: u64) -> Instant {
        Instant::default().after(Duration::from_secs(seconds))
    }

    fn ended(io: &Io, outcome: &Outcome) -> Option<Operation> {
        let asked = Asked::new(OperationId(1), HOST, at(1), io, BlockLength::B512)?;
        let event = asked.ended(at(2), outcome);
        let Event::Operation(operation) = event else { panic!("{event:?}") };
        Some(operation)
    }

    fn blocks(first: u64, count: u64) -> LbaRange {
        LbaRange::new(Lba::new(first), BlockCount::new(count)).unwrap()
    }

    #[test]
    fn a_read_is_told_with_what_it_found() {
        let read = ended(&Io::Read(blocks(5, 1)), &Outcome::Good(vec![7; 512])).unwrap();
        assert_eq!((read.host, read.invoked, read.returned), (HOST, at(1), Some(at(2))));
        assert_eq!(read.ending, Ending::Done);
        let OperationKind::Read { data } = read.kind else { panic!("{read:?}") };
        assert_eq!(*data, [7; 512]);
    }

    #[test]
    fn a_block_that_is_deallocated_was_read_as_zeros() {
        let one = blocks(5, 1);
        let told = |start: u8, blocks: u8, status: u8| {
            let mut answer = vec![0; 24];
            (answer[3], answer[15], answer[19], answer[20]) = (20, start, blocks, status);
            let read = ended(&Io::LbaStatus(Lba::new(5)), &Outcome::Good(answer)).unwrap();
            assert_eq!((read.blocks, read.ending), (one, Ending::Done));
            let OperationKind::Read { data } = read.kind else { panic!("{read:?}") };
            data
        };
        assert_eq!(*told(5, 1, 1), [0; 512]);
        assert_eq!(*told(4, 8, 1), [0; 512]);
        assert!(told(5, 1, 0).is_empty(), "mapped is no word on what it holds");
        assert!(told(6, 8, 1).is_empty(), "other blocks");
        assert!(told(5, 0, 1).is_empty());
    }

    #[test]
    fn a_command_says_which_blocks_it_is_about() {
        let blocks_of = |io: &Io| {
            let asked = Asked::new(OperationId(1), HOST, at(1), io, BlockLength::B512)?;
            let Event::Begun(begun) = asked.begun() else { panic!() };
            Some(begun.blocks)
        };
        let write = Io::Write { lba: Lba::new(8), data: vec![0; 1024] };
        assert_eq!(blocks_of(&write), Some(blocks(8, 2)));
        let swap = Io::CompareAndWrite { lba: Lba::new(8), test: vec![0; 512], set: vec![1; 512] };
        assert_eq!(blocks_of(&swap), Some(blocks(8, 1)));
        let copy = Io::Copy { from: Lba::new(8), to: Lba::new(80), blocks: BlockCount::new(4) };
        assert_eq!(blocks_of(&copy), Some(blocks(80, 4)), "what it writes");
        assert_eq!(blocks_of(&Io::LogicalUnitReset), None);
    }

    #[test]
    fn what_nobody_can_say_is_a_maybe() {
        let write = Io::Write { lba: Lba::new(1), data: vec![1; 512] };
        let failed = |key| {
            let sense = Some(Sense::new(key, Asc::NO_ADDITIONAL_SENSE_INFORMATION));
            Outcome::Failed { status: Status::CheckCondition, sense }
        };
        let aborted = Outcome::Failed { status: Status::TaskAborted, sense: None };
        let sense = Some(Sense::new(SenseKey::NotReady, Asc::LOGICAL_UNIT_COMMUNICATION_FAILURE));
        let unheard_of = Outcome::Failed { status: Status::CheckCondition, sense };
        for (outcome, ending, returned) in [
            (Outcome::Good(vec![]), Ending::Done, Some(at(2))),
            (Outcome::Miscompare(Some(9)), Ending::Miscompared(Some(9)), Some(at(2))),
            (Outcome::Busy, Ending::Maybe, Some(at(2))),
            (Outcome::ReservationConflict, Ending::Refused, Some(at(2))),
            (failed(SenseKey::UnitAttention), Ending::Refused, Some(at(2))),
            (failed(SenseKey::DataProtect), Ending::Refused, Some(at(2))),
            (failed(SenseKey::NotReady), Ending::Refused, Some(at(2))),
            (unheard_of, Ending::Maybe, Some(at(2))),
            (failed(SenseKey::MediumError), Ending::Maybe, Some(at(2))),
            (failed(SenseKey::HardwareError), Ending::Maybe, Some(at(2))),
            (aborted, Ending::Maybe, Some(at(2))),
            (Outcome::TimedOut, Ending::Maybe, Some(at(2))),
            (Outcome::Lost, Ending::Maybe, None),
        ] {
            let operation = ended(&write, &outcome).unwrap();
            assert_eq!((operation.ending, operation.returned), (ending, returned), "{outcome:?}");
        }
        assert!(ended(&Io::TestUnitReady, &Outcome::Good(vec![])).is_none());
    }

    #[test]
    fn that_a_host_was_frozen_is_not_the_devices_fault() {
        let outcome = Outcome::Good(vec![]);
        let took = Duration::from_secs(20);
        let notice = Notice::Pulse { volume: VolumeId(0), took, outcome, alive: false };
        let frozen = |_| Duration::from_secs(19);
        let event = noticed(HOST, at(30), &notice, frozen, |_| None);
        let Some(Event::Pulse(pulse)) = event else { panic!() };
        assert_eq!((pulse.invoked, pulse.returned), (at(10), at(11)));
    }

    #[test]
    fn notices_become_events() {
        let volume = VolumeId(0);
        let event = |notice| noticed(HOST, at(9), &notice, |_| Duration::ZERO, |_| Some(HostId(7)));
        let outcome = Outcome::Good(vec![]);
        let took = Duration::from_secs(2);
        let Some(Event::Pulse(pulse)) = event(Notice::Pulse { volume, took, outcome, alive: true })
        else {
            panic!()
        };
        assert_eq!((pulse.invoked, pulse.returned, pulse.alive), (at(7), at(9), true));
        let owner = HostUuid::from_bytes([1; 16]);
        let silent = Duration::from_secs(16);
        let Some(Event::DeclaredDead { host, by, .. }) =
            event(Notice::Replayed { volume, slot: 1, owner, silent })
        else {
            panic!()
        };
        assert_eq!((host, by), (HostId(7), HOST));
        let lost = event(Notice::Access { volume, access: Access::LocksLost });
        assert!(matches!(lost, Some(Event::Forgotten { host: HOST, .. })));
        assert!(event(Notice::Access { volume, access: Access::Resumed }).is_none());
        let claim = hosts::Claim { volume, lock: 512, mode: LockMode::ReadOnly, token: 4 };
        let Some(Event::Taken(claim)) = event(Notice::LockTaken(claim)) else { panic!() };
        assert_eq!((claim.lock, claim.mode, claim.token), (512, ClaimMode::ReadOnly, 4));
    }
}

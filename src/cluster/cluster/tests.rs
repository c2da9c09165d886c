use std::collections::{HashMap, HashSet};
use std::convert::Infallible;

use pulsefield_checkers::{Panel, Promise, Standing};
use pulsefield_hosts::{Geometry, HeartbeatMode, Locking};
use pulsefield_units::{BlockCount, BlockLength, Lba, LbaRange};
use pulsefield_vmfs::format::{Format, LockArea, METADATA_END};
use pulsefield_vmfs::{HostUuid, LockKind, Version, Volume, VolumeUuid};

use super::*;

const DEVICE_BYTES: u64 = 512 << 20;
const BLOCK: usize = 512;
const LATENCY: Duration = Duration::from_micros(300);
const PATIENCE: Duration = Duration::from_secs(8);
const START: Instant = Instant::from_nanos(1_000_000_000_000);

/// A unit that does each command as it is answered, one after the other: as right as can be.
#[derive(Default)]
struct Memory {
    blocks: HashMap<u64, Vec<u8>>,
    /// Whether a COMPARE AND WRITE that should miscompare writes instead.
    finds_equal_what_is_not: bool,
    /// Of how many COMPARE AND WRITEs that it carries out it loses the status of one; 0 for none.
    loses_status_of: u64,
    carried_out: u64,
    /// Whether a COMPARE AND WRITE compares when it comes, whoever reserves the unit after that, and writes when it is
    /// answered, which takes long. What other COMPARE AND WRITEs did meanwhile it minds, but not what WRITEs did.
    forgets_plain_writes: bool,
    /// Blocks that a WRITE has written last.
    plain: HashSet<u64>,
    reserved: Option<HostId>,
}

impl Memory {
    fn block(&self, lba: u64) -> Vec<u8> {
        self.blocks.get(&lba).cloned().unwrap_or_else(|| vec![0; BLOCK])
    }

    fn read(&self, blocks: LbaRange) -> Vec<u8> {
        (blocks.start().as_u64()..blocks.end().as_u64()).flat_map(|lba| self.block(lba)).collect()
    }

    fn write(&mut self, lba: Lba, data: &[u8]) {
        for (lba, block) in (lba.as_u64()..).zip(data.chunks_exact(BLOCK)) {
            self.blocks.insert(lba, block.to_vec());
            self.plain.remove(&lba);
        }
    }

    /// Whether `host` may do something now.
    fn admits(&self, host: HostId) -> bool {
        self.reserved.is_none_or(|holder| holder == host)
    }

    /// Whether a COMPARE AND WRITE that comes now finds what it wants.
    fn compares_early(&self, io: &Io) -> bool {
        let Io::CompareAndWrite { lba, test, .. } = io else { return false };
        self.forgets_plain_writes && self.block(lba.as_u64()) == *test
    }

    fn loses_status(&mut self) -> bool {
        self.carried_out += 1;
        self.loses_status_of > 0 && self.carried_out.is_multiple_of(self.loses_status_of)
    }

    /// What becomes of it; `compared` says that the compare is over, and found what it wanted.
    fn carry_out(&mut self, host: HostId, io: Io, compared: bool) -> Outcome {
        if !self.admits(host) && io != Io::Release && !compared {
            return Outcome::ReservationConflict;
        }
        let zeros =
            |blocks: LbaRange| vec![0; BLOCK * usize::try_from(blocks.blocks().as_u64()).unwrap()];
        match io {
            Io::Read(blocks) => return Outcome::Good(self.read(blocks)),
            Io::Write { lba, data } => {
                self.write(lba, &data);
                self.plain.insert(lba.as_u64());
            }
            Io::CompareAndWrite { lba, test, set } => {
                let there = self.block(lba.as_u64());
                let forgotten = compared && self.plain.contains(&lba.as_u64());
                if let Some(offset) = there.iter().zip(&test).position(|(a, b)| a != b)
                    && !self.finds_equal_what_is_not
                    && !forgotten
                {
                    return Outcome::Miscompare(Some(offset as u64));
                }
                self.write(lba, &set);
            }
            Io::Unmap(blocks) | Io::WriteZeros(blocks) => {
                self.write(blocks.start(), &zeros(blocks));
            }
            Io::LbaStatus(lba) => {
                let mut answer = vec![0; 24];
                answer[8..16].copy_from_slice(&lba.as_u64().to_be_bytes());
                (answer[19], answer[20]) = (1, u8::from(self.block(lba.as_u64()) == [0; 512]));
                return Outcome::Good(answer);
            }
            Io::Copy { from, to, blocks } => {
                let data = self.read(LbaRange::new(from, blocks).unwrap());
                self.write(to, &data);
            }
            Io::BlockLimits => {
                let mut page = vec![0; 64];
                (page[1], page[3], page[5]) = (0xb0, 60, 1);
                return Outcome::Good(page);
            }
            Io::Reserve => self.reserved = Some(host),
            Io::Release if self.admits(host) => self.reserved = None,
            Io::LogicalUnitReset => self.reserved = None,
            Io::Release | Io::TestUnitReady => {}
        }
        Outcome::Good(Vec::new())
    }
}

fn formatted(memory: &mut Memory) -> (MountedVolume, Scratch) {
    let uuid = VolumeUuid::scratch(1);
    let format = Format::new(Version::VMFS_6, DEVICE_BYTES, BLOCK as u64, uuid);
    for piece in format.pieces().unwrap() {
        memory.write(Lba::new(piece.offset / BLOCK as u64), &piece.bytes);
    }
    let volume = Volume::locate(|offset, buffer: &mut [u8]| {
        let blocks = BlockCount::new((buffer.len() / BLOCK) as u64);
        let range = LbaRange::new(Lba::new(offset / BLOCK as u64), blocks).unwrap();
        buffer.copy_from_slice(&memory.read(range));
        Ok::<_, Infallible>(buffer.len())
    });
    let volume = volume.unwrap();
    let file_system = volume.file_system.as_ref().unwrap();
    let start = volume.data_start();
    let geometry = Geometry {
        block_length: BlockLength::B512,
        start,
        version: file_system.version,
        heartbeats: file_system.heartbeats,
    };
    let locks = |kind| {
        let areas = LockArea::of(Version::VMFS_6).iter().filter(move |area| area.kind == kind);
        areas.flat_map(LockArea::addresses)
    };
    let first = Lba::new((start + METADATA_END) / BLOCK as u64);
    let scratch = Scratch {
        block_length: BlockLength::B512,
        machines: locks(LockKind::FileDescriptor).take(32).collect(),
        resources: locks(LockKind::FileBlockCluster).take(8).collect(),
        bulk: LbaRange::new(first, BlockCount::new(2048)).unwrap(),
        unmaps_to_zeros: true,
        copies: true,
    };
    (MountedVolume { geometry, locking: Locking::AtsOnly }, scratch)
}

fn host(nth: u8) -> HostConfig {
    HostConfig {
        uuid: HostUuid::from_bytes([nth + 1; 16]).unwrap(),
        management_address: None,
        heartbeat: HeartbeatMode::AtsReadBack,
        seed: nth.into(),
    }
}

/// A command on its way.
enum Flying {
    /// To the unit; whether it has compared already.
    Asked { host: HostId, io: Io, compared: bool },
    /// Back, in vain.
    Unanswered,
}

/// What came of a run.
struct Ran {
    verdicts: Vec<pulsefield_checkers::Verdict>,
    effects: u64,
    orders: u64,
    took: Duration,
}

/// Runs `hosts` hosts for so long, in virtual time.
fn run(mix: &str, hosts: u8, seed: u64, duration: Duration, memory: Memory) -> Ran {
    run_locking(Locking::AtsOnly, mix, hosts, seed, duration, memory)
}

/// The same with hosts that lock like that.
fn run_locking(
    locking: Locking,
    mix: &str,
    hosts: u8,
    seed: u64,
    duration: Duration,
    mut memory: Memory,
) -> Ran {
    let (volume, scratch) = formatted(&mut memory);
    let volume = MountedVolume { locking, ..volume };
    let hosts = (0..hosts).map(host).collect();
    let mix = Mix::named(mix).unwrap();
    let config = ClusterConfig { hosts, volume, scratch, mix, seed };
    let (mut now, mut cluster) = (START, Cluster::new(config, START));
    let mut panel = Panel::default();
    let mut flying: BTreeMap<(Instant, Ticket), Flying> = BTreeMap::new();
    let (mut effects, mut orders) = (0, 0);
    loop {
        while let Some(effect) = cluster.poll() {
            effects += 1;
            match effect {
                Effect::Submit { ticket, host, io, .. } => {
                    let compared = memory.admits(host) && memory.compares_early(&io);
                    let latency = if compared { 5 * LATENCY } else { LATENCY };
                    let asked = Flying::Asked { host, io, compared };
                    flying.insert((now.after(latency), ticket), asked);
                }
                Effect::Event(event) => panel.observe(&event),
                Effect::OrderEnded { .. } => orders += 1,
                Effect::Noticed { .. } => {}
            }
        }
        if cluster.is_over() {
            break;
        }
        if cluster.is_working() && now >= START.after(duration) {
            cluster.stop(now);
            continue;
        }
        let wake = cluster.wake_at();
        let done = flying.first_key_value().map(|((at, _), _)| *at);
        now = [wake, done].into_iter().flatten().min().expect("something is to come").max(now);
        if done.is_some_and(|at| at <= now) {
            let ((_, ticket), io) = flying.pop_first().unwrap();
            let outcome = match io {
                Flying::Asked { host, io, compared } => {
                    let swap = matches!(io, Io::CompareAndWrite { .. });
                    let outcome = memory.carry_out(host, io, compared);
                    if swap && outcome == Outcome::Good(vec![]) && memory.loses_status() {
                        flying.insert((now.after(PATIENCE), ticket), Flying::Unanswered);
                        continue;
                    }
                    outcome
                }
                Flying::Unanswered => Outcome::TimedOut,
            };
            cluster.on_done(now, ticket, outcome);
        } else {
            cluster.on_time(now);
        }
    }
    assert!(flying.is_empty() || memory.loses_status_of > 0, "all was waited for");
    Ran { verdicts: panel.finish(now), effects, orders, took: now.since(START) }
}

fn broken(ran: &Ran) -> Vec<Promise> {
    let broken = ran.verdicts.iter().filter(|verdict| verdict.standing == Standing::Broken);
    broken.map(|verdict| verdict.promise).collect()
}

#[test]
fn on_a_right_unit_all_promises_hold_whatever_hosts_do() {
    for (nth, mix) in (1..).zip(Mix::names()) {
        let ran = run(mix, 4, nth, Duration::from_secs(40), Memory::default());
        assert_eq!(broken(&ran), [], "{mix}: {:#?}", ran.verdicts);
        assert!(ran.orders > 20, "{mix}: {} orders", ran.orders);
        // Half a minute until the last one goes on that is frozen, and then what settling may take.
        assert!(ran.took < Duration::from_secs(40 + 80), "{mix}: {:?}", ran.took);
        for verdict in &ran.verdicts {
            // Not every run has a takeover or a miscompare. But what was written is read back after each.
            let idle = matches!(verdict.promise, Promise::NoEarlyTakeover | Promise::Information);
            assert!(idle || verdict.standing != Standing::Unchecked, "{mix}: {verdict:?}");
        }
    }
}

#[test]
fn on_a_unit_that_finds_equal_what_is_not_checkers_notice() {
    let memory = Memory { finds_equal_what_is_not: true, ..Memory::default() };
    let ran = run("file-growth", 6, 3, Duration::from_secs(30), memory);
    assert!(broken(&ran).contains(&Promise::Linearizable), "{:#?}", ran.verdicts);
}

#[test]
fn hosts_with_and_without_ats_go_together_on_a_right_unit() {
    for seed in 1..3 {
        let (locking, duration) = (Locking::AtsAndScsi, Duration::from_secs(20));
        let ran = run_locking(locking, "plain-writes", 4, seed, duration, Memory::default());
        assert_eq!(broken(&ran), [], "{seed}: {:#?}", ran.verdicts);
        assert!(ran.orders > 500, "{} orders", ran.orders);
    }
}

#[test]
fn on_a_unit_that_forgets_plain_writes_checkers_notice() {
    let memory = Memory { forgets_plain_writes: true, ..Memory::default() };
    let (locking, duration) = (Locking::AtsAndScsi, Duration::from_secs(30));
    let ran = run_locking(locking, "plain-writes", 4, 3, duration, memory);
    assert!(broken(&ran).contains(&Promise::LockExclusion), "{:#?}", ran.verdicts);
}

#[test]
fn a_seed_repeats_a_run_to_the_last_effect() {
    let effects = |seed| run("mixed", 4, seed, Duration::from_secs(40), Memory::default()).effects;
    assert_eq!(effects(5), effects(5));
    assert_ne!(effects(5), effects(6));
}

#[test]
fn a_status_that_is_lost_breaks_no_promise_but_the_deadline() {
    for mix in ["mixed", "host-crash", "host-freeze"] {
        for seed in 1..4 {
            let memory = Memory { loses_status_of: 40, ..Memory::default() };
            let ran = run(mix, 8, seed, Duration::from_secs(120), memory);
            assert_eq!(
                broken(&ran),
                [Promise::HeartbeatDeadline],
                "{mix} {seed}: {:#?}",
                ran.verdicts
            );
        }
    }
}

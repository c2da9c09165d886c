//! Heartbeats and locks as ESXi writes them: in vmkernel.log, and in what vmkfstools prints.

use std::fmt;

use crate::host_uuid::write_uuid;
use crate::{DiskLock, Heartbeat, HostUuid, LockMode};

/// A heartbeat as vmkernel.log has it, `[HB state abcdef02 offset 3964928 …]`.
///
/// That `lockImpl` and `ip` follow in newer versions is from memory: no line of a log with them was found.
#[derive(Clone, Copy, Debug)]
pub struct HeartbeatLine<'a>(pub &'a Heartbeat);

impl fmt::Display for HeartbeatLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Heartbeat { state, address, generation, stamp, .. } = self.0;
        write!(f, "[HB state {:x} offset {address} gen {generation} ", state.magic())?;
        write!(f, "stampUS {} uuid ", stamp.as_micros())?;
        write_host(self.0.owner, f)?;
        f.write_str(" jrnl ")?;
        if let Some(journal) = self.0.journal {
            write!(f, "{journal} ")?;
        }
        write!(f, "drv {}.{}", self.0.major_version, self.0.minor_version)?;
        if let Some(address) = self.0.management_address {
            write!(f, " lockImpl {} ip {address}", self.0.lock_implementation)?;
        }
        f.write_str("]")
    }
}

/// A lock as `vmkfstools -D` prints it: three lines, and one for each host that shares it.
#[derive(Clone, Copy, Debug)]
pub struct LockLines<'a>(pub &'a DiskLock);

impl fmt::Display for LockLines<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let DiskLock { kind, address, token, heartbeat_address, .. } = self.0;
        write!(f, "Lock [type {:x} offset {address} v {token}, ", kind.magic())?;
        writeln!(f, "hb offset {heartbeat_address}")?;
        let DiskLock { heartbeat_generation, mode, modification_time, .. } = self.0;
        write!(f, "gen {heartbeat_generation}, mode {}, owner ", mode.number())?;
        write_host(self.0.owner, f)?;
        writeln!(f, " mtime {modification_time}")?;
        let DiskLock { global_holders, global_generation, global_break, .. } = self.0;
        write!(f, "num {} gblnum {global_holders} ", self.0.holders_count())?;
        write!(f, "gblgen {global_generation} gblbrk {global_break}]")?;
        // Only for readers it is known what vmkfstools calls them.
        let label = if *mode == LockMode::ReadOnly { "RO Owner" } else { "Holder" };
        let holders = self.0.holders.iter().enumerate();
        for (nth, holder) in holders.filter_map(|(nth, holder)| Some((nth, (*holder)?))) {
            write!(f, "\n{label}[{nth}] HB Offset {} {}", holder.heartbeat_address, holder.host)?;
        }
        Ok(())
    }
}

/// A host as `vmkfstools --activehosts` prints it, `(1): MAC address 98:4b:e1:0a:24:d8`.
#[derive(Clone, Copy, Debug)]
pub struct ActiveHostLine {
    /// Its number in the list, counted from 1.
    pub nth: usize,
    /// The host.
    pub host: HostUuid,
}

impl fmt::Display for ActiveHostLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [first, rest @ ..] = self.host.mac_address();
        write!(f, "({}): MAC address {first:02x}", self.nth)?;
        rest.iter().try_for_each(|byte| write!(f, ":{byte:02x}"))
    }
}

/// Nobody is all zeros.
fn write_host(host: Option<HostUuid>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    write_uuid(host.as_ref().map_or(&[0; 16], HostUuid::as_bytes), f)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{HeartbeatState, JournalAddress, LockHolder, LockKind};

    /// As published logs have it; of ESX 3.5 without a journal, but for the name of the stamp.
    #[test]
    fn a_heartbeat_reads_as_in_vmkernel_log() {
        let mut heartbeat = Heartbeat {
            state: HeartbeatState::InUse,
            generation: 59,
            stamp: Duration::from_micros(6_780_917_733),
            owner: "5091de63-2683f5a0-1ea1-e4115baf243b".parse().ok(),
            journal: JournalAddress::from_raw(60_558 << 6 | 1),
            major_version: 14,
            minor_version: 54,
            ..Heartbeat::never_used(3_964_928)
        };
        assert_eq!(
            HeartbeatLine(&heartbeat).to_string(),
            "[HB state abcdef02 offset 3964928 gen 59 stampUS 6780917733 \
             uuid 5091de63-2683f5a0-1ea1-e4115baf243b jrnl <FB 60558> drv 14.54]"
        );
        heartbeat.journal = None;
        heartbeat.owner = None;
        heartbeat.management_address = Some([10, 0, 0, 229].into());
        let line = HeartbeatLine(&heartbeat).to_string();
        let end =
            "uuid 00000000-00000000-0000-000000000000 jrnl drv 14.54 lockImpl 0 ip 10.0.0.229]";
        assert!(line.ends_with(end), "{line}");
    }

    #[test]
    fn a_lock_reads_as_vmkfstools_prints_it() {
        let mut lock = DiskLock {
            token: 2175,
            heartbeat_address: 3_694_592,
            heartbeat_generation: 13_777,
            mode: LockMode::ReadOnly,
            modification_time: 979_023,
            ..DiskLock::never_taken(LockKind::FileDescriptor, 13_895_680)
        };
        let holder = |heartbeat_address, host: &str| {
            let host = host.parse().ok()?;
            Some(LockHolder { heartbeat_address, heartbeat_generation: 1, host })
        };
        lock.holders[0] = holder(3_309_568, "5630b2a6-c21df93e-32f1-e41f13b64614");
        lock.holders[1] = holder(3_694_592, "5091de63-2683f5a0-1ea1-e4115baf243b");
        assert_eq!(
            LockLines(&lock).to_string(),
            "Lock [type 10c00001 offset 13895680 v 2175, hb offset 3694592\n\
             gen 13777, mode 2, owner 00000000-00000000-0000-000000000000 mtime 979023\n\
             num 2 gblnum 0 gblgen 0 gblbrk 0]\n\
             RO Owner[0] HB Offset 3309568 5630b2a6-c21df93e-32f1-e41f13b64614\n\
             RO Owner[1] HB Offset 3694592 5091de63-2683f5a0-1ea1-e4115baf243b"
        );
    }

    #[test]
    fn a_host_reads_as_in_the_list_of_active_hosts() {
        let host = "5091de63-2683f5a0-1ea1-984be10a24d8".parse().unwrap();
        let line = ActiveHostLine { nth: 1, host }.to_string();
        assert_eq!(line, "(1): MAC address 98:4b:e1:0a:24:d8");
    }
}

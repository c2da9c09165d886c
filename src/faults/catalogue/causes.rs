//! The causes of ATS trouble that were seen in the field, by number, and what a target cannot do about
//! them.

/// A cause of ATS trouble.
pub(super) struct FieldCause {
    /// Its number: an [`Entry`](super::Entry) lists those it reproduces.
    pub(super) number: u8,
    /// What was wrong, and whose product was seen with it.
    pub(super) what: &'static str,
    /// How to reproduce it, where the fault alone does not say; or why no target can.
    pub(super) note: &'static str,
}

const fn cause(number: u8, what: &'static str, note: &'static str) -> FieldCause {
    FieldCause { number, what, note }
}

/// All of them, in order.
pub(super) const CAUSES: &[FieldCause] = &[
    cause(
        1,
        "ATS carried out, its status lost or late by more than 8 s, aborted, tried again (IBM SVC)",
        "",
    ),
    cause(2, "the same, but carried out after the abort was answered", ""),
    cause(3, "heartbeat I/O delayed by 8 s and more in back end or SAN (IBM)", ""),
    cause(
        4,
        "delays of 3 to 8 s, jitter",
        "`delay = { uniform = [\"3s\", \"8s\"] }`: no host may lose its heartbeat",
    ),
    cause(
        5,
        "one heartbeat miscompare makes the host reset the LUN (EMC VPLEX)",
        "`when = { nth = 1 }`",
    ),
    cause(6, "spurious miscompare: firmware compares the wrong data", ""),
    cause(7, "false equality: the data differs, GOOD is answered", "on scratch volumes only"),
    cause(8, "miscompare reported and the data written (tgt before cae660c)", ""),
    cause(9, "equal, but nothing or the wrong data written (tcmu-runner 8783103)", ""),
    cause(10, "internal blocks of 4 KiB: neighbours share and serialise (SolidFire)", ""),
    cause(11, "one mutex for all ATS of a LUN (LIO, tcmu-runner)", ""),
    cause(12, "ATS atomic only against ATS, not against WRITE (tcmu-runner)", ""),
    cause(13, "ATS not atomic across controllers or gateways", "looks to hosts as the gap does"),
    cause(14, "stale read after an acknowledged write: caches that disagree", ""),
    cause(15, "acknowledged write lost at failover or power loss", ""),
    cause(16, "back end stalls for 30 to 90 s (Ceph)", "`duration = \"60s\"`"),
    cause(
        17,
        "session dropped with a command in flight",
        "the session is LIO's; the lost status and the unit attention are what a host sees of it",
    ),
    cause(
        18,
        "unwritten ranges fail or read as something else; the drive forgot that it was written",
        "",
    ),
    cause(19, "UNMAP or WRITE SAME hits metadata, off by one or late", ""),
    cause(
        20,
        "the last block is refused (tcmu-runner 939ec03)",
        "`status = \"05/21/00\"` with `lba` the last block",
    ),
    cause(
        21,
        "zero blocks, too many, or the wrong length of data mishandled",
        "no host of VMFS sends such commands, so none can show it; the conformance suite does",
    ),
    cause(22, "resources exhausted: storms of BUSY and TASK SET FULL", ""),
    cause(23, "pool full: ATS answered with an error or BUSY", ""),
    cause(
        24,
        "ABORT TASK unsupported or rejected (SPDK)",
        "no backstore can: LIO answers task management itself and only tells of it",
    ),
    cause(25, "ABORT TASK answered \"task does not exist\" (SCST)", "no backstore can: as 24"),
    cause(
        26,
        "RESERVE and RELEASE unsupported on a non-ATS LUN (SPDK, tcmu-runner)",
        "LIO executes them: `set attribute emulate_pr=0` in targetcli has it refuse them",
    ),
    cause(27, "SCSI-2 reservation of a dead HBA", ""),
    cause(
        28,
        "ATS on some paths or LUNs only, or taken away by firmware (Synology)",
        "a backstore does not learn the path: by LUN and by time",
    ),
    cause(29, "mixed lock modes on one volume", "together with a host that uses RESERVE"),
    cause(30, "stale host view: a host goes on with an old image", ""),
    cause(
        31,
        "true takeover: a host frozen for more than 16 s",
        "`duration = \"20s\"`, `where = { host = … }`, while another host contends",
    ),
    cause(
        32,
        "the time between read and ATS widens under load, a neighbour wins",
        "`where = { vmfs = \"lock\" }`, `phase = \"before\"`",
    ),
    cause(33, "duplicate execution: a transport or HBA driver sends a command again", ""),
    cause(34, "read-modify-write of a page over a neighbour's update (512e)", ""),
    cause(35, "wrong sense of a miscompare: no INFORMATION, another key", ""),
    cause(
        36,
        "ALUA: standby ports refuse, port groups disagree (SCST, ceph-iscsi)",
        "what ports disagree about is LIO's: targetcli sets it; `asc = \"04/0b\"` is a standby port",
    ),
    cause(37, "host stalled by memory errors", "no target can: the array is healthy"),
    cause(
        38,
        "residual underflow reported for writes (SPDK)",
        "no backstore can: LIO computes residuals",
    ),
];

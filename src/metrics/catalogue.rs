//! All metrics there are: the one table of their names, kinds, labels and meanings.
//!
//! Every label has a bounded number of values: what the administrator has named (`lun`, `pool`), what
//! the standards name (`command`, `status`, `sense_key`, `function`), what this house names (`lane`,
//! `state`, `phase`, `severity`, `handler`), and hosts, of which a logical unit keeps 64 at most.

use crate::{Kind, Metric};

/// A constant for each metric, and [`ALL`] of them.
macro_rules! catalogue {
    ($($constant:ident = $kind:ident $name:literal [$($label:literal),*] $help:literal;)+) => {
        $(
            #[doc = $help]
            pub const $constant: Metric = Metric {
                name: $name,
                kind: Kind::$kind,
                help: $help,
                labels: &[$($label),*],
            };
        )+

        /// All of them, in the order in which they are told.
        pub const ALL: &[Metric] = &[$($constant),+];
    };
}

catalogue! {
    // The daemon. What begins with `process_` is called so by every client library.
    BUILD_INFO = Gauge "pulsefield_build_info" ["version"]
        "The daemon that answers; always 1.";
    PROCESS_START_TIME = Gauge "process_start_time_seconds" []
        "When the daemon started, in seconds since 1970.";
    PROCESS_CPU = Counter "process_cpu_seconds_total" []
        "Processor time that the daemon has used, in user and system mode.";
    PROCESS_RESIDENT_MEMORY = Gauge "process_resident_memory_bytes" []
        "Memory of the daemon that is resident, mappings of command rings included.";
    PROCESS_THREADS = Gauge "process_threads" []
        "Threads of the daemon: one for each logical unit, those of the media, and some ten others.";
    PROCESS_OPEN_FDS = Gauge "process_open_fds" []
        "File descriptors that the daemon has open.";

    // What a logical unit is.
    LUN_INFO = Gauge "pulsefield_lun_info" ["lun", "handler"]
        "A logical unit and the handler of its medium; always 1.";
    LUN_STATE = Gauge "pulsefield_lun_state" ["lun", "state"]
        "1 for the state that a logical unit is in, 0 for the others.";
    LUN_RESPONSIVE = Gauge "pulsefield_lun_responsive" ["lun"]
        "Whether the thread of a logical unit that serves has answered this scrape in time. If not, what it alone knows is missing: latencies, bytes and hosts.";
    LUN_SIZE = Gauge "pulsefield_lun_size_bytes" ["lun"]
        "Capacity of a logical unit; 0 as long as its medium is not open.";
    LUN_RESTARTS = Counter "pulsefield_lun_restarts_total" ["lun"]
        "How often the server of a logical unit was started again after a breakdown.";

    // What it does.
    COMMANDS = Counter "pulsefield_commands_total" ["lun"]
        "Commands taken from the ring.";
    ANSWERS = Counter "pulsefield_answers_total" ["lun", "status", "sense_key"]
        "Answers as initiators got them, by SCSI status and, with CHECK CONDITION, sense key. A series begins with the first such answer.";
    COMPARE_AND_WRITES = Counter "pulsefield_compare_and_writes_total" ["lun", "result"]
        "COMPARE AND WRITEs that wrote (good) and that found other data (miscompare).";
    ERRORS = Counter "pulsefield_errors_total" ["lun"]
        "Commands that ended with MEDIUM ERROR or HARDWARE ERROR.";
    COMMAND_DURATION = Histogram "pulsefield_command_duration_seconds" ["lun", "lane", "command"]
        "Time from when a command was found on the ring to the end of the doorbell that the kernel answered it in. One that took less than a bound, but by no more than an eighth, may be counted above it. Begins anew with `pulsefield latency --reset`.";
    COMMAND_PHASE = Counter "pulsefield_command_phase_seconds_total" ["lun", "lane", "command", "phase"]
        "What the time of commands went into: waiting for their blocks and a slot, service with the medium, and from the answer to the end of the doorbell.";
    COMMAND_BYTES = Counter "pulsefield_command_bytes_total" ["lun", "lane", "command"]
        "Bytes of Data-In and Data-Out of commands that ended GOOD; of COMPARE AND WRITE, both halves.";
    LANE_TASKS = Gauge "pulsefield_lane_tasks" ["lun", "lane", "state"]
        "Tasks of a lane: waiting for their blocks or a slot, and in one of its slots.";
    LANE_SLOTS = Gauge "pulsefield_lane_slots" ["lane"]
        "Slots that a lane has in each logical unit: tasks that may be with the medium at once.";

    // What must not be late.
    DEADLINE = Gauge "pulsefield_deadline_seconds" ["lun", "severity"]
        "When a command is late: deadline_warning and deadline_error of the configuration; 0 if there is none.";
    DEADLINE_MISSES = Counter "pulsefield_deadline_misses_total" ["lun", "severity"]
        "Commands that took as long as that deadline (warning: and not as long as the other).";
    ABORTED = Counter "pulsefield_aborted_commands_total" ["lun"]
        "Commands that a task management function named while they were in flight.";
    TASK_MANAGEMENT = Counter "pulsefield_task_management_functions_total" ["lun", "function"]
        "Task management functions that LIO told of. A series begins with the first such function.";

    // Where commands wait unseen.
    DATA_AREA_SIZE = Gauge "pulsefield_data_area_size_bytes" ["lun"]
        "Length of the data area: max_data_area_mb; 0 as long as the logical unit is not served.";
    DATA_AREA_PEAK = Gauge "pulsefield_data_area_peak_ratio" ["lun"]
        "The most of the data area that was in use, since the daemon took the logical unit over.";
    RING_PEAK = Gauge "pulsefield_ring_peak_ratio" ["lun"]
        "The most of the command ring that was in use, since the daemon took the logical unit over.";
    ROOM_SHORTAGES = Counter "pulsefield_room_shortages_total" ["lun"]
        "How often there was hardly any room left in the data area or the ring when answers were announced: what came next may have waited in the kernel (qfull), heartbeats too.";
    POOL_LIMIT = Gauge "pulsefield_pool_limit_bytes" ["pool"]
        "What the media of a pool of space may take together.";
    POOL_USED = Gauge "pulsefield_pool_used_bytes" ["pool"]
        "What the media of the logical units of a pool that are served take together.";

    // What breaks on purpose.
    FAULT_RULES = Gauge "pulsefield_fault_rules_armed" ["lun"]
        "Rules of faults that are armed: the logical unit breaks its promises on purpose.";
    FAULT_HITS = Counter "pulsefield_fault_hits_total" ["lun"]
        "Commands that rules of faults have hit.";

    // Who pulses.
    HOST_INFO = Gauge "pulsefield_host_info" ["lun", "host", "slot", "address"]
        "A host that pulses on a logical unit: its UUID as ESXi writes it, its heartbeat slot and its management address, as its heartbeat says; always 1.";
    HOST_PULSE_AGE = Gauge "pulsefield_host_pulse_age_seconds" ["lun", "host"]
        "How long ago a host's last heartbeat was written. ESXi writes one every 3 seconds, and other hosts may take its locks 16 seconds after the last. A host that clears its slot is gone from here, and so is one that was silent for a day.";
    HOST_PULSE_INTERVAL = Histogram "pulsefield_host_pulse_interval_seconds" ["lun", "host"]
        "Time from one heartbeat of a host to its next.";
}

#[cfg(test)]
mod tests;

//! REPORT SUPPORTED TASK MANAGEMENT FUNCTIONS parameter data (SPC-4).

/// ATS: ABORT TASK.
const ABORT_TASK: u8 = 0x80;
/// LURS: LOGICAL UNIT RESET.
const LOGICAL_UNIT_RESET: u8 = 0x08;

/// Appends to `out` which functions there are. They are LIO's: ABORT TASK and LOGICAL UNIT RESET, and
/// no other whatever the fabric (`target_core_transport.c`, `target_tmr_work`).
pub fn encode_task_management_functions(extended: bool, out: &mut Vec<u8>) {
    out.extend_from_slice(&[ABORT_TASK | LOGICAL_UNIT_RESET, 0, 0]);
    if extended {
        // ADDITIONAL DATA LENGTH, then no timeouts (TMFTMOV = 0).
        out.extend_from_slice(&[0x0c, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    } else {
        out.push(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn four_bytes_or_sixteen() {
        let encoded = |extended| {
            let mut out = Vec::new();
            encode_task_management_functions(extended, &mut out);
            out
        };
        assert_eq!(encoded(false), [0x88, 0, 0, 0]);
        assert_eq!(encoded(true), [&[0x88, 0, 0, 0x0c][..], &[0; 12]].concat());
    }
}

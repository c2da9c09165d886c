//! Reaping: what the kernel makes of the handler's answers.

use super::{CHECK_CONDITION, Data, Finished, GOOD, Posted, SimulatedKernel};
use crate::abi::{
    CommandResponse, ENTRY_BODY, EntryHeader, MAILBOX_SIZE, OP_PAD, OP_TMR, UFLAG_KEEP_BUF,
    UFLAG_READ_LEN, UFLAG_UNKNOWN_OP,
};

impl SimulatedKernel {
    /// Walks the slots up to the handler's tail (`tcmu_handle_completions`). `true` if there may be
    /// room for what waits.
    pub(super) fn handle_completions(&mut self, finished: &mut Vec<Finished>) -> bool {
        if self.broken {
            return false;
        }
        let mut freed = false;
        while self.cleaned != self.mailbox.answered_tail() {
            freed = true;
            let start = MAILBOX_SIZE + self.cleaned as usize;
            let header: EntryHeader = self.mapping.read(start);
            // A handler that altered a length would make the kernel loop or stray; here it breaks.
            if header.len() == 0 || header.len() > self.circle.to_end(self.cleaned) {
                self.broken = true;
                return false;
            }
            if !matches!(header.opcode(), OP_PAD | OP_TMR) && !self.reap(start, header, finished) {
                self.broken = true;
                return false;
            }
            self.cleaned = self.circle.advance(self.cleaned, header.len());
        }
        freed && self.run_waiting_tmrs()
    }

    /// Takes one answer (`tcmu_handle_completion`); `false` if its id is not in flight.
    fn reap(&mut self, start: usize, header: EntryHeader, finished: &mut Vec<Finished>) -> bool {
        let Some(posted) = self.commands.get(&header.cmd_id).filter(|posted| !posted.kept) else {
            return false;
        };
        // Who ran out of time was answered then; the blocks are all there is left to take back.
        if !posted.expired {
            let response = self.mapping.read(start + ENTRY_BODY);
            finished.push(self.finished(posted, header.uflags, &response));
        }
        if header.uflags & UFLAG_KEEP_BUF == 0 {
            self.release(header.cmd_id);
        } else if let Some(posted) = self.commands.get_mut(&header.cmd_id) {
            posted.expired = false;
            posted.kept = true;
        }
        true
    }

    /// What the initiator is told.
    fn finished(&self, posted: &Posted, uflags: u8, response: &CommandResponse) -> Finished {
        if uflags & UFLAG_UNKNOWN_OP != 0 {
            return Finished::communication_failure(posted.handle);
        }
        let status = response.scsi_status;
        let stated = match posted.data {
            Data::In(expected) if uflags & UFLAG_READ_LEN != 0 && response.read_len != 0 => {
                Some(expected.min(response.read_len as usize))
            }
            Data::In(_) | Data::None | Data::Out(_) | Data::Bidirectional { .. } => None,
        };
        // Data goes out with GOOD; with CHECK CONDITION only if its length was stated; and with no
        // other status (`target_complete_ok_work`).
        let transferred = status == GOOD || (status == CHECK_CONDITION && stated.is_some());
        let data_in = if transferred { self.data_in(posted, stated) } else { Vec::new() };
        let residual = match (transferred, stated) {
            (true, Some(stated)) => posted.data.first_len() - stated,
            (true, None) | (false, _) => 0,
        };
        Finished {
            handle: posted.handle,
            status,
            sense: (status == CHECK_CONDITION).then_some(response.sense_buffer),
            data_in,
            residual,
        }
    }

    /// Copies Data-In out of the blocks (`gather_data_area`).
    fn data_in(&self, posted: &Posted, stated: Option<usize>) -> Vec<u8> {
        let first = self.blocks.needed(posted.data.first_len());
        match &posted.data {
            Data::None | Data::Out(_) => Vec::new(),
            Data::In(expected) => {
                let len = stated.unwrap_or(*expected);
                self.blocks.gather(&self.mapping, &posted.blocks, len)
            }
            Data::Bidirectional { expected, .. } => {
                self.blocks.gather(&self.mapping, &posted.blocks[first..], *expected)
            }
        }
    }
}

//! The medium under a daemon that is killed: what is written in the daemon's last moments is done and never
//! answered, as by a process that was killed between `pwrite(2)` and its answer. That is how a command comes to be
//! answered BUSY although it was carried out (`docs/decisions/0007-…`).

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use pulsefield_backstore::{
    Backstore, BackstoreError, Capabilities, Completion, CompletionSink, Geometry, Op, OpOutput,
    OpenError, Request,
};
use pulsefield_data::Buffer;
use pulsefield_units::BlockCount;

/// A medium, and what its daemon will not live to hear of.
pub(crate) struct Mortal {
    medium: Arc<dyn Backstore>,
    dying: AtomicBool,
    unanswered: Mutex<Vec<Request>>,
}

impl Mortal {
    pub(crate) fn new(medium: Arc<dyn Backstore>) -> Arc<Self> {
        Arc::new(Self { medium, dying: AtomicBool::new(false), unanswered: Mutex::default() })
    }

    /// The daemon's last moments begin.
    pub(crate) fn die(&self) {
        self.dying.store(true, Ordering::Relaxed);
    }

    /// The daemon is gone.
    pub(crate) fn bury(&self) {
        self.dying.store(false, Ordering::Relaxed);
        self.unanswered.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

impl Backstore for Mortal {
    fn geometry(&self) -> Geometry {
        self.medium.geometry()
    }

    fn capabilities(&self) -> Capabilities {
        self.medium.capabilities()
    }

    fn at_once(
        &self,
        op: Op,
        buffer: &mut Buffer,
        urgent: bool,
    ) -> Option<Result<OpOutput, BackstoreError>> {
        let unanswered = self.dying.load(Ordering::Relaxed) && op.writes();
        if unanswered { None } else { self.medium.at_once(op, buffer, urgent) }
    }

    fn submit(&self, request: Request) {
        if !self.dying.load(Ordering::Relaxed) || !request.op().writes() {
            return self.medium.submit(request);
        }
        let bytes = request.buffer().len();
        let mut copy = Buffer::heap(bytes);
        copy.copy_from(0, request.buffer(), 0, bytes);
        let (op, tag, urgent) = (request.op(), request.tag(), request.is_urgent());
        self.medium.submit(Request::new(op, tag, copy, urgent, Arc::new(Nobody)));
        self.unanswered.lock().unwrap_or_else(PoisonError::into_inner).push(request);
    }

    fn resize(&self, blocks: BlockCount) -> Result<(), OpenError> {
        self.medium.resize(blocks)
    }
}

/// Who hears of what is done for a daemon that dies.
struct Nobody;

impl CompletionSink for Nobody {
    fn complete(&self, _completion: Completion) {}
}

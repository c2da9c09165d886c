//! Giving a heartbeat back when the volume is unmounted.

use pulsefield_vmfs::Heartbeat;

use super::{Held, image};
use crate::Sector;
use crate::operation::{Input, Operation, Step, View};
use crate::swap::{Swap, Swapped};

/// A heartbeat being given back.
#[derive(Debug)]
pub(crate) struct Clear {
    swap: Swap,
    /// What may be there instead of what is expected.
    doubt: Option<Sector>,
}

impl Clear {
    /// Of the heartbeat in the slot at `address`, in bytes from the start of the volume.
    pub(crate) fn new(address: u64, held: &Held) -> Self {
        Self { swap: swap(address, &held.image), doubt: held.doubt }
    }
}

/// # Panics
/// If `image` is no heartbeat: a host keeps no other.
fn swap(address: u64, image: &Sector) -> Swap {
    let heartbeat = Heartbeat::decode(image).expect("a host keeps images of its heartbeat");
    Swap::new(address, *image, image::cleared(&heartbeat).encode())
}

impl Operation for Clear {
    /// Whether it is clear. If not, another host will find it silent, and clear it.
    type End = bool;

    fn next(&mut self, view: &mut View<'_>, input: Input) -> Step<bool> {
        let step = self.swap.next(view, input);
        step.or_then(|swapped| match (swapped, self.doubt.take()) {
            (Swapped::Differs, Some(doubt)) => {
                self.swap = swap(view.own.heartbeat_address, &doubt);
                self.next(view, Input::Begin)
            }
            (swapped, _) => Step::Finished(swapped == Swapped::Done),
        })
    }
}

//! A second opinion for tests: Wing and Gong's search over all orders, as it stands in their paper ("Testing and
//! Verifying Concurrent Objects", 1993), for histories of a few operations on one block.

use crate::{Ending, Operation, OperationKind};

/// Whether there is an order of `operations` that explains all of them, on a block that may have held
/// anything.
pub(super) fn is_linearizable(operations: &[Operation]) -> bool {
    assert!(operations.len() <= 16);
    search(operations, None, 0)
}

/// `value` is what the block holds, if that is known; bits of `placed` are operations that have their place.
fn search<'a>(operations: &'a [Operation], value: Option<&'a [u8]>, placed: u32) -> bool {
    let is_placed = |nth: usize| placed & (1 << nth) != 0;
    let open = |nth: &usize| !is_placed(*nth) && operations[*nth].ending != Ending::Refused;
    let left: Vec<_> = (0..operations.len()).filter(open).collect();
    if left.iter().all(|nth| may_be_left_out(&operations[*nth])) {
        return true;
    }
    left.iter().any(|&nth| {
        let operation = &operations[nth];
        // None that is left ended before this one began, unless it is left out.
        let first = left.iter().all(|other| {
            let other = &operations[*other];
            other.returned.is_none_or(|returned| returned >= operation.invoked)
                || may_be_left_out(other)
        });
        if !first {
            return false;
        }
        // One that is left out by going past its end must not come later.
        let gone = left.iter().filter(|other| {
            operations[**other].returned.is_some_and(|returned| returned < operation.invoked)
        });
        let placed = gone.fold(placed | 1 << nth, |placed, other| placed | 1 << other);
        outcome(operation, value).is_some_and(|value| search(operations, value, placed))
    })
}

fn may_be_left_out(operation: &Operation) -> bool {
    operation.ending == Ending::Maybe
}

/// What the block holds after the operation; `None` if it cannot happen.
fn outcome<'a>(operation: &'a Operation, value: Option<&'a [u8]>) -> Option<Option<&'a [u8]>> {
    let is = |expected: &[u8]| value.is_none_or(|value| value == expected);
    match (&operation.kind, operation.ending) {
        (OperationKind::Read { data }, Ending::Done) => is(data).then_some(Some(data)),
        (OperationKind::CompareAndWrite { test, .. }, Ending::Miscompared(_)) => {
            (value != Some(test)).then_some(value)
        }
        (OperationKind::CompareAndWrite { test, set }, _) => is(test).then_some(Some(set)),
        (OperationKind::Write { data }, _) => Some(Some(data)),
        (OperationKind::Read { .. } | OperationKind::Zero | OperationKind::Copy { .. }, _) => {
            Some(value)
        }
    }
}

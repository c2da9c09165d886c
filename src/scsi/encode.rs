//! Appending to a caller's `Vec` data that says how long it is.

/// Appends what `body` appends, preceded by its length as a big-endian number of `N` bytes.
///
/// The length fields of SPC and SBC data count the bytes that follow them, so this serves them all.
///
/// # Panics
/// If the body is longer than its length field can say: a bug of the caller.
pub(crate) fn length_prefixed<const N: usize>(out: &mut Vec<u8>, body: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.extend_from_slice(&[0; N]);
    let body_start = out.len();
    body(out);
    let length = (out.len().saturating_sub(body_start) as u64).to_be_bytes();
    let (unused, length) = length.split_at(length.len().saturating_sub(N));
    assert!(unused.iter().all(|byte| *byte == 0), "a body longer than its length field can say");
    if let Some(field) = out.get_mut(start..body_start) {
        field.copy_from_slice(length);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_nest_and_count_what_follows() {
        let mut out = vec![0xa5];
        length_prefixed::<2>(&mut out, |out| {
            out.push(0xff);
            length_prefixed::<1>(out, |out| out.extend_from_slice(b"abc"));
            length_prefixed::<4>(out, |_| ());
        });
        assert_eq!(out, [0xa5, 0, 9, 0xff, 3, b'a', b'b', b'c', 0, 0, 0, 0]);
    }

    #[test]
    #[should_panic(expected = "longer than its length field")]
    fn a_length_is_never_cut_off() {
        length_prefixed::<1>(&mut Vec::new(), |out| out.extend_from_slice(&[0; 256]));
    }
}

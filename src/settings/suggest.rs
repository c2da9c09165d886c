//! What somebody probably meant who mistyped a name.

/// How alike two names must be, of 1.0, before one is offered for the other: low enough for a
/// swapped or forgotten letter in a short name, high enough not to offer nonsense.
const ALIKE: f64 = 0.75;

/// The one of `candidates` that is most like `word`, if any is like it at all.
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    candidates
        .into_iter()
        .map(|candidate| (strsim::jaro_winkler(word, candidate), candidate))
        .filter(|(likeness, _)| *likeness >= ALIKE)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_recognised_and_nonsense_is_not() {
        let names = ["log", "dbus", "metadata", "medium_rotation_rate"];
        assert_eq!(nearest("metdata", names), Some("metadata"));
        assert_eq!(nearest("dubs", names), Some("dbus"));
        assert_eq!(nearest("rotation_rate", names), Some("medium_rotation_rate"));
        assert_eq!(nearest("medium_rotation", names), Some("medium_rotation_rate"));
        assert_eq!(nearest("colour", names), None);
        assert_eq!(nearest("", names), None);
    }
}

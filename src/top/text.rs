//! Quantities in few characters.

use std::time::Duration;

/// So many a second.
pub(crate) fn rate(rate: Option<f64>) -> String {
    match rate {
        None => "-".to_owned(),
        Some(rate) if rate >= 1e6 => format!("{:.1}M", rate / 1e6),
        Some(rate) if rate >= 1e4 => format!("{:.1}k", rate / 1e3),
        Some(rate) if rate >= 10.0 || rate == 0.0 => format!("{rate:.0}"),
        Some(rate) => format!("{rate:.1}"),
    }
}

/// A time as a clock has it.
pub(crate) fn clock(time: Duration) -> String {
    let seconds = time.as_secs();
    let clock = format!("{:02}:{:02}:{:02}", seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    match seconds / 86_400 {
        0 => clock,
        days => format!("{days} d {clock}"),
    }
}

/// The last `width` values as bars, the largest of all as high as a character is.
pub(crate) fn sparkline(values: impl DoubleEndedIterator<Item = u64>, width: usize) -> String {
    const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let mut last: Vec<u64> = values.rev().take(width).collect();
    last.reverse();
    let most = last.iter().copied().max().unwrap_or_default().max(1);
    let step = |value: u64| usize::try_from(u128::from(value) * 7 / u128::from(most)).unwrap_or(7);
    last.iter().map(|value| BARS[step(*value).min(7)]).collect()
}

/// `text` in exactly so many columns, cut off or filled with spaces, to the left or to the right.
pub(crate) fn cell(text: &str, width: usize, to_the_right: bool) -> String {
    let length = text.chars().count();
    let cut: String = text.chars().take(width).collect();
    match (length > width, to_the_right) {
        (true, _) => cut.chars().take(width.saturating_sub(1)).chain(['…']).collect(),
        (false, true) => format!("{cut:>width$}"),
        (false, false) => format!("{cut:<width$}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_are_short() {
        let rates = [0.0, 0.33, 9.96, 42.0, 12_345.0, 1.5e6].map(|of| rate(Some(of)));
        assert_eq!(rates, ["0", "0.3", "10.0", "42", "12.3k", "1.5M"]);
        assert_eq!(clock(Duration::from_secs(90_061)), "1 d 01:01:01");
    }

    #[test]
    fn bars_are_as_high_as_their_part_of_the_highest() {
        assert_eq!(sparkline([0, 7, 14, 0, 1].into_iter(), 3), "█▁▁");
        assert_eq!(sparkline([0, 7, 14].into_iter(), 10), "▁▄█");
        assert_eq!(sparkline([0, 0].into_iter(), 10), "▁▁");
        assert_eq!(sparkline([u64::MAX].into_iter(), 10), "█");
        assert_eq!(sparkline([].into_iter(), 10), "");
    }

    #[test]
    fn a_cell_is_as_wide_as_it_is_to_be() {
        assert_eq!([cell("ab", 4, false), cell("ab", 4, true)], ["ab  ", "  ab"]);
        assert_eq!(cell("datastore-1", 6, false), "datas…");
    }
}

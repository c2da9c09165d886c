//! One figure of several rounds: its median and how far the rounds lie apart.

use std::fmt;

/// What was seen of a figure.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Seen {
    pub(super) median: f64,
    pub(super) least: f64,
    pub(super) most: f64,
}

impl Seen {
    /// The median and the extremes of what the rounds brought; `None` if they brought nothing.
    pub(super) fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut sorted: Vec<_> = values.into_iter().filter(|value| value.is_finite()).collect();
        sorted.sort_by(f64::total_cmp);
        let (&least, &most) = (sorted.first()?, sorted.last()?);
        let middle = sorted.len() / 2;
        let median = if sorted.len() % 2 == 1 {
            sorted[middle]
        } else {
            f64::midpoint(sorted[middle - 1], sorted[middle])
        };
        Some(Self { median, least, most })
    }
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { median, least, most } = *self;
        f.write_str(&number(median))?;
        if least < most {
            write!(f, " ({}–{})", number(least), number(most))?;
        }
        Ok(())
    }
}

/// Three digits that mean something, or all before the point.
pub(super) fn number(value: f64) -> String {
    match value.abs() {
        1_000_000.0.. => format!("{:.2} M", value / 1e6),
        100.0.. => format!("{value:.0}"),
        10.0.. => format!("{value:.1}"),
        1.0.. => format!("{value:.2}"),
        0.0 => "0".to_owned(),
        _ => format!("{value:.3}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_median_stands_in_the_middle() {
        let seen = |values: &[f64]| Seen::of(values.iter().copied()).map(|seen| seen.to_string());
        assert_eq!(seen(&[3.0, 1.0, 200.0]).unwrap(), "3.00 (1.00–200)");
        assert_eq!(seen(&[1.0, 2.0]).unwrap(), "1.50 (1.00–2.00)");
        assert_eq!(seen(&[0.25]).unwrap(), "0.250");
        assert_eq!(seen(&[f64::NAN]), None);
        assert_eq!([3_141_592.0, 314_159.2, 0.0].map(number), ["3.14 M", "314159", "0"]);
    }
}

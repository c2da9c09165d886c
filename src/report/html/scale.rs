//! From quantities to places on a page.

use crate::words::Clock;

/// How far apart the marks of a time axis may be, in milliseconds; beyond the last one, multiples of it.
const STEPS_MS: [u64; 18] = [
    1_000, 2_000, 5_000, 10_000, 15_000, 30_000, 60_000, 120_000, 300_000, 600_000, 900_000,
    1_800_000, 3_600_000, 7_200_000, 10_800_000, 21_600_000, 43_200_000, 86_400_000,
];

/// Marks that a time axis has at most.
const MARKS_MAX: u64 = 12;

/// The moments that a time axis of a run that lasted so long marks, with what stands there.
pub(super) fn moments(lasted_ms: u64) -> impl Iterator<Item = (u64, Clock)> {
    let last = STEPS_MS[STEPS_MS.len() - 1];
    let days = || lasted_ms.div_ceil(last * MARKS_MAX) * last;
    let step = STEPS_MS.into_iter().find(|step| lasted_ms / step < MARKS_MAX);
    let step = step.unwrap_or_else(days);
    (0..=lasted_ms / step).map(move |nth| (nth * step, Clock { ms: nth * step, tenths: false }))
}

/// A logarithmic scale of microseconds, from one power of ten on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Logarithmic {
    from_us: u64,
    to_us: u64,
}

impl Logarithmic {
    /// One that has all from `least` to `most`.
    pub(super) fn over(least_us: u64, most_us: u64) -> Self {
        let from_us = 10_u64.pow(least_us.max(1).ilog10());
        Self { from_us, to_us: most_us.max(from_us.saturating_mul(10)) }
    }

    /// Where a time is, from 0 to 1.
    pub(super) fn part(self, us: u64) -> f64 {
        let log = |us: u64| (us.max(1) as f64).log10();
        let (from, to) = (log(self.from_us), log(self.to_us));
        ((log(us) - from) / (to - from)).clamp(0.0, 1.0)
    }

    /// The powers of ten in it, with what stands there.
    pub(super) fn decades(self) -> impl Iterator<Item = (u64, String)> {
        let next = |us: &u64| us.checked_mul(10);
        std::iter::successors(Some(self.from_us), next)
            .take_while(move |us| *us <= self.to_us)
            .map(|us| (us, round(us)))
    }
}

/// A power of ten of microseconds.
fn round(us: u64) -> String {
    match us {
        0..1_000 => format!("{us} µs"),
        1_000..1_000_000 => format!("{} ms", us / 1_000),
        _ => format!("{} s", us / 1_000_000),
    }
}

/// The first of 1, 2, 3, 4, 5, 6, 8, 10, 20 … that is not below `most`: where a linear scale from 0 on ends.
pub(super) fn round_end(most: f64) -> f64 {
    if !most.is_finite() || most <= 0.0 {
        return 1.0;
    }
    let decade = 10_f64.powf(most.log10().floor());
    let ends = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0].map(|factor| factor * decade);
    // A product may be a hair below what it is meant to be.
    ends.into_iter().find(|end| *end >= most * 0.999_999).unwrap_or(most)
}

/// A number that ends a scale, or lies on it: `0.5`, `20`, `2k`, `1M`.
pub(super) fn short(value: f64) -> String {
    let plain = |value: f64, unit: &str| {
        let text = format!("{value:.1}");
        format!("{}{unit}", text.strip_suffix(".0").unwrap_or(&text))
    };
    match value {
        1e9.. => plain(value / 1e9, "G"),
        1e6..1e9 => plain(value / 1e6, "M"),
        1e3..1e6 => plain(value / 1e3, "k"),
        _ => plain(value, ""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_axis_has_a_dozen_marks_at_most() {
        let texts = |ms| moments(ms).map(|(_, text)| text.to_string()).collect::<Vec<_>>();
        assert_eq!(texts(0), ["0:00"]);
        assert_eq!(texts(10_000).len(), 11);
        assert_eq!(texts(60_000)[1], "0:10");
        assert_eq!(texts(600_000)[..3], ["0:00", "1:00", "2:00"]);
        for lasted_ms in [1, 59_999, 3_600_000, 90_000_000, 1 << 40, u64::MAX] {
            assert!(moments(lasted_ms).count() <= 13, "{lasted_ms}");
        }
    }

    #[test]
    fn a_logarithmic_scale_begins_with_a_power_of_ten() {
        let scale = Logarithmic::over(250, 20_000_000);
        assert_eq!((scale.part(100), scale.part(20_000_000)), (0.0, 1.0));
        assert!((scale.part(1_000) - 1.0 / 200_000_f64.log10()).abs() < 1e-9);
        assert_eq!((scale.part(0), scale.part(u64::MAX)), (0.0, 1.0));
        let texts: Vec<String> = scale.decades().map(|(_, text)| text).collect();
        assert_eq!(texts, ["100 µs", "1 ms", "10 ms", "100 ms", "1 s", "10 s"]);
        assert_eq!(Logarithmic::over(0, 0), Logarithmic { from_us: 1, to_us: 10 });
        assert!(Logarithmic::over(u64::MAX, u64::MAX).decades().count() >= 1);
    }

    #[test]
    fn a_linear_scale_ends_with_a_round_number() {
        for (most, end) in [(0.0, 1.0), (0.25, 0.3), (1.0, 1.0), (17.0, 20.0), (4_200.0, 5_000.0)] {
            assert!((round_end(most) - end).abs() < 1e-9, "{most}");
        }
        assert_eq!(round_end(f64::NAN), 1.0);
        for (value, text) in [(0.5, "0.5"), (20.0, "20"), (2_000.0, "2k"), (1_500_000.0, "1.5M")] {
            assert_eq!(short(value), text);
        }
    }
}

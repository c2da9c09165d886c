//! The figures that matter most as a picture: SVG, drawn here, since bars on two scales are all it takes.

use std::fmt::Write as _;

use super::page::SUBJECTS;
use super::record::Record;
use super::seen::{Seen, number};

const WIDTH: f64 = 760.0;
/// Where the bars begin and end.
const LEFT: f64 = 120.0;
const RIGHT: f64 = 690.0;
const ROW: f64 = 20.0;
const OURS: &str = "#1f6f8b";
const OTHERS: &str = "#9aa5ab";

/// A row of bars.
struct Panel {
    title: &'static str,
    workload: &'static str,
    figure: &'static str,
    scale: Scale,
}

#[derive(Clone, Copy)]
enum Scale {
    Linear,
    /// From a tenth of the least value on.
    Logarithmic,
}

const PANELS: &[Panel] = &[
    Panel {
        title: "COMPARE AND WRITE every 20 ms beside 64 × 256 KiB random writes: p99, µs (logarithmic; less is better)",
        workload: "caw-loaded",
        figure: "p99",
        scale: Scale::Logarithmic,
    },
    Panel {
        title: "COMPARE AND WRITE every 5 ms, nothing else: p99, µs (logarithmic; less is better)",
        workload: "caw-paced",
        figure: "p99",
        scale: Scale::Logarithmic,
    },
    Panel {
        title: "4 KiB random reads, depth 1: requests per second (more is better)",
        workload: "read-1",
        figure: "iops",
        scale: Scale::Linear,
    },
    Panel {
        title: "4 KiB random writes, depth 32: requests per second (more is better)",
        workload: "write-32",
        figure: "iops",
        scale: Scale::Linear,
    },
];

/// All panels below one another.
pub(super) fn plot(record: &Record) -> String {
    let mut body = String::new();
    let mut y = 10.0;
    for panel in PANELS {
        y = panel.draw(record, y, &mut body);
    }
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {y}\" \
         font-family=\"sans-serif\" font-size=\"11\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n{body}</svg>\n"
    )
}

impl Panel {
    /// Draws it from `y` on; says where the next one may begin. Nothing if nothing was measured.
    fn draw(&self, record: &Record, y: f64, body: &mut String) -> f64 {
        let bars: Vec<_> = SUBJECTS
            .iter()
            .filter_map(|(subject, _)| {
                let values = record.values(self.workload, subject, self.figure);
                Some((*subject, Seen::of(values.iter().copied())?))
            })
            .collect();
        let most = bars.iter().map(|(_, seen)| seen.most).fold(0.0, f64::max);
        let least = bars.iter().map(|(_, seen)| seen.least).fold(f64::INFINITY, f64::min);
        if bars.is_empty() {
            return y;
        }
        let place = |value: f64| LEFT + (RIGHT - LEFT) * self.scale.part(value, least, most);
        let mut write = |text: String| writeln!(body, "{text}").expect("a string grows");
        write(format!(
            "<text x=\"10\" y=\"{}\" font-weight=\"bold\">{}</text>",
            y + 12.0,
            self.title
        ));
        let mut top = y + 20.0;
        for (subject, seen) in bars {
            let ours = matches!(subject, "null" | "ram" | "file");
            let color = if ours { OURS } else { OTHERS };
            let (middle, end) = (top + ROW / 2.0, place(seen.median));
            write(format!(
                "<text x=\"{}\" y=\"{}\" text-anchor=\"end\">{subject}</text>",
                LEFT - 8.0,
                middle + 4.0
            ));
            write(format!(
                "<rect x=\"{LEFT}\" y=\"{}\" width=\"{:.1}\" height=\"{}\" fill=\"{color}\"/>",
                top + 3.0,
                end - LEFT,
                ROW - 6.0
            ));
            // From the best round to the worst.
            write(format!(
                "<path d=\"M{:.1} {middle}H{:.1}\" stroke=\"black\"/>",
                place(seen.least),
                place(seen.most)
            ));
            write(format!(
                "<text x=\"{:.1}\" y=\"{}\">{}</text>",
                place(seen.most) + 6.0,
                middle + 4.0,
                number(seen.median)
            ));
            top += ROW;
        }
        top + 16.0
    }
}

impl Scale {
    /// Where `value` lies between the axis and the end, as a part of one.
    fn part(self, value: f64, least: f64, most: f64) -> f64 {
        match self {
            Self::Linear => value / most,
            Self::Logarithmic => {
                let start = least / 10.0;
                (value / start).ln() / (most / start).ln()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::record;

    #[test]
    fn scales_end_with_the_greatest_value() {
        assert_eq!(Scale::Linear.part(5.0, 1.0, 10.0), 0.5);
        let part = |value| Scale::Logarithmic.part(value, 10.0, 1000.0);
        assert!((part(1000.0) - 1.0).abs() < 1e-9 && (part(10.0) - 1.0 / 3.0).abs() < 1e-9);
    }

    #[test]
    fn a_bar_for_each_subject_that_was_measured() {
        let record = record::with(&[("file", &[2.0]), ("fileio", &[1.0, 4.0])]);
        let panel = Panel { title: "t", workload: "w", figure: "f", scale: Scale::Linear };
        let mut body = String::new();
        assert_eq!(panel.draw(&record, 0.0, &mut body), 20.0 + 2.0 * ROW + 16.0);
        assert_eq!(body.matches("<rect").count(), 2);
        let mut nothing = String::new();
        assert_eq!(PANELS[0].draw(&record, 7.0, &mut nothing), 7.0);
        assert!(nothing.is_empty());
    }
}

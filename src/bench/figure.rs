//! Figures, and how they are shown.

use serde::Serialize;

/// One measured number.
#[derive(Debug, Serialize)]
pub(crate) struct Figure {
    name: String,
    value: f64,
    unit: &'static str,
    #[serde(skip)]
    target: Option<Target>,
}

/// What a figure should be.
#[derive(Clone, Copy, Debug)]
enum Target {
    AtLeast(f64),
    AtMost(f64),
}

impl Figure {
    pub(crate) fn new(name: impl Into<String>, value: f64, unit: &'static str) -> Self {
        Self { name: name.into(), value, unit, target: None }
    }

    /// The same, which should not be below `target`.
    pub(crate) fn at_least(self, target: f64) -> Self {
        Self { target: Some(Target::AtLeast(target)), ..self }
    }

    /// The same, which should not be above `target`.
    pub(crate) fn at_most(self, target: f64) -> Self {
        Self { target: Some(Target::AtMost(target)), ..self }
    }

    /// The target in words, and whether it is reached.
    fn judgement(&self) -> String {
        match self.target {
            None => String::new(),
            Some(Target::AtLeast(target)) => {
                format!("at least {}: {}", number(target), yes_or_no(self.value >= target))
            }
            Some(Target::AtMost(target)) => {
                format!("at most {}: {}", number(target), yes_or_no(self.value <= target))
            }
        }
    }
}

/// All figures, shown as they come: in lines of a table, or of JSON.
#[derive(Debug)]
pub(crate) struct Report {
    json: bool,
    figures: Vec<Figure>,
}

impl Report {
    pub(crate) fn new(json: bool) -> Self {
        Self { json, figures: Vec::new() }
    }

    pub(crate) fn add(&mut self, figure: Figure) {
        if self.json {
            let line = serde_json::to_string(&figure).expect("a name, a number and a unit");
            println!("{line}");
        } else {
            let Figure { name, value, unit, .. } = &figure;
            let line = format!("{name:28} {:>12} {unit:22} {}", number(*value), figure.judgement());
            println!("{}", line.trim_end());
        }
        self.figures.push(figure);
    }

    /// Adds how many times `first` `last` is, which should not be more than `growth_max`, if both were
    /// measured.
    pub(crate) fn add_growth(&mut self, name: String, first: &str, last: &str, growth_max: f64) {
        if let (Some(first), Some(last)) = (self.value(first), self.value(last)) {
            self.add(Figure::new(name, last / first, "times").at_most(growth_max));
        }
    }

    /// The figure of this name, if it was measured.
    pub(crate) fn value(&self, name: &str) -> Option<f64> {
        self.figures.iter().find(|figure| figure.name == name).map(|figure| figure.value)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.figures.is_empty()
    }
}

fn yes_or_no(reached: bool) -> &'static str {
    if reached { "yes" } else { "NO" }
}

/// Three digits that mean something.
fn number(value: f64) -> String {
    match value {
        1e6.. => format!("{:.2} M", value / 1e6),
        1e4.. => format!("{:.1} k", value / 1e3),
        100.0.. => format!("{value:.0}"),
        10.0.. => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_says_whether_it_is_what_it_should_be() {
        let speed = |value| Figure::new("null.read.speed", value, "commands/s").at_least(3e6);
        assert_eq!(speed(3.2e6).judgement(), "at least 3.00 M: yes");
        assert_eq!(speed(2.9e6).judgement(), "at least 3.00 M: NO");
        assert_eq!(
            serde_json::to_string(&speed(3.0)).unwrap(),
            r#"{"name":"null.read.speed","value":3.0,"unit":"commands/s"}"#
        );
    }

    #[test]
    fn numbers_are_shown_as_long_as_they_are_worth() {
        let shown = [0.4321, 12.345, 1234.5, 43_210.0, 2_345_678.0].map(number);
        assert_eq!(shown, ["0.43", "12.3", "1234", "43.2 k", "2.35 M"]);
    }
}

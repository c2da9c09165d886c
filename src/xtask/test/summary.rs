//! The table at the end of a run: what each step came to, and how long it took.

use std::time::{Duration, Instant};

use anyhow::Result;

use crate::tally::Tally;

/// What each step came to.
#[derive(Default)]
pub(super) struct Summary {
    rows: Vec<Row>,
}

struct Row {
    name: &'static str,
    /// `None` for a step that could not be run for want of an earlier one.
    result: Option<(Tally, Duration)>,
}

impl Summary {
    pub(super) fn run(&mut self, name: &'static str, step: impl FnOnce() -> Result<Tally>) {
        println!("== {name}");
        let started = Instant::now();
        let result = step();
        self.add(name, result, started.elapsed());
    }

    pub(super) fn add(&mut self, name: &'static str, result: Result<Tally>, took: Duration) {
        let tally = result.unwrap_or_else(|error| {
            println!("{name}: {error:#}");
            Tally::one(false)
        });
        self.rows.push(Row { name, result: Some((tally, took)) });
    }

    pub(super) fn leave_out(&mut self, name: &'static str) {
        self.rows.push(Row { name, result: None });
    }

    /// The steps of another one come after those of this one.
    pub(super) fn append(&mut self, mut other: Self) {
        self.rows.append(&mut other.rows);
    }

    /// Prints the table and, alone on the last line, the sum.
    pub(super) fn print(&self) -> Tally {
        println!("\n{:12} {:>8}  result", "step", "seconds");
        let mut total = Tally::default();
        for row in &self.rows {
            match row.result {
                Some((tally, took)) => {
                    total += tally;
                    println!("{:12} {:8.1}  {tally}", row.name, took.as_secs_f64());
                }
                None => println!("{:12} {:>8}  not run", row.name, "-"),
            }
        }
        println!("\n{total}");
        total
    }
}

//! A plan as TOML: what [`Plan::parse`] reads back as the same plan.

use std::fmt::{self, Write as _};

use pulsefield_settings::Time;

use crate::{CommandSelector, Plan, Rule, Select, VmfsSelector, When, Where};

impl Plan {
    /// The plan as a file.
    pub fn to_toml(&self) -> String {
        let mut file = format!("seed = {}\n", self.seed);
        if let Some(lasting) = self.lasting {
            let _ = writeln!(file, "for = \"{}\"", Time::from(lasting));
        }
        if let Some(hits) = self.hits {
            let _ = writeln!(file, "at-most = {hits}");
        }
        for rule in &self.rules {
            let _ = write!(file, "\n[[rule]]\n{}", rule.to_toml());
        }
        file
    }
}

impl Rule {
    fn to_toml(&self) -> String {
        let Self { name, place, when, fault, verdict } = self;
        let mut lines = format!("name = {}\nfault = \"{}\"\n", text(name), fault.name());
        for (parameter, value) in fault.values() {
            let _ = writeln!(lines, "{parameter} = {}", value.toml());
        }
        for (key, table) in [("where", place.to_table()), ("when", when.to_table())] {
            if !table.0.is_empty() {
                let _ = writeln!(lines, "{key} = {{ {} }}", table.0.join(", "));
            }
        }
        let _ = writeln!(lines, "verdict = \"{}\"", verdict.name());
        lines
    }
}

/// The keys of an inline table.
#[derive(Default)]
struct Table(Vec<String>);

impl Table {
    fn add(&mut self, key: &str, value: impl fmt::Display) {
        self.0.push(format!("{key} = {value}"));
    }

    fn add_all<T: fmt::Display>(&mut self, key: &str, values: impl Iterator<Item = T>) {
        let values: Vec<_> = values.map(|value| value.to_string()).collect();
        match &values[..] {
            [] => {}
            [value] => self.add(key, value),
            values => self.add(key, format_args!("[{}]", values.join(", "))),
        }
    }
}

impl Where {
    fn to_table(&self) -> Table {
        let mut table = Table::default();
        table.add_all("lun", self.luns.iter().map(|pattern| text(pattern.as_str())));
        if let Some(lane) = self.lane {
            table.add("lane", text(lane.name()));
        }
        table.add_all(
            "command",
            self.commands.iter().map(|selector| match selector {
                CommandSelector::Family(family) => text(family.name()),
                CommandSelector::Opcode(opcode) => format!("{opcode:#04x}"),
            }),
        );
        table.add_all("lba", self.blocks.iter().map(|range| text(&range.to_string())));
        let Some(vmfs) = self.vmfs else {
            return table;
        };
        let (object, host) = match vmfs {
            VmfsSelector::Any { host } => ("any", host),
            VmfsSelector::Heartbeat { host, .. } => ("heartbeat", host),
            VmfsSelector::Lock { host, .. } => ("lock", host),
        };
        table.add("vmfs", text(object));
        match vmfs {
            VmfsSelector::Any { .. } => {}
            VmfsSelector::Heartbeat { slot, .. } => table.add_all("slot", slot.iter()),
            VmfsSelector::Lock { address, mode, .. } => {
                table.add_all("lock", address.iter());
                table.add_all("mode", mode.iter().map(|mode| text(mode.name())));
            }
        }
        table.add_all("host", host.iter().map(|host| text(&host.to_string())));
        table
    }
}

impl When {
    fn to_table(&self) -> Table {
        let mut table = Table::default();
        match &self.select {
            Select::All => {}
            Select::Nth(nth) => table.add("nth", nth),
            Select::Every(every) => table.add("every", every),
            Select::Chance(chance) => table.add("chance", text(&chance.words())),
            Select::Commands(numbers) => {
                table.add("commands", format_args!("{numbers:?}"));
            }
        }
        if self.burst.get() > 1 {
            table.add("burst", self.burst);
        }
        if !self.after.is_zero() {
            table.add("after", text(&Time::from(self.after).to_string()));
        }
        table.add_all("for", self.lasting.iter().map(|time| text(&Time::from(*time).to_string())));
        table
            .add_all("period", self.period.iter().map(|time| text(&Time::from(*time).to_string())));
        table.add_all("at-most", self.at_most.iter());
        if self.in_flight > 0 {
            table.add("in-flight", self.in_flight);
        }
        table
    }
}

/// A TOML string.
fn text(text: &str) -> String {
    let mut quoted = String::from('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if c.is_control() => {
                let _ = write!(quoted, "\\u{:04x}", u32::from(c));
            }
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

//! What is read rather than seen: tables and lists.

use std::fmt::Display;

use pulsefield_units::{Micros, Size};

use super::sections::EXPLAINED_AT_ONCE;
use super::{causes, latency};
use crate::markup::{Escaped, Prose};
use crate::run::{
    Cause, Emulation, Explanation, Host, Outcomes, Promise, Pulses, Run, Standing, View,
};
use crate::series::Spread;
use crate::words::{Count, date, figure, lasting, when};

/// Breaches of a promise that are listed; the document has more.
const BREACHES_SHOWN: usize = 10;

/// A table that is being written, cell by cell.
struct Table(String);

impl Table {
    /// With these columns; those that begin with `#` are of numbers.
    fn new(columns: &[&str]) -> Self {
        let mut html = String::from("<div class=\"scroll\"><table>\n<thead><tr>");
        for column in columns {
            match column.strip_prefix('#') {
                Some(name) => html += &format!("<th class=\"n\" scope=\"col\">{name}</th>"),
                None => html += &format!("<th scope=\"col\">{column}</th>"),
            }
        }
        html += "</tr></thead>\n<tbody>\n";
        Self(html)
    }

    fn row(&mut self) {
        self.0 += "<tr>";
    }

    fn text(&mut self, text: &str) {
        self.html(Escaped(text));
    }

    fn number(&mut self, number: impl Display) {
        self.0 += &format!("<td class=\"n\">{number}</td>");
    }

    fn html(&mut self, html: impl Display) {
        self.0 += &format!("<td>{html}</td>");
    }

    fn end_row(&mut self) {
        self.0 += "</tr>\n";
    }

    fn finish(self) -> String {
        self.0 + "</tbody></table></div>\n"
    }
}

/// A word about how something stands, with a sign: it does not depend on colours.
fn state(class: &str, words: &str) -> String {
    let sign = match class {
        "held" | "met" => "✓",
        "broken" | "unmet" => "✗",
        "declared" => "!",
        _ => "–",
    };
    format!("<span class=\"state {class}\">{sign} {words}</span>")
}

/// Each promise, and what broke it.
pub(super) fn promises(run: &Run) -> String {
    if run.promises.is_empty() {
        return "<p>Nothing was checked.</p>\n".to_owned();
    }
    let mut table = Table::new(&["Promise", "", "Verdict", "#Looked at", "#Broken"]);
    for promise in &run.promises {
        let Promise { name, says, standing, note, checked, figures, breaches_total, .. } = promise;
        let detail = !promise.breaches.is_empty();
        table.0 += if detail { "<tr class=\"has-detail\">" } else { "<tr>" };
        table.html(format_args!("<code>{}</code>", Escaped(name)));
        let figures = figures.iter().map(|(name, value)| figure(name, *value));
        let figures = figures.collect::<Vec<_>>().join(", ");
        let note = note
            .as_ref()
            .map_or_else(String::new, |note| format!("<br><small>{}</small>", Escaped(note)));
        let says = Escaped(says);
        table.html(format_args!("{says} <small>{}</small>{note}", Escaped(&figures)));
        table.html(match standing {
            // What a plan of faults declares must be so.
            Standing::Broken if run.judgement.passed => state("declared", "broken, as declared"),
            Standing::Held => state("held", standing.name()),
            Standing::Broken => state("broken", standing.name()),
            Standing::Unchecked => state("unchecked", standing.name()),
        });
        table.number(Count(*checked));
        table.number(Count(*breaches_total));
        table.end_row();
        if detail {
            table.0 += &breaches(promise, run.setup.units.len() > 1);
        }
    }
    table.finish()
}

fn breaches(promise: &Promise, several_units: bool) -> String {
    let mut row = String::from("<tr class=\"detail\"><td></td><td colspan=\"4\"><ul>");
    for breach in promise.breaches.iter().take(BREACHES_SHOWN) {
        let hosts = Escaped(&breach.hosts.join(", ")).to_string();
        let unit = breach.unit.as_ref().filter(|_| several_units);
        let unit = unit.map_or_else(String::new, |unit| format!(" on {unit}"));
        row += &format!(
            "<li>{} {hosts}{}: {}</li>",
            when(breach.at_ms),
            Escaped(&unit),
            Escaped(&breach.what)
        );
    }
    let shown = promise.breaches.len().min(BREACHES_SHOWN) as u64;
    if promise.breaches_total > shown {
        row += &format!("<li>and {} more</li>", Count(promise.breaches_total - shown));
    }
    row + "</ul></td></tr>\n"
}

/// What rules declare, and what was seen.
pub(super) fn expectations(run: &Run) -> String {
    let mut table = Table::new(&["Rule", "Fault", "Expected", "Seen", ""]);
    for expectation in &run.expectations {
        table.row();
        table.text(&expectation.rule);
        table.html(format_args!("<code>{}</code>", Escaped(&expectation.fault)));
        table.text(&expectation.expected);
        table.text(&expectation.seen);
        table.html(if expectation.met {
            state("met", "as declared")
        } else {
            state("unmet", "not as declared")
        });
        table.end_row();
    }
    table.finish()
}

/// What was armed when.
pub(super) fn faults(run: &Run) -> String {
    if run.faults.is_empty() {
        return String::new();
    }
    let mut table = Table::new(&["Rule", "Fault", "What it does", "#Armed", "#Disarmed", "#Hits"]);
    for fault in &run.faults {
        table.row();
        table.text(&fault.rule);
        table.html(format_args!("<code>{}</code>", Escaped(&fault.fault)));
        table.html(Prose(&fault.sentence));
        table.number(when(fault.from_ms));
        match fault.until_ms {
            Some(until) => table.number(when(until)),
            None => table.number("–"),
        }
        table.number(Count(fault.hits));
        table.end_row();
    }
    table.finish()
}

/// What happened besides.
pub(super) fn incidents(run: &Run) -> String {
    if run.incidents.is_empty() {
        return String::new();
    }
    let mut table = Table::new(&["#At", "Host", "What happened"]);
    for incident in &run.incidents {
        table.row();
        table.number(when(incident.at_ms));
        table.text(incident.host.as_deref().unwrap_or("–"));
        table.text(&incident.what);
        table.end_row();
    }
    let more = run.incidents_total.saturating_sub(run.incidents.len() as u64);
    let more = match more {
        0 => String::new(),
        more => format!("<p class=\"soft\">And {} more.</p>\n", Count(more)),
    };
    table.finish() + &more
}

/// Each cause, its colour, and what to do.
pub(super) fn causes(run: &Run) -> String {
    let mut table = Table::new(&["Cause", "#Miscompares", "Explained", "What to do"]);
    for (nth, cause) in run.causes.iter().enumerate() {
        let name = Escaped(&cause.name).to_string();
        let name = match cause.explanations.is_empty() {
            true => name,
            false => format!("<a href=\"#cause-{nth}\">{name}</a>"),
        };
        table.row();
        let seen = match cause.view {
            View::Record => "",
            View::Host => "<br><small>as hosts saw it</small>",
        };
        table.0 += &format!(
            "<td class=\"nowrap\"><span class=\"key swatch {}\"></span>{name}{seen}</td>",
            causes::colour(nth)
        );
        table.number(Count(cause.total));
        table.html(explained(nth, cause));
        table.html(Prose(&cause.advice));
        table.end_row();
    }
    table.finish()
}

/// Links to the explanations of the n-th cause: to each that is seen at once, and to all of them.
fn explained(nth: usize, cause: &Cause) -> String {
    let (first, others) =
        cause.explanations.split_at(cause.explanations.len().min(EXPLAINED_AT_ONCE));
    let link =
        |it: &Explanation| format!("<a href=\"#miscompare-{}\">{}</a>", it.id, when(it.at_ms));
    let mut links: Vec<String> = first.iter().map(link).collect();
    if !others.is_empty() {
        links.push(format!("<a href=\"#cause-{nth}\">{} more</a>", others.len()));
    }
    links.join(", ")
}

/// What became of orders.
pub(super) fn orders(run: &Run) -> String {
    let mut table =
        Table::new(&["Order", "Outcomes", "#Half within", "#99&nbsp;% within", "#Longest"]);
    for orders in &run.orders {
        let outcomes: Vec<String> = orders
            .outcomes
            .iter()
            .map(|(name, count)| format!("{} {name}", Count(*count)))
            .collect();
        table.row();
        table.text(&orders.kind);
        table.text(&outcomes.join(", "));
        spread(&mut table, orders.took);
        table.end_row();
    }
    table.finish()
}

/// What became of commands.
pub(super) fn commands(run: &Run) -> String {
    let columns = [
        "Command",
        "#Done",
        "#Miscompared",
        "#Refused",
        "#Unknown",
        "#Half within",
        "#99&nbsp;% within",
        "#Longest",
    ];
    let mut table = Table::new(&columns);
    for commands in &run.commands {
        let Outcomes { done, miscompared, refused, unknown } = commands.outcomes;
        table.row();
        table.text(&commands.kind);
        for count in [done, miscompared, refused, unknown] {
            table.number(Count(count));
        }
        spread(&mut table, commands.took);
        table.end_row();
    }
    table.finish()
}

fn spread(table: &mut Table, spread: Option<Spread>) {
    match spread {
        None => (0..3).for_each(|_| table.number("–")),
        Some(Spread { p50_us, p99_us, max_us, .. }) => {
            [p50_us, p99_us, max_us].into_iter().for_each(|us| table.number(Micros(us)));
        }
    }
}

/// Each host: how it reaches units, and how its heartbeats went.
pub(super) fn hosts(run: &Run) -> String {
    if run.setup.hosts.is_empty() {
        return String::new();
    }
    let columns = [
        "Host",
        "Reaches units by",
        "#Pulses",
        "#Failed",
        "Longest of each moment",
        "#Half within",
        "#99&nbsp;% within",
        "#Longest",
    ];
    let mut table = Table::new(&columns);
    let none = Pulses::default();
    for (nth, host) in run.setup.hosts.iter().enumerate() {
        let pulses = run.pulses.get(nth).unwrap_or(&none);
        table.row();
        let uuid = Escaped(&host.uuid);
        let modes = host.modes.join(", ");
        table.0 += &format!(
            "<td class=\"host\"><b>{}</b> <small>{}<br><code>{uuid}</code></small></td>",
            Escaped(&host.name),
            Escaped(&modes)
        );
        table.text(&paths(run, host));
        table.number(Count(pulses.alive));
        match pulses.failed {
            0 => table.number("0"),
            failed => table.number(format_args!("<span class=\"is-bad\">{}</span>", Count(failed))),
        }
        table.html(latency::spark(run, pulses));
        spread(&mut table, pulses.took.all);
        table.end_row();
    }
    table.finish()
}

/// By which ways a host reaches units; which unit, only if there are several.
fn paths(run: &Run, host: &Host) -> String {
    let one = run.setup.units.len() <= 1;
    let path = |path: &crate::Path| {
        let unit = run.setup.units.iter().find(|unit| unit.id == path.unit && !one);
        let unit = unit.map_or_else(String::new, |unit| format!("{}: ", unit.name));
        match path.device.as_str() {
            "" => format!("{unit}{}", path.transport),
            device => format!("{unit}{}, {device}", path.transport),
        }
    };
    host.paths.iter().map(path).collect::<Vec<_>>().join("; ")
}

/// What it ran on.
pub(super) fn environment(run: &Run) -> String {
    let setup = &run.setup;
    let hosts = match setup.emulation {
        Emulation::Devices => "emulated, on devices of this machine",
        Emulation::Embedded => "emulated, on logical units within the process",
        Emulation::Virtual => "emulated, on logical units within the process, in virtual time",
        Emulation::Watched => "real ones, watched from the target",
    };
    let environment = &setup.environment;
    let mut facts = vec![
        ("Program", format!("pulsefield {}", setup.version)),
        ("Began", date(setup.began_unix_ms)),
        ("Lasted", lasting(run.lasted_ms)),
        ("Hosts", format!("{}, {hosts}", Count(setup.hosts.len() as u64))),
        ("Machine", environment.machine.clone()),
        ("Kernel", environment.kernel.clone()),
    ];
    if !environment.cpu.is_empty() {
        facts.push(("Processors", format!("{} × {}", environment.cpus, environment.cpu)));
    }
    if environment.memory_bytes > 0 {
        facts.push(("Memory", Size(environment.memory_bytes).to_string()));
    }
    for unit in &setup.units {
        let size = Size(unit.bytes);
        let fact = format!(
            "{} ({}), {size}, blocks of {} bytes",
            unit.name, unit.product, unit.block_bytes
        );
        facts.push(("Logical unit", fact));
    }
    let mut list = String::from("<dl class=\"facts\">\n");
    for (name, value) in facts.iter().filter(|(_, value)| !value.is_empty()) {
        list += &format!("<dt>{name}</dt><dd>{}</dd>\n", Escaped(value));
    }
    list + "</dl>\n"
}

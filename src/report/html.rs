//! A run as a page: one file that needs nothing but itself, no network and no script.
//!
//! What matters comes first: the verdict and why, the promises one by one, then what was seen over time,
//! then the details that somebody wants who has to act on it. Colours follow the reader's, and paper is white.

mod causes;
mod commands;
mod latency;
mod plot;
mod regularity;
mod scale;
mod sections;
mod tables;

use pulsefield_units::Micros;

use crate::markup::{Escaped, Prose};
use crate::run::{Emulation, End, Run, Standing};
use crate::words::{Count, date, many};
use sections::{Section, sections};

/// The page.
pub fn page(run: &Run) -> String {
    let sections = sections(run);
    let mut page = String::new();
    page += "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n";
    page += "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n";
    page += "<meta name=\"color-scheme\" content=\"light dark\">\n";
    page += &format!(
        "<title>{}: {}, Pulsefield soak</title>\n",
        run.judgement.word(),
        Escaped(&run.headline())
    );
    page += &format!("<style>\n{}</style>\n</head>\n<body>\n", include_str!("html/style.css"));
    page += &header(run, &sections);
    page += "<main>\n";
    for Section { id, title, body } in &sections {
        page += &format!("<section id=\"{id}\">\n<h2>{title}</h2>\n{body}</section>\n");
    }
    page += "</main>\n";
    page += &format!(
        "<footer>Written by pulsefield {} from a run that began on {}.</footer>\n</body>\n</html>\n",
        Escaped(&run.setup.version),
        date(run.setup.began_unix_ms)
    );
    page
}

fn header(run: &Run, sections: &[Section]) -> String {
    let mut header =
        String::from("<header>\n<p class=\"brand\"><b>Pulsefield</b> soak report</p>\n");
    header += &format!("<h1>{}</h1>\n", Escaped(&run.headline()));
    header += &format!("<p class=\"soft\">{}</p>\n", Escaped(&began(run)));
    let class = if run.judgement.passed { "pass" } else { "fail" };
    header +=
        &format!("<div class=\"verdict {class}\"><strong>{}</strong><ul>", run.judgement.word());
    for reason in &run.judgement.reasons {
        header += &format!("<li>{}</li>", Prose(reason));
    }
    header += "</ul></div>\n";
    match &run.end {
        End::Planned => {}
        End::Interrupted => {
            header += "<p class=\"note\">It was interrupted before its time was over: what is said here is of \
                       what there was.</p>\n";
        }
        End::Broken { why } => {
            header += &format!(
                "<p class=\"note\">It ended before its time was over: {}.</p>\n",
                Escaped(why)
            );
        }
    }
    header += &numbers(run);
    header += "<nav aria-label=\"Sections\">";
    for Section { id, title, .. } in sections {
        header += &format!("<a href=\"#{id}\">{title}</a>");
    }
    header += "</nav>\n</header>\n";
    header
}

fn began(run: &Run) -> String {
    let machine = &run.setup.environment.machine;
    let on = if machine.is_empty() { String::new() } else { format!(" on {machine}") };
    let seed = match run.setup.emulation {
        Emulation::Watched => String::new(),
        Emulation::Devices | Emulation::Embedded | Emulation::Virtual => {
            format!(", seed {}", run.setup.seed)
        }
    };
    format!("{}{on}{seed}", date(run.setup.began_unix_ms))
}

/// The figures that are asked for first.
fn numbers(run: &Run) -> String {
    let checked = run.promises.iter().filter(|it| it.standing != Standing::Unchecked).count();
    let held = run.promises.iter().filter(|it| it.standing == Standing::Held).count();
    let mut numbers = vec![("Promises held", format!("{held} of {checked}"), String::new())];
    if let Some(all) = run.heartbeats.all {
        numbers.push((
            "Heartbeats",
            Count(all.count).to_string(),
            format!("99\u{a0}% ≤ {}", Micros(all.p99_us)),
        ));
        numbers.push((
            "Longest heartbeat",
            Micros(all.max_us).to_string(),
            format!("half ≤ {}", Micros(all.p50_us)),
        ));
    }
    if let Some(all) = run.handovers.all {
        let note = format!("half ≤ {}", Micros(all.p50_us));
        numbers.push(("Locks handed over", Count(all.count).to_string(), note));
    }
    let commands = run.commands.iter().flat_map(|commands| &commands.over_time.buckets);
    let commands = commands.fold(0_u64, |sum, traffic| sum.saturating_add(traffic.commands));
    numbers.push(("Commands", Count(commands).to_string(), String::new()));
    let miscompares = run.causes.iter().fold(0_u64, |sum, cause| sum.saturating_add(cause.total));
    let of = many(run.causes.len() as u64, "cause");
    numbers.push(("Miscompares", Count(miscompares).to_string(), of));
    if !run.faults.is_empty() {
        let hits = run.faults.iter().fold(0_u64, |sum, fault| sum.saturating_add(fault.hits));
        let rules = many(run.faults.len() as u64, "rule");
        numbers.push(("Hits of faults", Count(hits).to_string(), rules));
    }
    let mut list = String::from("<dl class=\"numbers\">\n");
    for (name, value, note) in numbers {
        let note = if note.is_empty() { "&nbsp;".to_owned() } else { Escaped(&note).to_string() };
        list += &format!("<div><dt>{name}</dt><dd>{value}<small>{note}</small></dd></div>\n");
    }
    list += "</dl>\n";
    list
}

#[cfg(test)]
mod tests;

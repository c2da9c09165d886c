//! The sections of the page, in their order. One that has nothing to show is not there.

use super::{causes, commands, latency, regularity, tables};
use crate::markup::{Escaped, Prose};
use crate::run::{Cause, Emulation, Evidence, Explanation, Run};
use crate::words::{Count, lasting, when};

/// Explanations of a cause that are seen at once; the others are unfolded.
pub(super) const EXPLAINED_AT_ONCE: usize = 3;

/// A part of the page with a heading.
pub(super) struct Section {
    pub(super) id: &'static str,
    pub(super) title: &'static str,
    /// HTML.
    pub(super) body: String,
}

pub(super) fn sections(run: &Run) -> Vec<Section> {
    let all = [
        ("promises", "Promises", promises(run)),
        ("heartbeats", "Heartbeat latency", heartbeats(run)),
        ("regularity", "Regularity of pulses", regularity(run)),
        ("locks", "Locks", locks(run)),
        ("commands", "Throughput", throughput(run)),
        ("miscompares", "Miscompares by cause", miscompares(run)),
        ("explanations", "Miscompares explained", explanations(run)),
        ("faults", "Faults", tables::faults(run)),
        ("incidents", "Incidents", tables::incidents(run)),
        ("hosts", "Hosts", tables::hosts(run)),
        ("environment", "Environment", tables::environment(run)),
        ("repeat", "To repeat it", repeat(run)),
    ];
    let there = all.into_iter().filter(|(.., body)| !body.is_empty());
    there.map(|(id, title, body)| Section { id, title, body }).collect()
}

fn figure(svg: &str, legend: &str) -> String {
    if svg.is_empty() {
        return String::new();
    }
    let caption = match legend {
        "" => String::new(),
        legend => format!("<figcaption>{legend}</figcaption>"),
    };
    format!("<figure><div class=\"scroll\">\n{svg}</div>{caption}</figure>\n")
}

fn promises(run: &Run) -> String {
    let mut body = tables::promises(run);
    if !run.expectations.is_empty() {
        body += "<h3>What the plan of faults declares</h3>\n";
        body += &tables::expectations(run);
    }
    body
}

fn heartbeats(run: &Run) -> String {
    if run.heartbeats.all.is_none() {
        return String::new();
    }
    let says = latency::describe(&run.heartbeats);
    let figure = figure(&latency::heartbeats(run), latency::LEGEND);
    format!("<p>All hosts together. {says}</p>\n{figure}")
}

fn regularity(run: &Run) -> String {
    let figure = figure(&regularity::figure(run), "");
    match figure.as_str() {
        "" => String::new(),
        figure => format!(
            "<p>The time from each heartbeat to the host's next one. Hosts pulse every 3 seconds: 6 seconds \
             are a pulse that was missed, and after 16 others may take the host's locks. On the right, how \
             many were no more than a tenth of a second off.</p>\n{figure}"
        ),
    }
}

fn locks(run: &Run) -> String {
    let mut body = String::new();
    if run.handovers.all.is_some() {
        body += &format!(
            "<p>From when a host let go of a lock to when another one had it. {}</p>\n",
            latency::describe(&run.handovers)
        );
        body += &figure(&latency::handovers(run), latency::LEGEND);
    }
    if !run.orders.is_empty() {
        body += "<h3>What hosts were told to do</h3>\n";
        body += &tables::orders(run);
    }
    body
}

fn throughput(run: &Run) -> String {
    if run.commands.is_empty() {
        return String::new();
    }
    let mut body = String::from("<div class=\"small\">\n");
    for (nth, commands) in run.commands.iter().enumerate() {
        body += &format!(
            "<figure><figcaption><b>{}</b> <span>{}</span></figcaption>\n{}</figure>\n",
            Escaped(&commands.kind),
            commands::summary(run, commands),
            commands::figure(run, nth, commands)
        );
    }
    body += "</div>\n";
    body += &tables::commands(run);
    body
}

fn miscompares(run: &Run) -> String {
    if run.causes.is_empty() {
        return String::new();
    }
    let each = lasting(run.causes[0].over_time.bucket_ms);
    let legend = format!(
        "How many in each {each}, by cause; while faults were armed, the ground is shaded."
    );
    evidence(&run.setup.evidence) + &figure(&causes::figure(run), &legend) + &tables::causes(run)
}

/// How causes are known.
fn evidence(evidence: &Evidence) -> String {
    match evidence {
        Evidence::Record { of } => format!(
            "<p>Explained by what the unit <code>{}</code> has recorded: what was found, and who had written \
             that. What no record explains is as its host saw it.</p>\n",
            Escaped(of)
        ),
        Evidence::Hosts { why } => {
            let why = if why.is_empty() { String::new() } else { format!(": {}", Prose(why)) };
            format!(
                "<p>No record of the unit explains them{why}. These are causes as hosts saw them, who know what \
                 they expected, and not who wrote what was there.</p>\n"
            )
        }
    }
}

fn explanations(run: &Run) -> String {
    let explained =
        run.causes.iter().enumerate().filter(|(_, cause)| !cause.explanations.is_empty());
    explained.map(|(nth, cause)| of_cause(nth, cause)).collect()
}

fn of_cause(nth: usize, cause: &Cause) -> String {
    let mut body = format!("<h3 id=\"cause-{nth}\">{}</h3>\n", Escaped(&cause.name));
    let kept = cause.explanations.len();
    if (kept as u64) < cause.total {
        body += &format!("<p class=\"soft\">The first {kept} of {}.</p>\n", Count(cause.total));
    }
    let (first, others) = cause.explanations.split_at(kept.min(EXPLAINED_AT_ONCE));
    first.iter().for_each(|it| body += &explanation(it));
    if !others.is_empty() {
        body += &format!("<details><summary>{} more</summary>\n", others.len());
        others.iter().for_each(|it| body += &explanation(it));
        body += "</details>\n";
    }
    body
}

fn explanation(explanation: &Explanation) -> String {
    let Explanation { id, at_ms, host, about, text } = explanation;
    let host = host.as_ref().map_or_else(String::new, |host| format!("{host}: "));
    format!(
        "<div class=\"explanation\" id=\"miscompare-{id}\"><p><b>{}</b> {}{}</p><pre>{}</pre></div>\n",
        when(*at_ms),
        Escaped(&host),
        Escaped(about),
        Escaped(text)
    )
}

fn repeat(run: &Run) -> String {
    let says = match run.setup.emulation {
        Emulation::Virtual => "The same seed gives the same run, to the last byte.",
        Emulation::Devices | Emulation::Embedded => {
            "The same seed asks for the same work in the same order; how long it takes is the devices' matter."
        }
        Emulation::Watched => {
            "What others ask for cannot be repeated; their unit can be watched again."
        }
    };
    format!(
        "<pre class=\"command\">{}</pre>\n<p class=\"soft\">{says}</p>\n",
        Escaped(&run.setup.command)
    )
}

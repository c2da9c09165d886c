//! The table against the rules of Prometheus, and what is shipped to look at it against the table.

use std::collections::BTreeSet;
use std::path::Path;

use super::*;

/// What a query asks for: metrics, and names of labels.
#[derive(Debug, Default)]
struct Query {
    metrics: BTreeSet<String>,
    labels: BTreeSet<String>,
}

/// Words of PromQL that stand before a list of labels.
const BEFORE_LABELS: &[&str] = &["by", "without", "on", "ignoring", "group_left", "group_right"];

/// Words of PromQL that stand between two expressions.
const OPERATORS: &[&str] = &["and", "or", "unless", "bool", "offset"];

/// Labels that Prometheus puts there itself, and the one of histograms.
const GIVEN: &[&str] = &["job", "instance", "le"];

impl Query {
    /// Reads an expression of PromQL: not whether it is one, but what it names.
    fn of(expression: &str) -> Self {
        let mut query = Self::default();
        let mut rest = expression.trim_start();
        // Whether names are those of labels: between braces, or after one of the words.
        let mut in_labels = false;
        while let Some(first) = rest.chars().next() {
            if first.is_ascii_alphabetic() || first == '_' {
                let word = word_of(rest);
                rest = rest[word.len()..].trim_start();
                // What stands before an argument, or before a list of labels that comes first.
                let is_function = rest.starts_with('(') || BEFORE_LABELS.contains(&word_of(rest));
                if in_labels {
                    query.labels.insert(word.to_owned());
                } else if BEFORE_LABELS.contains(&word) {
                    in_labels = true;
                } else if !is_function && !OPERATORS.contains(&word) {
                    query.metrics.insert(word.to_owned());
                }
                continue;
            }
            let taken = match first {
                '"' => rest[1..].find('"').expect("a string ends") + 2,
                '[' => rest.find(']').expect("a range ends") + 1,
                // A number, and the unit of a duration.
                '0'..='9' => rest.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(rest.len()),
                _ => first.len_utf8(),
            };
            match first {
                '{' => in_labels = true,
                '}' | ')' => in_labels = false,
                _ => {}
            }
            rest = rest[taken..].trim_start();
        }
        query
    }

    /// What it names and nobody tells.
    fn unknown(&self) -> Vec<&str> {
        let mut unknown = Vec::new();
        let mut labels: BTreeSet<&str> = GIVEN.iter().copied().collect();
        for name in &self.metrics {
            match ALL.iter().find(|metric| names_of(metric).contains(name)) {
                Some(metric) => labels.extend(metric.labels),
                // Prometheus's own.
                None if name == "up" => {}
                None => unknown.push(name.as_str()),
            }
        }
        unknown
            .extend(self.labels.iter().map(String::as_str).filter(|label| !labels.contains(label)));
        unknown
    }
}

fn word_of(text: &str) -> &str {
    let end = text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(text.len());
    &text[..end]
}

/// What the lines of a metric are called.
fn names_of(metric: &Metric) -> Vec<String> {
    match metric.kind {
        Kind::Counter | Kind::Gauge => vec![metric.name.to_owned()],
        Kind::Histogram => {
            ["_bucket", "_sum", "_count"].map(|suffix| format!("{}{suffix}", metric.name)).into()
        }
    }
}

fn read(file: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../monitoring");
    std::fs::read_to_string(folder.join(file)).unwrap()
}

#[test]
fn names_are_as_prometheus_wants_them() {
    let mut seen = BTreeSet::new();
    for Metric { name, kind, help, labels } in ALL {
        assert!(seen.insert(name), "{name} twice");
        assert!(name.starts_with("pulsefield_") || name.starts_with("process_"), "{name}");
        assert!(name.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'_')), "{name}");
        assert_eq!(name.ends_with("_total"), *kind == Kind::Counter, "{name}");
        for suffix in ["_count", "_sum", "_bucket"] {
            assert!(!name.ends_with(suffix), "{name} is like a line of a histogram");
        }
        let is_unit = |word| ["ms", "us", "ns", "minutes", "percent", "kb", "mb"].contains(&word);
        assert!(!name.split('_').any(is_unit), "{name} is not in a base unit");
        assert!(help.ends_with('.') && !help.contains('\n'), "help of {name}");
        for label in *labels {
            assert!(!GIVEN.contains(label) && !label.starts_with("__"), "{label} of {name}");
            assert!(
                label.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'_')),
                "{label} of {name}"
            );
        }
    }
}

#[test]
fn what_a_query_names_is_found() {
    let query = Query::of(
        "sum by (lun, le) (rate(pulsefield_x_bucket{lane=\"heart}beat\", lun=~\"$lun\"}[5m])) \
         > 1.5e3 and on (lun) up == 0 unless max_over_time(y[1h] offset 5m)",
    );
    let of = |set: &BTreeSet<String>| set.iter().cloned().collect::<Vec<_>>().join(" ");
    assert_eq!(of(&query.metrics), "pulsefield_x_bucket up y");
    assert_eq!(of(&query.labels), "lane le lun");
    assert_eq!(query.unknown(), ["pulsefield_x_bucket", "y", "lane", "lun"]);
}

#[test]
fn every_alert_names_metrics_that_are_told() {
    let rules = read("alerts.yaml");
    let expressions: Vec<&str> =
        rules.lines().filter_map(|line| line.trim_start().strip_prefix("expr: ")).collect();
    let alerts = rules.lines().filter(|line| line.trim_start().starts_with("- alert: ")).count();
    assert_eq!((expressions.len(), alerts > 0), (alerts, true), "an expression is a line");
    for expression in expressions {
        let query = Query::of(expression);
        assert!(!query.metrics.is_empty() && query.unknown().is_empty(), "{expression}: {query:?}");
    }
    // What the texts say of labels is there too.
    for text in rules.split("$labels.").skip(1) {
        let label = word_of(text);
        assert!(
            ALL.iter().any(|metric| metric.labels.contains(&label)) || GIVEN.contains(&label),
            "{label}"
        );
    }
}

#[test]
fn every_query_of_the_dashboard_names_metrics_that_are_told() {
    let dashboard: serde_json::Value = serde_json::from_str(&read("dashboard.json")).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let mut queries = 0;
    for panel in panels {
        let title = panel["title"].as_str().unwrap();
        for target in panel["targets"].as_array().into_iter().flatten() {
            let expression = target["expr"].as_str().unwrap();
            let query = Query::of(expression);
            assert!(
                !query.metrics.is_empty() && query.unknown().is_empty(),
                "{title}: {expression}: {query:?}"
            );
            let legend = target["legendFormat"].as_str().unwrap();
            for text in legend.split("{{").skip(1) {
                let label = word_of(text);
                let known = query.metrics.iter().any(|name| {
                    ALL.iter().any(|metric| {
                        names_of(metric).contains(name) && metric.labels.contains(&label)
                    })
                });
                assert!(known || GIVEN.contains(&label), "{title}: legend {legend}");
            }
            queries += 1;
        }
    }
    assert!(queries > 20, "{queries} queries of {} panels", panels.len());
    for variable in dashboard["templating"]["list"].as_array().unwrap() {
        let Some(query) = variable["definition"].as_str() else { continue };
        let inside = query.strip_prefix("label_values(").unwrap().strip_suffix(')').unwrap();
        let (metric, label) = inside.split_once(", ").unwrap();
        let metric = ALL.iter().find(|known| known.name == metric).unwrap();
        assert!(metric.labels.contains(&label) || GIVEN.contains(&label), "{query}");
    }
}

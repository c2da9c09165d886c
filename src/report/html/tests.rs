//! The page as a whole.

use super::*;
use crate::json;
use crate::run::Evidence;
use crate::testing;

/// Every element that is opened is closed, in order; what is found besides is told.
fn objections(page: &str) -> Vec<String> {
    const EMPTY: [&str; 3] = ["!doctype", "meta", "br"];
    let mut open: Vec<&str> = Vec::new();
    let mut objections = Vec::new();
    for (at, _) in page.match_indices('<') {
        let tag = &page[at + 1..];
        let tag = &tag[..tag.find('>').unwrap()];
        let name = tag.split([' ', '\n', '/']).find(|word| !word.is_empty()).unwrap();
        if tag.starts_with('/') {
            if open.pop() != Some(name) {
                objections.push(format!("</{name}> closes nothing at {at}"));
            }
        } else if !tag.ends_with('/') && !EMPTY.contains(&name) {
            open.push(name);
        }
    }
    objections.extend(open.iter().map(|name| format!("<{name}> is not closed")));
    objections
}

#[test]
fn the_page_is_whole_and_needs_nothing_else() {
    for run in [testing::with_faults(), testing::failed(), testing::empty()] {
        let page = page(&run);
        assert_eq!(objections(&page), [""; 0]);
        for foreign in ["http:", "https:", "src=", "@import", "url(", "<script", "NaN", "inf\""] {
            assert!(!page.contains(foreign), "{foreign}");
        }
        let ids =
            page.match_indices(" id=\"").map(|(at, _)| page[at + 5..].split('"').next().unwrap());
        let mut ids: Vec<&str> = ids.collect();
        ids.sort_unstable();
        assert!(ids.windows(2).all(|pair| pair[0] != pair[1]), "{ids:?}");
        for (at, _) in page.match_indices("href=\"#") {
            let to = page[at + 7..].split('"').next().unwrap();
            assert!(ids.contains(&to), "{to}");
        }
    }
}

#[test]
fn the_verdict_comes_first() {
    let passed = page(&testing::with_faults());
    assert!(passed.contains("<title>PASS: 16 hosts, mix mixed, 10 min, plan slow-array.toml"));
    assert!(passed.contains("! broken, as declared"));
    let failed = page(&testing::failed());
    assert!(failed.contains("<div class=\"verdict fail\"><strong>FAIL</strong>"));
    assert!(failed.contains("✗ broken") && failed.contains("✗ not as declared"));
    let empty = page(&testing::empty());
    assert!(empty.contains("ended before its time was over: the device is gone."));
    assert!(!empty.contains("id=\"heartbeats\""));
}

#[test]
fn miscompares_are_linked_to_what_explains_them() {
    let run = testing::with_faults();
    let shown = page(&run);
    for cause in &run.causes {
        for explanation in cause.explanations.iter().take(3) {
            let id = format!("miscompare-{}", explanation.id);
            assert!(shown.contains(&format!("<a href=\"#{id}\">")), "{id}");
            assert!(shown.contains(&format!("id=\"{id}\"")), "{id}");
        }
    }
    assert!(shown.contains("what the unit <code>ds1</code> has recorded"));
    assert_eq!(shown.matches("<small>as hosts saw it</small>").count(), 1);
    // Without a record it says so, and why.
    let mut run = run;
    run.setup.evidence = Evidence::Hosts { why: "nobody knows whose it is".to_owned() };
    let words = "No record of the unit explains them: nobody knows whose it is. These are causes as hosts saw";
    assert!(page(&run).contains(words));
}

/// Every string of a document is replaced, whatever it was for.
#[test]
fn whatever_a_name_is_the_page_is_the_same() {
    let hostile = "</td></svg>\"'><img onerror=boom()>&lt;\u{1b}";
    let run = testing::failed();
    let mut document: serde_json::Value = serde_json::from_str(&json::write(&run)).unwrap();
    replace(&mut document, hostile);
    let hostile = json::read(&document.to_string()).unwrap();
    let page = page(&hostile);
    assert_eq!(objections(&page), [""; 0]);
    assert!(!page.contains("<img") && !page.contains('\u{1b}'));
    let quiet = super::page(&run);
    assert_eq!(page.matches("<svg").count(), quiet.matches("<svg").count());
}

fn replace(value: &mut serde_json::Value, hostile: &str) {
    // Words that the format itself defines.
    const KEPT: [&str; 8] =
        ["planned", "held", "broken", "unchecked", "devices", "virtual", "record", "host"];
    match value {
        serde_json::Value::String(text) if !KEPT.contains(&text.as_str()) => {
            hostile.clone_into(text)
        }
        serde_json::Value::Array(values) => values.iter_mut().for_each(|it| replace(it, hostile)),
        serde_json::Value::Object(fields) => {
            fields.values_mut().for_each(|it| replace(it, hostile));
        }
        serde_json::Value::String(_)
        | serde_json::Value::Null
        | serde_json::Value::Bool(_)
        | serde_json::Value::Number(_) => {}
    }
}

/// Numbers of a document may be anything.
#[test]
fn whatever_a_number_is_there_is_a_page() {
    let text = json::write(&testing::failed());
    for extreme in [0, u64::from(u32::MAX), i64::MAX.cast_unsigned()] {
        let mut document: serde_json::Value = serde_json::from_str(&text).unwrap();
        set_numbers(&mut document, extreme);
        document["format"] = json::FORMAT.into();
        for unit in document["setup"]["units"].as_array_mut().unwrap() {
            unit["block_bytes"] = 512.into();
            unit["id"] = 0.into();
        }
        document["setup"]["environment"]["cpus"] = 1.into();
        set_ids(&mut document);
        let run = json::read(&document.to_string()).unwrap();
        assert!(!page(&run).contains("NaN"), "{extreme}");
        crate::junit::write(&run);
    }
}

fn set_numbers(value: &mut serde_json::Value, number: u64) {
    match value {
        serde_json::Value::Number(_) => *value = number.into(),
        serde_json::Value::Array(values) => {
            values.iter_mut().for_each(|it| set_numbers(it, number))
        }
        serde_json::Value::Object(fields) => {
            fields.values_mut().for_each(|it| set_numbers(it, number));
        }
        serde_json::Value::Null | serde_json::Value::Bool(_) | serde_json::Value::String(_) => {}
    }
}

/// Ids have 32 bits.
fn set_ids(document: &mut serde_json::Value) {
    for host in document["setup"]["hosts"].as_array_mut().unwrap() {
        host["id"] = 1.into();
        host["paths"] = serde_json::Value::Array(Vec::new());
    }
    for pulses in document["pulses"].as_array_mut().unwrap() {
        pulses["host"] = 1.into();
    }
}

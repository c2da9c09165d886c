//! The daemon's control socket, spoken to without the daemon's own program: starting that for each of
//! thousands of questions would be all that a scenario does.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::{Map, Value, json};

const SOCKET: &str = "/run/pulsefield/control.sock";
/// How long the daemon may take to answer.
const LIMIT: Duration = Duration::from_secs(60);

/// Asks one question, the object `parameters` with what `request` wants to know beside it; returns the
/// answer.
///
/// # Errors
/// The daemon's words if it refused, or that there is no answer.
pub fn ask(request: &str, parameters: Value) -> Result<Value> {
    let mut stream = UnixStream::connect(SOCKET).with_context(|| format!("calling {SOCKET}"))?;
    stream.set_read_timeout(Some(LIMIT))?;
    writeln!(stream, "{}", question(request, parameters)).with_context(|| request.to_owned())?;
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line).with_context(|| request.to_owned())?;
    answer(request, &line)
}

fn question(request: &str, parameters: Value) -> Value {
    let mut question = Map::new();
    if let Value::Object(parameters) = parameters {
        question.extend(parameters);
    }
    question.insert("version".to_owned(), json!(1));
    question.insert("request".to_owned(), json!(request));
    Value::Object(question)
}

fn answer(request: &str, line: &str) -> Result<Value> {
    let answer: Value = serde_json::from_str(line).with_context(|| format!("{request}: {line}"))?;
    if answer["response"] != request {
        bail!("{request}: {}", answer["message"].as_str().unwrap_or(line));
    }
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_names_itself() {
        let question = question("lun-show", json!({ "name": "ds1" }));
        assert_eq!(question, json!({ "version": 1, "request": "lun-show", "name": "ds1" }));
    }

    #[test]
    fn a_refusal_is_an_error_in_the_daemons_words() {
        let refused = r#"{"version":1,"response":"error","message":"no LUN"}"#;
        assert_eq!(answer("reload", refused).unwrap_err().to_string(), "reload: no LUN");
        let done = r#"{"version":1,"response":"reload","changed":[]}"#;
        assert_eq!(answer("reload", done).unwrap()["changed"], json!([]));
    }
}

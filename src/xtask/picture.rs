//! The report of a soak as a picture: its page, from the verdict down to the heartbeats, as Chromium shows it
//! without a screen.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::workshop::{output, within};

/// As wide as a README is, in pixels.
const WIDTH: u32 = 1000;

/// Two seconds are usual.
const LIMIT: Duration = Duration::from_secs(60);

/// Writes the height of the part that is shown into the page's title, from where it is read; the page itself
/// has no script.
const MEASURE: &str = "<script>
const last = document.getElementById('heartbeats') ?? document.body;
document.title = Math.ceil(last.getBoundingClientRect().bottom + 24);
</script>";

/// Renders `page`, an HTML file of a report, as the PNG file `picture`.
///
/// # Errors
/// When Chromium cannot be started or does not render it, or a file cannot be read or written.
pub(crate) fn render(page: &Path, picture: &Path) -> Result<()> {
    let height = height(page)?;
    let screenshot = format!("--screenshot={}", picture.display());
    output(&mut within(LIMIT, chromium(page, height)?.arg(screenshot)))?;
    ensure!(picture.exists(), "chromium left no {}", picture.display());
    Ok(())
}

/// How many pixels the part that is shown is high.
fn height(page: &Path) -> Result<u32> {
    let html = fs::read_to_string(page).with_context(|| format!("reading {}", page.display()))?;
    let measured = page.with_extension("measured.html");
    fs::write(&measured, html + MEASURE)?;
    let document = output(&mut within(LIMIT, chromium(&measured, WIDTH)?.arg("--dump-dom")));
    fs::remove_file(&measured)?;
    title(&document?).context("chromium does not measure the page")
}

fn title(document: &str) -> Option<u32> {
    let (_, rest) = document.split_once("<title>")?;
    rest.split_once("</title>")?.0.parse().ok()
}

/// Chromium with a window of that height. Without its sandbox, which root cannot have: the page is ours.
fn chromium(page: &Path, height: u32) -> Result<Command> {
    let page = page.canonicalize().with_context(|| format!("no page {}", page.display()))?;
    let mut chromium = Command::new("chromium");
    chromium.args(["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"]);
    chromium.arg(format!("--window-size={WIDTH},{height}"));
    chromium.arg(format!("file://{}", page.display()));
    Ok(chromium)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_height_is_read_from_the_title() {
        assert_eq!(title("<!DOCTYPE html><html><head><title>1945</title></head>"), Some(1945));
        assert_eq!(title("<title>PASS: 4 hosts</title>"), None);
        assert_eq!(title(""), None);
    }
}

//! Where messages go: standard error, which systemd passes to the journal.
//!
//! Under systemd a line carries its priority as the journal wants it (sd-daemon(3)) and no time,
//! which the journal adds; in a terminal it carries the time and colours.

use std::fmt;
use std::fs::File;
use std::os::fd::AsFd as _;
use std::os::unix::fs::MetadataExt as _;

use pulsefield_control::config::LogLevel;
use tracing::{Event, Level, Subscriber, error};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::format::{DefaultFields, Format, Full, Writer};
use tracing_subscriber::fmt::{FmtContext, FormatEvent};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Registry, fmt as lines, reload};

/// The level, to change it.
pub(crate) struct Logging(reload::Handle<LevelFilter, Registry>);

impl Logging {
    /// Starts logging, for the whole process.
    ///
    /// # Panics
    /// If it was started before.
    pub(crate) fn start(level: LogLevel) -> Self {
        let (filter, handle) = reload::Layer::new(filter(level));
        let registry = tracing_subscriber::registry().with(filter);
        let lines = lines::layer().with_writer(std::io::stderr);
        if goes_to_journal() {
            registry.with(lines.with_ansi(false).event_format(JournalLine::default())).init();
        } else {
            registry.with(lines.with_target(false)).init();
        }
        Self(handle)
    }

    /// Changes the level from now on.
    pub(crate) fn set_level(&self, level: LogLevel) {
        if let Err(error) = self.0.reload(filter(level)) {
            error!(%error, "the log level stays as it is");
        }
    }
}

fn filter(level: LogLevel) -> LevelFilter {
    LevelFilter::from_level(match level {
        LogLevel::Error => Level::ERROR,
        LogLevel::Warn => Level::WARN,
        LogLevel::Info => Level::INFO,
        LogLevel::Debug => Level::DEBUG,
        LogLevel::Trace => Level::TRACE,
    })
}

/// Whether standard error is the journal's: `JOURNAL_STREAM` (systemd.exec(5)) names the stream, and
/// is inherited by programs whose standard error is another.
fn goes_to_journal() -> bool {
    let stderr = std::io::stderr().as_fd().try_clone_to_owned().map(File::from);
    match (std::env::var("JOURNAL_STREAM"), stderr.and_then(|file| file.metadata())) {
        (Ok(stream), Ok(stderr)) => stream == format!("{}:{}", stderr.dev(), stderr.ino()),
        (Err(_), _) | (_, Err(_)) => false,
    }
}

/// A line with its syslog priority in front.
struct JournalLine(Format<Full, ()>);

impl Default for JournalLine {
    fn default() -> Self {
        Self(lines::format().without_time().with_level(false).with_target(false))
    }
}

impl<S> FormatEvent<S, DefaultFields> for JournalLine
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, DefaultFields>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        write!(writer, "<{}>", priority(*event.metadata().level()))?;
        self.0.format_event(context, writer, event)
    }
}

/// syslog(3): `LOG_ERR`, `LOG_WARNING`, `LOG_INFO`, `LOG_DEBUG`.
const fn priority(level: Level) -> u8 {
    match level {
        Level::ERROR => 3,
        Level::WARN => 4,
        Level::INFO => 6,
        Level::DEBUG | Level::TRACE => 7,
    }
}

#[cfg(test)]
mod tests {
    use std::io::{self, Write};
    use std::sync::{Arc, Mutex};

    use tracing::{info, info_span, warn};

    use super::*;

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_line_for_the_journal_begins_with_its_priority() {
        let written = Written::default();
        let writer = written.clone();
        let lines = lines::layer()
            .with_ansi(false)
            .with_writer(move || writer.clone())
            .event_format(JournalLine::default());
        tracing::subscriber::with_default(tracing_subscriber::registry().with(lines), || {
            let _unit = info_span!("lu", lu = 3).entered();
            info!(blocks = 8, "serving");
            warn!("slow");
        });
        let text = String::from_utf8(written.0.lock().unwrap().clone()).unwrap();
        assert_eq!(text, "<6>lu{lu=3}: serving blocks=8\n<4>lu{lu=3}: slow\n");
    }

    #[test]
    fn a_stream_that_is_not_ours_is_not_the_journal() {
        assert!(!goes_to_journal());
    }
}

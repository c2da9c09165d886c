//! Where messages go: standard error, which systemd passes to the journal.
//!
//! Under systemd a line carries its priority as the journal wants it and no time, which the journal
//! adds; in a terminal it carries the time and colours.

use pulsefield_control::config::LogLevel;
use tracing::{Level, error};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Registry, fmt, reload};

/// The level, to change it.
pub(crate) struct Logging(reload::Handle<LevelFilter, Registry>);

impl Logging {
    /// Starts logging, for the whole process.
    ///
    /// # Panics
    /// If it was started before.
    pub(crate) fn start(level: LogLevel) -> Self {
        let (filter, handle) = reload::Layer::new(filter(level));
        let journal = std::env::var_os("JOURNAL_STREAM").is_some();
        let lines = fmt::layer().with_writer(std::io::stderr).with_target(false);
        let registry = tracing_subscriber::registry().with(filter);
        if journal {
            registry.with(lines.without_time().with_ansi(false)).init();
        } else {
            registry.with(lines).init();
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

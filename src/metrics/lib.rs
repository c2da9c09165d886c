//! What Prometheus is told: which metrics there are, the text they are told in, and the door where it
//! asks.
//!
//! Floor 3: `clients`, and mio. [`catalogue`] is the one table of metrics, by which the dashboard
//! and the alert rules are checked too; a [`Page`] is filled with values of them by somebody who knows
//! some; a [`Server`] hands that page to whoever asks over HTTP.

pub mod catalogue;
mod metric;
mod page;
mod server;

pub use metric::{Kind, Metric};
pub use page::{Family, Page};
pub use server::{ListenError, Server};

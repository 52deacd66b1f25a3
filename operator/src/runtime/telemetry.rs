//! Logs: JSON for machines, text for people. A level means: error, somebody must look; warn, something failed and is
//! tried again; info, something was changed; debug, why.

use std::io::IsTerminal;

use tracing::error;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::writer::BoxMakeWriter;

use super::config::LogFormat;

/// Where the log goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogTo {
    /// Standard output.
    Output,
    /// Standard error.
    Error,
}

/// Starts logging, and has panics logged like anything else. `filter` is in the syntax of
/// `RUST_LOG`.
pub fn init(to: LogTo, format: LogFormat, filter: &str) -> anyhow::Result<()> {
    let filter = EnvFilter::try_new(filter)?;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(match to {
            LogTo::Output => BoxMakeWriter::new(std::io::stdout),
            LogTo::Error => BoxMakeWriter::new(std::io::stderr),
        })
        .with_target(false);
    let started = match format {
        LogFormat::Json => builder
            .json()
            .flatten_event(true)
            .with_current_span(false)
            .try_init(),
        LogFormat::Text => {
            let colours = match to {
                LogTo::Output => std::io::stdout().is_terminal(),
                LogTo::Error => std::io::stderr().is_terminal(),
            };
            builder.compact().with_ansi(colours).try_init()
        }
    };
    started.map_err(|error| anyhow::anyhow!("could not start logging: {error}"))?;
    std::panic::set_hook(Box::new(|panic| {
        let location = panic.location().map(ToString::to_string).unwrap_or_default();
        error!(location, panic = panic_text(panic.payload()), "Panicked");
    }));
    Ok(())
}

/// The text of a panic.
#[must_use]
pub fn panic_text(payload: &(dyn std::any::Any + Send)) -> &str {
    payload
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message")
}

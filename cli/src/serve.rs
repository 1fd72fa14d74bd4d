//! `hookmill serve`, also as a service of systemd: with its sockets, reports of readiness and its watchdog.

use crate::browser;
use crate::compile::beside_a_host;
use crate::memory::return_freed;
use crate::signals::Signals;
use anyhow::{Context, Result, ensure};
use clap::{Args, ValueEnum};
use hookmill_host::config::Config;
use hookmill_host::recent_log;
use hookmill_host::reload::FileDigests;
use hookmill_host::serve::start;
use hookmill_host::service_manager;
use hookmill_incident::Clock;
use listenfd::ListenFd;
use std::io::IsTerminal;
use std::net::TcpListener;
use std::path::PathBuf;
use tracing::warn;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer};

#[derive(Debug, Args)]
pub(super) struct Serve {
    /// The configuration file; `hookmill config` prints a commented default
    #[arg(long, default_value = "hookmill.yaml")]
    config: PathBuf,
    /// The format of the log
    #[arg(long, value_enum, default_value_t = LogFormat::Text, env = "HOOKMILL_LOG_FORMAT")]
    log_format: LogFormat,
    /// The level of the log: `error`, `warn`, `info`, `debug`, or a filter such as `info,hookmill_host::deliver=debug`
    #[arg(long, default_value = "info", env = "HOOKMILL_LOG")]
    log: String,
    /// Open the console in a browser
    #[arg(long)]
    open: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum LogFormat {
    Text,
    Json,
}

impl Serve {
    pub fn run(self) -> Result<()> {
        let filter = EnvFilter::try_new(&self.log)?;
        let colours = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
        // A host goes on when its log has no reader any more: errors of writing the log would be written to the same place.
        let log = tracing_subscriber::fmt::layer().log_internal_errors(false);
        let log = log.with_ansi(colours).with_writer(std::io::stderr);
        let log = match self.log_format {
            LogFormat::Text => log.boxed(),
            LogFormat::Json => log.json().flatten_event(true).boxed(),
        };
        tracing_subscriber::registry().with(log.with_filter(filter)).with(recent_log::layer()).init();
        // Before there are threads, because this changes the environment.
        let sockets = passed_sockets()?;
        let admin_token = std::env::var("HOOKMILL_ADMIN_TOKEN").ok();
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        let result = runtime.block_on(async {
            let signals = Signals::catch()?;
            let before = FileDigests::read([self.config.clone()]);
            let config = Config::load(&self.config)?;
            let seen = before.for_paths(config.files(&self.config));
            let mut running = start(config, admin_token, Some(beside_a_host()?), sockets, Clock::default()).await?;
            service_manager::report_starting("Loading plugins");
            if self.open
                && let Err(error) = browser::open(&running.console_url())
            {
                warn!("cannot open the console in a browser, open {} yourself: {error}", running.console_url());
            }
            tokio::spawn(return_freed());
            let (stopped, ready) = (signals.stopped(), running.ready());
            tokio::spawn(async {
                ready.await;
                service_manager::report_ready();
            });
            running.follow(self.config, seen, signals.hangup);
            let broken = tokio::select! {
                () = stopped => false,
                () = running.broken() => true,
            };
            service_manager::report_stopping();
            running.stop().await;
            ensure!(
                !broken,
                "a task of the host ended unexpectedly; the log has the reason, and starting the host again is safe"
            );
            Ok(())
        });
        // Compiling a plugin takes seconds and is safe to abandon, so the shutdown does not wait for it.
        runtime.shutdown_background();
        result
    }
}

/// Returns the listening sockets that a service manager opened for this process.
fn passed_sockets() -> Result<Vec<TcpListener>> {
    let mut passed = ListenFd::from_env();
    let sockets = (0..passed.len()).filter_map(|index| passed.take_tcp_listener(index).transpose());
    sockets.collect::<std::io::Result<_>>().context("the service manager passed something else than a TCP socket")
}

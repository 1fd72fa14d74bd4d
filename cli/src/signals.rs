//! The signals of `hookmill serve`, which are caught before anything is opened.

use std::process;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tracing::warn;

/// The caught signals.
pub struct Signals {
    /// SIGHUP, also if it came while the host was starting.
    pub hangup: Signal,
    stop: watch::Receiver<bool>,
}

impl Signals {
    /// Catches the signals. The first SIGTERM or Ctrl-C asks the host to stop, the second ends the process at once.
    ///
    /// # Errors
    /// Returns an error if a signal cannot be caught.
    pub fn catch() -> std::io::Result<Self> {
        let hangup = signal(SignalKind::hangup())?;
        let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
        let (sender, stop) = watch::channel(false);
        tokio::spawn(async move {
            loop {
                let kind = tokio::select! {
                    _ = interrupt.recv() => SignalKind::interrupt(),
                    _ = terminate.recv() => SignalKind::terminate(),
                };
                if sender.send_replace(true) {
                    warn!("ended at once by a second signal; deliveries go on at the next start");
                    process::exit(128 + kind.as_raw_value());
                }
            }
        });
        Ok(Self { hangup, stop })
    }

    /// Returns a future that ends when the host is asked to stop.
    pub fn stopped(&self) -> impl Future<Output = ()> + use<> {
        let mut stop = self.stop.clone();
        async move {
            let _ = stop.wait_for(|is_stopped| *is_stopped).await;
        }
    }
}

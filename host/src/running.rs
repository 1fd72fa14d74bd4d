//! A host that listens, until it is stopped without leaving work half done.

use crate::config::Settings;
use crate::console;
use crate::host::{Host, ReloadRequest};
use crate::reload::{FileDigests, Reloader};
use crate::traces::ExportTask;
use anyhow::{Context, Result};
use std::future::Future;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::signal::unix::Signal;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tracing::{info, warn};

/// A host that listens.
#[derive(Debug)]
pub struct Running {
    /// The address for webhooks.
    pub address: SocketAddr,
    /// The address of the API, which is the same unless `admin_listen` is set.
    pub admin_address: SocketAddr,
    pub(crate) host: Arc<Host>,
    pub(crate) servers: JoinSet<()>,
    pub(crate) tasks: JoinSet<()>,
    pub(crate) stop: watch::Sender<bool>,
    /// Sends the spans of traces, also those of requests and deliveries that end last.
    pub(crate) exporter: Option<ExportTask>,
    /// The settings at the start.
    pub(crate) settings: Arc<Settings>,
    /// The requests to reload, until the configuration file is followed.
    pub(crate) reload_requests: Option<mpsc::Receiver<ReloadRequest>>,
}

impl Running {
    /// Returns the host as requests see it.
    pub fn host(&self) -> &Arc<Host> {
        &self.host
    }

    /// Returns the address of the console for a browser on this machine.
    pub fn console_url(&self) -> String {
        format!("{}{}", self.settings.local_url_at(self.admin_address), console::PATH)
    }

    /// Returns an address of the console that signs in once with the token from the environment, within 10 minutes. The
    /// code is in the fragment, which browsers do not send.
    ///
    /// # Errors
    /// Returns an error if there is no such token.
    pub fn signing_in_url(&self) -> Result<String> {
        let edge = &self.host.edge;
        let token = edge.admin_token.context("the host has no token from the environment")?;
        let code = edge.sign_in_code.make(token, self.host.store.clock().now_ms())?;
        Ok(format!("{}#code={code}", self.console_url()))
    }

    /// Returns whether every plugin file that was there at the start has been loaded or refused.
    pub fn is_ready(&self) -> bool {
        self.host.loaded.is_settled()
    }

    /// Waits until [`Running::is_ready`].
    pub fn ready(&self) -> impl Future<Output = ()> + use<> {
        let loaded = self.host.loaded.clone();
        async move {
            let mut changes = loaded.watch();
            while !loaded.is_settled() && changes.changed().await.is_ok() {}
        }
    }

    /// Applies changes of the configuration file from now on. `applied` are the files as they were when the
    /// configuration was loaded, so that changes since then are not missed. Each `hangup` applies the file again.
    pub fn follow(&mut self, path: PathBuf, applied: FileDigests, hangup: Signal) {
        let Some(requests) = self.reload_requests.take() else { return };
        let reloader = Reloader::new(self.host.clone(), path, applied, self.settings.clone(), hangup, requests);
        self.tasks.spawn(until_stopped(reloader.run(), self.stop.subscribe()));
    }

    /// Waits until a task or a server ends that should run until the host is stopped.
    pub async fn broken(&mut self) {
        tokio::select! {
            Some(_) = self.tasks.join_next() => {}
            Some(_) = self.servers.join_next() => {}
        }
    }

    /// Refuses new connections, finishes requests and deliveries that have begun, and closes the store.
    pub async fn stop(mut self) {
        let drain_timeout = self.settings.drain_timeout;
        info!("stopping: no new connections, {} s for unfinished requests and deliveries", drain_timeout.as_secs());
        self.stop.send_replace(true);
        let finished = async {
            while self.servers.join_next().await.is_some() {}
            self.host.deliverer.stop().await;
            while self.tasks.join_next().await.is_some() {}
            if let Some(exporter) = self.exporter {
                exporter.stop().await;
            }
        };
        if tokio::time::timeout(drain_timeout, finished).await.is_err() {
            warn!("stopped before all requests and deliveries were finished; deliveries continue at the next start");
        }
        self.host.registry.save_tallies().await;
        let store = self.host.store.clone();
        if let Err(error) = store.put_mark().await {
            warn!("cannot write the mark of the database: {error:#}");
        }
        let _ = tokio::task::spawn_blocking(move || store.close()).await;
        info!("stopped");
    }
}

/// Runs a task until it ends or the host is stopped.
pub(crate) async fn until_stopped(task: impl Future<Output = ()>, mut stopped: watch::Receiver<bool>) {
    tokio::select! {
        () = task => {}
        _ = stopped.wait_for(|stopped| *stopped) => {}
    }
}

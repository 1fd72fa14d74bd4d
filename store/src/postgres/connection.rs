//! Connections to the database.

use super::tls::Tls;
use crate::options::Profile;
use anyhow::{Context, Result, ensure};
use deadpool_postgres::{Hook, HookError, Manager, ManagerConfig, Pool, RecyclingMethod, Runtime};
use rustls::ClientConfig;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio_postgres::config::{Host, SslMode};
use tokio_postgres::{Client, Config};
use tracing::debug;

/// The time in which a connection must be made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// The time after which a connection ends whose peer acknowledges nothing.
const UNACKNOWLEDGED_MAX: Duration = Duration::from_secs(10);
const KEEPALIVE_AFTER: Duration = Duration::from_secs(10);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(3);
/// The time for which a read waits for a connection.
const POOL_WAIT: Duration = Duration::from_secs(5);

/// The address of a database, and the way to connect to it.
#[derive(Clone, Debug)]
pub struct Address {
    config: Config,
    tls: Tls,
    /// The kind of database.
    pub(super) profile: Profile,
}

impl fmt::Display for Address {
    /// Shows the servers and the name of the database, without user and password.
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        let hosts = self.config.get_hosts().iter().map(|host| match host {
            Host::Tcp(name) => name.clone(),
            Host::Unix(path) => path.display().to_string(),
        });
        let hosts = hosts.collect::<Vec<_>>().join(",");
        write!(formatter, "the database `{}` on {hosts}", self.config.get_dbname().unwrap_or_default())
    }
}

impl Address {
    /// Reads the URL of a database. `sslmode` is `disable`, `prefer` or `require`; with the last one, the certificate of the
    /// server is verified as `tls` says.
    ///
    /// # Errors
    /// Returns an error if the URL lacks something. The error does not quote the URL.
    pub fn parse(url: &str, profile: Profile, tls: Arc<ClientConfig>) -> Result<Self> {
        // Other clients have names of their own for a verified certificate.
        let url = url.replace("sslmode=verify-full", "sslmode=require").replace("sslmode=verify-ca", "sslmode=require");
        let mut config: Config = url.parse().context(
            "the URL of the database cannot be read; expected postgres://USER:PASSWORD@HOST:PORT/DATABASE?sslmode=require",
        )?;
        ensure!(!config.get_hosts().is_empty(), "the URL of the database has no host");
        ensure!(config.get_dbname().is_some(), "the URL of the database has no name of a database after the host");
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(CONNECT_TIMEOUT);
        }
        if config.get_application_name().is_none() {
            config.application_name("hookmill");
        }
        config.tcp_user_timeout(UNACKNOWLEDGED_MAX);
        config.keepalives_idle(KEEPALIVE_AFTER).keepalives_interval(KEEPALIVE_INTERVAL).keepalives_retries(2);
        if config.get_hosts().iter().all(|host| matches!(host, Host::Unix(_))) {
            config.ssl_mode(SslMode::Disable);
        }
        let tls = match config.get_ssl_mode() {
            SslMode::Prefer => Tls::unverified(&tls),
            _ => Tls::verified(tls),
        };
        Ok(Self { config, tls, profile })
    }

    /// Makes a connection, whose task ends with the client.
    pub(super) async fn connect(&self) -> Result<(Client, JoinHandle<()>)> {
        let (client, connection) = self.config.connect(self.tls.clone()).await?;
        let task = tokio::spawn(async move {
            if let Err(error) = connection.await {
                debug!("a connection to the database ended: {error}");
            }
        });
        Ok((client, task))
    }

    /// Returns a pool of connections for reads. A statement may take as long as `statement_timeout`.
    pub(super) fn pool(&self, connections: usize, statement_timeout: Duration) -> Result<Pool> {
        let settings = ManagerConfig { recycling_method: RecyclingMethod::Fast };
        let manager = Manager::from_config(self.config.clone(), self.tls.clone(), settings);
        // Many short reads share the processors: none is compiled, and none is divided among processes.
        let settings = set_if_known(&[("jit", "off"), ("max_parallel_workers_per_gather", "0")]);
        let set = format!("SET statement_timeout = {}; {settings}", statement_timeout.as_millis());
        let prepare = Hook::async_fn(move |client, _| {
            let set = set.clone();
            Box::pin(async move { client.batch_execute(&set).await.map_err(HookError::Backend) })
        });
        let builder = Pool::builder(manager).max_size(connections).runtime(Runtime::Tokio1).post_create(prepare);
        Ok(builder.wait_timeout(Some(POOL_WAIT)).create_timeout(Some(CONNECT_TIMEOUT)).build()?)
    }
}

/// Returns a statement that sets those settings which the database has: each profile lacks some.
pub(super) fn set_if_known(settings: &[(&str, &str)]) -> String {
    let rows: Vec<String> = settings.iter().map(|(name, wanted)| format!("('{name}', '{wanted}')")).collect();
    format!(
        "SELECT set_config(name, wanted, false) FROM (VALUES {}) AS settings (wanted_name, wanted) \
         JOIN pg_settings ON name = wanted_name",
        rows.join(", ")
    )
}

//! `hookmill healthcheck`: asks a host whether it is ready, for containers and scripts.

use crate::text::clean;
use anyhow::{Context, Result, ensure};
use clap::Args;
use hookmill_host::api::shapes::HostState;
use hookmill_host::config::Config;
use reqwest::redirect::Policy;
use reqwest::{StatusCode, Url};
use std::path::PathBuf;
use std::time::Duration;

/// A host that does not answer within this time is not ready.
const TIMEOUT: Duration = Duration::from_secs(5);

#[derive(Debug, Args)]
pub(super) struct Healthcheck {
    /// The configuration file, which names the address of the host
    #[arg(long, default_value = "hookmill.yaml")]
    config: PathBuf,
    /// The URL of the host, instead of the address in the configuration file
    #[arg(long)]
    url: Option<Url>,
}

impl Healthcheck {
    pub fn run(self) -> Result<()> {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder().no_proxy().redirect(Policy::none()).timeout(TIMEOUT);
        let (url, client) = match self.url {
            Some(url) => (url, client),
            None => {
                let config = Config::load(&self.config).context("cannot find the address of the host; give --url")?;
                let url = config.settings.local_url().context("give the URL of the host with --url")?;
                // The certificate is for the name that senders use. Nothing secret is sent.
                (url.parse()?, client.tls_danger_accept_invalid_certs(true))
            }
        };
        let readyz = url.join("/readyz")?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (status, body) = runtime
            .block_on(async {
                let response = client.build()?.get(readyz).send().await?;
                Ok((response.status(), response.bytes().await?))
            })
            .map_err(|error: reqwest::Error| anyhow::Error::new(error).context(format!("no answer from {url}")))?;
        let state = serde_json::from_slice::<HostState>(&body).map(|state| clean(&state.status));
        let state =
            state.with_context(|| format!("the server at {url} answered {status} and is not a Hookmill host"))?;
        ensure!(status == StatusCode::OK, "the host at {url} is not ready: {state}");
        println!("{state}");
        Ok(())
    }
}

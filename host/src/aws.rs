//! The two things that Amazon SNS has its receivers fetch: the certificate that signs, and the URL that confirms a
//! subscription. Only hosts of AWS are asked, and only at addresses that are globally routable.

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use hookmill_connection::{AddressGuard, guarded_client};
use hookmill_signatures::{AwsUrl, is_certificate};
use reqwest::{Client, Response};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::Semaphore;
use tracing::warn;

const TIMEOUT: Duration = Duration::from_secs(5);
const CERTIFICATE_BYTES_MAX: usize = 64 * 1024;
/// AWS changes its certificates about once a year, in every region.
const CERTIFICATES_MAX: usize = 64;
/// What is not yet verified can ask for certificates: it keeps no more of them waiting than this.
const FETCHES_MAX: usize = 4;

/// A certificate that cannot be had now. The log says why.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the sender's certificate could not be fetched; try again")]
pub struct CertificateUnavailable;

/// Asks AWS.
#[derive(Debug)]
pub struct Aws {
    client: Client,
    certificates: Mutex<BTreeMap<AwsUrl, Bytes>>,
    fetches: Semaphore,
}

impl Aws {
    /// Nothing is fetched yet.
    ///
    /// # Errors
    /// When there is no way to set up a client.
    pub fn new() -> Result<Self> {
        let client = guarded_client(&Arc::new(AddressGuard::new(Vec::new())), TIMEOUT)?;
        Ok(Self { client, certificates: Mutex::default(), fetches: Semaphore::new(FETCHES_MAX) })
    }

    /// A certificate as PEM, fetched at most once.
    ///
    /// # Errors
    /// When it cannot be had now. The log says why.
    pub async fn certificate(&self, url: &AwsUrl) -> Result<Bytes, CertificateUnavailable> {
        let certificates = || self.certificates.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = certificates().get(url) {
            return Ok(known.clone());
        }
        let _permit = self.fetches.try_acquire().map_err(|_| CertificateUnavailable)?;
        let fetched = self.fetch_certificate(url).await.map_err(|error| {
            warn!("cannot fetch the certificate {}: {error:#}", url.as_str());
            CertificateUnavailable
        })?;
        let mut certificates = certificates();
        if certificates.len() >= CERTIFICATES_MAX {
            certificates.pop_first();
        }
        certificates.insert(url.clone(), fetched.clone());
        Ok(fetched)
    }

    /// Confirms a subscription.
    ///
    /// # Errors
    /// When AWS says no or nothing.
    pub async fn confirm(&self, url: &AwsUrl) -> Result<()> {
        self.get(url).await.map(drop)
    }

    async fn fetch_certificate(&self, url: &AwsUrl) -> Result<Bytes> {
        let mut response = self.get(url).await?;
        let mut bytes = Vec::new();
        while let Some(chunk) = response.chunk().await? {
            bytes.extend_from_slice(&chunk);
            ensure!(bytes.len() <= CERTIFICATE_BYTES_MAX, "it is larger than {CERTIFICATE_BYTES_MAX} bytes");
        }
        ensure!(is_certificate(&bytes), "it is no X.509 certificate in PEM");
        Ok(bytes.into())
    }

    async fn get(&self, url: &AwsUrl) -> Result<Response> {
        let response = self.client.get(url.as_str()).send().await.context("no answer")?;
        ensure!(response.status().is_success(), "the answer is {}", response.status());
        Ok(response)
    }
}

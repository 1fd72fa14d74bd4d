//! The two requests that Amazon SNS makes its receivers send: for the certificate of a signature, and to the URL that
//! confirms a subscription. Requests go only to hosts of AWS, and only to globally routable addresses.

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use hookmill_connection::{AddressGuard, guarded_client, read_body};
use hookmill_signatures::{AwsUrl, is_certificate};
use reqwest::{Client, Response};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::Semaphore;
use tracing::warn;

const TIMEOUT: Duration = Duration::from_secs(5);
const CERTIFICATE_BYTES_MAX: usize = 64 * 1024;
/// The number of certificates that are kept. AWS changes them about once a year in every region.
const CERTIFICATES_MAX: usize = 64;
/// The number of fetches at once. Payloads that are not verified yet cause fetches, so that the number needs a limit.
const FETCHES_MAX: usize = 4;

/// A certificate that cannot be fetched now. The reason is in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the sender's certificate could not be fetched; try again")]
pub struct CertificateUnavailable;

/// The client for requests to AWS, with the certificates that were fetched.
#[derive(Debug)]
pub struct Aws {
    client: Client,
    certificates: Mutex<BTreeMap<AwsUrl, Bytes>>,
    fetches: Semaphore,
}

impl Aws {
    /// Returns a client without certificates.
    ///
    /// # Errors
    /// Returns an error if the HTTP client cannot be set up.
    pub fn new() -> Result<Self> {
        let client = guarded_client(&Arc::new(AddressGuard::new(Vec::new())), TIMEOUT)?;
        Ok(Self { client, certificates: Mutex::default(), fetches: Semaphore::new(FETCHES_MAX) })
    }

    /// Returns a certificate as PEM, and fetches the certificate only if it is not known yet.
    ///
    /// # Errors
    /// Returns an error if the certificate cannot be fetched now. The reason is in the log.
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
    /// Returns an error if AWS does not answer, or refuses.
    pub async fn confirm(&self, url: &AwsUrl) -> Result<()> {
        self.get(url).await.map(drop)
    }

    async fn fetch_certificate(&self, url: &AwsUrl) -> Result<Bytes> {
        let bytes = read_body(self.get(url).await?, CERTIFICATE_BYTES_MAX).await?;
        ensure!(is_certificate(&bytes), "the file is not an X.509 certificate in PEM");
        Ok(bytes.into())
    }

    async fn get(&self, url: &AwsUrl) -> Result<Response> {
        let response = self.client.get(url.as_str()).send().await.context("no answer")?;
        ensure!(response.status().is_success(), "the answer is {}", response.status());
        Ok(response)
    }
}

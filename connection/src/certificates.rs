//! Reads the certificates and keys that destinations are reached with: PEM, or PKCS#12 as Java and Windows keep them.

use anyhow::{Context, Result, anyhow, bail, ensure};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hookmill_pem::{certificates, private_key};
use p12_keystore::Pkcs12Archive;
use reqwest::Identity;
use rustls::RootCertStore;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use std::path::{Path, PathBuf};

const PEM: &[u8] = b"-----BEGIN";
/// How a keystore of Java begins that is no PKCS#12.
const JKS: [u8; 4] = [0xfe, 0xed, 0xfe, 0xed];

/// A file, and what it is encrypted with if it is PKCS#12.
#[derive(Clone, Default)]
pub struct CertificateFile {
    /// Where it is.
    pub path: PathBuf,
    /// Its password.
    pub password: Option<String>,
}

impl CertificateFile {
    /// A file whose relative path starts at `folder`.
    pub fn new(folder: &Path, path: &Path, password: Option<String>) -> Self {
        Self { path: folder.join(path), password }
    }
}

/// The client's certificate and key.
#[derive(Clone, Default)]
pub struct ClientCertificate {
    /// The certificate, and those between it and its root after it; in PKCS#12 with the key.
    pub certificate: CertificateFile,
    /// The key in PEM; in the certificate's file where there is none.
    pub key: Option<PathBuf>,
}

/// Certificate authorities, each of which can be used.
///
/// # Errors
/// What is wrong with the file, and what to do.
pub fn authorities(file: &CertificateFile) -> Result<Vec<CertificateDer<'static>>> {
    let found = match Contents::read(file, "ca_password")? {
        Contents::Pem => certificates(&file.path)?,
        Contents::Pkcs12(archive) => archive.certs.iter().map(|bag| der(bag.cert.as_der())).collect(),
    };
    let path = file.path.display();
    ensure!(!found.is_empty(), "{path} holds no certificate; put those of the authorities into it");
    let mut store = RootCertStore::empty();
    for certificate in &found {
        let added = store.add(certificate.clone());
        added.with_context(|| format!("{path} holds a certificate of an authority that cannot be used"))?;
    }
    Ok(found)
}

/// What the host shows a receiver that asks for a certificate.
///
/// # Errors
/// As [`authorities`].
pub fn identity(client: &ClientCertificate) -> Result<Identity> {
    let path = client.certificate.path.display();
    let (chain, key) = match Contents::read(&client.certificate, "client_password")? {
        Contents::Pem => {
            let key = client.key.as_deref().unwrap_or(&client.certificate.path);
            (certificates(&client.certificate.path)?, private_key(key)?)
        }
        Contents::Pkcs12(_) if client.key.is_some() => {
            bail!("{path} is PKCS#12, which holds the key too; remove `client_key`")
        }
        Contents::Pkcs12(archive) => from_pkcs12(&archive).with_context(|| format!("{path}"))?,
    };
    let pem = pem(&chain, &key)?;
    CertifiedKey::from_der(chain, key, &default_provider())
        .map_err(|error| anyhow!("the client's key does not go with the certificate {path}: {error}"))?;
    Identity::from_pem(&pem).with_context(|| format!("{path} cannot be used as a client's certificate"))
}

enum Contents {
    Pem,
    Pkcs12(Pkcs12Archive),
}

impl Contents {
    fn read(file: &CertificateFile, password_key: &str) -> Result<Self> {
        let path = file.path.display();
        let bytes = std::fs::read(&file.path).with_context(|| format!("cannot read {path}"))?;
        if bytes.starts_with(&JKS) {
            bail!(
                "{path} is a Java keystore of the old kind, which is not read; convert it with `keytool -importkeystore \
                 -srckeystore {path} -destkeystore {path}.p12 -deststoretype PKCS12`"
            );
        }
        if bytes.first() != Some(&0x30) || bytes.windows(PEM.len()).any(|window| window == PEM) {
            ensure!(file.password.is_none(), "{path} is no PKCS#12 and needs no password; remove `{password_key}`");
            return Ok(Self::Pem);
        }
        let password = file.password.as_deref();
        let password = password.with_context(|| format!("{path} is PKCS#12; set its password as `{password_key}`"))?;
        let archive = Pkcs12Archive::from_pkcs12(&bytes, password);
        archive.map(Self::Pkcs12).map_err(|error| {
            anyhow!(
                "{path} cannot be read as PKCS#12 with this `{password_key}`: {error}; check both, or convert it to PEM"
            )
        })
    }
}

/// The first key, its certificate, and the others, which may be those between it and its root.
fn from_pkcs12(archive: &Pkcs12Archive) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)> {
    let key = archive.keys.first().context("it holds no private key")?;
    let is_of_key = |id: Option<&[u8]>| id.is_some() && id == key.local_key_id.as_ref().map(AsRef::as_ref);
    let own = archive.certs.iter().position(|bag| is_of_key(bag.local_key_id.as_deref())).unwrap_or(0);
    ensure!(!archive.certs.is_empty(), "it holds no certificate");
    let others = archive.certs.iter().enumerate().filter(|(index, _)| *index != own).map(|(_, bag)| bag);
    let chain = std::iter::once(&archive.certs[own]).chain(others).map(|bag| der(bag.cert.as_der())).collect();
    Ok((chain, PrivateKeyDer::Pkcs8(key.key.as_der().to_vec().into())))
}

fn der(bytes: &[u8]) -> CertificateDer<'static> {
    CertificateDer::from(bytes.to_vec())
}

/// The client takes an identity as PEM only.
fn pem(chain: &[CertificateDer], key: &PrivateKeyDer) -> Result<Vec<u8>> {
    let label = match key {
        PrivateKeyDer::Pkcs1(_) => "RSA PRIVATE KEY",
        PrivateKeyDer::Sec1(_) => "EC PRIVATE KEY",
        PrivateKeyDer::Pkcs8(_) => "PRIVATE KEY",
        _ => bail!("the client's key is of an unknown kind; convert it to PKCS#8"),
    };
    let block =
        |label: &str, der: &[u8]| format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", STANDARD.encode(der));
    let certificates: String = chain.iter().map(|certificate| block("CERTIFICATE", certificate)).collect();
    Ok((certificates + &block(label, key.secret_der())).into_bytes())
}

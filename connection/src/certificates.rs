//! The certificates and keys of connections to other servers, in PEM or in PKCS#12, the format of Java and Windows.

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

/// The start of every section of a PEM file.
const PEM: &[u8] = b"-----BEGIN";
/// The first bytes of a Java keystore in the older format, JKS.
const JKS: [u8; 4] = [0xfe, 0xed, 0xfe, 0xed];

/// A certificate file, with the password if the file is PKCS#12.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct CertificateFile {
    /// The path of the file.
    pub path: PathBuf,
    /// The password of a PKCS#12 file.
    pub password: Option<String>,
}

impl CertificateFile {
    /// Creates the value for a path that is absolute or relative to `folder`.
    pub fn new(folder: &Path, path: &Path, password: Option<String>) -> Self {
        Self { path: folder.join(path), password }
    }
}

/// The certificate and key for servers that ask for a client certificate.
#[derive(Clone, Default)]
pub struct ClientCertificate {
    /// The certificate, followed by its intermediate certificates. A PKCS#12 file holds the key too.
    pub certificate: CertificateFile,
    /// The key in PEM. If absent, the key is in the certificate's file.
    pub key: Option<PathBuf>,
}

/// Reads certificate authorities, at least one, and checks that each can be used.
///
/// # Errors
/// Returns an error that names the file, the problem and the remedy.
pub fn read_authorities(file: &CertificateFile) -> Result<Vec<CertificateDer<'static>>> {
    let found = match Contents::read(file, "ca_password")? {
        Contents::Pem => certificates(&file.path)?,
        Contents::Pkcs12(archive) => archive.certs.iter().map(|bag| der(bag.cert.as_der())).collect(),
    };
    let path = file.path.display();
    ensure!(!found.is_empty(), "{path} does not contain a certificate; add the certificates of the authorities");
    let mut store = RootCertStore::empty();
    for certificate in &found {
        let added = store.add(certificate.clone());
        added.with_context(|| format!("{path} holds a certificate that cannot be used as an authority"))?;
    }
    Ok(found)
}

/// Reads a client certificate and its key, and checks that the two belong together.
///
/// # Errors
/// Returns an error as [`read_authorities`] does.
pub(crate) fn read_identity(client: &ClientCertificate) -> Result<Identity> {
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
        .map_err(|error| anyhow!("the client key does not match the certificate {path}: {error}"))?;
    Identity::from_pem(&pem).with_context(|| format!("{path} cannot be used as a client certificate"))
}

/// The content of a certificate file. PEM is read by `hookmill_pem`, which also checks the permissions of keys.
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
                "{path} is a Java keystore in an old format that is not supported; convert it with \
                 `keytool -importkeystore -srckeystore {path} -destkeystore {path}.p12 -deststoretype PKCS12`"
            );
        }
        if bytes.first() != Some(&0x30) || bytes.windows(PEM.len()).any(|window| window == PEM) {
            ensure!(
                file.password.is_none(),
                "{path} is not a PKCS#12 file and does not need a password; remove `{password_key}`"
            );
            return Ok(Self::Pem);
        }
        let password = file.password.as_deref();
        let password = password.with_context(|| format!("{path} is PKCS#12; set its password as `{password_key}`"))?;
        let archive = Pkcs12Archive::from_pkcs12(&bytes, password);
        archive.map(Self::Pkcs12).map_err(|error| {
            anyhow!(
                "{path} cannot be read as PKCS#12 with this `{password_key}`: {error}; check both, or convert the file \
                 to PEM"
            )
        })
    }
}

/// Returns the first key and its chain: the key's certificate, then all others, which may be intermediate certificates.
fn from_pkcs12(archive: &Pkcs12Archive) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)> {
    let key = archive.keys.first().context("the file does not contain a private key")?;
    let is_of_key = |id: Option<&[u8]>| id.is_some() && id == key.local_key_id.as_ref().map(AsRef::as_ref);
    let own = archive.certs.iter().position(|bag| is_of_key(bag.local_key_id.as_deref())).unwrap_or(0);
    ensure!(!archive.certs.is_empty(), "the file does not contain a certificate");
    let others = archive.certs.iter().enumerate().filter(|(index, _)| *index != own).map(|(_, bag)| bag);
    let chain = std::iter::once(&archive.certs[own]).chain(others).map(|bag| der(bag.cert.as_der())).collect();
    Ok((chain, PrivateKeyDer::Pkcs8(key.key.as_der().to_vec().into())))
}

fn der(bytes: &[u8]) -> CertificateDer<'static> {
    CertificateDer::from(bytes.to_vec())
}

/// Encodes a chain and its key as PEM, the only format that the HTTP client reads.
fn pem(chain: &[CertificateDer], key: &PrivateKeyDer) -> Result<Vec<u8>> {
    let label = match key {
        PrivateKeyDer::Pkcs1(_) => "RSA PRIVATE KEY",
        PrivateKeyDer::Sec1(_) => "EC PRIVATE KEY",
        PrivateKeyDer::Pkcs8(_) => "PRIVATE KEY",
        _ => bail!("the client key has an unknown format; convert it to PKCS#8"),
    };
    let block =
        |label: &str, der: &[u8]| format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", STANDARD.encode(der));
    let certificates: String = chain.iter().map(|certificate| block("CERTIFICATE", certificate)).collect();
    Ok((certificates + &block(label, key.secret_der())).into_bytes())
}

//! JSON Web Tokens ([RFC 7519](https://www.rfc-editor.org/rfc/rfc7519)) that a client signs with its private key.

use anyhow::{Context, Result, bail};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hookmill_pem::{certificates, private_key};
use ring::digest::{SHA256, digest};
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, RSA_PKCS1_SHA256, RSA_PSS_SHA256,
    RsaEncoding, RsaKeyPair,
};
use rustls::pki_types::PrivateKeyDer;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// A private key that signs for a client.
pub struct ClientKey {
    pair: KeyPair,
    /// The header of every token, in JSON.
    header: String,
    files: Vec<PathBuf>,
    /// A digest of the key, which compares two of them.
    digest: Vec<u8>,
}

enum KeyPair {
    Rsa(RsaKeyPair, &'static dyn RsaEncoding),
    Ecdsa(EcdsaKeyPair),
}

impl ClientKey {
    /// Reads a private key in PEM. `id` names the key to the server (`kid`). With the file of a certificate, tokens contain
    /// its digest (`x5t#S256`), by which Microsoft finds it.
    ///
    /// # Errors
    /// Returns an error if a file cannot be read, or the key is of another kind than RSA, P-256 or P-384.
    pub fn read(path: &Path, id: Option<&str>, certificate: Option<&Path>) -> Result<Self> {
        let der = private_key(path)?;
        let thumbprint = certificate.map(thumbprint).transpose()?;
        let (pair, algorithm) = key_pair(&der, thumbprint.is_some()).with_context(|| {
            format!(
                "{} is not a private key of RSA, P-256 or P-384; convert it with `openssl pkcs8 -topk8 -nodes`",
                path.display()
            )
        })?;
        let mut header = json!({"alg": algorithm, "typ": "JWT"});
        let members = [("kid", id.map(str::to_owned)), ("x5t#S256", thumbprint)];
        for (name, value) in members.into_iter().filter_map(|(name, value)| Some((name, value?))) {
            header[name] = value.into();
        }
        let files = std::iter::once(path).chain(certificate).map(Path::to_owned).collect();
        let digest = digest(&SHA256, der.secret_der()).as_ref().to_vec();
        Ok(Self { pair, header: header.to_string(), files, digest })
    }

    /// Returns the files that the key was read from.
    pub fn files(&self) -> &[PathBuf] {
        &self.files
    }

    /// Returns a signed token with these claims.
    ///
    /// # Errors
    /// Returns an error if the key cannot sign.
    pub fn token(&self, claims: &Value) -> Result<String> {
        let content = [self.header.as_str(), &claims.to_string()].map(|text| URL_SAFE_NO_PAD.encode(text)).join(".");
        let random = SystemRandom::new();
        let failed = |_| anyhow::anyhow!("`client_key` cannot sign");
        let signature = match &self.pair {
            KeyPair::Rsa(pair, encoding) => {
                let mut signature = vec![0; pair.public().modulus_len()];
                pair.sign(*encoding, &random, content.as_bytes(), &mut signature).map_err(failed)?;
                signature
            }
            KeyPair::Ecdsa(pair) => pair.sign(&random, content.as_bytes()).map_err(failed)?.as_ref().to_vec(),
        };
        Ok(format!("{content}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }
}

impl PartialEq for ClientKey {
    fn eq(&self, other: &Self) -> bool {
        (&self.digest, &self.header, &self.files) == (&other.digest, &other.header, &other.files)
    }
}

/// Returns the key with the name of its algorithm ([RFC 7518](https://www.rfc-editor.org/rfc/rfc7518#section-3)).
fn key_pair(der: &PrivateKeyDer, is_certified: bool) -> Result<(KeyPair, &'static str)> {
    let bytes = der.secret_der();
    let rsa = match der {
        PrivateKeyDer::Pkcs1(_) => RsaKeyPair::from_der(bytes).ok(),
        _ => RsaKeyPair::from_pkcs8(bytes).ok(),
    };
    match rsa {
        // Microsoft asks for PS256 beside the digest of a certificate.
        Some(pair) if is_certified => return Ok((KeyPair::Rsa(pair, &RSA_PSS_SHA256), "PS256")),
        Some(pair) => return Ok((KeyPair::Rsa(pair, &RSA_PKCS1_SHA256), "RS256")),
        None => {}
    }
    for (algorithm, name) in [(&ECDSA_P256_SHA256_FIXED_SIGNING, "ES256"), (&ECDSA_P384_SHA384_FIXED_SIGNING, "ES384")]
    {
        if let Ok(pair) = EcdsaKeyPair::from_pkcs8(algorithm, bytes, &SystemRandom::new()) {
            return Ok((KeyPair::Ecdsa(pair), name));
        }
    }
    bail!("unknown kind of key")
}

fn thumbprint(path: &Path) -> Result<String> {
    let certificates = certificates(path)?;
    let first = certificates.first().context("there is no certificate")?;
    Ok(URL_SAFE_NO_PAD.encode(digest(&SHA256, first)))
}

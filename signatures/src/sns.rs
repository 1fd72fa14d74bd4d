//! Amazon SNS: an RSA signature in the body, over some of its members, made with a certificate of AWS.
//!
//! The certificate is pinned, or fetched from the URL in the message if that is on a host of AWS. AWS signs messages of
//! any customer's topics, so the accepted topics have to be listed.

use crate::aws_url::AwsUrl;
use crate::byte_order_mark::without_byte_order_mark;
use crate::declaration::{DeclarationError, Keys};
use crate::hmac_scheme::check_age;
use crate::request::{Fetched, Identity, Request, SignatureError, Verification, VerifyError};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::signature::{RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY, RSA_PKCS1_2048_8192_SHA256, RsaParameters};
use ring::signature::{UnparsedPublicKey, VerificationAlgorithm};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{AlgorithmIdentifier, CertificateDer, InvalidSignature, SignatureVerificationAlgorithm, alg_id};
use serde::Deserialize;
use std::borrow::Cow;
use std::fmt;

/// SNS retries an HTTP delivery for an hour, and a message may have waited before that.
const TOLERANCE_S: i64 = 2 * 60 * 60;
const CONFIRMATION: &str = "SubscriptionConfirmation";

pub(crate) struct Sns {
    topics: Vec<String>,
    certificate: Option<CertificateDer<'static>>,
    confirm: bool,
    pub tolerance_s: i64,
}

/// The confirmation that a topic of Amazon SNS requires before it sends messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscription {
    /// The topic.
    pub topic: String,
    /// The URL that confirms the subscription; `None` if it is not on a host of AWS.
    pub url: Option<AwsUrl>,
    /// Whether the source is configured to confirm.
    pub allowed: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct SignedMessage<'b> {
    #[serde(borrow)]
    r#type: Cow<'b, str>,
    #[serde(borrow)]
    message_id: Cow<'b, str>,
    #[serde(borrow)]
    topic_arn: Cow<'b, str>,
    #[serde(borrow)]
    message: Cow<'b, str>,
    #[serde(borrow)]
    timestamp: Cow<'b, str>,
    #[serde(borrow)]
    signature: Cow<'b, str>,
    #[serde(borrow)]
    signature_version: Cow<'b, str>,
    #[serde(borrow, rename = "SigningCertURL")]
    certificate_url: Cow<'b, str>,
    #[serde(borrow, default)]
    subject: Option<Cow<'b, str>>,
    #[serde(borrow, default, rename = "SubscribeURL")]
    subscribe_url: Option<Cow<'b, str>>,
    #[serde(borrow, default)]
    token: Option<Cow<'b, str>>,
}

impl Sns {
    pub fn from_keys(keys: &Keys) -> Result<Self, DeclarationError> {
        let topics: Vec<String> = keys.list("topics").into_iter().map(str::to_owned).collect();
        if topics.is_empty() || topics.iter().any(|topic| !topic.starts_with("arn:")) {
            return Err(DeclarationError::new(
                "the scheme needs `topics`, the ARNs that may send, such as [arn:aws:sns:eu-west-1:123456789012:alerts]",
            ));
        }
        let certificate = match keys.text("certificate")? {
            Some(pem) => Some(certificate(pem.as_bytes()).ok_or_else(|| {
                DeclarationError::new("`certificate` is not an X.509 certificate in PEM (-----BEGIN CERTIFICATE-----)")
            })?),
            None => None,
        };
        Ok(Self {
            topics,
            certificate,
            confirm: keys.choice("confirm", &[("false", false), ("true", true)])?,
            tolerance_s: keys.seconds("tolerance", TOLERANCE_S)?,
        })
    }

    pub fn verify(&self, request: &Request) -> Result<Verification, VerifyError> {
        let message = SignedMessage::read(request.body).ok_or(SignatureError::BodyForm)?;
        // Checked first: an unlisted topic must not make the host fetch anything.
        if !self.topics.iter().any(|topic| *topic == message.topic_arn) {
            return Err(SignatureError::TopicUnknown.into());
        }
        let algorithm = match &*message.signature_version {
            "1" => &RSA_SHA1,
            "2" => &RSA_SHA256,
            _ => return Err(SignatureError::BodyForm.into()),
        };
        let signed = message.canonical().ok_or(SignatureError::BodyForm)?;
        let signature = STANDARD.decode(&*message.signature).map_err(|_| SignatureError::BodyForm)?;
        let fetched = match request.fetched {
            Some(Fetched::Certificate(pem)) => certificate(pem),
            _ => None,
        };
        let Some(certificate) = self.certificate.as_ref().or(fetched.as_ref()) else {
            // Only from the topic's own region, so that an unverified message cannot choose the host of the request.
            let url = AwsUrl::certificate(&message.certificate_url)
                .filter(|url| request.fetched.is_none() && Some(url.region()) == message.topic_arn.split(':').nth(3));
            return Err(url.map_or(SignatureError::Certificate.into(), VerifyError::CertificateMissing));
        };
        let certificate = webpki::EndEntityCert::try_from(certificate).map_err(|_| SignatureError::Certificate)?;
        certificate.verify_signature(algorithm, signed.as_bytes(), &signature).map_err(|_| SignatureError::Wrong)?;
        let signed_at: jiff::Timestamp = message.timestamp.parse().map_err(|_| SignatureError::BodyForm)?;
        check_age(signed_at.as_millisecond(), request.now_ms, self.tolerance_s)?;
        Ok(Verification { identity: Identity::Delivery(message.message_id.into_owned()), secret: 0 })
    }

    pub fn subscription(&self, body: &[u8]) -> Option<Subscription> {
        let message = SignedMessage::read(body)?;
        (message.r#type == CONFIRMATION).then(|| Subscription {
            topic: message.topic_arn.into_owned(),
            url: message.subscribe_url.as_deref().and_then(AwsUrl::new),
            allowed: self.confirm,
        })
    }
}

impl<'b> SignedMessage<'b> {
    fn read(body: &'b [u8]) -> Option<Self> {
        serde_json::from_slice(without_byte_order_mark(body)).ok()
    }

    /// Returns the signed content: the signed members in their fixed order, name and value each on a line.
    fn canonical(&self) -> Option<String> {
        let subject = self.subject.as_deref().map(|subject| ("Subject", subject));
        let (start, end) = (("Message", &*self.message), ("TopicArn", &*self.topic_arn));
        let (id, time, kind) =
            (("MessageId", &*self.message_id), ("Timestamp", &*self.timestamp), ("Type", &*self.r#type));
        let members = match kind.1 {
            "Notification" => vec![Some(start), Some(id), subject, Some(time), Some(end), Some(kind)],
            CONFIRMATION | "UnsubscribeConfirmation" => {
                let url = ("SubscribeURL", self.subscribe_url.as_deref()?);
                let token = ("Token", self.token.as_deref()?);
                [start, id, url, time, token, end, kind].map(Some).to_vec()
            }
            _ => return None,
        };
        Some(members.into_iter().flatten().map(|(name, value)| format!("{name}\n{value}\n")).collect())
    }
}

/// Returns the signed content of a body.
pub(crate) fn signed_text(body: &[u8]) -> Option<String> {
    SignedMessage::read(body)?.canonical()
}

/// Returns whether the bytes are a PEM certificate that can verify signatures.
pub fn is_certificate(pem: &[u8]) -> bool {
    certificate(pem).is_some()
}

fn certificate(pem: &[u8]) -> Option<CertificateDer<'static>> {
    let certificate = CertificateDer::from_pem_slice(pem).ok()?;
    webpki::EndEntityCert::try_from(&certificate).is_ok().then(|| certificate.into_owned())
}

static RSA_SHA1: Rsa = Rsa(&RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY);
static RSA_SHA256: Rsa = Rsa(&RSA_PKCS1_2048_8192_SHA256);

/// RSA with PKCS #1 v1.5. webpki supports it with SHA-256 only, but version 1 of the signature uses SHA-1.
struct Rsa(&'static RsaParameters);

impl SignatureVerificationAlgorithm for Rsa {
    fn public_key_alg_id(&self) -> AlgorithmIdentifier {
        alg_id::RSA_ENCRYPTION
    }

    fn signature_alg_id(&self) -> AlgorithmIdentifier {
        alg_id::RSA_PKCS1_SHA256
    }

    fn verify_signature(&self, key: &[u8], message: &[u8], signature: &[u8]) -> Result<(), InvalidSignature> {
        let algorithm: &'static dyn VerificationAlgorithm = self.0;
        UnparsedPublicKey::new(algorithm, key).verify(message, signature).map_err(|_| InvalidSignature)
    }
}

impl fmt::Debug for Rsa {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str("Rsa")
    }
}

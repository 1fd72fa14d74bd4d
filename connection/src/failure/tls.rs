//! The texts for TLS errors.

use super::causes::{Causes, find};
use super::{Code, Failure};
use rustls::{AlertDescription, CertificateError, InvalidMessage};

/// Returns the failure for the TLS error among the causes, if there is one.
pub(super) fn failure(causes: &Causes) -> Option<Failure> {
    find::<rustls::Error>(causes).map(|error| Failure::new(Code::Tls, text(error)))
}

/// Describes a TLS error.
fn text(error: &rustls::Error) -> String {
    match error {
        rustls::Error::InvalidCertificate(problem) => certificate_text(problem),
        rustls::Error::AlertReceived(alert) => match alert {
            AlertDescription::CertificateRequired => {
                "the server requires a client certificate (certificate_required); set `client_certificate`".to_owned()
            }
            AlertDescription::BadCertificate
            | AlertDescription::UnsupportedCertificate
            | AlertDescription::CertificateRevoked
            | AlertDescription::CertificateExpired
            | AlertDescription::CertificateUnknown
            | AlertDescription::UnknownCA
            | AlertDescription::DecryptError
            | AlertDescription::AccessDenied => {
                format!("the server rejects the client certificate (alert {alert:?})")
            }
            AlertDescription::HandshakeFailure => {
                "the server ends the TLS handshake (alert HandshakeFailure): it may require a \
                 client certificate, or support none of this host's TLS versions and ciphers"
                    .to_owned()
            }
            alert => format!("the server ends the TLS handshake (alert {alert:?})"),
        },
        rustls::Error::InvalidMessage(InvalidMessage::InvalidContentType) => {
            "the server does not support TLS at this port".to_owned()
        }
        rustls::Error::PeerIncompatible(problem) => {
            format!("the server is not compatible with this host, which supports TLS 1.2 and 1.3: {problem:?}")
        }
        error => error.to_string(),
    }
}

/// Describes a server certificate that is not trusted.
fn certificate_text(problem: &CertificateError) -> String {
    match problem {
        CertificateError::UnknownIssuer => {
            "the server's certificate is of an unknown issuer; name the file of that authority in `ca`".to_owned()
        }
        CertificateError::BadSignature => {
            "the server's certificate is of an unknown issuer: an authority of that name is known, and \
             it did not sign this; name the file of the one that did in `ca`"
                .to_owned()
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "the server's certificate has expired".to_owned()
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "the server's certificate is not valid yet".to_owned()
        }
        CertificateError::NotValidForName => "the server's certificate is for another name".to_owned(),
        CertificateError::NotValidForNameContext { expected, presented } => format!(
            "the server's certificate is for another name: it is for {}, not for {}",
            presented.join(", "),
            expected.to_str()
        ),
        CertificateError::Revoked => "the server's certificate was revoked".to_owned(),
        problem => format!("the server's certificate is not valid: {problem:?}"),
    }
}

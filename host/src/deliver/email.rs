//! Sends mails over SMTP: only to permitted addresses, and over TLS unless that is switched off.

use super::send_result::SendResult;
use anyhow::{Context, Result, ensure};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hookmill_connection::{AddressGuard, CertificateFile, Code, Failure, read_authorities, sanitize};
use lettre::message::Mailbox;
use lettre::message::header::ContentType;
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, Tls, TlsParameters};
use lettre::transport::smtp::{self, AsyncSmtpTransportBuilder};
use lettre::{AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor};
use reqwest::Url;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;
use uuid::Uuid;

const SUBMISSION_PORT: u16 = 587;
const SUBMISSION_TLS_PORT: u16 = 465;
const TIMEOUT: Duration = Duration::from_secs(30);

/// The options of a mail server.
pub struct EmailOptions {
    /// `smtp://HOST[:PORT]`, or `smtps://` for a connection that starts with TLS.
    pub url: Url,
    /// Whether `smtp://` requires STARTTLS before anything else is sent.
    pub starttls: bool,
    /// User name and password.
    pub credentials: Option<(String, String)>,
    /// Certificate authorities that are trusted beside those of the system.
    pub ca: Option<CertificateFile>,
    /// The timeout of one attempt.
    pub timeout: Option<Duration>,
    /// The permitted addresses of the server.
    pub guard: AddressGuard,
}

/// A mail server.
pub struct Email {
    guard: AddressGuard,
    host: String,
    port: u16,
    tls: SmtpTls,
    credentials: Option<Credentials>,
    /// Texts to redact in answers, because a server may repeat them.
    secrets: Vec<String>,
    timeout: Duration,
    files: Vec<PathBuf>,
}

enum SmtpTls {
    Off,
    Implicit(TlsParameters),
    Starttls(TlsParameters),
}

/// Sender and recipients of mails.
#[derive(Clone, Debug)]
pub struct MailAddresses {
    /// The sender.
    pub from: Mailbox,
    /// The recipients.
    pub to: Vec<Mailbox>,
}

/// A mail that is ready to be sent.
#[derive(Debug)]
pub struct Mail {
    message: Message,
    shown: ShownMail,
}

/// A mail as shown in a dry run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ShownMail {
    /// The sender.
    pub from: String,
    /// The recipients.
    pub to: Vec<String>,
    /// The subject.
    pub subject: String,
    /// The text.
    pub text: String,
}

impl EmailOptions {
    /// Reads the files and checks the options.
    ///
    /// # Errors
    /// Returns an error that names the invalid key.
    pub fn connect(self) -> Result<Email> {
        let is_tls = self.url.scheme() == "smtps";
        ensure!(
            is_tls || self.url.scheme() == "smtp",
            "unknown scheme `{}` in `url`; expected `smtp:` or `smtps:`",
            self.url.scheme()
        );
        ensure!(
            self.url.username().is_empty() && self.url.password().is_none(),
            "`url` contains a user name; use `auth: {{ type: basic, … }}`"
        );
        ensure!(self.starttls || !is_tls, "`starttls: false` is only for `smtp:`, but `url` is `smtps:`");
        ensure!(
            self.starttls || self.credentials.is_none(),
            "without TLS the password is sent in plain text; remove `starttls: false` or `auth`"
        );
        let host = self.url.host_str().filter(|host| !host.is_empty()).context("`url` names no host")?;
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let default_port = if is_tls { SUBMISSION_TLS_PORT } else { SUBMISSION_PORT };
        let mut parameters = TlsParameters::builder(host.clone());
        if let Some(ca) = &self.ca {
            for certificate in read_authorities(ca).context("`ca`")? {
                parameters = parameters.add_root_certificate(Certificate::from_der(certificate.to_vec())?);
            }
        }
        // The provider is global; an error means that it is installed already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let parameters = parameters.build_rustls().context("cannot set up TLS")?;
        Ok(Email {
            guard: self.guard,
            port: self.url.port().unwrap_or(default_port),
            host,
            tls: match (is_tls, self.starttls) {
                (true, _) => SmtpTls::Implicit(parameters),
                (false, true) => SmtpTls::Starttls(parameters),
                (false, false) => SmtpTls::Off,
            },
            secrets: self.credentials.iter().flat_map(|(user, password)| secrets(user, password)).collect(),
            credentials: self.credentials.map(|(user, password)| Credentials::new(user, password)),
            timeout: self.timeout.unwrap_or(TIMEOUT),
            files: self.ca.into_iter().map(|ca| ca.path).collect(),
        })
    }
}

impl Email {
    /// Returns the files that the connection was created from.
    pub fn files(&self) -> &[PathBuf] {
        &self.files
    }

    /// Sends a mail.
    pub(super) async fn send(&self, mail: Mail) -> SendResult {
        match tokio::time::timeout(self.timeout, self.try_send(mail)).await {
            Ok(sent) => sent,
            Err(_) => SendResult::Failed(Failure::new(
                Code::Timeout,
                format!("the mail server did not accept the mail in time ({} s)", self.timeout.as_secs_f64()),
            )),
        }
    }

    async fn try_send(&self, mail: Mail) -> SendResult {
        let found = match self.guard.permitted_addresses(&self.host).await {
            Ok(found) => found,
            Err(error) => return SendResult::Failed(error.into()),
        };
        let mut failure = Failure::new(Code::Connect, "the name of the mail server has no address");
        for address in found {
            let server = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(address.ip().to_string());
            let transport: AsyncSmtpTransport<Tokio1Executor> = self.set_up(server).build();
            match transport.send(mail.message.clone()).await {
                Ok(_) => return SendResult::Arrived(None),
                // A permanent refusal would be the same at another address of the server.
                Err(error) if error.is_permanent() && !is_about_password(&error) => {
                    return SendResult::Impossible(self.failure(&error));
                }
                Err(error) if error.status().is_some() => return SendResult::Failed(self.failure(&error)),
                Err(error) => failure = self.failure(&error),
            }
        }
        SendResult::Failed(failure)
    }

    fn failure(&self, error: &smtp::Error) -> Failure {
        let Failure { code, text } = failure_of(error);
        Failure::new(
            code,
            sanitize(&self.secrets.iter().fold(text, |text, secret| text.replace(secret.as_str(), "***"))),
        )
    }

    fn set_up(&self, server: AsyncSmtpTransportBuilder) -> AsyncSmtpTransportBuilder {
        let tls = match &self.tls {
            SmtpTls::Off => Tls::None,
            SmtpTls::Implicit(parameters) => Tls::Wrapper(parameters.clone()),
            SmtpTls::Starttls(parameters) => Tls::Required(parameters.clone()),
        };
        let server = server.port(self.port).timeout(Some(self.timeout)).tls(tls);
        match &self.credentials {
            Some(credentials) => server.credentials(credentials.clone()),
            None => server,
        }
    }
}

/// Shows no password.
impl fmt::Debug for Email {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.debug_struct("Email").field("host", &self.host).field("port", &self.port).finish_non_exhaustive()
    }
}

impl MailAddresses {
    /// Creates a mail. Its `Message-ID` contains the delivery's id, so that a repeated mail can be recognized.
    ///
    /// # Errors
    /// Returns an error if the mail cannot be composed.
    pub(super) fn mail(&self, id: Uuid, subject: &str, text: String) -> Result<Mail> {
        let domain = self.from.email.domain();
        let mut mail = Message::builder()
            .from(self.from.clone())
            .subject(subject)
            .message_id(Some(format!("<{id}@{domain}>")))
            .header(ContentType::TEXT_PLAIN);
        for to in &self.to {
            mail = mail.to(to.clone());
        }
        let shown = ShownMail {
            from: self.from.to_string(),
            to: self.to.iter().map(ToString::to_string).collect(),
            subject: subject.to_owned(),
            text: text.clone(),
        };
        Ok(Mail { message: mail.body(text)?, shown })
    }
}

impl Mail {
    /// Returns the mail as shown in a dry run.
    pub fn shown(&self) -> &ShownMail {
        &self.shown
    }
}

/// Returns a password in plain text and in the encodings of SMTP.
fn secrets(user: &str, password: &str) -> [String; 3] {
    [STANDARD.encode(format!("\0{user}\0{password}")), STANDARD.encode(password), password.to_owned()]
}

/// Returns whether a refusal is about the password: such a refusal is retried, because the password may be corrected.
fn is_about_password(error: &smtp::Error) -> bool {
    let code = error.status().map(|code| code.to_string());
    code.is_some_and(|code| ["530", "534", "535", "538"].contains(&code.as_str()))
}

fn failure_of(error: &smtp::Error) -> Failure {
    if let Some(failure) = Failure::from_tls_cause(error) {
        return failure;
    }
    let code = match error {
        error if error.status().is_some() => Code::Status,
        // The server offers neither STARTTLS nor a supported authentication.
        error if error.is_client() => Code::Tls,
        error if error.is_timeout() => Code::Timeout,
        error if error.is_tls() => Code::Tls,
        error if error.is_response() => Code::Interrupted,
        _ => Code::Connect,
    };
    Failure::new(code, format!("the mail server: {error}"))
}

//! Sends mails over SMTP: only to permitted addresses, and over TLS unless that is switched off.

use super::mail::{Mail, MailProgress};
use super::send_result::SendResult;
use anyhow::{Context, Result, ensure};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hookmill_connection::{AddressGuard, CertificateFile, Code, Failure, read_authorities, sanitize};
use lettre::Address;
use lettre::transport::smtp;
use lettre::transport::smtp::authentication::{Credentials, DEFAULT_MECHANISMS};
use lettre::transport::smtp::client::{AsyncSmtpConnection, Certificate, TlsParameters};
use lettre::transport::smtp::commands::{Data, Mail as MailCommand, Rcpt};
use lettre::transport::smtp::extension::{ClientId, Extension, MailBodyParameter, MailParameter};
use reqwest::Url;
use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use uuid::Uuid;

const SUBMISSION_PORT: u16 = 587;
const SUBMISSION_TLS_PORT: u16 = 465;
const TIMEOUT: Duration = Duration::from_secs(30);
/// The mails whose progress is remembered between attempts; without it, recipients get a mail again.
const PROGRESS_MAX: usize = 1_000;

/// The options of a mail server.
pub struct EmailOptions {
    /// `smtp://HOST[:PORT]`, or `smtps://` for a connection that starts with TLS.
    pub url: Url,
    /// The name that the host gives itself; by default, the name of the machine.
    pub hello: Option<String>,
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
    hello: ClientId,
    tls: SmtpTls,
    credentials: Option<Credentials>,
    /// The progress of mails that some of their recipients have not got yet.
    progress: Mutex<BTreeMap<Uuid, MailProgress>>,
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
            hello: self.hello.map_or_else(ClientId::default, ClientId::Domain),
            progress: Mutex::default(),
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
            match self.send_to(SocketAddr::new(address.ip(), self.port), &mail).await {
                Ok(sent) => return sent,
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

    /// Sends a mail to the recipients that have not got it yet.
    async fn send_to(&self, server: SocketAddr, mail: &Mail) -> Result<SendResult, smtp::Error> {
        let mut connection = self.connect(server).await?;
        let mut progress = self.lock_progress().remove(&mail.id).unwrap_or_default();
        let sent = self.transfer(&mut connection, mail, &mut progress).await;
        match &sent {
            Ok(_) => drop(connection.quit().await),
            Err(_) => connection.abort().await,
        }
        if !progress.delivered.is_empty() && matches!(sent, Err(_) | Ok(SendResult::Unfinished(_))) {
            let mut mails = self.lock_progress();
            mails.insert(mail.id, progress);
            if mails.len() > PROGRESS_MAX {
                mails.pop_first();
            }
        }
        sent
    }

    async fn connect(&self, server: SocketAddr) -> Result<AsyncSmtpConnection, smtp::Error> {
        let implicit = match &self.tls {
            SmtpTls::Implicit(parameters) => Some(parameters.clone()),
            SmtpTls::Starttls(_) | SmtpTls::Off => None,
        };
        let timeout = Some(self.timeout);
        let mut connection = AsyncSmtpConnection::connect_tokio1(server, timeout, &self.hello, implicit, None).await?;
        if let SmtpTls::Starttls(parameters) = &self.tls {
            connection.starttls(parameters.clone(), &self.hello).await?;
        }
        if let Some(credentials) = &self.credentials {
            connection.auth(DEFAULT_MECHANISMS, credentials).await?;
        }
        Ok(connection)
    }

    /// Transfers a mail. A recipient that the server refuses does not keep it from the others.
    async fn transfer(
        &self,
        connection: &mut AsyncSmtpConnection,
        mail: &Mail,
        progress: &mut MailProgress,
    ) -> Result<SendResult, smtp::Error> {
        let (bytes, envelope) = (mail.message.formatted(), mail.message.envelope());
        let server = connection.server_info();
        let mut parameters = Vec::new();
        let mut addresses = envelope.from().into_iter().chain(envelope.to());
        let is_ascii = addresses.all(|address| AsRef::<str>::as_ref(address).is_ascii());
        if !is_ascii && server.supports_feature(Extension::SmtpUtfEight) {
            parameters.push(MailParameter::SmtpUtfEight);
        }
        if !bytes.is_ascii() && server.supports_feature(Extension::EightBitMime) {
            parameters.push(MailParameter::Body(MailBodyParameter::EightBitMime));
        }
        connection.command(MailCommand::new(envelope.from().cloned(), parameters)).await?;
        let (mut accepted, mut last_refusal) = (Vec::new(), None);
        let mut waiting = Vec::new();
        let recipients: Vec<&Address> = envelope.to().iter().filter(|to| !progress.is_done(to)).collect();
        for to in recipients {
            match connection.command(Rcpt::new(to.clone(), Vec::new())).await {
                Ok(_) => accepted.push(to.clone()),
                Err(error) if error.status().is_none() || is_about_password(&error) => return Err(error),
                Err(error) => {
                    let text = format!("{to}: {}", self.failure(&error).text);
                    match error.is_permanent() {
                        true => progress.refused.push((to.clone(), text)),
                        false => waiting.push(text),
                    }
                    last_refusal = Some(error);
                }
            }
        }
        if accepted.is_empty() && progress.delivered.is_empty() {
            // An address that is refused for now may be accepted later; otherwise nothing can change.
            if let (Some(error), true) = (last_refusal, waiting.is_empty()) {
                return Err(error);
            }
            return Ok(SendResult::Failed(Failure::new(Code::Status, waiting.join("; "))));
        }
        if !accepted.is_empty() {
            connection.command(Data).await?;
            connection.message(&bytes).await?;
            progress.delivered.append(&mut accepted);
        }
        Ok(progress.result(&waiting))
    }

    fn lock_progress(&self) -> MutexGuard<'_, BTreeMap<Uuid, MailProgress>> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn failure(&self, error: &smtp::Error) -> Failure {
        let Failure { code, text, .. } = failure_of(error);
        Failure::new(
            code,
            sanitize(&self.secrets.iter().fold(text, |text, secret| text.replace(secret.as_str(), "***"))),
        )
    }
}

/// Shows no password.
impl fmt::Debug for Email {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.debug_struct("Email").field("host", &self.host).field("port", &self.port).finish_non_exhaustive()
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

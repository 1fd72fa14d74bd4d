//! Sends requests.

use super::attempt::Sent;
use super::render::Rendered;
use super::signature::Signature;
use anyhow::{Context, Result, anyhow, ensure};
use hookmill_connection::{Answer, Authentication, Code, Connection, Failure, require_http};
use hookmill_incident::timestamp::unix_ms;
use percent_encoding::percent_decode_str;
use reqwest::Url;
use reqwest::header::HeaderName;
use uuid::Uuid;

/// Connections to one receiver, and who the host is there.
#[derive(Debug)]
pub struct Http {
    /// The way there.
    pub connection: Connection,
    authentication: Authentication,
    signature: Signature,
    /// What says who sends goes to no other scheme, host or port.
    url: Url,
    /// What of the URL is a secret, where the URL is one.
    secret_path: Option<String>,
}

impl Http {
    /// As configured, with a URL whose user name is taken out of it, so that it goes where `auth` goes and nowhere else.
    ///
    /// # Errors
    /// When the URL is no HTTP URL, or says who sends where `auth` says it too.
    pub fn new(
        url: &mut Url,
        connection: Connection,
        mut authentication: Authentication,
        signature: Signature,
    ) -> Result<Self> {
        require_http(url, "url")?;
        if !url.username().is_empty() || url.password().is_some() {
            ensure!(authentication.is_none(), "`url` has a user name in it, and there is `auth`; remove one of them");
            let decoded = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
            let (username, password) = (decoded(url.username()), decoded(url.password().unwrap_or_default()));
            authentication = Authentication::basic(&username, &password).context("`url`")?;
            let emptied = url.set_password(None).and_then(|()| url.set_username(""));
            emptied.map_err(|()| anyhow!("`url` cannot have a user name; use `auth`"))?;
        }
        Ok(Self { connection, authentication, signature, url: url.clone(), secret_path: None })
    }

    /// The same at a URL that whoever knows it can write to.
    pub fn with_secret_path(self) -> Self {
        let url = &self.url;
        let path = url.query().map_or_else(|| url.path().to_owned(), |query| format!("{}?{query}", url.path()));
        Self { secret_path: Some(path).filter(|path| path.len() > 1), ..self }
    }

    /// Headers that nobody else can set.
    pub fn own_headers(&self) -> Vec<HeaderName> {
        self.authentication.header_name().cloned().into_iter().chain(self.signature.header_names()).collect()
    }

    /// Sends a request with everything that says who sends it.
    pub(super) async fn send(&self, id: Uuid, rendered: Rendered) -> Sent {
        match self.request(id, rendered).await {
            Ok(answer) => answer.into(),
            Err(failure) => Sent::Failed(failure),
        }
    }

    /// The answer to a request, whatever it is.
    pub(super) async fn request(&self, id: Uuid, rendered: Rendered) -> Result<Answer, Failure> {
        let Rendered { method, url, mut headers, body } = rendered;
        if url.origin() != self.url.origin() {
            return Err(Failure::new(Code::Request, "it was made for another address than the destination now has"));
        }
        // These take the place of whatever a notifier or a template said.
        headers.extend(self.signature.headers(&id.to_string(), unix_ms(), &body)?);
        self.authentication.apply(&mut headers);
        let response = self.connection.send(method, url, headers, body).await?;
        let mut answer = Answer::read(response, &self.authentication).await;
        if let Some(path) = &self.secret_path {
            answer.text = answer.text.replace(path.as_str(), "/***");
        }
        Ok(answer)
    }
}

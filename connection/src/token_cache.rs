//! The token of one destination or source, which is requested when it is needed and kept until shortly before its end.

use crate::client::{Connection, Request};
use crate::login::Login;
use crate::oauth2::OAuth2;
use crate::secrets::Secrets;
use crate::token::Token;
use crate::{Answer, Code, Failure, sanitize};
use anyhow::Result;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderName};
use reqwest::{Response, StatusCode, Url};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::time::{timeout, timeout_at};

/// The largest answer with a token.
const ANSWER_BYTES_MAX: usize = 64 * 1024;
/// The time for which a failure is the result of further requests for a token.
const FAILURE_PAUSE: Duration = Duration::from_secs(1);

/// The server that issues tokens.
#[derive(PartialEq)]
pub(crate) enum TokenIssuer {
    OAuth2(Box<OAuth2>),
    Login(Box<Login>),
}

/// An issuer with its last token.
pub(crate) struct TokenCache {
    pub issuer: TokenIssuer,
    /// One user requests a token at a time; the others wait for it.
    refresh: tokio::sync::Mutex<()>,
    state: Mutex<TokenState>,
}

#[derive(Default)]
struct TokenState {
    current: Option<Arc<Token>>,
    /// The token before, which late answers may repeat.
    previous: Option<Arc<Token>>,
    /// The last failure, and when the next request may follow.
    failed: Option<(Failure, Instant)>,
}

impl TokenIssuer {
    fn url(&self) -> &Url {
        match self {
            Self::OAuth2(client) => &client.token_url,
            Self::Login(login) => &login.url,
        }
    }

    fn request(&self, now_ms: i64) -> Result<(Request, Secrets)> {
        match self {
            Self::OAuth2(client) => client.request(now_ms),
            Self::Login(login) => login.request(),
        }
    }

    fn is_success(&self, status: StatusCode) -> bool {
        match self {
            Self::OAuth2(_) => status.is_success(),
            Self::Login(login) => login.is_success(status),
        }
    }

    fn token(&self, headers: &HeaderMap, document: &[u8]) -> Result<Token> {
        match self {
            Self::OAuth2(_) => OAuth2::token(document),
            Self::Login(login) => login.token(headers, document),
        }
    }

    pub fn header_name(&self) -> HeaderName {
        match self {
            Self::OAuth2(_) => AUTHORIZATION,
            Self::Login(login) => login.header_name(),
        }
    }

    pub fn files(&self) -> &[PathBuf] {
        match self {
            Self::OAuth2(client) => client.proof.files(),
            Self::Login(_) => &[],
        }
    }

    /// Returns whether a server's answer means that the token is not valid any more.
    pub fn is_refusal(&self, status: StatusCode) -> bool {
        match self {
            Self::OAuth2(_) => status == StatusCode::UNAUTHORIZED,
            Self::Login(login) => login.is_refusal(status),
        }
    }
}

impl TokenCache {
    pub fn new(issuer: TokenIssuer) -> Self {
        Self { issuer, refresh: tokio::sync::Mutex::default(), state: Mutex::default() }
    }

    /// Returns the token, and requests it if there is none that is valid. `refused` is a token that was not accepted, and
    /// `end` the end of the attempt that needs the token.
    pub async fn token(
        &self,
        connection: &Connection,
        refused: Option<&Arc<Token>>,
        end: Instant,
        now_ms: i64,
    ) -> Result<Arc<Token>, Failure> {
        if let Some(token) = self.valid(refused) {
            return Ok(token);
        }
        let Ok(_turn) = timeout_at(end.into(), self.refresh.lock()).await else {
            return Err(self.late("others wait for its answer"));
        };
        // Another user may have requested a token in the meantime.
        if let Some(token) = self.valid(refused) {
            return Ok(token);
        }
        if let Some(failure) = self.recent_failure() {
            return Err(failure);
        }
        // The other half of the time is for the request that needs the token.
        let (half, left) = (connection.timeout() / 2, end.saturating_duration_since(Instant::now()));
        let requested = match timeout(half.min(left), self.request(connection, now_ms)).await {
            Ok(requested) => requested.map_err(|failure| self.named(failure)),
            Err(_) if left < half => Err(self.late("it did not answer in the rest of `timeout`")),
            Err(_) => {
                Err(self.late(&format!("it did not answer in time ({} s, half of `timeout`)", half.as_secs_f64())))
            }
        };
        self.keep(requested)
    }

    fn late(&self, text: &str) -> Failure {
        self.named(Failure::new(Code::Timeout, text))
    }

    /// Adds the name of the server to a failure.
    fn named(&self, failure: Failure) -> Failure {
        let server = self.issuer.url().host_str().unwrap_or_default();
        Failure { text: format!("no token from {server}: {}", failure.text), ..failure }
    }

    /// Adds the tokens that a server's answer may repeat.
    pub fn add_secrets(&self, secrets: &mut Secrets) {
        self.with_state(|state| {
            let tokens = state.current.iter().chain(&state.previous);
            secrets.extend(tokens.map(|token| token.text.clone()));
        });
    }

    async fn request(&self, connection: &Connection, now_ms: i64) -> Result<Token, Failure> {
        let (request, secrets) = self.issuer.request(now_ms)?;
        let response: Response = connection.send(request).await?;
        let headers = response.headers().clone();
        let (answer, document) = Answer::read_document(response, &secrets, ANSWER_BYTES_MAX + 1, now_ms).await;
        if !self.issuer.is_success(answer.status) {
            return Err(answer.failure());
        }
        let wrong = |text: &str| Failure::new(Code::Answer, sanitize(&secrets.redact(text)));
        if document.len() > ANSWER_BYTES_MAX {
            return Err(wrong("its answer is longer than 64 KiB"));
        }
        self.issuer.token(&headers, &document).map_err(|error| wrong(&error.to_string()))
    }

    fn valid(&self, refused: Option<&Arc<Token>>) -> Option<Arc<Token>> {
        self.with_state(|state| {
            let is_valid = |token: &Arc<Token>| {
                token.until > Instant::now() && refused.is_none_or(|refused| !Arc::ptr_eq(token, refused))
            };
            state.current.clone().filter(is_valid)
        })
    }

    /// Returns a failure that is not over yet, with the rest of the wait that the server asked for.
    fn recent_failure(&self) -> Option<Failure> {
        self.with_state(|state| {
            let (failure, until) = state.failed.clone()?;
            let left = until.checked_duration_since(Instant::now())?;
            Some(Failure { asked_wait: failure.asked_wait.map(|_| left), ..failure })
        })
    }

    fn keep(&self, requested: Result<Token, Failure>) -> Result<Arc<Token>, Failure> {
        self.with_state(|state| match requested {
            Ok(token) => {
                let token = Arc::new(token);
                state.previous = state.current.replace(token.clone());
                state.failed = None;
                Ok(token)
            }
            Err(failure) => {
                let pause = failure.asked_wait.unwrap_or(FAILURE_PAUSE);
                state.failed = Some((failure.clone(), Instant::now() + pause));
                Err(failure)
            }
        })
    }

    fn with_state<T>(&self, read: impl FnOnce(&mut TokenState) -> T) -> T {
        read(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

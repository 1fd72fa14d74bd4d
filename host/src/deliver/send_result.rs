//! The result of sending one message.

use hookmill_connection::{Answer, Failure};
use hookmill_store::Attempt;

/// The result of sending one message.
#[derive(Debug)]
pub(super) enum SendResult {
    /// The receiver accepted the message; with its answer, if the channel has answers.
    Arrived(Option<Answer>),
    /// There is nothing to send, for this reason.
    Skipped(String),
    /// The receiver answered with a status other than success.
    Refused(Answer),
    /// The message did not arrive; another attempt may succeed.
    Failed(Failure),
    /// The message cannot be sent, now or later.
    Impossible(Failure),
}

impl From<Answer> for SendResult {
    fn from(answer: Answer) -> Self {
        if answer.status.is_success() { Self::Arrived(Some(answer)) } else { Self::Refused(answer) }
    }
}

impl SendResult {
    /// Returns the attempt as it is stored.
    pub fn into_attempt(self, at: i64, duration_ms: i64) -> Attempt {
        let attempt = Attempt { at, duration_ms, http_status: None, code: None, error: None, answer: None };
        let failed = |failure: Failure| (Some(failure.code.as_str()), Some(failure.to_string()));
        match self {
            Self::Arrived(None) => attempt,
            Self::Arrived(Some(answer)) => {
                Attempt { http_status: Some(answer.status.as_u16()), answer: Some(answer.text), ..attempt }
            }
            Self::Skipped(reason) => Attempt { error: Some(reason), ..attempt },
            Self::Refused(answer) => {
                let (code, error) = failed(Failure::status(answer.status, &answer.text));
                Attempt { http_status: Some(answer.status.as_u16()), code, error, answer: Some(answer.text), ..attempt }
            }
            Self::Failed(failure) | Self::Impossible(failure) => {
                let (code, error) = failed(failure);
                Attempt { code, error, ..attempt }
            }
        }
    }
}

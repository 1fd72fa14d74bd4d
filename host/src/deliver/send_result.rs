//! The result of sending one message.

use hookmill_connection::{Answer, Failure};
use hookmill_store::{ASKED_TO_WAIT, Attempt};

/// The result of sending one message.
#[derive(Debug)]
pub(super) enum SendResult {
    /// The receiver accepted the message; with its answer, if the channel has answers.
    Arrived(Option<Answer>),
    /// The receiver accepted the message without some of its parts, which the text names.
    Partial(Option<Answer>, String),
    /// Some recipients have the message; another attempt is for the others only.
    Unfinished(Failure),
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
        let failed = |failure: Failure| {
            let code = failure.asked_wait.map_or(failure.code.as_str(), |_| ASKED_TO_WAIT);
            (Some(code), Some(failure.to_string()))
        };
        match self {
            Self::Arrived(None) => attempt,
            Self::Arrived(Some(answer)) => {
                Attempt { http_status: Some(answer.status.as_u16()), answer: Some(answer.text), ..attempt }
            }
            Self::Partial(answer, text) => Attempt {
                http_status: answer.as_ref().map(|answer| answer.status.as_u16()),
                error: Some(text),
                answer: answer.map(|answer| answer.text),
                ..attempt
            },
            Self::Skipped(reason) => Attempt { error: Some(reason), ..attempt },
            Self::Refused(answer) => {
                let (code, error) = failed(answer.failure());
                Attempt { http_status: Some(answer.status.as_u16()), code, error, answer: Some(answer.text), ..attempt }
            }
            Self::Failed(failure) | Self::Unfinished(failure) | Self::Impossible(failure) => {
                let (code, error) = failed(failure);
                Attempt { code, error, ..attempt }
            }
        }
    }
}

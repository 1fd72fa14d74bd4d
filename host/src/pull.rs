//! Pulls sources: connects to a server, reads new items and passes them to the pipeline. The position reached in a
//! source is stored in the same transaction as the items up to it.

mod backoff;
mod condition;
mod detail;
mod dry_run;
mod endpoint;
mod files;
mod follow;
mod intake;
mod item;
mod links;
mod list_splice;
mod opencti;
mod operations;
mod pointer;
mod poll;
mod poll_run;
mod poll_window;
mod polled_page;
mod position;
mod puller;
mod read;
mod read_error;
mod read_page;
mod request_body;
mod request_text;
mod rest_request;
mod settings;
mod sse;
mod start;

pub use condition::Condition;
pub use detail::{Detail, DetailPages};
pub use endpoint::Endpoint;
pub use files::{Files, HostPattern};
pub use opencti::OpenctiStream;
pub use operations::Operations;
pub use pointer::Pointer;
pub use poll::{Follow, Paging, Poll, PollQuery};
pub use poll_window::PollWindow;
pub use puller::Puller;
pub use request_body::RequestBody;
pub use request_text::{Placeholder, RequestText, TimeFormat};
pub use rest_request::{PollMethod, RestRequest};
pub use settings::{Pull, PullReader, Pulls};
pub use sse::{Frame, FrameParser};
pub use start::Start;

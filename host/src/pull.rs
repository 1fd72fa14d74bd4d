//! Pulls sources: connects to a server, reads new items and passes them to the pipeline. The position reached in a
//! source is stored in the same transaction as the items up to it.

mod backoff;
mod detail;
mod dry_run;
mod endpoint;
mod intake;
mod item;
mod links;
mod opencti;
mod pointer;
mod poll;
mod puller;
mod read;
mod read_error;
mod request_body;
mod request_text;
mod rest_request;
mod settings;
mod sse;
mod start;

pub use detail::Detail;
pub use endpoint::Endpoint;
pub use opencti::OpenctiStream;
pub use pointer::Pointer;
pub use poll::{Paging, Poll, PollQuery};
pub use puller::Puller;
pub use request_body::RequestBody;
pub use request_text::{Placeholder, RequestText, TimeFormat};
pub use rest_request::{PollMethod, RestRequest};
pub use settings::{Pull, PullReader, Pulls};
pub use sse::{Frame, FrameParser};
pub use start::Start;

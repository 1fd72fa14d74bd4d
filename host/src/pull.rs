//! Pulls sources: connects to a server, reads new items and passes them to the pipeline. The position reached in a
//! source is stored in the same transaction as the items up to it.

mod backoff;
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
mod settings;
mod since;
mod sse;
mod start;

pub use endpoint::Endpoint;
pub use opencti::OpenctiStream;
pub use pointer::Pointer;
pub use poll::{Poll, PollQuery};
pub use puller::Puller;
pub use settings::{Pull, PullReader, Pulls};
pub use since::{SinceText, TimeFormat};
pub use sse::{Frame, FrameParser};
pub use start::Start;

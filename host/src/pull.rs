//! Reads sources that do not send payloads by themselves: connects to a server and hands new items to the pipeline. The
//! position reached in a source is stored in the same transaction as the items up to it.
//!
//! Each file imports only files above it in this list: `since`, `sse`, `pointer`, `links`, `item`, `read_error`, `backoff`,
//! `start`, `endpoint`, `poll`, `opencti`, `settings`, `intake`, `read`, `puller`, `dry_run`.

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
pub use start::Start;

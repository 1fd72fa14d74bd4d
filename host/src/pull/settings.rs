//! The declaration of sources that the host reads.

use super::endpoint::Endpoint;
use super::opencti::OpenctiStream;
use super::poll::Poll;
use super::start::Start;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The settings for reading one source.
#[derive(Debug)]
pub struct Pull {
    /// The server.
    pub endpoint: Endpoint,
    /// The position to start at.
    pub start: Start,
    /// The protocol.
    pub reader: PullReader,
    /// A digest of the source's declaration and of the files that the declaration names.
    pub fingerprint: u64,
}

/// The protocol of a source that the host reads.
#[derive(Debug)]
pub enum PullReader {
    /// `opencti-stream`.
    Opencti(OpenctiStream),
    /// `graphql-poll` and `http-poll`.
    Poll(Box<Poll>),
}

/// The settings of every source that the host reads, by the source's name.
pub type Pulls = BTreeMap<Arc<str>, Arc<Pull>>;

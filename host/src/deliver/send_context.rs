//! The context of sending one message.

use crate::traces::Trace;
use hookmill_incident::Clock;
use uuid::Uuid;

/// The parts that all requests of one attempt have in common.
#[derive(Clone, Copy, Debug)]
pub(super) struct SendContext<'a> {
    /// The id of the delivery.
    pub id: Uuid,
    /// The clock of signatures and of waits.
    pub clock: &'a Clock,
    /// The trace of the attempt.
    pub trace: &'a Trace,
}

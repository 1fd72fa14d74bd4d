//! The parts of the host that deliveries need.

use super::destination::Notifications;
use super::queue_reader::QueueReader;
use crate::loaded::Loaded;
use crate::metrics::Metrics;
use crate::traces::Traces;
use arc_swap::ArcSwap;
use hookmill_store::Store;
use std::sync::Arc;

/// The delivery context: everything that attempts need besides their destination.
#[derive(Debug)]
pub(super) struct DeliveryContext {
    pub store: Arc<Store>,
    pub queues: QueueReader,
    pub loaded: Arc<Loaded>,
    pub metrics: Arc<Metrics>,
    pub traces: Traces,
    pub notifications: ArcSwap<Notifications>,
    pub public_url: ArcSwap<String>,
}

impl DeliveryContext {
    pub fn new(store: Arc<Store>, loaded: Arc<Loaded>, metrics: Arc<Metrics>, traces: Traces) -> Self {
        let (notifications, public_url) = (ArcSwap::default(), ArcSwap::default());
        let queues = QueueReader::start(&store);
        Self { store, queues, loaded, metrics, traces, notifications, public_url }
    }
}

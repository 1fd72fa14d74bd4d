//! The bodies whose senders have not sent everything yet. These senders are not verified, so that each address and
//! each source may use only a share of the memory, and a body that does not progress gives way to others.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::Notify;

/// One in this many bytes may be used by the unfinished bodies of one address. Four attackers at four addresses can use
/// all memory; then the bodies that do not progress give way.
const ADDRESS_SHARE: usize = 4;
/// One in this many bytes may be used by the unfinished bodies of one source, so that an attack on one source leaves
/// memory to the others.
const SOURCE_SHARE: usize = 2;
/// The progress that counts. A sender that sends single bytes does not progress.
const PROGRESS_BYTES: usize = 16 * 1024;
/// A body without progress for this long gives way when memory is short. Slow networks deliver more in this time.
const STALLED_AFTER: Duration = Duration::from_secs(1);
/// A body without progress for this long is refused in any case: the least rate is 16 KiB in ten seconds.
pub const PROGRESS_TIMEOUT: Duration = Duration::from_secs(10);

/// The sender of a body, as far as it is known before the body is verified. Bodies of authorized clients of the API have
/// neither address nor source, and so no share.
#[derive(Clone, Debug, Default)]
pub struct BodyOrigin {
    /// The network of the sender's address.
    pub network: Option<IpAddr>,
    /// The name of the source.
    pub source: Option<Arc<str>>,
}

/// All unfinished bodies.
#[derive(Debug)]
pub struct UnfinishedBodies {
    address_bytes_max: usize,
    source_bytes_max: usize,
    bodies: Mutex<Registered>,
}

#[derive(Debug, Default)]
struct Registered {
    by_age: BTreeMap<u64, Unfinished>,
    next: u64,
    by_address: HashMap<IpAddr, usize>,
    by_source: HashMap<Arc<str>, usize>,
}

#[derive(Debug)]
struct Unfinished {
    origin: BodyOrigin,
    bytes: usize,
    progressed_at: Instant,
    gives_way: bool,
    give_way: Arc<Notify>,
}

/// One unfinished body, which is finished when this value is dropped.
#[derive(Debug)]
pub struct UnfinishedBody<'b> {
    all: &'b UnfinishedBodies,
    number: u64,
    give_way: Arc<Notify>,
    progressed_at: Instant,
    received_bytes: usize,
    bytes_max: usize,
}

impl BodyOrigin {
    fn shares_with(&self, other: &Self) -> bool {
        let is_same_network = self.network.is_some() && self.network == other.network;
        is_same_network || (self.source.is_some() && self.source == other.source)
    }
}

impl UnfinishedBodies {
    /// Limits the shares of `memory_bytes`.
    pub fn new(memory_bytes: usize) -> Self {
        Self {
            address_bytes_max: memory_bytes / ADDRESS_SHARE,
            source_bytes_max: memory_bytes / SOURCE_SHARE,
            bodies: Mutex::default(),
        }
    }

    /// Adds a body of at most `bytes_max` bytes, which uses no memory yet.
    pub fn add(&self, origin: BodyOrigin, bytes_max: usize) -> UnfinishedBody<'_> {
        let (give_way, progressed_at) = (Arc::new(Notify::new()), Instant::now());
        let mut bodies = self.lock();
        let number = bodies.next;
        bodies.next += 1;
        let entry = Unfinished { origin, bytes: 0, progressed_at, gives_way: false, give_way: give_way.clone() };
        bodies.by_age.insert(number, entry);
        UnfinishedBody { all: self, number, give_way, progressed_at, received_bytes: 0, bytes_max }
    }

    /// Lets bodies without progress give way, the longest without progress first, until they free this many bytes.
    pub fn make_room(&self, bytes: usize) {
        self.make_room_among(bytes, |_| true);
    }

    fn make_room_among(&self, bytes: usize, is_in_scope: impl Fn(&Unfinished) -> bool) {
        let now = Instant::now();
        let mut bodies = self.lock();
        let mut stalled: Vec<&mut Unfinished> = bodies
            .by_age
            .values_mut()
            .filter(|entry| entry.bytes > 0 && now.duration_since(entry.progressed_at) >= STALLED_AFTER)
            .filter(|entry| is_in_scope(entry))
            .collect();
        stalled.sort_by_key(|entry| (!entry.gives_way, entry.progressed_at));
        let mut freed = 0;
        for entry in stalled {
            if freed >= bytes {
                break;
            }
            freed += entry.bytes;
            if !std::mem::replace(&mut entry.gives_way, true) {
                entry.give_way.notify_one();
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Registered> {
        self.bodies.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl UnfinishedBody<'_> {
    /// Takes memory within the shares of the body's address and source. Returns whether there was enough. A single body
    /// always fits.
    pub fn take(&self, bytes: usize) -> bool {
        let (address_max, source_max) =
            (self.all.address_bytes_max.max(self.bytes_max), self.all.source_bytes_max.max(self.bytes_max));
        let mut bodies = self.all.lock();
        let Registered { by_age, by_address, by_source, .. } = &mut *bodies;
        let Some(entry) = by_age.get_mut(&self.number) else { return true };
        let BodyOrigin { network, source } = &entry.origin;
        let of_address = network.map(|network| (by_address.entry(network).or_default(), address_max));
        let of_source = source.clone().map(|source| (by_source.entry(source).or_default(), source_max));
        let mut shares = [of_address, of_source];
        let fits = shares.iter().flatten().all(|(used, max)| **used + bytes <= *max);
        if fits {
            shares.iter_mut().flatten().for_each(|(used, _)| **used += bytes);
            entry.bytes += bytes;
        }
        fits
    }

    /// Lets bodies without progress give way to this one, among those of the same address or source.
    pub fn make_room_in_share(&self, bytes: usize) {
        let Some(origin) = self.all.lock().by_age.get(&self.number).map(|entry| entry.origin.clone()) else { return };
        self.all.make_room_among(bytes, |entry| origin.shares_with(&entry.origin));
    }

    /// Records bytes that arrived.
    pub fn received(&mut self, bytes: usize) {
        self.received_bytes += bytes;
        if self.received_bytes >= PROGRESS_BYTES {
            (self.received_bytes, self.progressed_at) = (0, Instant::now());
            if let Some(entry) = self.all.lock().by_age.get_mut(&self.number) {
                entry.progressed_at = self.progressed_at;
            }
        }
    }

    /// Waits until the body has to give way to another one.
    pub async fn gives_way(&self) {
        self.give_way.notified().await;
    }

    /// Returns the time until which the body has to progress.
    pub fn deadline(&self) -> Instant {
        self.progressed_at + PROGRESS_TIMEOUT
    }
}

impl Drop for UnfinishedBody<'_> {
    fn drop(&mut self) {
        let mut bodies = self.all.lock();
        let Some(Unfinished { origin, bytes, .. }) = bodies.by_age.remove(&self.number) else { return };
        release(&mut bodies.by_address, origin.network, bytes);
        release(&mut bodies.by_source, origin.source, bytes);
    }
}

fn release<K: Hash + Eq>(shares: &mut HashMap<K, usize>, key: Option<K>, bytes: usize) {
    let Some(Entry::Occupied(mut share)) = key.map(|key| shares.entry(key)) else { return };
    *share.get_mut() -= bytes;
    if *share.get() == 0 {
        share.remove();
    }
}

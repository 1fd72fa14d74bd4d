//! The leases of a host: which work it does.
//!
//! A thread with a connection of its own renews the leases of the host and its row in `hosts`, acquires those that tasks
//! wait for, and releases those that were dropped. Expiry is judged by the database's clock. The host counts the time that
//! it still holds a lease by its monotonic clock, from before the renewal was sent, so that it stops earlier than another
//! host begins.

use super::Address;
use super::hosts::{self, LEASE_TIME};
use super::lease_rows;
use super::lease_share::LeaseView;
use super::time;
use crate::clock::WriteClock;
use crate::leases::{Grant, Lease, LeaseName, Leases, Tenure};
use crate::options::HostIdentity;
use anyhow::Result;
use std::collections::BTreeMap;
use std::fmt;
use std::future::pending;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio::sync::{Notify, oneshot, watch};
use tokio::time::timeout;
use tokio_postgres::Client;
use tracing::{debug, info, warn};

/// A host takes its leases for lost so much earlier than the database does.
const MARGIN: Duration = Duration::from_secs(1);
const RENEW_EVERY: Duration = Duration::from_secs(2);
/// The longest time for a round of statements. After two rounds that fail, there is still time for a third.
const ROUND_MAX: Duration = Duration::from_secs(3);
const TRY_AGAIN_AFTER: Duration = Duration::from_millis(500);

/// The leases of one host.
pub(crate) struct HostLeases {
    shared: Arc<Shared>,
    stop: watch::Sender<bool>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl fmt::Debug for HostLeases {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.debug_struct("HostLeases").field("host", &self.shared.host.id).finish_non_exhaustive()
    }
}

struct Shared {
    host: HostIdentity,
    state: Mutex<State>,
    /// The plugin versions that the host has loaded, in JSON.
    plugins: Mutex<String>,
    /// A task waits for a lease, or one was dropped.
    wake: Arc<Notify>,
}

/// The leases by their names in the table.
#[derive(Default)]
struct State {
    held: BTreeMap<String, Held>,
    waiting: BTreeMap<String, Waiting>,
}

struct Held {
    grant: Grant,
    /// Its receivers are the holders.
    tenure: watch::Sender<Tenure>,
}

struct Waiting {
    name: Arc<LeaseName>,
    answers: Vec<oneshot::Sender<Lease>>,
}

impl HostLeases {
    /// Starts the thread of a host that has a row in `hosts`.
    pub fn start(address: Address, host: HostIdentity, clock: Arc<WriteClock>) -> Result<Self> {
        let plugins = Mutex::new("[]".into());
        let shared = Arc::new(Shared { host, state: Mutex::default(), plugins, wake: Arc::default() });
        let (stop, stopped) = watch::channel(false);
        let keeper = Keeper { shared: shared.clone(), address, clock, client: None };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let thread = std::thread::Builder::new().name("leases".into());
        let thread = thread.spawn(move || runtime.block_on(keeper.run(stopped)))?;
        Ok(Self { shared, stop, thread: Mutex::new(Some(thread)) })
    }

    /// Returns the id of the host.
    pub fn host(&self) -> &str {
        &self.shared.host.id
    }

    /// Returns the names of the leases that the host holds.
    pub fn held(&self) -> Vec<String> {
        let state = self.shared.lock();
        state.held.iter().filter(|(_, held)| !held.is_lost()).map(|(name, _)| name.clone()).collect()
    }

    /// Sets the plugin versions in the row of the host, in JSON. They are written with the next renewal.
    pub fn set_plugins(&self, plugins: String) {
        *self.shared.plugins.lock().unwrap_or_else(PoisonError::into_inner) = plugins;
    }

    /// Releases every lease and removes the row of the host. Blocks.
    pub fn close(&self) {
        self.stop.send_replace(true);
        if let Some(thread) = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take() {
            let _ = thread.join();
        }
    }
}

impl Leases for HostLeases {
    async fn acquire(&self, name: LeaseName) -> Lease {
        let answer = {
            let mut state = self.shared.lock();
            let key = name.to_string();
            if let Some(lease) = state.held.get(&key).map(|held| held.lease(&self.shared.wake))
                && lease.goes_on()
            {
                return lease;
            }
            let (answer, granted) = oneshot::channel();
            let waiting = state.waiting.entry(key);
            waiting.or_insert_with(|| Waiting { name: Arc::new(name), answers: Vec::new() }).answers.push(answer);
            granted
        };
        self.shared.wake.notify_one();
        match answer.await {
            Ok(lease) => lease,
            // The store is closed: nothing is granted any more.
            Err(_) => pending().await,
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Held {
    fn lease(&self, wake: &Arc<Notify>) -> Lease {
        Lease::new(self.grant.clone(), self.tenure.subscribe(), wake.clone())
    }

    fn is_dropped(&self) -> bool {
        self.tenure.receiver_count() == 0
    }

    fn is_lost(&self) -> bool {
        self.tenure.borrow().until <= Instant::now()
    }
}

impl State {
    /// Forgets leases that were dropped or lost, and returns the names of those to release.
    fn forget_ended(&mut self) -> Vec<String> {
        let mut dropped = Vec::new();
        self.held.retain(|name, held| {
            if held.is_lost() {
                warn!("the lease {name} is lost: it was not renewed in time");
                return false;
            }
            if held.is_dropped() {
                dropped.push(name.clone());
            }
            !held.is_dropped()
        });
        self.waiting.retain(|_, waiting| {
            waiting.answers.retain(|answer| !answer.is_closed());
            !waiting.answers.is_empty()
        });
        dropped
    }

    /// Records which leases were renewed. The others are lost.
    fn renewed(&mut self, names: &[String], renewed: &BTreeMap<String, u64>, until: Instant) {
        for name in names {
            let Some(held) = self.held.get(name) else { continue };
            if renewed.get(name) == Some(&held.grant.epoch) {
                held.tenure.send_modify(|tenure| tenure.until = until);
            } else {
                warn!("the lease {name} is lost: another host has it");
                held.tenure.send_modify(|tenure| tenure.until = Instant::now());
                self.held.remove(name);
            }
        }
    }

    /// Gives the tasks that wait the leases that were taken.
    fn granted(&mut self, taken: BTreeMap<String, u64>, until: Instant, wake: &Arc<Notify>) {
        for (name, epoch) in taken {
            let Some(Waiting { name: work, answers }) = self.waiting.remove(&name) else { continue };
            let tenure = watch::Sender::new(Tenure { until, is_asked_for: false });
            let held = Held { grant: Grant { name: work, epoch }, tenure };
            debug!("lease {name}, epoch {epoch}");
            for answer in answers {
                // A lease that nobody takes is dropped, and released in the next round.
                let _ = answer.send(held.lease(wake));
            }
            self.held.insert(name, held);
        }
    }

    fn ask_for(&self, names: &[String]) {
        for name in names {
            if let Some(held) = self.held.get(name) {
                info!("the lease {name} goes to another host");
                held.tenure.send_modify(|tenure| tenure.is_asked_for = true);
            }
        }
    }
}

/// The thread that keeps the leases of the host.
struct Keeper {
    shared: Arc<Shared>,
    address: Address,
    clock: Arc<WriteClock>,
    client: Option<Client>,
}

impl Keeper {
    async fn run(mut self, mut stopped: watch::Receiver<bool>) {
        let mut renew_at = Instant::now();
        loop {
            let is_due = Instant::now() >= renew_at;
            let round = timeout(ROUND_MAX, self.round(is_due)).await.unwrap_or_else(|late| Err(late.into()));
            let is_away = round.is_err();
            if let Err(error) = round {
                debug!("the leases cannot be renewed, will try again: {error:#}");
                self.client = None;
                renew_at = Instant::now() + TRY_AGAIN_AFTER;
            } else if is_due {
                renew_at = Instant::now() + RENEW_EVERY;
            }
            tokio::select! {
                biased;
                _ = stopped.wait_for(|stopped| *stopped) => break,
                () = self.shared.wake.notified(), if !is_away => {}
                () = tokio::time::sleep_until(renew_at.into()) => {}
            }
        }
        if let Err(error) = timeout(ROUND_MAX, self.leave()).await.unwrap_or_else(|late| Err(late.into())) {
            warn!("the leases of this host are not released, and expire: {error:#}");
        }
    }

    async fn client(&mut self) -> Result<&Client> {
        let client = match self.client.take() {
            Some(client) if !client.is_closed() => client,
            _ => self.address.connect().await?.0,
        };
        Ok(self.client.insert(client))
    }

    /// Releases, renews and acquires. Renewals are not needed in every round.
    async fn round(&mut self, renews: bool) -> Result<()> {
        let (shared, clock) = (self.shared.clone(), self.clock.clone());
        let host = &shared.host.id;
        let client = self.client().await?;
        let dropped = shared.lock().forget_ended();
        if !dropped.is_empty() {
            lease_rows::release(client, host, &dropped).await?;
        }
        if renews {
            let names: Vec<String> = shared.lock().held.keys().cloned().collect();
            let sent_at = Instant::now();
            let renewed = lease_rows::renew(client, host, &names).await?;
            shared.lock().renewed(&names, &renewed, sent_at + LEASE_TIME - MARGIN);
        }
        let waiting: Vec<String> = shared.lock().waiting.keys().cloned().collect();
        if !renews && waiting.is_empty() {
            return Ok(());
        }
        let leases = lease_rows::list(client).await?;
        let mut view = LeaseView { host, leases, waiting: &waiting, others: Vec::new() };
        view.others = hosts::live_others(client, host).await?;
        if renews {
            let plugins = shared.plugins.lock().unwrap_or_else(PoisonError::into_inner).clone();
            if !hosts::put_seen(client, host, &view.wanted(), &plugins).await? {
                clock.set_slot(hosts::register(client, &shared.host).await?);
                warn!(
                    "this host was away from the database for so long that it was forgotten, and is registered again"
                );
            }
            shared.lock().ask_for(&view.excess());
            time::follow(client, clock.times()).await?;
        }
        let wanted = view.takeable();
        if !wanted.is_empty() {
            let sent_at = Instant::now();
            let taken = lease_rows::take(client, host, &wanted).await?;
            shared.lock().granted(taken, sent_at + LEASE_TIME - MARGIN, &shared.wake);
        }
        Ok(())
    }

    async fn leave(&mut self) -> Result<()> {
        let shared = self.shared.clone();
        let client = self.client().await?;
        lease_rows::release_all(client, &shared.host.id).await?;
        hosts::remove(client, &shared.host.id).await
    }
}

#[cfg(test)]
mod tests {
    use super::{HostLeases, LEASE_TIME};
    use crate::clock::WriteClock;
    use crate::leases::{Grant, Lease, LeaseName, Leases};
    use crate::options::HostIdentity;
    use crate::postgres::lease_rows::NEWEST_EPOCHS;
    use crate::postgres::migration::migrate;
    use crate::postgres::test_database::address;
    use crate::postgres::{Address, hosts};
    use hookmill_incident::Clock;
    use std::sync::Arc;
    use std::time::{Duration, Instant};
    use tokio::time::timeout;
    use tokio_postgres::Client;

    const SOON: Duration = Duration::from_secs(60);

    async fn database() -> (Address, Client) {
        let address = address();
        let (mut client, _) = address.connect().await.unwrap();
        migrate(&mut client, address.profile).await.unwrap();
        (address, client)
    }

    async fn host(address: &Address, client: &Client, id: &str) -> HostLeases {
        let host = HostIdentity { id: id.into(), name: id.into(), version: "1.0".into() };
        hosts::register(client, &host).await.unwrap();
        let clock = WriteClock::after(0, Clock::default());
        HostLeases::start(address.clone(), host, Arc::new(clock)).unwrap()
    }

    fn destination(name: &str) -> LeaseName {
        LeaseName::Destination(name.into())
    }

    async fn acquire(host: &HostLeases, name: LeaseName) -> Lease {
        timeout(SOON, host.acquire(name)).await.unwrap()
    }

    async fn is_newest(client: &Client, grant: &Grant) -> bool {
        let row = client.query_one(NEWEST_EPOCHS, &[&vec![grant.name.to_string()]]).await.unwrap();
        row.get::<_, i64>(1) == grant.epoch as i64
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn one_host_at_a_time_holds_a_lease() {
        let (address, client) = database().await;
        let (a, b) = (host(&address, &client, "a").await, host(&address, &client, "b").await);
        let first = acquire(&a, LeaseName::Purge).await;
        let again = acquire(&a, LeaseName::Purge).await;
        assert_eq!(first.grant(), again.grant(), "tasks of one host share a lease");
        let second = b.acquire(LeaseName::Purge);
        tokio::pin!(second);
        drop(first);
        assert!(timeout(Duration::from_millis(300), &mut second).await.is_err(), "the other task holds it");
        let former = again.grant().clone();
        assert!(is_newest(&client, &former).await);
        drop(again);
        let second = timeout(SOON, second).await.unwrap();
        assert!(second.is_held() && second.grant().epoch > former.epoch);
        assert!(is_newest(&client, second.grant()).await && !is_newest(&client, &former).await);
        // A host that ends leaves nothing to wait for.
        b.close();
        let started = Instant::now();
        let third = acquire(&a, LeaseName::Purge).await;
        assert!(started.elapsed() < LEASE_TIME && third.grant().epoch > second.grant().epoch);
        a.close();
    }

    /// A host that is stopped for longer than its lease finds that another one has it.
    #[tokio::test(flavor = "multi_thread")]
    async fn a_lease_that_went_to_another_host_is_lost() {
        let (address, client) = database().await;
        let a = host(&address, &client, "a").await;
        let lease = acquire(&a, LeaseName::Remap).await;
        client.execute("UPDATE leases SET host = 'b', epoch = epoch + 1", &[]).await.unwrap();
        let work = std::future::pending::<()>();
        assert!(timeout(SOON, lease.while_held(work)).await.unwrap().is_none());
        assert!(!lease.is_held() && !is_newest(&client, lease.grant()).await);
        a.close();
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_new_host_gets_its_share() {
        let (address, client) = database().await;
        let a = host(&address, &client, "a").await;
        let mut held = Vec::new();
        for name in ["1", "2", "3"] {
            held.push(acquire(&a, destination(name)).await);
        }
        let b = host(&address, &client, "b").await;
        let taken = tokio::spawn(async move {
            tokio::select! {
                lease = b.acquire(destination("1")) => lease,
                lease = b.acquire(destination("2")) => lease,
                lease = b.acquire(destination("3")) => lease,
            }
        });
        let asked = timeout(SOON, held[0].ended()).await;
        assert!(asked.is_ok() && held[0].is_held(), "the holder finishes what has begun");
        drop(held.remove(0));
        assert!(timeout(SOON, taken).await.unwrap().unwrap().is_held());
        assert!(held.iter().all(Lease::goes_on), "two of three are the share of the first host");
        a.close();
    }
}

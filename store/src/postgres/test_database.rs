//! Databases for tests.

use super::Address;
use super::migration::migrate;
use crate::{Dedup, HostIdentity, Policy, Profile, Store};
use hookmill_incident::Clock;
use rustls::{ClientConfig, RootCertStore};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// Returns the address of a new, empty database.
pub(crate) fn address() -> Address {
    Address::parse(&hookmill_test_postgres::new_database(), profile(), tls()).unwrap()
}

/// Returns the address of a new database with the newest schema.
pub(crate) async fn migrated() -> Address {
    let address = address();
    migrate(&mut address.connect().await.unwrap().0, address.profile).await.unwrap();
    address
}

/// Returns the store of a host with this id.
pub(super) async fn store(address: Address, id: &str, data_dir: &Path) -> Store {
    let host = HostIdentity { id: id.into(), name: id.into(), version: "1".into() };
    let dedup = Dedup { retention: Duration::from_secs(60), window: Duration::from_secs(60) };
    let policy = Policy { dedup, reopen_within: Duration::ZERO };
    Store::connect(address, host, data_dir, 64, policy, Box::new(|_, _| {}), Clock::default()).await.unwrap()
}

/// Returns the profile whose switches are tested.
pub(super) fn profile() -> Profile {
    hookmill_test_postgres::profile().parse().unwrap()
}

/// Returns TLS that trusts no certificate.
pub(super) fn tls() -> Arc<ClientConfig> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    Arc::new(builder.with_root_certificates(RootCertStore::empty()).with_no_client_auth())
}

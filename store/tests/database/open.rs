//! Stores in each kind of database.

#![allow(dead_code, reason = "no test needs everything")]

use hookmill_incident::Clock;
use hookmill_store::{DatabaseAddress, HostIdentity, Policy, Store};
use rustls::{ClientConfig, RootCertStore};
use std::path::Path;
use std::sync::Arc;

/// A database of a test.
pub enum Database {
    /// SQLite in the data folder.
    Folder,
    /// PostgreSQL, by its URL.
    Postgres(String),
}

impl Database {
    /// Returns a new database of each kind.
    pub fn each() -> [Self; 2] {
        [Self::Folder, Self::Postgres(hookmill_test_postgres::new_database())]
    }

    /// Opens the database.
    pub async fn open(&self, folder: &Path, policy: Policy, clock: Clock) -> Store {
        match self {
            Self::Folder => Store::open(folder, 64, policy, Box::new(|_, _| {}), clock).unwrap(),
            Self::Postgres(url) => connect(url, "a", folder, policy, clock).await,
        }
    }
}

/// Connects a host with an id to a database in PostgreSQL.
pub async fn connect(url: &str, id: &str, folder: &Path, policy: Policy, clock: Clock) -> Store {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let tls = Arc::new(tls.with_root_certificates(RootCertStore::empty()).with_no_client_auth());
    let identity = HostIdentity { id: id.into(), name: id.into(), version: "1".into() };
    let profile = hookmill_test_postgres::profile().parse().unwrap();
    let address = DatabaseAddress::parse(url, profile, tls).unwrap();
    Store::connect(address, identity, folder, 1024, policy, Box::new(|_, _| {}), clock).await.unwrap()
}

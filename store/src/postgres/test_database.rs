//! Databases for tests.

use super::Address;
use super::migration::migrate;
use rustls::{ClientConfig, RootCertStore};
use std::sync::Arc;

/// Returns the address of a new, empty database.
pub(crate) fn address() -> Address {
    Address::parse(&hookmill_test_postgres::new_database(), tls()).unwrap()
}

/// Returns the address of a new database with the newest schema.
pub(crate) async fn migrated() -> Address {
    let address = address();
    migrate(&mut address.connect().await.unwrap().0).await.unwrap();
    address
}

/// Returns TLS that trusts no certificate.
pub(super) fn tls() -> Arc<ClientConfig> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    Arc::new(builder.with_root_certificates(RootCertStore::empty()).with_no_client_auth())
}

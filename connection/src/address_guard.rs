//! Refuses addresses that are not globally routable: loopback, private networks, metadata services of clouds.
//!
//! The guard is the client's own resolver, so no answer of a name server can bypass it: the client connects only to
//! addresses that were checked.

use ipnet::IpNet;
use reqwest::Url;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use std::fmt;
use std::future::Future;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, LazyLock};

/// The networks that are refused by default: multicast, and the IANA registries of special-purpose addresses as of 2025
/// without their globally reachable entries. IANA allocates global IPv6 addresses from 2000::/3 only, so the rest of
/// IPv6 is refused too.
static SPECIAL: LazyLock<Vec<IpNet>> = LazyLock::new(|| {
    const NETWORKS: &[&str] = &[
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.88.99.0/24",
        "192.168.0.0/16",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",
        "240.0.0.0/4",
        "::/3",
        "2001::/23",
        "2001:db8::/32",
        "2002::/16",
        "3fff::/20",
        "4000::/2",
        "8000::/1",
    ];
    NETWORKS.iter().filter_map(|network| network.parse().ok()).collect()
});

/// The reason why a host may not or cannot be reached.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// The address is not globally routable and not allowed.
    #[error("{0} is not globally routable; if this is intended, add its network to `allow_networks`")]
    RefusedAddress(IpAddr),
    /// The name has no address.
    #[error("the name {name} has no address: {problem}")]
    UnknownName {
        /// The name that was looked up.
        name: String,
        /// The error of the lookup.
        problem: String,
    },
}

type Lookup = dyn Fn(String) -> Pin<Box<dyn Future<Output = io::Result<Vec<SocketAddr>>> + Send>> + Send + Sync;

/// The rules for the addresses that may be reached, and the resolver that applies these rules.
pub struct AddressGuard {
    allow: Arc<[IpNet]>,
    lookup: Arc<Lookup>,
}

impl AddressGuard {
    /// Creates a guard that permits globally routable addresses and these networks.
    pub fn new(allow: Vec<IpNet>) -> Self {
        let lookup = |name: String| -> Pin<Box<dyn Future<Output = _> + Send>> {
            Box::pin(async move { Ok(tokio::net::lookup_host((name, 0)).await?.collect()) })
        };
        Self { allow: allow.into(), lookup: Arc::new(lookup) }
    }

    /// Returns the permitted addresses of a name, which may also be an address itself. The port is 0.
    ///
    /// # Errors
    /// Returns an error if the name has no address, or none that is permitted.
    pub async fn permitted_addresses(&self, name: &str) -> Result<Vec<SocketAddr>, AddressError> {
        permitted(name, &self.allow, (self.lookup)(name.to_owned())).await
    }

    /// Checks a URL whose host is an address, which the client never resolves. `localhost` counts as an address: a
    /// proxy that resolves this name would reach itself. Every other name passes here and is checked by the resolver.
    ///
    /// # Errors
    /// Returns an error if the address is not permitted.
    pub fn check_literal(&self, url: &Url) -> Result<(), AddressError> {
        let text = url.host_str().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
        if let Ok(address) = text.parse() {
            return check(&self.allow, address);
        }
        let name = text.trim_end_matches('.');
        if name == "localhost" || name.ends_with(".localhost") {
            let (v4, v6) = (IpAddr::from(Ipv4Addr::LOCALHOST), IpAddr::from(Ipv6Addr::LOCALHOST));
            return check(&self.allow, v4).or_else(|refused| check(&self.allow, v6).map_err(|_| refused));
        }
        Ok(())
    }
}

impl fmt::Debug for AddressGuard {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.debug_struct("AddressGuard").field("allow", &self.allow).finish()
    }
}

impl Resolve for AddressGuard {
    /// Returns the addresses that were checked, and only these. The client connects to them without another lookup, so
    /// a name whose address changes after the check (DNS rebinding) gains nothing.
    fn resolve(&self, name: Name) -> Resolving {
        let (allow, found) = (self.allow.clone(), (self.lookup)(name.as_str().to_owned()));
        Box::pin(async move { Ok(Box::new(permitted(name.as_str(), &allow, found).await?.into_iter()) as Addrs) })
    }
}

async fn permitted(
    name: &str,
    allow: &[IpNet],
    found: impl Future<Output = io::Result<Vec<SocketAddr>>>,
) -> Result<Vec<SocketAddr>, AddressError> {
    let unknown = |problem: String| AddressError::UnknownName { name: name.to_owned(), problem };
    let found = found.await.map_err(|error| unknown(error.to_string()))?;
    let mut refused = None;
    let mut permitted: Vec<SocketAddr> = Vec::new();
    for address in found {
        match check(allow, address.ip()) {
            Ok(()) => permitted.push(address),
            Err(error) => refused = Some(error),
        }
    }
    match refused {
        _ if !permitted.is_empty() => Ok(permitted),
        Some(error) => Err(error),
        None => Err(unknown("the lookup returned no addresses".to_owned())),
    }
}

fn check(allow: &[IpNet], address: IpAddr) -> Result<(), AddressError> {
    let reached = as_reached(address);
    let any = |networks: &[IpNet], address: IpAddr| networks.iter().any(|network| network.contains(&address));
    let is_special = any(&SPECIAL, reached) || isatap(address).is_some_and(|embedded| any(&SPECIAL, embedded));
    if is_special && !any(allow, reached) { Err(AddressError::RefusedAddress(reached)) } else { Ok(()) }
}

/// Returns the address at which a packet arrives: for a mapped or NAT64 address its IPv4 address, otherwise itself.
fn as_reached(address: IpAddr) -> IpAddr {
    const NAT64: [u16; 6] = [0x64, 0xff9b, 0, 0, 0, 0];
    let IpAddr::V6(v6) = address else { return address };
    if v6.to_ipv4_mapped().is_some() || v6.segments()[..6] == NAT64 { embedded_ipv4(v6) } else { address }
}

/// Returns the IPv4 address at which an ISATAP tunnel ([RFC 5214](https://www.rfc-editor.org/rfc/rfc5214)) ends.
fn isatap(address: IpAddr) -> Option<IpAddr> {
    let IpAddr::V6(v6) = address else { return None };
    matches!(v6.segments()[4..6], [0 | 0x200, 0x5efe]).then(|| embedded_ipv4(v6))
}

/// Returns the IPv4 address in the last four octets.
fn embedded_ipv4(v6: Ipv6Addr) -> IpAddr {
    let octets = v6.octets();
    IpAddr::from([octets[12], octets[13], octets[14], octets[15]])
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    /// Returns a guard whose lookup returns `first` once and `further` from then on, and the number of lookups.
    fn guard(
        allow: &[&str],
        first: &'static [&str],
        further: &'static [&str],
    ) -> (Arc<AddressGuard>, Arc<AtomicUsize>) {
        let lookups = Arc::new(AtomicUsize::new(0));
        let counted = lookups.clone();
        let lookup = move |_: String| -> Pin<Box<dyn Future<Output = _> + Send>> {
            let found = if counted.fetch_add(1, Ordering::SeqCst) == 0 { first } else { further };
            let addresses = found.iter().map(|text| SocketAddr::new(text.parse().unwrap(), 0)).collect();
            Box::pin(async move { Ok(addresses) })
        };
        let allow = allow.iter().map(|network| network.parse().unwrap()).collect();
        (Arc::new(AddressGuard { allow, lookup: Arc::new(lookup) }), lookups)
    }

    async fn resolved(guard: &AddressGuard) -> Result<Vec<IpAddr>, String> {
        let found = guard.resolve("soc.example".parse().unwrap()).await.map_err(|error| error.to_string())?;
        Ok(found.map(|address| address.ip()).collect())
    }

    #[test]
    fn only_global_and_allowed_addresses_are_permitted() {
        assert_eq!(SPECIAL.len(), 22);
        let allow = ["10.20.0.0/16".parse().unwrap(), "fd12::/16".parse().unwrap()];
        for (address, permitted) in [
            ("93.184.215.14", true),
            ("2606:2800:21f:cb07:6820:80da:af6b:8b2c", true),
            ("10.20.3.4", true),
            ("::ffff:10.20.3.4", true),
            ("64:ff9b::10.20.3.4", true),
            ("fd12::1", true),
            // The host itself and its network.
            ("0.0.0.0", false),
            ("0.1.2.3", false),
            ("127.0.0.1", false),
            ("127.255.255.254", false),
            ("::1", false),
            ("::", false),
            // Private networks, those of providers, metadata services of clouds.
            ("10.21.0.1", false),
            ("172.16.0.1", false),
            ("172.31.255.255", false),
            ("172.32.0.1", true),
            ("192.168.1.1", false),
            ("100.64.0.1", false),
            ("100.127.255.255", false),
            ("100.128.0.1", true),
            ("169.254.169.254", false),
            ("192.0.0.192", false),
            ("fd00:ec2::254", false),
            ("fc00::1", false),
            ("fe80::1", false),
            ("fec0::1", false),
            // Multicast, broadcast, discard and unallocated addresses.
            ("224.0.0.1", false),
            ("239.255.255.255", false),
            ("240.0.0.1", false),
            ("255.255.255.255", false),
            ("ff02::1", false),
            ("100::1", false),
            ("4000::1", false),
            ("5f00::1", false),
            // Documentation and measurements.
            ("192.0.2.1", false),
            ("198.51.100.1", false),
            ("203.0.113.1", false),
            ("198.18.0.1", false),
            ("2001:db8::1", false),
            ("3fff::1", false),
            // IPv6 addresses that contain an IPv4 address.
            ("::ffff:127.0.0.1", false),
            ("::ffff:93.184.215.14", true),
            ("::127.0.0.1", false),
            ("::93.184.215.14", false),
            ("::ffff:0:127.0.0.1", false),
            ("64:ff9b::7f00:1", false),
            ("64:ff9b::169.254.169.254", false),
            ("64:ff9b::5db8:d70e", true),
            ("64:ff9b:1::7f00:1", false),
            ("64:ff9b:1:fffe::5db8:d70e", false),
            ("2002:7f00:1::1", false),
            ("2002:5db8:d70e::1", false),
            ("2001:0:4136:e378:8000:63bf:3fff:fdd2", false),
            ("2001:470:1f0b::5efe:127.0.0.1", false),
            ("2001:470:1f0b::200:5efe:10.21.0.1", false),
            ("2001:470:1f0b::5efe:93.184.215.14", true),
            ("fe80::5efe:93.184.215.14", false),
        ] {
            assert_eq!(check(&allow, address.parse().unwrap()).is_ok(), permitted, "{address}");
        }
    }

    /// The URL parser normalizes every spelling of an address before the guard sees the address.
    #[test]
    fn every_spelling_of_an_address_is_checked() {
        let guard = AddressGuard::new(Vec::new());
        for url in [
            "http://127.0.0.1/",
            "http://127.0.0.1./",
            "http://127.1/",
            "http://0/",
            "http://2130706433/",
            "http://0x7f000001/",
            "http://0x7f.1/",
            "http://0177.0.0.1/",
            "http://017700000001/",
            "http://a@127.0.0.1/",
            "http://93.184.215.14@127.0.0.1/",
            "http://93.184.215.14:80@127.0.0.1:80/",
            "http://a:b@[::1]:80/",
            "http:/127.0.0.1/",
            "http:\\\\127.0.0.1\\@93.184.215.14/",
            "http:///127.0.0.1/",
            "http://１２７.０.０.１/",
            "http://①②⑦.0.0.1/",
            "http://127。0．0｡1/",
            "http://%31%32%37.0.0.1/",
            "http://127%2e0%2e0%2e1/",
            "http://0x7f%2e1/",
            "http://[::1]/",
            "http://[0:0:0:0:0:0:0:1]/",
            "http://[::ffff:127.0.0.1]/",
            "http://[::ffff:7f00:1]/",
            "http://localhost/",
            "http://LOCALHOST./",
            "http://ｌocalhost/",
            "http://soc.localhost/",
            "http://169.254.169.254/latest/meta-data/",
        ] {
            assert!(guard.check_literal(&url.parse().unwrap()).is_err(), "{url}");
        }
        for url in ["http://93.184.215.14/", "http://127.0.0.1.soc.example/", "http://localhost.example/#@127.0.0.1"] {
            assert!(guard.check_literal(&url.parse().unwrap()).is_ok(), "{url}");
        }
        // These texts are not URLs, so no request can be made of them.
        for text in [
            "http://",
            "http://@/",
            "http://[fe80::1%25eth0]/",
            "http://[fe80::1%eth0]/",
            "http://256.0.0.1/",
            "http://1.2.3.4.5/",
        ] {
            assert!(text.parse::<Url>().is_err(), "{text}");
        }
        let allowing = AddressGuard::new(vec!["::1/128".parse().unwrap()]);
        assert!(allowing.check_literal(&"http://localhost/".parse().unwrap()).is_ok());
        assert!(allowing.check_literal(&"http://127.0.0.1/".parse().unwrap()).is_err());
    }

    #[tokio::test]
    async fn only_permitted_addresses_of_a_name_are_connected_to() {
        let (mixed, _) = guard(&[], &["10.0.0.1", "93.184.215.14", "::1"], &[]);
        assert_eq!(resolved(&mixed).await.unwrap(), ["93.184.215.14".parse::<IpAddr>().unwrap()]);
        let (inner, _) = guard(&[], &["10.0.0.1", "::ffff:127.0.0.1"], &[]);
        assert!(resolved(&inner).await.unwrap_err().contains("127.0.0.1 is not globally routable"));
        let (empty, _) = guard(&[], &[], &[]);
        assert!(resolved(&empty).await.unwrap_err().contains("soc.example"));
    }

    /// DNS rebinding: the name has another address after the first lookup. The client connects to the checked address.
    #[tokio::test]
    async fn a_name_is_looked_up_once() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (guard, lookups) = guard(&["127.0.0.1/32"], &["127.0.0.1"], &["127.0.0.2"]);
        let client = crate::guarded_client(&guard, std::time::Duration::from_secs(60)).unwrap();
        let answers = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            assert!(stream.read(&mut [0; 1024]).await.unwrap() > 0);
            let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
            stream.write_all(answer).await.unwrap();
        });
        let url = format!("http://rebinds.example:{port}/");
        assert_eq!(client.get(&url).send().await.unwrap().status(), 200);
        assert_eq!(lookups.load(Ordering::SeqCst), 1);
        answers.await.unwrap();
        // The second connection looks the name up again, and the new address is checked.
        let error = client.get(&url).send().await.unwrap_err();
        assert!(format!("{error:?}").contains("RefusedAddress(127.0.0.2)"), "{error:?}");
        assert_eq!(lookups.load(Ordering::SeqCst), 2);
    }
}

//! Keeps deliveries away from addresses that are not globally routable: loopback, private networks, cloud metadata.
//!
//! It stands where names become addresses, inside the connector, so that no answer of a name server goes around it.

use ipnet::IpNet;
use reqwest::Url;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use std::error::Error;
use std::fmt;
use std::future::Future;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, LazyLock};

/// The IANA registries of special-purpose addresses, as of 2025, but for what is globally reachable; and multicast. Of
/// IPv6 only 2000::/3 is given out for the whole network: all around it is refused.
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

/// An address that a destination may not be reached at.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} is not globally routable; if it is meant, list its network in `allow_networks`")]
pub struct RefusedAddress(IpAddr);

/// A name that stands for no address.
#[derive(Debug, thiserror::Error)]
#[error("the name {name} has no address: {problem}")]
pub struct NameUnknown {
    name: String,
    problem: String,
}

type Lookup = dyn Fn(String) -> Pin<Box<dyn Future<Output = io::Result<Vec<SocketAddr>>> + Send>> + Send + Sync;

/// Decides which addresses a destination may be reached at.
pub struct AddressGuard {
    allow: Arc<[IpNet]>,
    lookup: Arc<Lookup>,
}

impl AddressGuard {
    /// Global addresses and these networks.
    pub fn new(allow: Vec<IpNet>) -> Self {
        let lookup = |name: String| -> Pin<Box<dyn Future<Output = _> + Send>> {
            Box::pin(async move { Ok(tokio::net::lookup_host((name, 0)).await?.collect()) })
        };
        Self { allow: allow.into(), lookup: Arc::new(lookup) }
    }

    /// The addresses of a name, or the one that is written there, at which it may be reached.
    ///
    /// # Errors
    /// A [`NameUnknown`] or a [`RefusedAddress`].
    pub async fn permitted(&self, name: &str) -> Result<Vec<SocketAddr>, Box<dyn Error + Send + Sync>> {
        permitted(name, &self.allow, (self.lookup)(name.to_owned())).await
    }

    /// Checks a URL whose host is an address and needs no resolving. `localhost` is one: a proxy that resolves it would
    /// reach itself.
    ///
    /// # Errors
    /// When the address may not be reached.
    pub fn check_literal(&self, url: &Url) -> Result<(), RefusedAddress> {
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
    /// What the connector gets is what was checked, and it asks nobody else: a name that stands for something else a
    /// moment later changes nothing.
    fn resolve(&self, name: Name) -> Resolving {
        let (allow, found) = (self.allow.clone(), (self.lookup)(name.as_str().to_owned()));
        Box::pin(async move { Ok(Box::new(permitted(name.as_str(), &allow, found).await?.into_iter()) as Addrs) })
    }
}

async fn permitted(
    name: &str,
    allow: &[IpNet],
    found: impl Future<Output = io::Result<Vec<SocketAddr>>>,
) -> Result<Vec<SocketAddr>, Box<dyn Error + Send + Sync>> {
    let unknown = |problem: String| NameUnknown { name: name.to_owned(), problem };
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
        Some(error) => Err(error.into()),
        None => Err(unknown("nobody answers for it".to_owned()).into()),
    }
}

fn check(allow: &[IpNet], address: IpAddr) -> Result<(), RefusedAddress> {
    let reached = as_reached(address);
    let any = |networks: &[IpNet], address: IpAddr| networks.iter().any(|network| network.contains(&address));
    let is_special = any(&SPECIAL, reached) || isatap(address).is_some_and(|embedded| any(&SPECIAL, embedded));
    if is_special && !any(allow, reached) { Err(RefusedAddress(reached)) } else { Ok(()) }
}

/// The IPv4 address that an IPv6 one stands for, where a packet to it ends at that.
fn as_reached(address: IpAddr) -> IpAddr {
    const NAT64: [u16; 6] = [0x64, 0xff9b, 0, 0, 0, 0];
    let IpAddr::V6(v6) = address else { return address };
    if v6.to_ipv4_mapped().is_some() || v6.segments()[..6] == NAT64 { last_four(v6) } else { address }
}

/// The IPv4 address at which a tunnel of [RFC 5214](https://www.rfc-editor.org/rfc/rfc5214) ends.
fn isatap(address: IpAddr) -> Option<IpAddr> {
    let IpAddr::V6(v6) = address else { return None };
    matches!(v6.segments()[4..6], [0 | 0x200, 0x5efe]).then(|| last_four(v6))
}

fn last_four(v6: Ipv6Addr) -> IpAddr {
    let octets = v6.octets();
    IpAddr::from([octets[12], octets[13], octets[14], octets[15]])
}

#[cfg(test)]
mod tests {
    use crate::*;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    /// A guard for which a name stands for these addresses, first and at every further look.
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
    fn only_global_addresses_and_what_is_allowed() {
        assert_eq!(SPECIAL.len(), 22);
        let allow = ["10.20.0.0/16".parse().unwrap(), "fd12::/16".parse().unwrap()];
        for (address, permitted) in [
            ("93.184.215.14", true),
            ("2606:2800:21f:cb07:6820:80da:af6b:8b2c", true),
            ("10.20.3.4", true),
            ("::ffff:10.20.3.4", true),
            ("64:ff9b::10.20.3.4", true),
            ("fd12::1", true),
            // The host itself, and its network.
            ("0.0.0.0", false),
            ("0.1.2.3", false),
            ("127.0.0.1", false),
            ("127.255.255.254", false),
            ("::1", false),
            ("::", false),
            // Private networks, those of providers, clouds' metadata.
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
            // Groups, everybody, nobody.
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
            // IPv6 addresses that stand for one of IPv4.
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

    /// The URL parser has read every spelling of an address before the guard sees it.
    #[test]
    fn spellings_of_addresses() {
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
        // What is no URL reaches nobody.
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

    /// A name that stands for something else as soon as it was looked at: the client connects to what was checked.
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
        // The second connection looks again, and what it finds is checked again.
        let error = client.get(&url).send().await.unwrap_err();
        assert!(format!("{error:?}").contains("RefusedAddress(127.0.0.2)"), "{error:?}");
        assert_eq!(lookups.load(Ordering::SeqCst), 2);
    }
}

//! Keeps deliveries away from addresses that are not globally routable: loopback, private networks, cloud metadata.
//!
//! It stands where names become addresses, inside the connector, so that no answer of a name server goes around it.

use anyhow::{Result, bail};
use ipnet::IpNet;
use reqwest::Url;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, LazyLock};

/// The IANA registries of special-purpose addresses, as of 2025, but for what is globally reachable; and multicast.
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
        "::/96",
        "64:ff9b:1::/48",
        "100::/64",
        "100:0:0:1::/64",
        "2001::/23",
        "2001:db8::/32",
        "2002::/16",
        "3fff::/20",
        "5f00::/16",
        "fc00::/7",
        "fe80::/10",
        "fec0::/10",
        "ff00::/8",
    ];
    NETWORKS.iter().filter_map(|network| network.parse().ok()).collect()
});

/// Decides which addresses a destination may be reached at.
#[derive(Debug)]
pub struct AddressGuard {
    allow: Arc<[IpNet]>,
}

impl AddressGuard {
    /// Global addresses and these networks.
    pub fn new(allow: Vec<IpNet>) -> Self {
        Self { allow: allow.into() }
    }

    /// Checks a URL whose host is an address and needs no resolving.
    ///
    /// # Errors
    /// When the address may not be reached.
    pub fn check_literal(&self, url: &Url) -> Result<()> {
        let text = url.host_str().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
        match text.parse() {
            Ok(address) => check(&self.allow, address),
            Err(_) => Ok(()),
        }
    }
}

impl Resolve for AddressGuard {
    fn resolve(&self, name: Name) -> Resolving {
        let allow = self.allow.clone();
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let mut refused = None;
            let mut permitted: Vec<SocketAddr> = Vec::new();
            for address in found {
                match check(&allow, address.ip()) {
                    Ok(()) => permitted.push(address),
                    Err(error) => refused = Some(error),
                }
            }
            match refused {
                Some(error) if permitted.is_empty() => Err(error.into()),
                _ => Ok(Box::new(permitted.into_iter()) as Addrs),
            }
        })
    }
}

fn check(allow: &[IpNet], address: IpAddr) -> Result<()> {
    let address = as_reached(address);
    if SPECIAL.iter().any(|network| network.contains(&address))
        && !allow.iter().any(|network| network.contains(&address))
    {
        bail!(
            "{address} is not globally routable; if it is meant, list its network in the destination's allow_networks"
        );
    }
    Ok(())
}

/// The IPv4 address that an IPv6 one stands for, where a packet to it ends at that.
fn as_reached(address: IpAddr) -> IpAddr {
    const NAT64: [u16; 6] = [0x64, 0xff9b, 0, 0, 0, 0];
    let IpAddr::V6(v6) = address else { return address };
    let embedded = |v6: Ipv6Addr| {
        let octets = v6.octets();
        IpAddr::from([octets[12], octets[13], octets[14], octets[15]])
    };
    if v6.to_ipv4_mapped().is_some() || v6.segments()[..6] == NAT64 { embedded(v6) } else { address }
}

#[cfg(test)]
mod tests {
    use super::{AddressGuard, SPECIAL, check};

    #[test]
    fn only_global_addresses_and_what_is_allowed() {
        assert_eq!(SPECIAL.len(), 28);
        let allow = ["10.20.0.0/16".parse().unwrap()];
        for (address, permitted) in [
            ("93.184.215.14", true),
            ("2606:2800:21f:cb07:6820:80da:af6b:8b2c", true),
            ("10.20.3.4", true),
            ("::ffff:10.20.3.4", true),
            ("10.21.0.1", false),
            ("127.0.0.1", false),
            ("169.254.169.254", false),
            ("::1", false),
            ("::", false),
            ("::ffff:127.0.0.1", false),
            ("64:ff9b::7f00:1", false),
            ("64:ff9b::5db8:d70e", true),
            ("fd00:ec2::254", false),
            ("fe80::1", false),
            ("0.0.0.0", false),
            ("255.255.255.255", false),
        ] {
            assert_eq!(check(&allow, address.parse().unwrap()).is_ok(), permitted, "{address}");
        }
    }

    /// The URL parser has read every spelling of an address before the guard sees it.
    #[test]
    fn spellings_of_loopback() {
        let guard = AddressGuard::new(Vec::new());
        for url in ["http://127.0.0.1/", "http://2130706433/", "http://0x7f.1/", "http://[::1]/", "http://0177.0.0.1/"]
        {
            assert!(guard.check_literal(&url.parse().unwrap()).is_err(), "{url}");
        }
    }
}

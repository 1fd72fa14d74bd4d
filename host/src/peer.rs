//! The address that sent a request, also behind proxies.

use axum::Extension;
use axum::extract::ConnectInfo;
use axum::http::HeaderMap;
use ipnet::IpNet;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

const FORWARDED_FOR: &str = "x-forwarded-for";

/// The proxies whose `X-Forwarded-For` is believed.
#[derive(Debug)]
pub struct TrustedProxies(Vec<IpNet>);

impl TrustedProxies {
    /// Trusts the proxies in these networks.
    pub fn new(networks: Vec<IpNet>) -> Self {
        Self(networks)
    }

    /// Returns the address that sent a request: the peer, or, if the peer is a trusted proxy, the last address in
    /// `X-Forwarded-For` that is not a trusted proxy. Any sender can forge the addresses before that one.
    pub fn sender(
        &self,
        connection: Option<Extension<ConnectInfo<SocketAddr>>>,
        headers: &HeaderMap,
    ) -> Option<IpAddr> {
        let peer = connection.map(|Extension(ConnectInfo(address))| address.ip().to_canonical())?;
        if !self.contains(peer) {
            return Some(peer);
        }
        let lines: Vec<&str> = headers.get_all(FORWARDED_FOR).iter().map(|line| line.to_str().unwrap_or("?")).collect();
        let mut sender = Some(peer);
        for entry in lines.iter().rev().flat_map(|line| line.rsplit(',')) {
            sender = address(entry.trim());
            if sender.is_none_or(|sender| !self.contains(sender)) {
                break;
            }
        }
        sender
    }

    fn contains(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(&address))
    }
}

/// Returns the network that one client has: its IPv4 address, or the first 64 bits of its IPv6 address, within which a
/// client can choose any address.
pub fn network(address: IpAddr) -> IpAddr {
    const HOST_BITS: u32 = 64;
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() >> HOST_BITS << HOST_BITS).into(),
    }
}

/// Parses an address, which some proxies write with a port.
fn address(text: &str) -> Option<IpAddr> {
    let with_port = |text: &str| text.parse::<SocketAddr>().map(|address| address.ip());
    let bare = text.trim_start_matches('[').trim_end_matches(']');
    bare.parse().or_else(|_| with_port(text)).ok().map(|address: IpAddr| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_address_that_is_no_proxy() {
        let proxies = TrustedProxies::new(vec!["10.0.0.0/8".parse().unwrap(), "fd00::/8".parse().unwrap()]);
        for (peer, lines, expected) in [
            ("192.0.2.1:5", vec![], Some("192.0.2.1")),
            ("192.0.2.1:5", vec!["198.51.100.7"], Some("192.0.2.1")),
            ("10.0.0.1:5", vec![], Some("10.0.0.1")),
            ("10.0.0.1:5", vec!["198.51.100.7"], Some("198.51.100.7")),
            ("10.0.0.1:5", vec!["1.2.3.4, 198.51.100.7"], Some("198.51.100.7")),
            ("10.0.0.1:5", vec!["198.51.100.7,10.9.9.9"], Some("198.51.100.7")),
            ("10.0.0.1:5", vec!["198.51.100.7", "10.9.9.9"], Some("198.51.100.7")),
            ("10.0.0.1:5", vec!["10.9.9.9"], Some("10.9.9.9")),
            ("10.0.0.1:5", vec!["198.51.100.7, unknown"], None),
            ("10.0.0.1:5", vec!["198.51.100.7:4711"], Some("198.51.100.7")),
            ("[fd00::1]:5", vec!["[2001:db8::7]:4711"], Some("2001:db8::7")),
            ("[::ffff:10.0.0.1]:5", vec!["[2001:db8::7]"], Some("2001:db8::7")),
        ] {
            let connection = Some(Extension(ConnectInfo(peer.parse().unwrap())));
            let mut headers = HeaderMap::new();
            for line in &lines {
                headers.append(FORWARDED_FOR, line.parse().unwrap());
            }
            let expected = expected.map(|address| address.parse().unwrap());
            assert_eq!(proxies.sender(connection, &headers), expected, "{peer} {lines:?}");
        }
        assert_eq!(proxies.sender(None, &HeaderMap::new()), None);
    }
}

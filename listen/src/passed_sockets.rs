//! Listening sockets that a service manager opened for this process. They stay open while the process is restarted, so
//! that connections wait meanwhile.

use anyhow::{Context, Result, bail};
use std::net::{SocketAddr, TcpListener};

/// The listening sockets that were passed to this process.
#[derive(Debug, Default)]
pub struct PassedSockets(Vec<TcpListener>);

impl PassedSockets {
    /// Returns the sockets, of which each is for the address that it has.
    pub fn new(sockets: Vec<TcpListener>) -> Self {
        Self(sockets)
    }

    /// Takes the socket of an address, if there is one.
    ///
    /// # Errors
    /// Returns an error if the system does not provide the address of a socket, or the socket cannot be used.
    pub fn take(&mut self, address: SocketAddr) -> Result<Option<TcpListener>> {
        for index in 0..self.0.len() {
            if self.0[index].local_addr().context("a socket of the service manager has no address")? == address {
                let socket = self.0.remove(index);
                socket.set_nonblocking(true)?;
                return Ok(Some(socket));
            }
        }
        Ok(None)
    }

    /// Checks that all sockets were taken: connections to a socket that nobody serves would wait forever.
    ///
    /// # Errors
    /// Returns an error if there is another one.
    pub fn check_all_taken(&self) -> Result<()> {
        let Some(socket) = self.0.first() else { return Ok(()) };
        bail!(
            "the service manager passed a socket for {}, which is not an address of the configuration; change \
             `ListenStream=` of the socket unit to the address of `listen` or `admin_listen`, or the key to this address",
            socket.local_addr()?
        )
    }
}

#[cfg(test)]
mod tests {
    use super::PassedSockets;
    use std::net::TcpListener;

    #[test]
    fn each_socket_is_for_its_address() {
        let (one, other) = (TcpListener::bind("127.0.0.1:0").unwrap(), TcpListener::bind("127.0.0.1:0").unwrap());
        let (address, other_address) = (one.local_addr().unwrap(), other.local_addr().unwrap());
        let mut sockets = PassedSockets::new(vec![one, other]);
        assert!(sockets.take("127.0.0.1:1".parse().unwrap()).unwrap().is_none());
        assert_eq!(sockets.take(other_address).unwrap().unwrap().local_addr().unwrap(), other_address);
        let error = sockets.check_all_taken().unwrap_err().to_string();
        assert!(error.contains(&address.to_string()) && error.contains("ListenStream"), "{error}");
        assert!(sockets.take(address).unwrap().is_some());
        sockets.check_all_taken().unwrap();
    }
}

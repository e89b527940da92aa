//! The TCP sockets of a process.

use std::collections::BTreeSet;
use std::fs;
use std::io;

use super::Cluster;

/// State of a socket that listens, in proc(5) `/proc/net/tcp`.
const LISTENS: &str = "0A";

/// Where a node can be reached, and whom it has reached.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sockets {
    /// Ports on which it listens; what it has accepted has these at its end.
    pub listening: BTreeSet<u16>,
    /// Connections that it has made: the port of its end, which may be that of another process's connection to
    /// elsewhere as well, and the port of the other.
    pub dialled: BTreeSet<(u16, u16)>,
}

impl Cluster {
    /// The TCP sockets that a node has just now.
    ///
    /// # Errors
    /// When it does not run.
    pub fn sockets_of(&self, id: &str) -> anyhow::Result<Sockets> {
        Ok(sockets(self.pid(id)?)?)
    }
}

fn sockets(pid: u32) -> io::Result<Sockets> {
    let mut inodes = BTreeSet::new();
    for file in fs::read_dir(format!("/proc/{pid}/fd"))? {
        // One that is closed meanwhile is no socket of it any more.
        let Ok(target) = fs::read_link(file?.path()) else { continue };
        let target = target.to_string_lossy();
        let inode = target.strip_prefix("socket:[").and_then(|rest| rest.strip_suffix(']'));
        inodes.extend(inode.and_then(|inode| inode.parse::<u64>().ok()));
    }
    let (mut sockets, mut connected) = (Sockets::default(), BTreeSet::new());
    for table in ["tcp", "tcp6"] {
        // Where there is no IPv6 there is no table of it.
        let table = fs::read_to_string(format!("/proc/{pid}/net/{table}")).unwrap_or_default();
        for line in table.lines().skip(1).filter_map(Line::read) {
            if !inodes.contains(&line.inode) {
                continue;
            }
            if line.listens {
                sockets.listening.insert(line.near);
            } else {
                connected.insert((line.near, line.far));
            }
        }
    }
    let dialled = connected.into_iter().filter(|(near, _)| !sockets.listening.contains(near));
    sockets.dialled = dialled.collect();
    Ok(sockets)
}

#[derive(Debug, PartialEq, Eq)]
struct Line {
    near: u16,
    far: u16,
    listens: bool,
    inode: u64,
}

impl Line {
    /// A line of proc(5) `/proc/net/tcp`.
    fn read(line: &str) -> Option<Self> {
        let port = |address: &str| {
            let (_address, port) = address.rsplit_once(':')?;
            u16::from_str_radix(port, 16).ok()
        };
        let mut fields = line.split_whitespace().skip(1);
        let (near, far) = (port(fields.next()?)?, port(fields.next()?)?);
        let listens = fields.next()? == LISTENS;
        Some(Self { near, far, listens, inode: fields.nth(5)?.parse().ok()? })
    }
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn what_listens_and_what_is_dialled_is_told_apart() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let at = listener.local_addr().expect("bound");
        let stream = TcpStream::connect(at).expect("connected");
        let (accepted, _from) = listener.accept().expect("accepted");
        let from = stream.local_addr().expect("bound");
        let found = sockets(std::process::id()).expect("a process");
        assert!(found.listening.contains(&at.port()), "{found:?}");
        assert!(found.dialled.contains(&(from.port(), at.port())), "{found:?}");
        assert!(!found.dialled.contains(&(at.port(), from.port())), "{found:?}");
        drop(accepted);
    }

    #[test]
    fn a_line_has_its_ports_its_state_and_its_inode() {
        let line = "   0: 0100007F:2742 0100007F:1F90 01 00000000:00000000 00:00000000 00000000     0        0 25161 1 0000 100";
        let wanted = Line { near: 0x2742, far: 8_080, listens: false, inode: 25_161 };
        assert_eq!(Line::read(line), Some(wanted));
        let listens = line.replace(":1F90 01", ":0000 0A");
        assert!(Line::read(&listens).is_some_and(|line| line.listens && line.far == 0));
        assert_eq!(Line::read("  sl  local_address"), None);
    }
}

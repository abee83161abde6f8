//! The Wireshark display filter that selects exactly the packets of one connection in one file.

use std::net::IpAddr;

use crate::net::{Endpoint, FrameRef};
use crate::session::Connection;

/// Filters by capture. Addresses and ports alone would also select another connection that uses the same ports, and
/// ICMP errors that quote a packet; the range of frames and the exclusion keep them out.
pub fn display_filter(connection: &Connection) -> impl Iterator<Item = (u16, String)> + '_ {
    connection
        .transport
        .spans
        .iter()
        .map(|(first, last)| (first.capture(), filter(connection, first, last)))
}

fn filter(connection: &Connection, first: FrameRef, last: FrameRef) -> String {
    let (client, server) = (connection.client, connection.server);
    let icmp = if connection.transport.unreachable {
        " && !icmp && !icmpv6"
    } else {
        ""
    };
    format!(
        "(({}) || ({})) && frame.number >= {} && frame.number <= {}{icmp}",
        one_way(client, server),
        one_way(server, client),
        first.frame(),
        last.frame(),
    )
}

fn one_way(from: Endpoint, to: Endpoint) -> String {
    let ip = match from.ip {
        IpAddr::V4(_) => "ip",
        IpAddr::V6(_) => "ipv6",
    };
    format!(
        "{ip}.src == {} && tcp.srcport == {} && {ip}.dst == {} && tcp.dstport == {}",
        from.ip, from.port, to.ip, to.port
    )
}

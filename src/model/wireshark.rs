//! The Wireshark display filter that selects exactly the packets of one connection in one file.

use std::net::IpAddr;

use reshake_core::net::{Endpoint, FrameRef};
use reshake_core::session::{Connection, TransportKind};

/// Filters by capture. Addresses and ports alone would also select another connection that uses the same ports, and
/// ICMP errors that quote a packet; the range of frames and the exclusion keep them out.
///
/// Redacted addresses stand in no packet: then ports and frames select, and with them any other connection between the
/// same ports in the same stretch of the file.
pub(super) fn display_filter(connection: &Connection, redacted: bool) -> impl Iterator<Item = (u16, String)> + '_ {
    let ends = if redacted { ports } else { addresses };
    let spans = connection.transport.spans.iter();
    spans.map(move |(first, last)| (first.capture(), filter(connection, ends, first, last)))
}

/// A filter short enough to read and type: the client's address and both ports, in any capture. Another connection
/// between the same ports is selected too.
pub(super) fn short_filter(connection: &Connection, redacted: bool) -> String {
    let protocol = protocol(connection);
    let (client, server) = (connection.client, connection.server);
    if redacted {
        return ports(protocol, client, server);
    }
    format!(
        "{}.addr == {} && {}",
        family(client.ip),
        client.ip,
        ports(protocol, client, server)
    )
}

const fn family(ip: IpAddr) -> &'static str {
    match ip {
        IpAddr::V4(_) => "ip",
        IpAddr::V6(_) => "ipv6",
    }
}

fn protocol(connection: &Connection) -> &'static str {
    match connection.transport.kind() {
        TransportKind::Tcp => "tcp",
        TransportKind::Quic | TransportKind::Dtls => "udp",
    }
}

fn filter(
    connection: &Connection,
    ends: fn(&str, Endpoint, Endpoint) -> String,
    first: FrameRef,
    last: FrameRef,
) -> String {
    let icmp = if connection.transport.unreachable() {
        " && !icmp && !icmpv6"
    } else {
        ""
    };
    let protocol = protocol(connection);
    let of_client = |client| {
        let servers = connection.servers();
        servers.map(move |server| ends(protocol, client, server))
    };
    let mut pairs: Vec<String> = connection.clients().into_iter().flat_map(of_client).collect();
    // Two addresses may have the same port.
    pairs.dedup();
    let pairs = match pairs.as_slice() {
        [pair] => pair.clone(),
        several => format!("(({}))", several.join(") || (")),
    };
    format!(
        "{pairs} && frame.number >= {} && frame.number <= {}{icmp}",
        first.frame(),
        last.frame(),
    )
}

fn addresses(protocol: &str, client: Endpoint, server: Endpoint) -> String {
    let [there, back] = [(client, server), (server, client)].map(|(from, to)| one_way(protocol, from, to));
    format!("(({there}) || ({back}))")
}

fn ports(protocol: &str, client: Endpoint, server: Endpoint) -> String {
    format!(
        "{protocol}.port == {} && {protocol}.port == {}",
        client.port, server.port
    )
}

fn one_way(protocol: &str, from: Endpoint, to: Endpoint) -> String {
    let ip = family(from.ip);
    format!(
        "{ip}.src == {} && {protocol}.srcport == {} && {ip}.dst == {} && {protocol}.dstport == {}",
        from.ip, from.port, to.ip, to.port
    )
}

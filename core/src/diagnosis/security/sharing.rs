//! One ticket key in several places that do not belong together.

use std::collections::BTreeSet;

use hashbrown::HashMap;

use super::keys::short;
use super::{RuleFinding, SecurityContext, Witnesses, finding};
use crate::diagnosis::service::{KeyName, ServiceAnalyses, ServiceAnalysis};
use crate::diagnosis::{Confidence, Evidence};
use crate::net::Endpoint;
use crate::session::Service;
use crate::store::ConnectionStore;

/// Places remembered for one key; a key of a large farm is in more, and these show it as well.
const MAX_SEATS: usize = 64;
/// Certificates remembered for one service.
const MAX_CERTIFICATES: usize = 16;

type Certificates = BTreeSet<[u8; 16]>;

/// A service that a key is in use at.
#[derive(Debug)]
struct Seat {
    service: Service,
    certificates: Certificates,
}

/// Where each ticket key is in use, for keys in more than one place.
#[derive(Debug, Default)]
pub(super) struct KeyUsage(HashMap<KeyName, Vec<Seat>>);

impl KeyUsage {
    /// Over all services. Only names of full length count: equal ones are the same key beyond doubt.
    pub(super) fn of(analyses: &ServiceAnalyses, connection_store: &ConnectionStore) -> Self {
        let mut places: HashMap<KeyName, Vec<(&Service, &ServiceAnalysis)>> = HashMap::new();
        for (service, analysis) in analyses.services() {
            for key in at_work(analysis) {
                places.entry(key).or_default().push((service, analysis));
            }
        }
        places.retain(|_, places| places.len() > 1);
        let key_usage = places.into_iter().map(|(name, mut places)| {
            places.sort_unstable_by_key(|(service, _)| *service);
            let key_usage = places.into_iter().take(MAX_SEATS).map(|(service, analysis)| Seat {
                service: service.clone(),
                certificates: certificates(analysis, connection_store),
            });
            (name, key_usage.collect())
        });
        Self(key_usage.collect())
    }

    fn get(&self, name: KeyName) -> &[Seat] {
        self.0.get(&name).map(Vec::as_slice).unwrap_or_default()
    }
}

/// Keys of full name that a service issued or accepted tickets under.
fn at_work(analysis: &ServiceAnalysis) -> impl Iterator<Item = KeyName> {
    let working = analysis.keys.iter().filter(|key| key.alive.is_some());
    working.map(|key| key.name).filter(KeyName::is_whole)
}

/// Certificates that a service showed in clear (TLS 1.2 and older).
fn certificates(analysis: &ServiceAnalysis, connection_store: &ConnectionStore) -> Certificates {
    let shown = analysis
        .members
        .iter()
        .filter_map(|id| Some(connection_store.get(*id)?.certificate?.0));
    let mut certificates = Certificates::new();
    for certificate in shown {
        if certificates.len() == MAX_CERTIFICATES {
            break;
        }
        certificates.insert(certificate);
    }
    certificates
}

finding! {
    /// ## What it means
    /// One ticket key is in use at several addresses that do not belong together: they show different certificates.
    /// Anyone who gets the key from the weakest of these hosts can read what the others sealed, and a ticket from one
    /// may be accepted by another, which then answers for a name that it has no certificate for.
    ///
    /// ## How we know
    /// Tickets carry the name of their key in clear, 16 random bytes; equal names mean the same key. It is `observed`
    /// where the certificates of both addresses are in the capture and differ. It is `possible` where they are not
    /// visible (TLS 1.3) and the server names differ. A farm that shows one certificate at several addresses shares its
    /// key on purpose, and nothing is reported.
    pub(super) static STEK_SHARED_ACROSS_HOSTS = {
        name: "stek-shared-across-hosts", since: "0.1.0", severity: Warning,
        summary: "one ticket key is in use at addresses with different certificates",
        spec: [(5077, "5.5"), (9325, "3.4")],
        advice: "give each group of servers that share a certificate a ticket key of its own (nginx: ssl_session_ticket_key; HAProxy: tls-ticket-keys per bind line; Apache: SSLSessionTicketKeyFile; Envoy: session_ticket_keys per listener), and make machine images without key files",
        rule: stek_shared_across_hosts,
    }
}

finding! {
    /// ## What it means
    /// One ticket key serves several server names with different certificates at one address. That is the default of
    /// servers with several virtual hosts. A ticket from one host can be presented to another; where the server does
    /// not check which host a session belongs to, the rules of the other host (a client certificate, say) can be
    /// bypassed (CVE-2025-23419, CVE-2025-23048).
    ///
    /// ## How we know
    /// Tickets carry the name of their key in clear, 16 random bytes, and the certificates of both names are in the
    /// capture (TLS 1.2 and older) and differ.
    pub(super) static STEK_SHARED_ACROSS_SNI = {
        name: "stek-shared-across-sni", since: "0.1.0", severity: Note,
        summary: "one ticket key serves server names with different certificates",
        spec: [(6066, "3"), (6066, "11.1")],
        advice: "where hosts differ in what they ask of clients, separate their keys or turn tickets off there (nginx: another address or port with its own ssl_session_ticket_key, or ssl_session_tickets off, and 1.26.3 or 1.27.4 or later; Apache: SSLSessionTickets off, and 2.4.64 or later; HAProxy: separate bind lines)",
        rule: stek_shared_across_sni,
    }
}

fn stek_shared_across_hosts(ground: &SecurityContext<'_>) -> Option<RuleFinding> {
    let elsewhere = |own: &Endpoint, other: &Endpoint| own.ip != other.ip;
    shared(ground, elsewhere, true)
}

fn stek_shared_across_sni(ground: &SecurityContext<'_>) -> Option<RuleFinding> {
    let here = |own: &Endpoint, other: &Endpoint| own.ip == other.ip;
    shared(ground, here, false)
}

/// The first key that this service has in common with another one of those, and how many others there are.
fn shared(
    ground: &SecurityContext<'_>,
    other_place: impl Fn(&Endpoint, &Endpoint) -> bool,
    unseen: bool,
) -> Option<RuleFinding> {
    let mut own: Option<Certificates> = None;
    let mut found: Vec<(KeyName, &Seat, Confidence)> = Vec::new();
    let mut met: BTreeSet<&Service> = BTreeSet::new();
    for name in at_work(ground.analysis) {
        let key_usage = ground.key_usage.get(name).iter();
        for seat in key_usage.filter(|seat| other_place(&ground.service.server, &seat.service.server)) {
            let own = own.get_or_insert_with(|| certificates(ground.analysis, ground.connection_store));
            let told = apart(ground.service, own, seat).filter(|told| unseen || *told == Confidence::Observed);
            if let Some(confidence) = told.filter(|_| met.insert(&seat.service)) {
                found.push((name, seat, confidence));
            }
        }
    }
    let confidence = found.iter().map(|(.., confidence)| *confidence).max()?;
    found.retain(|(.., sure)| *sure == confidence);
    let (name, seat, _) = found.first()?;
    let more = match found.len() - 1 {
        0 => String::new(),
        more => format!(" and at {more} more"),
    };
    let place = match &seat.service {
        Service {
            server,
            name: Some(name),
            ..
        } => format!("{server} ({name})"),
        Service { server, name: None, .. } => server.to_string(),
    };
    let but = match confidence {
        Confidence::Observed => "which shows another certificate",
        Confidence::Inferred | Confidence::Possible => {
            "under another server name; their certificates are not both visible"
        }
    };
    RuleFinding::of(
        confidence,
        format!("the ticket key {} is also in use at {place}{more}, {but}", short(*name)),
        evidence(ground, *name, &seat.service),
    )
}

/// Whether two services with one key do not belong together, and how sure that is.
fn apart(own: &Service, certificates: &Certificates, seat: &Seat) -> Option<Confidence> {
    let (Some(name), Some(other)) = (&own.name, &seat.service.name) else {
        return None;
    };
    if name.eq_ignore_ascii_case(other) {
        return None;
    }
    if certificates.is_empty() || seat.certificates.is_empty() {
        return Some(Confidence::Possible);
    }
    certificates
        .is_disjoint(&seat.certificates)
        .then_some(Confidence::Observed)
}

/// The key at work here and there, and the certificate of either.
fn evidence(ground: &SecurityContext<'_>, name: KeyName, other: &Service) -> Vec<Evidence> {
    let mut shown = Witnesses::default();
    for (place, analysis) in [
        ("here", Some(ground.analysis)),
        ("there", ground.analyses.service(other)),
    ] {
        let Some(analysis) = analysis else { continue };
        let first = analysis.key(name).and_then(|key| key.alive);
        let frame = first.and_then(|(first, _)| ground.at_work(analysis, name, first));
        shown.add(frame, || format!("the key {} is at work {place}", short(name)));
        let mut members = ground.connection_store.in_turn(&analysis.members);
        let certificate = members.find_map(|(_, connection)| connection.certificate);
        if let Some((_, frame)) = certificate {
            shown.add(Some(frame), || format!("the certificate {place}"));
        }
    }
    shown.evidence
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::TransportKind;
    use crate::session::tests::endpoint;

    fn service(name: Option<&str>) -> Service {
        Service {
            server: endpoint(2),
            name: name.map(Into::into),
            transport: TransportKind::Tcp,
        }
    }

    #[test]
    fn services_with_one_key_are_apart_by_their_certificates_or_perhaps_by_their_names() {
        let certificates = |all: &[u8]| -> Certificates { all.iter().map(|byte| [*byte; 16]).collect() };
        let told = |own: Option<&str>, here: &[u8], other: Option<&str>, there: &[u8]| {
            let seat = Seat {
                service: service(other),
                certificates: certificates(there),
            };
            apart(&service(own), &certificates(here), &seat)
        };
        let (a, b) = (Some("a.test"), Some("b.test"));
        assert_eq!(told(a, &[1], b, &[2, 3]), Some(Confidence::Observed));
        assert_eq!(told(a, &[1, 2], b, &[2, 3]), None);
        assert_eq!(told(a, &[1], b, &[]), Some(Confidence::Possible));
        assert_eq!(told(a, &[], b, &[2]), Some(Confidence::Possible));
        assert_eq!(told(a, &[1], Some("A.TEST"), &[2]), None);
        assert_eq!(told(a, &[1], None, &[2]), None);
        assert_eq!(told(None, &[1], b, &[2]), None);
    }
}

//! A finished [`Engine`] becomes a [`Diagnosis`]: the one place where what reasons rest on is put together.

use std::sync::Arc;

use crate::diagnosis::answer::Answer;
use crate::diagnosis::{
    Asked, Endpoints, History, Judged, KeyNames, Parties, RuleContext, ServiceAnalyses, Shown, judge,
    service::ServiceAnalysis,
};
use crate::engine::Engine;
use crate::net::{At, FrameRef, Neighbour, Timestamp};
use crate::session::{Connection, ConnectionId, Credential, CredentialId, Service};

/// Why the connections of a finished run did not resume, and what is wrong with their services.
///
/// It is made once, when the run is over ([`Engine::finish`]), and costs one pass over all connections. Outcomes are facts
/// and stand in each [`Connection`]; what is here explains them, and may name several explanations where the packets do not
/// decide between them.
#[derive(Debug)]
pub struct Diagnosis<'a> {
    engine: &'a Engine,
    history: History,
    services: ServiceAnalyses,
}

impl<'a> Diagnosis<'a> {
    /// Of a finished run.
    #[must_use]
    pub fn of(engine: &'a Engine) -> Self {
        let parties = Arc::new(engine.parties());
        let names = KeyNames::learn(engine.credential_store());
        let shown = Shown::in_pieces(engine.connection_store(), engine.credential_store(), parties.order());
        let endpoints = || Endpoints::of(engine.connection_store(), &engine.address_facts(), &parties);
        let mut diagnosis = Self {
            engine,
            history: History::of(engine.connection_store(), &parties),
            services: ServiceAnalyses::of(
                engine.connection_store(),
                engine.credential_store(),
                &parties,
                names,
                shown,
                endpoints,
            ),
        };
        let answers = diagnosis.answers_with_reasons();
        diagnosis.services.take_answers(answers);
        diagnosis
    }

    /// Answers of services of whose connections the reasons say more.
    fn answers_with_reasons(&self) -> Vec<(Service, Answer)> {
        let asking = self.services.services();
        let asking = asking.filter(|(_, analysis)| analysis.answer.asks_for_reasons());
        asking
            .map(|(service, analysis)| {
                let primary = |id: &ConnectionId| self.reasons(*id).into_iter().next();
                let primaries = analysis.members.iter().filter_map(primary);
                let told = primaries.map(|judged| (judged.reason, judged.confidence));
                (service.clone(), analysis.answer.with_primaries(told))
            })
            .collect()
    }

    /// The connections, in the order of their first packets.
    pub fn connections(&self) -> impl Iterator<Item = (ConnectionId, &'a Connection)> + use<'a> {
        let (engine, order) = (self.engine, self.engine.in_order(first_packet));
        order
            .into_iter()
            .filter_map(move |id| Some((id, engine.connection_store().get(id)?)))
    }

    /// The reasons of a connection, primary first. Empty where it resumed, and where there is no such connection.
    #[must_use]
    pub fn reasons(&self, id: ConnectionId) -> Vec<Judged> {
        let connection = self.engine.connection_store().get(id);
        connection.map_or_else(Vec::new, |connection| {
            judge(&self.engine.case(id, connection, &self.history, &self.services))
        })
    }

    /// Every service with its answer (one sentence, one action), its patterns and what tells its backends apart; in the order
    /// of their endpoints.
    #[must_use]
    pub fn services(&self) -> Vec<(&Service, &ServiceAnalysis)> {
        let mut services: Vec<_> = self.services.services().collect();
        services.sort_unstable_by_key(|(service, _)| *service);
        services
    }

    /// What is known of one service.
    #[must_use]
    pub fn service(&self, service: &Service) -> Option<&ServiceAnalysis> {
        self.services.service(service)
    }
}

impl Engine {
    /// Every credential that was issued or offered, with what is known of it.
    pub fn credentials(&self) -> impl Iterator<Item = (CredentialId, &Credential)> {
        self.credential_store().iter()
    }
}

/// When and in which frame a connection began.
fn first_packet(connection: &Connection) -> (Timestamp, FrameRef) {
    (connection.transport.started, connection.transport.first())
}

/// What a diagnosis is put together from; the command's model does so by several threads.
#[doc(hidden)]
impl Engine {
    /// Connections by a key, and by their number where that is the same.
    #[must_use]
    pub fn in_order<K: Ord>(&self, key: impl Fn(&Connection) -> K) -> Vec<ConnectionId> {
        let mut keyed = Vec::with_capacity(self.connection_store().len());
        keyed.extend(
            self.connection_store()
                .iter()
                .map(|(id, connection)| (key(connection), id)),
        );
        // No two are equal, and what is almost in order has no long runs: connections begin while others do.
        keyed.sort_unstable();
        let mut order = Vec::with_capacity(keyed.len());
        order.extend(keyed.into_iter().map(|(_, id)| id));
        order
    }

    /// Who meets whom, in the order of the hellos. Packets may bear no time, or the same one: then the order in which
    /// connections were recognised decides.
    #[must_use]
    pub fn parties(&self) -> Parties {
        Parties::of(self.connection_store(), &self.in_order(Connection::hello_time))
    }

    /// What ARP, neighbour discovery and ICMP told, as the analysis of services takes it.
    #[must_use]
    pub fn address_facts(&self) -> Vec<(At, Neighbour)> {
        self.neighbours().iter().map(|seen| (seen.at, seen.what)).collect()
    }

    /// What a rule sees of a connection.
    #[must_use]
    pub fn case<'s>(
        &'s self,
        id: ConnectionId,
        connection: &'s Connection,
        history: &'s History,
        analyses: &'s ServiceAnalyses,
    ) -> RuleContext<'s> {
        RuleContext {
            id,
            connection,
            connection_store: self.connection_store(),
            credential_store: self.credential_store(),
            history,
            analyses,
            drops: self.drops(),
            asked: Asked::default(),
        }
    }
}

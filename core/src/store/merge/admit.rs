//! Connections of documents: serde holds each value to its type, and here they are held to each other.

use crate::session::{CredentialFingerprint, DatagramFacts, MAX_PATHS};
use crate::store::Interner;

use super::PartialConnection;

impl PartialConnection {
    /// Takes a connection that was deserialised: what strangers wrote must be what a run could have found.
    ///
    /// # Errors
    /// The member that cannot be right.
    pub fn admit(mut self, interner: &mut Interner) -> Result<Self, &'static str> {
        self.check()?;
        let connection = &mut *self.connection;
        // Names are shared, and escaped as if they came off the wire.
        if let Some(hello) = connection.hello.yes_mut() {
            hello.server_name = hello.server_name.take().map(|name| interner.text(name.as_bytes()));
            hello.stack = interner.stack(hello.stack.digest, &hello.stack.suites, hello.stack.extensions);
        }
        if let Some(answer) = connection.answer.yes_mut() {
            answer.alpn = answer.alpn.take().map(|alpn| interner.text(alpn.as_bytes()));
        }
        for issued in &mut self.issued {
            issued.server_name = issued.server_name.take().map(|name| interner.text(name.as_bytes()));
        }
        if let Some(rare) = connection.transport.uncommon.as_deref_mut() {
            rare.outer = rare.outer.take().and_then(|outer| interner.outer(&outer));
            if let Some(DatagramFacts::Quic(quic)) = rare.datagram.as_deref_mut() {
                quic.paths.truncate(MAX_PATHS);
            }
            if let Some(DatagramFacts::Dtls(dtls)) = rare.datagram.as_deref_mut() {
                dtls.paths.truncate(MAX_PATHS);
            }
        }
        // Joining asks what is known of the ends, and "nothing" is an answer.
        connection.edges.get_or_insert_default();
        Ok(self)
    }

    fn check(&self) -> Result<(), &'static str> {
        let connection = &*self.connection;
        let spans = &connection.transport.spans;
        if !spans
            .iter()
            .all(|(first, last)| first <= last && first.capture() == last.capture())
        {
            return Err("spans");
        }
        if connection.transport.ended < connection.transport.started {
            return Err("ended");
        }
        if self.accepted.is_some_and(|place| place >= self.offered.len()) {
            return Err("accepted");
        }
        let session_id = connection.edges.as_deref().and_then(|edges| edges.session_id.as_ref());
        let offered = self.offered.iter().map(|offered| &offered.name);
        let issued = self.issued.iter().map(|issued| &issued.name);
        // Two that differ only behind their end would be two credentials.
        let fits = |name: &CredentialFingerprint| name.head.iter().skip(name.head().len()).all(|byte| *byte == 0);
        if !offered.chain(issued).chain(session_id).all(fits) {
            return Err("head");
        }
        Ok(())
    }
}

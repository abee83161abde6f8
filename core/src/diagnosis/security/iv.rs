//! Two tickets sealed with the same key and the same IV.

use hashbrown::HashMap;

use super::ground::{FirstShown as Ticket, SecurityContext};
use super::keys::short;
use super::{RuleFinding, Witnesses, finding};
use crate::diagnosis::Confidence;
use crate::diagnosis::service::KeyName;
use crate::diagnosis::service::keys::vary;

finding! {
    /// ## What it means
    /// Two different tickets are sealed with the same key and the same IV. With ciphers that generate a key stream
    /// (CTR, GCM, ChaCha20) this gives away what both contain, and with GCM the key of the MAC; with CBC it shows which
    /// tickets begin alike. It comes from a bad source of random numbers, from a machine that was cloned while running,
    /// or from a counter that starts over.
    ///
    /// ## How we know
    /// Key name and IV are in clear at the front of a ticket. Both are equal and the tickets are not; by chance that
    /// happens once in 2^128. Reported only where the 16 bytes are an IV: the layout has a length field that fits, or
    /// the other tickets of the key have different bytes there.
    pub(super) static TICKET_IV_REUSE = {
        name: "ticket-iv-reuse", since: "0.1.0", severity: High,
        summary: "two tickets were sealed with the same key and the same IV",
        spec: [(5077, "4"), (5077, "5.5")],
        advice: "update the server and the random number source of its ticket callback (OpenSSL: SSL_CTX_set_tlsext_ticket_key_evp_cb must fill the IV with RAND_bytes); reseed machines after cloning; then replace the ticket key",
        rule: ticket_iv_reuse,
    }
}

/// Tickets under one key, by IV.
#[derive(Default)]
struct UnderKey<'a> {
    tickets: usize,
    by_iv: HashMap<[u8; 16], Vec<Ticket<'a>>>,
}

impl UnderKey<'_> {
    /// Whether the bytes behind the name vary as IVs do.
    fn varies(&self) -> bool {
        vary(self.by_iv.len(), self.tickets)
    }
}

fn ticket_iv_reuse(ground: &SecurityContext<'_>) -> Option<RuleFinding> {
    let mut keys: HashMap<KeyName, UnderKey<'_>> = HashMap::new();
    for ticket in ground.tickets {
        let name = ground.analyses.key_name(ticket.id).filter(KeyName::is_whole);
        let head = ticket.credential.name.head();
        let (Some(name), Some(iv)) = (name, head.get(16..32).and_then(|iv| iv.first_chunk().copied())) else {
            continue;
        };
        let key = keys.entry(name).or_default();
        let same = key.by_iv.entry(iv).or_default();
        let digest = ticket.credential.name.sha256;
        // A ticket that was seen at two versions is still one.
        if same.iter().all(|known| known.credential.name.sha256 != digest) {
            key.tickets += 1;
            // One pair shows it.
            if same.len() < 2 {
                same.push(*ticket);
            }
        }
    }
    let mut reused: Vec<(KeyName, &Ticket<'_>, &Ticket<'_>)> = keys
        .iter()
        .flat_map(|(name, key)| key.by_iv.values().map(move |same| (*name, key, same.as_slice())))
        .filter_map(|(name, key, same)| match same {
            [first, second, ..] => {
                let laid_out = [first, second]
                    .iter()
                    .all(|ticket| ticket.credential.name.has_length_field());
                (laid_out || key.varies()).then_some((name, first, second))
            }
            _ => None,
        })
        .collect();
    reused.sort_by_key(|(name, first, second)| (first.frame, second.frame, *name));
    let mut shown = Witnesses::default();
    for (name, first, second) in reused {
        shown.add(Some(first.frame), || format!("a ticket under the key {}", short(name)));
        shown.show(second.frame, || {
            "another ticket with the same key and the same IV".to_owned()
        });
    }
    let ivs = shown.counted("IV was", "IVs were");
    RuleFinding::of(
        Confidence::Observed,
        format!("{ivs} used again for another ticket under the same key"),
        shown.evidence,
    )
}

//! Explanations: predictions over the attempt table.
//!
//! Each says of an offer whose inputs are visible that it is refused, or says nothing; it fits one value at most. An accepted
//! offer that it names, with values that were read, refutes it. What it looks at is fixed before the server decides: hello,
//! credential, and state of the answerer that shows through. What only refusals show is a trace: it orders what is
//! possible and proves nothing. How sure a claim is and who its rivals are is decided in [`super::contest`].

mod asks;
mod befell;
mod breaks;
mod keys;
mod kind;
mod long;
mod never;
mod restarts;
mod when;
mod who;
pub mod words;

use hashbrown::{HashMap, HashSet};

use super::attempts::{Attempts, Decision, OfferedCredential, ServicePart};
use super::confidence::{Stratum, ln_chance, ln_least};
use super::service::{Folded, Takeover};
use crate::net::{FrameRef, Timestamp};
use crate::session::{CredentialId, Mechanism};

pub use kind::{Family, Kind};
pub use never::SERVERS;
pub use words::Named;

/// Addresses below which each counts by itself: what never varies within a client earns nothing then.
const FEW_ADDRESSES: usize = 5;

/// What an explanation looks at: one service's part of the table.
pub struct ServiceContext<'a> {
    /// The table.
    pub table: &'a Attempts,
    /// The service's part.
    pub part: &'a ServicePart,
    /// Its entries that the server decided freely.
    pub judged: Vec<u32>,
    /// The address changed hands.
    pub takeovers: &'a [Takeover],
    /// Its connections that are not in the table any more.
    pub folded: Folded,
    by_address: bool,
}

impl<'a> ServiceContext<'a> {
    /// Of one service.
    #[must_use]
    pub fn of(table: &'a Attempts, part: &'a ServicePart, takeovers: &'a [Takeover]) -> Self {
        let judged: Vec<u32> = table
            .entries(&part.entries)
            .filter(|(_, entry)| entry.counts() && !table.is_of_other_era(entry))
            .map(|(number, _)| number)
            .collect();
        let mut addresses = HashSet::new();
        for (_, entry) in table.entries(&judged) {
            if let Some(row) = table.row_of(entry).filter(|_| addresses.len() < FEW_ADDRESSES) {
                addresses.insert(row.address);
            }
        }
        Self {
            table,
            part,
            judged,
            takeovers,
            folded: Folded::default(),
            by_address: addresses.len() < FEW_ADDRESSES,
        }
    }

    /// The entries that the server decided freely.
    pub fn entries(&self) -> impl Iterator<Item = (u32, &OfferedCredential)> + Clone {
        self.table.entries(&self.judged)
    }

    /// The same with those that were refused in a handshake of another era: only what says so of the version looks at them,
    /// for a server that negotiated TLS 1.3 has not looked for a session of TLS 1.2.
    fn with_other_eras(&self) -> Self {
        let counting = self
            .table
            .entries(&self.part.entries)
            .filter(|(_, entry)| entry.counts());
        Self {
            judged: counting.map(|(number, _)| number).collect(),
            ..*self
        }
    }

    /// When the hello of an entry was sent.
    #[must_use]
    pub fn time(&self, entry: &OfferedCredential) -> Option<Timestamp> {
        self.table.row_of(entry).map(|row| row.time)
    }
}

/// What one explanation says of one service.
#[derive(Debug, Clone)]
pub struct Claim {
    /// Which explanation.
    pub kind: Kind,
    /// The refused or broken entries that it explains.
    pub named: Vec<u32>,
    /// Those of them that a proof covers.
    pub proven: Vec<u32>,
    /// No accepted offer contradicts it.
    pub stands: bool,
    /// The units that it was counted on.
    pub strata: Vec<Stratum>,
    /// Values that its parameter could have taken.
    pub cuts: u64,
    /// It rests on values that were concluded.
    pub concluded: bool,
    /// Something of its own shows: not counted, but it goes before rivals without.
    pub trace: Option<Trace>,
    /// Its parameter, for the words.
    pub value: FittedValue,
    /// The moments at which everything was lost, the best explained first.
    pub moments: Vec<(Timestamp, Timestamp)>,
    /// Whose moments they are.
    pub scope: Scope,
    /// Nothing beside the rows that it looks at speaks against it.
    pub plausible: bool,
    /// What explains the same where it need not stand by itself: no count of these rows can part the two.
    pub shadow: Option<Kind>,
    /// Some of what it names was refused by a server that issued under the ticket's own key: keys are shared.
    pub shares_keys: bool,
}

/// What lost its sessions at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// The whole service.
    Service,
    /// What the server keeps; tickets that hold their session themselves live on.
    Cache,
    /// One machine after the other.
    Machine,
}

/// What shows that an explanation is at work, beside the refusals.
#[derive(Debug, Clone)]
pub struct Trace {
    /// What it is, without a full stop.
    pub text: &'static str,
    /// Where it shows.
    pub frame: Option<FrameRef>,
}

impl Trace {
    /// Something that shows in no single frame.
    #[must_use]
    pub const fn of(text: &'static str) -> Option<Self> {
        Some(Self { text, frame: None })
    }
}

/// The fitted value of an explanation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FittedValue {
    /// None.
    Nothing,
    /// A moment within this interval, the best explained of [`Claim::moments`].
    Moment(Timestamp, Timestamp),
    /// Nanoseconds: the oldest that was accepted, the youngest that was refused.
    Age(i64, i64),
    /// Newer sessions: the most beside an accepted one, the fewest beside a refused one.
    Newer(u32, u32),
    /// The same, since the latest use: the cache drops what was not used for longest.
    NewerUnused(u32, u32),
    /// Nobody honours it.
    Never {
        /// What is offered are tickets of TLS 1.3 that stand for a session in the server's cache.
        in_tickets: bool,
        /// Servers in turn that are excluded by refusals of fresh sessions after clean ends.
        servers: u64,
    },
    /// Refusals of sessions that were accepted later took far longer than acceptances.
    Slow,
    /// From this refused offer on the same sessions are honoured: what was not shared may have come late.
    Late(Timestamp),
}

fn sums<'a>(strata: impl Iterator<Item = &'a Stratum>) -> Stratum {
    strata.fold(Stratum::default(), |sum, it| Stratum {
        named_refused: sum.named_refused + it.named_refused,
        named_accepted: sum.named_accepted + it.named_accepted,
        other_refused: sum.other_refused + it.other_refused,
        other_accepted: sum.other_accepted + it.other_accepted,
    })
}

impl Claim {
    /// The sums of its units over all strata.
    #[must_use]
    pub fn units(&self) -> Stratum {
        sums(self.strata.iter())
    }

    /// The same over those strata alone in which it names something.
    #[must_use]
    pub fn units_concerned(&self) -> Stratum {
        sums(self.strata.iter().filter(|it| it.named_refused > 0))
    }

    /// The chance of its units, cuts included, as a logarithm.
    #[must_use]
    pub fn ln_chance(&self) -> f64 {
        ln_chance(&self.strata) + self.ln_cuts()
    }

    /// The least that its margins could have come to.
    #[must_use]
    pub fn ln_least(&self) -> f64 {
        ln_least(&self.strata) + self.ln_cuts()
    }

    fn ln_cuts(&self) -> f64 {
        #[allow(clippy::cast_precision_loss)] // counts of units
        let cuts = self.cuts.max(1) as f64;
        cuts.ln()
    }

    /// Values that it fits: fewer are better. A moment between two connections that follow at once is fitted twice, for a
    /// restart takes its time.
    #[must_use]
    pub fn fitted(&self) -> u8 {
        const TAKES: i64 = 100_000_000;
        let narrow = matches!(self.value, FittedValue::Moment(from, until) if until.since(from) < TAKES);
        self.kind.fitted() + u8::from(narrow)
    }

    /// The cheapest next step that would part it from its rivals.
    #[must_use]
    pub const fn settle(&self) -> &'static str {
        match self.value {
            FittedValue::Slow => "the log of the session store at that time",
            FittedValue::Late(_) => "the server's log of that time, for keys or a session store that came back",
            _ => self.kind.settle(),
        }
    }

    /// Sets what shows of it beside the refusals.
    #[must_use]
    fn with_trace(mut self, trace: Option<Trace>) -> Self {
        self.trace = trace;
        self
    }
}

/// An explanation's view of one entry: whether it names it, and which value it saw.
#[derive(Debug, Clone, Copy)]
struct Look {
    named: bool,
    value: u32,
    /// The value was concluded: it supports, and does not refute.
    concluded: bool,
}

impl Look {
    const fn read(named: bool) -> Self {
        Self {
            named,
            value: named as u32,
            concluded: false,
        }
    }
}

/// Makes a claim of an explanation's view of every entry. `None` from `look` is an input that is not visible; no claim
/// where nothing refused is named.
fn claim(ground: &ServiceContext<'_>, kind: Kind, look: impl Fn(&OfferedCredential) -> Option<Look>) -> Option<Claim> {
    // State that is lost leads to a full handshake: only some explanations say that the handshake breaks.
    let asked = |entry: &&OfferedCredential| entry.decision != Decision::Broken || kind.breaks();
    let seen = |entry: &OfferedCredential| Some(entry).filter(asked).and_then(&look);
    let failed = || ground.entries().filter(|(_, entry)| entry.failed());
    let looks = || failed().filter_map(|(number, entry)| Some((number, seen(entry)?)));
    // Most explanations name nothing of most services: what follows is for those that do.
    let named: Vec<u32> = looks()
        .filter(|(_, look)| look.named)
        .map(|(number, _)| number)
        .collect();
    if named.is_empty() {
        return None;
    }
    let concluded = looks().any(|(_, look)| look.named && look.concluded);
    let shares_keys = ground.table.entries(&named).any(|(_, entry)| entry.own_key);
    let mut counts = UnitCounts::default();
    let mut stands = true;
    for (_, entry) in ground.entries() {
        // A concluded value that would refute abstains.
        let Some(look) = seen(entry).filter(|look| entry.failed() || !look.named || !look.concluded) else {
            continue;
        };
        stands &= entry.failed() || !look.named;
        counts.add(ground, entry, look);
    }
    Some(Claim {
        kind,
        named,
        proven: Vec::new(),
        stands,
        strata: counts.strata.into_values().collect(),
        cuts: 1,
        concluded,
        trace: None,
        value: FittedValue::Nothing,
        moments: Vec::new(),
        scope: Scope::Service,
        plausible: true,
        shadow: None,
        shares_keys,
    })
}

/// Units, each counted once, in their strata.
#[derive(Default)]
struct UnitCounts {
    units: HashSet<(CredentialId, u32, bool, bool)>,
    strata: HashMap<(Mechanism, u32, u32), Stratum>,
}

impl UnitCounts {
    fn add(&mut self, ground: &ServiceContext<'_>, entry: &OfferedCredential, look: Look) {
        let Some(row) = ground.table.row_of(entry) else { return };
        // The identities of one hello are one attempt.
        let first = ground.table.of_row(row).next();
        let first = first.map_or(entry.credential, |(_, first)| first.credential);
        if !self.units.insert((first, look.value, look.named, entry.failed())) {
            return;
        }
        let address = if ground.by_address { row.address } else { 0 };
        let stratum = self.strata.entry((entry.mechanism, row.stack, address)).or_default();
        *match (look.named, entry.failed()) {
            (true, true) => &mut stratum.named_refused,
            (true, false) => &mut stratum.named_accepted,
            (false, true) => &mut stratum.other_refused,
            (false, false) => &mut stratum.other_accepted,
        } += 1;
    }
}

/// Every explanation that names at least one refusal of a service, refuted ones among them: they count as tried.
#[must_use]
pub fn claims(ground: &ServiceContext<'_>) -> Vec<Claim> {
    let mut all = Vec::new();
    asks::version(ground, &mut all);
    if !ground.entries().any(|(_, entry)| entry.failed()) {
        return all;
    }
    who::claims(ground, &mut all);
    when::claims(ground, &mut all);
    befell::claims(ground, &mut all);
    long::claims(ground, &mut all);
    asks::claims(ground, &mut all);
    never::claims(ground, &mut all);
    all.extend(breaks::claim(ground));
    all
}

/// Whether an entry was refused in a full handshake.
const fn refused(entry: &OfferedCredential) -> bool {
    matches!(entry.decision, Decision::Refused)
}

#[cfg(test)]
mod tests;

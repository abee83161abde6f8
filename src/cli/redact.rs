//! `--redact`: what a run found is told under other names before anything is made of it.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use zeroize::Zeroizing;

use super::args::Redact;
use super::{Status, complain};
use crate::capture::name_of;
use crate::model::{Report, Selection};
use crate::redact::{Aliases, KEY_LENGTH, PacketRedactor, RedactionKey};
use crate::run::Run;

/// Bytes of a key file that are read: whoever names a capture by mistake is told so at once.
const MAX_KEY: u64 = 1 << 16;

/// Other names, where they are asked for.
pub(super) struct Redaction(Option<Aliases>);

impl Redaction {
    /// With a key of this run, or the one in a file; what is wrong with that is said.
    pub(super) fn of(arguments: &Redact) -> Result<Self, Status> {
        let key = match (&arguments.key, arguments.redact) {
            (Some(path), _) => read_key(path).map(Some),
            (None, true) => draw_key().map(Some),
            (None, false) => Ok(None),
        };
        let key = key.map_err(|(line, status)| {
            complain(&line);
            status
        })?;
        Ok(Self(key.as_ref().map(Aliases::new)))
    }

    /// Whether it replaces anything.
    pub(super) const fn is_asked(&self) -> bool {
        self.0.is_some()
    }

    /// What makes packets anew under the other names.
    pub(super) fn packets(&self) -> Option<PacketRedactor> {
        self.0.as_ref().map(PacketRedactor::new)
    }

    /// Replaces the names in a run that is over. The selection was written for the names before: what it selects is
    /// found first.
    pub(super) fn apply(&mut self, run: &mut Run, selection: Option<Selection>) -> Option<Selection> {
        let Some(aliases) = &mut self.0 else { return selection };
        let settled = selection.map(|it| it.settled(&Report::of(&run.engine, run.captures.clone())));
        aliases.apply(&mut run.engine, &mut run.captures);
        settled
    }
}

fn draw_key() -> Result<RedactionKey, (String, Status)> {
    let mut bytes = Zeroizing::new(vec![0; KEY_LENGTH]);
    let failed = |error| {
        (
            format!("--redact: no random key could be drawn: {error}"),
            Status::Unreadable,
        )
    };
    getrandom::fill(&mut bytes).map_err(failed)?;
    RedactionKey::new(bytes).ok_or_else(|| too_short("the random key"))
}

fn read_key(file: &Path) -> Result<RedactionKey, (String, Status)> {
    let path = name_of(file);
    let failed = |error| (format!("--redact-key: {path}: {error}"), Status::Unreadable);
    let mut bytes = Zeroizing::new(Vec::new());
    let file = File::open(file).map_err(failed)?;
    file.take(MAX_KEY + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > MAX_KEY {
        let line = format!("--redact-key: {path}: is longer than {MAX_KEY} bytes, which is no key");
        return Err((line, Status::Usage));
    }
    RedactionKey::new(bytes).ok_or_else(|| too_short(&path))
}

fn too_short(what: &str) -> (String, Status) {
    let line = format!(
        "--redact-key: {what}: a key has at least {KEY_LENGTH} bytes; make one with 'head -c {KEY_LENGTH} /dev/urandom > FILE'"
    );
    (line, Status::Usage)
}

//! What may follow what was typed of a selection: keys, and the names that their values are.

use reshake_core::diagnosis::CATALOG;
use reshake_core::diagnosis::service::PATTERNS;
use reshake_core::session::CloseClass;

use super::{CONFIDENCES, KEYS, MECHANISMS, OFFERS, OUTCOMES, TRANSPORTS, VERSIONS};

/// What the last word of a selection may become: keys with a colon behind them, or values of its key. A sign, and values
/// before a comma, stay as they are.
#[must_use]
pub fn completions(word: &str) -> Vec<String> {
    let bare = word.trim_start_matches(['-', '!']);
    let sign = word.strip_suffix(bare).unwrap_or_default();
    let Some((key, values)) = bare.split_once(':') else {
        let keys = KEYS.iter().filter(|(key, _)| key.starts_with(bare));
        return keys.map(|(key, _)| format!("{sign}{key}:")).collect();
    };
    let (before, value) = values
        .rsplit_once(',')
        .map_or(("", values), |(before, value)| (before, value));
    let comma = if before.is_empty() { "" } else { "," };
    let known = known_values(key).into_iter().filter(|known| known.starts_with(value));
    known
        .map(|known| format!("{sign}{key}:{before}{comma}{known}"))
        .collect()
}

/// The values of a key, where these are names.
fn known_values(key: &str) -> Vec<&'static str> {
    match key {
        "reason" => CATALOG.iter().map(|reason| reason.name).chain(["none"]).collect(),
        "pattern" => PATTERNS.iter().map(|kind| kind.name).chain(["none"]).collect(),
        "outcome" => OUTCOMES.to_vec(),
        "offered" => OFFERS.to_vec(),
        "resumed-by" => MECHANISMS.to_vec(),
        "confidence" => CONFIDENCES.to_vec(),
        "transport" => TRANSPORTS.to_vec(),
        "version" => VERSIONS.to_vec(),
        "close" => {
            let classes = CloseClass::ALL.into_iter().map(CloseClass::code);
            classes.chain(["not-visible"]).collect()
        }
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Selection;

    #[test]
    fn words_are_completed_by_keys_and_values() {
        assert_eq!(completions("outc"), ["outcome:"]);
        assert_eq!(completions("-outcome:de"), ["-outcome:declined"]);
        assert_eq!(completions("outcome:resumed,fa"), ["outcome:resumed,failed"]);
        assert_eq!(completions("").len(), KEYS.len());
        assert!(completions("client:10").is_empty() && completions("nothing").is_empty());
        for word in completions("reason:") {
            assert!(Selection::parse(&word).is_ok(), "{word}");
        }
    }
}

//! The help: every key, from the one table of keys.

use super::keys::{KEYS, KeyContext};
use super::page::{Item, Tone};

/// Columns of the keys.
const KEYS_WIDTH: usize = 16;

/// The help in lines: a heading for each place, then its keys with what they do.
#[must_use]
pub fn lines() -> Vec<Item> {
    let mut lines = Vec::new();
    for place in KeyContext::ALL {
        if !lines.is_empty() {
            lines.push(Item::default());
        }
        lines.push(Item::of(Tone::Name, place.title()));
        for binding in KEYS.iter().filter(|binding| binding.places.contains(&place)) {
            let label = binding.label();
            lines.push(Item::of(Tone::Advice, format!("  {label:KEYS_WIDTH$}")).and(Tone::Plain, binding.words));
        }
    }
    lines.push(Item::default());
    lines.push(Item::of(Tone::Name, "Mouse"));
    lines.push(Item::of(
        Tone::Plain,
        "  the wheel scrolls, a click chooses, a second click opens, a click on a heading sorts",
    ));
    lines
}

/// Short hints for the foot of a screen.
#[must_use]
pub fn hints(place: KeyContext, live: bool) -> Vec<(String, &'static str)> {
    KEYS.iter()
        .filter(|binding| binding.counts(place, live))
        .filter_map(|binding| {
            let first = binding.label().split(' ').next().unwrap_or_default().to_owned();
            Some((first, binding.hint?))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_help_names_every_key() {
        let help: Vec<String> = lines().iter().map(Item::text).collect();
        for binding in KEYS {
            let label = binding.label();
            let named = help
                .iter()
                .filter(|line| line.trim_start().starts_with(&label) && line.ends_with(binding.words));
            assert_eq!(named.count(), binding.places.len(), "{label}: {}", binding.words);
        }
    }
}

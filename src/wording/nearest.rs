//! Names most like one that is not known: what an answer to a misspelt name offers.

/// Names that an unknown one is answered with.
const MAX_NEAREST: usize = 3;
/// How alike two names must be to be near (Jaro-Winkler, 0 to 1).
const NEAR: f64 = 0.75;

/// Those of `known` that are most like an unknown name, best first.
fn nearest_of(name: &str, known: impl Iterator<Item = &'static str>) -> Vec<&'static str> {
    let name = name.to_lowercase();
    let mut near: Vec<(f64, &'static str)> = known
        .map(|known| {
            let part = name.len() > 2 && known.contains(name.as_str());
            let alike = strsim::jaro_winkler(&name, known);
            (if part { 1.0 } else { alike }, known)
        })
        .filter(|(alike, _)| *alike >= NEAR)
        .collect();
    near.sort_by(|a, b| b.0.total_cmp(&a.0));
    near.into_iter().map(|(_, name)| name).take(MAX_NEAREST).collect()
}

/// "did you mean 'reason'?", where a known name is near.
pub(crate) fn did_you_mean(name: &str, known: impl Iterator<Item = &'static str>) -> Option<String> {
    let near: Vec<String> = nearest_of(name, known).iter().map(|near| format!("'{near}'")).collect();
    let (last, others) = near.split_last()?;
    Some(match others {
        [] => format!("did you mean {last}?"),
        others => format!("did you mean {} or {last}?", others.join(", ")),
    })
}

/// What is said of a name that is not known: those near it, or where to look.
pub(crate) fn unknown(what: &str, name: &str, known: impl Iterator<Item = &'static str>, or_else: &str) -> String {
    let hint = did_you_mean(name, known);
    format!("unknown {what} '{name}'; {}", hint.as_deref().unwrap_or(or_else))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_of_a_name_is_nearest_when_it_is_long_enough_to_mean_it() {
        let known = [
            "other-backend-cache",
            "stek-changed",
            "first-in-capture",
            "sni-mismatch",
        ];
        let near = |name: &str| nearest_of(name, known.into_iter());
        assert_eq!(near("cache"), ["other-backend-cache"]);
        assert_eq!(near("CACHE"), ["other-backend-cache"]);
        assert_eq!(near("sni"), ["sni-mismatch"]);
        assert_eq!(near("ch"), Vec::<&str>::new());
        assert_eq!(near("stek-changes").first(), Some(&"stek-changed"));
        assert_eq!(near("quite something else"), Vec::<&str>::new());
    }

    #[test]
    fn only_the_best_few_are_named() {
        let known = ["abcde", "abcdf", "abcdg", "abcdh"];
        assert_eq!(nearest_of("abcdh", known.into_iter()), ["abcdh", "abcde", "abcdf"]);
    }
}

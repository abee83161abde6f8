//! Rules in a file, in TOML: keys are the names of the catalogue. At the top they are about all connections, under
//! `[each.service]` about each service by itself, in a `[[part]]` about those that its `where` selects.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::catalog::{Given, RuleKind};
use super::requirement::Value;
use super::rules::{Each, Origin, RuleFault, Rules, Scope, Terms, unknown};

type Key<'k> = (&'k str, Range<usize>, &'k Spanned<DeValue<'k>>);

/// Adds what the file says to the rules.
pub(super) fn read(rules: &mut Rules, path: &str, text: &str, terms: Terms<'_>) -> Result<(), RuleFault> {
    let mut reader = Reader {
        rules,
        path,
        text,
        terms,
    };
    let table = DeTable::parse(text).map_err(|error| {
        // The parser adds lines of its own; the first says what is wrong.
        let message = error.message().lines().next().unwrap_or("cannot be read").to_owned();
        reader.fault(error.span().map_or(0, |span| span.start), message)
    })?;
    reader.top(table.get_ref())
}

struct Reader<'r> {
    rules: &'r mut Rules,
    path: &'r str,
    text: &'r str,
    terms: Terms<'r>,
}

impl Reader<'_> {
    fn origin(&self, at: usize) -> Origin {
        let before = self.text.get(..at).unwrap_or(self.text);
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        Origin::File {
            path: self.path.to_owned(),
            line: before.matches('\n').count() + 1,
            column: before.get(line_start..).unwrap_or_default().chars().count() + 1,
        }
    }

    fn fault(&self, at: usize, message: impl Into<String>) -> RuleFault {
        RuleFault {
            origin: self.origin(at),
            message: message.into(),
        }
    }

    fn top(&mut self, table: &DeTable<'_>) -> Result<(), RuleFault> {
        for (key, at, value) in in_order(table) {
            match key {
                "each" => self.each(at, value)?,
                "part" => self.parts(at, value)?,
                _ => self.entry(&Scope::All, (key, at, value), &["each", "part"])?,
            }
        }
        Ok(())
    }

    /// `[each.service]` and its like.
    fn each(&mut self, at: Range<usize>, value: &Spanned<DeValue<'_>>) -> Result<(), RuleFault> {
        const FORM: &str = "'each' has the tables [each.service], [each.server-name], [each.mechanism]";
        let DeValue::Table(table) = value.get_ref() else {
            return Err(self.fault(at.start, FORM));
        };
        for (key, at, value) in in_order(table) {
            let (Some(each), DeValue::Table(entries)) = (Each::by_code(key), value.get_ref()) else {
                return Err(self.fault(at.start, format!("'each.{key}': {FORM}")));
            };
            for entry in in_order(entries) {
                self.entry(&Scope::Each(each), entry, &[])?;
            }
        }
        Ok(())
    }

    /// `[[part]]`.
    fn parts(&mut self, at: Range<usize>, value: &Spanned<DeValue<'_>>) -> Result<(), RuleFault> {
        const FORM: &str = "parts are written as [[part]], each with where = \"TERMS\" and rules";
        let DeValue::Array(parts) = value.get_ref() else {
            return Err(self.fault(at.start, FORM));
        };
        for part in parts {
            let DeValue::Table(table) = part.get_ref() else {
                return Err(self.fault(part.span().start, FORM));
            };
            let entries = in_order(table);
            let Some((_, _, terms)) = entries.iter().find(|(key, ..)| *key == "where") else {
                return Err(self.fault(part.span().start, "this part has no where = \"TERMS\""));
            };
            let scope = self.terms(terms)?;
            if entries.len() == 1 {
                return Err(self.fault(part.span().start, "this part has no rule"));
            }
            for entry in entries.into_iter().filter(|(key, ..)| *key != "where") {
                self.entry(&scope, entry, &["where"])?;
            }
        }
        Ok(())
    }

    fn terms(&self, value: &Spanned<DeValue<'_>>) -> Result<Scope, RuleFault> {
        let at = value.span().start;
        let DeValue::String(text) = value.get_ref() else {
            return Err(self.fault(at, "'where' is a string such as \"name:www.example.test\""));
        };
        match (self.terms)(text) {
            Ok(()) => Ok(Scope::Part(text.to_string())),
            Err((inside, message)) => {
                // Behind the quotation mark, as long as nothing before it is escaped.
                let quoted = self.text.get(value.span()).unwrap_or_default();
                let plain = quoted.get(1..quoted.len().saturating_sub(1)) == Some(text);
                let offset = text.char_indices().nth(inside).map_or(text.len(), |(offset, _)| offset);
                Err(self.fault(if plain { at + 1 + offset } else { at }, message))
            }
        }
    }

    /// One rule or setting.
    fn entry(&mut self, scope: &Scope, (key, at, value): Key<'_>, more: &[&'static str]) -> Result<(), RuleFault> {
        let Some(kind) = RuleKind::by_name(key).filter(|kind| kind.given != Given::Never) else {
            return Err(self.fault(at.start, unknown("key", key, more)));
        };
        if *scope != Scope::All && kind.given != Given::Scoped {
            return Err(self.fault(
                at.start,
                format!("'{key}' is about the whole run: it belongs at the top of the file"),
            ));
        }
        let origin = self.origin(at.start);
        self.rules
            .set(kind.name, scope, &convert(value.get_ref()), &origin)
            .map_err(|wrong| {
                let element = wrong.element.and_then(|element| match value.get_ref() {
                    DeValue::Array(array) => array.get(element),
                    _ => None,
                });
                let span = element.map_or_else(|| value.span(), Spanned::span);
                self.fault(span.start, format!("{key}: {}", wrong.message))
            })
    }
}

/// The entries of a table in the order in which they were written.
fn in_order<'t>(table: &'t DeTable<'t>) -> Vec<Key<'t>> {
    let mut entries: Vec<Key<'t>> = table
        .iter()
        .map(|(key, value)| (key.get_ref().as_ref(), key.span(), value))
        .collect();
    entries.sort_by_key(|(_, span, _)| span.start);
    entries
}

fn convert(value: &DeValue<'_>) -> Value {
    match value {
        DeValue::String(text) => Value::Text(text.to_string()),
        DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix())
            .map_or(Value::Other("number that is too large"), Value::Whole),
        DeValue::Float(number) => number
            .as_str()
            .parse()
            .map_or(Value::Other("number that cannot be read"), Value::Number),
        DeValue::Array(array) => Value::List(array.iter().map(|element| convert(element.get_ref())).collect()),
        DeValue::Boolean(_) => Value::Other("boolean"),
        DeValue::Datetime(_) => Value::Other("date"),
        DeValue::Table(_) => Value::Other("table"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::requirement::{Fraction, Requirement};
    use super::*;

    fn terms(text: &str) -> Result<(), (usize, String)> {
        match text.find("wrong") {
            Some(at) => Err((at, "cannot be understood".to_owned())),
            None => Ok(()),
        }
    }

    fn of(text: &str) -> Result<Rules, String> {
        let mut rules = Rules::default();
        rules
            .add_file("r.toml", text, &terms)
            .and_then(|()| rules.finish())
            .map_err(|fault| fault.to_string())
    }

    #[test]
    fn rules_are_about_all_each_or_a_part() {
        let rules = of("# all\nmax-unclear = 0\nmin-returning-share = \"95%\"\n\
             [each.service]\nmin-resumption-rate = 0.5\n\
             [[part]]\nwhere = \"name:a.test\"\nmust-resume = 2\n")
        .expect("rules");
        let told: Vec<(&str, &Scope, String)> = rules
            .rules
            .iter()
            .map(|rule| (rule.demand.name(), &rule.scope, rule.origin.to_string()))
            .collect();
        let part = Scope::Part("name:a.test".to_owned());
        assert_eq!(
            told,
            [
                ("min-connections", &Scope::All, "default".to_owned()),
                ("max-unclear", &Scope::All, "r.toml:2:1".to_owned()),
                ("min-returning-share", &Scope::All, "r.toml:3:1".to_owned()),
                (
                    "min-resumption-rate",
                    &Scope::Each(Each::Service),
                    "r.toml:5:1".to_owned()
                ),
                ("must-resume", &part, "r.toml:8:1".to_owned()),
            ]
        );
        assert_eq!(
            rules.rules.get(1).map(|rule| &rule.demand),
            Some(&Requirement::MaxUnclear(Fraction(0.0)))
        );
    }

    #[test]
    fn what_is_wrong_has_its_line_and_column() {
        for (text, expected) in [
            (
                "\n  min-resumtion-rate = 0.9",
                "r.toml:2:3: unknown key 'min-resumtion-rate'; did you mean 'min-resumption-rate' or 'min-returning-share'?",
            ),
            (
                "min-resumption-rate = 9",
                "r.toml:1:23: min-resumption-rate: 9 is not a share: 0 to 1 such as 0.9, or a string such as 90%",
            ),
            (
                "forbid-reason = [\n  \"stek-changed\",\n  \"ü\", \"stek-chnged\" ]",
                "r.toml:3:3: forbid-reason: unknown reason 'ü'; 'reshake explain' lists them all",
            ),
            (
                "forbid-finding = \"stek-zero\"",
                "r.toml:1:18: forbid-finding: unknown finding 'stek-zero'; did you mean 'stek-all-zero', 'stek-weak-known-key' or 'stek-shared-across-sni'?",
            ),
            (
                "no-new-reason = true",
                "r.toml:1:1: unknown key 'no-new-reason'; did you mean 'allow-new-reason'?",
            ),
            (
                "max-unclear = true",
                "r.toml:1:15: max-unclear: a boolean is not a share: 0 to 1 such as 0.9, or a string such as 90%",
            ),
            (
                "min-connections = 99999999999999999999",
                "r.toml:1:19: min-connections: a number that is too large is not a whole number of 0 or more",
            ),
            (
                "[each.service]\nbaseline = \"x\"",
                "r.toml:2:1: 'baseline' is about the whole run: it belongs at the top of the file",
            ),
            (
                "[each.client]\nmax-unclear = 0",
                "r.toml:1:7: 'each.client': 'each' has the tables [each.service], [each.server-name], [each.mechanism]",
            ),
            (
                "[[part]]\nwhere = \"name:wrong\"\nmax-unclear = 0",
                "r.toml:2:15: cannot be understood",
            ),
            (
                "[[part]]\nmax-unclear = 0",
                "r.toml:1:1: this part has no where = \"TERMS\"",
            ),
            ("[[part]]\nwhere = \"a:b\"", "r.toml:1:1: this part has no rule"),
            (
                "part = 3",
                "r.toml:1:1: parts are written as [[part]], each with where = \"TERMS\" and rules",
            ),
            (
                "[[part]]\nwhere = \"a:b\"\nmax-unclear = 0\n[[part]]\nwhere = \"a:b\"\nmax-unclear = 1",
                "r.toml:6:15: max-unclear: is given twice, for the same connections; the other is at r.toml:3:1",
            ),
        ] {
            assert_eq!(of(text), Err(expected.to_owned()));
        }
    }

    #[test]
    fn what_is_no_toml_has_its_place_too() {
        for text in [
            "max-unclear = ",
            "max-unclear = 0\nmax-unclear = 1",
            "[[",
            "a = \"\u{1}\"",
            "=",
            "é",
        ] {
            let fault = of(text).expect_err("no TOML");
            assert!(fault.starts_with("r.toml:"), "{fault}");
            assert!(!fault.contains('\n'), "{fault}");
        }
    }
}

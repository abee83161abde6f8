//! What may stand where the cursor is: asked by the completion scripts of shells, through a command that help does not
//! show. The bare form is completed too, and so are names that no shell could know: interfaces, reasons, patterns, terms.

use clap::{Arg, Command, CommandFactory};

use super::args::{Cli, Complete};
use super::{Done, Status, print};
use crate::check::RULES;
use crate::model::select::completions;
use crate::render::explain::CatalogueEntry;

/// Said where files may stand as well: a shell lists them better.
const FILES: &str = ":files";

/// A word with what it means.
type Candidate = (String, String);

pub(super) fn run(arguments: &Complete) -> Done {
    let found = candidates(&arguments.words);
    print(|out| {
        for (word, text) in &found {
            writeln!(out, "{word}\t{text}")?;
        }
        Ok(())
    })?;
    Ok(Status::Analysed)
}

/// What the last word may become; the others stand before it.
fn candidates(words: &[String]) -> Vec<Candidate> {
    let (current, before) = words
        .split_last()
        .map_or(("", &[][..]), |(last, rest)| (last.as_str(), rest));
    let root = {
        let mut root = Cli::command();
        root.build();
        root
    };
    let named = command_of(&root, before);
    // What does not begin with a command is an `analyze`.
    let Some(command) = named.or_else(|| root.find_subcommand("analyze")) else {
        return Vec::new();
    };
    let mut found = Vec::new();
    if let Some(option) = before.last().and_then(|word| option(command, word)) {
        values(command, option, current, "", &mut found);
    } else if let Some((name, value)) = current.split_once('=').filter(|_| current.starts_with("--")) {
        if let Some(option) = option(command, name) {
            values(command, option, value, &format!("{name}="), &mut found);
        }
    } else if current.starts_with('-') {
        let shown = command.get_arguments().filter(|argument| !argument.is_hide_set());
        found.extend(shown.filter_map(|argument| Some((format!("--{}", argument.get_long()?), about(argument)))));
    } else {
        if named.is_none() && before.is_empty() {
            let commands = root.get_subcommands().filter(|command| !command.is_hide_set());
            found.extend(commands.map(|command| (command.get_name().to_owned(), text(command.get_about()))));
        }
        positional(command, &mut found);
    }
    found.retain(|(word, _)| word == FILES || word.starts_with(current));
    found
}

/// The command among the words before the cursor.
fn command_of<'c>(root: &'c Command, before: &[String]) -> Option<&'c Command> {
    let mut words = before.iter();
    while let Some(word) = words.next() {
        match word.as_str() {
            "--color" => drop(words.next()),
            word if word.starts_with('-') => {}
            word => return root.find_subcommand(word),
        }
    }
    None
}

/// The option that a word is, where a value follows it.
fn option<'c>(command: &'c Command, word: &str) -> Option<&'c Arg> {
    let is_called = |argument: &&Arg| match word.strip_prefix("--") {
        Some(long) => argument.get_long() == Some(long),
        None => argument
            .get_short()
            .is_some_and(|short| word.strip_prefix('-') == Some(&*short.to_string())),
    };
    let takes_value = |argument: &&Arg| argument.get_action().takes_values();
    command.get_arguments().filter(is_called).find(takes_value)
}

/// What the value of an option may be, each behind `front`.
fn values(command: &Command, option: &Arg, current: &str, front: &str, found: &mut Vec<Candidate>) {
    let plain = |words: Vec<String>| words.into_iter().map(|word| (word, String::new())).collect();
    let is_rule = command.get_name() == "check" && option.get_long().and_then(rule).is_some();
    let words: Vec<Candidate> = match option.get_id().as_str() {
        "select" => {
            // Of several terms the last is being written.
            let start = current.rfind(' ').map_or(0, |space| space + 1);
            let (before, term) = current.split_at(start);
            plain(
                completions(term)
                    .into_iter()
                    .map(|term| format!("{before}{term}"))
                    .collect(),
            )
        }
        "interface" => interfaces(),
        "format" if command.get_name() == "check" => plain(
            ["text", "markdown", "json", "junit", "sarif", "github", "gitlab"]
                .map(str::to_owned)
                .to_vec(),
        ),
        name if is_rule => names(name),
        _ => possible(option),
    };
    if words.is_empty() && !is_rule {
        found.push((FILES.to_owned(), String::new()));
    }
    found.extend(words.into_iter().map(|(word, text)| (format!("{front}{word}"), text)));
}

fn rule(name: &str) -> Option<&'static str> {
    RULES.iter().find(|kind| kind.name == name).map(|kind| kind.name)
}

/// Names that a rule is about.
fn names(rule: &str) -> Vec<Candidate> {
    let kind = |entry: &CatalogueEntry| match entry {
        CatalogueEntry::Reason(_) => "reason",
        CatalogueEntry::Pattern(_) => "pattern",
        CatalogueEntry::Finding(_) => "finding",
    };
    let wanted = |entry: &CatalogueEntry| rule.ends_with(kind(entry));
    let told = |entry: CatalogueEntry| (entry.name().to_owned(), entry.summary().to_owned());
    CatalogueEntry::all().filter(wanted).map(told).collect()
}

fn positional(command: &Command, found: &mut Vec<Candidate>) {
    let known: Vec<Candidate> = command.get_positionals().flat_map(possible).collect();
    if known.is_empty() && command.get_positionals().next().is_some() {
        found.push((FILES.to_owned(), String::new()));
    }
    found.extend(known);
}

fn possible(argument: &Arg) -> Vec<Candidate> {
    let values = argument.get_possible_values();
    let told = |value: &clap::builder::PossibleValue| (value.get_name().to_owned(), text(value.get_help()));
    values.iter().map(told).collect()
}

fn about(argument: &Arg) -> String {
    text(argument.get_help())
}

/// The first line of a help text, where one line is all there is room for.
fn text(help: Option<&clap::builder::StyledStr>) -> String {
    let help = help.map(ToString::to_string).unwrap_or_default();
    help.lines().next().unwrap_or_default().replace('\t', " ")
}

#[cfg(all(feature = "live", unix))]
fn interfaces() -> Vec<Candidate> {
    let all = crate::capture::device::interfaces().unwrap_or_default();
    all.into_iter().map(|one| (one.name, one.state)).collect()
}

#[cfg(not(all(feature = "live", unix)))]
const fn interfaces() -> Vec<Candidate> {
    Vec::new()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &[&str]) -> Vec<String> {
        let line: Vec<String> = line.iter().map(|word| (*word).to_owned()).collect();
        candidates(&line).into_iter().map(|(word, _)| word).collect()
    }

    #[test]
    fn the_bare_form_is_completed_as_analyze() {
        assert!(words(&[""]).contains(&"check".to_owned()) && words(&[""]).contains(&FILES.to_owned()));
        assert_eq!(words(&["wh"]), ["what-if", FILES]);
        assert!(words(&["--wi"]).contains(&"--wireshark".to_owned()));
        assert_eq!(words(&["x.pcap", "--where", "outc"]), ["outcome:"]);
        assert_eq!(
            words(&["--where", "outcome:declined version:1.3"]),
            ["outcome:declined version:1.3"]
        );
        assert_eq!(words(&["--where=reason:stek-ch"]), ["--where=reason:stek-changed"]);
        assert_eq!(words(&["-r", ""]), [FILES]);
        assert!(words(&["--format", "j"]).contains(&"jsonl".to_owned()));
    }

    #[test]
    fn names_that_no_shell_knows_are_completed() {
        assert_eq!(words(&["explain", "stek-ch"]), ["stek-changed"]);
        assert_eq!(
            words(&["check", "--forbid-pattern", "session-state"]),
            ["session-state-not-shared"]
        );
        assert!(words(&["check", "--forbid-reason", ""]).contains(&"stek-changed".to_owned()));
        assert!(words(&["check", "--format", "git"]).contains(&"gitlab".to_owned()));
        assert_eq!(words(&["completions", "nu"]), ["nushell"]);
        assert!(!words(&["__"]).iter().any(|word| word.starts_with("__")));
    }
}

//! Arguments of the commands that look at no capture: `explain`, `schema`, `completions`.

use std::ffi::OsStr;

use clap::builder::{PossibleValue, StringValueParser, TypedValueParser};
use clap::{Args, ValueEnum};

use crate::render::explain::CatalogueEntry;

/// Arguments of `explain`.
#[derive(Debug, Args)]
pub struct Explain {
    /// Name of a reason, pattern or finding, as reports give it; without it, all are listed.
    #[arg(value_parser = EntryName, hide_possible_values = true)]
    pub name: Option<String>,

    /// Form of the explanation: 'text', 'markdown' or 'json'.
    #[arg(long, value_enum, value_name = "FORM", default_value_t = ExplainFormat::Text, hide_possible_values = true)]
    pub format: ExplainFormat,
}

/// Arguments of `schema`.
#[derive(Debug, Args)]
pub struct SchemaArgs {
    /// Whose: 'report' (of analyze), 'check', 'diff', 'what-if', or 'facts' (of one line).
    #[arg(long, value_enum, value_name = "DOCUMENT", default_value_t = Document::Report, hide_possible_values = true)]
    pub of: Document,

    /// Refuse members that the schema does not name; without it, a report may carry more.
    #[arg(long)]
    pub strict: bool,
}

/// Arguments of `completions`.
#[derive(Debug, Args)]
pub struct Completions {
    /// The shell.
    pub shell: Shell,
}

/// Shells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Shell {
    /// bash.
    Bash,
    /// zsh.
    Zsh,
    /// fish.
    Fish,
    /// nushell.
    Nushell,
    /// Elvish.
    Elvish,
    /// `PowerShell`.
    #[value(name = "powershell")]
    PowerShell,
}

/// Arguments of what completion scripts ask.
#[derive(Debug, Args)]
pub struct Complete {
    /// The words behind the name of the program; the last one is being typed.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    pub words: Vec<String>,
}

/// Documents that have a schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Document {
    /// Of `analyze`.
    Report,
    /// Of `check`.
    Check,
    /// Of `diff`.
    Diff,
    /// Of `what-if`.
    WhatIf,
    /// Of a line of facts.
    Facts,
}

/// Forms of an explanation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ExplainFormat {
    /// For the terminal.
    Text,
    /// For a page.
    Markdown,
    /// For programs.
    Json,
}

/// Takes any name, so that an unknown one gets an answer of its own, and offers the known ones to completion.
#[derive(Debug, Clone, Copy)]
struct EntryName;

impl TypedValueParser for EntryName {
    type Value = String;

    fn parse_ref(
        &self,
        command: &clap::Command,
        argument: Option<&clap::Arg>,
        value: &OsStr,
    ) -> Result<String, clap::Error> {
        StringValueParser::new().parse_ref(command, argument, value)
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        let value = |entry: CatalogueEntry| PossibleValue::new(entry.name()).help(entry.summary());
        Some(Box::new(CatalogueEntry::all().map(value)))
    }
}

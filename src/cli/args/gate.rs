//! Arguments of `check` and `diff`.

use std::path::PathBuf;

use clap::{Args, ValueHint};

use super::{KeyLogArgs, Memory, Redact, SessionFormat};

/// The end of the help of `check`.
const CHECK_EXAMPLES: &str = "Rules are about all connections; SCOPE=VALUE is about a part: 'service=0.9' about each \
service by itself (also 'server-name', 'mechanism'), 'name:www.example.test client:10.0.0.0/8=0.9' about the \
connections for which these terms hold (as for analyze --where). The same names are keys of a rule file: docs/ci.md.

A rule whose quantity does not exist is violated. --min-connections 1 and --max-unclear 0.1 hold by default.

Examples:
  Clients that come back resume:
    reshake check --min-returning-share 0.9 test.pcapng
  The second connection of each client resumes, on TLS 1.3 only, and there is no security finding:
    reshake check --must-resume 2 --allow-version 1.3 --forbid-finding '*' test.pcapng
  Rules from a file, with a test report for the pipeline in addition to the text:
    reshake check --rules rules.toml --format junit=reshake.xml test.pcapng

Exit status:
  0  every rule holds
  1  a rule is violated
  2  wrong usage or rules, or no rule at all
  3  an input or the baseline could not be read (also when a rule is violated), or with --strict: one is damaged";

/// The end of the help of `diff`.
const DIFF_EXAMPLES: &str = "Examples:
  reshake diff before.pcapng after.pcapng
  reshake analyze --format json before.pcapng > before.json
  reshake diff before.json after.pcapng

Exit status:
  0  both could be read, whatever they show
  2  wrong usage
  3  one could not be read";

/// Arguments of `check`.
#[derive(Debug, Args)]
#[command(after_long_help = CHECK_EXAMPLES)]
pub struct CheckArgs {
    /// Captures, as for 'analyze'.
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath, required_unless_present_any = ["print_rules", "init"])]
    pub files: Vec<PathBuf>,

    /// A file of rules in TOML; flags override it.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub rules: Option<PathBuf>,

    /// Write a starter rule file, every rule explained, as 'reshake.toml' or where --rules says, and exit; no file is
    /// replaced.
    #[arg(long, conflicts_with_all = ["files", "print_rules"])]
    pub init: bool,

    /// Show the rules in force as a rule file, each with where it comes from, and exit.
    #[arg(long)]
    pub print_rules: bool,

    /// Form of the answer: 'text', 'markdown' (for a job's summary), 'json', 'junit', 'sarif' (2.1.0), 'github'
    /// (annotations) or 'gitlab' (code quality). With '=FILE' it goes there; may be repeated. One form goes to standard
    /// output: the one without a file, otherwise text.
    #[arg(long, value_name = "FORM[=FILE]", value_parser = output)]
    pub format: Vec<Output>,

    /// Secrets that open what is encrypted.
    #[command(flatten)]
    pub keys: KeyLogArgs,

    /// Whose names the output shows.
    #[command(flatten)]
    pub redact: Redact,

    /// Memory for all that is kept, for example 512M or 4G, half of it for finished connections; beyond it the oldest are only
    /// counted, and no rule holds. Without it 2G of finished connections are kept.
    #[arg(long, value_name = "SIZE", value_parser = super::size)]
    pub max_memory: Option<usize>,

    /// Also exit with status 3 when an input is damaged or ends inside a packet.
    #[arg(long)]
    pub strict: bool,

    /// Show no progress.
    #[arg(short = 'q', long)]
    pub quiet: bool,

    /// The rules as flags; last, because their heading stays for what follows.
    #[command(flatten)]
    pub demands: Demands,
}

/// Every rule that can be given as a flag. Values are read by `check`, as those of a file are.
#[derive(Debug, Args)]
#[command(next_help_heading = "Rules")]
pub struct Demands {
    /// At least N TLS connections.
    #[arg(long, value_name = "[SCOPE=]N")]
    min_connections: Vec<String>,

    /// At most this share of the outcomes is not visible.
    #[arg(long, value_name = "[SCOPE=]SHARE")]
    max_unclear: Vec<String>,

    /// At least this share of the offers is accepted, as 0.9 or 90% (resumption_rate).
    #[arg(long, value_name = "[SCOPE=]SHARE")]
    min_resumption_rate: Vec<String>,

    /// At least this share of the handshakes of returning clients resumes (returning_share): also clients that could
    /// have offered a session and did not count.
    #[arg(long, value_name = "[SCOPE=]SHARE")]
    min_returning_share: Vec<String>,

    /// The Nth connection of each client to a service resumes; N+ for it and every later one.
    #[arg(long, value_name = "[SCOPE=]N[+]")]
    must_resume: Vec<String>,

    /// No connection has this reason; names are separated by commas, 'stek-*' stands for all that begin that way.
    #[arg(long, value_name = "[SCOPE=]NAME")]
    forbid_reason: Vec<String>,

    /// Some connection has this reason.
    #[arg(long, value_name = "[SCOPE=]NAME")]
    require_reason: Vec<String>,

    /// No service shows this pattern.
    #[arg(long, value_name = "[SCOPE=]NAME")]
    forbid_pattern: Vec<String>,

    /// Some service shows this pattern.
    #[arg(long, value_name = "[SCOPE=]NAME")]
    require_pattern: Vec<String>,

    /// No service has this security finding; '*' for none at all.
    #[arg(long, value_name = "[SCOPE=]NAME")]
    forbid_finding: Vec<String>,

    /// Some service has this security finding.
    #[arg(long, value_name = "[SCOPE=]NAME")]
    require_finding: Vec<String>,

    /// No ticket is issued for longer, or accepted when older: seconds, or as 30m, 24h, 7d.
    #[arg(long, value_name = "[SCOPE=]TIME")]
    max_ticket_lifetime: Vec<String>,

    /// No ticket key is in use for longer.
    #[arg(long, value_name = "[SCOPE=]TIME")]
    max_key_age: Vec<String>,

    /// 0-RTT: 'forbid' (none is accepted), 'forbid-offer', 'require' or 'allow'.
    #[arg(long, value_name = "[SCOPE=]WHAT")]
    early_data: Vec<String>,

    /// Only these versions are negotiated, as 1.2,1.3.
    #[arg(long, value_name = "[SCOPE=]VERSIONS")]
    allow_version: Vec<String>,

    /// An earlier JSON report: the resumption rate may not fall, and no reason may be new.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    baseline: Option<String>,

    /// How far the resumption rate may fall below that of the baseline; 0 without it.
    #[arg(long, value_name = "SHARE")]
    max_rate_drop: Option<String>,

    /// Reasons that may be new against the baseline.
    #[arg(long, value_name = "NAME")]
    allow_new_reason: Vec<String>,

    /// How certain something must be to count: 'observed', 'inferred' or 'possible'. Without it, what is only possible
    /// counts against a rule, but never for one.
    #[arg(long, value_name = "HOW")]
    min_confidence: Option<String>,
}

impl Demands {
    /// The flags that were given, each with its name in the catalogue of rules.
    pub fn given(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let many: [(&'static str, &Vec<String>); 16] = [
            ("min-connections", &self.min_connections),
            ("max-unclear", &self.max_unclear),
            ("min-resumption-rate", &self.min_resumption_rate),
            ("min-returning-share", &self.min_returning_share),
            ("must-resume", &self.must_resume),
            ("forbid-reason", &self.forbid_reason),
            ("require-reason", &self.require_reason),
            ("forbid-pattern", &self.forbid_pattern),
            ("require-pattern", &self.require_pattern),
            ("forbid-finding", &self.forbid_finding),
            ("require-finding", &self.require_finding),
            ("max-ticket-lifetime", &self.max_ticket_lifetime),
            ("max-key-age", &self.max_key_age),
            ("early-data", &self.early_data),
            ("allow-version", &self.allow_version),
            ("allow-new-reason", &self.allow_new_reason),
        ];
        let one: [(&'static str, &Option<String>); 3] = [
            ("baseline", &self.baseline),
            ("max-rate-drop", &self.max_rate_drop),
            ("min-confidence", &self.min_confidence),
        ];
        let many = many
            .into_iter()
            .flat_map(|(name, texts)| texts.iter().map(move |text| (name, text.as_str())));
        many.chain(
            one.into_iter()
                .filter_map(|(name, text)| Some((name, text.as_deref()?))),
        )
    }
}

/// Arguments of `diff`.
#[derive(Debug, Args)]
#[command(after_long_help = DIFF_EXAMPLES)]
pub struct DiffArgs {
    /// The run before the change: a capture, or a JSON report of 'analyze'.
    #[arg(value_name = "BEFORE", value_hint = ValueHint::FilePath)]
    pub before: PathBuf,

    /// The run after the change.
    #[arg(value_name = "AFTER", value_hint = ValueHint::FilePath)]
    pub after: PathBuf,

    /// What bounds the memory of each side.
    #[command(flatten)]
    pub memory: Memory,

    /// Secrets that open what is encrypted in captures.
    #[command(flatten)]
    pub keys: KeyLogArgs,

    /// Whose names the output shows.
    #[command(flatten)]
    pub redact: Redact,

    /// Form of the comparison: 'text' for people, 'json' as one document.
    #[arg(long, value_enum, value_name = "FORM", default_value_t = SessionFormat::Text, hide_possible_values = true)]
    pub format: SessionFormat,

    /// Show no progress.
    #[arg(short = 'q', long)]
    pub quiet: bool,
}

/// A form of the answer, and where it goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// Which form.
    pub form: CheckForm,
    /// The file; standard output without it.
    pub file: Option<String>,
}

/// Forms of the answer of `check`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CheckForm {
    /// For people.
    Text,
    /// One document.
    Json,
    /// JUnit XML.
    Junit,
    /// SARIF 2.1.0.
    Sarif,
    /// Annotations of GitHub's workflows.
    Github,
    /// Code quality report of GitLab.
    Gitlab,
    /// For the summary of a job.
    Markdown,
}

/// FORM or FORM=FILE.
fn output(text: &str) -> Result<Output, String> {
    let (form, file) = match text.split_once('=') {
        Some((_, "")) => return Err("there is no file behind '='".to_owned()),
        Some((form, file)) => (form, Some(file.to_owned())),
        None => (text, None),
    };
    let form = match form {
        "text" => CheckForm::Text,
        "json" => CheckForm::Json,
        "junit" => CheckForm::Junit,
        "sarif" => CheckForm::Sarif,
        "github" => CheckForm::Github,
        "gitlab" => CheckForm::Gitlab,
        "markdown" => CheckForm::Markdown,
        _ => {
            return Err(
                "a form is text, markdown, json, junit, sarif, github or gitlab, with '=FILE' or without".to_owned(),
            );
        }
    };
    Ok(Output { form, file })
}

#[cfg(test)]
mod tests {
    use super::super::{Command, parse};
    use super::*;
    use crate::check::{Given, RULES};

    #[test]
    fn every_rule_of_the_catalogue_is_a_flag() {
        for kind in RULES.iter().filter(|kind| kind.given != Given::Never) {
            let flag = format!("--{}", kind.name);
            let arguments = ["reshake", "check", &flag, "x", "a.pcap"].map(std::ffi::OsString::from);
            let Command::Check(check) = parse(arguments).expect("a flag").command else {
                panic!("another command");
            };
            assert_eq!(check.demands.given().collect::<Vec<_>>(), [(kind.name, "x")]);
        }
    }

    #[test]
    fn a_form_may_have_a_file() {
        let to = |form, file: Option<&str>| {
            Ok(Output {
                form,
                file: file.map(str::to_owned),
            })
        };
        assert_eq!(output("text"), to(CheckForm::Text, None));
        assert_eq!(output("sarif=a=b"), to(CheckForm::Sarif, Some("a=b")));
        for wrong in ["", "xml", "json=", "JSON"] {
            assert!(output(wrong).is_err(), "{wrong}");
        }
    }
}

//! What the worker sees: numbers, strings of JSON, and bytes that go out piece by piece.

use std::ops::ControlFlow;
use std::sync::Once;

use reshake::diff::{self, Diff, DiffSide};
use reshake::model::Report;
use reshake::model::view::table::Sort;
use reshake::render::explain::{self as explanations, CatalogueEntry};
use reshake::run::{Reading, Run, RunProgress};
use reshake::what_if::render::{WhatIf, write_text};
use reshake::what_if::{Balance, Plan, Share};
use reshake_core::engine::Limits;
use serde_json::{Value, json};
use wasm_bindgen::prelude::*;

use crate::answers::{Answers, Form};
use crate::host::{self, Pieces};
use crate::{details, facets};

/// Milliseconds after which the worker wants to look for messages.
const STEP: f64 = 100.0;
/// Bytes kept for finished connections at most. All of them take about a fifth more, and a page may have 4 GiB.
const MAX_KEPT: usize = 1 << 30;

/// Captures on their way in.
struct Inputs {
    reading: Reading,
    progress: RunProgress,
}

impl Inputs {
    fn of(captures: Vec<String>, keylogs: Vec<String>, sizes: &[f64], first: u32) -> Self {
        let count = captures.len();
        let behind = first.saturating_add(u32::try_from(count).unwrap_or(u32::MAX));
        let (of_captures, of_logs) = sizes.split_at(count.min(sizes.len()));
        let captures = host::streams(captures, of_captures, first);
        let keylogs = host::streams(keylogs, of_logs, behind);
        let mut limits = Limits::default();
        limits.kept_bytes = limits.kept_bytes.min(MAX_KEPT);
        Self {
            reading: Reading::of(captures, keylogs, limits),
            progress: RunProgress {
                packets: 0,
                bytes: 0,
                size: None,
            },
        }
    }

    fn read_on(&mut self) -> bool {
        let (until, progress) = (host::now() + STEP, &mut self.progress);
        self.reading.read_on(&mut |now| {
            *progress = now;
            if host::now() < until {
                ControlFlow::Continue(())
            } else {
                ControlFlow::Break(())
            }
        })
    }
}

/// What could not be read, or not whole.
fn complaints(run: &Run) -> Value {
    json!({ "errors": run.errors, "warnings": run.warnings, "damage": run.damage() })
}

/// Captures that become a report.
#[wasm_bindgen]
pub struct Analysis {
    inputs: Option<Inputs>,
    answers: Option<Answers>,
    /// Of a lone capture, to read it again.
    lone: Option<(String, f64)>,
}

#[wasm_bindgen]
impl Analysis {
    /// Of files: captures first, then key logs, numbered in this order from 0. `sizes` are of both.
    #[wasm_bindgen(constructor)]
    #[must_use]
    pub fn new(captures: Vec<String>, keylogs: Vec<String>, sizes: &[f64]) -> Self {
        hear_panics();
        let lone = match captures.as_slice() {
            [one] => Some((one.clone(), sizes.first().copied().unwrap_or(0.0))),
            _ => None,
        };
        Self {
            inputs: Some(Inputs::of(captures, keylogs, sizes, 0)),
            answers: None,
            lone,
        }
    }

    /// Reads for a tenth of a second; `false` when all is read.
    pub fn read_on(&mut self) -> bool {
        self.inputs.as_mut().is_some_and(Inputs::read_on)
    }

    /// Packets and bytes read so far.
    #[must_use]
    pub fn progress(&self) -> Vec<f64> {
        self.inputs
            .as_ref()
            .map_or_else(Vec::new, |inputs| amounts(&inputs.progress))
    }

    /// Judges what was read; what was wrong with the inputs comes back as JSON. `false` for `captures`: there was none.
    #[must_use]
    pub fn finish(&mut self) -> String {
        let Some(inputs) = self.inputs.take() else {
            return Value::Null.to_string();
        };
        let run = inputs.reading.finish();
        let mut told = complaints(&run);
        told["captures"] = json!(run.captures.len());
        told["packets"] = json!(run.captures.iter().map(|capture| capture.packets).sum::<u64>());
        told["omitted"] = json!(run.engine.connection_store().evicted_total());
        if !run.captures.is_empty() {
            self.answers = Some(Answers::of(run));
        }
        told.to_string()
    }

    /// Shows what a selection leaves. What is wrong with it comes back as JSON, else what can be narrowed further.
    pub fn select(&mut self, terms: &str) -> String {
        let Some(answers) = &mut self.answers else {
            return Value::Null.to_string();
        };
        match answers.select(terms) {
            Ok(()) => facets::of(answers.report()),
            Err(error) => json!({ "error": error.message, "at": error.at, "length": error.length }),
        }
        .to_string()
    }

    /// Writes what is shown in a form; with a key, under other names.
    ///
    /// # Errors
    /// When there is no such form, or nothing to write.
    pub fn write(&self, form: &str, key: Option<Vec<u8>>) -> Result<(), JsError> {
        let answers = self.answers()?;
        let form = Form::by_name(form).ok_or_else(|| JsError::new("there is no such form"))?;
        let mut out = Pieces::new();
        match key {
            None => answers.write(form, &mut out)?,
            Some(key) => answers
                .write_redacted(form, key, &mut out)?
                .ok_or_else(|| JsError::new("the key is too short"))?,
        }
        Ok(())
    }

    /// Rows of the table of connections: by a column, or with a negative number as they came.
    pub fn rows(&mut self, column: i32, descending: bool, from: u32, count: u32) -> String {
        let Some(answers) = &mut self.answers else {
            return Value::Null.to_string();
        };
        let sort = usize::try_from(column).ok().map(|column| Sort { column, descending });
        let rows = answers.rows(sort).clone();
        details::page(answers.report(), &rows, from as usize, count as usize).to_string()
    }

    /// One connection, by its place.
    #[must_use]
    pub fn connection(&self, place: u32) -> String {
        let found = self
            .answers
            .as_ref()
            .and_then(|it| details::connection(it.report(), place as usize));
        found.unwrap_or_default().to_string()
    }

    /// The same by its number among all, which does not depend on what is shown.
    #[must_use]
    pub fn numbered(&self, number: u32) -> String {
        let found = self.answers.as_ref().and_then(|it| {
            let place = details::place_of(it.report(), number as usize)?;
            details::connection(it.report(), place)
        });
        found.unwrap_or_default().to_string()
    }

    /// The life of a session, as text.
    ///
    /// # Errors
    /// What is wrong with the name.
    pub fn session(&self, name: &str) -> Result<String, JsError> {
        let mut text = Vec::new();
        let found = self.answers()?.session(name, &mut text)?;
        found.map_err(|line| JsError::new(&line))?;
        Ok(String::from_utf8_lossy(&text).into_owned())
    }

    /// What other farms would make of the reconnects that are shown. Without `balance` and `share`, all of them.
    ///
    /// # Errors
    /// When there is nothing to ask about.
    pub fn what_if(
        &self,
        backends: u16,
        balance: &str,
        share: &str,
        timeout: u32,
        rotation: u32,
    ) -> Result<String, JsError> {
        let report = self.answers()?.report();
        let balances = Balance::ALL
            .into_iter()
            .filter(|it| balance.is_empty() || it.code() == balance);
        let plans: Vec<Plan> = balances
            .flat_map(|balance| Share::ALL.map(|share| (balance, share)))
            .filter(|(_, it)| share.is_empty() || it.code() == share)
            .map(|(balance, share)| Plan {
                backends: backends.max(1),
                balance,
                share,
                timeout: (timeout > 0).then_some(timeout),
                key_rotation: (rotation > 0).then_some(rotation),
                seed: 0,
            })
            .collect();
        let mut text = Vec::new();
        write_text(&WhatIf::of(report, &plans), report.selection(), &mut text)?;
        Ok(String::from_utf8_lossy(&text).into_owned())
    }

    /// Writes the packets of a connection, or of its sessions, as pcapng; how many there are.
    ///
    /// # Errors
    /// Why there is no copy.
    #[allow(clippy::cast_precision_loss)] // fewer than 2^53 packets
    pub fn extract(&self, place: u32, sessions: bool) -> Result<f64, JsError> {
        let mut out = Pieces::new();
        let capture = || {
            let (name, size) = self.lone.clone()?;
            host::streams(vec![name], &[size], 0).pop()
        };
        let kept = self.answers()?.extract(place as usize, sessions, capture, &mut out);
        kept.map(|kept| kept as f64).map_err(|line| JsError::new(&line))
    }
}

impl Analysis {
    fn answers(&self) -> Result<&Answers, JsError> {
        self.answers.as_ref().ok_or_else(|| JsError::new("there is no report"))
    }
}

/// Another capture, on its way to be compared with the one that is shown.
#[wasm_bindgen]
pub struct Comparison {
    name: String,
    inputs: Option<Inputs>,
}

#[wasm_bindgen]
impl Comparison {
    /// Of a file with this number.
    #[wasm_bindgen(constructor)]
    #[must_use]
    pub fn new(name: &str, number: u32, size: f64) -> Self {
        Self {
            name: name.to_owned(),
            inputs: Some(Inputs::of(vec![name.to_owned()], Vec::new(), &[size], number)),
        }
    }

    /// Reads for a tenth of a second; `false` when all is read.
    pub fn read_on(&mut self) -> bool {
        self.inputs.as_mut().is_some_and(Inputs::read_on)
    }

    /// Packets and bytes read so far.
    #[must_use]
    pub fn progress(&self) -> Vec<f64> {
        self.inputs
            .as_ref()
            .map_or_else(Vec::new, |inputs| amounts(&inputs.progress))
    }

    /// What is different here from the capture that is shown: that one is the earlier of the two.
    ///
    /// # Errors
    /// Why this one could not be read.
    pub fn finish(&mut self, before: &Analysis) -> Result<String, JsError> {
        let run = self.inputs.take().map(|inputs| inputs.reading.finish());
        let run = run.ok_or_else(|| JsError::new("it was compared before"))?;
        if run.captures.is_empty() {
            return Err(JsError::new(&run.errors.join("\n")));
        }
        let side = DiffSide::of(&Report::of(&run.engine, run.captures), &self.name);
        let mut told = run.errors;
        told.push(compare(before.answers()?, &side)?);
        Ok(told.join("\n\n"))
    }
}

/// What is different in a JSON report from the capture that is shown.
///
/// # Errors
/// Why it is no report.
#[wasm_bindgen]
pub fn compare_report(before: &Analysis, name: &str, report: &[u8]) -> Result<String, JsError> {
    let side = DiffSide::parse(name, report).map_err(|error| JsError::new(&format!("{name}: {error}")))?;
    compare(before.answers()?, &side)
}

fn compare(before: &Answers, after: &DiffSide) -> Result<String, JsError> {
    let before = before.side();
    let mut text = Vec::new();
    diff::write_text(&Diff::between(&before, after), &mut text)?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}

/// What a page knows before any capture: what can be explained, the keys of selections, the columns of the table.
#[wasm_bindgen]
#[must_use]
pub fn catalogue() -> String {
    let mut catalogue = facets::catalogue();
    catalogue["columns"] = details::columns();
    catalogue["version"] = json!(env!("CARGO_PKG_VERSION"));
    catalogue.to_string()
}

/// A reason, pattern or finding in full; empty where nothing has this name.
#[wasm_bindgen]
#[must_use]
pub fn explain(name: &str) -> String {
    let mut text = Vec::new();
    if let Some(entry) = CatalogueEntry::by_name(name) {
        // Writing to memory does not fail.
        let _ = explanations::text(entry, &mut text);
    }
    String::from_utf8_lossy(&text).into_owned()
}

#[allow(clippy::cast_precision_loss)] // far below 2^53
fn amounts(progress: &RunProgress) -> Vec<f64> {
    vec![progress.packets as f64, progress.bytes as f64]
}

/// A panic ends the instance; the worker hears what it was.
fn hear_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| std::panic::set_hook(Box::new(|panic| host::panicked(&panic.to_string()))));
}

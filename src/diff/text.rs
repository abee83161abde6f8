//! The comparison as people read it.

use std::io::{self, Write};

use super::{Change, Diff, DiffSide, ServiceKey, Shift, Stated};
use crate::check::interval::Ratio;
use crate::wording::{MAX_WIRE, printable, wrap};
use crate::wording::{counted, number, only_counted};

/// Longest line of prose.
const WIDTH: usize = 100;
/// Longest path shown in full.
const MAX_PATH: usize = 100;

/// Writes the comparison.
///
/// # Errors
/// Those of `out`.
pub fn write(diff: &Diff<'_>, out: &mut dyn Write) -> io::Result<()> {
    for (label, side) in [("before", diff.before), ("after ", diff.after)] {
        head(label, side, out)?;
    }
    writeln!(out, "\nall connections")?;
    change(&diff.all, out)?;
    for service in &diff.services {
        writeln!(out, "\n{}", title(service))?;
        change(service, out)?;
    }
    Ok(())
}

fn head(label: &str, side: &DiffSide, out: &mut dyn Write) -> io::Result<()> {
    let connections = counted(side.all.connections, "TLS connection", "TLS connections");
    let path = printable(&side.path, MAX_PATH);
    writeln!(out, "{label}   {path}   {connections}")?;
    if let Some(terms) = &side.selection {
        let terms = printable(terms, MAX_PATH);
        writeln!(out, "         note: a report of selected connections only: {terms}")?;
    }
    match side.all.only_counted {
        0 => Ok(()),
        count => writeln!(out, "         note: {}", only_counted(count)),
    }
}

fn title(service: &Change<'_>) -> String {
    match service.service {
        [Some(was), Some(is)] if was == is => service_text(is),
        [Some(was), Some(is)] => format!("{}, before at {}", service_text(is), endpoint(was)),
        [Some(was), None] => format!("{}   only before", service_text(was)),
        [None, Some(is)] => format!("{}   only after", service_text(is)),
        [None, None] => String::new(),
    }
}

fn service_text(key: &ServiceKey) -> String {
    match &key.name {
        Some(name) => format!("{}  {}", printable(name, MAX_WIRE), endpoint(key)),
        None => endpoint(key),
    }
}

fn endpoint(key: &ServiceKey) -> String {
    let ip = printable(&key.ip, MAX_WIRE);
    if ip.contains(':') {
        format!("[{ip}]:{}", key.port)
    } else {
        format!("{ip}:{}", key.port)
    }
}

fn change(change: &Change<'_>, out: &mut dyn Write) -> io::Result<()> {
    let [before, after] = change.connections.map(number);
    writeln!(out, "  connections       {before} → {after}")?;
    shift("resumption rate ", &change.resumption, out)?;
    shift("returning share ", &change.returning, out)?;
    let Some(told) = &change.told else {
        return writeln!(
            out,
            "  not compared      reasons, patterns and findings: some connections were only counted"
        );
    };
    for which in ["gained", "lost", "kept"] {
        let of = told.reasons.iter().filter(|count| count.change() == which);
        // What stays as it is would only hide what changed.
        let of = of.filter(|count| count.before != count.after);
        let counts: Vec<String> = of
            .map(|count| {
                let name = printable(count.name, MAX_WIRE);
                format!("{name} {} → {}", number(count.before), number(count.after))
            })
            .collect();
        let label = if which == "kept" { "changed" } else { which };
        list(&format!("reasons {label}"), &counts, out)?;
    }
    for (what, stated) in [("patterns", &told.patterns), ("findings", &told.findings)] {
        for which in ["gained", "lost"] {
            let of = stated.iter().filter(|stated| stated.change() == which);
            let names: Vec<String> = of.map(stated_text).collect();
            list(&format!("{what} {which}"), &names, out)?;
        }
    }
    Ok(())
}

fn stated_text(stated: &Stated<'_>) -> String {
    let sure = stated.after.or(stated.before).unwrap_or_default();
    format!("{} ({})", printable(stated.name, MAX_WIRE), printable(sure, MAX_WIRE))
}

fn shift(label: &str, shift: &Shift, out: &mut dyn Write) -> io::Result<()> {
    let (before, after) = (share(shift.before), share(shift.after));
    writeln!(out, "  {label}  {before} → {after}")?;
    let Some(difference) = shift.difference else {
        return Ok(());
    };
    let between = format!("95 %: {} to {}", points(difference.low), points(difference.high));
    // Where nothing changed there is nothing that chance could have done.
    let changed = shift.before.value() != shift.after.value();
    let chance = changed && !difference.is_shown();
    let shown = if chance { ", may be chance" } else { "" };
    writeln!(
        out,
        "                    {} points ({between}){shown}",
        points(difference.value)
    )
}

/// "33.3 % (4 of 12, 13.8 to 60.9 %)".
fn share(ratio: Ratio) -> String {
    let (Some(value), Some((low, high))) = (ratio.value(), ratio.interval()) else {
        return "none".to_owned();
    };
    format!(
        "{:.1} % ({} of {}, {:.1} to {:.1} %)",
        value * 100.0,
        number(ratio.part),
        number(ratio.whole),
        low * 100.0,
        high * 100.0
    )
}

fn points(value: f64) -> String {
    format!("{:+.1}", value * 100.0)
}

fn list(label: &str, entries: &[String], out: &mut dyn Write) -> io::Result<()> {
    const HANG: usize = 20;
    if entries.is_empty() {
        return Ok(());
    }
    let text = entries.join(", ");
    for (index, line) in wrap(&text, WIDTH - HANG).enumerate() {
        let label = if index == 0 { label } else { "" };
        writeln!(out, "  {label:<16}  {line}")?;
    }
    Ok(())
}

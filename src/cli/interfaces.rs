//! `reshake interfaces`: what can be watched.

use super::{Done, Status};

#[cfg(all(feature = "live", unix))]
pub(super) fn run() -> Done {
    use super::{complain, print};
    use crate::capture::device::{Interface, interfaces};
    use crate::wording::printable;

    let all = match interfaces() {
        Ok(all) => all,
        Err(error) => {
            complain(&format!("the interfaces cannot be listed: {error}"));
            return Ok(Status::Unreadable);
        }
    };
    if all.is_empty() {
        complain("no interface can be seen; captures need privileges: run it with sudo");
        return Ok(Status::Analysed);
    }
    let width = |text: fn(&Interface) -> &str| all.iter().map(|one| text(one).chars().count()).max().unwrap_or(0);
    let (names, states) = (width(|one| &one.name), width(|one| &one.state));
    print(|out| {
        for one in &all {
            let addresses: Vec<String> = one.addresses.iter().map(ToString::to_string).collect();
            let mut last = addresses.join(", ");
            if let Some(description) = &one.description {
                let gap = if last.is_empty() { "" } else { "   " };
                last = format!("{last}{gap}({})", printable(description, 80));
            }
            let line = format!("{:names$}   {:states$}   {last}", printable(&one.name, 80), one.state);
            writeln!(out, "{}", line.trim_end())?;
        }
        Ok(())
    })?;
    Ok(Status::Analysed)
}

#[cfg(not(all(feature = "live", unix)))]
#[allow(clippy::unnecessary_wraps, reason = "as where interfaces can be listed")]
pub(super) fn run() -> Done {
    super::complain(super::live::MISSING);
    Ok(Status::Usage)
}

//! `reshake record -- COMMAND`: its connections, and nobody else's, from the first packet to the report.

#[cfg(all(feature = "live", target_os = "linux"))]
mod answer;
#[cfg(all(feature = "live", target_os = "linux"))]
mod course;
#[cfg(all(feature = "live", target_os = "linux"))]
mod files;
#[cfg(all(feature = "live", target_os = "linux"))]
mod signals;
#[cfg(all(feature = "live", target_os = "linux"))]
mod way;

#[cfg(all(feature = "live", target_os = "linux"))]
pub(super) use course::run;

#[cfg(not(all(feature = "live", target_os = "linux")))]
#[allow(clippy::unnecessary_wraps, reason = "as where commands can be recorded")]
pub(super) fn run(_: &super::args::record::RecordArgs, _: bool) -> super::Done {
    super::complain(
        "record: needs Linux and a build with the feature 'live'; capture alongside the command (tcpdump -w) and analyse that",
    );
    Ok(super::Status::Usage)
}

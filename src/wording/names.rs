//! What captures, services and wrappings are called.

use reshake_core::net::{Capture, Endpoint, Wrapping};

use super::printable::{MAX_WIRE, printable};

/// Longest path shown in full.
pub(crate) const MAX_PATH: usize = 100;
/// Longest file name in front of a frame number.
const MAX_SHORT_NAME: usize = 32;

/// The path of a capture, for people.
pub(crate) fn shown_path(capture: &Capture) -> String {
    match capture.path.as_str() {
        "-" => "standard input".to_owned(),
        path => printable(path, MAX_PATH),
    }
}

/// Short names of captures, in front of frame numbers: file names where they tell the captures apart, else numbers.
pub(crate) fn prefixes(captures: &[Capture]) -> Vec<String> {
    if captures.len() < 2 {
        return Vec::new();
    }
    let names: Vec<String> = captures
        .iter()
        .map(|capture| {
            let path = shown_path(capture);
            path.rsplit('/').next().unwrap_or_default().to_owned()
        })
        .collect();
    let mut sorted = names.clone();
    sorted.sort_unstable();
    sorted.dedup();
    let clear = sorted.len() == names.len() && names.iter().all(|name| name.chars().count() <= MAX_SHORT_NAME);
    if clear {
        names
    } else {
        (1..=names.len()).map(|number| format!("#{number}")).collect()
    }
}

/// A service as one connection's target.
pub(crate) fn target(server: Endpoint, name: Option<&str>) -> String {
    match name {
        Some(name) => format!("{} ({server})", printable(name, MAX_WIRE)),
        None => server.to_string(),
    }
}

/// An outer header, with the ends of its tunnel on the client's and on the server's side.
pub(crate) fn wrapping_text(wrapping: &Wrapping) -> String {
    match wrapping.between {
        Some([client, server]) => format!("{} {client} → {server}", wrapping.header),
        None => wrapping.header.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn captures_are_called_by_their_names_where_those_tell_them_apart() {
        let capture = |path: &str| Capture::new(path, reshake_core::net::capture::CaptureFormat::Pcap);
        let names = |paths: &[&str]| prefixes(&paths.iter().map(|path| capture(path)).collect::<Vec<_>>());
        assert!(names(&["x/a.pcap"]).is_empty());
        assert_eq!(
            names(&["x/a.pcap", "y/b.pcap", "-"]),
            ["a.pcap", "b.pcap", "standard input"]
        );
        assert_eq!(names(&["x/a.pcap", "y/a.pcap"]), ["#1", "#2"]);
        assert_eq!(names(&["x/\u{1b}[2J", "b"]), ["\\u{1b}[2J", "b"]);
    }
}

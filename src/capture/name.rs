//! What files are called: any name that the system allows goes in, a text comes out.

use std::fmt::Write as _;
use std::path::Path;

/// Whether this stands for standard input.
#[must_use]
pub fn is_standard_input(path: &Path) -> bool {
    path.as_os_str() == "-"
}

/// The name of a file in texts. Bytes that are no UTF-8, as in a name from an older system, become `\xff`: a text cannot hold
/// them, and the file is still to be found.
#[must_use]
pub fn name_of(path: &Path) -> String {
    let mut name = String::new();
    for part in path.as_os_str().as_encoded_bytes().utf8_chunks() {
        name.push_str(part.valid());
        for byte in part.invalid() {
            let _ = write!(name, "\\x{byte:02x}");
        }
    }
    name
}

#[cfg(all(test, unix))]
mod tests {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;

    use super::*;

    #[test]
    fn a_name_that_is_no_utf8_is_escaped_and_every_other_stays() {
        let name = |bytes: &[u8]| name_of(Path::new(OsStr::from_bytes(bytes)));
        assert_eq!(name("käse/a b.pcap".as_bytes()), "käse/a b.pcap");
        assert_eq!(name(b"caf\xe9.pcap"), "caf\\xe9.pcap");
        assert_eq!(name(b"\xff\xfe"), "\\xff\\xfe");
        assert!(is_standard_input(Path::new("-")));
        assert!(!is_standard_input(Path::new("./-")));
    }
}

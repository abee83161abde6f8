//! The one thing of a certificate that resumption is a matter of: until when it is valid (RFC 5280 §4.1.2.5).

use std::time::Duration;

use der::asn1::{AnyRef, GeneralizedTime, UtcTime};
use der::{Reader, SliceReader, Tag, Tagged};

/// `notAfter`, as time since 1970; `None` where the bytes are no certificate.
#[must_use]
pub fn not_after(certificate: &[u8]) -> Option<Duration> {
    let mut outer = SliceReader::new(certificate).ok()?;
    let mut certificate = sequence(&mut outer)?;
    let mut to_be_signed = sequence(&mut certificate)?;
    // Version 1 is left out; any other stands in front of the serial number.
    let first: AnyRef<'_> = to_be_signed.decode().ok()?;
    if first.tag().is_context_specific() {
        to_be_signed.decode::<AnyRef<'_>>().ok()?;
    }
    let (_algorithm, _issuer) = (sequence(&mut to_be_signed)?, sequence(&mut to_be_signed)?);
    let mut validity = sequence(&mut to_be_signed)?;
    let _not_before: AnyRef<'_> = validity.decode().ok()?;
    let not_after: AnyRef<'_> = validity.decode().ok()?;
    match not_after.tag() {
        Tag::UtcTime => Some(UtcTime::try_from(not_after).ok()?.to_unix_duration()),
        Tag::GeneralizedTime => Some(GeneralizedTime::try_from(not_after).ok()?.to_unix_duration()),
        _ => None,
    }
}

/// What stands in the sequence that comes next.
fn sequence<'c>(reader: &mut SliceReader<'c>) -> Option<SliceReader<'c>> {
    let next: AnyRef<'c> = reader.decode().ok()?;
    let inside = (next.tag() == Tag::Sequence).then(|| next.value())?;
    SliceReader::new(inside).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrapped(tag: u8, content: &[u8]) -> Vec<u8> {
        let length = u8::try_from(content.len()).expect("short");
        assert!(length < 0x80, "one byte says the length");
        [&[tag, length][..], content].concat()
    }

    fn certificate(version: &[u8], (tag, end): (u8, &str)) -> Vec<u8> {
        let (number, empty) = (wrapped(0x02, &[7]), wrapped(0x30, &[]));
        let validity = [wrapped(0x17, b"200101000000Z"), wrapped(tag, end.as_bytes())].concat();
        let signed = [version, &number, &empty, &empty, &wrapped(0x30, &validity), &empty].concat();
        wrapped(0x30, &wrapped(0x30, &signed))
    }

    /// `[0] EXPLICIT INTEGER 2`: version 3.
    const V3: &[u8] = &[0xa0, 0x03, 0x02, 0x01, 0x02];

    #[test]
    fn the_end_is_read_in_either_form_of_time() {
        let seconds = |bytes: &[u8]| not_after(bytes).map(|end| end.as_secs());
        assert_eq!(seconds(&certificate(V3, (0x17, "261129120000Z"))), Some(1_795_953_600));
        assert_eq!(
            seconds(&certificate(V3, (0x18, "20501129120000Z"))),
            Some(2_553_336_000)
        );
        // Version 1 does not say so.
        assert_eq!(seconds(&certificate(&[], (0x17, "700101000001Z"))), Some(1));
    }

    #[test]
    fn what_is_no_certificate_has_no_end() {
        let whole = certificate(V3, (0x17, "261129120000Z"));
        for cut in 0..whole.len() {
            assert_eq!(not_after(&whole[..cut]), None, "cut to {cut} bytes");
        }
        assert_eq!(
            not_after(&certificate(V3, (0x17, "261329120000Z"))),
            None,
            "a 13th month"
        );
        assert_eq!(not_after(&certificate(V3, (0x04, "261129120000Z"))), None, "no time");
        assert_eq!(not_after(&[0x31; 40]), None);
    }
}

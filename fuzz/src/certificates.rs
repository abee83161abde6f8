//! Until when a certificate is valid.

use reshake_core::tls::certificate::not_after;

/// Any bytes, and a certificate whose other fields they are: until when it is valid is what it says, and of a part of it
/// nothing is told.
pub fn certificate(data: &[u8]) {
    let _ = not_after(data);
    let Some((&[year, month, day, hour, minute, second, how], rest)) = data.split_first_chunk::<7>() else {
        return;
    };
    // A part of what the fuzzer has is any element; the tags that matter are left alone.
    let (issuer, subject) = rest.split_at(rest.len() / 2);
    let (year, month, day) = (u32::from(year) % 50, u32::from(month) % 12 + 1, u32::from(day) % 28 + 1);
    let (hour, minute, second) = (hour % 24, minute % 60, second % 60);
    let digits = format!("{year:02}{month:02}{day:02}{hour:02}{minute:02}{second:02}Z");
    let end = if how & 1 == 0 {
        element(0x17, digits.as_bytes())
    } else {
        element(0x18, format!("20{digits}").as_bytes())
    };
    let version: &[u8] = if how & 2 == 0 { &[] } else { &[0xa0, 3, 2, 1, 2] };
    let validity = [element(0x17, b"700101000000Z"), end].concat();
    let signed = [
        version,
        &element(2, &[7]),
        &element(0x30, issuer),
        &element(0x30, subject),
        &element(0x30, &validity),
        &element(0x30, issuer),
    ]
    .concat();
    let whole = element(0x30, &[element(0x30, &signed), element(3, subject)].concat());
    let days = days_before(2000 + year, month) + u64::from(day) - 1;
    let seconds = ((days * 24 + u64::from(hour)) * 60 + u64::from(minute)) * 60 + u64::from(second);
    assert_eq!(not_after(&whole).map(|end| end.as_secs()), Some(seconds), "{digits}");
    let cut = usize::from(how) * whole.len() / 256;
    assert_eq!(not_after(&whole[..cut]), None, "{cut} of {} bytes", whole.len());
}

/// Days from 1970 to the first of a month of this century.
fn days_before(year: u32, month: u32) -> u64 {
    let leap = |year: u32| year.is_multiple_of(4);
    let years: u32 = (1970..year).map(|year| 365 + u32::from(leap(year))).sum();
    let months = [31, 28 + u32::from(leap(year)), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let months: u32 = months.into_iter().zip(1..month).map(|(days, _)| days).sum();
    u64::from(years + months)
}

/// An element of DER.
fn element(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len().to_be_bytes();
    let length = &length[length.iter().position(|byte| *byte != 0).unwrap_or(length.len() - 1)..];
    let mut element = vec![tag];
    if content.len() >= 0x80 {
        element.push(0x80 | u8::try_from(length.len()).expect("eight at most"));
    }
    element.extend(length);
    element.extend(content);
    element
}

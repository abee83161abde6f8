//! One file out of many: template, looks, scripts, the core and a sample capture, and a policy that lets nothing else run.
//!
//! The same parts give the same bytes: nothing here asks for a time, a name or a random number.

use std::fs;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

use crate::Result;
use crate::wasm::Parts;

/// Scripts of the page, in the order in which they stand in it.
const SCRIPTS: [&str; 7] = [
    "dom.js",
    "state.js",
    "start.js",
    "report.js",
    "table.js",
    "connection.js",
    "tools.js",
];
/// The capture that a visitor without one may look at.
const SAMPLE: &str = "fixtures/captures/quickstart/capture.pcapng";
/// The page must stay what one hands on by mail.
const MAX_BYTES: usize = 1_500_000;

/// The page.
pub(crate) fn assemble(root: &Path, parts: &Parts) -> Result<String> {
    let folder = root.join("web/page");
    let read = |name: &str| fs::read_to_string(folder.join(name));
    let script: String = SCRIPTS
        .into_iter()
        .map(read)
        .collect::<std::io::Result<Vec<_>>>()?
        .concat();
    // The report's own looks come first: the page shows reports as they are.
    let style = fs::read_to_string(root.join("src/render/html/style.css"))? + &read("style.css")?;
    let script = format!("\n\"use strict\";\n(() => {{\n{script}}})();\n");
    let style = format!("\n{style}");
    let worker = format!("{}\n{}", parts.glue, read("worker.js")?);
    if script.contains("</script") || script.contains("<!--") {
        return Err("the script would end the element that it stands in".into());
    }
    let filled = fill(
        &read("index.html")?,
        &[
            ("policy", &policy(&script, &style)),
            ("version", env!("CARGO_PKG_VERSION")),
            ("style", &style),
            ("worker", &packed(worker.as_bytes())?),
            ("core", &packed(&parts.core)?),
            ("sample", &packed(&fs::read(root.join(SAMPLE))?)?),
            ("script", &script),
        ],
    )?;
    if filled.len() > MAX_BYTES {
        return Err(format!("the page has {} bytes, more than {MAX_BYTES}", filled.len()).into());
    }
    Ok(filled)
}

/// Nothing is loaded and nothing is sent: the two texts of this page by their hashes, and the worker made of it. What a
/// worker may do follows from the same policy.
fn policy(script: &str, style: &str) -> String {
    let hash = |text: &str| format!("'sha256-{}'", STANDARD.encode(Sha256::digest(text)));
    format!(
        "default-src 'none'; script-src {} 'wasm-unsafe-eval'; worker-src blob:; style-src {}; base-uri 'none'; form-action 'none'",
        hash(script),
        hash(style)
    )
}

/// gzip as text. Zopfli takes its time for a few hundredths less than zlib at its best; a page is made once and handed on often.
fn packed(bytes: &[u8]) -> Result<String> {
    let mut gzip = Vec::new();
    zopfli::compress(zopfli::Options::default(), zopfli::Format::Gzip, bytes, &mut gzip)?;
    Ok(lettered(&gzip))
}

/// Letters of [`lettered`]: printable ASCII but for what HTML or a quotation might take for its own.
const LETTERS: usize = 91;

/// Bytes as text: how many they are, a space, and two letters for every 13 bits, because 91² is just above 2¹³. A twelfth less
/// than base64. `unpacked` in `web/page/state.js` is the way back.
fn lettered(bytes: &[u8]) -> String {
    let letters: Vec<char> = ('!'..='~').filter(|letter| !"\"&<".contains(*letter)).collect();
    let mut text = format!("{} ", bytes.len());
    let (mut bits, mut count) = (0_u32, 0_u32);
    for byte in bytes.iter().map(Some).chain([None]) {
        bits |= u32::from(*byte.unwrap_or(&0)) << count;
        count += 8;
        // Behind the last byte come the bits that are left.
        if count >= 13 || byte.is_none() && count > 8 {
            let value = (bits & 0x1fff) as usize;
            text.extend(
                [letters.get(value % LETTERS), letters.get(value / LETTERS)]
                    .into_iter()
                    .flatten(),
            );
            bits >>= 13;
            count = count.saturating_sub(13);
        }
    }
    text
}

/// Fills `{{name}}` in a template; each may stand there more than once.
fn fill(template: &str, values: &[(&str, &str)]) -> Result<String> {
    let mut filled = String::new();
    let mut rest = template;
    let mut used = Vec::new();
    while let Some((before, name, after)) = next_mark(rest) {
        let value = values.iter().find(|(known, _)| *known == name);
        let (_, value) = value.ok_or_else(|| format!("the template asks for '{name}', which there is not"))?;
        filled.push_str(before);
        filled.push_str(value);
        used.push(name);
        rest = after;
    }
    filled.push_str(rest);
    match values.iter().find(|(name, _)| !used.contains(name)) {
        Some((name, _)) => Err(format!("the template does not ask for '{name}'").into()),
        None => Ok(filled),
    }
}

fn next_mark(text: &str) -> Option<(&str, &str, &str)> {
    let (before, rest) = text.split_once("{{")?;
    let (name, after) = rest.split_once("}}")?;
    Some((before, name, after))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn parts() -> Parts {
        Parts {
            core: b"\0asm".to_vec(),
            glue: "let wasm_bindgen;".to_owned(),
        }
    }

    fn page() -> String {
        assemble(&crate::root(), &parts()).expect("a page")
    }

    /// The texts between an opening tag that begins so and its end.
    fn inside<'p>(page: &'p str, tag: &str, end: &str) -> &'p str {
        let (_, rest) = page.split_once(tag).expect("the element");
        let (_, rest) = rest.split_once('>').expect("the end of the tag");
        rest.split_once(end).expect("the end of the element").0
    }

    #[test]
    fn the_same_parts_give_the_same_page() {
        assert_eq!(page(), page());
    }

    #[test]
    fn the_policy_names_the_script_and_the_style_that_stand_in_the_page() {
        let page = page();
        let hash = |text: &str| format!("'sha256-{}'", STANDARD.encode(Sha256::digest(text)));
        for text in [
            inside(&page, "<script id=\"page\"", "</script>"),
            inside(&page, "<style", "</style>"),
        ] {
            assert!(page.contains(&hash(text)));
        }
        // One script runs; the others are data.
        let scripts = page.matches("<script").count();
        assert_eq!(scripts, 1 + page.matches("<script type=\"text/plain\"").count());
        assert!(!page.contains("unsafe-inline") && !page.contains(" style=\"") && !page.contains(" onclick=\""));
    }

    #[test]
    fn nothing_in_the_page_leads_out() {
        let page = page();
        for word in [
            "fetch(",
            "XMLHttpRequest",
            "WebSocket",
            "sendBeacon",
            "localStorage",
            "indexedDB",
            "src=\"http",
        ] {
            let own: Vec<&str> = page.lines().filter(|line| line.contains(word)).collect();
            assert_eq!(own, [""; 0], "{word}");
        }
    }

    #[test]
    fn every_colour_that_is_used_is_defined() {
        let page = page();
        let style = inside(&page, "<style", "</style>");
        let name = |text: &str| text.split([':', ')', ',', ' ']).next().unwrap_or_default().to_owned();
        let used: BTreeSet<String> = style.split("var(--").skip(1).map(name).collect();
        let defined = |name: &&String| style.contains(&format!("--{name}:"));
        let missing: Vec<&String> = used.iter().filter(|name| !defined(name)).collect();
        assert_eq!(missing, [""; 0]);
    }

    #[test]
    fn bytes_become_two_letters_for_thirteen_bits() {
        assert_eq!(lettered(b""), "0 ");
        // 13 bits of ones are 8191 = 90 * 91 + 1, and one is 0 * 91 + 1.
        assert_eq!(lettered(&[0xff, 0x1f]), "2 #~!!");
        assert_eq!(lettered(&[1]), "1 #!");
        let long = lettered(&[0xa5; 1300]);
        assert_eq!(long.len(), "1300 ".len() + 1300 * 8 / 13 * 2);
        assert!(!long.contains(['<', '&', '"']));
    }

    #[test]
    fn a_template_and_its_values_must_fit() {
        assert_eq!(fill("a{{x}}b", &[("x", "1")]).expect("filled"), "a1b");
        assert!(fill("a{{y}}b", &[("x", "1")]).is_err());
        assert!(fill("ab", &[("x", "1")]).is_err());
    }
}

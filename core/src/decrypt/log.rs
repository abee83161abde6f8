//! Key logs in NSS format: lines of a label, a name and a secret in hex (the format's own draft, and what NSS, OpenSSL,
//! BoringSSL, GnuTLS, Java agents and curl write).
//!
//! A log may come in pieces and may still grow. A line that cannot be read is named by its number and passed over; no
//! part of it is ever repeated, for what is meant to be a secret may stand anywhere in it.

use std::fmt;

use zeroize::Zeroize;

use super::secret::{Hidden, Secret};
use super::store::{Name, SecretKind, Secrets};

/// Bytes of one line that are looked at; no line of the format is longer.
const MAX_LINE: usize = 1024;
/// Malformed lines that are named one by one; the others are counted.
const NAMED_FAULTS: usize = 20;

/// What is wrong with a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Problem {
    /// Not a label and two words.
    NotThreeWords,
    /// The second word is not the client random, or what else the label asks for, in hex.
    Name,
    /// The third word is not a secret in hex, of a length that the label allows.
    Secret,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotThreeWords => "is not a label, a client random and a secret",
            Self::Name => "has no client random of 64 hex digits after its label",
            Self::Secret => "has no secret of the length that its label asks for",
        })
    }
}

/// A line that was passed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SkippedLine {
    /// From 1.
    pub line: u64,
    /// Why.
    pub problem: Problem,
}

/// Reads one key log, piece by piece.
#[derive(Debug, Default)]
pub struct KeyLogReader {
    /// The beginning of a line whose end has not come.
    partial: Hidden,
    line: u64,
    faults: Vec<SkippedLine>,
    malformed: u64,
    /// It stands in a capture.
    embedded: bool,
}

impl KeyLogReader {
    /// A log that stands in a capture.
    #[must_use]
    pub fn embedded() -> Self {
        Self {
            embedded: true,
            ..Self::default()
        }
    }

    /// Takes the next bytes of the log.
    pub fn push(&mut self, bytes: &[u8], secrets: &mut Secrets) {
        let mut rest = bytes;
        while let Some(end) = memchr::memchr(b'\n', rest) {
            let (line, after) = rest.split_at(end);
            rest = after.get(1..).unwrap_or_default();
            if self.partial.0.is_empty() {
                self.take(line, secrets);
            } else {
                self.hold(line);
                self.finish(secrets);
            }
        }
        self.hold(rest);
    }

    /// The log is over, or its last line is as good as whole.
    pub fn finish(&mut self, secrets: &mut Secrets) {
        let mut line = std::mem::take(&mut self.partial);
        if !line.0.is_empty() {
            self.take(&line.0, secrets);
            line.0.zeroize();
        }
    }

    /// Malformed lines, the first of them one by one. They are given once.
    pub fn faults(&mut self) -> Vec<SkippedLine> {
        std::mem::take(&mut self.faults)
    }

    /// How many lines were malformed.
    #[must_use]
    pub const fn malformed(&self) -> u64 {
        self.malformed
    }

    fn hold(&mut self, bytes: &[u8]) {
        // One byte more than any line has shows that it is too long.
        let room = (MAX_LINE + 1).saturating_sub(self.partial.0.len());
        self.partial.0.extend(bytes.iter().take(room));
    }

    fn take(&mut self, line: &[u8], secrets: &mut Secrets) {
        self.line += 1;
        match entry(line) {
            Ok(Some((kind, name, secret))) => secrets.insert(kind, name, secret, self.embedded),
            Ok(None) => {}
            Err(problem) => {
                self.malformed += 1;
                // Counted over the whole log: a log that grows must not name more and more.
                if self.malformed <= NAMED_FAULTS as u64 {
                    self.faults.push(SkippedLine {
                        line: self.line,
                        problem,
                    });
                }
            }
        }
    }
}

/// What a line says; `None` for comments, empty lines and labels of secrets that open no record.
fn entry(line: &[u8]) -> Result<Option<(SecretKind, Name, Secret)>, Problem> {
    // Before anything is trimmed: of a line that came in pieces only this much is known.
    if line.len() > MAX_LINE && !line.starts_with(b"#") {
        return Err(Problem::NotThreeWords);
    }
    let line = line.trim_ascii();
    if line.is_empty() || line.starts_with(b"#") {
        return Ok(None);
    }
    let (label, rest) = word(line);
    let (name, rest) = word(rest);
    let (secret, rest) = word(rest);
    if secret.is_empty() || !rest.is_empty() {
        return Err(Problem::NotThreeWords);
    }
    let Some(form) = LabelForm::of(label) else {
        // A label of the future has the same form; anything else is no key log.
        let word = |word: &[u8]| {
            word.iter()
                .all(|byte| byte.is_ascii_uppercase() || matches!(byte, b'_' | b'0'..=b'9'))
        };
        let hex = |word: &[u8]| word.iter().all(u8::is_ascii_hexdigit);
        return if word(label) && hex(name) && hex(secret) {
            Ok(None)
        } else {
            Err(Problem::NotThreeWords)
        };
    };
    form.read(name, secret)
}

/// The first word, and what follows the space behind it.
fn word(text: &[u8]) -> (&[u8], &[u8]) {
    let text = text.trim_ascii_start();
    match memchr::memchr(b' ', text) {
        Some(end) => (
            text.get(..end).unwrap_or_default(),
            text.get(end + 1..).unwrap_or_default(),
        ),
        None => (text, &[]),
    }
}

/// What a label promises.
enum LabelForm {
    /// A traffic secret of TLS 1.3: one hash long.
    Traffic(SecretKind),
    /// The master secret of TLS 1.2 and older.
    Master,
    /// A premaster secret, found by the first eight bytes of its encrypted form.
    Rsa,
    /// A premaster secret, found by client random.
    Premaster,
    /// Exporters, and what belongs to encrypted_client_hello: well known, and opens no record.
    Other,
}

impl LabelForm {
    fn of(label: &[u8]) -> Option<Self> {
        Some(match label {
            b"CLIENT_RANDOM" => Self::Master,
            b"RSA" => Self::Rsa,
            b"PMS_CLIENT_RANDOM" => Self::Premaster,
            b"CLIENT_EARLY_TRAFFIC_SECRET" => Self::Traffic(SecretKind::ClientEarly),
            b"CLIENT_HANDSHAKE_TRAFFIC_SECRET" => Self::Traffic(SecretKind::ClientHandshake),
            b"SERVER_HANDSHAKE_TRAFFIC_SECRET" => Self::Traffic(SecretKind::ServerHandshake),
            b"CLIENT_TRAFFIC_SECRET_0" => Self::Traffic(SecretKind::ClientApplication),
            b"SERVER_TRAFFIC_SECRET_0" => Self::Traffic(SecretKind::ServerApplication),
            b"EARLY_EXPORTER_SECRET"
            | b"EARLY_EXPORTER_MASTER_SECRET"
            | b"EXPORTER_SECRET"
            | b"ECH_SECRET"
            | b"ECH_CONFIG" => Self::Other,
            _ => return None,
        })
    }

    fn read(&self, name: &[u8], secret: &[u8]) -> Result<Option<(SecretKind, Name, Secret)>, Problem> {
        let random = || unhex::<32>(name).map(Name::Random).ok_or(Problem::Name);
        let (kind, name, lengths): (SecretKind, Name, &[usize]) = match self {
            Self::Other => return random().map(|_| None),
            Self::Traffic(kind) => (*kind, random()?, &[32, 48]),
            Self::Master => (SecretKind::Master, random()?, &[48]),
            Self::Premaster => (SecretKind::Premaster, random()?, &[]),
            Self::Rsa => (
                SecretKind::Premaster,
                Name::EncryptedPremaster(unhex::<8>(name).ok_or(Problem::Name)?),
                &[48],
            ),
        };
        if lengths.is_empty() && secret.len() > 2 * Secret::MAX_LEN {
            // Premaster secrets of Diffie-Hellman are longer than any secret that is kept.
            return Ok(None);
        }
        let secret = secret_of(secret).ok_or(Problem::Secret)?;
        if !lengths.is_empty() && !lengths.contains(&secret.bytes().len()) {
            return Err(Problem::Secret);
        }
        Ok(Some((kind, name, secret)))
    }
}

fn secret_of(hex: &[u8]) -> Option<Secret> {
    if hex.is_empty() || !hex.len().is_multiple_of(2) || hex.len() > 2 * Secret::MAX_LEN {
        return None;
    }
    let mut whole = true;
    let secret = Secret::filled(hex.len() / 2, |out| whole = unhex_into(hex, out));
    whole.then_some(secret)
}

fn unhex<const N: usize>(hex: &[u8]) -> Option<[u8; N]> {
    let mut out = [0; N];
    (hex.len() == 2 * N && unhex_into(hex, &mut out)).then_some(out)
}

/// Whether all of `hex` was read. A key log is as long as everything else that is read of a connection's handshake, so
/// digits are looked up and the answer is given once at the end.
fn unhex_into(hex: &[u8], out: &mut [u8]) -> bool {
    let value = |digit: u8| VALUES.get(usize::from(digit)).copied().unwrap_or(0xff);
    let mut wrong = 0;
    for (to, pair) in out.iter_mut().zip(hex.as_chunks::<2>().0) {
        let [high, low] = pair.map(value);
        wrong |= high | low;
        *to = high << 4 | low & 0x0f;
    }
    wrong & 0xf0 == 0
}

/// The value of every character as a hex digit; above 15 when it is none.
#[allow(clippy::indexing_slicing)] // done while compiling, and a table of 256 takes any byte
const VALUES: [u8; 256] = {
    let mut values = [0; 256];
    let mut character = 0_u8;
    loop {
        values[character as usize] = digit(character);
        if character == u8::MAX {
            break values;
        }
        character += 1;
    }
};

const fn digit(character: u8) -> u8 {
    match character {
        b'0'..=b'9' => character - b'0',
        b'a'..=b'f' => character - b'a' + 10,
        b'A'..=b'F' => character - b'A' + 10,
        _ => 0xff,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RANDOM: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

    fn read(text: &str, size: usize) -> (Secrets, KeyLogReader) {
        let mut secrets = Secrets::default();
        let mut log = KeyLogReader::default();
        for piece in text.as_bytes().chunks(size) {
            log.push(piece, &mut secrets);
        }
        log.finish(&mut secrets);
        (secrets, log)
    }

    fn line(label: &str, bytes: usize) -> String {
        format!("{label} {RANDOM} {}\n", "5a".repeat(bytes))
    }

    fn random() -> [u8; 32] {
        unhex(RANDOM.as_bytes()).expect("hex")
    }

    #[test]
    fn a_line_that_is_too_long_is_malformed_whatever_the_pieces_and_the_spaces_around_it() {
        let long = format!("{}{}", line("CLIENT_RANDOM", 48).trim_end(), " ".repeat(MAX_LINE));
        let comment = format!("#{}", "a comment may be long ".repeat(MAX_LINE));
        let text = format!("{long}\n{comment}\n{}", " ".repeat(MAX_LINE + 1));
        for size in [1, 7, 64, text.len()] {
            let (_, log) = read(&text, size);
            assert_eq!(log.malformed(), 2, "in pieces of {size}");
        }
    }

    #[test]
    fn every_label_of_the_format_is_read_whatever_the_pieces() {
        let mut text = "# a comment\n\n".to_owned();
        text.extend([
            line("CLIENT_RANDOM", 48),
            line("CLIENT_EARLY_TRAFFIC_SECRET", 32),
            line("CLIENT_HANDSHAKE_TRAFFIC_SECRET", 32),
            line("SERVER_HANDSHAKE_TRAFFIC_SECRET", 48),
            line("CLIENT_TRAFFIC_SECRET_0", 32),
            line("SERVER_TRAFFIC_SECRET_0", 48).replace('\n', "\r\n"),
            line("EXPORTER_SECRET", 32),
            line("EARLY_EXPORTER_SECRET", 32),
            line("PMS_CLIENT_RANDOM", 48),
            line("SOMETHING_NEW_2", 7),
            format!("RSA 0011223344556677 {}", "a5".repeat(48)),
        ]);
        for size in [1, 7, 64, text.len()] {
            let (mut secrets, mut log) = read(&text, size);
            assert_eq!(log.faults(), [], "pieces of {size}");
            for kind in [
                SecretKind::Master,
                SecretKind::ClientEarly,
                SecretKind::ClientHandshake,
                SecretKind::ServerHandshake,
                SecretKind::ClientApplication,
                SecretKind::ServerApplication,
                SecretKind::Premaster,
            ] {
                assert!(secrets.find(&random(), kind).is_some(), "{kind:?} in pieces of {size}");
            }
            assert!(
                secrets
                    .find_premaster([0, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77])
                    .is_some()
            );
        }
    }

    #[test]
    fn a_malformed_line_is_named_by_its_number_and_costs_only_itself() {
        let text = [
            "# one\n",
            "CLIENT_RANDOM 0011 22\n",
            "hello\n",
            &line("CLIENT_RANDOM", 47),
            &line("CLIENT_TRAFFIC_SECRET_0", 33),
            &line("CLIENT_RANDOM", 48).replace("5a", "5g"),
            "what else is there\n",
            &"x".repeat(5000),
            "\n",
            &line("CLIENT_RANDOM", 48),
        ]
        .concat();
        let (mut secrets, mut log) = read(&text, 11);
        let faults: Vec<_> = log.faults().iter().map(|fault| (fault.line, fault.problem)).collect();
        assert_eq!(
            faults,
            [
                (2, Problem::Name),
                (3, Problem::NotThreeWords),
                (4, Problem::Secret),
                (5, Problem::Secret),
                (6, Problem::Secret),
                (7, Problem::NotThreeWords),
                (8, Problem::NotThreeWords),
            ]
        );
        assert!(secrets.find(&random(), SecretKind::Master).is_some());
        assert!(log.faults().is_empty(), "each is named once");
    }

    #[test]
    fn a_file_that_is_no_key_log_is_not_named_line_by_line_for_ever() {
        let (_, mut log) = read(&"nonsense\n".repeat(1000), 4096);
        assert_eq!((log.faults().len(), log.malformed()), (NAMED_FAULTS, 1000));
    }

    #[test]
    fn nothing_shows_the_beginning_of_a_line() {
        let mut log = KeyLogReader::default();
        log.push(b"CLIENT_RANDOM 5a5a5a", &mut Secrets::default());
        assert!(!format!("{log:?}").contains("5a5a"), "{log:?}");
    }
}

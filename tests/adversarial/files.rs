//! Attacks with files: lengths that are lies, interfaces that are not there, and bytes that grow when unpacked.

use std::io::{Cursor, Read, Write};

use std::ops::ControlFlow;

use super::{MB, alone, peak};
use reshake::capture::Source;
use reshake::run::{self, RunOptions};
use reshake_core::net::capture::Ended;
use reshake_core::net::{Capture, Notice};

fn open(bytes: impl Read + Send + 'static) -> Option<Box<dyn Source>> {
    reshake::capture::from_reader("file", Box::new(bytes), None, 0).ok()
}

/// Reads to the end. The frames of the packets, and what is known of the file.
fn read(bytes: Vec<u8>) -> (Vec<u64>, Option<Capture>) {
    let Some(mut source) = open(Cursor::new(bytes)) else {
        return (Vec::new(), None);
    };
    let mut frames = Vec::new();
    while let Some(packet) = source.next() {
        frames.push(packet.frame.frame());
    }
    (frames, Some(source.capture().clone()))
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(bytes).expect("written to memory");
    packed.finish().expect("written to memory")
}

fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

/// A pcapng block that claims to have `length` bytes.
fn block_of(kind: u32, body: &[u8], length: u32) -> Vec<u8> {
    [&words(&[kind, length])[..], body, &words(&[length])].concat()
}

fn block(kind: u32, body: &[u8]) -> Vec<u8> {
    block_of(kind, body, u32::try_from(body.len() + 12).expect("short"))
}

fn section() -> Vec<u8> {
    block(0x0a0d_0d0a, &words(&[0x1a2b_3c4d, 1, u32::MAX, u32::MAX]))
}

fn interface() -> Vec<u8> {
    block(1, &words(&[101, 0]))
}

fn packet(interface: u32) -> Vec<u8> {
    block(6, &words(&[interface, 0, 1_000_000, 20, 20, 0x45, 0, 0, 0, 0]))
}

/// Packets of interfaces that no block describes are counted and named; those of the others are read.
#[test]
fn an_interface_that_is_not_there_hides_nothing_else() {
    let _alone = alone();
    let ids = [0, 1, 7, 0xffff, 0x1_0000, u32::MAX];
    let packets: Vec<u8> = ids.into_iter().flat_map(packet).collect();
    let (frames, capture) = read([section(), interface(), packets, packet(0)].concat());
    let capture = capture.expect("a capture");
    assert_eq!(capture.packets, 7, "frames are numbered as Wireshark numbers them");
    assert_eq!(frames, [1, 7]);
    assert_eq!(capture.notices.count(Notice::UnknownInterface), 5);
}

/// Blocks, options, names and packets that claim up to 4 GB: nothing is set aside for a claim, and what follows a block
/// that contradicts itself is read.
#[test]
fn lengths_of_four_gigabytes_are_not_believed() {
    let _alone = alone();
    let huge_option = words(&[101, 0, 0xffff_0001, 0]);
    let blocks = [
        // The block itself, with both lengths alike and with one of them true.
        block_of(6, &words(&[0, 0, 0, 20, 20, 0, 0, 0, 0, 0]), 0xffff_fffc),
        block_of(1, &huge_option, 0x7fff_fffc),
        // An option that claims more than its block has.
        block(1, &huge_option),
        // A packet that claims more bytes than its block has.
        block(6, &words(&[0, 0, 0, u32::MAX, u32::MAX, 0, 0])),
        block(3, &words(&[u32::MAX, 0, 0])),
        // Secrets, names, statistics, and a kind that nobody knows.
        block(10, &words(&[0x544c_534b, u32::MAX, 0])),
        block(4, &words(&[0xffff_0001, 0])),
        block(5, &words(&[0, 0, 0, 0xffff_0004, 0])),
        block_of(0x7777_7777, &[0; 64], 0xffff_fff0),
    ];
    for (which, hostile) in blocks.into_iter().enumerate() {
        let after: Vec<u8> = (0..3).flat_map(|_| packet(0)).collect();
        let file = [section(), interface(), packet(0), hostile, after].concat();
        let ((frames, capture), peak) = peak(|| read(file));
        let capture = capture.expect("a capture");
        assert!(peak < MB, "block {which}: {peak} bytes at the peak");
        assert_eq!(frames.first(), Some(&1), "block {which}");
        assert!(
            frames.len() >= 4 || capture.ended != Ended::EndOfFile,
            "block {which}: {frames:?}"
        );
    }
}

/// The same for classic files.
#[test]
fn a_packet_of_four_gigabytes_is_not_believed() {
    let _alone = alone();
    let header = words(&[0xa1b2_c3d4, 0x0004_0002, 0, 0, u32::MAX, 101]);
    for length in [17 << 20, 0x7fff_ffff, u32::MAX] {
        let file = [&header[..], &words(&[1, 0, length, length]), &[0; 500]].concat();
        let ((frames, capture), peak) = peak(|| read(file));
        assert!(frames.is_empty());
        assert!(peak < MB, "{peak} bytes at the peak");
        assert_ne!(capture.expect("a capture").ended, Ended::EndOfFile);
    }
}

/// A stream whose blocks each claim the greatest length that is believed, and have it: one of them at a time is held.
#[test]
fn one_block_at_a_time_is_held() {
    let _alone = alone();
    let body = 60 * MB;
    let length = u32::try_from(body + 12).expect("fits");
    let (packets, peak) = peak(|| {
        let mut stream: Box<dyn Read + Send> = Box::new(Cursor::new([section(), interface()].concat()));
        for _ in 0..3 {
            let head = Cursor::new(words(&[0x7777_7777, length]));
            let tail = Cursor::new(words(&[length]));
            stream = Box::new(
                stream
                    .chain(head)
                    .chain(std::io::repeat(0).take(body as u64))
                    .chain(tail),
            );
        }
        let mut source = open(stream.chain(Cursor::new(packet(0)))).expect("a capture");
        std::iter::from_fn(|| source.next().map(|_| ())).count()
    });
    assert_eq!(packets, 1, "what follows them is read");
    assert!(peak < 200 * MB, "{peak} bytes at the peak");
}

/// A gigabyte of packets in a megabyte of gzip: it is unpacked piece by piece.
#[test]
fn a_gzip_bomb_is_unpacked_piece_by_piece() {
    let _alone = alone();
    let mut bomb = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    bomb.write_all(&words(&[0xa1b2_c3d4, 0x0004_0002, 0, 0, 262_144, 101]))
        .expect("written to memory");
    let count = 4_000_u64;
    let body = vec![0; 65_535];
    for second in 0..u32::try_from(count).expect("few") {
        bomb.write_all(&words(&[1_700_000_000 + second, 0, 65_535, 65_535]))
            .expect("written to memory");
        bomb.write_all(&body).expect("written to memory");
    }
    let bomb = bomb.finish().expect("written to memory");
    assert!(bomb.len() < 4 * MB, "{}", bomb.len());
    let ((frames, capture), peak) = peak(|| read(bomb));
    assert_eq!(frames.len() as u64, count);
    assert_eq!(capture.expect("a capture").ended, Ended::EndOfFile);
    assert!(peak < 8 * MB, "{peak} bytes at the peak for 262 MB");
}

/// gzip within gzip within gzip: one layer is unpacked.
#[test]
fn compression_is_unpacked_once() {
    let _alone = alone();
    let mut data = [section(), interface(), packet(0)].concat();
    for _ in 0..3 {
        data = gzip(&data);
    }
    let (frames, capture) = read(data);
    assert!(frames.is_empty());
    assert!(capture.is_none(), "it is no capture");
}

/// A zstd frame that claims a window of 3.75 TB, and one of 128 MB, more than a file of a few bytes can fill.
#[test]
fn a_zstd_window_is_not_set_aside_for_a_claim() {
    let _alone = alone();
    for window in [0xff_u8, 0x88] {
        let mut file = vec![0x28, 0xb5, 0x2f, 0xfd, 0, window];
        // A block that repeats one byte 2 MB long, then the last one.
        file.extend([2, 0, 0x10, 0]);
        file.extend([3, 0, 0, 0]);
        let ((frames, _), peak) = peak(|| read(file));
        assert!(frames.is_empty());
        assert!(peak < 8 * MB, "window {window:#x}: {peak} bytes at the peak");
    }
}

/// Thousands of files, plain and compressed, one after the other in time: within a limit of memory none takes a buffer before
/// its time has come, or keeps one when it is over.
#[test]
fn a_limit_of_memory_holds_for_thousands_of_files() {
    let _alone = alone();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let files = 3_000_u32;
    let mut paths = Vec::new();
    for number in 0..files {
        let header = words(&[0xa1b2_c3d4, 0x0004_0002, 0, 0, 65_535, 101]);
        let records = (0..200).map(|packet| [words(&[1000 * number + packet, 0, 200, 200]), vec![0x45; 200]].concat());
        let plain = [header, records.collect::<Vec<_>>().concat()].concat();
        let bytes = if number % 2 == 0 { plain } else { gzip(&plain) };
        let path = folder.path().join(number.to_string());
        std::fs::write(&path, bytes).expect("a temporary file");
        paths.push(path);
    }
    let memory = 16 * MB;
    let read = |options: &RunOptions| {
        let (run, peak) = peak(|| run::analyze(&paths, options, &mut |_| ControlFlow::Continue(())));
        let whole = run.captures.iter().filter(|capture| capture.ended == Ended::EndOfFile);
        assert_eq!(
            whole.map(|capture| capture.packets).sum::<u64>(),
            u64::from(200 * files)
        );
        assert_eq!(run.errors, [""; 0]);
        peak
    };
    let peak = read(&RunOptions::within(Some(memory)));
    assert!(peak < memory, "{peak} bytes at the peak");
}

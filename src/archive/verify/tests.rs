use super::{Options, verify};
use crate::archive::compression::Compression;
use crate::archive::namespace::{Kind, Namespace};
use crate::archive::sidecar::Sidecar;
use crate::archive::source::Source;
use crate::archive::verify::report::VerifyReport;
use crate::testing::{STEM, Sample, archive_in, encode, kitchen};
use flate2::write::GzEncoder;
use mongodb::bson::doc;
use proptest::prelude::*;
use std::fs::File;
use std::io::{Seek, Write};
use std::num::NonZeroUsize;
use std::os::unix::fs::FileExt;
use std::sync::LazyLock;
use std::sync::atomic::AtomicBool;

fn check(file: &File, sidecar: &Sidecar) -> VerifyReport {
    let again = Source::file(file.try_clone().unwrap()).unwrap();
    let cancelled = AtomicBool::new(false);
    let options = Options {
        threads: NonZeroUsize::new(2).unwrap(),
        cancelled: &cancelled,
        moved: &|_| {},
    };
    verify(&format!("{STEM}.tar.gz"), again, sidecar, &options).unwrap()
}

fn make(samples: &[Sample], compression: Compression) -> File {
    let file = tempfile::tempfile().unwrap();
    archive_in(&file, samples, compression).unwrap();
    file
}

fn read(file: &File) -> Vec<u8> {
    let mut bytes = vec![0; file.metadata().unwrap().len() as usize];
    file.read_exact_at(&mut bytes, 0).unwrap();
    bytes
}

fn file_of(bytes: &[u8]) -> File {
    let file = tempfile::tempfile().unwrap();
    file.write_all_at(bytes, 0).unwrap();
    file
}

/// Pseudo-random numbers, the same in every run.
fn numbers(seed: u64) -> impl FnMut(usize) -> usize {
    let mut state = seed;
    move |below| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below
    }
}

#[test]
fn an_untouched_archive_is_sound_and_everything_in_it_is_counted() {
    let samples = kitchen(3_000_000);
    let documents: usize = samples.iter().map(|sample| sample.documents.len()).sum();
    for compression in Compression::ALL {
        let report = check(&make(&samples, compression), &Sidecar::Missing);
        assert!(report.sound, "{report:?}");
        assert_eq!(report.documents, documents as u64 - 1, "without the oplog");
        assert_eq!(report.namespaces.len(), samples.len());
    }
}

#[test]
fn an_archive_cut_at_any_byte_never_passes() {
    for compression in Compression::ALL {
        let file = make(&kitchen(2_000), compression);
        let whole = file.metadata().unwrap().len();
        for length in (0..whole).rev() {
            file.set_len(length).unwrap();
            assert!(
                !check(&file, &Sidecar::Missing).sound,
                "{compression:?} cut after {length} of {whole} bytes"
            );
        }
    }
}

#[test]
fn an_archive_with_anything_behind_it_never_passes() {
    for compression in Compression::ALL {
        for tail in [&b"\0"[..], b"x", &[0; 1069]] {
            let mut bytes = read(&make(&kitchen(2_000), compression));
            bytes.extend_from_slice(tail);
            assert!(!check(&file_of(&bytes), &Sidecar::Missing).sound);
        }
    }
}

/// Flips bits one at a time; none may go unnoticed, even with nothing but the archive itself to go by.
fn flips(
    samples: &[Sample],
    compression: Compression,
    mut choose: impl FnMut(usize) -> Vec<usize>,
) {
    let file = make(samples, compression);
    let bytes = read(&file);
    for bit in choose(bytes.len() * 8) {
        let (at, mask) = ((bit / 8) as u64, 1 << (bit % 8));
        file.write_all_at(&[bytes[bit / 8] ^ mask], at).unwrap();
        assert!(
            !check(&file, &Sidecar::Missing).sound,
            "{compression:?}: bit {bit} of byte {at} of {}",
            bytes.len()
        );
        file.write_all_at(&[bytes[bit / 8]], at).unwrap();
    }
    assert!(
        check(&file, &Sidecar::Missing).sound,
        "the archive is as it was"
    );
}

#[test]
fn every_bit_of_a_small_archive_counts() {
    let samples = [Sample::new(
        "d",
        "c",
        vec![encode(&doc! { "title": "Soup" })],
    )];
    // All bits of both ends, where the format's own fields are, and every third of what is between.
    for compression in Compression::ALL {
        flips(&samples, compression, |bits| {
            let chosen = |bit: &usize| *bit < 2_000 || bits - bit < 1_200 || bit.is_multiple_of(3);
            (0..bits).filter(chosen).collect()
        });
    }
}

#[test]
fn a_bit_flipped_anywhere_in_a_larger_archive_is_noticed() {
    let samples = kitchen(3_000_000);
    let mut number = numbers(7);
    for compression in Compression::ALL {
        flips(&samples, compression, |bits| {
            (0..100).map(|_| number(bits)).collect()
        });
    }
}

#[test]
fn damage_is_laid_to_the_namespace_it_is_in_and_to_no_other() {
    let samples = kitchen(3_000_000);
    let file = make(&samples, Compression::Zstd);
    // The first collection takes up nearly all of the archive.
    let middle = file.metadata().unwrap().len() / 2;
    file.write_all_at(&[0x55; 64], middle).unwrap();
    let report = check(&file, &Sidecar::Missing);
    let damaged: Vec<String> = report
        .namespaces
        .iter()
        .filter(|n| n.damage.is_some())
        .map(|n| n.namespace.to_string())
        .collect();
    assert_eq!(damaged, ["jorbites.photos"]);
    assert_eq!(report.damage, Vec::<String>::new());
}

#[test]
fn of_an_archive_that_was_cut_the_readable_part_is_named() {
    for compression in Compression::ALL {
        let file = make(&kitchen(3_000_000), compression);
        file.set_len(file.metadata().unwrap().len() / 2).unwrap();
        let report = check(&file, &Sidecar::Missing);
        assert!(report.damage[0].contains("cut short"), "{report:?}");
        assert_eq!(report.namespaces.len(), 1);
        assert!(report.namespaces[0].damage.is_some());
        assert!(report.namespaces[0].documents > 30, "{report:?}");
    }
}

#[test]
fn a_wrong_or_unreadable_checksum_file_is_damage_and_a_missing_one_is_not() {
    let file = make(&kitchen(2_000), Compression::Gzip);
    assert!(!check(&file, &Sidecar::Sha256([7; 32])).sound);
    assert!(!check(&file, &Sidecar::Unreadable("is not a line".into())).sound);
    let report = check(&file, &Sidecar::Missing);
    assert!(report.sound);
    assert_eq!(report.not_checked, ["the .sha256: there is none"]);
}

/// What `tar czf` makes of a dump folder.
fn by_hand(files: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let mut packer = GzEncoder::new(Vec::new(), flate2::Compression::default());
    packer.write_all(&tarred(files)).unwrap();
    packer.finish().unwrap()
}

/// What `tar --zstd -cf` makes of it.
fn by_hand_in_zstd(files: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let mut packer = zstd::stream::Encoder::new(Vec::new(), 3).unwrap();
    packer.include_checksum(true).unwrap();
    packer.write_all(&tarred(files)).unwrap();
    packer.finish().unwrap()
}

fn tarred(files: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    for (path, content) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        tar.append_data(&mut header, path, content.as_slice())
            .unwrap();
    }
    tar.into_inner().unwrap()
}

fn dump_folder() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        (
            "dump/prelude.json",
            br#"{"ServerVersion":"8.0.0","ToolVersion":"100.12.2"}"#.to_vec(),
        ),
        (
            "dump/jorbites/recipes.metadata.json",
            br#"{"indexes":[]}"#.to_vec(),
        ),
        (
            "dump/jorbites/recipes.bson",
            encode(&doc! { "title": "Soup", "steps": [{ "n": 1 }] }).repeat(500),
        ),
        ("dump/oplog.bson", encode(&doc! { "op": "n" })),
    ]
}

#[test]
fn a_dump_folder_packed_by_hand_passes_and_says_what_was_not_checked() {
    for packed in [by_hand(&dump_folder()), by_hand_in_zstd(&dump_folder())] {
        let report = check(&file_of(&packed), &Sidecar::Missing);
        assert!(report.sound, "{report:?}");
        assert_eq!(report.documents, 500);
        assert!(
            report.not_checked[0].contains("there is no manifest"),
            "{report:?}"
        );
    }
}

#[test]
fn a_collection_called_oplog_is_not_taken_for_the_oplog_of_the_dump() {
    let document = || encode(&doc! { "_id": 1 });
    let oplog = Namespace::new("shop", "oplog");
    let kinds = |files: &[(&str, Vec<u8>)]| {
        let report = check(&file_of(&by_hand(files)), &Sidecar::Missing);
        let kinds: Vec<(String, Kind)> = report
            .namespaces
            .iter()
            .map(|one| (one.namespace.to_string(), one.kind))
            .collect();
        (report.sound, kinds)
    };
    let (orders, data) = (
        ("shop/orders.bson", document()),
        ("shop/oplog.bson", document()),
    );
    let metadata = ("shop/oplog.metadata.json", br#"{"indexes":[]}"#.to_vec());
    for files in [
        vec![orders.clone(), data.clone(), metadata.clone()],
        vec![data.clone(), metadata.clone()],
        vec![metadata.clone(), data.clone()],
    ] {
        let (sound, kinds) = kinds(&files);
        assert!(
            sound && kinds.contains(&(oplog.to_string(), Kind::Collection)),
            "{kinds:?}"
        );
    }
    let both = [orders, data.clone(), ("oplog.bson", document())];
    let (sound, found) = kinds(&both);
    assert!(sound, "{found:?}");
    let oplogs = found.iter().filter(|(_, kind)| *kind == Kind::Oplog);
    assert_eq!(oplogs.count(), 1, "{found:?}");
    let unclear = [data, metadata, ("shop/shop/orders.bson", document())];
    assert!(!kinds(&unclear).0);
}

#[test]
fn a_packed_folder_cut_at_any_byte_or_changed_in_its_content_never_passes() {
    let bytes = by_hand(&dump_folder());
    for length in 0..bytes.len() {
        assert!(
            !check(&file_of(&bytes[..length]), &Sidecar::Missing).sound,
            "cut after {length}"
        );
    }
    // gzip's own header has fields that mean nothing, and no checksum; everything behind it has.
    for bit in 10 * 8..bytes.len() * 8 {
        let mut flipped = bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        let report = check(&file_of(&flipped), &Sidecar::Missing);
        let unpacked = || {
            let mut content = Vec::new();
            std::io::copy(
                &mut flate2::read::MultiGzDecoder::new(flipped.as_slice()),
                &mut content,
            )
            .map(|_| content)
        };
        // A bit between the compressed data and its checksum is not part of anything.
        assert!(
            !report.sound || unpacked().unwrap() == unpacked_of(&bytes),
            "bit {bit}"
        );
    }
}

#[test]
fn a_folder_packed_in_zstd_and_cut_at_any_byte_or_changed_in_its_content_never_passes() {
    let bytes = by_hand_in_zstd(&dump_folder());
    for length in 0..bytes.len() {
        assert!(
            !check(&file_of(&bytes[..length]), &Sidecar::Missing).sound,
            "cut after {length}"
        );
    }
    let content = zstd::stream::decode_all(bytes.as_slice()).unwrap();
    for bit in 0..bytes.len() * 8 {
        let mut flipped = bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        let report = check(&file_of(&flipped), &Sidecar::Missing);
        // Some bits mean nothing to any decoder.
        let unpacked = || zstd::stream::decode_all(flipped.as_slice()).unwrap();
        assert!(!report.sound || unpacked() == content, "bit {bit}");
    }
}

/// A window is memory that a file asks for: not more than stock zstd gives without being told to.
#[test]
fn what_asks_for_more_memory_than_stock_zstd_gives_is_refused() {
    for (window_log, accepted) in [(27, true), (28, false)] {
        let mut packer = zstd::stream::Encoder::new(Vec::new(), 1).unwrap();
        packer.window_log(window_log).unwrap();
        packer.write_all(&tarred(&dump_folder())).unwrap();
        let report = check(&file_of(&packer.finish().unwrap()), &Sidecar::Missing);
        assert_eq!(report.sound, accepted, "{report:?}");
    }
}

fn unpacked_of(bytes: &[u8]) -> Vec<u8> {
    let mut content = Vec::new();
    std::io::copy(&mut flate2::read::MultiGzDecoder::new(bytes), &mut content).unwrap();
    content
}

#[test]
fn documents_that_are_not_bson_are_found_without_any_checksum() {
    let mut folder = dump_folder();
    // The type of an element that BSON does not have.
    folder[2].1[4] = 0x7e;
    let report = check(&file_of(&by_hand(&folder)), &Sidecar::Missing);
    assert!(
        report
            .faults()
            .next()
            .unwrap()
            .starts_with("jorbites.recipes: document 1:"),
        "{report:?}"
    );
}

#[test]
fn what_is_no_dump_is_refused() {
    let cases: [(&str, Vec<u8>); 5] = [
        (
            "there is no MongoDB dump in it",
            by_hand(&[("notes/todo.txt", b"buy milk".to_vec())]),
        ),
        ("the file is empty", Vec::new()),
        ("dump", b"not a gzip file at all".repeat(100)),
        (
            "is there twice",
            by_hand(&[dump_folder()[2].clone(), dump_folder()[2].clone()]),
        ),
        (
            "options and indexes",
            by_hand(&[("d/c.metadata.json", b"{".to_vec())]),
        ),
    ];
    for (words, bytes) in cases {
        let report = check(&file_of(&bytes), &Sidecar::Missing);
        assert!(!report.sound);
        assert!(
            report.faults().any(|fault| fault.contains(words)),
            "{words}: {report:?}"
        );
    }
}

#[test]
fn an_archive_of_ours_that_was_packed_again_is_held_against_its_manifest() {
    let file = make(&kitchen(100_000), Compression::Gzip);
    (&file).rewind().unwrap();
    let mut unpacked = tar::Archive::new(flate2::read::MultiGzDecoder::new(file));
    let mut files: Vec<(String, Vec<u8>)> = Vec::new();
    for entry in unpacked.entries().unwrap() {
        let mut entry = entry.unwrap();
        let mut content = Vec::new();
        std::io::Read::read_to_end(&mut entry, &mut content).unwrap();
        files.push((entry.path().unwrap().to_str().unwrap().to_owned(), content));
    }
    let pack = |files: &[(String, Vec<u8>)]| {
        let files: Vec<(&str, Vec<u8>)> = files
            .iter()
            .map(|(path, content)| (path.as_str(), content.clone()))
            .collect();
        check(&file_of(&by_hand(&files)), &Sidecar::Missing)
    };
    let report = pack(&files);
    assert!(report.sound, "{report:?}");
    for at in 0..files.len() {
        let mut fewer = files.clone();
        let (path, _) = fewer.remove(at);
        let expected = path.ends_with("prelude.json") || path.ends_with("manifest.json");
        assert_eq!(pack(&fewer).sound, expected, "without {path}");
    }
    let recipes = files
        .iter()
        .position(|(path, _)| path.ends_with("recipes.bson"))
        .unwrap();
    let mut fewer = files.clone();
    let first = u32::from_le_bytes(*fewer[recipes].1.first_chunk().unwrap()) as usize;
    fewer[recipes].1.drain(..first);
    assert!(
        pack(&fewer)
            .faults()
            .any(|fault| fault.contains("not those of the manifest"))
    );
}

#[test]
fn it_ends_when_asked_to() {
    let file = make(&kitchen(3_000_000), Compression::Gzip);
    let cancelled = AtomicBool::new(true);
    let options = Options {
        threads: NonZeroUsize::MIN,
        cancelled: &cancelled,
        moved: &|_| {},
    };
    let source = |file| Source::file(file).unwrap();
    assert!(verify(STEM, source(file), &Sidecar::Missing, &options).is_err());
    let packed = file_of(&by_hand(&dump_folder()));
    assert!(verify(STEM, source(packed), &Sidecar::Missing, &options).is_err());
}

/// Something that happens to a file.
#[derive(Debug, Clone)]
enum Harm {
    Overwrite(Vec<u8>),
    Insert(Vec<u8>),
    Delete(usize),
    Repeat(usize),
}

fn harm() -> impl Strategy<Value = (prop::sample::Index, Harm)> {
    let bytes = || prop::collection::vec(any::<u8>(), 1..600);
    let harm = prop_oneof![
        bytes().prop_map(Harm::Overwrite),
        bytes().prop_map(Harm::Insert),
        (1..600usize).prop_map(Harm::Delete),
        (1..600usize).prop_map(Harm::Repeat),
    ];
    (any::<prop::sample::Index>(), harm)
}

fn harmed(mut bytes: Vec<u8>, (at, harm): (prop::sample::Index, Harm)) -> Vec<u8> {
    let at = at.index(bytes.len());
    let end = |length: usize| (at + length).min(bytes.len());
    match harm {
        Harm::Overwrite(new) => {
            let end = end(new.len());
            bytes[at..end].copy_from_slice(&new[..end - at]);
        }
        Harm::Insert(new) => drop(bytes.splice(at..at, new)),
        Harm::Delete(length) => drop(bytes.drain(at..end(length))),
        Harm::Repeat(length) => {
            let again = bytes[at..end(length)].to_vec();
            drop(bytes.splice(at..at, again));
        }
    }
    bytes
}

proptest! {
    #[test]
    fn an_archive_of_ours_that_was_changed_in_any_way_never_passes(harm in harm()) {
        static WHOLE: LazyLock<[Vec<u8>; 2]> =
            LazyLock::new(|| Compression::ALL.map(|kind| read(&make(&kitchen(30_000), kind))));
        for whole in WHOLE.iter() {
            let bytes = harmed(whole.clone(), harm.clone());
            prop_assert!(!check(&file_of(&bytes), &Sidecar::Missing).sound || bytes == *whole);
        }
    }

    #[test]
    fn a_packed_folder_of_any_content_never_makes_it_panic(harm in harm(), path in 0..4usize) {
        // Before it is compressed, so that it is the content that was changed.
        let mut folder = dump_folder();
        folder[path].1 = harmed(folder[path].1.clone(), harm);
        let _ = check(&file_of(&by_hand(&folder)), &Sidecar::Missing);
        let _ = check(&file_of(&by_hand_in_zstd(&folder)), &Sidecar::Missing);
    }

    #[test]
    fn no_file_at_all_makes_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..3000)) {
        prop_assert!(!check(&file_of(&bytes), &Sidecar::Missing).sound);
    }
}

/// Takes about a minute: `cargo test --release -- --ignored ten_thousand`.
#[test]
#[ignore = "verifies ten thousand damaged archives of each kind"]
fn ten_thousand_flips_and_cuts_are_all_found() {
    for compression in Compression::ALL {
        let whole = read(&make(&kitchen(200_000), compression));
        let mut number = numbers(2026);
        for round in 0..10_000 {
            let at = number(whole.len());
            let mut bytes = whole.clone();
            match round % 2 {
                0 => bytes[at] ^= 1 << number(8),
                _ => bytes.truncate(at),
            }
            let sound = check(&file_of(&bytes), &Sidecar::Missing).sound;
            assert!(!sound, "{compression:?}, round {round}, byte {at}");
        }
    }
}

/// Takes about two minutes: `cargo test --release -- --ignored over_8_gib`.
#[test]
#[ignore = "writes and reads 9 GiB"]
fn a_collection_over_8_gib_is_read_by_every_tar() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(format!("{STEM}.tar.gz"));
    let file = File::options()
        .read(true)
        .write(true)
        .create_new(true)
        .open(&path)
        .unwrap();
    let zeros = bson::Binary {
        subtype: bson::spec::BinarySubtype::Generic,
        bytes: vec![0; 16 << 20],
    };
    let document = encode(&doc! { "_id": 1, "zeros": zeros });
    let sizes = crate::testing::archive_of_one_large(&file, &document, 600).unwrap();
    assert!(sizes > 9 << 30);
    let report = check(&file, &Sidecar::Missing);
    assert!(report.sound, "{report:?}");
    assert_eq!((report.documents, report.bytes), (600, sizes));
    let python = "import sys,tarfile\nfor m in tarfile.open(sys.argv[1]): print(m.size, m.name)";
    for command in [
        &["tar", "tvzf"][..],
        &["busybox", "tar", "tvzf"],
        &["bsdtar", "tvzf"],
        &["python3", "-c", python],
    ] {
        let output = std::process::Command::new(command[0])
            .args(&command[1..])
            .arg(&path)
            .output()
            .unwrap();
        let listed = String::from_utf8_lossy(&output.stdout);
        assert!(
            output.status.success() && listed.contains(&sizes.to_string()),
            "{command:?}: {listed}"
        );
        assert!(
            listed.contains("manifest.json"),
            "{command:?} reads on behind the large file: {listed}"
        );
    }
}

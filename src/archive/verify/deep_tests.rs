//! Definitions that nest deep: servers take more levels than most readers of JSON.

use super::{Found, Options, native_parts, survey};
use crate::archive::container::{self, Opened};
use crate::archive::json::DEEPEST_LEVEL;
use crate::archive::namespace::Kind;
use crate::archive::sidecar::Sidecar;
use crate::archive::source::Source;
use crate::archive::verify::native;
use crate::testing::archive_of_view;
use flate2::write::GzEncoder;
use std::fs::File;
use std::io::Write;
use std::num::NonZeroUsize;
use std::sync::atomic::AtomicBool;

/// A view whose pipeline nests so deep.
fn view(levels: usize) -> String {
    let (open, close) = (r#"{"$cond":["#.repeat(levels / 2), "]}".repeat(levels / 2));
    let of = r#""viewOn":"orders""#;
    format!(
        r#"{{"options":{{{of},"pipeline":[{{"$project":{{"r":{open}1{close}}}}}]}},"type":"view"}}"#
    )
}

fn checked(metadata: &str) -> (Found, Option<String>) {
    let file = tempfile::tempfile().unwrap();
    archive_of_view(&file, metadata);
    let Ok(Opened::Native(archive)) = container::open(Source::file(file).unwrap()) else {
        panic!("it is not ours");
    };
    let cancelled = AtomicBool::new(false);
    let options = Options {
        threads: NonZeroUsize::new(2).unwrap(),
        cancelled: &cancelled,
        moved: &|_| {},
    };
    let mut found = Found::default();
    native::verify(&archive, &options, &mut found).unwrap();
    let parts = native_parts(&archive, &|_| true, &Sidecar::Missing, &options).unwrap();
    let text = parts.namespaces.into_iter().next().map(|one| one.metadata);
    (found, text)
}

#[test]
fn a_view_that_nests_as_deep_as_servers_allow_is_read() {
    for levels in [120, 130, 200, 212] {
        let (found, text) = checked(&view(levels));
        assert_eq!((found.faults(), found.unreadable), (0, 0), "{levels}");
        assert_eq!(text, Some(view(levels)));
    }
}

#[test]
fn one_that_is_too_deep_to_be_read_is_named_and_no_damage() {
    let (found, text) = checked(&view(2 * DEEPEST_LEVEL));
    assert_eq!((found.faults(), found.unreadable), (0, 1));
    assert_eq!(
        found.not_checked,
        ["shop.view: its options and indexes cannot be read: nested deeper than 220 levels"]
    );
    assert_eq!(text, Some(view(2 * DEEPEST_LEVEL)));
}

#[test]
fn packed_by_hand_it_is_a_view_all_the_same() {
    let mut tar = tar::Builder::new(Vec::new());
    let text = view(212);
    let mut header = tar::Header::new_gnu();
    header.set_size(text.len() as u64);
    let path = "dump/shop/view.metadata.json";
    tar.append_data(&mut header, path, text.as_bytes()).unwrap();
    let mut packer = GzEncoder::new(Vec::new(), flate2::Compression::default());
    packer.write_all(&tar.into_inner().unwrap()).unwrap();
    let mut file: File = tempfile::tempfile().unwrap();
    file.write_all(&packer.finish().unwrap()).unwrap();
    let cancelled = AtomicBool::new(false);
    let options = Options {
        threads: NonZeroUsize::new(2).unwrap(),
        cancelled: &cancelled,
        moved: &|_| {},
    };
    let (parts, _) = survey(Source::file(file).unwrap(), &options).unwrap();
    assert_eq!(parts.namespaces[0].kind, Kind::View);
}

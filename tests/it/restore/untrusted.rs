//! A plain tar.gz of a dump folder, made by anyone's hand.

use super::{Everything, only, restore_of, same};
use crate::support::{Craft, OLDER, Server, Site, command, gzip, needed, pack, python, tool};
use mongodb::bson::doc;
use std::fs;
use std::path::PathBuf;

/// Dumps a server into a folder of the site, and gives the path of the archive to pack it into.
fn dumped(site: &Site, server: &Server, options: &[&str]) -> PathBuf {
    let out = site.path("dump");
    let fixed = [
        format!("--uri={}", server.uri()),
        format!("--out={}", out.display()),
    ];
    command(
        tool("mongodump"),
        fixed
            .iter()
            .map(String::as_str)
            .chain(options.iter().copied()),
    );
    fs::create_dir_all(site.backups()).unwrap();
    site.older()
}

/// The target is emptied before.
fn comes_back(site: &Site, target: &Server, expected: &Everything) {
    target.clear();
    restore_of(site, OLDER, target, &[])
        .done()
        .saying(&["all that the archive holds of them is there"]);
    same(expected, &target.fingerprint());
}

/// Long names are cut and hashed in a folder; their metadata knows them whole.
#[test]
fn a_dump_folder_comes_back_as_it_was() {
    let source = Server::standalone();
    for set in ["small", "names", "options", "types"] {
        source.seed(set);
    }
    let site = Site::new();
    let archive = dumped(&site, &source, &[]);
    pack(&site.path(""), "dump", &archive);
    comes_back(&site, &Server::standalone(), &source.fingerprint());
}

/// `mongodump --gzip`, one database, one collection; packed by GNU tar, bsdtar, Python and busybox, with and without a
/// folder around it.
#[test]
fn whoever_packed_it_and_however() {
    let source = Server::standalone();
    source.seed("small");
    let (all, target) = (source.fingerprint(), Server::standalone());
    let site = Site::new();
    let archive = dumped(&site, &source, &["--gzip"]);
    let (to, dump) = (
        archive.display().to_string(),
        site.path("dump").display().to_string(),
    );
    let root = site.path("").display().to_string();

    let bsdtar = needed("bsdtar", "run scripts/setup first");
    command(&bsdtar, ["-czf", &to, "-C", &root, "dump"]);
    comes_back(&site, &target, &all);
    command(&bsdtar, ["-czf", &to, "--format", "pax", "-C", &dump, "."]);
    comes_back(&site, &target, &all);
    command(
        "tar",
        [
            "czf", &to, "--format", "posix", "-C", &dump, "./shop", "./blog",
        ],
    );
    comes_back(&site, &target, &only(&all, &["shop", "blog"]));
    const PACK: &str = "import sys, tarfile\nwith tarfile.open(sys.argv[1], 'w:gz') as tar: tar.add(sys.argv[2], sys.argv[3])";
    command(python(), ["-c", PACK, &to, &dump, "some/where/deep"]);
    comes_back(&site, &target, &all);

    fs::remove_dir_all(&dump).unwrap();
    dumped(&site, &source, &["--db=shop", "--collection=orders"]);
    command("busybox", ["tar", "czf", &to, "-C", &root, "dump"]);
    let mut expected = only(&all, &["shop"]);
    expected.retain(|name, _| name == "shop.orders");
    comes_back(&site, &target, &expected);
}

#[test]
fn our_own_archive_unpacked_and_packed_again_comes_back() {
    let site = Site::new();
    let archive = site.with_sound_archive();
    let name = archive
        .file_name()
        .unwrap()
        .to_str()
        .unwrap()
        .strip_suffix(".tar.gz")
        .unwrap()
        .to_owned();
    crate::support::unpack(&archive, &site.path("unpacked"));
    fs::remove_file(&archive).unwrap();
    pack(&site.path("unpacked"), &name, &site.older());
    comes_back(
        &site,
        &Server::standalone(),
        &crate::support::shared().fingerprint(),
    );
}

/// mongorestore goes on after a document that does not fit, and says so with exit code 0.
#[test]
fn documents_that_do_not_fit_are_named_and_the_rest_is_there() {
    let document = |id: i32, name: &str| doc! { "_id": id, "name": name }.to_vec().unwrap();
    let documents = [
        document(1, "a"),
        document(2, "b"),
        document(1, "c"),
        document(3, "d"),
    ]
    .concat();
    let site = Site::new();
    fs::create_dir_all(site.backups()).unwrap();
    let dump = Craft::dump().collection("shop", "twice", &documents);
    site.with_older(dump.packed());
    let target = Server::standalone();
    let outcome = restore_of(&site, OLDER, &target, &[]).ended_with(1);
    outcome.saying(&[
        "was NOT restored completely",
        "shop.twice: 1 document could not be inserted",
        "E11000",
    ]);
    let everything = target.fingerprint();
    assert_eq!(
        everything["shop.twice"]["documents"]
            .as_array()
            .unwrap()
            .len(),
        3
    );
    assert_eq!(
        everything["shop.orders"]["documents"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
    let rename = ["--rename", "shop=again", "--json"];
    let json = restore_of(&site, OLDER, &target, &rename)
        .ended_with(1)
        .json();
    assert_eq!(json["restored"], false);
    let twice = json["namespaces"]
        .as_array()
        .unwrap()
        .iter()
        .find(|one| one["collection"] == "twice")
        .unwrap();
    assert_eq!(
        (&twice["inserted"], &twice["failures"], &twice["on_server"]),
        (&3.into(), &1.into(), &3.into())
    );
    assert!(
        json.to_string().contains("_id: 1"),
        "the document is not named: {json}"
    );
}

/// What `mongodump --archive` wrote, under the name of a tar.gz.
#[test]
fn a_stream_of_mongodump_is_recognized_and_the_command_that_reads_it_said() {
    let stream = include_bytes!("../../fixtures/cases/legacy-index.archive");
    let target = Server::standalone();
    let site = Site::new();
    fs::create_dir_all(site.backups()).unwrap();
    let archive = site.older();
    for (content, options) in [(stream.to_vec(), ""), (gzip(stream), " --gzip")] {
        fs::write(&archive, content).unwrap();
        let what = format!("what `mongodump --archive{options}` writes");
        let command = format!("mongorestore --uri=URI --archive={OLDER}.tar.gz{options}\n");
        let verified = site.run(&["verify", OLDER]).ended_with(1);
        let verified = verified.printing(&[&what, &command]);
        let restored = restore_of(&site, OLDER, &target, &[]).ended_with(1);
        let restored = restored.saying(&["nothing was restored", &what, &command]);
        for said in [verified.stdout, restored.stderr] {
            assert!(
                !said.contains("DAMAGED") && !said.contains("damaged"),
                "{said}"
            );
        }
    }
    assert!(target.is_empty());
}

/// A `._` file beside a file that mongodump compressed is not compressed; one that begins in another way is a collection.
#[test]
fn only_what_macos_wrote_is_skipped() {
    let document = doc! { "_id": 1 }.to_vec().unwrap();
    let apple = [&[0, 5, 0x16, 7][..], &[0; 60]].concat();
    let dump = Craft::default()
        .file("dump/shop/orders.bson.gz", &gzip(&document))
        .file("dump/shop/._orders.bson.gz", &apple)
        .file("dump/._shop", &apple)
        .file("dump/shop/._own.bson", &document);
    let (site, target) = (Site::new(), Server::standalone());
    site.with_older(dump.packed());
    let verified = site.run(&["verify", OLDER]).done();
    verified.printing(&["2 documents in 2 namespaces", "2 files named ._*"]);
    // MongoDB takes no name that begins with a dot.
    restore_of(&site, OLDER, &target, &["--include", "shop.orders"]).done();
    let names: Vec<String> = target.fingerprint().into_keys().collect();
    assert_eq!(names, ["shop.orders"]);
}

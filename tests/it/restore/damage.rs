//! Archives that are damaged somewhere: what is whole still comes back, and nothing else is tried.

use super::{only, restore, same};
use crate::support::{Craft, Server, Site, data_range, rewrite, shared};
use mongodb::bson::spec::BinarySubtype;
use mongodb::bson::{Binary, doc};
use std::fs;

#[test]
fn a_collection_that_is_whole_comes_back_out_of_an_archive_damaged_elsewhere() {
    let site = Site::new().with_mongorestore_traced();
    let archive = site.with_sound_archive();
    let range = data_range(&archive, "bulk/noise.bson");
    rewrite(&archive, |bytes| {
        bytes[(range.start + range.end) as usize / 2] ^= 0x10;
    });
    let target = Server::standalone();
    for options in [
        &[][..],
        &["--include", "bulk.*"],
        &["--include", "*.noise"],
        &["--exclude", "shop.*"],
    ] {
        let outcome = restore(&site, &target, options).ended_with(1);
        outcome.saying(&[
            "is damaged, and nothing of it was restored",
            "bulk.noise: ",
            "pantry-keeper list",
        ]);
        assert!(!site.mongorestore_was_started());
    }
    let site = Site::new();
    fs::create_dir(site.backups()).unwrap();
    fs::copy(&archive, site.backups().join(archive.file_name().unwrap())).unwrap();
    restore(&site, &target, &["--exclude", "bulk.noise"]).done();
    let mut expected = shared().fingerprint();
    expected.remove("bulk.noise");
    same(&expected, &target.fingerprint());
}

/// The end holds where everything is. Without it nothing is restored from it, and its owner is told of the way that is left.
#[test]
fn an_archive_without_its_end_is_refused() {
    let site = Site::new().with_mongorestore_traced();
    let archive = site.with_sound_archive();
    let whole = fs::read(&archive).unwrap();
    let target = Server::standalone();
    for cut in [1, 500, whole.len() / 2, whole.len() - 10] {
        fs::write(&archive, &whole[..whole.len() - cut]).unwrap();
        let outcome = restore(&site, &target, &["--include", "shop.orders"]).ended_with(1);
        outcome.saying(&["is damaged, and nothing of it was restored"]);
    }
    fs::write(&archive, "").unwrap();
    restore(&site, &target, &[])
        .ended_with(1)
        .saying(&["the file is empty"]);
    assert!(!site.mongorestore_was_started() && target.is_empty());
}

/// A disk that begins to fail between the two readings, of which the first found everything sound.
#[test]
fn what_changes_after_it_was_verified_fails_the_restore() {
    let site = Site::new();
    let archive = site.with_sound_archive();
    let range = data_range(&archive, "bulk/noise.bson");
    let at = range.end - (range.end - range.start) / 8;
    // Changed once mongorestore is started, long before the end is read.
    let script = format!(
        "printf 'X' | dd of={} bs=1 seek={at} conv=notrunc 2>/dev/null; exec \"$REAL\" \"$@\"",
        archive.display()
    );
    let whole = fs::read(&archive).unwrap();
    let site = site.with_false_mongorestore(&script);
    let target = Server::standalone();
    let outcome = restore(&site, &target, &[]).ended_with(1);
    assert_ne!(
        fs::read(&archive).unwrap(),
        whole,
        "the test did not change it"
    );
    outcome.saying(&[
        "was NOT restored completely",
        "the archive could not be read to its end",
    ]);
    let there = target.fingerprint();
    assert!(
        !there.contains_key("bulk.noise")
            || there["bulk.noise"] != only(&shared().fingerprint(), &["bulk"])["bulk.noise"]
    );
}

/// What somebody puts in the archive's place meanwhile may be sound in itself, and is still not what was verified.
#[test]
fn an_archive_that_is_exchanged_meanwhile_fails_the_restore() {
    let mut number = 1_u64;
    let mut noise = || {
        number = number
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (number >> 33) as u8
    };
    // More than the pipe to mongorestore holds: what follows is read after the exchange.
    let bytes: Vec<u8> = (0..4_000_000).map(|_| noise()).collect();
    let binary = Binary {
        subtype: BinarySubtype::Generic,
        bytes,
    };
    let large = doc! { "_id": 1, "noise": binary }.to_vec().unwrap();
    let dump = |order: &str| {
        let order = doc! { "_id": 1, "of": order }.to_vec().unwrap();
        Craft::default()
            .collection("shop", "a", &large)
            .collection("shop", "orders", &order)
            .packed()
    };
    let site = Site::new();
    fs::create_dir_all(site.backups()).unwrap();
    let archive = site.older();
    fs::write(&archive, dump("soup")).unwrap();
    fs::write(site.path("other"), dump("cake")).unwrap();
    let exchange = format!(
        "cat {} 1<> {}; exec \"$REAL\" \"$@\"",
        site.path("other").display(),
        archive.display()
    );
    let site = site.with_false_mongorestore(&exchange);
    let target = Server::standalone();
    let outcome = restore(&site, &target, &[]).ended_with(1);
    outcome.saying(&[
        "was NOT restored completely",
        "shop.orders is no longer what was verified",
    ]);
}

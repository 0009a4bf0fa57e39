//! Archives that mean harm. Each is refused before anything reaches a server, by `restore` and by `verify`; `drill` begins like
//! `restore` does.

use crate::support::{Craft, OLDER, Server, Site, forge, forge_sparse, gzip, pack, stored_files};
use mongodb::bson::doc;
use serde_json::Value;
use std::fs;
use std::time::Duration;

/// Nothing may take longer, or more memory: the machine at home has little of either.
const LONGEST: Duration = Duration::from_secs(30);
const MOST_BYTES: u64 = 120 * 1024 * 1024;

/// A place in which no restore gets as far as mongorestore.
struct Trap {
    site: Site,
    target: Server,
}

impl Trap {
    fn set() -> Self {
        let target = Server::standalone();
        let site = Site::new()
            .with_mongorestore_traced()
            .with("DRILL_URI", target.uri())
            .measured();
        fs::create_dir_all(site.backups()).unwrap();
        Trap { site, target }
    }

    fn refuses(&self, what: &str, archive: &[u8], words: &str) {
        self.site.with_older(archive);
        self.refuses_file(what, words);
    }

    fn refuses_file(&self, what: &str, words: &str) {
        let uri = self.target.uri();
        for command in [
            &["verify", OLDER][..],
            &["restore", OLDER, "--yes", "--to", &uri],
        ] {
            let outcome = self.site.run(command);
            let said = format!("{}{}", outcome.stdout, outcome.stderr);
            assert_eq!(outcome.code(), Some(1), "{what}: {command:?}:\n{said}");
            assert!(
                said.contains(words),
                "{what}: {command:?} does not say {words:?}:\n{said}"
            );
            assert!(!said.contains("defect"), "{what}: {command:?}:\n{said}");
            assert!(
                outcome.peak_bytes() < MOST_BYTES,
                "{what}: {command:?} took {} bytes",
                outcome.peak_bytes()
            );
            outcome.within(LONGEST);
            assert!(!self.site.mongorestore_was_started(), "{what}: {command:?}");
        }
    }
}

impl Drop for Trap {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            assert!(self.target.is_empty());
        }
    }
}

#[test]
fn paths_that_lead_out() {
    let trap = Trap::set();
    for path in [
        "../shop/orders.bson",
        "dump/../../etc/cron.d/x.bson",
        "/etc/passwd.bson",
        "dump/shop/../../x.bson",
    ] {
        trap.refuses(
            path,
            &Craft::dump().file(path, b"").packed(),
            "points outside the archive",
        );
    }
    trap.site
        .run(&["drill", OLDER])
        .ended_with(1)
        .saying(&["points outside the archive"]);
    assert!(!trap.site.mongorestore_was_started());
    trap.refuses(
        "a folder",
        &Craft::dump().entry(b'5', "../x/", "", b"").packed(),
        "points outside the archive",
    );
}

#[test]
fn what_is_neither_file_nor_folder() {
    let trap = Trap::set();
    for (kind, what) in [
        (b'1', "a hard link"),
        (b'2', "a link"),
        (b'3', "a device"),
        (b'4', "a disk"),
        (b'6', "a fifo"),
        (b'?', "something"),
    ] {
        let dump = Craft::dump().entry(kind, "dump/shop/products.bson", "/etc/passwd", b"");
        trap.refuses(what, &dump.packed(), "is a link or a device");
    }
    trap.refuses(
        "a sparse file",
        &Craft::dump()
            .entry(b'S', "dump/shop/products.bson", "", b"")
            .packed(),
        "sparse",
    );
}

#[test]
fn what_is_there_twice() {
    let trap = Trap::set();
    let order = doc! { "_id": 2 }.to_vec().unwrap();
    for path in [
        "dump/shop/orders.bson",
        "./dump/./shop/orders.bson",
        "other/shop/orders.bson",
        "dump/shop/orders.bson.gz",
    ] {
        let content = if path.ends_with("gz") {
            gzip(&order)
        } else {
            order.clone()
        };
        trap.refuses(
            path,
            &Craft::dump().file(path, &content).packed(),
            "is there twice",
        );
    }
    // Two files of one name once it is unescaped.
    let dump = Craft::dump().file("dump/shop/%6Frders.bson", &order);
    trap.refuses("escaped", &dump.packed(), "shop.orders is there twice");
}

#[test]
fn sizes_that_lie() {
    let trap = Trap::set();
    let order = doc! { "_id": 2 }.to_vec().unwrap();
    let claiming = |size: &[u8], content: &[u8]| {
        Craft::dump().claiming(b'0', "dump/shop/b.bson", "", size, content)
    };
    trap.refuses(
        "more than is there",
        &claiming(b"00000077777\0", &order).packed(),
        "",
    );
    trap.refuses(
        "more than is there, and no end",
        &claiming(b"00000077777\0", &order).cut(),
        "",
    );
    trap.refuses(
        "all there is",
        &claiming(b"77777777777\0", &order).packed(),
        "",
    );
    trap.refuses(
        "less than is there",
        &claiming(b"00000000003\0", &vec![b'x'; 2000]).packed(),
        "",
    );
    trap.refuses(
        "beyond numbers",
        &claiming(&[0xff; 12], &order).packed(),
        "",
    );
    trap.refuses(
        "2^62",
        &claiming(&[0x80, 0, 0, 0, 0x40, 0, 0, 0, 0, 0, 0, 0], &order).packed(),
        "",
    );
    trap.refuses("no number", &claiming(b"eleven bytes", &order).packed(), "");
    let long = i32::MAX.to_le_bytes();
    trap.refuses(
        "a document",
        &claiming(b"00000000004\0", &long).packed(),
        "shop.b",
    );
    trap.refuses(
        "a negative one",
        &claiming(b"00000000004\0", &(-5_i32).to_le_bytes()).packed(),
        "shop.b",
    );
}

/// A header that promises a name of gigabytes must not be given the memory for it, and one that keeps the promise not either.
#[test]
fn names_without_end() {
    let trap = Trap::set();
    let zeros = vec![b'n'; 60 * 1024 * 1024];
    for (kind, what) in [
        (b'L', "a long name"),
        (b'K', "a long link"),
        (b'x', "extensions"),
        (b'g', "extensions for all"),
    ] {
        let empty = Craft::default().claiming(kind, "././@LongLink", "", b"77777777777\0", b"");
        trap.refuses(what, &empty.packed(), "");
        let full = Craft::default().entry(kind, "././@LongLink", "", &zeros);
        trap.refuses(
            what,
            &full.packed(),
            "a header in it is larger than any name or size can make it",
        );
    }
    let mut names = Craft::default();
    for _ in 0..200 {
        names = names.entry(b'L', "././@LongLink", "", &[b'n'; 20_000]);
    }
    trap.refuses("names of names", &names.packed(), "");
}

/// Each of them small enough for a header, and together more than a memory holds: 300 kB of archive.
#[test]
fn names_that_are_long_and_many() {
    let trap = Trap::set();
    let long = |number: u32, bytes: usize| {
        let name = format!("d{number}/{}", "n".repeat(bytes));
        Craft::default()
            .entry(b'L', "././@LongLink", "", format!("{name}\0").as_bytes())
            .entry(b'0', "d/n", "", b"")
    };
    let one = long(0, 100_000);
    trap.refuses("a name", &one.packed(), "is longer than any path");
    let mut many = Craft::default();
    for number in 0..6000 {
        many = many.with(&long(number, 4000));
    }
    trap.refuses("names", &many.packed(), "names in it are longer together");
}

#[test]
fn bombs() {
    let trap = Trap::set();
    // 2 GB of zeros in 2 MB.
    let piece = gzip(&vec![0; 64 << 20]);
    let header = Craft::default()
        .claiming(b'0', "dump/shop/zeros.bson", "", b"20000000000\0", b"")
        .cut();
    let mut bomb = header;
    (0..32).for_each(|_| bomb.extend_from_slice(&piece));
    trap.refuses("a bomb", &bomb, "shop.zeros");
    // 6 GB in 6 MB in little.
    let nested = piece.repeat(100);
    for name in [
        "dump/shop/zeros.bson.gz",
        "dump/shop/zeros.metadata.json.gz",
        "dump/readme.txt.gz",
    ] {
        trap.refuses(name, &Craft::dump().file(name, &nested).packed(), "");
    }
    let mut zeros = Craft::dump().packed();
    zeros.extend_from_slice(&piece);
    trap.refuses(
        "zeros after the end",
        &zeros,
        "more zeros follow the end of the tar",
    );
    let mut more = Craft::dump().packed();
    more.extend_from_slice(&gzip(&Craft::dump().cut()));
    trap.refuses(
        "an archive after the end",
        &more,
        "something follows the end of the tar",
    );
    let mut many = Craft::default();
    for number in 0..260_000 {
        many = many.entry(b'5', &format!("d/{number}/"), "", b"");
    }
    trap.refuses("folders without end", &many.packed(), "files in it");
}

#[test]
fn folders_that_are_no_databases() {
    let trap = Trap::set();
    let order = doc! { "_id": 2 }.to_vec().unwrap();
    for path in [
        "dump/a\\b/c.bson",
        "dump/a.b/c.bson",
        "dump/a b/c.bson",
        "dump/$x/c.bson",
        "lonely.bson",
    ] {
        trap.refuses_restore(path, &Craft::dump().file(path, &order).packed());
    }
    let long = format!("dump/{}/c.bson", "d".repeat(64));
    trap.refuses_restore(&long, &Craft::dump().file(&long, &order).packed());
    trap.refuses_restore(
        "a collection",
        &Craft::dump().file("dump/shop/a%24b.bson", &order).packed(),
    );
    trap.refuses_restore(
        "nothing",
        &Craft::dump().file("dump/shop/a%00b.bson", &order).packed(),
    );
}

impl Trap {
    /// What is sound as files may still be nothing that a server can hold.
    fn refuses_restore(&self, what: &str, archive: &[u8]) {
        self.site.with_older(archive);
        let uri = self.target.uri();
        let outcome = self.site.run(&["restore", OLDER, "--yes", "--to", &uri]);
        assert!(
            matches!(outcome.code(), Some(1 | 2)),
            "{what}:\n{}",
            outcome.stderr
        );
        assert!(
            outcome.stderr.contains("nothing"),
            "{what}:\n{}",
            outcome.stderr
        );
        assert!(
            !self.site.mongorestore_was_started(),
            "{what}:\n{}",
            outcome.stderr
        );
    }
}

/// Only what is there is read of it, and not the zeros that it stands for.
#[test]
fn a_manifest_that_is_sparse() {
    let trap = Trap::set();
    let archive = trap.site.with_sound_archive();
    forge_sparse(&archive, 1 << 30);
    fs::rename(&archive, trap.site.older()).unwrap();
    trap.refuses_file("sparse", "it is not a regular file");
    trap.site.run(&["list"]).done();
}

/// One who knows the format can make all checksums fit: the manifest is not believed for that.
#[test]
fn a_manifest_that_contradicts_itself() {
    let trap = Trap::set();
    let archive = trap.site.with_sound_archive();
    let whole = fs::read(&archive).unwrap();
    let as_older = trap.site.older();
    fs::rename(&archive, &as_older).unwrap();
    let entry = |manifest: &mut Value, name: &str| {
        let entries = manifest["namespaces"].as_array_mut().unwrap();
        entries
            .iter()
            .position(|entry| entry["collection"] == name)
            .unwrap()
    };
    type Change<'c> = &'c dyn Fn(&mut Value);
    let changes: [(&str, Change); 7] = [
        ("documents of another", &|manifest| {
            let (orders, products) = (entry(manifest, "orders"), entry(manifest, "products"));
            let other = manifest["namespaces"][products]["data"].clone();
            manifest["namespaces"][orders]["data"] = other;
        }),
        ("another name for them", &|manifest| {
            let orders = entry(manifest, "orders");
            manifest["namespaces"][orders]["collection"] = "system.users".into();
        }),
        ("a database that is a path", &|manifest| {
            let orders = entry(manifest, "orders");
            manifest["namespaces"][orders]["database"] = "../shop".into();
        }),
        ("the same twice", &|manifest| {
            let orders = entry(manifest, "orders");
            let again = manifest["namespaces"][orders].clone();
            manifest["namespaces"].as_array_mut().unwrap().push(again);
        }),
        ("more documents than there are", &|manifest| {
            let orders = entry(manifest, "orders");
            manifest["namespaces"][orders]["documents"] = 201.into();
        }),
        ("a place beyond the end", &|manifest| {
            let orders = entry(manifest, "orders");
            manifest["namespaces"][orders]["data"]["position"] = 1_000_000_000_000_u64.into();
        }),
        ("a place inside of another", &|manifest| {
            let orders = entry(manifest, "orders");
            let at = manifest["namespaces"][orders]["data"]["position"]
                .as_u64()
                .unwrap();
            manifest["namespaces"][orders]["data"]["position"] = (at + 1).into();
        }),
    ];
    for (what, change) in changes {
        fs::write(&as_older, &whole).unwrap();
        forge(&as_older, change);
        trap.refuses_file(what, "");
    }
    // That it is the forging which is refused, and not its being forged.
    fs::write(&as_older, &whole).unwrap();
    forge(&as_older, |_| ());
    trap.site.run(&["verify", OLDER]).done();
}

/// The same, unpacked and packed again by anyone's hand.
#[test]
fn a_manifest_that_others_packed() {
    let trap = Trap::set();
    let archive = trap.site.with_sound_archive();
    let mut dump = Craft::default();
    for (path, content) in stored_files(&archive) {
        let content = match path.ends_with("/shop/orders.bson") {
            true => doc! { "_id": "another" }.to_vec().unwrap(),
            false => content,
        };
        dump = dump.file(&path, &content);
    }
    fs::remove_file(archive).unwrap();
    trap.refuses(
        "other documents",
        &dump.packed(),
        "not those of the manifest",
    );
}

/// Links in the backup folder itself are no archives.
#[test]
fn a_link_in_the_place_of_an_archive() {
    let trap = Trap::set();
    fs::create_dir(trap.site.path("shop")).unwrap();
    fs::write(
        trap.site.path("shop/orders.bson"),
        doc! { "_id": 1 }.to_vec().unwrap(),
    )
    .unwrap();
    let elsewhere = trap.site.path("elsewhere.tar.gz");
    pack(&trap.site.path(""), "shop", &elsewhere);
    std::os::unix::fs::symlink(elsewhere, trap.site.older()).unwrap();
    let uri = trap.target.uri();
    let outcome = trap.site.run(&["restore", OLDER, "--yes", "--to", &uri]);
    assert!(matches!(outcome.code(), Some(1 | 2)), "{}", outcome.stderr);
}

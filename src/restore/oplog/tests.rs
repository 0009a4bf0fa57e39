use super::*;
use mongodb::bson::{RawDocumentBuf, doc, rawdoc};

/// Only `shop`, as `old`.
fn shop(namespace: &Namespace) -> Option<Namespace> {
    (namespace.database == "shop")
        .then(|| Namespace::new("old", format!("{}_then", namespace.collection)))
}

fn rewritten(entry: Document) -> Option<Document> {
    rewrite(entry, &shop).unwrap()
}

fn raw(document: &Document) -> RawDocumentBuf {
    RawDocumentBuf::try_from(document).unwrap()
}

fn handed_on(entry: &RawDocument) -> Option<Vec<u8>> {
    match chosen(entry, &shop).unwrap() {
        Some(Operation::OnDocument(bytes)) => Some(bytes),
        Some(Operation::Command(command)) => panic!("{command} is a command"),
        None => None,
    }
}

#[test]
fn documents_stay_to_the_byte_what_they_were() {
    let entry = |ns: &str| {
        let mut twice = rawdoc! { "of": "FIRST", "name": "caf#" };
        twice.append(mongodb::bson::cstr!("of"), "SECOND");
        let entry = rawdoc! { "ts": 1, "op": "i", "ns": ns, "o": twice, "ui": 7 };
        let mut bytes = entry.into_bytes();
        let at = bytes.windows(4).position(|part| part == b"caf#").unwrap();
        bytes[at + 3] = 0xe9;
        RawDocumentBuf::from_bytes(bytes).unwrap()
    };
    let there = entry("old.a_then").into_bytes();
    assert_eq!(handed_on(&entry("shop.a")), Some(there));
    assert_eq!(handed_on(&entry("blog.a")), None);
    let noop = raw(&doc! { "op": "n", "ns": "", "o": {} });
    assert_eq!(handed_on(&noop), None);
    for (op, object) in [("c", doc! { "somethingNew": 1 }), ("xi", doc! {})] {
        let unknown = raw(&doc! { "op": op, "ns": "shop.$cmd", "o": object });
        assert!(chosen(&unknown, &shop).is_err());
    }
}

#[test]
fn a_command_that_cannot_be_read_is_named_and_no_damage() {
    let command = rawdoc! { "op": "c", "ns": "shop.$cmd", "o": { "create": "caf#" } };
    let mut bytes = command.into_bytes();
    let at = bytes.windows(4).position(|part| part == b"caf#").unwrap();
    bytes[at + 3] = 0xe9;
    let command = RawDocumentBuf::from_bytes(bytes).unwrap();
    let unfit = chosen(&command, &shop).err().unwrap().to_string();
    assert!(unfit.contains("one that cannot be read"), "{unfit}");
}

#[test]
fn documents_go_where_their_collection_goes_and_others_are_left_out() {
    for op in ["i", "u", "d"] {
        let entry =
            |ns: &str| doc! { "op": op, "ns": ns, "o": { "_id": 1 }, "o2": { "_id": 1 }, "ui": 7 };
        assert_eq!(rewritten(entry("shop.a.b")), Some(entry("old.a.b_then")));
        assert_eq!(
            rewritten(entry("shop.system.buckets.t")),
            Some(entry("old.system.buckets.t_then"))
        );
        assert_eq!(rewritten(entry("blog.a")), None);
    }
    assert_eq!(
        rewritten(doc! { "op": "n", "ns": "", "o": { "msg": "periodic noop" } }),
        None
    );
}

#[test]
fn commands_name_the_new_collection_and_its_database() {
    let before = doc! { "op": "c", "ns": "shop.$cmd", "o": { "create": "a", "idIndex": { "v": 2, "ns": "shop.a" } } };
    let after = doc! { "op": "c", "ns": "old.$cmd", "o": { "create": "a_then", "idIndex": { "v": 2, "ns": "old.a_then" } } };
    assert_eq!(rewritten(before), Some(after));
    assert_eq!(
        rewritten(doc! { "op": "c", "ns": "blog.$cmd", "o": { "drop": "a" } }),
        None
    );
}

#[test]
fn of_operations_that_belong_together_the_chosen_ones_stay() {
    let insert = |ns: &str| doc! { "op": "i", "ns": ns, "o": { "_id": 1 } };
    let entry =
        |inner: Vec<Document>| doc! { "op": "c", "ns": "admin.$cmd", "o": { "applyOps": inner } };
    let mixed = entry(vec![insert("shop.a"), insert("blog.a"), insert("shop.b")]);
    assert_eq!(
        rewritten(mixed),
        Some(entry(vec![insert("old.a_then"), insert("old.b_then")]))
    );
    assert_eq!(rewritten(entry(vec![insert("blog.a")])), None);
    let last_part = |inner: Vec<Document>| {
        doc! { "op": "c", "ns": "admin.$cmd", "o": { "applyOps": inner, "count": 3 }, "txnNumber": 7_i64 }
    };
    assert_eq!(
        rewritten(last_part(vec![insert("blog.a")])),
        Some(last_part(vec![]))
    );
    let mut effects = Effects::default();
    assert!(effects.command_applies(&last_part(vec![insert("old.a")])));
    assert!(!effects.command_applies(&last_part(vec![])));
    let commit = doc! { "op": "c", "ns": "admin.$cmd", "o": { "commitTransaction": 1 } };
    assert_eq!(rewritten(commit.clone()), Some(commit));
}

#[test]
fn a_transaction_applies_where_it_ends() {
    let part = |number: i64, inner: Vec<Document>, more: &str| {
        doc! { "op": "c", "ns": "admin.$cmd", "o": { "applyOps": inner, more: true }, "txnNumber": number }
    };
    let end = |number: i64, command: &str| doc! { "op": "c", "ns": "admin.$cmd", "o": { command: 1 }, "txnNumber": number };
    let insert = || vec![doc! { "op": "i", "ns": "shop.a", "o": { "_id": 1 } }];
    let mut effects = Effects::default();
    assert!(!effects.command_applies(&part(1, insert(), "partialTxn")));
    assert!(!effects.command_applies(&part(2, insert(), "prepare")));
    assert!(!effects.command_applies(&part(3, insert(), "prepare")));
    assert!(!effects.command_applies(&part(4, vec![], "partialTxn")));
    // Its last part may hold nothing of what is restored.
    assert!(effects.command_applies(&part(1, vec![], "last")));
    assert!(effects.command_applies(&end(2, "commitTransaction")));
    assert!(!effects.command_applies(&end(3, "abortTransaction")));
    assert!(!effects.command_applies(&part(4, vec![], "last")));
    // A document may look like a command.
    assert!(
        effects
            .command_applies(&doc! { "op": "i", "ns": "shop.a", "o": { "commitTransaction": 1 } })
    );
}

#[test]
fn a_dropped_database_was_emptied_by_operations_of_their_own() {
    let dropped = doc! { "op": "c", "ns": "shop.$cmd", "o": { "dropDatabase": 1 } };
    assert_eq!(rewritten(dropped), None);
}

#[test]
fn what_the_dump_holds_already_is_left_out_unless_it_has_a_sequel() {
    let command = |object| doc! { "op": "c", "ns": "shop.$cmd", "o": object };
    for first in [
        doc! { "op": "u", "ns": "shop.a", "o": {} },
        command(doc! { "renameCollection": "shop.a", "to": "blog.a" }),
        command(doc! { "drop": "a" }),
        command(doc! { "somethingNew": 1 }),
    ] {
        assert!(is_before_the_dump(&raw(&first)), "{first}");
    }
    for first in [
        command(doc! { "applyOps": [], "prepare": true }),
        command(doc! { "startIndexBuild": "a" }),
        doc! { "op": "n", "ns": "", "o": {} },
        doc! { "no": "operation" },
    ] {
        assert!(!is_before_the_dump(&raw(&first)), "{first}");
    }
}

#[test]
fn what_cannot_be_told_apart_is_refused() {
    for object in [
        doc! { "renameCollection": "shop.a", "to": "blog.a" },
        doc! { "somethingNew": 1 },
        doc! {},
    ] {
        assert!(rewrite(doc! { "op": "c", "ns": "shop.$cmd", "o": object }, &shop).is_err());
    }
    assert!(rewrite(doc! { "op": "xi", "ns": "shop.a" }, &shop).is_err());
    assert!(rewrite(doc! { "ns": "shop.a" }, &shop).is_err());
}

/// As the bytes of a text in Latin-1.
fn in_latin1(entry: &RawDocument) -> RawDocumentBuf {
    let odd = |byte: &u8| if *byte == b'#' { 0xe9 } else { *byte };
    RawDocumentBuf::from_bytes(entry.as_bytes().iter().map(odd).collect()).unwrap()
}

#[test]
fn what_cannot_be_read_and_is_about_nothing_that_is_restored_stands_in_no_way() {
    let create = |ns: &str| in_latin1(&rawdoc! { "op": "c", "ns": ns, "o": { "create": "caf#" } });
    assert!(chosen(&create("blog.$cmd"), &shop).unwrap().is_none());
    assert!(chosen(&create("shop.$cmd"), &shop).is_err());

    let transaction = |other: &str| {
        in_latin1(
            &rawdoc! { "op": "c", "ns": "admin.$cmd", "txnNumber": 7_i64, "o": { "applyOps": [
                { "op": "i", "ns": other, "o": { "_id": 1, "name": "caf#" } },
                { "op": "i", "ns": "shop.a", "o": { "_id": 1 } },
            ] } },
        )
    };
    let Some(Operation::Command(left)) = chosen(&transaction("blog.a"), &shop).unwrap() else {
        panic!("nothing is left");
    };
    let insert = doc! { "op": "i", "ns": "old.a_then", "o": { "_id": 1 } };
    let wanted =
        doc! { "op": "c", "ns": "admin.$cmd", "txnNumber": 7_i64, "o": { "applyOps": [insert] } };
    assert_eq!(left, wanted);
    assert!(chosen(&transaction("shop.b"), &shop).is_err());
}

#[test]
fn a_view_is_replayed_under_its_own_name_only() {
    let view = rawdoc! { "op": "i", "ns": "shop.system.views", "o": { "_id": "shop.v", "viewOn": "a", "pipeline": [] } };
    let same = |namespace: &Namespace| Some(namespace.clone());
    let kept = chosen(&view, &same).unwrap();
    assert!(matches!(kept, Some(Operation::OnDocument(bytes)) if bytes == view.as_bytes()));
    let unfit = chosen(&view, &shop).err().unwrap().to_string();
    assert!(unfit.contains("the view shop.v"), "{unfit}");
    let not_the_view =
        |namespace: &Namespace| (namespace.collection != "v").then(|| namespace.clone());
    assert!(chosen(&view, &not_the_view).unwrap().is_none());
    let update = rawdoc! { "op": "u", "ns": "shop.system.views", "o2": { "_id": "shop.v" }, "o": { "$v": 2 } };
    assert!(chosen(&update, &shop).is_err());
}

use super::*;
use proptest::prelude::*;

fn entry(database: &str, collection: &str, kind: Kind, documents: u64) -> Entry {
    let namespace = Namespace::new(database, collection);
    Entry {
        namespace,
        kind,
        documents,
        bytes: 0,
        crc64: 0,
        data: None,
        metadata: None,
    }
}

fn shop(collection: &str, documents: u64) -> Entry {
    entry("shop", collection, Kind::Collection, documents)
}

fn none(_: &Namespace) -> bool {
    false
}

fn lines(losses: &[Loss]) -> Vec<String> {
    losses.iter().map(Loss::to_string).collect()
}

fn loss_of(collection: &str, documents_before: u64, documents_now: Option<u64>) -> Loss {
    Loss {
        namespace: Namespace::new("shop", collection),
        documents_before,
        documents_now,
        is_view: false,
    }
}

#[test]
fn what_is_gone_or_has_fallen_sharply_is_told_in_a_line_each() {
    let before = [
        shop("users", 311),
        shop("recipes", 41_203),
        shop("orders", 5000),
        shop("single", 100),
        shop("empty", 0),
        entry("shop", "soups", Kind::View, 0),
        entry("shop", "weather", Kind::TimeSeries, 900),
    ];
    let now = [
        shop("recipes", 12),
        shop("orders", 4000),
        shop("single", 1),
        shop("new", 3),
        entry("shop", "weather", Kind::TimeSeries, 0),
    ];
    let expected = [
        "shop.recipes: 41,203 → 12 documents",
        "shop.single: 100 → 1 document",
        "shop.soups: gone",
        "shop.users: gone (had 311 documents)",
        "shop.weather: 900 → 0 documents",
    ];
    assert_eq!(lines(&losses(&before, &now, &none)), expected);
}

#[test]
fn a_fall_counts_from_where_chance_ends() {
    for (before, now, lost) in [
        (100, 50, false),
        (100, 49, true),
        (101, 51, false),
        (101, 50, true),
        (99, 1, false),
        (99, 0, true),
        (10, 0, true),
        (9, 0, false),
        (u64::MAX, u64::MAX / 2 + 1, false),
        (u64::MAX, u64::MAX / 2, true),
    ] {
        let found = losses(&[shop("a", before)], &[shop("a", now)], &none);
        assert_eq!(!found.is_empty(), lost, "{before} to {now}");
    }
}

#[test]
fn the_servers_own_databases_are_no_loss_and_admin_only_when_gone() {
    let before = [
        entry("config", "sessions", Kind::Collection, 500),
        entry("local", "startup_log", Kind::Collection, 500),
        entry("", "oplog", Kind::Oplog, 5000),
        entry("admin", "system.users", Kind::Collection, 500),
        entry("admin", "system.roles", Kind::Collection, 500),
    ];
    let now = [entry("admin", "system.users", Kind::Collection, 0)];
    let found = losses(&before, &now, &none);
    assert_eq!(
        lines(&found),
        ["admin.system.roles: gone (had 500 documents)"]
    );
    let back = [entry("admin", "system.roles", Kind::Collection, 1)];
    assert_eq!(still_lost(&found, &back, &none), []);
}

#[test]
fn what_the_server_makes_for_a_while_is_no_loss() {
    let before = [
        shop("tmp.agg_out.3d8f5b1e-3f3e-4a7c-9a54-a3c3e0b1c111", 900),
        shop("tmp.mr.orders_1", 900),
        shop(
            "system.resharding.3d8f5b1e-3f3e-4a7c-9a54-a3c3e0b1c111",
            900,
        ),
        shop("tmp.notes", 1),
    ];
    let found = losses(&before, &[], &none);
    assert_eq!(lines(&found), ["shop.tmp.notes: gone (had 1 document)"]);
}

/// As an earlier version noted them.
#[test]
fn a_noted_loss_that_is_none_any_more_is_over() {
    let noted = r#"[{"database":"shop","collection":"empty","documents_before":0,"documents_now":null},
        {"database":"shop","collection":"tmp.agg_out.36","documents_before":900,"documents_now":null},
        {"database":"shop","collection":"users","documents_before":311,"documents_now":null}]"#;
    let noted: Vec<Loss> = serde_json::from_str(noted).unwrap();
    assert_eq!(
        lines(&still_lost(&noted, &[], &none)),
        ["shop.users: gone (had 311 documents)"]
    );
}

#[test]
fn a_view_stays_lost_until_it_is_back() {
    let view = [entry("shop", "soups", Kind::View, 0)];
    let found = losses(&view, &[], &none);
    let stored = serde_json::to_string(&found).unwrap();
    assert!(stored.contains(r#""is_view":true"#), "{stored}");
    let read: Vec<Loss> = serde_json::from_str(&stored).unwrap();
    assert_eq!(still_lost(&read, &[], &none), found);
    assert_eq!(still_lost(&read, &view, &none), []);
}

#[test]
fn what_is_left_out_on_purpose_is_no_loss() {
    let excluded = |namespace: &Namespace| namespace.collection == "cache";
    let before = [shop("cache", 500), shop("users", 500)];
    let found = losses(&before, &[], &none);
    assert_eq!(found.len(), 2);
    assert_eq!(
        lines(&losses(&before, &[], &excluded)),
        ["shop.users: gone (had 500 documents)"]
    );
    assert_eq!(
        lines(&still_lost(&found, &[], &excluded)),
        ["shop.users: gone (had 500 documents)"]
    );
}

#[test]
fn a_loss_is_over_once_half_is_back() {
    let earlier = [loss_of("few", 30, None), loss_of("users", 400, Some(3))];
    let after = |few: Option<u64>, users| {
        let now: Vec<Entry> = few
            .map(|few| shop("few", few))
            .into_iter()
            .chain([shop("users", users)])
            .collect();
        lines(&still_lost(&earlier, &now, &none))
    };
    assert_eq!(
        after(None, 3),
        [
            "shop.few: gone (had 30 documents)",
            "shop.users: 400 → 3 documents"
        ]
    );
    // There again, but still without any of its documents.
    assert_eq!(
        after(Some(0), 199),
        [
            "shop.few: 30 → 0 documents",
            "shop.users: 400 → 199 documents"
        ]
    );
    assert_eq!(after(Some(1), 200), [""; 0]);
}

#[test]
fn a_loss_that_goes_on_counts_from_what_there_was_at_first() {
    let earlier = vec![
        loss_of("orders", 41_203, Some(300)),
        loss_of("users", 311, None),
    ];
    let new = vec![loss_of("orders", 300, Some(2)), loss_of("a", 50, None)];
    let expected = [
        "shop.a: gone (had 50 documents)",
        "shop.orders: 41,203 → 2 documents",
        "shop.users: gone (had 311 documents)",
    ];
    assert_eq!(lines(&merged(earlier, new)), expected);
}

#[test]
fn losses_are_kept_as_json() {
    let losses = vec![
        loss_of("recipes", 41_203, Some(12)),
        loss_of("users", 311, None),
    ];
    let json = serde_json::to_string(&losses).unwrap();
    assert_eq!(
        json,
        r#"[{"database":"shop","collection":"recipes","documents_before":41203,"documents_now":12},"#.to_owned()
            + r#"{"database":"shop","collection":"users","documents_before":311,"documents_now":null}]"#
    );
    assert_eq!(serde_json::from_str::<Vec<Loss>>(&json).unwrap(), losses);
}

fn any_backup() -> impl Strategy<Value = Vec<Entry>> {
    let database = prop::sample::select(vec!["shop", "admin", "config"]);
    let documents = prop_oneof![0..25_u64, 40..250_u64];
    prop::collection::btree_map((database, 0..6_u8), documents, 0..12).prop_map(|all| {
        all.into_iter()
            .map(|((database, number), documents)| {
                entry(database, &format!("c{number}"), Kind::Collection, documents)
            })
            .collect()
    })
}

proptest! {
    #[test]
    fn nothing_is_lost_where_everything_stayed_or_grew(before in any_backup(), grown in 0..300_u64) {
        let now: Vec<Entry> =
            before.iter().map(|old| Entry { documents: old.documents + grown, ..old.clone() }).collect();
        prop_assert_eq!(losses(&before, &now, &none), []);
        prop_assert_eq!(still_lost(&losses(&before, &[], &none), &now, &none), []);
    }

    #[test]
    fn a_loss_is_judged_alike_at_first_and_later(
        before in any_backup(), now in any_backup(), later in any_backup(),
    ) {
        let found = losses(&before, &now, &none);
        prop_assert_eq!(still_lost(&found, &now, &none), found.clone());
        let mut direct = losses(&before, &later, &none);
        direct.retain(|loss| found.iter().any(|known| known.namespace == loss.namespace));
        prop_assert_eq!(still_lost(&found, &later, &none), direct);
    }

    #[test]
    fn merging_keeps_each_namespace_once_with_its_first_and_latest_count(
        a in any_backup(), b in any_backup(), c in any_backup(),
    ) {
        let (earlier, new) = (losses(&a, &b, &none), losses(&b, &c, &none));
        let all = merged(earlier.clone(), new.clone());
        prop_assert!(all.windows(2).all(|pair| pair[0].namespace < pair[1].namespace));
        for loss in earlier.iter().chain(&new) {
            prop_assert!(all.iter().any(|merged| merged.namespace == loss.namespace));
        }
        for loss in &all {
            let of = |losses: &[Loss]| losses.iter().find(|other| other.namespace == loss.namespace).cloned();
            let (first, latest) = (of(&earlier).or(of(&new)).unwrap(), of(&new).or(of(&earlier)).unwrap());
            prop_assert_eq!(loss.documents_before, first.documents_before);
            prop_assert_eq!(loss.documents_now, latest.documents_now);
        }
        prop_assert_eq!(merged(all.clone(), Vec::new()), all.clone());
        prop_assert_eq!(merged(Vec::new(), all.clone()), all.clone());
        prop_assert_eq!(merged(all.clone(), all.clone()), all);
    }
}

//! Against a comparison that holds everything in memory.

use super::super::side::{Message, pipe};
use super::*;
use mongodb::bson::doc;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

/// The documents of a side as they arrive, a few at a time.
fn documents(side: &[(String, i32)]) -> Documents {
    let (sender, receiver) = pipe();
    let bytes: Vec<Vec<u8>> = side
        .iter()
        .map(|(id, value)| doc! { "_id": id, "v": value }.to_vec().unwrap())
        .collect();
    std::thread::spawn(move || {
        for batch in bytes.chunks(3) {
            let _ = sender.blocking_send(Message::Batch(batch.concat()));
        }
        let _ = sender.blocking_send(Message::End);
    });
    Documents::new(receiver)
}

type Told = Vec<(String, DocumentChange)>;

fn compare(one: &[(String, i32)], two: &[(String, i32)], most: usize) -> (Counts, Told) {
    let told = Arc::new(Mutex::new(Vec::new()));
    let keep = Arc::clone(&told);
    let tell: Tell = Box::new(move |one| keep.lock().unwrap().push((one.id, one.change)));
    let mut comparison = Comparison::new(one.len().max(two.len()) as u64, Some(tell));
    comparison.most_pending = most;
    while comparison.has_more() {
        comparison.pass(documents(one), documents(two)).unwrap();
        if comparison.has_unnamed() {
            comparison.name(documents(one)).unwrap();
            comparison.name(documents(two)).unwrap();
        }
    }
    let mut told = told.lock().unwrap().clone();
    told.sort();
    (comparison.counts, told)
}

fn expected(one: &[(String, i32)], two: &[(String, i32)]) -> (Counts, Told) {
    let map = |side: &[(String, i32)]| side.iter().cloned().collect::<BTreeMap<_, _>>();
    let (one, two) = (map(one), map(two));
    let (mut counts, mut told) = (Counts::default(), Vec::new());
    for (id, value) in &one {
        match two.get(id) {
            None => told.push((format!("{id:?}"), DocumentChange::Removed)),
            Some(other) if other != value => {
                told.push((format!("{id:?}"), DocumentChange::Changed));
            }
            Some(_) => counts.equal += 1,
        }
    }
    let added = two.keys().filter(|id| !one.contains_key(*id));
    told.extend(added.map(|id| (format!("{id:?}"), DocumentChange::Added)));
    told.sort();
    let count = |change| told.iter().filter(|(_, one)| *one == change).count() as u64;
    counts.added = count(DocumentChange::Added);
    counts.removed = count(DocumentChange::Removed);
    counts.changed = count(DocumentChange::Changed);
    (counts, told)
}

fn side() -> impl Strategy<Value = Vec<(String, i32)>> {
    // Some of them longer than what is kept of an `_id`.
    let id = (0..60_u32).prop_map(|id| match id % 3 {
        0 => format!("{id}-{}", "x".repeat(40)),
        _ => id.to_string(),
    });
    let documents = prop::collection::btree_map(id, 0..3_i32, 0..50);
    documents
        .prop_map(|documents| documents.into_iter().collect::<Vec<_>>())
        .prop_shuffle()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn whatever_the_order_and_however_little_may_be_remembered_the_same_differs(
        one in side(), two in side(), most in 12..80_usize,
    ) {
        // So few documents do not spread evenly: that many do is what the room to spare is for.
        match std::panic::catch_unwind(|| compare(&one, &two, most)) {
            Ok(found) => prop_assert_eq!(found, expected(&one, &two)),
            Err(_) => prop_assume!(most < 60),
        }
    }
}

#[test]
fn in_the_same_order_next_to_nothing_is_remembered() {
    let one: Vec<_> = (0..5000).map(|id| (id.to_string(), 1)).collect();
    let mut two: Vec<_> = one
        .iter()
        .filter(|(id, _)| !id.ends_with("77"))
        .cloned()
        .collect();
    two.insert(2000, ("new".into(), 1));
    two[3000].1 = 2;
    // 50 are gone and one is new; nothing may be remembered beside them.
    let (counts, told) = compare(&one, &two, 51);
    assert_eq!((counts.removed, counts.added, counts.changed), (50, 1, 1));
    assert_eq!(told.len(), 52);
}

#[test]
fn fields_are_compared_of_documents_that_do_not_arrive_together() {
    let tell_fields = Arc::new(Mutex::new(Vec::new()));
    let keep = Arc::clone(&tell_fields);
    let mut comparison = Comparison::new(
        10,
        Some(Box::new(move |one| keep.lock().unwrap().push(one))),
    );
    let one: Vec<_> = (0..10).map(|id| (id.to_string(), 1)).collect();
    let mut two = one.clone();
    two.reverse();
    two[0].1 = 2;
    comparison.pass(documents(&one), documents(&two)).unwrap();
    let told = tell_fields.lock().unwrap();
    let fields = told[0].fields.as_ref().unwrap();
    assert_eq!((told.len(), told[0].id.as_str()), (1, "\"9\""));
    assert_eq!(
        (fields[0].from.as_deref(), fields[0].to.as_deref()),
        (Some("1"), Some("2"))
    );
}

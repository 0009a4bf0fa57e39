//! What MongoDB's manual, and its own tests of paths and comparisons, say of queries: documents that fit, and that do not.

use super::*;
use mongodb::bson::{Bson, Document};
use proptest::prelude::*;

fn bytes(json: &str) -> Vec<u8> {
    let json: serde_json::Value = serde_json::from_str(json).unwrap();
    let Bson::Document(document) = Bson::try_from(json).unwrap() else {
        panic!("no document");
    };
    document.to_vec().unwrap()
}

#[track_caller]
fn check(query: &str, fit: &[&str], other: &[&str]) {
    let parsed = Query::parse(query).unwrap();
    for (documents, wanted) in [(fit, true), (other, false)] {
        for document in documents {
            assert_eq!(
                parsed.fits(&bytes(document)),
                wanted,
                "{query} on {document}"
            );
        }
    }
}

#[track_caller]
fn refused(query: &str, naming: &str) {
    let problem = Query::parse(query).unwrap_err().to_string();
    assert!(problem.contains(naming), "{query}: {problem}");
}

#[test]
fn numbers_are_equal_across_types() {
    let fives = [
        r#"{"a": 5}"#,
        r#"{"a": 5.0}"#,
        r#"{"a": {"$numberLong": "5"}}"#,
        r#"{"a": {"$numberDecimal": "5.00"}}"#,
        r#"{"a": {"$numberDecimal": "0.5E+1"}}"#,
    ];
    let others = [
        r#"{"a": "5"}"#,
        r#"{"a": 5.000001}"#,
        r#"{"a": true}"#,
        r#"{"a": {"b": 5}}"#,
        "{}",
    ];
    for query in fives {
        check(query, &fives, &others);
    }
    check(
        r#"{"a": {"$gt": 4.5, "$lt": {"$numberDecimal": "5.1"}}}"#,
        &fives,
        &others[..1],
    );
    // A double does not hold this one.
    let large = r#"{"a": {"$numberLong": "9007199254740993"}}"#;
    check(large, &[large], &[r#"{"a": 9007199254740992.0}"#]);
    check(r#"{"a": {"$gt": 9007199254740992.0}}"#, &[large], &[]);
    check(
        r#"{"a": {"$gte": {"$numberDouble": "Infinity"}}}"#,
        &[r#"{"a": {"$numberDecimal": "Infinity"}}"#],
        &[
            r#"{"a": {"$numberDecimal": "9.99E+6144"}}"#,
            r#"{"a": {"$numberDecimal": "-Infinity"}}"#,
        ],
    );
    check(
        r#"{"a": 0}"#,
        &[r#"{"a": -0.0}"#, r#"{"a": {"$numberDecimal": "-0E+3"}}"#],
        &[],
    );
    check(
        r#"{"a": {"$lt": 0}}"#,
        &[r#"{"a": {"$numberDecimal": "-1E-30"}}"#],
        &[r#"{"a": -0.0}"#],
    );
}

#[test]
fn what_is_not_a_number_equals_itself_alone() {
    let nan = r#"{"a": {"$numberDouble": "NaN"}}"#;
    let decimal = r#"{"a": {"$numberDecimal": "NaN"}}"#;
    check(nan, &[nan, decimal], &[r#"{"a": 1}"#, "{}"]);
    for operator in ["$lt", "$gt"] {
        check(
            &format!(r#"{{"a": {{"{operator}": {{"$numberDouble": "NaN"}}}}}}"#),
            &[],
            &[nan, r#"{"a": 1}"#],
        );
        check(&format!(r#"{{"a": {{"{operator}": 5}}}}"#), &[], &[nan]);
    }
    check(
        r#"{"a": {"$gte": {"$numberDouble": "NaN"}}}"#,
        &[nan],
        &[r#"{"a": 1}"#],
    );
}

#[test]
fn arrays_fit_by_an_element_or_whole() {
    check(
        r#"{"a": 5}"#,
        &[r#"{"a": [4, 5]}"#],
        &[r#"{"a": [[5]]}"#, r#"{"a": []}"#],
    );
    check(
        r#"{"a": [4, 5]}"#,
        &[r#"{"a": [4, 5]}"#, r#"{"a": [[4, 5.0], 1]}"#],
        &[r#"{"a": [5, 4]}"#, r#"{"a": [4, 5, 6]}"#],
    );
    // Each condition may be met by another element.
    check(
        r#"{"a": {"$gt": 5, "$lt": 3}}"#,
        &[r#"{"a": [1, 9]}"#],
        &[r#"{"a": [4]}"#, r#"{"a": 4}"#],
    );
    check(
        r#"{"a": {"$ne": 5}}"#,
        &[r#"{"a": [4]}"#, "{}"],
        &[r#"{"a": [4, 5]}"#],
    );
    check(
        r#"{"a": {"$in": [5, [1]]}}"#,
        &[r#"{"a": [1]}"#, r#"{"a": [5, 6]}"#, r#"{"a": 5}"#],
        &[r#"{"a": 1}"#],
    );
    check(
        r#"{"a": {"$gt": [1, 2]}}"#,
        &[r#"{"a": [1, 3]}"#, r#"{"a": [2]}"#],
        &[r#"{"a": [1]}"#, r#"{"a": 7}"#],
    );
}

#[test]
fn paths_go_through_documents_and_arrays() {
    check(
        r#"{"a.b": 5}"#,
        &[r#"{"a": {"b": 5}}"#, r#"{"a": [{"b": 4}, {"b": [5]}]}"#],
        &[r#"{"a.b": 5}"#, r#"{"a": [[{"b": 5}]]}"#],
    );
    // As in MongoDB's own tests of paths.
    check(
        r#"{"a.1": 7}"#,
        &[r#"{"a": [5, 7, 3]}"#],
        &[r#"{"a": [7, 5]}"#],
    );
    check(r#"{"a.1": 2}"#, &[], &[r#"{"a": [5, [2, 4], 3]}"#]);
    check(r#"{"a.1": [2, 4]}"#, &[r#"{"a": [5, [2, 4], 3]}"#], &[]);
    check(r#"{"a.1": 4}"#, &[r#"{"a": [5, {"1": 4}, 3]}"#], &[]);
    check(r#"{"a.1": {"1": 4}}"#, &[r#"{"a": [5, {"1": 4}, 3]}"#], &[]);
    check(
        r#"{"a.1.b": 4}"#,
        &[r#"{"a": [5, {"b": 4}, 3]}"#, r#"{"a": [5, [{"b": 4}], 3]}"#],
        &[],
    );
    check(
        r#"{"a.0.0": 1}"#,
        &[r#"{"a": [[1]]}"#, r#"{"a": {"0": [1]}}"#],
        &[r#"{"a": [1]}"#],
    );
}

#[test]
fn null_is_also_what_is_missing() {
    check(
        r#"{"a": null}"#,
        &[r#"{"a": null}"#, "{}", r#"{"a": [1, null]}"#],
        &[r#"{"a": 0}"#, r#"{"a": []}"#],
    );
    check(
        r#"{"a.b": null}"#,
        &[
            "{}",
            r#"{"a": 5}"#,
            r#"{"a": {}}"#,
            r#"{"a": [{"b": 1}, {}]}"#,
        ],
        &[r#"{"a": []}"#, r#"{"a": [1, 2]}"#, r#"{"a": {"b": 1}}"#],
    );
    check(
        r#"{"a": {"$ne": null}}"#,
        &[r#"{"a": 0}"#],
        &["{}", r#"{"a": null}"#],
    );
    check(
        r#"{"a": {"$in": [null, 1]}}"#,
        &["{}", r#"{"a": 1}"#],
        &[r#"{"a": 2}"#],
    );
    for operator in ["$gte", "$lte"] {
        check(
            &format!(r#"{{"a": {{"{operator}": null}}}}"#),
            &["{}", r#"{"a": null}"#],
            &[r#"{"a": 1}"#],
        );
    }
    check(r#"{"a": {"$lt": null}}"#, &[], &["{}", r#"{"a": null}"#]);
    check(
        r#"{"a": {"$exists": true}}"#,
        &[r#"{"a": null}"#, r#"{"a": []}"#],
        &["{}"],
    );
    check(
        r#"{"a.b": {"$exists": false}}"#,
        &["{}", r#"{"a": []}"#, r#"{"a": [1]}"#],
        &[r#"{"a": [{"b": null}]}"#],
    );
    check(r#"{"a": {"$exists": 0}}"#, &["{}"], &[r#"{"a": 1}"#]);
}

#[test]
fn values_of_other_types_are_neither_more_nor_less() {
    check(
        r#"{"a": {"$gt": 5}}"#,
        &[r#"{"a": 6}"#],
        &[
            r#"{"a": "6"}"#,
            r#"{"a": {"$date": "2026-01-01T00:00:00Z"}}"#,
            r#"{"a": true}"#,
            "{}",
        ],
    );
    check(
        r#"{"a": {"$gte": "b"}}"#,
        &[
            r#"{"a": "b"}"#,
            r#"{"a": "ba"}"#,
            r#"{"a": {"$symbol": "c"}}"#,
        ],
        &[r#"{"a": "B"}"#, r#"{"a": 9}"#],
    );
    check(
        r#"{"a": {"$lt": {"$date": "2026-01-01T00:00:00Z"}}}"#,
        &[r#"{"a": {"$date": "1960-01-01T00:00:00Z"}}"#],
        &[r#"{"a": 1}"#],
    );
    check(
        r#"{"a": {"$gt": false}}"#,
        &[r#"{"a": true}"#],
        &[r#"{"a": 1}"#],
    );
    check(
        r#"{"a": {"$lt": {"$maxKey": 1}}}"#,
        &[r#"{"a": 1}"#, "{}"],
        &[r#"{"a": {"$maxKey": 1}}"#],
    );
    check(
        r#"{"a": {"$gt": {"$minKey": 1}}}"#,
        &[r#"{"a": 1}"#],
        &[r#"{"a": {"$minKey": 1}}"#],
    );
    check(
        r#"{"a": {"$gt": {"$oid": "650000000000000000000000"}}}"#,
        &[r#"{"a": {"$oid": "660000000000000000000000"}}"#],
        &[r#"{"a": "7"}"#],
    );
    // Length before content.
    check(
        r#"{"a": {"$gt": {"$binary": {"base64": "/w==", "subType": "00"}}}}"#,
        &[r#"{"a": {"$binary": {"base64": "AAA=", "subType": "00"}}}"#],
        &[],
    );
}

#[test]
fn documents_are_equal_in_every_field_and_in_their_order() {
    check(
        r#"{"a": {"x": 1, "y": 2}}"#,
        &[r#"{"a": {"x": 1.0, "y": 2}}"#],
        &[r#"{"a": {"y": 2, "x": 1}}"#, r#"{"a": {"x": 1}}"#],
    );
    check(
        r#"{"a": {}}"#,
        &[r#"{"a": {}}"#],
        &[r#"{"a": {"x": 1}}"#, "{}"],
    );
    check(
        r#"{"a": {"$gt": {"x": 1}}}"#,
        &[
            r#"{"a": {"x": 2}}"#,
            r#"{"a": {"x": 1, "y": 0}}"#,
            r#"{"a": {"y": 0}}"#,
        ],
        &[r#"{"a": {"x": 1}}"#],
    );
}

#[test]
fn conditions_are_combined() {
    let query = r#"{"$or": [{"a": 1}, {"$and": [{"b": {"$gt": 1}}, {"c": {"$not": {"$gt": 5, "$lt": 9}}}]}], "d": {"$exists": true}}"#;
    check(
        query,
        &[
            r#"{"a": 1, "d": 0}"#,
            r#"{"b": 2, "c": 5, "d": 0}"#,
            r#"{"b": 2, "d": 0}"#,
        ],
        &[r#"{"a": 1}"#, r#"{"b": 2, "c": 7, "d": 0}"#],
    );
    check("{}", &["{}", r#"{"a": 1}"#], &[]);
}

#[test]
fn texts_are_searched_as_pcre_searches_them() {
    check(
        r#"{"a": {"$regex": "^soup$", "$options": "i"}}"#,
        &[
            r#"{"a": "Soup"}"#,
            r#"{"a": "soup\n"}"#,
            r#"{"a": ["x", "SOUP"]}"#,
        ],
        &[
            r#"{"a": "soups"}"#,
            r#"{"a": "x\nsoup"}"#,
            r#"{"a": 5}"#,
            "{}",
        ],
    );
    check(
        r#"{"a": {"$regex": "^b$", "$options": "m"}}"#,
        &[r#"{"a": "a\nb\nc"}"#],
        &[r#"{"a": "a\nbc"}"#],
    );
    check(
        r#"{"a": {"$regex": "a.b"}}"#,
        &[r#"{"a": "aéb"}"#],
        &[r#"{"a": "a\nb"}"#],
    );
    check(
        r#"{"a": {"$regex": "a.b", "$options": "s"}}"#,
        &[r#"{"a": "a\nb"}"#],
        &[],
    );
    check(
        r#"{"a": {"$regex": "a b # this\n c", "$options": "x"}}"#,
        &[r#"{"a": "abc"}"#],
        &[r#"{"a": "a b"}"#],
    );
    check(
        r#"{"a": {"$regex": "^\\w+$"}}"#,
        &[r#"{"a": "abc_1"}"#],
        &[r#"{"a": "jalapeño"}"#],
    );
    check(
        r#"{"a": {"$regex": "^[\\d\\s]+$"}}"#,
        &[r#"{"a": "12 3"}"#],
        &[r#"{"a": "٣"}"#],
    );
    check(
        r#"{"a": {"$regex": "a\\b"}}"#,
        &[r#"{"a": "aé"}"#, r#"{"a": "a"}"#],
        &[r#"{"a": "ab"}"#],
    );
    check(
        r#"{"a": {"$regex": "JALAPEÑO", "$options": "i"}}"#,
        &[r#"{"a": "jalapeño"}"#],
        &[],
    );
    check(
        r#"{"a": {"$regex": "(?m)^b$"}}"#,
        &[r#"{"a": "a\nb\nc"}"#],
        &[],
    );
    check(
        r#"{"a": {"$in": [{"$regularExpression": {"pattern": "^x", "options": ""}}, 5]}}"#,
        &[r#"{"a": "xy"}"#, r#"{"a": 5}"#],
        &[r#"{"a": "yx"}"#],
    );
    let stored = r#"{"a": {"$regularExpression": {"pattern": "^x", "options": "i"}}}"#;
    check(
        stored,
        &[stored, r#"{"a": "Xy"}"#],
        &[r#"{"a": {"$regularExpression": {"pattern": "^x", "options": ""}}}"#],
    );
    check(
        r#"{"a": {"$not": {"$regex": "^x"}}}"#,
        &[r#"{"a": "y"}"#, "{}", r#"{"a": 5}"#],
        &[r#"{"a": "x"}"#],
    );
}

#[test]
fn what_is_not_understood_is_refused_by_name() {
    for operator in [
        "$elemMatch",
        "$nin",
        "$type",
        "$size",
        "$all",
        "$mod",
        "$eq",
        "$text",
    ] {
        refused(&format!(r#"{{"a": {{"{operator}": 1}}}}"#), operator);
    }
    for operator in [
        "$where",
        "$expr",
        "$nor",
        "$comment",
        "$jsonSchema",
        "$text",
    ] {
        refused(&format!(r#"{{"{operator}": []}}"#), operator);
    }
    refused(
        r#"{"a": {"$gt": 1, "b": 2}}"#,
        "\"b\" stands among operators",
    );
    refused(r#"{"a": {"$in": 5}}"#, "$in takes a list");
    refused(r#"{"a": {"$in": [{"$gt": 5}]}}"#, "no operators");
    refused(r#"{"a": {"$options": "i"}}"#, "$options");
    refused(r#"{"a": {"$not": 5}}"#, "$not takes operators");
    refused(r#"{"$not": {"a": 5}}"#, "$not stands behind a field");
    refused(
        r#"{"a": {"$ne": {"$regularExpression": {"pattern": "x", "options": ""}}}}"#,
        "regular expression",
    );
    refused(
        r#"{"$or": []}"#,
        "$or takes a list of documents, at least one",
    );
    refused(r#"{"a": 1, "a": 2}"#, "\"a\" is there twice");
    for (text, problem) in [
        ("{", "Extended JSON"),
        ("[]", "not a document"),
        ("5", "not a document"),
        (r#"{"a": {"$oid": "x"}}"#, "Extended JSON"),
    ] {
        refused(text, problem);
    }
    refused(
        &format!("{}5{}", r#"{"a":"#.repeat(500), "}".repeat(500)),
        "Extended JSON",
    );
}

#[test]
fn regular_expressions_that_would_mean_another_thing_are_refused() {
    for (pattern, naming) in [
        ("a(?=b)", "looking around"),
        ("(?<!a)b", "looking around"),
        (r"(a)\\1", "referring back"),
        ("a++", "never gives back"),
        (r"\\<a", "another thing"),
        ("[a&&b]", "another thing"),
        ("[a[b]]", "another thing"),
        ("(?u)a", "another thing"),
        (r"\\u0041", "\\x{"),
        ("(", "unclosed group"),
        (r"\\Z", "escape"),
        ("(?>a)", "flag"),
        ("a{1000}{1000}", "repetition"),
        ("(a{1000}){1000}", "too large"),
        ("a{ 2 }", "stands for itself"),
        (r"(?i)\\p{Lu}", "option i"),
        (r"(?i:[a\\p{Lu}])", "option i"),
    ] {
        refused(&format!(r#"{{"a": {{"$regex": "{pattern}"}}}}"#), naming);
    }
    refused(r#"{"a": {"$regex": "a", "$options": "g"}}"#, "\"g\"");
    refused(
        r#"{"a": {"$regex": "\\P{Ll}", "$options": "i"}}"#,
        "option i",
    );
    check(
        r#"{"a": {"$regex": "(?i)a(?-i:\\p{Lu})"}}"#,
        &[r#"{"a": "AX"}"#],
        &[r#"{"a": "Ax"}"#],
    );
    refused(r#"{"a": {"$regex": "[a b]", "$options": "x"}}"#, "blanks");
}

#[test]
fn bytes_that_make_no_sense_fit_nothing_and_break_nothing() {
    let query = Query::parse(r#"{"a.b": {"$gt": {"c": [1]}}}"#).unwrap();
    let whole = bytes(r#"{"a": [{"b": {"c": [2]}}]}"#);
    assert!(query.fits(&whole));
    for at in 0..whole.len() {
        for value in [0, 1, 3, 4, 15, 0x7f, 0xff] {
            let mut broken = whole.clone();
            broken[at] = value;
            query.fits(&broken);
            query.fits(&broken[..at]);
        }
    }
    assert!(!query.fits(&Document::new().to_vec().unwrap()));
}

/// Values of many types, many of them equal to others.
fn any_value() -> impl Strategy<Value = Bson> {
    let small = prop_oneof![
        (-3..3_i32).prop_map(Bson::Int32),
        (-3..3_i64).prop_map(Bson::Int64),
        (-6..6_i32).prop_map(|half| Bson::Double(f64::from(half) / 2.0)),
        prop_oneof![
            Just(f64::NAN),
            Just(f64::INFINITY),
            Just(-0.0),
            Just(5e-324)
        ]
        .prop_map(Bson::Double),
        prop_oneof![
            Just("1"),
            Just("1.50"),
            Just("NaN"),
            Just("-Infinity"),
            Just("0E+9")
        ]
        .prop_map(|text| Bson::Decimal128(text.parse().unwrap())),
        prop_oneof![
            Just(i64::MAX),
            Just(i64::MIN),
            Just(1 << 53),
            Just((1 << 53) + 1)
        ]
        .prop_map(Bson::Int64),
        Just(Bson::Double(9_007_199_254_740_992.0)),
        prop_oneof![
            Just(Bson::Null),
            Just(Bson::Undefined),
            Just(Bson::MinKey),
            Just(Bson::MaxKey)
        ],
        any::<bool>().prop_map(Bson::Boolean),
        "[ab]{0,2}".prop_map(Bson::String),
        "[ab]{0,2}".prop_map(Bson::Symbol),
    ];
    small.prop_recursive(2, 8, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Bson::Array),
            inner.prop_map(|one| Bson::Document(mongodb::bson::doc! { "x": one })),
        ]
    })
}

fn operand(value: &Bson) -> Operand {
    let document = mongodb::bson::doc! { "v": value }.to_vec().unwrap();
    let value = crate::archive::element::get(&document, b"v").unwrap();
    Operand {
        kind: value.kind,
        bytes: value.bytes.to_vec(),
    }
}

proptest! {
    #[test]
    fn a_list_fits_what_one_of_it_fits(
        list in prop::collection::vec(any_value(), 0..12),
        found in prop::option::of(any_value()),
    ) {
        let operands: Vec<Operand> = list.iter().map(operand).collect();
        let found = found.as_ref().map(operand);
        let found = found.as_ref().map(Operand::value);
        let one_by_one = operands
            .iter()
            .any(|one| Comparison::Equal.holds(found, one.value()));
        prop_assert_eq!(OneOf::new(operands).holds(found), one_by_one);
    }
}

#[test]
fn a_long_list_costs_no_more_than_a_short_one() {
    let ids: Vec<String> = (0..200_000).map(|id| id.to_string()).collect();
    let query = Query::parse(&format!(r#"{{"a": {{"$in": [{}]}}}}"#, ids.join(","))).unwrap();
    let (last, none) = (bytes(r#"{"a": 199999}"#), bytes(r#"{"a": "none"}"#));
    // One by one that would be 20 thousand million comparisons.
    for _ in 0..50_000 {
        assert!(query.fits(&last));
        assert!(!query.fits(&none));
    }
}

use super::*;
use proptest::prelude::*;

fn redactor(secret: &str) -> Redactor {
    Redactor::new([Secret::new(secret)])
}

#[test]
fn a_secret_never_prints_itself() {
    let secret = Secret::new("hunter22");
    assert_eq!(format!("{secret} {secret:?}"), "*** ***");
    assert_eq!(format!("{:?}", Redactor::new([secret.clone()])), "Redactor");
    assert_eq!(secret.expose(), "hunter22");
}

#[test]
fn text_without_secrets_is_borrowed() {
    let text = "http://example.org:8080/a finished 12 documents; mail me@example.org";
    assert!(matches!(redactor("hunter22").redact(text), Cow::Borrowed(same) if same == text));
}

#[test]
fn every_form_is_hidden() {
    for (secret, text) in [
        ("p@ss/w:rd", "p@ss/w:rd"),
        ("p@ss/w:rd", "p%40ss%2Fw%3Ard"),
        ("p@ss/w:rd", "p%40ss%2fw%3ard"),
        ("p%40ss%2Fword", "p@ss/word"),
        ("p%40ss%2Fword", "p%40ss%2fword"),
        ("a b&c=d", "a+b%26c%3Dd"),
        ("a b&c=d", "a%20b&c=d"),
        ("say \"hi\" \\o/", r#"say \"hi\" \\o/"#),
        ("a<b>&c", r"a\u003cb\u003e\u0026c"),
        ("abcd efgh ijkl mnop", "abcdefghijklmnop"),
        ("abcdefghijklmnop", "abcd efgh ijkl mnop"),
    ] {
        let redacted = redactor(secret).redact(text).into_owned();
        assert_eq!(redacted, MASK, "{secret:?} in {text:?}");
    }
}

#[test]
fn credentials_in_any_uri_are_hidden_though_unknown() {
    for (text, redacted) in [
        (
            "cannot reach mongodb://root:hunter22@db:27017/?a=b now",
            "cannot reach mongodb://root:***@db:27017/?a=b now",
        ),
        (
            "mongodb+srv://root:p@s/s:w@rd@db/x",
            "mongodb+srv://root:***@db/x",
        ),
        (
            "smtp://me@example.org:hunter22@mail",
            "smtp://me@example.org:***@mail",
        ),
        ("mongodb://root@db:27017", "mongodb://root@db:27017"),
        ("mongodb://root:***@db", "mongodb://root:***@db"),
        ("mongodb://root:@db", "mongodb://root:@db"),
        ("a://b:c@d e://f:g@h", "a://b:***@d e://f:***@h"),
    ] {
        assert_eq!(Redactor::default().redact(text), redacted);
    }
}

#[test]
fn a_password_cut_by_white_space_is_hidden_whole() {
    assert_eq!(
        redactor("p@a ssword").redact("mongodb://u:p@a ssword@h"),
        "mongodb://u:***@h"
    );
}

#[test]
fn overlapping_secrets_leave_no_rest() {
    let redactor = Redactor::new([Secret::new("abcdX"), Secret::new("Xefgh")]);
    assert_eq!(redactor.redact("abcdXefgh"), MASK);
}

#[test]
fn a_short_secret_is_hidden_only_where_it_must_be_one() {
    let redactor = redactor("ab");
    assert_eq!(
        redactor.redact("table root:ab@db about ab"),
        "table root:***@db about ab"
    );
    assert_eq!(
        redactor.redact(r#"Password: "ab", pwd=ab passwords abc"#),
        r#"Password: "***", pwd=*** passwords abc"#
    );
    assert_eq!(Redactor::new([Secret::new("")]).redact("a:@b"), "a:@b");
}

#[test]
fn masks_do_not_join_into_a_secret() {
    for secret in ["***x", "****", "x***"] {
        let text = format!("{secret}x{secret}*x{secret}");
        assert!(!redactor(secret).redact(&text).contains(secret), "{secret}");
    }
}

proptest! {
    #[test]
    fn no_form_of_a_password_survives(password in "\\PC{4,24}|[ -~]{4,12}|[a*%@:/ 0-9]{4,8}", before in "\\PC{0,12}", after in "\\PC{0,12}") {
        let redactor = redactor(&password);
        for form in [password.clone(), percent_encode(&password), percent_encode(&password).to_lowercase().replace("%20", "+")] {
            for text in [
                format!("{before}{form}{after}"),
                format!("{before}{form}{form}{after}{form}"),
                format!("failed: mongodb://{before}:{form}@{after}"),
            ] {
                let redacted = redactor.redact(&text);
                prop_assert!(!redacted.contains(&password), "{redacted:?}");
                prop_assert!(!redacted.contains(&percent_encode(&password)), "{redacted:?}");
                if let Some(decoded) = percent_decode(&password).filter(|decoded| decoded.len() >= 4) {
                    prop_assert!(!redacted.contains(&decoded), "{redacted:?}");
                }
            }
        }
    }

    #[test]
    fn encoding_decodes_to_itself(text in "\\PC*") {
        prop_assert_eq!(percent_decode(&percent_encode(&text)), Some(text));
    }
}

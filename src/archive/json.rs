//! Reads JSON out of archives. A view may nest deeper than serde_json goes by itself, and a hostile archive deeper than
//! any stack lasts: so the depth is counted before anything descends.

use serde::de::DeserializeOwned;

/// Servers nest 200 levels deep, and the file around a definition and the types of values in it add a few.
pub(crate) const DEEPEST_LEVEL: usize = 220;

/// Why JSON could not be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum JsonError {
    /// It may be sound all the same.
    #[error("nested deeper than {DEEPEST_LEVEL} levels")]
    TooDeep,
    #[error(transparent)]
    Invalid(#[from] serde_json::Error),
}

/// Reads one value, of which nothing but whitespace may follow.
pub(crate) fn from_slice<T: DeserializeOwned>(json: &[u8]) -> Result<T, JsonError> {
    if depth(json) > DEEPEST_LEVEL {
        return Err(JsonError::TooDeep);
    }
    let mut reader = serde_json::Deserializer::from_slice(json);
    reader.disable_recursion_limit();
    let value = T::deserialize(&mut reader)?;
    reader.end()?;
    Ok(value)
}

/// How deep lists and objects nest. Of what is not JSON, at least as deep as any reader gets before it notices.
pub(super) fn depth(json: &[u8]) -> usize {
    let (mut level, mut deepest) = (0_usize, 0);
    let (mut in_text, mut escaped) = (false, false);
    for byte in json {
        if in_text {
            in_text = *byte != b'"' || escaped;
            escaped = *byte == b'\\' && !escaped;
            continue;
        }
        match byte {
            b'"' => in_text = true,
            b'[' | b'{' => {
                level += 1;
                deepest = deepest.max(level);
            }
            b']' | b'}' => level = level.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    fn nested(levels: usize) -> String {
        format!("{}1{}", r#"{"a":"#.repeat(levels), "}".repeat(levels))
    }

    #[test]
    fn what_servers_nest_is_read_and_what_would_exhaust_the_stack_is_refused() {
        for levels in [1, 128, DEEPEST_LEVEL] {
            assert!(from_slice::<Value>(nested(levels).as_bytes()).is_ok());
        }
        for levels in [DEEPEST_LEVEL + 1, 1_000_000] {
            let read = from_slice::<Value>(nested(levels).as_bytes());
            assert!(matches!(read, Err(JsonError::TooDeep)));
        }
    }

    #[test]
    fn brackets_in_texts_are_no_levels() {
        let text = format!(r#"{{"a\\":"\"{}"}}"#, "[{".repeat(1000));
        assert_eq!(depth(text.as_bytes()), 1);
        assert!(from_slice::<Value>(text.as_bytes()).is_ok());
        assert_eq!(depth(br#"["\\",["\"["]]"#), 2);
        assert!(matches!(
            from_slice::<Value>(b"{} 1"),
            Err(JsonError::Invalid(_))
        ));
    }
}

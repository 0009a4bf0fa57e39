//! Advice about options of a connection string, for a server that may have been given in another way.

/// The setting that holds hosts alone.
const MONGODB_HOST: &str = "MONGODB_HOST";

/// Whether the server was given without a connection string, so that there is no place for options.
pub(crate) fn takes_no_options(setting: &str) -> bool {
    setting == MONGODB_HOST
}

/// How to add an option, as a request.
pub(crate) fn with_option(setting: &str, option: &str) -> String {
    if takes_no_options(setting) {
        // A user would make it look like one with a password, which the log masks.
        return format!(
            "set MONGODB_URI='mongodb://…/?{option}' in the place of MONGODB_HOST, MONGODB_USERNAME and MONGODB_PASSWORD"
        );
    }
    format!("add {option} to {setting}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_go_where_they_are_taken() {
        assert_eq!(
            with_option("DRILL_URI", "tls=true"),
            "add tls=true to DRILL_URI"
        );
        assert_eq!(
            with_option("MONGODB_HOST", "tls=true"),
            "set MONGODB_URI='mongodb://…/?tls=true' in the place of MONGODB_HOST, MONGODB_USERNAME and MONGODB_PASSWORD"
        );
    }
}

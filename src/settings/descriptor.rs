//! What a setting is: its name, its default, and how its text is read. The table of all of them is in `table.rs`.

use super::fault::Refusal;

/// Whether a value may be shown, and which part of it is the secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Secrecy {
    /// It may be shown.
    Open,
    /// A connection string, whose password must not be shown.
    ConnectionString,
    /// The path of a file with a private key: the path may be shown, and nothing of what is in the file.
    KeyFile,
    /// The whole value is a password. Spaces at its ends belong to it.
    Password,
    /// URLs that hold tokens.
    NotifyUrls,
    /// A URL that is a token by itself.
    PingUrl,
}

/// One setting, with a value of any type.
#[derive(Debug, Clone, Copy)]
pub(super) struct Setting {
    /// The name of the environment variable.
    pub(super) name: &'static str,
    /// The default, empty for none; as text, since it is read like a given value.
    pub(super) default: &'static str,
    /// Whether its value may be shown.
    pub(super) secrecy: Secrecy,
    #[cfg(test)]
    pub(super) docs: Docs,
}

/// What `.env.example` and `docs/configuration.md` say about a setting; both are generated from it by a test.
#[cfg(test)]
#[derive(Debug, Clone, Copy)]
pub(super) struct Docs {
    /// The section in `.env.example`.
    pub(super) section: &'static str,
    /// What `.env.example` shows of a setting that has no default.
    pub(super) sample: &'static str,
    /// One line for `.env.example` on why one would set it.
    pub(super) why: &'static str,
    /// The text in the table, in Markdown.
    pub(super) table: &'static str,
}

/// A setting with the type of its value. A value is read by its descriptor: a slip does not compile.
pub(super) struct Descriptor<T> {
    pub(super) setting: Setting,
    pub(super) parse: fn(&str) -> Result<T, Refusal>,
}

impl<T> Descriptor<T> {
    /// The name of the environment variable.
    pub(super) const fn name(&self) -> &'static str {
        self.setting.name
    }
}

/// Defines a descriptor per setting, the table of all of them, and the raw settings that envy fills.
macro_rules! settings {
    ($(section $section:literal {$(
        $name:ident $field:ident: $type:ty = $default:literal, $secrecy:ident, $parse:expr,
            $(sample $sample:literal,)? why $why:literal, docs $docs:literal;
    )*})*) => {
        $($(
            pub(super) const $name: Descriptor<$type> = Descriptor {
                setting: Setting {
                    name: stringify!($name),
                    default: $default,
                    secrecy: Secrecy::$secrecy,
                    #[cfg(test)]
                    docs: Docs {
                        section: $section,
                        sample: concat!($($sample)?),
                        why: $why,
                        table: $docs,
                    },
                },
                parse: $parse,
            };
        )*)*

        /// Every setting, in the order in which they are documented.
        pub(super) const TABLE: &[Setting] = &[$($($name.setting),*),*];

        /// What was typed: nothing is checked yet, and blank counts as not set.
        #[derive(Default, Deserialize)]
        pub(super) struct RawSettings { $($($field: Option<String>,)*)* }

        impl RawSettings {
            /// What was typed for one of the table's settings.
            pub(super) fn typed(&self, setting: &Setting) -> Option<&str> {
                match setting.name {
                    $($(stringify!($name) => self.$field.as_deref(),)*)*
                    _ => None,
                }
            }
        }

        #[cfg(test)]
        impl RawSettings {
            pub(super) const FIELDS: &'static [&'static str] = &[$($(stringify!($field)),*),*];
        }
    };
}

pub(super) use settings;

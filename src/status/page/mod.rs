//! The page. It needs no script and loads nothing; what it shows is escaped by the templates, which the compiler checks.

mod archive;
mod calendar;
mod charts;
mod overview;
mod parts;

pub(crate) use archive::{Contents, archive};
pub(crate) use overview::{PER_PAGE, overview};

use crate::settings::Settings;
use crate::sys::runtime::Runtime;
use crate::sys::time_zone::Tz;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use maud::{DOCTYPE, Markup, PreEscaped, html};
use sha2::{Digest, Sha256};

const STYLE: &str = include_str!("style.css");
/// What browsers show beside the title.
pub(crate) const ICON: &str = include_str!("icon.svg");

/// What all pages have in common.
pub(crate) struct Site {
    pub time_zone: Tz,
    /// Older archives go, unless another rule keeps them.
    pub retention_days: u32,
    /// How the program is called where it runs.
    pub command: &'static str,
}

impl Site {
    pub(crate) fn new(settings: &Settings, runtime: Runtime) -> Self {
        Site {
            time_zone: settings.time_zone,
            retention_days: settings.retention.days,
            command: match runtime {
                // Where there is a page, there is a scheduler to be named.
                Runtime::Kubernetes => "kubectl exec -it deploy/pantry-keeper -- pantry-keeper",
                other => other.program(),
            },
        }
    }
}

/// What a browser may do with the page: apply its one style sheet, and show its icon.
pub(crate) fn content_security_policy() -> String {
    let style = STANDARD.encode(Sha256::digest(STYLE));
    format!(
        "default-src 'none'; style-src 'sha256-{style}'; img-src 'self'; base-uri 'none'; form-action 'none'; \
         frame-ancestors 'none'"
    )
}

/// A whole page.
fn document(title: &str, content: &Markup) -> String {
    let markup = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta name="robots" content="noindex";
                title { (title) }
                link rel="icon" href="/icon.svg" type="image/svg+xml";
                style { (PreEscaped(STYLE)) }
            }
            body { (content) }
        }
    };
    markup.into_string()
}

/// A page that says in a sentence why there is no other.
pub(crate) fn notice(title: &str, text: &str) -> String {
    let content = html! {
        (parts::head(None))
        main { section.card { h2 { (title) } p { (text) } p { a href="/" { "To the overview" } } } }
    };
    document(&format!("{title} · Pantry Keeper"), &content)
}

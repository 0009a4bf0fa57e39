//! Texts for users, held against what they were. `INSTA_UPDATE=always` in the environment takes them as they are now.

use super::Site;

/// What differs between runs, machines and servers, and what stands for it. Columns are as wide as what is in them.
const FILTERS: &[(&str, &str)] = &[
    (r"127\.0\.0\.1:\d+", "HOST:PORT"),
    // In a container, what to run is named with what runs it there.
    (
        r"docker compose exec pantry-keeper pantry-keeper",
        "pantry-keeper",
    ),
    // The one archive of a preview was made just now; those of a list, on days that the test chose.
    (
        r"\w+_backup_\d+_\d+\.tar\.gz of \w+ \d+ \w+ \d+ [\d:]+,",
        "ARCHIVE of TIME,",
    ),
    (r"_(\d{8})_\d{6}\b", "_${1}_HHMMSS"),
    (r"(\d\d:\d\d):\d\d\b", "${1}:SS"),
    (r"\d+(\.\d+)? (B|kB|MB|GB|TB)\b", "SIZE"),
    (r"[ \t]{2,}", "  "),
];

/// Holds a text that a run in `site` printed against the snapshot of this name.
pub(crate) fn snapshot(name: &str, site: &Site, text: &str) {
    let text = text.replace(&site.path("").display().to_string(), "SITE/");
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path(super::in_project("tests/it/snapshots"));
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    for (pattern, replacement) in FILTERS {
        settings.add_filter(pattern, *replacement);
    }
    settings.bind(|| insta::assert_snapshot!(name, text));
}

//! Whether the archive, the target and mongorestore are of versions that go together.

use crate::archive::verify::Origin;
use crate::mongo::tool::Tool;

/// What the owner should know before restoring into a server of another version.
pub(super) fn warnings(origin: &Origin, target: &str, tool: &Tool) -> Vec<String> {
    let mut warnings = Vec::new();
    if let Some(from) = &origin.server_version
        && let (Some(was), Some(is)) = (major(from), major(target))
        && was != is
    {
        warnings.push(match was < is {
            true => format!(
                "the archive is of MongoDB {from}, and the target is {target}: documents come back as they were, but options \
                 or indexes that newer servers no longer take may fail"
            ),
            false => format!(
                "the archive is of MongoDB {from}, and the target is {target}, which is older: options, indexes and \
                 collections of newer kinds may fail; a target of the archive's version takes them all"
            ),
        });
    }
    if let Some(by) = &origin.tool_version
        && let (Some(was), Some(is)) = (major(by), major(&tool.version))
        && was > is
    {
        let own = &tool.version;
        warnings.push(format!(
            "the archive was made by mongodump {by}, and mongorestore is {own}: use one as new"
        ));
    }
    if let Some((oldest, _)) = tool.too_old_for(target) {
        let own = &tool.version;
        warnings.push(format!(
            "mongorestore {own} is older than MongoDB {target}: {oldest} or later is made for it"
        ));
    }
    warnings
}

fn major(version: &str) -> Option<u32> {
    version
        .trim_start_matches(['r', 'v'])
        .split('.')
        .next()?
        .parse()
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_major_versions_are_warned_of_and_the_way_matters() {
        let tool = Tool {
            program: "mongorestore".into(),
            version: "100.12.2".into(),
        };
        let origin = |server: &str, tools: &str| Origin {
            server_version: Some(server.into()),
            tool_version: Some(tools.into()),
        };
        assert_eq!(
            warnings(&origin("7.0.5", "100.9.4"), "7.0.2", &tool),
            Vec::<String>::new()
        );
        assert_eq!(
            warnings(&Origin::default(), "8.0.0", &tool),
            Vec::<String>::new()
        );
        let newer = warnings(&origin("4.4.18", "100.9.4"), "8.0.4", &tool);
        assert!(
            newer.len() == 1 && newer[0].contains("no longer take"),
            "{newer:?}"
        );
        let older = warnings(&origin("8.0.4", "100.12.2"), "4.4.18", &tool);
        assert!(older.len() == 1 && older[0].contains("older"), "{older:?}");
        let tools = warnings(&origin("8.0.4", "101.0.0"), "8.0.4", &tool);
        assert!(
            tools.len() == 1 && tools[0].contains("mongodump 101"),
            "{tools:?}"
        );
    }
}

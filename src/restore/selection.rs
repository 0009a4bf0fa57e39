//! What is to be restored, and under which names.

use crate::archive::namespace::{BUCKETS_PREFIX, Kind, Namespace, SERVERS_OWN, is_database};
use crate::mongo::scratch_name::is_scratch;
use crate::report::IndexPolicy;
use crate::settings::{NamespacePattern, Rename};
use std::collections::HashSet;

/// What was asked for.
#[derive(Debug, Clone, Default)]
pub(crate) struct Selection {
    /// Empty for everything.
    pub include: Vec<NamespacePattern>,
    pub exclude: Vec<NamespacePattern>,
    /// The first that fits counts.
    pub renames: Vec<Rename>,
    /// Replace what exists.
    pub drop: bool,
    /// Replay the oplog where there is one.
    pub oplog: bool,
    pub indexes: IndexPolicy,
}

impl Selection {
    /// Whether a namespace of the archive is wanted. Users and roles of the server stay as they are on the target, unless
    /// they are asked for by their database's name; so do a drill's databases, which backups of earlier versions may hold.
    pub(crate) fn chooses(&self, namespace: &Namespace) -> bool {
        let (database, collection) = (namespace.database.as_str(), namespace.collection.as_str());
        let own = SERVERS_OWN.contains(&database) || is_scratch(database);
        let by_name = self.include.iter().any(|pattern| pattern.is_of(database));
        let included = self.include.is_empty()
            || self
                .include
                .iter()
                .any(|one| one.matches(database, collection));
        let excluded = self
            .exclude
            .iter()
            .any(|one| one.matches(database, collection));
        // Only servers write this one.
        included && !excluded && (!own || by_name) && collection != "system.profile"
    }

    /// What a namespace will be called.
    pub(crate) fn target(&self, namespace: &Namespace) -> Namespace {
        let renamed = self
            .renames
            .iter()
            .find_map(|one| one.apply(&namespace.database, &namespace.collection));
        match renamed {
            Some((database, collection)) => Namespace::new(database, collection),
            None => namespace.clone(),
        }
    }

    /// A rename that none of these namespaces needs: a slip, which would leave the names as they are.
    pub(crate) fn unused_rename<'n>(
        &self,
        namespaces: impl Iterator<Item = &'n Namespace> + Clone,
    ) -> Option<&Rename> {
        let fits = |rename: &Rename| {
            namespaces
                .clone()
                .any(|one| rename.apply(&one.database, &one.collection).is_some())
        };
        self.renames.iter().find(|rename| !fits(rename))
    }

    /// Where an operation on a namespace goes; none when it is to be left out.
    pub(crate) fn target_of_operation(
        &self,
        from: &Namespace,
        untouchable: &HashSet<Namespace>,
    ) -> Option<Namespace> {
        let to = self.chooses(from).then(|| self.target(from))?;
        (!untouchable.contains(&to)).then_some(to)
    }
}

/// Bytes of `database.collection` that servers since MongoDB 4.4 take.
const LONGEST_NAMESPACE: usize = 255;

/// Why no collection of that length can be made; a time series keeps its documents under a longer name.
pub(super) fn too_long(kind: Kind, to: &Namespace) -> Option<&'static str> {
    let prefix = match kind {
        Kind::TimeSeries => BUCKETS_PREFIX.len(),
        _ => 0,
    };
    let bytes = to.database.len() + 1 + prefix + to.collection.len();
    (bytes > LONGEST_NAMESPACE)
        .then_some("no server takes more than 255 bytes of database and collection together")
}

/// Why no collection can be called so.
pub(super) fn unfit_name(from: &Namespace, to: &Namespace) -> Option<&'static str> {
    if !is_database(&to.database) {
        return Some("no server takes a database of that name");
    }
    if to.collection.is_empty() || to.collection.contains(['$', '\0']) {
        return Some("no server takes a collection of that name");
    }
    if from == to {
        return None;
    }
    let own = |namespace: &Namespace| SERVERS_OWN.contains(&namespace.database.as_str());
    if own(to) {
        return Some("that database is the server's own");
    }
    let system = |namespace: &Namespace| namespace.collection.starts_with("system.");
    if system(to) && !system(from) {
        return Some("no server takes a collection of that name");
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn selection(include: &[&str], exclude: &[&str], renames: &[&str]) -> Selection {
        let patterns = |texts: &[&str]| {
            texts
                .iter()
                .map(|text| NamespacePattern::parse(text).unwrap())
                .collect()
        };
        let renames = renames
            .iter()
            .map(|text| Rename::parse(text).unwrap())
            .collect();
        Selection {
            include: patterns(include),
            exclude: patterns(exclude),
            renames,
            drop: false,
            oplog: true,
            indexes: IndexPolicy::All,
        }
    }

    fn chosen(selection: &Selection) -> Vec<&'static str> {
        let all = [
            "shop.orders",
            "shop.sessions",
            "blog.posts",
            "admin.system.users",
            "config.x",
            "shop.system.profile",
        ];
        let of = |text: &str| {
            text.split_once('.')
                .map(|(d, c)| Namespace::new(d, c))
                .unwrap()
        };
        all.into_iter()
            .filter(|text| selection.chooses(&of(text)))
            .collect()
    }

    #[test]
    fn everything_is_chosen_but_what_is_the_servers_own_or_left_out() {
        assert_eq!(
            chosen(&selection(&[], &[], &[])),
            ["shop.orders", "shop.sessions", "blog.posts"]
        );
        assert_eq!(
            chosen(&selection(&["*.*"], &[], &[])),
            ["shop.orders", "shop.sessions", "blog.posts"]
        );
        assert_eq!(
            chosen(&selection(&["shop.*"], &["*.sess*"], &[])),
            ["shop.orders"]
        );
        assert_eq!(
            chosen(&selection(&["admin.*"], &[], &[])),
            ["admin.system.users"]
        );
    }

    #[test]
    fn the_first_rename_that_fits_counts() {
        let selection = selection(
            &[],
            &[],
            &[
                "shop.orders=shop.orders_of_may",
                "shop=old",
                "*.po*=kept_*.po*",
            ],
        );
        let to = |d: &str, c: &str| selection.target(&Namespace::new(d, c)).to_string();
        assert_eq!(to("shop", "orders"), "shop.orders_of_may");
        assert_eq!(to("shop", "a.b"), "old.a.b");
        assert_eq!(to("blog", "posts"), "kept_blog.posts");
        assert_eq!(to("blog", "other"), "blog.other");
    }

    #[test]
    fn names_that_no_server_takes_are_refused() {
        let from = Namespace::new("shop", "orders");
        for (to, fits) in [
            (Namespace::new("old", "orders"), true),
            (Namespace::new("a/b", "orders"), false),
            (Namespace::new("d".repeat(64), "orders"), false),
            (Namespace::new("admin", "orders"), false),
            (Namespace::new("old", "system.users"), false),
            (Namespace::new("old", "a$b"), false),
        ] {
            assert_eq!(unfit_name(&from, &to).is_none(), fits, "{to}");
        }
        // Also what an archive claims to hold; what is the server's own keeps its name.
        let as_it_is = |namespace: Namespace| unfit_name(&namespace, &namespace);
        assert!(
            as_it_is(Namespace::new("a.b", "c")).is_some()
                && as_it_is(Namespace::new("a", "c\0")).is_some()
        );
        assert!(as_it_is(Namespace::new("admin", "system.users")).is_none());
    }

    #[test]
    fn names_of_more_than_255_bytes_are_refused() {
        let of = |bytes: usize| Namespace::new("old", "c".repeat(bytes - "old.".len()));
        let fits = |kind, bytes| too_long(kind, &of(bytes)).is_none();
        assert!(fits(Kind::Collection, 255) && !fits(Kind::Collection, 256));
        assert!(fits(Kind::TimeSeries, 240) && !fits(Kind::TimeSeries, 241));
    }

    #[test]
    fn databases_of_a_drill_are_left_out_unless_named() {
        let scratch = Namespace::new("pk_drill_260531020000_0000beef_0", "orders");
        assert!(!selection(&[], &[], &[]).chooses(&scratch));
        assert!(selection(&["pk_drill_260531020000_0000beef_0.*"], &[], &[]).chooses(&scratch));
    }

    #[test]
    fn renames_are_read_and_slips_are_refused() {
        for text in [
            "shop",
            "shop=",
            "=x",
            "shop.*=old.x",
            "shop.a=old.*",
            "shop.*.*=x.*",
            "a b=c",
        ] {
            assert!(Rename::parse(text).is_err(), "{text}");
        }
    }
}

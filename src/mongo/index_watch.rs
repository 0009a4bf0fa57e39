//! Notices collections that mongodump lists without an index.
//!
//! Every collection has one, of `_id`: mongodump asks for the options first and for the indexes a little later, and for a
//! collection that was dropped in between the driver answers with an empty list instead of an error. If it is made anew at once,
//! as imports do, its documents come, and its other indexes would be lost without a word.

use crate::archive::metadata;
use crate::archive::namespace::{Announced, DumpSink, Kind, Namespace, StreamHeader, Totals};
use mongodb::bson::Bson;

/// A sink that looks at what passes on its way to another.
pub(super) struct IndexWatch<S> {
    pub sink: S,
    /// Whether the first one is refused.
    pub refuses: bool,
    pub unindexed: Vec<Namespace>,
}

/// Why a stream is not taken.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refusal<E> {
    #[error(transparent)]
    Sink(E),
    #[error("{0} came without an index, not even that of _id")]
    Unindexed(Namespace),
}

impl<S: DumpSink> DumpSink for IndexWatch<S> {
    type Error = Refusal<S::Error>;

    fn header(&mut self, header: &StreamHeader) -> Result<(), Self::Error> {
        self.sink.header(header).map_err(Refusal::Sink)
    }

    fn announce(&mut self, announced: Announced) -> Result<(), Self::Error> {
        if is_unindexed(&announced) {
            if self.refuses {
                return Err(Refusal::Unindexed(announced.namespace));
            }
            self.unindexed.push(announced.namespace.clone());
        }
        self.sink.announce(announced).map_err(Refusal::Sink)
    }

    fn begin(&mut self, namespace: &Namespace) -> Result<(), Self::Error> {
        self.sink.begin(namespace).map_err(Refusal::Sink)
    }

    fn data(&mut self, bytes: &[u8]) -> Result<(), Self::Error> {
        self.sink.data(bytes).map_err(Refusal::Sink)
    }

    fn end(&mut self, totals: Totals) -> Result<(), Self::Error> {
        self.sink.end(totals).map_err(Refusal::Sink)
    }
}

/// Views have none, nor has a time series; the server's own collections are left alone, some of which are special.
fn is_unindexed(announced: &Announced) -> bool {
    let is_empty = |text: &str| {
        let parsed = metadata::parse(text);
        parsed.is_ok_and(|known| known.get("indexes") == Some(&Bson::Array(Vec::new())))
    };
    announced.kind == Kind::Collection
        && !announced.namespace.is_servers_own()
        && is_empty(&announced.metadata)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_owners_collection_has_to_have_an_index() {
        let own = Namespace::new("shop", "orders");
        let id = r#"{"indexes":[{"v":2,"key":{"_id":1},"name":"_id_"}]}"#;
        for (kind, namespace, text, unindexed) in [
            (Kind::Collection, &own, r#"{"indexes":[]}"#, true),
            (Kind::Collection, &own, id, false),
            (Kind::Collection, &own, "{}", false),
            (Kind::Collection, &own, "nonsense", false),
            (Kind::View, &own, r#"{"indexes":[]}"#, false),
            (Kind::TimeSeries, &own, r#"{"indexes":[]}"#, false),
            (
                Kind::Collection,
                &Namespace::new("config", "x"),
                r#"{"indexes":[]}"#,
                false,
            ),
        ] {
            let announced = Announced {
                namespace: namespace.clone(),
                kind,
                metadata: text.to_owned(),
            };
            assert_eq!(is_unindexed(&announced), unindexed, "{announced:?}");
        }
    }
}

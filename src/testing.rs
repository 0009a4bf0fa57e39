//! Dumps and archives made up for tests.

use crate::archive::compression::Compression;
use crate::archive::container::appender::Written;
use crate::archive::container::{ArchiveSink, Plan, WriteError};
use crate::archive::crc64;
use crate::archive::manifest::{Manifest, Server, Topology};
use crate::archive::namespace::{Announced, DumpSink, Kind, Namespace, StreamHeader, Totals};
use crate::sys::time_zone::Tz;
use chrono::{DateTime, Utc};
use mongodb::bson::{Document, doc};
use std::fs::File;
use std::num::NonZeroUsize;
use std::sync::Arc;

/// A time zone that there is.
pub(crate) fn zone(name: &str) -> Tz {
    name.parse().unwrap()
}

/// A namespace and its documents, as BSON.
#[derive(Clone)]
pub(crate) struct Sample {
    pub namespace: Namespace,
    pub kind: Kind,
    pub documents: Vec<Vec<u8>>,
}

impl Sample {
    pub(crate) fn new(database: &str, collection: &str, documents: Vec<Vec<u8>>) -> Self {
        Sample {
            namespace: Namespace::new(database, collection),
            kind: Kind::Collection,
            documents,
        }
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.documents.concat()
    }

    pub(crate) fn totals(&self) -> Totals {
        let bytes = self.bytes();
        let crc64 = crc64::checksum(&bytes);
        Totals {
            documents: self.documents.len() as u64,
            bytes: bytes.len() as u64,
            crc64,
        }
    }

    fn announced(&self) -> Announced {
        let metadata = match self.kind {
            Kind::Oplog => String::new(),
            _ => r#"{"indexes":[]}"#.to_owned(),
        };
        Announced {
            namespace: self.namespace.clone(),
            kind: self.kind,
            metadata,
        }
    }
}

pub(crate) fn encode(document: &Document) -> Vec<u8> {
    document.to_vec().unwrap()
}

/// A few collections of different shapes: one of some blocks, one small, one empty, a view, an oplog.
pub(crate) fn kitchen(large_bytes: usize) -> Vec<Sample> {
    let noise = |seed: u64, bytes: usize| -> Vec<u8> {
        // Not compressible, so that members are about as large as their blocks.
        let mut state = seed;
        let mut next = || {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as u8
        };
        (0..bytes).map(|_| next()).collect()
    };
    let binary = |bytes| bson::Binary {
        subtype: bson::spec::BinarySubtype::Generic,
        bytes,
    };
    let photos = (0..large_bytes.div_ceil(40_000)).map(|n| {
        encode(&doc! { "_id": n as i64, "photo": binary(noise(n as u64, 40_000.min(large_bytes))) })
    });
    let recipes = (0..20).map(|n| {
        encode(&doc! { "_id": n, "title": format!("Soup {n}"), "steps": ["cut", "boil"] })
    });
    let mut view = Sample::new("jorbites", "soups", Vec::new());
    view.kind = Kind::View;
    let mut oplog = Sample::new("", "oplog", vec![encode(&doc! { "op": "n" })]);
    oplog.kind = Kind::Oplog;
    vec![
        Sample::new("jorbites", "photos", photos.collect()),
        Sample::new("jorbites", "recipes", recipes.collect()),
        Sample::new(
            "jorbites",
            &format!("long {}", "ñ".repeat(60)),
            vec![encode(&doc! { "_id": 1 })],
        ),
        Sample::new("jorbites", "empty", Vec::new()),
        view,
        oplog,
    ]
}

pub(crate) fn noon() -> DateTime<Utc> {
    "2025-05-31T12:00:00Z".parse().unwrap()
}

pub(crate) const STEM: &str = "jorbites_backup_20250531_120000";

fn plan(name: &str, started_at: DateTime<Utc>, compression: Compression) -> Plan {
    Plan {
        name: name.to_owned(),
        compression,
        level: 6,
        threads: NonZeroUsize::new(2).unwrap(),
        waiting: 7,
        started_at,
        server: Server {
            version: "8.0.0".into(),
            hosts: "db:27017".into(),
            topology: Topology::ReplicaSet,
        },
    }
}

/// Writes an archive of these samples, compressed so.
pub(crate) fn archive_in(
    file: &File,
    samples: &[Sample],
    compression: Compression,
) -> Result<(Written, Manifest), WriteError> {
    write(file, samples, plan(STEM, noon(), compression))
}

/// Writes an archive of these samples, with a name and a time.
pub(crate) fn archive_named(
    file: &File,
    samples: &[Sample],
    name: &str,
    started_at: DateTime<Utc>,
) -> Result<(Written, Manifest), WriteError> {
    write(file, samples, plan(name, started_at, Compression::Gzip))
}

fn write(file: &File, samples: &[Sample], plan: Plan) -> Result<(Written, Manifest), WriteError> {
    let mut sink = ArchiveSink::create(Arc::new(file.try_clone().unwrap()), plan)?;
    sink.header(&StreamHeader {
        server_version: "8.0.0".into(),
        tool_version: "100.12.2".into(),
    })?;
    for sample in samples {
        sink.announce(sample.announced())?;
    }
    for sample in samples {
        sink.begin(&sample.namespace)?;
        for document in &sample.documents {
            sink.data(document)?;
        }
        sink.end(sample.totals())?;
    }
    sink.finish(noon())
}

/// Writes an archive of one view that is defined by `metadata`.
pub(crate) fn archive_of_view(file: &File, metadata: &str) -> Manifest {
    let plan = plan(STEM, noon(), Compression::Gzip);
    let mut sink = ArchiveSink::create(Arc::new(file.try_clone().unwrap()), plan).unwrap();
    sink.header(&StreamHeader {
        server_version: "8.0.0".into(),
        tool_version: "100.12.2".into(),
    })
    .unwrap();
    let mut view = Sample::new("shop", "view", Vec::new());
    view.kind = Kind::View;
    let mut announced = view.announced();
    announced.metadata = metadata.into();
    sink.announce(announced).unwrap();
    sink.begin(&view.namespace).unwrap();
    sink.end(view.totals()).unwrap();
    sink.finish(noon()).unwrap().1
}

/// mongodump's archive stream for these samples.
pub(crate) fn stream(samples: &[Sample]) -> Vec<u8> {
    const TERMINATOR: [u8; 4] = [0xff; 4];
    let mut bytes = 0x8199_e26d_u32.to_le_bytes().to_vec();
    bytes.extend(encode(&doc! {
        "concurrent_collections": 1, "version": "0.1", "server_version": "8.0.0", "tool_version": "100.12.2",
    }));
    for sample in samples {
        let kind = match sample.kind {
            Kind::View => "view",
            Kind::TimeSeries => "timeseries",
            Kind::Collection | Kind::Oplog => "",
        };
        let Namespace {
            database,
            collection,
        } = &sample.namespace;
        let metadata = sample.announced().metadata;
        bytes.extend(encode(&doc! {
            "db": database, "collection": collection, "metadata": metadata, "size": 0, "type": kind,
        }));
    }
    bytes.extend(TERMINATOR);
    for sample in samples {
        let Namespace {
            database,
            collection,
        } = &sample.namespace;
        let collection = match sample.kind {
            Kind::TimeSeries => format!("system.buckets.{collection}"),
            _ => collection.clone(),
        };
        let header = |eof: bool, crc: i64| {
            encode(&doc! { "db": database, "collection": &collection, "EOF": eof, "CRC": crc })
        };
        // mongodump flushes its buffer now and then, and once more at the end, even when it is empty.
        for part in sample
            .documents
            .chunks(7)
            .map(<[_]>::concat)
            .chain([Vec::new()])
        {
            bytes.extend(header(false, 0));
            bytes.extend(part);
            bytes.extend(TERMINATOR);
        }
        bytes.extend(header(true, sample.totals().crc64 as i64));
        bytes.extend(TERMINATOR);
    }
    bytes
}

/// Writes an archive of one collection that holds `document` many times; its bytes of BSON are returned.
pub(crate) fn archive_of_one_large(
    file: &File,
    document: &[u8],
    times: u64,
) -> Result<u64, WriteError> {
    let sample = Sample::new("jorbites", "large", Vec::new());
    let mut sink = ArchiveSink::create(
        Arc::new(file.try_clone().unwrap()),
        plan(STEM, noon(), Compression::Gzip),
    )?;
    sink.header(&StreamHeader {
        server_version: "8.0.0".into(),
        tool_version: "100.12.2".into(),
    })?;
    sink.announce(sample.announced())?;
    sink.begin(&sample.namespace)?;
    let mut crc = crc64::Digest::new();
    for _ in 0..times {
        crc.write(document);
        sink.data(document)?;
    }
    let bytes = document.len() as u64 * times;
    sink.end(Totals {
        documents: times,
        bytes,
        crc64: crc.sum64(),
    })?;
    sink.finish(noon())?;
    Ok(bytes)
}

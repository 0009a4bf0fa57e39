use super::{StreamError, Streamed, Watch, read};
use crate::archive::dump_stream::writer::StreamWriter;
use crate::archive::namespace::{Announced, DumpSink, Kind, Namespace, StreamHeader, Totals};
use crate::sys::progress::{Meter, Screen, Unit};
use crate::testing::{Sample, encode, kitchen, stream};
use mongodb::bson::doc;
use proptest::prelude::*;
use std::convert::Infallible;
use std::io::{self, Read};

/// Keeps what it is told.
#[derive(Default, Debug, PartialEq)]
struct Kept {
    headers: usize,
    announced: Vec<Namespace>,
    ended: Vec<(Namespace, Vec<u8>, Totals)>,
    open: Option<(Namespace, Vec<u8>)>,
}

impl DumpSink for Kept {
    type Error = Infallible;

    fn header(&mut self, _: &StreamHeader) -> Result<(), Infallible> {
        self.headers += 1;
        Ok(())
    }

    fn announce(&mut self, announced: Announced) -> Result<(), Infallible> {
        self.announced.push(announced.namespace);
        Ok(())
    }

    fn begin(&mut self, namespace: &Namespace) -> Result<(), Infallible> {
        assert!(self.open.replace((namespace.clone(), Vec::new())).is_none());
        Ok(())
    }

    fn data(&mut self, bytes: &[u8]) -> Result<(), Infallible> {
        self.open.as_mut().unwrap().1.extend_from_slice(bytes);
        Ok(())
    }

    fn end(&mut self, totals: Totals) -> Result<(), Infallible> {
        let (namespace, bytes) = self.open.take().unwrap();
        self.ended.push((namespace, bytes, totals));
        Ok(())
    }
}

struct Unwatched;

impl Watch for Unwatched {
    fn moved(&mut self, _: u64) {}
    fn at(&mut self, _: &Namespace, _: u64) {}
}

/// Gives out a few bytes at a time, as a pipe may.
struct Trickle<'b> {
    bytes: &'b [u8],
    step: usize,
}

impl Read for Trickle<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let step = self.step.min(buffer.len()).min(self.bytes.len());
        buffer[..step].copy_from_slice(&self.bytes[..step]);
        self.bytes = &self.bytes[step..];
        Ok(step)
    }
}

type Result1 = Result<Streamed, StreamError<Infallible>>;

fn run(bytes: &[u8], step: usize) -> (Kept, Result1) {
    let mut kept = Kept::default();
    let result = read(Trickle { bytes, step }, &mut kept, &mut Unwatched, |_| true);
    (kept, result)
}

fn weather() -> Sample {
    let mut sample = Sample::new("home", "weather", vec![encode(&doc! { "_id": 1 })]);
    sample.kind = Kind::TimeSeries;
    sample
}

#[test]
fn every_document_arrives_however_the_pipe_cuts_the_stream() {
    let mut samples = kitchen(90_000);
    samples.push(weather());
    let bytes = stream(&samples);
    for step in [1, 2, 3, 5, 7, 4093, usize::MAX] {
        let (kept, result) = run(&bytes, step);
        assert_eq!(result.unwrap().namespaces, samples.len() as u64);
        let expected = samples
            .iter()
            .map(|sample| (sample.namespace.clone(), sample.bytes(), sample.totals()));
        assert!(kept.ended.into_iter().eq(expected), "step {step}");
    }
}

#[test]
fn a_stream_cut_at_any_byte_is_never_taken_for_a_whole_one() {
    let bytes = stream(&[
        Sample::new("d", "c", vec![encode(&doc! { "a": 1 }); 3]),
        weather(),
    ]);
    for length in 0..bytes.len() {
        assert!(
            run(&bytes[..length], usize::MAX).1.is_err(),
            "cut after {length} of {} bytes",
            bytes.len()
        );
    }
    assert!(run(&bytes, usize::MAX).1.is_ok());
}

#[test]
fn a_bit_flipped_in_any_document_is_noticed() {
    let documents =
        vec![encode(&doc! { "title": "Soup", "n": 7, "nested": { "a": [1, 2, 3] } }); 3];
    let bytes = stream(&[Sample::new("d", "c", documents.clone())]);
    let block = documents.concat();
    let start = bytes
        .windows(block.len())
        .position(|window| window == block)
        .unwrap();
    for bit in start * 8..(start + block.len()) * 8 {
        let mut flipped = bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert!(run(&flipped, usize::MAX).1.is_err(), "bit {bit}");
    }
}

#[test]
fn what_is_not_wanted_is_checked_but_not_handed_on() {
    let samples = [
        Sample::new("d", "keep", vec![encode(&doc! { "a": 1 })]),
        Sample::new("d", "drop", vec![encode(&doc! {})]),
    ];
    let mut kept = Kept::default();
    let wanted = |namespace: &Namespace| namespace.collection == "keep";
    let result = read(
        stream(&samples).as_slice(),
        &mut kept,
        &mut Unwatched,
        wanted,
    )
    .unwrap();
    assert_eq!((result.namespaces, result.documents), (1, 1));
    assert_eq!(kept.announced, [samples[0].namespace.clone()]);
    assert_eq!(kept.ended.len(), 1);
}

#[test]
fn refusals_name_what_is_wrong() {
    let message = |bytes: &[u8]| run(bytes, usize::MAX).1.unwrap_err().to_string();
    assert_eq!(message(b""), "mongodump's output stopped before it began");
    assert!(message(b"\x1f\x8b\x08\x00 gzip").contains("its first bytes are wrong"));

    let one = Sample::new("d", "c", vec![encode(&doc! { "a": 1 })]);
    let mut other = one.clone();
    other.documents = vec![encode(&doc! { "a": 2 })];
    // The documents of one stream with the checksum of another.
    let mixed: Vec<u8> = {
        let (a, b) = (stream(std::slice::from_ref(&one)), stream(&[other]));
        let cut = a.len() - 60;
        [&a[..cut], &b[cut..]].concat()
    };
    assert!(
        message(&mixed).starts_with("d.c: the checksum of what arrived ("),
        "{}",
        message(&mixed)
    );

    let twice = [one.clone(), one];
    assert!(message(&stream(&twice)).ends_with("d.c goes on after its end"));
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..2000), magic: bool) {
        let mut input = if magic { 0x8199_e26d_u32.to_le_bytes().to_vec() } else { Vec::new() };
        input.extend(bytes);
        let _ = run(&input, 17);
    }

    #[test]
    fn no_damage_makes_it_panic(at in any::<prop::sample::Index>(), value: u8) {
        let mut bytes = stream(&kitchen(50_000));
        let at = at.index(bytes.len());
        bytes[at] = value;
        let _ = run(&bytes, 4096);
    }
}

/// What is written for mongorestore is what mongodump would have written, as far as that can be told apart.
#[test]
fn what_a_restore_writes_is_such_a_stream() {
    let mut samples = kitchen(300_000);
    let mut weather = Sample::new(
        "home",
        "weather",
        vec![encode(&doc! { "_id": 1, "data": { "x": [1, 2] } })],
    );
    weather.kind = Kind::TimeSeries;
    samples.push(weather);
    let meter = Meter::new("restoring", Unit::Bytes, None, &Screen::default());
    let mut written = Vec::new();
    let mut writer = StreamWriter::new(&mut written, meter.watch());
    writer
        .header(&StreamHeader {
            server_version: "8.0.0".into(),
            tool_version: "100.12.2".into(),
        })
        .unwrap();
    for sample in &samples {
        let Sample {
            namespace, kind, ..
        } = sample.clone();
        writer
            .announce(Announced {
                namespace,
                kind,
                metadata: "{}".into(),
            })
            .unwrap();
    }
    for sample in &samples {
        writer.begin(&sample.namespace).unwrap();
        for document in &sample.documents {
            writer.data(document).unwrap();
        }
        writer.end(sample.totals()).unwrap();
    }
    writer.finish().unwrap();
    assert_eq!(meter.stream_bytes(), written.len() as u64);
    let mut kept = Kept::default();
    read(written.as_slice(), &mut kept, &mut Unwatched, |_| true).unwrap();
    let expected: Vec<_> = samples
        .iter()
        .map(|sample| (sample.namespace.clone(), sample.bytes(), sample.totals()))
        .collect();
    assert_eq!(kept.ended, expected);
    // One that was not finished ends where mongorestore notices.
    for cut in [0, 4, 200, written.len() / 2, written.len() - 1] {
        assert!(
            read(
                &written[..cut],
                &mut Kept::default(),
                &mut Unwatched,
                |_| true
            )
            .is_err(),
            "{cut}"
        );
    }
}

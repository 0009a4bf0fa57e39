use super::*;
use crate::settings::{OffsiteCredentials, OffsitePlace};
use crate::store::remote::{Access, Proof, StoreErrorKind, Transfer};
use crate::sys::redact::{Redactor, Secret};
use sha2::Sha256;
use std::fs::{self, File};
use std::net::SocketAddr;
use std::sync::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

/// What becomes of the body of a PUT.
#[derive(Clone, Copy)]
enum Manner {
    Taken,
    /// Not read, and never answered.
    Hung,
    /// So much of it is read, then the connection ends.
    CutAfter(usize),
    /// Read, and answered with this.
    Refused(&'static str),
}

use Manner::{CutAfter, Hung, Refused, Taken};

#[derive(Default)]
struct Seen {
    /// What the next PUTs meet; those that follow are taken.
    manners: Vec<Manner>,
    /// How many PUT there were.
    puts: usize,
    /// Part number and length of what was taken.
    taken: Vec<(String, usize)>,
    md5s: Vec<[u8; 16]>,
    /// How often it still says that it could not put the parts together, in an answer of success.
    stumbles: usize,
    done: bool,
}

type Shared = Arc<Mutex<Seen>>;

/// A service that takes one object.
async fn service(manners: &[Manner]) -> (SocketAddr, Shared) {
    let socket = TcpSocket::new_v4().unwrap();
    // What is not read must not vanish in buffers.
    socket.set_recv_buffer_size(64 * 1024).unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(16).unwrap();
    let address = listener.local_addr().unwrap();
    let seen = Shared::default();
    seen.lock().unwrap().manners = manners.to_vec();
    let shared = Arc::clone(&seen);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream, Arc::clone(&shared)));
        }
    });
    (address, seen)
}

async fn serve(mut stream: TcpStream, seen: Shared) {
    loop {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            match stream.read_u8().await {
                Ok(byte) => head.push(byte),
                Err(_) => return,
            }
        }
        let head = String::from_utf8(head).unwrap().to_lowercase();
        let length = head.split("content-length: ").nth(1);
        let length = length.map_or(0, |rest| rest.lines().next().unwrap().parse().unwrap());
        let manner = match head.starts_with("put ") {
            true => {
                let mut seen = seen.lock().unwrap();
                seen.puts += 1;
                match seen.manners.is_empty() {
                    true => Taken,
                    false => seen.manners.remove(0),
                }
            }
            false => Taken,
        };
        let most = match manner {
            Hung => std::future::pending().await,
            CutAfter(bytes) => bytes.min(length),
            Taken | Refused(_) => length,
        };
        let mut body = vec![0; most];
        if stream.read_exact(&mut body).await.is_err() {
            return;
        }
        let answer = match manner {
            Taken => answer(&head, &body, &seen),
            Refused(answer) => format!("HTTP/1.1 {answer}\r\ncontent-length: 0\r\n\r\n"),
            Hung | CutAfter(_) => return,
        };
        if stream.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
    }
}

fn answer(head: &str, body: &[u8], seen: &Shared) -> String {
    let mut seen = seen.lock().unwrap();
    let whole = |text: &str| {
        let length = text.len();
        format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n{text}")
    };
    let total: usize = seen.taken.iter().map(|(_, bytes)| bytes).sum();
    if head.starts_with("head ") {
        let mut all = Md5::new();
        seen.md5s.iter().for_each(|md5| all.update(md5));
        let etag = match &seen.md5s[..] {
            [one] => hex::encode(one),
            many => format!("{}-{}", hex::encode(all.finalize()), many.len()),
        };
        return match seen.done {
            true => {
                format!("HTTP/1.1 200 OK\r\ncontent-length: {total}\r\netag: \"{etag}\"\r\n\r\n")
            }
            false => "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n".into(),
        };
    }
    if head.starts_with("put ") {
        let sha256 = hex::encode(Sha256::digest(body));
        assert!(
            head.contains(&format!("x-amz-content-sha256: {sha256}")),
            "{head}"
        );
        let number = head.split("partnumber=").nth(1).unwrap_or_default();
        let number: String = number.chars().take_while(char::is_ascii_digit).collect();
        seen.done = number.is_empty();
        let (at, md5) = (number.parse().unwrap_or(1) - 1, Md5::digest(body).into());
        let room = seen.md5s.len().max(at + 1);
        seen.md5s.resize(room, [0; 16]);
        seen.md5s[at] = md5;
        seen.taken.push((number, body.len()));
        let etag = hex::encode(md5);
        return format!("HTTP/1.1 200 OK\r\ncontent-length: 0\r\netag: \"{etag}\"\r\n\r\n");
    }
    if head.starts_with("post ") && head.contains("uploadid=") {
        if seen.stumbles > 0 {
            seen.stumbles -= 1;
            return whole("<Error><Code>InternalError</Code><Message>try again</Message></Error>");
        }
        seen.done = true;
        return whole("<CompleteMultipartUploadResult/>");
    }
    whole("<InitiateMultipartUploadResult><UploadId>one</UploadId></InitiateMultipartUploadResult>")
}

fn store(address: SocketAddr, scratch: &std::path::Path) -> S3Store {
    let credentials = OffsiteCredentials {
        aws_access_key_id: Some("key".into()),
        aws_secret_access_key: Some(Secret::new("secret")),
        ..OffsiteCredentials::default()
    };
    let place = OffsitePlace::S3 {
        bucket: "pantry".into(),
        prefix: String::new(),
        region: None,
        endpoint: Some(format!("http://{address}")),
        service: None,
        shown_whole: false,
    };
    let access = Access {
        credentials: &credentials,
        environment: &[],
        redactor: &Redactor::default(),
        now: chrono::Utc::now,
        bandwidth: None,
        scratch,
    };
    S3Store::new(&place, &access).unwrap()
}

/// An archive of so many bytes, in a folder that goes with it.
struct Archive {
    folder: tempfile::TempDir,
    bytes: u64,
    transfer: Arc<Transfer>,
}

impl Archive {
    fn of(bytes: u64) -> Self {
        let archive = Archive {
            folder: tempfile::tempdir().unwrap(),
            bytes,
            transfer: Transfer::new(None),
        };
        let content: Vec<u8> = (0..bytes).map(|at| (at / 3 % 251) as u8).collect();
        fs::write(archive.path(), content).unwrap();
        archive
    }

    fn path(&self) -> std::path::PathBuf {
        self.folder.path().join("a.tar.gz")
    }

    fn source(&self) -> Source {
        let sha256 = Sha256::digest(fs::read(self.path()).unwrap()).into();
        let file = File::open(self.path()).unwrap();
        Source::of_file(file, self.path(), self.bytes, sha256, &self.transfer)
    }

    async fn send(&self, address: SocketAddr, limit: Duration) -> Result<Proof, StoreError> {
        let store = store(address, self.folder.path());
        let putting = store.put("a.tar.gz", self.source());
        self.transfer.unless_stalled(limit, putting).await
    }
}

const LIMIT: Duration = Duration::from_secs(20);
/// Two parts and a half.
const BYTES: u64 = PART_BYTES * 5 / 2;

#[tokio::test]
async fn what_is_not_taken_is_not_counted() {
    let (address, _) = service(&[Hung; 2]).await;
    let archive = Archive::of(3 * PART_BYTES);
    let sending = archive.send(address, LIMIT);
    tokio::pin!(sending);
    // Until nothing moves any more.
    let (mut before, mut still) = (0, 0);
    while before == 0 || still < 5 {
        let look = tokio::time::timeout(Duration::from_millis(100), &mut sending);
        assert!(look.await.is_err(), "it is on its way");
        let moved = archive.transfer.moved();
        still = if moved == before { still + 1 } else { 0 };
        before = moved;
    }
    // What the kernel holds has been sent as far as can be seen.
    assert!(
        before < 2 * PART_BYTES,
        "{before} bytes of two parts that nobody reads"
    );
}

#[tokio::test]
async fn what_hangs_breaks_off_or_meets_a_busy_service_goes_again_and_counts_once() {
    let manners = [
        Refused("503 Slow Down"),
        CutAfter(100_000),
        Hung,
        CutAfter(5_000_000),
        Refused("500 Internal Server Error"),
        CutAfter(0),
    ];
    let (address, seen) = service(&manners).await;
    let archive = Archive::of(BYTES);
    let proof = archive.send(address, Duration::from_secs(2)).await;
    assert_eq!(proof.unwrap(), Proof::Confirmed);
    assert_eq!(archive.transfer.moved(), BYTES);
    let seen = seen.lock().unwrap();
    assert_eq!(seen.puts, 3 + manners.len());
    let mut taken = seen.taken.clone();
    taken.sort();
    let part = PART_BYTES as usize;
    assert_eq!(
        taken,
        [
            ("1".into(), part),
            ("2".into(), part),
            ("3".into(), part / 2)
        ]
    );
}

#[tokio::test]
async fn parts_that_could_not_be_put_together_at_once_are_not_sent_again() {
    let (address, seen) = service(&[]).await;
    seen.lock().unwrap().stumbles = 2;
    let archive = Archive::of(BYTES);
    let proof = archive.send(address, LIMIT).await;
    assert_eq!(proof.unwrap(), Proof::Confirmed);
    assert_eq!(seen.lock().unwrap().puts, 3);
}

#[tokio::test]
async fn a_small_one_goes_again_too() {
    let manners = [
        Refused("503 Slow Down"),
        Hung,
        CutAfter(1000),
        Refused("503 Slow Down"),
    ];
    let (address, seen) = service(&manners).await;
    let archive = Archive::of(300_000);
    let proof = archive.send(address, Duration::from_secs(1)).await;
    assert_eq!(proof.unwrap(), Proof::Confirmed);
    assert_eq!(
        (archive.transfer.moved(), seen.lock().unwrap().puts),
        (300_000, 5)
    );
}

#[tokio::test]
async fn a_refusal_is_not_asked_again() {
    for (refusal, kind) in [
        ("403 Forbidden", StoreErrorKind::Denied),
        ("507 Insufficient Storage", StoreErrorKind::Full),
        ("400 Bad Request", StoreErrorKind::Other),
    ] {
        let (address, seen) = service(&[Refused(refusal); 9]).await;
        let archive = Archive::of(BYTES);
        let error = archive.send(address, LIMIT).await.unwrap_err();
        assert_eq!(error.kind, kind, "{error}");
        assert!(seen.lock().unwrap().puts <= AT_A_TIME);
    }
}

#[tokio::test]
async fn an_archive_that_changes_after_it_was_read_is_not_sent_to_its_end() {
    let (address, seen) = service(&[Refused("503 Slow Down")]).await;
    let archive = Archive::of(300_000);
    let store = store(address, archive.folder.path());
    let mut source = archive.source();
    let load = store
        .load("a.tar.gz", &mut source, PART_BYTES, 1)
        .await
        .unwrap();
    let file = File::options().write(true).open(archive.path()).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&file, b"other", 200_000).unwrap();
    let error = store
        .put_whole("a.tar.gz", "a.tar.gz", &load)
        .await
        .unwrap_err();
    assert_eq!(error.kind, StoreErrorKind::Local, "{error}");
    assert!(seen.lock().unwrap().taken.is_empty());
}

#[test]
fn the_parts_are_as_many_as_a_service_takes_and_none_of_them_is_empty() {
    const GB: u64 = 1_000_000_000;
    for bytes in [
        PART_BYTES + 1,
        GB,
        8 * GB,
        10 * GB,
        100 * GB,
        75_497_472_001,
        4_000 * GB,
    ] {
        for (host, most) in [
            ("s3.amazonaws.com", 9_000),
            ("127.0.0.1:9000", 9_000),
            ("s3.fr-par.scw.cloud", 900),
            ("b.s3.nl-ams.scw.cloud:443", 900),
        ] {
            let (part, count) = in_parts(bytes, PART_BYTES, host);
            assert!(
                part >= PART_BYTES && part % PIECE_BYTES as u64 == 0,
                "{bytes}"
            );
            assert!(count as u64 <= most, "{bytes} at {host}: {count}");
            let last = bytes - (count as u64 - 1) * part;
            assert!(
                last > 0 && last <= part,
                "{bytes} at {host}: {last} in the last"
            );
        }
    }
    let sealed = in_parts(40 * GB, SEALED_PART_BYTES, "s3.amazonaws.com");
    assert_eq!(sealed.0, SEALED_PART_BYTES);
    assert_eq!(
        in_parts(70 * GB, PART_BYTES, "s3.amazonaws.com").0,
        PART_BYTES
    );
}

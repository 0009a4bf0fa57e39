//! MongoDB's wire protocol, as far as a relay has to read it: a header, and one document of a command or an answer.

use mongodb::bson::{Bson, Document, doc};
use std::io::{self, Read, Write};

const HEADER_BYTES: usize = 16;
/// No server takes a longer message.
const LONGEST: usize = 48_000_000;
const OP_REPLY: i32 = 1;
const OP_MSG: i32 = 2013;
/// In an OP_MSG: nobody waits for an answer.
const MORE_TO_COME: u32 = 2;
/// Flags, a cursor, where it starts, and how many documents follow.
const REPLY_PREFIX: usize = 20;

/// A whole message with its header.
pub(super) struct Message(Vec<u8>);

impl Message {
    /// The next one; none when the other side has closed the connection.
    pub(super) fn read(from: &mut impl Read) -> io::Result<Option<Self>> {
        let mut length = [0; 4];
        match from.read_exact(&mut length) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
            other => other?,
        }
        let bytes = u32::from_le_bytes(length) as usize;
        if !(HEADER_BYTES..=LONGEST).contains(&bytes) {
            return Err(io::Error::other(format!("a message of {bytes} bytes")));
        }
        let mut message = vec![0; bytes];
        message[..4].copy_from_slice(&length);
        from.read_exact(&mut message[4..])?;
        Ok(Some(Message(message)))
    }

    pub(super) fn write(&self, to: &mut impl Write) -> io::Result<()> {
        to.write_all(&self.0)
    }

    /// A command for a database.
    pub(super) fn command(id: i32, database: &str, mut command: Document) -> Self {
        command.insert("$db", database);
        Self::of(id, 0, &command)
    }

    /// What a server would say to this message.
    pub(super) fn answer(&self, answer: &Document) -> Self {
        Self::of(0, self.number(4), answer)
    }

    fn of(id: i32, to: i32, document: &Document) -> Self {
        let body = document.to_vec().unwrap();
        let length = (HEADER_BYTES + 4 + 1 + body.len()) as i32;
        let mut bytes = Vec::new();
        for number in [length, id, to, OP_MSG, 0] {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        bytes.push(0);
        bytes.extend_from_slice(&body);
        Message(bytes)
    }

    fn number(&self, at: usize) -> i32 {
        self.0
            .get(at..at + 4)
            .map_or(0, |bytes| i32::from_le_bytes(bytes.try_into().unwrap()))
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether an answer is waited for.
    pub(super) fn is_awaited(&self) -> bool {
        self.number(12) != OP_MSG || self.number(16) as u32 & MORE_TO_COME == 0
    }

    /// The command or the answer, with the documents that are sent beside it in their place.
    pub(super) fn document(&self) -> Option<Document> {
        match self.number(12) {
            OP_MSG => self.sections(),
            OP_REPLY => Document::from_reader(self.0.get(HEADER_BYTES + REPLY_PREFIX..)?).ok(),
            _ => None,
        }
    }

    fn sections(&self) -> Option<Document> {
        let (mut rest, mut body, mut beside) =
            (self.0.get(HEADER_BYTES + 4..)?, None, Document::new());
        while rest.len() > 4 {
            let (kind, section) = rest.split_first()?;
            let length = i32::from_le_bytes(section.get(..4)?.try_into().ok()?) as usize;
            let (content, after) = section.split_at_checked(length)?;
            if *kind == 0 {
                body = Document::from_reader(content).ok();
            } else {
                let end = content.get(4..)?.iter().position(|byte| *byte == 0)? + 4;
                let name = std::str::from_utf8(&content[4..end]).ok()?;
                let (mut documents, mut values) = (&content[end + 1..], Vec::new());
                while !documents.is_empty() {
                    values.push(Bson::Document(Document::from_reader(&mut documents).ok()?));
                }
                beside.insert(name, values);
            }
            rest = after;
        }
        let mut body = body?;
        body.extend(beside);
        Some(body)
    }

    /// The same answer with another document.
    pub(super) fn saying(&self, document: &Document) -> Self {
        if self.number(12) == OP_MSG {
            let mut message = Self::of(self.number(4), self.number(8), document);
            message.0[16..20].copy_from_slice(&self.0[16..20]);
            // Without the checksum, if there was one.
            message.0[16] &= !1;
            return message;
        }
        let mut bytes = self.0[..HEADER_BYTES + REPLY_PREFIX].to_vec();
        bytes.extend_from_slice(&document.to_vec().unwrap());
        let length = bytes.len() as u32;
        bytes[..4].copy_from_slice(&length.to_le_bytes());
        Message(bytes)
    }
}

/// Why a server refuses something.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Refusal {
    pub code: i32,
    pub name: &'static str,
    pub message: String,
}

impl Refusal {
    pub(crate) fn new(code: i32, name: &'static str, message: impl Into<String>) -> Self {
        Refusal {
            code,
            name,
            message: message.into(),
        }
    }

    pub(crate) fn document(&self) -> Document {
        doc! { "ok": 0.0, "errmsg": &self.message, "code": self.code, "codeName": self.name }
    }
}

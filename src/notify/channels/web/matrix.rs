//! Matrix: <https://spec.matrix.org/v1.11/client-server-api/#put_matrixclientv3roomsroomidsendeventtypetxnid>.

use super::{Inquiry, Message, Notification, Post, Service, field, with_subject};
use crate::sys::http::Answer;
use crate::sys::redact::{Secret, percent_encode};
use serde_json::json;

/// An event may have 64 KiB in all.
const LONGEST_TEXT_CHARS: usize = 8_000;

pub(super) struct Matrix {
    server: String,
    token: Secret,
    room: String,
}

impl Matrix {
    pub(super) fn new(server: String, token: Secret, room: String) -> Self {
        Matrix {
            server,
            token,
            room,
        }
    }

    fn signed(&self, post: Post) -> Post {
        post.with("authorization", format!("Bearer {}", self.token.expose()))
    }
}

impl Service for Matrix {
    fn kind(&self) -> &'static str {
        "matrix"
    }

    fn server(&self) -> &str {
        &self.server
    }

    fn identity(&self) -> String {
        self.room.clone()
    }

    fn compose(&self, notification: &Notification, message: &Message) -> Post {
        let body = json!({
            "msgtype": "m.text",
            "body": with_subject(message, LONGEST_TEXT_CHARS),
        });
        // The same transaction however often it is tried, so that the room gets it once.
        let uri = format!(
            "{}/_matrix/client/v3/rooms/{}/send/m.room.message/{}",
            self.server,
            percent_encode(&self.room),
            percent_encode(&notification.id)
        );
        self.signed(Post::json("PUT", uri, &body))
    }

    fn inquiry(&self) -> Inquiry {
        // <https://spec.matrix.org/v1.11/client-server-api/#get_matrixclientv3joined_rooms>
        let uri = format!("{}/_matrix/client/v3/joined_rooms", self.server);
        Inquiry::Ask(self.signed(Post::get(uri)))
    }

    fn refusal(&self, answer: &Answer) -> Option<String> {
        match field(answer, "event_id") {
            Some(_) => None,
            None => Some("it answered without the id of an event".into()),
        }
    }

    fn inquired(&self, answer: &Answer) -> Result<String, String> {
        let rooms = field(answer, "joined_rooms");
        let rooms = rooms.as_ref().and_then(|rooms| rooms.as_array());
        match rooms {
            Some(rooms) if rooms.iter().any(|room| *room == self.room) => {
                Ok("the user is in the room".into())
            }
            Some(_) => Err("the user is not in the room".into()),
            None => Err("it does not take the access token".into()),
        }
    }

    fn help(&self) -> &'static str {
        "check the access token, and that its user has joined the room"
    }
}

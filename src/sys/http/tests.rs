use super::*;
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

const LIMIT: Duration = Duration::from_secs(20);

/// A server that gives the same answer to every connection, and leaves it open if `open`.
async fn server(answer: Vec<u8>, open: bool) -> SocketAddr {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let mut held = Vec::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = [0; 4096];
            let _ = stream.read(&mut request).await;
            let _ = stream.write_all(&answer).await;
            if open {
                held.push(stream);
            }
        }
    });
    address
}

fn get(uri: String) -> Request<Body> {
    Request::get(uri).body(body(Bytes::new())).unwrap()
}

async fn fetch(uri: String, limit: Duration) -> Result<Answer, HttpError> {
    Client::new().unwrap().fetch(get(uri), limit, 1000).await
}

#[tokio::test]
async fn an_answer_is_read_to_its_end() {
    let address = server(
        b"HTTP/1.1 404 Not Found\r\nContent-Length: 5\r\nX-A: b\r\n\r\nnever".to_vec(),
        true,
    )
    .await;
    let answer = fetch(format!("http://{address}/a"), LIMIT).await.unwrap();
    assert_eq!(
        (answer.status.as_u16(), &answer.body[..]),
        (404, &b"never"[..])
    );
    assert_eq!(answer.headers["x-a"], "b");
}

#[tokio::test]
async fn a_redirect_is_an_answer_and_is_not_followed() {
    let answer = "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n";
    let address = server(answer.into(), true).await;
    let answer = fetch(format!("http://{address}"), LIMIT).await.unwrap();
    assert_eq!(answer.status, StatusCode::FOUND);
}

#[tokio::test]
async fn of_an_endless_answer_only_the_start_is_read() {
    let mut endless = b"HTTP/1.1 200 OK\r\n\r\n".to_vec();
    endless.resize(5_000_000, b'x');
    let address = server(endless, true).await;
    let answer = fetch(format!("http://{address}"), LIMIT).await.unwrap();
    assert_eq!(answer.body.len(), 1000);
}

#[tokio::test]
async fn a_head_without_end_is_given_up() {
    let mut head = b"HTTP/1.1 200 OK\r\nX: ".to_vec();
    head.resize(5_000_000, b'x');
    let address = server(head, true).await;
    let error = fetch(format!("http://{address}"), LIMIT).await.unwrap_err();
    assert!(matches!(error, HttpError::Broken { .. }), "{error}");
}

#[tokio::test]
async fn a_server_that_says_nothing_is_given_up_in_time() {
    let address = server(Vec::new(), true).await;
    let limit = Duration::from_millis(50);
    let error = fetch(format!("http://{address}"), limit).await.unwrap_err();
    assert!(matches!(error, HttpError::TimedOut { .. }), "{error}");
    assert!(error.is_transient());
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_no_answer() {
    let answer = "HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\nhalf";
    let address = server(answer.into(), false).await;
    let error = fetch(format!("http://{address}"), LIMIT).await.unwrap_err();
    assert!(matches!(error, HttpError::Broken { .. }), "{error}");
}

#[tokio::test]
async fn what_does_not_speak_tls_is_told_as_that_and_the_path_stays_secret() {
    let address = server(b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec(), false).await;
    let error = fetch(format!("https://{address}/token-1234"), LIMIT)
        .await
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("no secure connection to {address}: it does not speak TLS there")
    );
    assert!(!error.is_transient() && error.help().is_some());
}

#[tokio::test]
async fn where_nobody_listens_it_says_so() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let error = fetch(format!("http://{address}/token"), LIMIT)
        .await
        .unwrap_err();
    let text = error.to_string();
    assert!(
        text.starts_with(&format!("cannot connect to {address}: Connection refused")),
        "{text}"
    );
}

/// As the kernel lists it: the number after the state's is that of the running timer, 2 for keepalive.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_connection_on_which_nothing_comes_is_asked_whether_it_lives() {
    let address = server(Vec::new(), true).await;
    let port = format!("0100007F:{:04X}", address.port());
    let request = fetch(format!("http://{address}"), LIMIT);
    let seen = async {
        loop {
            let listed = std::fs::read_to_string("/proc/self/net/tcp").unwrap();
            let mut lines = listed.lines().map(|line| line.split_whitespace());
            let ours = lines.find(|words| words.clone().nth(2) == Some(&port));
            if ours
                .is_some_and(|mut words| words.nth(5).is_some_and(|timer| timer.starts_with("02:")))
            {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::select! {
        answer = request => panic!("no keepalive until {answer:?}"),
        () = seen => {}
    }
}

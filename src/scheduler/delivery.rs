//! A notification is sent by a process of its own: TLS and all that it takes is not kept in memory between two mails.

use super::systemd;
use crate::notify::channels::{
    Answer, Channel, Delivery, LONG_ANSWER, LONGEST_DELIVERY, SHORT_ANSWER,
};
use crate::notify::notification::{Interest, Notification};
use crate::report::Problem;
use crate::sys::process;
use futures_util::future::join_all;
use serde::{Deserialize, Serialize};
use std::io;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};

/// The hidden command by which it is started.
pub(crate) const ARGUMENT: &str = "__send";
/// How long a process may take beside the sending.
const SLACK: Duration = Duration::from_secs(15);

/// What it is told on its standard input; it answers with a [`Delivery`] on a line of its standard output.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct SendRequest {
    /// The id of the channel.
    pub channel: String,
    pub notification: Notification,
}

/// The same channels, each of which sends in a process of its own.
pub(super) fn apart(channels: Vec<Arc<dyn Channel>>) -> Vec<Arc<dyn Channel>> {
    channels
        .into_iter()
        .map(|channel| -> Arc<dyn Channel> { Arc::new(Apart(channel)) })
        .collect()
}

struct Apart(Arc<dyn Channel>);

impl Channel for Apart {
    fn id(&self) -> &str {
        self.0.id()
    }

    fn kind(&self) -> &'static str {
        self.0.kind()
    }

    fn place(&self) -> String {
        self.0.place()
    }

    fn unit(&self) -> &'static str {
        self.0.unit()
    }

    fn interest(&self) -> Interest {
        self.0.interest()
    }

    fn probe(&self) -> Answer<'_, Result<String, Problem>> {
        self.0.probe()
    }

    fn send<'a>(&'a self, notification: &'a Notification) -> Answer<'a, Delivery> {
        Box::pin(async move {
            let sending = send(self.0.id(), notification);
            let limit = LONGEST_DELIVERY + LONG_ANSWER + SLACK;
            match tokio::time::timeout(limit, sending).await {
                Ok(Ok(delivery)) => delivery,
                // Whatever keeps a process from being started or from answering keeps no notification back.
                Ok(Err(error)) => {
                    tracing::debug!("no process of its own sends to {}: {error}", self.0.place());
                    self.0.send(notification).await
                }
                Err(_) => Delivery::Retry(Problem::new(
                    format!("{}: the process that sends does not end", self.0.place()),
                    "See whether the disk hangs.",
                )),
            }
        })
    }
}

/// Sends it through all channels that want it, at once; it, for those that another attempt may reach.
pub(super) async fn unsent(
    channels: &[Arc<dyn Channel>],
    mut notification: Notification,
) -> Option<Notification> {
    let due = channels.iter().filter(|channel| {
        channel.interest() == notification.event.interest()
            && !notification.delivered_to.contains(channel.id())
    });
    let sending = due.map(|channel| async {
        let limit = LONGEST_DELIVERY + SHORT_ANSWER;
        let ended = tokio::time::timeout(limit, channel.send(&notification)).await;
        (channel.id(), ended)
    });
    let mut left = false;
    for (id, ended) in join_all(sending).await {
        let delivery = ended.map(|delivery| delivery.counted(&mut notification, id));
        let settled = match &delivery {
            // What it will not take now, it will not take later.
            Ok(Delivery::Rejected { .. }) => vec![id],
            Ok(delivery) => delivery.settled(id),
            Err(_) => Vec::new(),
        };
        left |= !settled.contains(&id);
        let settled = settled.into_iter().map(str::to_owned);
        notification.delivered_to.extend(settled);
    }
    left.then_some(notification)
}

/// Killed when it is dropped.
async fn send(channel: &str, notification: &Notification) -> io::Result<Delivery> {
    let request = serde_json::to_vec(&SendRequest {
        channel: channel.to_owned(),
        notification: notification.clone(),
    })?;
    let mut child = systemd::hidden_from(&mut process::own_command(ARGUMENT)?)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(&request).await?;
    }
    let mut answer = Vec::new();
    if let Some(stdout) = &mut child.stdout {
        // Its end is not waited for: what was sent is to be noted before anything stops us.
        BufReader::new(stdout)
            .read_until(b'\n', &mut answer)
            .await?;
    }
    Ok(serde_json::from_slice(&answer)?)
}

//! Pings: those who watch from elsewhere learn how each backup ended, and raise an alarm when they hear nothing.
//!
//! healthchecks.io: <https://healthchecks.io/docs/http_api/>; Uptime Kuma's push monitors: the address is shown where one is
//! made, and takes `status`, `msg` and `ping`.

use super::web::{connect, host_of, problem_of, redirected, said, send_request};
use super::{Answer, Channel, Delivery, harmless};
use crate::notify::notification::{Event, Interest, Notification};
use crate::notify::templates::{self, cut};
use crate::report::Problem;
use crate::settings::PingUrl;
use crate::sys::http;
use crate::sys::redact::{Redactor, percent_encode};
use std::time::Duration;

/// A backup does not wait longer for somebody to learn that it has begun.
const LONGEST_START: Duration = Duration::from_secs(10);
/// healthchecks.io keeps 100 kB; the log's end is far less.
const LONGEST_BODY_CHARS: usize = 10_000;
const LONGEST_MSG_CHARS: usize = 250;

/// A check or monitor elsewhere.
pub(super) struct PingChannel {
    id: &'static str,
    setting: &'static str,
    interest: Interest,
    url: PingUrl,
    redactor: Redactor,
}

/// What the other side is told.
enum Signal<'n> {
    Start {
        run_id: &'n str,
    },
    Ended(&'n Notification),
    /// Something that counts as neither.
    Log(&'n Notification),
}

impl PingChannel {
    /// For backups, or for drills.
    pub(super) fn new(interest: Interest, url: &PingUrl, redactor: &Redactor) -> Self {
        let (id, setting) = match interest {
            Interest::EveryDrill => ("drill-ping", "DRILL_PING_URL"),
            Interest::EveryBackup | Interest::News => ("ping", "PING_URL"),
        };
        PingChannel {
            id,
            setting,
            interest,
            url: url.clone(),
            redactor: redactor.clone(),
        }
    }

    async fn ping(&self, signal: &Signal<'_>) -> Delivery {
        let address = self.url.address().expose();
        let sent = match &self.url {
            PingUrl::Healthchecks(_) => {
                let (uri, body) = healthchecks(address, signal);
                let headers = vec![("content-type", "text/plain; charset=utf-8".into())];
                send_request("POST", uri, headers, body.into_bytes()).await
            }
            PingUrl::UptimeKuma(_) => match kuma(address, signal) {
                Some(uri) => send_request("GET", uri, Vec::new(), Vec::new()).await,
                None => return Delivery::DONE,
            },
        };
        match sent {
            Ok(answer) => self.judge(&answer),
            Err(error) if error.is_transient() => Delivery::Retry(problem_of(&error)),
            Err(error) => Delivery::Rejected {
                problem: problem_of(&error),
                only_this_one: false,
            },
        }
    }

    fn judge(&self, answer: &http::Answer) -> Delivery {
        let status = answer.status;
        let rejected = |problem| Delivery::Rejected {
            problem,
            only_this_one: false,
        };
        let words = harmless(&said(&answer.body), &[&self.redactor]);
        // Both have answered 200 to addresses that they do not know, and healthchecks.io to what it passes over.
        let unknown = words.contains("not found") || is_not_ok(&answer.body);
        let too_many = words.contains("rate limited");
        if status.is_success() && !unknown && !too_many {
            return Delivery::DONE;
        }
        if status.is_redirection() {
            return rejected(redirected(&self.place(), answer));
        }
        let said = format!("{} {words}", status.as_u16());
        let said = said.trim();
        let is_busy = too_many || matches!(status.as_u16(), 408 | 425 | 429);
        if is_busy || status.is_server_error() {
            let summary = format!("{} cannot take the ping now: {said}", self.place());
            return Delivery::Retry(Problem::new(summary, ""));
        }
        let help = format!("copy the address again into {}", self.setting);
        rejected(Problem::new(
            format!("{} did not take the ping: {said}", self.place()),
            help,
        ))
    }
}

fn is_not_ok(body: &[u8]) -> bool {
    let json = serde_json::from_slice::<serde_json::Value>(body);
    json.is_ok_and(|json| json.get("ok").is_some_and(|ok| *ok == false))
}

/// The address and the body. The id of the run lets it measure how long that took.
fn healthchecks(address: &str, signal: &Signal) -> (String, String) {
    let (base, query) = address.split_once('?').unwrap_or((address, ""));
    let (path, run_id, body) = match signal {
        Signal::Start { run_id } => ("/start", Some(*run_id), String::new()),
        Signal::Ended(notification) => (
            if is_success(notification.event) {
                ""
            } else {
                "/fail"
            },
            notification.facts.run_id.as_deref(),
            report(notification),
        ),
        Signal::Log(notification) => ("/log", None, report(notification)),
    };
    let id = run_id.map(|id| format!("rid={}", percent_encode(id)));
    let query: Vec<String> = [query.to_owned()]
        .into_iter()
        .chain(id)
        .filter(|part| !part.is_empty())
        .collect();
    let query = match query.is_empty() {
        true => String::new(),
        false => format!("?{}", query.join("&")),
    };
    (format!("{}{path}{query}", base.trim_end_matches('/')), body)
}

/// None for what Uptime Kuma has no word for.
fn kuma(address: &str, signal: &Signal) -> Option<String> {
    let Signal::Ended(notification) = signal else {
        return None;
    };
    let base = address.split('?').next().unwrap_or(address);
    let message = templates::render(notification);
    let (status, msg) = match is_success(notification.event) {
        true => ("up", message.subject),
        false => {
            let error = notification.facts.error.as_ref();
            let problem = error.or_else(|| notification.facts.problems.first());
            let problem = problem.map(|problem| format!(": {problem}"));
            (
                "down",
                format!("{}{}", message.subject, problem.unwrap_or_default()),
            )
        }
    };
    let milliseconds = notification
        .facts
        .elapsed_seconds
        .map(|seconds| (seconds * 1e3).round());
    Some(format!(
        "{base}?status={status}&msg={}&ping={}",
        percent_encode(&cut(&msg, LONGEST_MSG_CHARS)),
        milliseconds
            .map(|time| time.to_string())
            .unwrap_or_default()
    ))
}

fn is_success(event: Event) -> bool {
    matches!(
        event,
        Event::BackupDone | Event::SchedulerUp | Event::DrillDone
    )
}

/// What happened, and the end of the log.
fn report(notification: &Notification) -> String {
    let message = templates::render(notification);
    let facts = &notification.facts;
    let problems = facts
        .error
        .iter()
        .chain(&facts.problems)
        .map(String::as_str);
    let lines: Vec<&str> = [message.headline.as_str()]
        .into_iter()
        .chain(problems)
        .chain([""])
        .chain(facts.log.iter().map(String::as_str))
        .collect();
    cut(lines.join("\n").trim_end(), LONGEST_BODY_CHARS)
}

impl Channel for PingChannel {
    fn id(&self) -> &str {
        self.id
    }

    fn kind(&self) -> &'static str {
        self.id
    }

    fn place(&self) -> String {
        host_of(self.url.address().expose())
    }

    fn unit(&self) -> &'static str {
        "ping"
    }

    fn interest(&self) -> Interest {
        self.interest
    }

    fn probe(&self) -> Answer<'_, Result<String, Problem>> {
        // Any request to it counts as a backup that succeeded.
        Box::pin(async { connect(self.url.address().expose()).await })
    }

    fn send<'a>(&'a self, notification: &'a Notification) -> Answer<'a, Delivery> {
        Box::pin(async { self.ping(&Signal::Ended(notification)).await })
    }

    fn begin<'a>(&'a self, run_id: &'a str) -> Answer<'a, ()> {
        Box::pin(async {
            let pinging = async { self.ping(&Signal::Start { run_id }).await };
            let problem = match tokio::time::timeout(LONGEST_START, pinging).await {
                Ok(delivery) => delivery.problem(),
                Err(_) => Some(Problem::new("it took too long", "")),
            };
            if let Some(problem) = problem {
                tracing::warn!("the start was not told to {}: {problem}", self.place());
            }
        })
    }

    fn test<'a>(&'a self, notification: &'a Notification) -> Answer<'a, Result<String, Problem>> {
        Box::pin(async {
            let place = self.place();
            match self.url {
                PingUrl::Healthchecks(_) => {
                    match self.ping(&Signal::Log(notification)).await.problem() {
                        None => Ok(format!(
                            "{place} ({}) has taken it as a log entry",
                            self.setting
                        )),
                        Some(problem) => Err(problem),
                    }
                }
                PingUrl::UptimeKuma(_) => connect(self.url.address().expose()).await.map(|seen| {
                    format!(
                        "{seen} ({}); nothing was sent, since that would count as a backup",
                        self.setting
                    )
                }),
            }
        })
    }
}

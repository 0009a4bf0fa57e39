//! One conversation with a mail server, under one deadline, which is put off once: for the mail itself, on which a server
//! may have much to think about.
//!
//! Each step waits until the same moment, so a server that sends a byte now and then gains nothing. When it passes after
//! the last byte of a mail, nobody knows whether the server has it; it is sent again, under the same Message-ID, but not
//! for ever.

use super::error::{MailError, Stage, is_gmail};
use super::hardened_stream::HardenedStream;
use super::message::{self, Envelope, Open};
use super::reply::Refused;
use super::session_context::SessionContext;
use crate::notify::notification::Notification;
use crate::settings::{MailSecurity, MailSettings};
use crate::sys::redact::{Redactor, Secret};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use lettre::message::Mailbox;
use lettre::transport::smtp::authentication::{Credentials, DEFAULT_MECHANISMS};
use lettre::transport::smtp::client::AsyncSmtpConnection;
use lettre::transport::smtp::commands::{Auth, Data, Ehlo, Mail, Rcpt, Rset, Starttls};
use lettre::transport::smtp::extension::{ClientId, Extension, MailParameter, ServerInfo};
use lettre::transport::smtp::response::Response;
use std::fmt::Display;
use std::net::IpAddr;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};

/// The longest wait for a goodbye, once all is done.
const GOODBYE: Duration = Duration::from_secs(2);
/// LOGIN asks twice.
const MOST_QUESTIONS: usize = 3;

/// How long it may take.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// All up to the mail itself, looking up the name included.
    pub talk: Duration,
    /// From the first byte of the mail to the server's word on it.
    pub answer: Duration,
}

/// Sends one. Whoever can be reached gets it, also when other recipients are refused.
///
/// # Errors
/// [`MailError`], free of what `redactor` and the settings know to be secret.
pub(super) async fn deliver(
    mail: &MailSettings,
    notification: &Notification,
    redactor: &Redactor,
    limits: Limits,
) -> Result<(), MailError> {
    let parties = Envelope::of(mail)?;
    let open = parties.open(notification);
    if open.to.is_empty() {
        return Ok(());
    }
    let mut session = SmtpSession::begin(mail, redactor, limits.talk).await?;
    let bytes = message::compose(notification, &parties, session.takes_all())?;
    let addressed = session.address(&parties, &open).await?;
    session.command(Stage::Data, Data).await?;
    session.hand_over(&bytes, limits.answer).await?;
    session.end().await;
    addressed.outcome(session.context.place)
}

/// Does everything that [`deliver`] does but send: connects, signs in, names the sender and all recipients.
///
/// # Errors
/// As with [`deliver`]; a refused recipient is an error also when others are accepted.
pub(super) async fn probe(
    mail: &MailSettings,
    redactor: &Redactor,
    limit: Duration,
) -> Result<(), MailError> {
    let parties = Envelope::of(mail)?;
    let everybody = Open {
        to: parties.to.clone(),
        are_the_rest: false,
    };
    let mut session = SmtpSession::begin(mail, redactor, limit).await?;
    let addressed = session.address(&parties, &everybody).await?;
    // All has been learnt: what happens from here on is of no interest.
    let _ = session.command(Stage::Recipients, Rset).await;
    session.end().await;
    addressed.outcome(session.context.place)
}

/// What became of the recipients that a server was told.
#[derive(Default)]
struct Addressed {
    accepted: Vec<String>,
    refused: Vec<Refused>,
}

impl Addressed {
    /// What that means once those who were accepted have the mail.
    fn outcome(self, place: String) -> Result<(), MailError> {
        match self.refused.is_empty() {
            true => Ok(()),
            false => Err(MailError::SomeRecipients {
                place,
                reached: self.accepted,
                refused: self.refused,
            }),
        }
    }
}

/// A conversation in which we have said who we are.
struct SmtpSession<'a> {
    context: SessionContext<'a>,
    connection: AsyncSmtpConnection,
    offers: ServerInfo,
}

impl<'a> SmtpSession<'a> {
    async fn begin(
        mail: &MailSettings,
        redactor: &'a Redactor,
        limit: Duration,
    ) -> Result<Self, MailError> {
        let credentials = credentials(mail);
        let context = SessionContext {
            place: place(mail),
            limit,
            deadline: Instant::now() + limit,
            redactor,
            own: Redactor::new(
                credentials
                    .iter()
                    .flat_map(|(user, password)| forms(user, password)),
            ),
        };
        let stream = context.connect(mail).await?;
        let us = introduction(&stream);
        let stream = match mail.security {
            MailSecurity::Tls => HardenedStream::tls(context.handshake(mail, stream).await?),
            MailSecurity::StartTls | MailSecurity::None => HardenedStream::clear(stream),
        };
        let greeting = AsyncSmtpConnection::connect_with_transport(Box::new(stream.clone()), &us);
        let connection = context.within(Stage::Greeting, greeting).await?;
        let connection = connection.map_err(|error| context.failure(Stage::Greeting, &error))?;
        let offers = connection.server_info().clone();
        let mut session = SmtpSession {
            context,
            connection,
            offers,
        };
        if mail.security == MailSecurity::StartTls {
            session.start_tls(mail, &stream, us).await?;
        }
        if let Some((user, password)) = credentials {
            session.sign_in(user, password).await?;
        }
        Ok(session)
    }

    async fn command(
        &mut self,
        stage: Stage,
        command: impl Display,
    ) -> Result<Response, MailError> {
        let answer = self
            .context
            .within(stage, self.connection.command(command))
            .await?;
        answer.map_err(|error| self.context.failure(stage, &error))
    }

    /// What was offered in clear may have been anybody's word, so the server is asked anew.
    async fn start_tls(
        &mut self,
        mail: &MailSettings,
        stream: &HardenedStream,
        us: ClientId,
    ) -> Result<(), MailError> {
        let not_offered = || MailError::NoStartTls { place: place(mail) };
        if !self.offers.supports_feature(Extension::StartTls) {
            return Err(not_offered());
        }
        self.command(Stage::StartTls, Starttls).await?;
        let clear = stream.take_clear().ok_or_else(not_offered)?;
        stream.begin_tls(self.context.handshake(mail, clear).await?);
        let answer = self.command(Stage::Greeting, Ehlo::new(us)).await?;
        let offers = ServerInfo::from_response(&answer);
        self.offers = offers.map_err(|error| self.context.failure(Stage::Greeting, &error))?;
        Ok(())
    }

    async fn sign_in(&mut self, user: String, password: String) -> Result<(), MailError> {
        let Some(mechanism) = self.offers.get_auth_mechanism(DEFAULT_MECHANISMS) else {
            return Err(MailError::NoSignIn {
                place: self.context.place.clone(),
            });
        };
        let credentials = Credentials::new(user, password);
        let mut words = Auth::new(mechanism, credentials.clone(), None);
        for _ in 0..=MOST_QUESTIONS {
            let said = words.map_err(|error| self.context.failure(Stage::SignIn, &error))?;
            let answer = self.command(Stage::SignIn, said).await?;
            if !answer.has_code(334) {
                return Ok(());
            }
            words = Auth::new_from_response(mechanism, credentials.clone(), &answer);
        }
        let problem = "it does not stop asking".into();
        Err(MailError::Broken {
            place: self.context.place.clone(),
            stage: Stage::SignIn,
            problem,
        })
    }

    /// Whether it takes addresses that are not in ASCII.
    fn takes_all(&self) -> bool {
        self.offers.supports_feature(Extension::SmtpUtfEight)
    }

    /// Names the sender and the recipients, of whom at least one must be accepted.
    async fn address(&mut self, parties: &Envelope, open: &Open) -> Result<Addressed, MailError> {
        let takes_all = self.takes_all();
        let can_be_told = |mailbox: &Mailbox| takes_all || message::is_ascii(mailbox);
        if !can_be_told(&parties.from) {
            return Err(MailError::Address {
                setting: "EMAIL_FROM",
                address: parties.from.email.to_string(),
                problem: format!("{} takes only addresses in ASCII", self.context.place),
            });
        }
        let (told, untold): (Vec<&Mailbox>, Vec<_>) =
            open.to.iter().partition(|to| can_be_told(to));
        let untold = untold.iter().map(|to| to.email.to_string());
        let mut addressed = Addressed {
            accepted: Vec::new(),
            refused: untold.map(Refused::beyond_ascii).collect(),
        };
        if !told.is_empty() {
            // The mail names them all, also when it goes to some.
            let mut named = std::iter::once(&parties.from).chain(&parties.to);
            let needs_all = takes_all && !named.all(message::is_ascii);
            let parameters = needs_all.then_some(MailParameter::SmtpUtfEight);
            let sender = Some(parties.from.email.clone());
            let command = Mail::new(sender, parameters.into_iter().collect());
            self.command(Stage::Sender, command).await?;
        }
        for to in told {
            let address = to.email.to_string();
            match self
                .command(Stage::Recipients, Rcpt::new(to.email.clone(), Vec::new()))
                .await
            {
                Ok(_) => addressed.accepted.push(address),
                // 421 says that the server is going away, whoever the recipient.
                Err(MailError::Temporary { reply, .. } | MailError::Rejected { reply, .. })
                    if reply.code != 421 =>
                {
                    addressed.refused.push(Refused::by(&reply, address));
                }
                Err(error) => return Err(error),
            }
        }
        if !addressed.accepted.is_empty() {
            return Ok(addressed);
        }
        let (place, refused) = (self.context.place.clone(), addressed.refused);
        Err(match open.are_the_rest {
            true => MailError::SomeRecipients {
                place,
                reached: Vec::new(),
                refused,
            },
            false => MailError::NoRecipient { place, refused },
        })
    }

    async fn hand_over(&mut self, mail: &[u8], limit: Duration) -> Result<(), MailError> {
        self.context.limit = limit;
        self.context.deadline = Instant::now() + limit;
        let sending = self.connection.message(mail);
        let accepted = self.context.within(Stage::Message, sending).await?;
        accepted.map_err(|error| self.context.failure(Stage::Message, &error))?;
        Ok(())
    }

    /// Says goodbye. It is polite, but nothing depends on it.
    async fn end(&mut self) {
        let until = self.context.deadline.min(Instant::now() + GOODBYE);
        let _ = timeout_at(until, self.connection.quit()).await;
    }
}

/// `host:port`, for messages.
fn place(mail: &MailSettings) -> String {
    if mail.host.contains(':') {
        format!("[{}]:{}", mail.host, mail.port)
    } else {
        format!("{}:{}", mail.host, mail.port)
    }
}

/// The address we come from: unlike a container's made-up host name, nobody can take offence at it.
fn introduction(stream: &TcpStream) -> ClientId {
    match stream
        .local_addr()
        .map(|address| address.ip().to_canonical())
    {
        Ok(IpAddr::V4(address)) => ClientId::Ipv4(address),
        Ok(IpAddr::V6(address)) => ClientId::Ipv6(address),
        Err(_) => ClientId::default(),
    }
}

/// Who signs in. Gmail shows app passwords in groups of four, and wants them without the spaces in between.
pub(super) fn credentials(mail: &MailSettings) -> Option<(String, String)> {
    let (user, password) = (mail.username.clone()?, mail.password.as_ref()?.expose());
    let password = match is_gmail(&mail.host) {
        true => password.split_whitespace().collect(),
        false => password.to_owned(),
    };
    Some((user, password))
}

/// How the password looks on the wire, should a server quote what it was sent.
fn forms(user: &str, password: &str) -> [Secret; 3] {
    let plain = format!("\0{user}\0{password}");
    [
        password.to_owned(),
        STANDARD.encode(password),
        STANDARD.encode(plain),
    ]
    .map(Secret::new)
}

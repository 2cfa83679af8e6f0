//! A mail server, played line by line.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use callcore::port::{Mail, MailAddress, Notifier, NotifyError, NotifyErrorKind};
use callcore::testing::notifier::{Play, Route, RouteFactory};
use callcore_email::smtp::Smtp;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// What the server answers to a command, if not that all is well.
#[derive(Debug, Clone, Default)]
struct Far {
    /// The command's beginning, and the answer; an empty one hangs up.
    answers: Vec<(&'static str, &'static str)>,
    /// What the server can do.
    extensions: Vec<&'static str>,
}

impl Far {
    fn answering(command: &'static str, answer: &'static str) -> Self {
        Self { answers: vec![(command, answer)], ..Self::default() }
    }

    fn to(&self, command: &str) -> &'static str {
        let known = self.answers.iter().find(|(start, _)| command.starts_with(start));
        known.map_or("250 ok", |(_, answer)| answer)
    }
}

/// What was said, and the words of each mail.
#[derive(Debug, Default)]
struct Heard {
    commands: Vec<String>,
    mails: Vec<String>,
}

struct Line {
    heard: Arc<Mutex<Heard>>,
    route: Smtp,
}

async fn converse(stream: TcpStream, far: Far, heard: Arc<Mutex<Heard>>) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    stream.write_all(b"220 mail.test\r\n").await?;
    let mut line = String::new();
    loop {
        line.clear();
        if stream.read_line(&mut line).await? == 0 {
            return Ok(());
        }
        let command = line.trim_end().to_owned();
        heard.lock().unwrap().commands.push(command.clone());
        let answer = far.to(&command);
        if answer.is_empty() {
            return Ok(());
        }
        if command.starts_with("EHLO") && answer.starts_with("250") {
            for extension in &far.extensions {
                stream.write_all(format!("250-{extension}\r\n").as_bytes()).await?;
            }
        }
        if command == "DATA" && answer.starts_with("250") {
            stream.write_all(b"354 go on\r\n").await?;
            let mut mail = String::new();
            while !mail.ends_with("\r\n.\r\n") {
                if stream.read_line(&mut mail).await? == 0 {
                    return Ok(());
                }
            }
            heard.lock().unwrap().mails.push(mail);
            let answer = far.to("(words)");
            if answer.is_empty() {
                return Ok(());
            }
            stream.write_all(format!("{answer}\r\n").as_bytes()).await?;
            continue;
        }
        let answer = if command == "QUIT" { "221 bye" } else { answer };
        stream.write_all(format!("{answer}\r\n").as_bytes()).await?;
    }
}

async fn line_of(far: Far, credentials: &str, options: &str) -> Line {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("smtp://{credentials}{}{options}", listener.local_addr().unwrap());
    let heard = Arc::<Mutex<Heard>>::default();
    let ears = Arc::clone(&heard);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            drop(converse(stream, far.clone(), Arc::clone(&ears)).await);
        }
    });
    let from = "Acme Calls <calls@example.com>".parse().unwrap();
    Line { heard, route: Smtp::new(&url, from).unwrap() }
}

async fn line(far: Far) -> Line {
    line_of(far, "", "").await
}

#[async_trait]
impl Route for Line {
    fn notifier(&self) -> &dyn Notifier {
        &self.route
    }

    async fn seen(&self) -> Vec<String> {
        self.heard.lock().unwrap().mails.clone()
    }

    fn id_of(&self, seen: &str) -> String {
        let id = seen.lines().find(|line| line.starts_with("Message-ID:"));
        id.unwrap_or_default().to_owned()
    }
}

struct Lines;

#[async_trait]
impl RouteFactory for Lines {
    async fn build(&self, play: Play) -> Box<dyn Route> {
        let far = match play {
            Play::Take => Far::default(),
            Play::Refuse => Far::answering("RCPT", "550 no such user ada@example.com, secret"),
            Play::Misconfigured => Far::answering("MAIL", "553 not you"),
            Play::TooMany => Far::answering("DATA", "452 too many"),
            Play::Busy => Far::answering("(words)", "451 later"),
            Play::TakeAndDrop => Far::answering("(words)", ""),
            Play::Away => {
                let from = "calls@example.com".parse().unwrap();
                let route = Smtp::new("smtp://127.0.0.1:1", from).unwrap();
                return Box::new(Line { heard: Arc::default(), route });
            }
        };
        Box::new(line(far).await)
    }
}

callcore::notifier_conformance!(Lines);

fn mail() -> Mail {
    Mail {
        to: MailAddress::list("ada@example.com, Ops <ops@example.com>").unwrap(),
        subject: "Tägliche Anrufe – 50 %".to_owned(),
        text: "Wörter\n".to_owned(),
        html: "<p>Wörter</p>".to_owned(),
        key: "callcore-1".to_owned(),
    }
}

async fn answered(far: Far) -> NotifyError {
    line(far).await.route.send(&mail()).await.unwrap_err()
}

#[tokio::test]
async fn a_mail_has_both_its_forms_and_every_receiver() {
    let line = line(Far::default()).await;
    line.route.send(&mail()).await.unwrap();
    let heard = line.heard.lock().unwrap();
    for command in
        ["MAIL FROM:<calls@example.com>", "RCPT TO:<ada@example.com>", "RCPT TO:<ops@example.com>"]
    {
        assert!(heard.commands.iter().any(|it| it == command), "{:?}", heard.commands);
    }
    let words = &heard.mails[0];
    for part in [
        "From: \"Acme Calls\" <calls@example.com>",
        "Auto-Submitted: auto-generated",
        "multipart/alternative",
        "text/plain; charset=utf-8",
        "text/html; charset=utf-8",
        "@example.com>",
    ] {
        assert!(words.contains(part), "{part}: {words}");
    }
    assert!(words.is_ascii(), "what any server takes");
}

#[tokio::test]
async fn one_bad_address_does_not_keep_the_others_from_their_mail() {
    let far = Far::answering("RCPT TO:<ada@", "550 nobody here");
    let line = line(far).await;
    line.route.send(&mail()).await.unwrap();
    assert_eq!(line.heard.lock().unwrap().mails.len(), 1);
}

#[tokio::test]
async fn what_breaks_off_before_the_words_was_not_sent_and_after_them_may_have_been() {
    for (command, kind) in [
        ("EHLO", NotifyErrorKind::Temporary),
        ("MAIL", NotifyErrorKind::Temporary),
        ("RCPT", NotifyErrorKind::Temporary),
        ("DATA", NotifyErrorKind::Temporary),
        ("(words)", NotifyErrorKind::Unknown),
    ] {
        let error = answered(Far::answering(command, "")).await;
        assert_eq!(error.kind(), kind, "{command}: {}", error.reason());
    }
    let refused = answered(Far::answering("(words)", "554 spam")).await;
    assert_eq!(
        (refused.kind(), refused.reason()),
        (NotifyErrorKind::Refused, "message_refused_554")
    );
}

#[tokio::test]
async fn a_bad_password_is_the_settings_fault() {
    let extensions = vec!["AUTH PLAIN LOGIN"];
    let far = Far { extensions: extensions.clone(), ..Far::answering("AUTH", "535 no") };
    let line = line_of(far, "ada:password@", "").await;
    let error = line.route.send(&mail()).await.unwrap_err();
    assert_eq!((error.kind(), error.reason()), (NotifyErrorKind::Misconfigured, "sign_in"));
    assert!(!format!("{error:?} {:?}", line.route).contains("password"));
    let busy = Far { extensions, ..Far::answering("AUTH", "454 later") };
    let line = line_of(busy, "ada:password@", "").await;
    assert_eq!(line.route.send(&mail()).await.unwrap_err().kind(), NotifyErrorKind::Temporary);
}

#[tokio::test]
async fn nothing_is_told_where_encryption_was_asked_for_and_is_not_to_be_had() {
    let line = line_of(Far::default(), "ada:password@", "?tls=required").await;
    let error = line.route.send(&mail()).await.unwrap_err();
    assert_eq!((error.kind(), error.reason()), (NotifyErrorKind::Misconfigured, "no_starttls"));
    let heard = line.heard.lock().unwrap();
    assert!(heard.commands.iter().all(|it| it.starts_with("EHLO")), "{:?}", heard.commands);
}

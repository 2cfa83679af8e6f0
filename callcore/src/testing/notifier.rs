//! The conformance suite for ways mails take.
//!
//! A case needs a far side that plays what it is told: [`Route`] is that, with the notifier that
//! speaks to it. [`notifier_conformance!`](crate::notifier_conformance) makes one test a case.

#![expect(
    missing_docs,
    reason = "a case's name says what it shows; a second sentence would repeat it"
)]

use async_trait::async_trait;

use crate::port::{Mail, MailAddress, Notifier, NotifyErrorKind};

/// What the far side of a route plays to each mail it is handed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Play {
    /// It takes the mail.
    Take,
    /// It will never take this mail.
    Refuse,
    /// It takes no mail from this sender.
    Misconfigured,
    /// It is handed too many.
    TooMany,
    /// It says nothing is taken now. A route whose far side can't say so without doubt plays
    /// [`Away`](Self::Away).
    Busy,
    /// It can't be reached.
    Away,
    /// It takes the mail whole and hangs up without a word.
    TakeAndDrop,
}

/// A notifier and what its far side saw.
#[async_trait]
pub trait Route: Send + Sync {
    /// The notifier.
    fn notifier(&self) -> &dyn Notifier;

    /// What was handed over, as raw as it came, whether it was taken or not.
    async fn seen(&self) -> Vec<String>;

    /// The id by which the far side, or a mailbox, tells a mail from another.
    fn id_of(&self, seen: &str) -> String;
}

/// Makes routes whose far side plays.
#[async_trait]
pub trait RouteFactory: Send + Sync {
    /// A fresh route.
    async fn build(&self, play: Play) -> Box<dyn Route>;
}

/// Makes one `#[tokio::test]` for each case of the conformance suite for notifiers. The argument is
/// an expression that makes a [`RouteFactory`](crate::testing::notifier::RouteFactory).
#[macro_export]
macro_rules! notifier_conformance {
    ($factory:expr $(,)?) => {
        $crate::notifier_conformance! { @each $factory;
            p1_one_send_is_one_request_whatever_comes_of_it
            p2_what_was_certainly_not_taken_is_told_from_what_is_in_doubt
            p3_a_key_is_one_id_and_another_key_another
            p4_nothing_in_a_mail_becomes_a_header_or_a_receiver
            p5_an_error_shows_neither_the_mail_nor_a_secret
        }
    };
    (@each $factory:expr; $($case:ident)*) => {$(
        #[::tokio::test]
        async fn $case() {
            $crate::testing::notifier::$case(&$factory).await;
        }
    )*};
}

const PLAYS: [(Play, Option<NotifyErrorKind>); 7] = [
    (Play::Take, None),
    (Play::Refuse, Some(NotifyErrorKind::Refused)),
    (Play::Misconfigured, Some(NotifyErrorKind::Misconfigured)),
    (Play::TooMany, Some(NotifyErrorKind::RateLimited)),
    (Play::Busy, Some(NotifyErrorKind::Temporary)),
    (Play::Away, Some(NotifyErrorKind::Temporary)),
    (Play::TakeAndDrop, Some(NotifyErrorKind::Unknown)),
];

/// A mail to a person, whose words must not show.
fn mail(key: &str) -> Mail {
    Mail {
        to: MailAddress::list("ada@example.com").expect("an address"),
        subject: "A secret subject".to_owned(),
        text: "Secret words.\n.\nA line that is a dot.\n".to_owned(),
        html: "<p>Secret words.</p>".to_owned(),
        key: key.to_owned(),
    }
}

pub async fn p1_one_send_is_one_request_whatever_comes_of_it(factory: &dyn RouteFactory) {
    for (play, _) in PLAYS {
        let route = factory.build(play).await;
        drop(route.notifier().send(&mail("one")).await);
        let seen = route.seen().await.len();
        assert!(seen <= 1, "{play:?}: {seen} requests");
    }
    let route = factory.build(Play::Take).await;
    route.notifier().send(&mail("one")).await.expect("taken");
    assert_eq!(route.seen().await.len(), 1, "what is taken was handed over");
}

pub async fn p2_what_was_certainly_not_taken_is_told_from_what_is_in_doubt(
    factory: &dyn RouteFactory,
) {
    for (play, kind) in PLAYS {
        let route = factory.build(play).await;
        let sent = route.notifier().send(&mail("one")).await;
        assert_eq!(sent.as_ref().err().map(crate::port::NotifyError::kind), kind, "{play:?}");
    }
}

pub async fn p3_a_key_is_one_id_and_another_key_another(factory: &dyn RouteFactory) {
    let route = factory.build(Play::Take).await;
    for key in ["one", "one", "two"] {
        route.notifier().send(&mail(key)).await.expect("taken");
    }
    let seen = route.seen().await;
    let ids: Vec<String> = seen.iter().map(|seen| route.id_of(seen)).collect();
    assert!(!ids[0].is_empty(), "{ids:?}");
    // A far side that knows the key takes the second for the first.
    assert_eq!(ids[0], ids[ids.len() - 2], "{ids:?}");
    assert_ne!(ids[0], ids[ids.len() - 1], "{ids:?}");
}

pub async fn p4_nothing_in_a_mail_becomes_a_header_or_a_receiver(factory: &dyn RouteFactory) {
    let route = factory.build(Play::Take).await;
    let injected = Mail {
        subject: "Calls\r\nBcc: eve@example.com\r\n\r\nNew words".to_owned(),
        text: "Words\r\n.\r\nRCPT TO:<eve@example.com>\r\n".to_owned(),
        ..mail("one")
    };
    route.notifier().send(&injected).await.expect("taken");
    for line in route.seen().await.iter().flat_map(|seen| seen.lines()) {
        let line = line.trim_start().to_ascii_lowercase();
        assert!(!line.starts_with("bcc"), "a header of its own: {line}");
    }
}

pub async fn p5_an_error_shows_neither_the_mail_nor_a_secret(factory: &dyn RouteFactory) {
    for (play, _) in PLAYS {
        let route = factory.build(play).await;
        let Err(error) = route.notifier().send(&mail("one")).await else { continue };
        let shown = format!("{error} {error:?} {} {:?}", error.reason(), route.notifier());
        for hidden in ["ada@", "secret", "Secret", "password"] {
            assert!(!shown.contains(hidden), "{play:?} shows {hidden}: {shown}");
        }
    }
}

//! The conformance suite for carriers.
//!
//! A case needs a far side that plays what it is told: [`Line`] is that, with the carrier that
//! speaks to it. [`carrier_conformance!`](crate::carrier_conformance) makes one test a case.

#![expect(
    missing_docs,
    reason = "a case's name says what it shows; a second sentence would repeat it"
)]

use std::collections::BTreeSet;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use serde_json::json;

use super::fixtures::Scene;
use crate::call::{CallRef, EventKind, Report};
use crate::engine::Ticket;
use crate::id::CallId;
use crate::memory::MemoryStore;
use crate::phone::PhoneNumber;
use crate::port::{Fault, Found, OpenCall, Placement, Telephony};

/// What a far side plays to a dial.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Play {
    /// It takes the call.
    Take,
    /// It takes the call, and the answer is lost.
    TakeAndDrop,
    /// It reads the request whole and drops it.
    Drop,
    /// It takes the call, and the answer breaks off in its middle.
    TakeAndTruncate,
    /// It takes the call and answers what makes no sense.
    TakeAndBabble,
    /// It takes the call and answers that it failed.
    TakeAndFail,
    /// It takes the call and answers too late.
    TakeAndSleep,
    /// It fails.
    Fail,
    /// It sends the request on to where it would be taken.
    Redirect,
    /// It can't be reached.
    Away,
    /// It is handed too many.
    TooMany,
    /// It will never take this number.
    RefuseNumber,
    /// It takes no call from this account.
    RefuseAccount,
}

impl Play {
    /// Everything that is played.
    pub const ALL: [Self; 13] = [
        Self::Take,
        Self::TakeAndDrop,
        Self::Drop,
        Self::TakeAndTruncate,
        Self::TakeAndBabble,
        Self::TakeAndFail,
        Self::TakeAndSleep,
        Self::Fail,
        Self::Redirect,
        Self::Away,
        Self::TooMany,
        Self::RefuseNumber,
        Self::RefuseAccount,
    ];
}

/// A carrier and its far side.
#[async_trait]
pub trait Line: Send + Sync {
    /// The carrier.
    fn carrier(&self) -> &dyn Telephony;

    /// The instant it is at the far side.
    fn now(&self) -> DateTime<Utc>;

    /// Every dial that would have rung somebody, by our call id and number.
    async fn dials(&self) -> Vec<(CallId, PhoneNumber)>;

    /// Lets every call that was taken live to its end; what the carrier told by itself, in the
    /// order it came in.
    async fn live(&self) -> Vec<Report>;

    /// The far side is there again, and takes what it is asked.
    async fn mend(&self);
}

/// Makes lines whose far side plays.
#[async_trait]
pub trait LineFactory: Send + Sync {
    /// A fresh line; none if its far side can't play that, as one in the same process can't drop an
    /// answer.
    async fn build(&self, play: Play) -> Option<Box<dyn Line>>;
}

/// Makes one `#[tokio::test]` for each case of the conformance suite for carriers. The argument is
/// an expression that makes a [`LineFactory`](crate::testing::carrier::LineFactory).
#[macro_export]
macro_rules! carrier_conformance {
    ($factory:expr $(,)?) => {
        $crate::carrier_conformance! { @each $factory;
            t1_one_ticket_is_one_dial_at_most_whatever_the_network_does
            t2_what_was_certainly_not_dialled_is_told_from_what_is_in_doubt
            t3_what_happens_comes_under_our_id_and_ends
            t4_a_call_is_found_by_our_id_and_never_by_its_number
            t5_questions_never_dial
            t6_a_deleted_recording_is_gone_and_may_be_deleted_again
            t7_a_call_that_is_over_may_be_hung_up
            t7_who_was_hung_up_is_not_rung_on
        }
    };
    (@each $factory:expr; $($case:ident)*) => {$(
        #[::tokio::test]
        async fn $case() {
            $crate::testing::carrier::$case(&$factory).await;
        }
    )*};
}

/// Tickets to new numbers, as a driver would hold them.
pub async fn tickets(count: usize) -> Vec<Ticket> {
    let store = MemoryStore::default();
    let scene = Scene::new(&store);
    let recorded = json!({
        "recording": true,
        "script": {"notice": "This call is recorded.", "steps": [{"say": "Hello {{name}}."}]},
    });
    scene.running(recorded, count).await;
    issue(&scene).await
}

/// Two tickets to one number, of two campaigns.
async fn two_to_one_number() -> Vec<Ticket> {
    let store = MemoryStore::default();
    let scene = Scene::new(&store);
    let phone = scene.number();
    for _ in 0..2 {
        scene.running_with(serde_json::Value::Null, &[phone]).await;
    }
    issue(&scene).await
}

async fn issue(scene: &Scene<'_>) -> Vec<Ticket> {
    let permits: Vec<_> =
        scene.claim(50).await.into_iter().map(|facts| scene.permit(facts)).collect();
    permits.into_iter().map(|permit| Ticket::issue(permit, scene.wall(), None)).collect()
}

fn open(line: &dyn Line, call: CallId, phone: PhoneNumber, id: Option<String>) -> OpenCall {
    let begun_at = line.now();
    OpenCall { call, phone: Some(phone), begun_at, carrier_call_id: id, events: Vec::new() }
}

async fn found(line: &dyn Line, open: &OpenCall) -> Found {
    line.carrier().find_call(open).await.expect("the carrier answers")
}

fn carrier_id(placement: Placement) -> Option<String> {
    match placement {
        Placement::Placed { carrier_call_id } => Some(carrier_call_id),
        _ => None,
    }
}

pub async fn t1_one_ticket_is_one_dial_at_most_whatever_the_network_does(
    factory: &dyn LineFactory,
) {
    for play in Play::ALL {
        let Some(line) = factory.build(play).await else { continue };
        for ticket in tickets(3).await {
            line.carrier().place_call(ticket).await;
        }
        line.mend().await;
        let dials = line.dials().await;
        let different: BTreeSet<CallId> = dials.iter().map(|(call, _)| *call).collect();
        assert_eq!(different.len(), dials.len(), "{play:?}: somebody was rung twice");
    }
}

pub async fn t2_what_was_certainly_not_dialled_is_told_from_what_is_in_doubt(
    factory: &dyn LineFactory,
) {
    for play in Play::ALL {
        let Some(line) = factory.build(play).await else { continue };
        let ticket = tickets(1).await.remove(0);
        let (call, to) = (ticket.call(), ticket.to());
        let placement = line.carrier().place_call(ticket).await;
        line.mend().await;
        let dialled = line.dials().await == [(call, to)];
        match &placement {
            Placement::Placed { .. } => assert!(dialled, "{play:?}: nobody was rung"),
            Placement::Refused { .. } | Placement::Later { .. } => {
                assert!(!dialled, "{play:?}: said not to be dialled: {placement:?}");
            }
            Placement::Unknown => {}
        }
        let is_clear = match play {
            Play::Take => matches!(placement, Placement::Placed { .. }),
            Play::TooMany | Play::Away => matches!(placement, Placement::Later { .. }),
            Play::RefuseNumber => matches!(
                placement,
                Placement::Refused { fault: Fault::Number { permanent: true }, .. }
            ),
            Play::RefuseAccount => matches!(
                placement,
                Placement::Refused { fault: Fault::Configuration, .. } | Placement::Later { .. }
            ),
            _ => placement == Placement::Unknown,
        };
        assert!(is_clear, "{play:?}: {placement:?}");
    }
}

pub async fn t3_what_happens_comes_under_our_id_and_ends(factory: &dyn LineFactory) {
    let Some(line) = factory.build(Play::Take).await else { return };
    let mut calls = BTreeSet::new();
    for ticket in tickets(5).await {
        calls.insert(ticket.call());
        line.carrier().place_call(ticket).await;
    }
    let (mut heard, mut ended) = (BTreeSet::new(), BTreeSet::new());
    for report in line.live().await {
        let CallRef::Ours(call) = report.call else { continue };
        heard.insert(call);
        if matches!(report.event.kind, EventKind::Ended { .. }) {
            ended.insert(call);
        }
    }
    assert_eq!((&heard, &ended), (&calls, &calls));
}

pub async fn t4_a_call_is_found_by_our_id_and_never_by_its_number(factory: &dyn LineFactory) {
    for play in [Play::Take, Play::TakeAndDrop] {
        let Some(line) = factory.build(play).await else { continue };
        let mut two = two_to_one_number().await;
        let (other, dialled) = (two.remove(1), two.remove(0));
        let (call, phone) = (dialled.call(), dialled.to());
        let id = carrier_id(line.carrier().place_call(dialled).await);
        line.live().await;
        line.mend().await;
        for id in [None, id] {
            let Found::Events(events) = found(&*line, &open(&*line, call, phone, id)).await else {
                panic!("{play:?}: it was dialled");
            };
            let ends = events.iter().any(|event| matches!(event.kind, EventKind::Ended { .. }));
            assert!(ends, "{play:?}: {events:?}");
        }
        let never = open(&*line, other.call(), phone, None);
        assert_eq!(found(&*line, &never).await, Found::Nothing, "{play:?}: another call's");
    }
}

pub async fn t5_questions_never_dial(factory: &dyn LineFactory) {
    let Some(line) = factory.build(Play::Take).await else { return };
    let ticket = tickets(1).await.remove(0);
    line.carrier().check().await.expect("it answers");
    let stranger = open(&*line, ticket.call(), ticket.to(), None);
    assert_eq!(found(&*line, &stranger).await, Found::Nothing);
    assert_eq!(line.carrier().recording("none of ours").await.expect("answered"), None);
    assert_eq!(line.dials().await, []);
}

pub async fn t6_a_deleted_recording_is_gone_and_may_be_deleted_again(factory: &dyn LineFactory) {
    let Some(line) = factory.build(Play::Take).await else { return };
    for ticket in tickets(20).await {
        line.carrier().place_call(ticket).await;
    }
    let reports = line.live().await;
    let references: BTreeSet<String> = reports
        .into_iter()
        .filter_map(|report| match report.event.kind {
            EventKind::Recorded { reference } => Some(reference),
            _ => None,
        })
        .collect();
    assert!(!references.is_empty(), "somebody talked");
    let carrier = line.carrier();
    for reference in references {
        let audio = carrier.recording(&reference).await.expect("answered").expect("it is there");
        assert!(audio.content_type.starts_with("audio/") && !audio.bytes.is_empty());
        carrier.delete_recording(&reference).await.expect("deleted");
        assert_eq!(carrier.recording(&reference).await.expect("answered"), None);
        carrier.delete_recording(&reference).await.expect("deleted again");
    }
}

pub async fn t7_a_call_that_is_over_may_be_hung_up(factory: &dyn LineFactory) {
    let Some(line) = factory.build(Play::Take).await else { return };
    let ticket = tickets(1).await.remove(0);
    let call = ticket.call();
    let id = carrier_id(line.carrier().place_call(ticket).await);
    line.live().await;
    for _ in 0..2 {
        line.carrier().hang_up(call, id.as_deref()).await.expect("no error");
    }
}

pub async fn t7_who_was_hung_up_is_not_rung_on(factory: &dyn LineFactory) {
    for play in [Play::Take, Play::TakeAndDrop] {
        let Some(line) = factory.build(play).await else { continue };
        let ticket = tickets(1).await.remove(0);
        let call = ticket.call();
        let id = carrier_id(line.carrier().place_call(ticket).await);
        line.mend().await;
        // Without the carrier's id it may be told that it can't be done; never that it was if it
        // was not.
        let done = line.carrier().hang_up(call, id.as_deref()).await;
        assert!(done.is_ok() || id.is_none(), "{play:?}: {done:?}");
        // A line whose time flies may have been answered before it was asked.
        let asked = line.now();
        if done.is_ok() {
            let heard = line.live().await;
            let answers = |report: &Report| {
                report.event.kind == EventKind::Answered && report.event.at > asked
            };
            assert!(!heard.iter().any(answers), "{play:?}: {heard:?}");
        }
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_clause_of_the_port_has_a_case() {
        let port = include_str!("../port/telephony.rs");
        let clauses = port.lines().filter_map(|line| {
            line.trim_start().strip_prefix("/// - **T")?.split("**").next().map(str::to_owned)
        });
        let source = include_str!("carrier.rs");
        for clause in clauses {
            assert!(source.contains(&format!("pub async fn t{clause}_")), "T{clause}");
        }
    }
}

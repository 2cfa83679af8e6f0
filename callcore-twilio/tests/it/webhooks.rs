//! What is heard in a call, and what is told of it.

use std::time::Duration;

use callcore::call::{AnsweredBy, CallRef, Direction, EventKind};
use callcore::campaign::VoicemailPolicy;
use callcore::id::CallId;
use callcore::phone::PhoneNumber;
use callcore::port::{Telephony, WebhookDecoder};
use callcore::script::{KeyAction, Rendered};
use callcore::time::{Clock, SeededEntropy};

use crate::line::{TwilioLine, performance};
use callcore_twilio::testing::{Dialled, FakeTwilio};

const CALLER: &str = "+12125550155";

fn kinds(line: &TwilioLine) -> Vec<EventKind> {
    line.server.reports().into_iter().map(|report| report.event.kind).collect()
}

async fn rings(line: &TwilioLine, from: &str, presses: Option<char>) -> Vec<String> {
    line.server.play(|it| it.direction = Direction::Inbound);
    line.fake.ring_in(&line.server.url(), from, "+12125550100", presses).await
}

#[tokio::test]
async fn an_opt_out_is_announced_heard_and_confirmed() {
    let line = TwilioLine::new().await;
    let heard = rings(&line, CALLER, None).await;
    assert_eq!(heard, ["Hello.", "To stop these calls, press nine at any time."]);
    let heard = rings(&line, CALLER, Some('9')).await;
    assert_eq!(heard, ["Hello.", "You will not be called again. Goodbye."]);
    let kinds = kinds(&line);
    assert!(kinds.contains(&EventKind::OptOut));
    assert!(kinds.contains(&EventKind::Key { digit: '9', press: 0 }));
}

#[tokio::test]
async fn whoever_opts_out_waits_in_the_call_until_it_is_stored() {
    let line = TwilioLine::new().await;
    line.server.away(2, 3);
    line.server.play(|it| it.direction = Direction::Inbound);
    // The first requests of the call fail too: the fallback asks again.
    let heard = rings(&line, CALLER, Some('9')).await;
    assert_eq!(heard.last().unwrap(), "You will not be called again. Goodbye.");
    let stored = kinds(&line).iter().filter(|kind| **kind == EventKind::OptOut).count();
    assert_eq!(stored, 1);
    let caller: PhoneNumber = CALLER.parse().unwrap();
    assert!(
        line.server.held().iter().all(|held| *held == caller) && !line.server.held().is_empty()
    );
}

#[tokio::test]
async fn keys_label_go_on_hand_over_and_do_nothing() {
    let last = "Mit der Taste neun werden Sie nicht mehr angerufen.";
    let line = TwilioLine::new().await;
    let say = |text: &str| Rendered::Say { text: text.to_owned(), language: "de-DE".to_owned() };
    line.server.play(|it| {
        it.steps = vec![say("Eins."), say(last)];
        it.keys.insert('1'.try_into().unwrap(), KeyAction::Tag("yes".to_owned()));
        let sales = KeyAction::Transfer("+12125550166".parse().unwrap());
        it.keys.insert('0'.try_into().unwrap(), sales);
    });
    assert_eq!(rings(&line, CALLER, Some('1')).await, ["Eins.", last], "the rest follows");
    assert_eq!(rings(&line, CALLER, Some('5')).await, ["Eins.", "Eins.", last], "once more");
    assert_eq!(rings(&line, CALLER, Some('0')).await, ["Eins.", "dial +12125550166"]);
    assert!(kinds(&line).contains(&EventKind::Transferred));
}

#[tokio::test]
async fn a_recording_is_followed_to_twilios_own_hosts_and_nowhere_else() {
    let line = TwilioLine::new().await;
    let reference = "RE0123456789abcdef0123456789abcdef";
    line.fake.media_moves_to(&format!("{}/media", line.fake.url()));
    let audio = line.twilio.recording(reference).await.unwrap().unwrap();
    assert_eq!((&*audio.content_type, &audio.bytes[..4]), ("audio/x-wav", &b"RIFF"[..]));
    let stranger = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    line.fake.media_moves_to(&format!("http://{}", stranger.local_addr().unwrap()));
    line.twilio.recording(reference).await.unwrap_err();
    let asked = tokio::time::timeout(Duration::from_millis(50), stranger.accept()).await;
    assert!(asked.is_err(), "a stranger was asked");
    // Round and round.
    let below =
        format!("{}/2010-04-01/Accounts/{}/Recordings", line.fake.url(), FakeTwilio::ACCOUNT);
    line.fake.media_moves_to(&below);
    line.twilio.recording(reference).await.unwrap_err();
}

#[tokio::test]
async fn a_late_verdict_hangs_up_on_a_machine_and_not_on_a_person() {
    for (by, words) in [(None, 1), (Some(AnsweredBy::Machine), 1), (Some(AnsweredBy::Human), 0)] {
        let line = TwilioLine::new().await;
        let sid = "CA0123456789abcdef0123456789abcdef";
        line.fake.goes_on(sid, "+12125550155");
        let mut call = performance();
        call.carrier_call_id = Some(sid.to_owned());
        call.voicemail = VoicemailPolicy::LeaveMessage;
        call.voicemail_message = Some("Please call back.".to_owned());
        call.answered_by = by;
        line.twilio.perform("detected machine", Some(&call)).await;
        let dial = line.fake.dials().remove(0);
        assert_eq!(dial.heard.len(), words, "{by:?}: {:?}", dial.heard);
    }
}

/// A call that goes on and in which detection found a machine, for which there is a message.
async fn told_a_machine(line: &TwilioLine, message: String) -> Dialled {
    let sid = "CA0123456789abcdef0123456789abcdef";
    line.fake.goes_on(sid, "+12125550155");
    line.server.play(|it| {
        it.carrier_call_id = Some(sid.to_owned());
        it.voicemail = VoicemailPolicy::LeaveMessage;
        it.voicemail_message = Some(message);
        it.answered_by = Some(AnsweredBy::Machine);
    });
    let call = line.server.performance();
    line.twilio.perform("detected machine", Some(&call)).await;
    line.fake.dials().remove(0)
}

#[tokio::test]
async fn a_message_longer_than_a_request_may_be_is_left_whole() {
    let sentence = "Please call us back about the renewal of your membership. ";
    for length in [100, 3_000, 4_000, 12_000] {
        let line = TwilioLine::new().await;
        let message = sentence.repeat(length / sentence.len());
        let dial = told_a_machine(&line, message.clone()).await;
        assert_eq!(dial.heard.join(" "), message.trim(), "{length}");
        let asked = dial.requests.iter().filter(|(url, _)| url.ends_with("/machine")).count();
        assert_eq!(asked, usize::from(length > 3_000), "only where it must be: {length}");
    }
}

#[tokio::test]
async fn a_message_is_left_also_when_its_document_could_not_be_had_at_first() {
    let line = TwilioLine::new().await;
    line.fake.live_by_itself(false);
    let ticket = callcore::testing::carrier::tickets(1).await.remove(0);
    line.twilio.place_call(ticket).await;
    let dial = line.fake.dials().remove(0);
    let fallback = dial.field("FallbackUrl").unwrap();
    let call = dial.call().unwrap();
    let url = format!("{}/webhooks/twilio/calls/{call}/machine", line.server.url());
    let failed = [("ErrorUrl", &*url), ("ErrorCode", "11200")];
    let again = line.fake.told(&dial.sid, fallback, &failed).await.unwrap();
    assert!(again.contains(&format!(">{url}</Redirect>")), "{again}");
}

#[tokio::test]
async fn what_the_engine_says_itself_is_in_the_scripts_language() {
    let line = TwilioLine::new().await;
    let say = |text: &str| Rendered::Say { text: text.to_owned(), language: "de-DE".to_owned() };
    line.server.play(|it| {
        it.steps = vec![say("Guten Tag.")];
        it.language = "de-DE".to_owned();
        let sales = KeyAction::Transfer("+12125550166".parse().unwrap());
        it.keys.insert('0'.try_into().unwrap(), sales);
    });
    let announced = "Wenn Sie nicht mehr angerufen werden möchten, drücken Sie jederzeit die Neun.";
    assert_eq!(rings(&line, CALLER, None).await, ["Guten Tag.", announced]);
    let confirmed = "Sie werden nicht mehr angerufen. Auf Wiederhören.";
    assert_eq!(rings(&line, CALLER, Some('9')).await, ["Guten Tag.", confirmed]);
    // Nobody's voice: the words are English, and so is who says them.
    line.server.play(|it| it.language = "sv-SE".to_owned());
    let call = line.server.performance();
    let document = line.twilio.perform("transferred false", Some(&call)).await.text;
    let wanted = "<Say language=\"en-US\">Nobody can take your call right now.";
    assert!(document.contains(wanted), "{document}");
}

#[tokio::test]
async fn an_agent_is_told_the_call_its_token_and_the_clients_fields() {
    let line = TwilioLine::new().await;
    let call = CallId::new(callcore::runtime::SystemClock.now(), &SeededEntropy::new(4));
    line.server.play(|it| {
        let params = [("name".to_owned(), "Ada & \"Co\"".to_owned())].into();
        it.steps = vec![Rendered::Connect { url: "wss://agent.example".to_owned(), params }];
        it.result_token = Some("token".to_owned());
        it.call = call;
        it.keys.clear();
    });
    let heard = rings(&line, CALLER, None).await;
    let call = format!("{}={call}", callcore_twilio::CALL_ID);
    let token = format!("{}=token", callcore_twilio::RESULT_TOKEN);
    assert_eq!(heard, ["agent wss://agent.example", "name=Ada & \"Co\"", &call, &token]);
}

#[tokio::test]
async fn a_withheld_number_is_nobodys() {
    let line = TwilioLine::new().await;
    let withheld = ["anonymous", "Restricted", "+266696687", "client:ada", "sip:a@b.example", ""];
    for from in withheld {
        rings(&line, from, None).await;
    }
    rings(&line, CALLER, None).await;
    let mut numbers = Vec::new();
    for report in line.server.reports() {
        match report.call {
            CallRef::Inbound(ring) => numbers.push(ring.from),
            CallRef::Ours(_) => panic!("nobody was dialled"),
        }
    }
    numbers.dedup();
    assert_eq!(numbers, [None, Some(CALLER.parse().unwrap())]);
}

#[tokio::test]
async fn what_is_not_signed_with_the_accounts_token_changes_nothing() {
    let line = TwilioLine::new().await;
    let url = format!("{}/webhooks/twilio/inbound/voice", line.server.url());
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let body = "CallSid=CA0123456789abcdef0123456789abcdef&From=%2B12125550155";
    for signature in [None, Some("AAAAAAAAAAAAAAAAAAAAAAAAAAA=")] {
        let request = client.post(&url).body(body);
        let request = request.header("content-type", "application/x-www-form-urlencoded");
        let request = match signature {
            Some(signature) => request.header("x-twilio-signature", signature),
            None => request,
        };
        assert_eq!(request.send().await.unwrap().status(), 403);
    }
    assert!(line.server.reports().is_empty());
}

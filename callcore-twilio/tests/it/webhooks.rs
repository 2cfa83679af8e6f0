//! What is heard in a call, and what is told of it.

use std::time::Duration;

use callcore::call::{AnsweredBy, CallRef, Direction, EventKind};
use callcore::campaign::VoicemailPolicy;
use callcore::id::CallId;
use callcore::phone::PhoneNumber;
use callcore::port::{Telephony, WebhookDecoder};
use callcore::script::{KeyAction, Record, Rendered};
use callcore::time::{Clock, SeededEntropy};

use crate::line::{TwilioLine, performance, twilio};
use callcore_twilio::testing::{Beep, Dialled, FakeTwilio};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

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

fn say(text: &str, language: &str) -> Rendered {
    Rendered::Say { text: text.to_owned(), language: language.to_owned() }
}

#[tokio::test]
async fn keys_label_go_on_hand_over_and_do_nothing() {
    let last = "Mit der Taste neun werden Sie nicht mehr angerufen.";
    let line = TwilioLine::new().await;
    line.server.play(|it| {
        it.steps = vec![say("Eins.", "de-DE"), say(last, "de-DE")];
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
async fn a_script_hands_over_after_it_said_how_to_opt_out() {
    let line = TwilioLine::new().await;
    let sales: PhoneNumber = "+12125550166".parse().unwrap();
    let announced = "To stop these calls, press nine at any time.";
    line.server.play(|it| it.steps.push(Rendered::Transfer(sales)));
    assert_eq!(rings(&line, CALLER, None).await, ["Hello.", announced, "dial +12125550166"]);
    assert!(kinds(&line).contains(&EventKind::Transferred));
    let heard = rings(&line, CALLER, Some('9')).await;
    assert_eq!(heard, ["Hello.", "You will not be called again. Goodbye."]);
    // In a call that we placed the other side sees the number of ours that it came from.
    let mut call = performance();
    call.steps = vec![Rendered::Transfer(sales)];
    for cue in ["start +12125550100", "start human +12125550100", "start unknown +12125550100"] {
        let document = line.twilio.perform(cue, Some(&call)).await.text;
        assert!(document.contains(announced), "{document}");
        let dial = " callerId=\"+12125550100\"><Number>+12125550166</Number></Dial></Response>";
        assert!(document.ends_with(dial), "{document}");
    }
    let machine = line.twilio.perform("start machine +12125550100", Some(&call)).await.text;
    assert!(!machine.contains("Dial"), "{machine}");
}

#[tokio::test]
async fn a_key_that_labels_loses_neither_agent_nor_transfer_nor_message() {
    let record = Rendered::Record(Record { max_seconds: 60 });
    let agent = Rendered::Connect { url: "wss://agent.example".to_owned(), params: [].into() };
    let transfer = Rendered::Transfer("+12125550166".parse().unwrap());
    for (step, last) in [
        (record, "record 60"),
        (agent, "agent wss://agent.example"),
        (transfer, "dial +12125550166"),
    ] {
        let line = TwilioLine::new().await;
        line.server.play(|it| {
            it.steps = vec![step];
            it.keys.insert('1'.try_into().unwrap(), KeyAction::Tag("yes".to_owned()));
        });
        let heard = rings(&line, CALLER, Some('1')).await;
        assert!(heard.iter().any(|it| it == last), "{last}: {heard:?}");
    }
}

#[tokio::test]
async fn a_caller_leaves_a_message_and_what_follows_is_heard_however_it_ends() {
    let recorded = |kind: &EventKind| matches!(kind, EventKind::Recorded { .. });
    for (beep, is_left, goes_on) in [
        (Beep::Speaks, true, true),
        (Beep::Presses('#'), true, true),
        (Beep::HangsUp, true, false),
        (Beep::IsSilent, false, true),
    ] {
        let line = TwilioLine::new().await;
        line.fake.after_the_beep(beep);
        line.server.play(|it| {
            it.keys.clear();
            it.steps.push(Rendered::Record(Record { max_seconds: 60 }));
            it.steps.push(say("Thank you.", "en-US"));
        });
        let mut wanted = vec!["Hello.", "record 60"];
        wanted.extend(goes_on.then_some("Thank you."));
        assert_eq!(rings(&line, CALLER, None).await, wanted, "{beep:?}");
        let kinds = kinds(&line);
        assert_eq!(kinds.iter().filter(|kind| recorded(kind)).count(), usize::from(is_left));
        let keys = kinds.iter().filter(|kind| matches!(kind, EventKind::Key { .. })).count();
        assert_eq!(keys, usize::from(matches!(beep, Beep::Presses(_))), "{beep:?}");
    }
}

#[tokio::test]
async fn an_opt_out_ends_a_message_and_holds_also_while_the_store_is_away() {
    for away in [0, 2] {
        let line = TwilioLine::new().await;
        line.fake.after_the_beep(Beep::Presses('9'));
        line.server.play(|it| it.steps.push(Rendered::Record(Record { max_seconds: 60 })));
        line.server.away(0, away);
        let heard = rings(&line, CALLER, None).await;
        let announced = "To stop these calls, press nine at any time.";
        let confirmed = "You will not be called again. Goodbye.";
        assert_eq!(heard, ["Hello.", announced, "record 60", confirmed]);
        assert_eq!(kinds(&line).iter().filter(|kind| **kind == EventKind::OptOut).count(), 1);
        assert_eq!(line.server.held().is_empty(), away == 0);
    }
}

#[tokio::test]
async fn nobody_leaves_a_message_twice_because_the_store_was_away() {
    let line = TwilioLine::new().await;
    line.server.play(|it| {
        it.keys.clear();
        it.steps.push(Rendered::Record(Record { max_seconds: 60 }));
        it.steps.push(say("Thank you.", "en-US"));
    });
    line.server.away(0, 2);
    assert_eq!(rings(&line, CALLER, None).await, ["Hello.", "record 60", "Thank you."]);
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

/// Answers one request with so many zeros, after a while.
async fn answers(listener: &tokio::net::TcpListener, bytes: usize, after: Duration) {
    let (mut stream, _) = listener.accept().await.unwrap();
    let mut request = [0; 4096];
    assert!(stream.read(&mut request).await.unwrap() > 0);
    let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {bytes}\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    tokio::time::sleep(after).await;
    // Whoever has enough hangs up.
    drop(stream.write_all(&vec![0; bytes]).await);
}

#[tokio::test]
async fn a_recording_may_take_its_time_and_no_more_memory_than_the_longest_call() {
    let reference = "RE0123456789abcdef0123456789abcdef";
    let line = TwilioLine::new().await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let twilio = twilio(&base, &line.fake.token(), &line.server.url());
    // Longer than the carrier waits for anything else.
    let slow = answers(&listener, 30_000_000, Duration::from_millis(900));
    let (audio, ()) = tokio::join!(twilio.recording(reference), slow);
    assert_eq!(audio.unwrap().unwrap().bytes.len(), 30_000_000);
    let huge = answers(&listener, 70_000_000, Duration::ZERO);
    let (audio, ()) = tokio::join!(twilio.recording(reference), huge);
    audio.unwrap_err();
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
        call.voicemail_message = Some(say("Please call back.", "en-US"));
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
        it.voicemail_message = Some(say(&message, "en-US"));
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
    assert!(again.contains(&format!(">{url}?again=1</Redirect>")), "{again}");
}

/// A call of ours, and the answer of its fallback to a failure of one of its URLs.
async fn falls_back(line: &TwilioLine, failed: &str, told: &[(&'static str, &str)]) -> String {
    line.fake.live_by_itself(false);
    let ticket = callcore::testing::carrier::tickets(1).await.remove(0);
    line.twilio.place_call(ticket).await;
    let dial = line.fake.dials().remove(0);
    let url =
        format!("{}/webhooks/twilio/calls/{}/{failed}", line.server.url(), dial.call().unwrap());
    let mut fields = vec![("ErrorUrl", &*url), ("ErrorCode", "11200")];
    fields.extend_from_slice(told);
    line.fake.told(&dial.sid, dial.field("FallbackUrl").unwrap(), &fields).await.unwrap()
}

#[tokio::test]
async fn an_opt_out_is_stored_or_held_by_the_fallback_itself() {
    for is_away in [false, true] {
        let line = TwilioLine::new().await;
        line.server.away(u32::from(is_away), 0);
        let failed = "key?step=0&presses=0&opt_out=9";
        let again = falls_back(&line, failed, &[("Digits", "9")]).await;
        // Whoever hangs up before it is asked again has opted out all the same.
        assert_eq!(kinds(&line).contains(&EventKind::OptOut), !is_away);
        assert_eq!(line.server.held().len(), usize::from(is_away));
        assert!(again.contains("digits=9</Redirect>"), "{again}");
    }
}

#[tokio::test]
async fn every_key_that_opts_out_is_held_while_the_store_is_away() {
    for key in ['9', '*'] {
        let line = TwilioLine::new().await;
        line.server.play(|it| {
            it.keys.insert('*'.try_into().unwrap(), KeyAction::OptOut);
        });
        line.server.away(0, 1);
        let heard = rings(&line, CALLER, Some(key)).await;
        assert_eq!(heard.last().unwrap(), "You will not be called again. Goodbye.");
        assert_eq!(line.server.held().len(), 1, "{key}");
    }
}

#[tokio::test]
async fn nobody_hears_the_script_again_because_the_store_was_away_when_an_agent_ended() {
    let line = TwilioLine::new().await;
    let again = falls_back(&line, "after?of=agent", &[]).await;
    assert!(again.contains("/after?of=agent&amp;again=1</Redirect>"), "{again}");
    let line = TwilioLine::new().await;
    let again = falls_back(&line, "after?of=transfer", &[("DialCallStatus", "completed")]).await;
    assert!(again.contains("/after?of=transfer&amp;status=completed&amp;again=1<"), "{again}");
    // The answer that comes then is the one of before.
    let dial = line.fake.dials().remove(0);
    let url = format!(
        "{}/webhooks/twilio/calls/{}/after?of=transfer&status=completed",
        line.server.url(),
        dial.call().unwrap()
    );
    let answer = line.fake.told(&dial.sid, &url, &[]).await.unwrap();
    assert!(answer.contains("<Response><Hangup/>"), "{answer}");
    assert!(kinds(&line).contains(&EventKind::Transferred));
}

#[tokio::test]
async fn a_call_whose_document_never_comes_ends_and_an_opt_out_is_asked_for_until_it_is_stored() {
    let line = TwilioLine::new().await;
    let (mut failed, mut rounds) = ("voice".to_owned(), 0);
    let dialled = falls_back(&line, &failed, &[]).await;
    assert!(dialled.contains("/voice?again=1</Redirect>"), "{dialled}");
    let dial = line.fake.dials().remove(0);
    let base = format!("{}/webhooks/twilio/calls/{}", line.server.url(), dial.call().unwrap());
    while rounds < 1_000 {
        let url = format!("{base}/{failed}");
        let fields = [("ErrorUrl", &*url), ("ErrorCode", "11200")];
        let fallback = dial.field("FallbackUrl").unwrap();
        let again = line.fake.told(&dial.sid, fallback, &fields).await.unwrap();
        let Some((_, rest)) = again.split_once("<Redirect method=\"POST\">") else { break };
        let url = rest.split_once("</Redirect>").unwrap().0.replace("&amp;", "&");
        failed = url.strip_prefix(&format!("{base}/")).unwrap().to_owned();
        rounds += 1;
    }
    assert!((50..100).contains(&rounds), "{rounds}");
    let press = format!("{base}/key?step=0&presses=0&opt_out=9&digits=9&again=5000");
    let fields = [("ErrorUrl", &*press), ("ErrorCode", "11200")];
    let again = line.fake.told(&dial.sid, dial.field("FallbackUrl").unwrap(), &fields).await;
    assert!(again.unwrap().contains("digits=9"));
}

#[tokio::test]
async fn what_the_engine_says_itself_is_in_the_scripts_language() {
    let line = TwilioLine::new().await;
    line.server.play(|it| {
        it.steps = vec![say("Guten Tag.", "de-DE")];
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
async fn a_voicemail_hears_the_audio_that_was_uploaded_for_it() {
    let line = TwilioLine::new().await;
    let audio = "0199aaaa-0000-7000-8000-000000000009".parse().unwrap();
    let mut call = performance();
    call.voicemail = VoicemailPolicy::LeaveMessage;
    call.voicemail_message = Some(Rendered::Play(audio));
    call.audio = [(audio, "sealed".to_owned())].into();
    let heard = line.twilio.perform("start machine", Some(&call)).await.text;
    assert!(heard.ends_with("/media/sealed</Play><Hangup/></Response>"), "{heard}");
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
    let url =
        format!("{}={}/api/calls/{call}/result", callcore_twilio::RESULT_URL, line.server.url());
    let call = format!("{}={call}", callcore_twilio::CALL_ID);
    let token = format!("{}=token", callcore_twilio::RESULT_TOKEN);
    assert_eq!(heard, ["agent wss://agent.example", "name=Ada & \"Co\"", &call, &token, &url]);
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

//! Requests that Twilio may send, and their answers.

use callcore::call::{AnsweredBy, CallRef, Direction, EventKind};
use callcore::campaign::VoicemailPolicy;
use callcore::id::{AudioId, CallId};
use callcore::performance::Performance;
use callcore::phone::PhoneNumber;
use callcore::port::{
    WebhookAnswer, WebhookBody, WebhookDecoder, WebhookError, WebhookReply, WebhookRequest,
};
use callcore::script::{DEFAULT_LANGUAGE, Key, KeyAction, Record, Rendered};
use callcore::time::SeededEntropy;
use futures_util::FutureExt;
use secrecy::SecretString;
use sha2::{Digest, Sha256};

use super::document::{Heard, check};
use super::{PUBLIC, TOKEN, fields, first, is_call_sid, now, parts, text, twilio};
use crate::Twilio;
use crate::signature::{Signed, Signer};
use crate::voice::Cue;

const FORM: &str = "application/x-www-form-urlencoded; charset=UTF-8";

thread_local! {
    static TWILIO: Twilio = twilio();
}

/// A request: `POST calls/ID/key?step=0&presses=0` on the first line, its content type on the
/// second, what the call plays on the others, one thing a line (`say=Hello&language=en-US`,
/// `play=ID`, `connect=wss://agent.example&name=Ada`, `transfer=12125550166`, `record=120`, `key=9` for opting out, `key=1&tag=yes`,
/// `key=0&transfer=12125550166`, `voicemail=Call back`, `speaks=de-DE`, `is=transcribed`), and the body.
///
/// Whatever it is, it is taken only with the account's signature, speaks only of the call in its
/// URL, never loses an opt-out, and is answered with what Twilio takes.
///
/// # Panics
///
/// That does not hold.
pub fn webhook(input: &[u8]) {
    let (lines, body) = parts(input);
    let (method, target) = lines[0].split_once(' ').unwrap_or(("POST", &lines[0]));
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let content_type = lines.get(1).map_or("", |line| &**line).to_owned();
    let mut asked =
        Asked { method, path, query: query.to_owned(), content_type, body: body.to_vec() };
    if asked.signature(TOKEN).is_none() {
        // What is no form is proven by its hash in the URL.
        let hash: String = Sha256::digest(body).iter().map(|byte| format!("{byte:02x}")).collect();
        asked.query = format!("{query}&bodySHA256={hash}");
    }
    let performance = performance(lines.get(2..).unwrap_or_default());
    TWILIO.with(|twilio| {
        asked.is_refused_unless_signed(twilio);
        if let Some(reply) = asked.decoded(twilio) {
            asked.check(twilio, &reply, &performance);
        }
    });
}

/// A request.
#[derive(Clone)]
struct Asked<'a> {
    method: &'a str,
    path: &'a str,
    query: String,
    content_type: String,
    body: Vec<u8>,
}

impl Asked<'_> {
    /// The signature of the request; none if none could prove it.
    fn signature(&self, token: &str) -> Option<String> {
        let mark = if self.query.is_empty() { "" } else { "?" };
        Signer::new([SecretString::from(token.to_owned())]).sign(Signed {
            url: &format!("{PUBLIC}webhooks/twilio/{}{mark}{}", self.path, self.query),
            is_get: self.method == "GET",
            content_type: &self.content_type,
            body: &self.body,
        })
    }

    fn with<T>(&self, signature: Option<String>, act: impl FnOnce(&WebhookRequest<'_>) -> T) -> T {
        let mut headers = vec![("content-type".to_owned(), self.content_type.clone())];
        headers.extend(signature.map(|it| ("x-twilio-signature".to_owned(), it)));
        act(&WebhookRequest {
            method: self.method,
            path: self.path,
            query: &self.query,
            headers: &headers,
            body: &self.body,
            now: now(),
            entropy: &SeededEntropy::new(2),
        })
    }

    fn is_refused_unless_signed(&self, twilio: &Twilio) {
        for signature in [None, Some(String::new()), self.signature("another token")] {
            self.with(signature, |request| {
                assert_eq!(twilio.decode(request).err(), Some(WebhookError::Forbidden));
                assert_eq!(twilio.hold(request), None);
            });
        }
    }

    fn decoded(&self, twilio: &Twilio) -> Option<WebhookReply> {
        let signature = self.signature(TOKEN);
        let decode = || self.with(signature.clone(), |request| twilio.decode(request));
        let reply = decode();
        assert_eq!(reply, decode(), "the same request says something else");
        if signature.is_some() {
            assert!(reply != Err(WebhookError::Forbidden), "what is signed is refused");
        }
        reply.ok()
    }

    /// What is said in the request.
    fn said(&self) -> Vec<(String, String)> {
        fields(if self.method == "GET" { self.query.as_bytes() } else { &self.body })
    }

    /// Whose call it is about, as we write it, and what of it.
    fn hook(&self) -> (String, &str) {
        let (at, what) = self.path.rsplit_once('/').expect("it was decoded");
        let call = at.strip_prefix("calls/").and_then(|id| id.parse::<CallId>().ok());
        (call.map_or_else(|| at.to_owned(), |id| format!("calls/{id}")), what)
    }

    /// The key that was pressed, if the request says that it opts out.
    fn opts_out(&self) -> Option<String> {
        let said = self.said();
        let query = match self.hook().1 {
            "key" => fields(self.query.as_bytes()),
            // Which is told what failed, with what was told there.
            "fallback" => fields(self.failed_key()?.split_once('?')?.1.as_bytes()),
            _ => return None,
        };
        let key = first(&said, "Digits").or_else(|| first(&query, "digits"))?;
        let is_key = key.len() == 1 && "0123456789*#".contains(key);
        first(&query, "step")?.parse::<usize>().ok()?;
        first(&query, "presses")?.parse::<u32>().ok()?;
        let wishes = is_key && first(&query, "opt_out").is_some_and(|keys| keys.contains(key));
        wishes.then(|| key.to_owned())
    }

    /// The path and query of the key of the same call of which a fallback is told that it failed.
    fn failed_key(&self) -> Option<String> {
        let (at, said) = (self.hook().0, self.said());
        let url = first(&said, "ErrorUrl")?;
        let path = url.strip_prefix(PUBLIC)?.strip_prefix("webhooks/twilio/")?;
        let (hook, _) = path.split_once('?')?;
        let (call, what) = hook.rsplit_once('/')?;
        let id = call.strip_prefix("calls/").and_then(|id| id.parse::<CallId>().ok());
        let named = id.map_or_else(|| call.to_owned(), |id| format!("calls/{id}"));
        (named == at && what == "key").then(|| path.to_owned())
    }

    fn check(&self, twilio: &Twilio, reply: &WebhookReply, performance: &Performance) {
        self.check_reports(reply);
        let (at, what) = self.hook();
        match &reply.answer {
            WebhookAnswer::Fixed(body) => {
                let heard = read(body, &at);
                assert_eq!(heard.is_some(), what == "fallback", "{what}");
                if let Some(heard) = heard {
                    self.check_fallback(twilio, heard);
                }
            }
            WebhookAnswer::Script { call, cue } => {
                self.check_call(call);
                assert!(cue.parse::<Cue>().is_ok(), "{cue:?} is no cue");
                let perform = |of: Option<&Performance>| {
                    let body = twilio.perform(cue, of).now_or_never();
                    read(&body.expect("nobody is asked"), &at)
                };
                let heard = perform(None);
                assert!(heard.is_none_or(|heard| heard.redirect.is_none() && !heard.connects));
                let mut performance = performance.clone();
                performance.direction = Direction::Inbound;
                if let CallRef::Ours(call) = call {
                    performance.call = *call;
                    performance.direction = Direction::Outbound;
                }
                let heard = perform(Some(&performance));
                assert_eq!(heard.is_none(), what == "detection", "{what}");
                let connects = heard.is_some_and(|heard| heard.connects);
                let is_over = performance.opted_out && what != "key";
                assert!(!(connects && is_over), "an agent talks to somebody who opted out");
            }
        }
        self.check_hold(twilio, reply);
    }

    /// Events are about the call in the URL, and of the kind that the URL is for.
    fn check_reports(&self, reply: &WebhookReply) {
        let (_, what) = self.hook();
        for report in &reply.reports {
            self.check_call(&report.call);
            let may = match &report.event.kind {
                EventKind::Placed { .. } | EventKind::Ringing => ["voice", "status", "machine"],
                EventKind::Answered | EventKind::Ended { .. } => ["voice", "status", "machine"],
                EventKind::Detected { .. } => ["voice", "status", "detection"],
                EventKind::Key { .. } | EventKind::OptOut => ["key", "fallback", ""],
                EventKind::Transferred => ["after", "", ""],
                EventKind::Recorded { .. } => ["recording", "", ""],
                EventKind::Said { .. } => ["transcript", "", ""],
                other => panic!("{other:?} is nothing that Twilio tells"),
            };
            assert!(may.contains(&what), "{what} tells {:?}", report.event.kind);
        }
        let is_child = first(&self.said(), "ParentCallSid").is_some();
        assert!(!(is_child && what == "status") || reply.reports.is_empty(), "of another leg");
        let opted_out = reply.reports.iter().any(|it| it.event.kind == EventKind::OptOut);
        assert_eq!(opted_out, self.opts_out().is_some(), "an opt-out is lost or made up");
    }

    fn check_call(&self, call: &CallRef) {
        match call {
            CallRef::Ours(id) => {
                let named = self.path.strip_prefix("calls/").and_then(|it| it.split('/').next());
                assert_eq!(named.and_then(|it| it.parse::<CallId>().ok()), Some(*id));
            }
            CallRef::Inbound(ring) => {
                assert!(self.path.starts_with("inbound/"), "{}", self.path);
                let said = self.said();
                assert_eq!(first(&said, "CallSid"), Some(&*ring.carrier_call_id));
                assert!(is_call_sid(&ring.carrier_call_id));
                let from = first(&said, "From").unwrap_or_default();
                // A zero too many is a slip of whoever wrote it; a letter may be anything.
                let is_number = |number: PhoneNumber| {
                    let digits = from.strip_prefix('+').unwrap_or("none");
                    let end = number.digits() % 1_000_000;
                    digits.parse::<u64>().is_ok_and(|digits| digits % 1_000_000 == end)
                };
                assert!(ring.from.is_none_or(is_number), "{from:?} is taken for a number");
            }
        }
    }

    /// Whoever opts out while the store is away comes back with the same wish, as often as it takes.
    fn check_hold(&self, twilio: &Twilio, reply: &WebhookReply) {
        let hold = self.with(self.signature(TOKEN), |request| twilio.hold(request));
        let opts_out = self.opts_out();
        assert_eq!(hold.is_some(), opts_out.is_some(), "an opt-out is held or not");
        let Some(hold) = hold else { return };
        let (at, _) = self.hook();
        let heard = read(&hold.answer, &at).expect("a document");
        let again = self.again(heard.redirect.as_deref().expect("it asks again"));
        assert_eq!(again.opts_out(), opts_out, "the wish is another one");
        let told = again.decoded(twilio).expect("the wish is no longer understood");
        let kinds = |reply: &WebhookReply| -> Vec<EventKind> {
            reply.reports.iter().map(|report| report.event.kind.clone()).collect()
        };
        assert_eq!(kinds(&told), kinds(reply), "the wish is another one");
        let once_more = again.with(again.signature(TOKEN), |request| twilio.hold(request));
        assert_eq!(once_more, Some(hold), "the second time it is another one");
    }

    /// What failed is asked again, and an opt-out is what it was.
    fn check_fallback(&self, twilio: &Twilio, heard: Heard) {
        let Some(redirect) = heard.redirect.as_deref() else {
            assert_eq!(self.opts_out(), None, "an opt-out is given up");
            return;
        };
        let again = self.again(redirect);
        assert!(again.decoded(twilio).is_some(), "the fallback leads to what makes no sense");
        let Some(failed) = self.failed_key() else { return };
        // Twilio tells the fallback what it told whatever failed.
        let mut pressed = self.again(&failed);
        pressed.body.clone_from(&self.body);
        if self.method == "GET" {
            pressed.body = self.query.clone().into_bytes();
        }
        assert_eq!(again.opts_out(), pressed.opts_out(), "the fallback loses an opt-out");
    }

    /// What Twilio sends when a redirect leads to a path and query of ours.
    fn again<'a>(&self, target: &'a str) -> Asked<'a> {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let mut form = form_urlencoded::Serializer::new(String::new());
        let said = self.said();
        for name in ["CallSid", "From", "To", "Direction", "CallStatus"] {
            if let Some(value) = first(&said, name) {
                form.append_pair(name, value);
            }
        }
        let (query, content_type) = (query.to_owned(), FORM.to_owned());
        Asked { method: "POST", path, query, content_type, body: form.finish().into_bytes() }
    }
}

/// What an answer does; none if it is empty.
fn read(body: &WebhookBody, at: &str) -> Option<Heard> {
    if *body == WebhookBody::default() {
        return None;
    }
    assert_eq!(body.content_type, "text/xml");
    Some(check(&body.text, at))
}

/// What a call plays.
fn performance(lines: &[std::borrow::Cow<'_, str>]) -> Performance {
    let mut call = Performance {
        call: CallId::new(now(), &SeededEntropy::new(3)),
        carrier_call_id: None,
        direction: Direction::Outbound,
        phone: None,
        language: DEFAULT_LANGUAGE.to_owned(),
        steps: Vec::new(),
        keys: [].into(),
        voicemail: VoicemailPolicy::HangUpAndRetry,
        voicemail_message: None,
        audio: [].into(),
        result_token: None,
        transcribed: false,
        answered_by: None,
        opted_out: false,
    };
    for line in lines {
        let line = fields(line.as_bytes());
        let Some((kind, of)) = line.first() else { continue };
        match &**kind {
            "say" => {
                let (text, language) = (text(&line, "say"), text(&line, "language"));
                call.steps.push(Rendered::Say { text, language });
            }
            "play" => {
                let Ok(audio) = of.parse::<AudioId>() else { continue };
                call.steps.push(Rendered::Play(audio));
                if let Some(token) = first(&line, "token") {
                    call.audio.insert(audio, token.to_owned());
                }
            }
            "connect" => {
                let is_agent = url::Url::parse(of).is_ok_and(|url| url.scheme() == "wss");
                let url = if is_agent { of.clone() } else { "wss://agent.example".to_owned() };
                let params = line[1..].iter().cloned().collect();
                call.steps.push(Rendered::Connect { url, params });
                call.result_token = Some("token".to_owned());
            }
            "transfer" => {
                let to = format!("+{of}").parse().ok();
                call.steps.extend(to.map(Rendered::Transfer));
            }
            "record" => {
                let max_seconds = of.parse().unwrap_or(Record::USUAL_SECONDS);
                call.steps.push(Rendered::Record(Record { max_seconds }));
            }
            "key" => {
                let Ok(key) = Key::try_from(of.clone()) else { continue };
                let to = first(&line, "transfer").and_then(|to| format!("+{to}").parse().ok());
                let tag = first(&line, "tag").map(|tag| KeyAction::Tag(tag.to_owned()));
                let action = to.map(KeyAction::Transfer).or(tag).unwrap_or(KeyAction::OptOut);
                call.keys.insert(key, action);
            }
            "voicemail" => {
                call.voicemail = VoicemailPolicy::LeaveMessage;
                let (text, language) = (text(&line, "voicemail"), text(&line, "language"));
                let audio = of.parse::<AudioId>().ok().filter(|it| call.audio.contains_key(it));
                let said = Rendered::Say { text, language };
                call.voicemail_message = Some(audio.map_or(said, Rendered::Play));
            }
            "speaks" => call.language.clone_from(of),
            "is" => match &**of {
                "transcribed" => call.transcribed = true,
                "opted_out" => call.opted_out = true,
                "human" => call.answered_by = Some(AnsweredBy::Human),
                "machine" => call.answered_by = Some(AnsweredBy::Machine),
                _ => {}
            },
            _ => {}
        }
    }
    call
}

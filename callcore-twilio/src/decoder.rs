//! Twilio's webhooks: who sent them, what they say, what is answered.

use async_trait::async_trait;
use callcore::call::{AnsweredBy, CallEvent, CallRef, EventKind, InboundRing, Report};
use callcore::id::CallId;
use callcore::performance::Performance;
use callcore::phone::PhoneNumber;
use callcore::port::{
    Hold, WebhookAnswer, WebhookBody, WebhookDecoder, WebhookError, WebhookReply, WebhookRequest,
};
use callcore::script::Key;
use chrono::{DateTime, Utc};

use crate::events;
use crate::fields::Fields;
use crate::hook::{Address, Hook, MESSAGE, PROVIDER, What};
use crate::signature::Signed;
use crate::telephony::Twilio;
use crate::twiml::{Response, Verb};
use crate::voice::{self, Cue, Stage};

/// How often in a row a document is asked for again that does not come: for two minutes at least.
const MAX_AGAIN: u32 = 60;
/// Under which name a URL says how often it was asked for again.
const AGAIN: &str = "again";
/// Under which name the URL of a transfer's end says how it went.
const STATUS: &str = "status";

/// What a withheld caller ID looks like as digits: ANONYMOUS, RESTRICTED, BLOCKED, UNKNOWN and
/// UNAVAILABLE as they are spelt on a keypad.
const SPELT: [&str; 5] = ["+266696687", "+7378742833", "+2562533", "+8656696", "+86282452253"];

#[async_trait]
impl WebhookDecoder for Twilio {
    fn provider(&self) -> &'static str {
        PROVIDER
    }

    fn decode(&self, request: &WebhookRequest<'_>) -> Result<WebhookReply, WebhookError> {
        let (hook, fields) = self.read(request)?;
        let call = call_ref(hook.at, &fields, request)?;
        let reports = |events: Vec<CallEvent>| -> Vec<Report> {
            events.into_iter().map(|event| Report { call: call.clone(), event }).collect()
        };
        let query = Fields::parse(request.query.as_bytes());
        let (events, cue) = match hook.what {
            What::Voice => (answered(&fields, hook.at, request.now), Some(start(&fields, hook.at))),
            // Asked for once detection has spoken: it is a machine, whatever else is told here.
            What::Machine => (
                answered(&fields, hook.at, request.now),
                Some(Cue::Start { by: Some(AnsweredBy::Machine), ours: None }),
            ),
            What::Status => (events::status(&fields, request.now), None),
            What::Detection => {
                let by = events::verdict(&fields);
                let cue = by.filter(|by| is_machine(*by)).map(Cue::Detected);
                (events::detection(&fields, request.now), cue)
            }
            What::Key => {
                let press = Press::read(&fields, &query);
                let cue = match &press {
                    _ if is_message(&query) => message(press.as_ref(), &query),
                    Some(press) => Some(press.cue(hook.at, &fields)),
                    None => None,
                };
                let cue = cue.ok_or(WebhookError::Malformed)?;
                let events = press.map(|press| press.events(request.now));
                (events.unwrap_or_default(), Some(cue))
            }
            What::After => {
                let (events, cue) = after(&fields, &query, request.now)?;
                (events, Some(cue))
            }
            What::Recording => (events::recording(&fields, request.now), None),
            What::Transcript => (events::transcript(&fields, request.now), None),
            What::Fallback => {
                let failed = self.failed(hook.at, &fields);
                // Whoever hangs up before it is asked again has opted out all the same.
                let press = failed.as_ref().and_then(|failed| failed.opt_out(&fields));
                let events = press.map(|press| press.events(request.now)).unwrap_or_default();
                let text = self.again(hook.at, &fields, failed.as_ref());
                let answer = WebhookAnswer::Fixed(document(&text));
                return Ok(WebhookReply { reports: reports(events), answer });
            }
        };
        let answer = match cue {
            Some(cue) => WebhookAnswer::Script { call: call.clone(), cue: cue.to_string() },
            None => WebhookAnswer::Fixed(WebhookBody::default()),
        };
        Ok(WebhookReply { reports: reports(events), answer })
    }

    async fn perform(&self, cue: &str, performance: Option<&Performance>) -> WebhookBody {
        let (Ok(cue), Some(call)) = (cue.parse::<Cue>(), performance) else {
            return document(&Response::new([Verb::Hangup]));
        };
        let at = match call.direction {
            callcore::call::Direction::Outbound => Address::Ours(call.call),
            callcore::call::Direction::Inbound => Address::Inbound,
        };
        let stage = self.stage();
        let response = stage.document(cue, call, at);
        if let Cue::Detected(_) = cue {
            // This request's own answer is not heard in the call. Detection may speak half a minute
            // after the answer, and wrongly: whoever pressed a key by then is a person, who may have
            // been handed over to another one.
            if call.answered_by != Some(AnsweredBy::Human) {
                self.go_on_with(call, &response, self.hooks().url(at, What::Machine)).await;
            }
            return WebhookBody::default();
        }
        let begins = matches!(
            cue,
            Cue::Start { by: None | Some(AnsweredBy::Human | AnsweredBy::Unknown), .. }
        );
        let response = if begins && call.transcribed {
            stage.transcribing(at, response, &call.language)
        } else {
            response
        };
        document(&response)
    }

    /// Whoever opts out while that can't be stored waits in the call: nobody may hear "you will not
    /// be called again" before it is true, and a hang-up would lose it.
    fn hold(&self, request: &WebhookRequest<'_>) -> Option<Hold> {
        // Every webhook is asked about; few are worth a second look at their signature.
        let may_press = |hook: &Hook| matches!(hook.what, What::Key | What::Fallback);
        let hook: Hook = request.path.parse().ok().filter(may_press)?;
        let (_, fields) = self.read(request).ok()?;
        let asked = match hook.what {
            What::Fallback => self.failed(hook.at, &fields)?,
            what => Asked { what, query: Fields::parse(request.query.as_bytes()) },
        };
        asked.opt_out(&fields)?;
        let person = match hook.at {
            Address::Ours(_) => "To",
            Address::Inbound => "From",
        };
        let phone = fields.text(person).and_then(caller);
        let answer = document(&Stage::hold(self.same_press(hook.at, &fields, &asked.query)));
        Some(Hold { phone, answer })
    }
}

impl Twilio {
    /// A request whose sender is proven, and what it is about.
    fn read(&self, request: &WebhookRequest<'_>) -> Result<(Hook, Fields), WebhookError> {
        let header = |wanted: &str| {
            let found = request.headers.iter().find(|(name, _)| name == wanted);
            found.map(|(_, value)| &**value)
        };
        let is_get = request.method == "GET";
        let signed = Signed {
            url: &self.hooks().called(request.path, request.query),
            is_get,
            content_type: header("content-type").unwrap_or_default(),
            body: request.body,
        };
        let signature = header("x-twilio-signature").ok_or(WebhookError::Forbidden)?;
        if !self.signer().verify(signed, signature) {
            return Err(WebhookError::Forbidden);
        }
        let hook: Hook = request.path.parse().map_err(|_| WebhookError::Malformed)?;
        let encoded = if is_get { request.query.as_bytes() } else { request.body };
        Ok((hook, Fields::parse(encoded)))
    }

    /// What a fallback is told that failed, if it is a URL of the same call.
    fn failed(&self, at: Address, fields: &Fields) -> Option<Asked> {
        let (path, query) = self.hooks().below(fields.text("ErrorUrl")?)?;
        let hook: Hook = path.parse().ok().filter(|hook: &Hook| hook.at == at)?;
        Some(Asked { what: hook.what, query: Fields::parse(query.as_bytes()) })
    }

    /// The fallback: what failed is asked for again soon, with the key that was pressed. A failure
    /// of ours must not cost anybody the call, least of all an opt-out; nobody has to leave a message
    /// twice, or hears the script anew because the end of an agent could not be told. What never
    /// comes is given up, but for an opt-out.
    fn again(&self, at: Address, fields: &Fields, failed: Option<&Asked>) -> Response {
        let press = failed.filter(|asked| {
            let query = &asked.query;
            let is_press = is_message(query) || Press::read(fields, query).is_some();
            asked.what == What::Key && is_press
        });
        if let Some(asked) = press.filter(|asked| asked.opt_out(fields).is_some()) {
            return Stage::hold(self.same_press(at, fields, &asked.query));
        }
        let rounds = failed.and_then(|asked| asked.query.number(AGAIN)).unwrap_or(0) + 1;
        if rounds > MAX_AGAIN {
            return Response::new([Verb::Hangup]);
        }
        let by = events::verdict(fields).filter(|by| is_machine(*by));
        let url = match failed {
            Some(asked) if press.is_some() => self.same_press(at, fields, &asked.query),
            Some(Asked { what: What::After, query }) => self.same_end(at, fields, query),
            Some(Asked { what: What::Machine, .. }) => self.hooks().url(at, What::Machine),
            _ if by.is_some() => self.hooks().url(at, What::Machine),
            _ => self.hooks().url(at, What::Voice),
        };
        let mark = if url.contains('?') { '&' } else { '?' };
        Stage::hold(format!("{url}{mark}{AGAIN}={rounds}"))
    }

    /// The URL of an end that was told before, with how a transfer went: a redirect does not say so.
    fn same_end(&self, at: Address, fields: &Fields, query: &Fields) -> String {
        let of = query.text("of").unwrap_or_default();
        let known = [voice::TRANSFER, voice::AGENT].into_iter().find(|known| *known == of);
        let url = self.hooks().after(at, known.unwrap_or(voice::AGENT));
        match transfer_status(fields, query) {
            Some(status) if known == Some(voice::TRANSFER) => {
                let mut encoded = form_urlencoded::Serializer::new(String::new());
                format!("{url}&{}", encoded.append_pair(STATUS, status).finish())
            }
            _ => url,
        }
    }

    /// The URL of a press that was told before: a redirect has no digits of its own.
    fn same_press(&self, at: Address, fields: &Fields, query: &Fields) -> String {
        let mut url = self.hooks().url(at, What::Key);
        let digits = fields.text("Digits").or_else(|| query.text("digits"));
        let known = ["step", "presses", "opt_out", "of"].map(|name| (name, query.text(name)));
        let mut encoded = form_urlencoded::Serializer::new(String::new());
        for (name, value) in known.into_iter().chain([("digits", digits)]) {
            if let Some(value) = value {
                encoded.append_pair(name, value);
            }
        }
        url.push('?');
        url.push_str(&encoded.finish());
        url
    }
}

/// What a URL of a call was about.
struct Asked {
    what: What,
    query: Fields,
}

impl Asked {
    /// The press that was told there, if it opts out.
    fn opt_out(&self, fields: &Fields) -> Option<Press> {
        let press = Press::read(fields, &self.query).filter(|_| self.what == What::Key);
        press.filter(|press| press.opts_out)
    }
}

/// Whose call a request is about.
fn call_ref(
    at: Address,
    fields: &Fields,
    request: &WebhookRequest<'_>,
) -> Result<CallRef, WebhookError> {
    match at {
        Address::Ours(call) => Ok(CallRef::Ours(call)),
        Address::Inbound => {
            let sid = fields.text("CallSid").filter(|sid| crate::answer::is_call(sid));
            let carrier_call_id = sid.ok_or(WebhookError::Malformed)?.to_owned();
            let from = fields.text("From").and_then(caller);
            let new_id = CallId::new(request.now, request.entropy);
            Ok(CallRef::Inbound(InboundRing { carrier_call_id, from, new_id }))
        }
    }
}

/// Who rings in; nobody if the number is withheld or none: such a caller is never called back. What
/// has letters may read as the number of somebody else.
fn caller(from: &str) -> Option<PhoneNumber> {
    let is_number = from.bytes().skip(1).all(|byte| byte.is_ascii_digit());
    if !is_number || SPELT.contains(&from) { None } else { from.parse().ok() }
}

/// The call is answered: by whoever we rang, or by us.
fn answered(fields: &Fields, at: Address, now: DateTime<Utc>) -> Vec<CallEvent> {
    let mut events = events::status(fields, now);
    if at == Address::Inbound {
        events.retain(|event| event.kind != EventKind::Ringing);
        events.push(CallEvent { at: now, kind: EventKind::Ringing });
    }
    let answered = CallEvent { at: now, kind: EventKind::Answered };
    if !events.iter().any(|event| event.kind == answered.kind) {
        events.push(answered);
    }
    events
}

fn start(fields: &Fields, at: Address) -> Cue {
    Cue::Start { by: events::verdict(fields), ours: ours(at, fields) }
}

/// The number of ours in a call, if it is one we dialled.
fn ours(at: Address, fields: &Fields) -> Option<PhoneNumber> {
    match at {
        Address::Ours(_) => fields.text("From").and_then(|from| from.parse().ok()),
        Address::Inbound => None,
    }
}

/// Whether the URL of a key was given for a message, which may end without any.
fn is_message(query: &Fields) -> bool {
    query.text("of") == Some(MESSAGE)
}

/// A message was recorded; Twilio says `hangup` where a key would stand.
fn message(press: Option<&Press>, query: &Fields) -> Option<Cue> {
    let step = query.number("step")?.try_into().ok()?;
    Some(Cue::Message {
        key: press.map(|press| press.key),
        step,
        presses: query.number("presses")?,
    })
}

const fn is_machine(by: AnsweredBy) -> bool {
    matches!(by, AnsweredBy::Machine | AnsweredBy::Fax)
}

/// A key press.
struct Press {
    key: Key,
    step: usize,
    presses: u32,
    opts_out: bool,
}

impl Press {
    fn read(fields: &Fields, query: &Fields) -> Option<Self> {
        let digits = fields.text("Digits").or_else(|| query.text("digits"))?;
        let mut chars = digits.chars();
        let (Some(digit), None) = (chars.next(), chars.next()) else { return None };
        Some(Self {
            key: Key::try_from(digit).ok()?,
            step: query.number("step")?.try_into().ok()?,
            presses: query.number("presses")?,
            opts_out: query.text("opt_out").is_some_and(|keys| keys.contains(digit)),
        })
    }

    fn events(&self, now: DateTime<Utc>) -> Vec<CallEvent> {
        let key = EventKind::Key { digit: self.key.digit(), press: self.presses };
        // The URL is signed: what it says of the key holds also if the script changed since.
        let opt_out = self.opts_out.then_some(EventKind::OptOut);
        [key].into_iter().chain(opt_out).map(|kind| CallEvent { at: now, kind }).collect()
    }

    fn cue(&self, at: Address, fields: &Fields) -> Cue {
        let ours = ours(at, fields);
        Cue::Pressed { key: self.key, step: self.step, presses: self.presses, ours }
    }
}

fn after(
    fields: &Fields,
    query: &Fields,
    now: DateTime<Utc>,
) -> Result<(Vec<CallEvent>, Cue), WebhookError> {
    match query.text("of") {
        Some(voice::TRANSFER) => {
            // What a fallback did not hear of either may have been a talk.
            let Some(status) = transfer_status(fields, query) else {
                return Ok((Vec::new(), Cue::AgentDone));
            };
            let reached = matches!(status, "completed" | "answered");
            let event = CallEvent { at: now, kind: EventKind::Transferred };
            let events = reached.then_some(event).into_iter().collect();
            Ok((events, Cue::Transferred(reached)))
        }
        Some(voice::AGENT) => Ok((Vec::new(), Cue::AgentDone)),
        _ => Err(WebhookError::Malformed),
    }
}

/// How a transfer went, as it is told or was told before.
fn transfer_status<'a>(fields: &'a Fields, query: &'a Fields) -> Option<&'a str> {
    fields.text("DialCallStatus").or_else(|| query.text(STATUS))
}

/// A document; one that is too long for Twilio ends the call instead.
fn document(response: &Response) -> WebhookBody {
    let text = response.render().or_else(|_| Response::new([Verb::Hangup]).render());
    WebhookBody { content_type: "text/xml", text: text.unwrap_or_default() }
}

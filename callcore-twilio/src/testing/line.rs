//! A call's life at the fake: its webhooks go out, and what they answer is played.

use std::time::Duration;

use reqwest::Client;

use super::{Beep, Dialled, FakeTwilio, Fate};
use crate::signature::{Signed, Signer};

/// How many documents one call may play: a script that never ends is a defect of it.
const MAX_DOCUMENTS: usize = 20;
/// How long the fake waits where Twilio would for seconds.
const PAUSE: Duration = Duration::from_millis(50);
/// How long a call lasts, in seconds, as it is told.
const TALK: u32 = 12;

type Fields = Vec<(&'static str, String)>;

pub(super) async fn ring(fake: &FakeTwilio, sid: &str) {
    let Some(call) = fake.change(sid, |call| call.clone()) else { return };
    let line = Line::of(fake, &call);
    let status = call.field("StatusCallback");
    line.told(status, "initiated").await;
    line.told(status, "ringing").await;
}

pub(super) async fn told(
    fake: &FakeTwilio,
    sid: &str,
    url: &str,
    fields: &[(&'static str, &str)],
) -> Option<String> {
    let call = fake.change(sid, |call| call.clone())?;
    let fields = fields.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
    Line::of(fake, &call).post(url, fields).await
}

/// Ends a call by our wish, and tells so.
pub(super) fn hang_up(fake: &FakeTwilio, call: &Dialled) {
    let status = if call.status == "in-progress" { "completed" } else { "canceled" };
    fake.change(&call.sid, |call| status.clone_into(&mut call.status));
    let (fake, call) = (fake.clone(), call.clone());
    tokio::spawn(async move {
        if let Some(url) = call.field("StatusCallback") {
            let fields = vec![("CallStatus", status.to_owned()), ("CallDuration", "0".to_owned())];
            Line::of(&fake, &call).post(url, fields).await;
        }
    });
}

/// A call that talks goes on with the document at a URL.
pub(super) async fn go_on(fake: &FakeTwilio, call: &Dialled, url: &str) {
    let fallback = call.field("FallbackUrl").map(str::to_owned);
    Line::of(fake, call).play(Some(url.to_owned()), Vec::new(), fallback, None).await;
}

pub(super) async fn live(fake: &FakeTwilio, sid: &str) {
    let Some(call) = fake.change(sid, |call| call.clone()) else { return };
    if call.is_over() {
        return;
    }
    let line = Line::of(fake, &call);
    let url = |name: &str| call.field(name).map(str::to_owned);
    let status = url("StatusCallback");
    match fake.fate_of(&call.to) {
        Fate::Silent => {}
        Fate::Busy => line.end(status, "busy", Some("486")).await,
        Fate::Failed(sip) => line.end(status, "failed", Some(&sip.to_string())).await,
        Fate::NoAnswer => {
            line.told(status.as_deref(), "ringing").await;
            line.end(status, "no-answer", Some("487")).await;
        }
        fate @ (Fate::Person { .. } | Fate::Machine) => {
            let blocking = call.field("AsyncAmd").is_none();
            let machine = fate == Fate::Machine;
            let leaves = call.field("MachineDetection") == Some("DetectMessageEnd");
            let verdict = match (machine, leaves) {
                (false, _) => "human",
                (true, false) => "machine_start",
                (true, true) => "machine_end_beep",
            };
            line.told(status.as_deref(), "initiated").await;
            line.told(status.as_deref(), "ringing").await;
            line.told(status.as_deref(), "in-progress").await;
            fake.change(sid, |call| call.answered_by = Some(verdict));
            if !blocking && let Some(detection) = url("AsyncAmdStatusCallback") {
                line.post(&detection, vec![("AnsweredBy", verdict.to_owned())]).await;
            }
            let presses = match fate {
                Fate::Person { presses } => presses,
                _ => None,
            };
            // A machine that is told of at once hears what follows from it, and nothing else.
            if blocking || !machine {
                let said = if blocking { vec![("AnsweredBy", verdict.to_owned())] } else { vec![] };
                let fallback = url("FallbackUrl");
                line.play(url("Url"), said, fallback, presses).await;
            }
            if call.field("Record").is_some()
                && let Some(url) = url("RecordingStatusCallback")
            {
                line.recorded(&url).await;
            }
            line.end(status, "completed", None).await;
        }
    }
}

pub(super) async fn ring_in(
    fake: &FakeTwilio,
    public_url: &str,
    from: &str,
    to: &str,
    presses: Option<char>,
) -> Vec<String> {
    let sid = fake.sid("CA");
    let mut line = Line::new(fake, &sid, to, from);
    line.direction = "inbound";
    let url =
        |word: &str| format!("{}/webhooks/twilio/inbound/{word}", public_url.trim_end_matches('/'));
    let status = vec![("CallStatus", "ringing".to_owned())];
    let heard = line.play(Some(url("voice")), status, Some(url("fallback")), presses).await;
    let ended = vec![("CallStatus", "completed".to_owned()), ("CallDuration", TALK.to_string())];
    line.post(&url("status"), ended).await;
    heard
}

/// What a document says, without carrying it out.
pub(super) fn said(document: &str) -> Vec<String> {
    let Ok(document) = roxmltree::Document::parse(document) else { return Vec::new() };
    let heard = |node: &roxmltree::Node<'_, '_>| ["Say", "Play"].contains(&node.tag_name().name());
    let nodes = document.descendants().filter(heard);
    nodes.filter_map(|node| node.text().map(str::to_owned)).collect()
}

struct Line<'a> {
    fake: &'a FakeTwilio,
    client: Client,
    sid: String,
    to: String,
    from: String,
    direction: &'static str,
}

impl<'a> Line<'a> {
    /// The line of a call that was taken.
    fn of(fake: &'a FakeTwilio, call: &Dialled) -> Self {
        Self::new(fake, &call.sid, &call.to, call.field("From").unwrap_or_default())
    }

    fn new(fake: &'a FakeTwilio, sid: &str, to: &str, from: &str) -> Self {
        let client = Client::builder().no_proxy().timeout(Duration::from_secs(15)).build();
        Self {
            fake,
            client: client.unwrap_or_default(),
            sid: sid.to_owned(),
            to: to.to_owned(),
            from: from.to_owned(),
            direction: "outbound-api",
        }
    }

    /// Whether somebody hung up meanwhile, who has told so.
    fn is_over(&self) -> bool {
        self.fake.change(&self.sid, |call| call.is_over()).unwrap_or(false)
    }

    async fn told(&self, url: Option<&str>, status: &'static str) {
        if self.is_over() {
            return;
        }
        self.fake.change(&self.sid, |call| {
            if status != "initiated" {
                status.clone_into(&mut call.status);
            }
        });
        if let Some(url) = url {
            self.post(url, vec![("CallStatus", status.to_owned())]).await;
        }
    }

    async fn end(&self, url: Option<String>, status: &'static str, sip: Option<&str>) {
        if self.is_over() {
            return;
        }
        let talk = if status == "completed" { TALK } else { 0 };
        self.fake.change(&self.sid, |call| {
            status.clone_into(&mut call.status);
            call.duration = talk;
        });
        let mut fields =
            vec![("CallStatus", status.to_owned()), ("CallDuration", talk.to_string())];
        fields.extend(sip.map(|sip| ("SipResponseCode", sip.to_owned())));
        if let Some(url) = url {
            self.post(&url, fields).await;
        }
    }

    /// A signed request, once again if the connection failed, as Twilio does. The body, if the
    /// answer is good.
    async fn post(&self, url: &str, mut fields: Fields) -> Option<String> {
        fields.push(("To", self.to.clone()));
        fields.push(("From", self.from.clone()));
        fields.push(("Direction", self.direction.to_owned()));
        self.send(url, fields).await
    }

    /// Tells of a recording that can be fetched: Twilio says no more of its call than the ids.
    async fn recorded(&self, url: &str) {
        let fields = vec![
            ("RecordingSid", self.sid.replacen("CA", "RE", 1)),
            ("RecordingStatus", "completed".to_owned()),
            ("RecordingUrl", "http://127.0.0.1:1/elsewhere".to_owned()),
        ];
        self.send(url, fields).await;
    }

    async fn send(&self, url: &str, mut fields: Fields) -> Option<String> {
        fields.push(("CallSid", self.sid.clone()));
        fields.push(("AccountSid", FakeTwilio::ACCOUNT.to_owned()));
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(&fields).finish();
        let content_type = "application/x-www-form-urlencoded";
        let signer = Signer::new([self.fake.token().into()]);
        let signed = Signed { url, is_get: false, content_type, body: body.as_bytes() };
        let signature = signer.sign(signed)?;
        for _ in 0..2 {
            let request = self.client.post(url).header("content-type", content_type);
            let request = request.header("x-twilio-signature", &signature).body(body.clone());
            let Ok(response) = request.send().await else { continue };
            let status = response.status();
            self.fake.change(&self.sid, |call| {
                call.requests.push((url.to_owned(), status.as_u16()));
            });
            return if status.is_success() { response.text().await.ok() } else { None };
        }
        None
    }

    /// Plays documents from a URL on until the call ends. Returns what was heard.
    async fn play(
        &self,
        url: Option<String>,
        said: Fields,
        fallback: Option<String>,
        mut presses: Option<char>,
    ) -> Vec<String> {
        let mut heard = Vec::new();
        let mut next = url.map(|url| (url, said));
        for _ in 0..MAX_DOCUMENTS {
            let Some((url, mut fields)) = next.take() else { break };
            if self.is_over() {
                break;
            }
            if !fields.iter().any(|(name, _)| *name == "CallStatus") {
                fields.push(("CallStatus", "in-progress".to_owned()));
            }
            let digits = fields.iter().find(|(name, _)| *name == "Digits").cloned();
            let Some(document) = self.post(&url, fields).await else {
                // Twilio tells the fallback what failed, with what was told there.
                tokio::time::sleep(PAUSE).await;
                let mut fields = vec![("ErrorUrl", url.clone()), ("ErrorCode", "11200".to_owned())];
                fields.extend(digits);
                next =
                    fallback.clone().filter(|fallback| *fallback != url).map(|url| (url, fields));
                continue;
            };
            next = self.carry_out(&document, &mut presses, &mut heard).await;
        }
        self.fake.change(&self.sid, |call| call.heard.extend(heard.iter().cloned()));
        heard
    }

    /// Carries one document out; where the call goes on.
    async fn carry_out(
        &self,
        document: &str,
        presses: &mut Option<char>,
        heard: &mut Vec<String>,
    ) -> Option<(String, Fields)> {
        let document = roxmltree::Document::parse(document).ok()?;
        let text = |node: roxmltree::Node<'_, '_>| node.text().unwrap_or_default().to_owned();
        for verb in document.root_element().children().filter(roxmltree::Node::is_element) {
            let action = verb.attribute("action").map(str::to_owned);
            match verb.tag_name().name() {
                "Say" | "Play" => heard.push(text(verb)),
                "Pause" => tokio::time::sleep(PAUSE).await,
                "Redirect" => return Some((text(verb), Vec::new())),
                "Gather" => {
                    let prompts = verb.children().filter(roxmltree::Node::is_element);
                    heard.extend(prompts.map(text).filter(|text| !text.is_empty()));
                    if let Some(key) = presses.take() {
                        return Some((action?, vec![("Digits", key.to_string())]));
                    }
                }
                "Record" => {
                    let longest = verb.attribute("maxLength").unwrap_or_default();
                    heard.push(format!("record {longest}"));
                    let beep = self.fake.lock().beep;
                    let digits = match beep {
                        // Without any sound Twilio goes on with what follows.
                        Beep::IsSilent => continue,
                        Beep::Speaks => Vec::new(),
                        Beep::Presses(key) => vec![("Digits", key.to_string())],
                        Beep::HangsUp => vec![("Digits", "hangup".to_owned())],
                    };
                    if let Some(url) = verb.attribute("recordingStatusCallback") {
                        self.recorded(url).await;
                    }
                    if beep == Beep::HangsUp {
                        self.post(&action?, digits).await;
                        return None;
                    }
                    return Some((action?, digits));
                }
                "Dial" => {
                    let caller = verb.attribute("callerId").map(|from| format!(" from {from}"));
                    let to = verb.first_element_child().map(text).unwrap_or_default();
                    heard.push(format!("dial {to}{}", caller.unwrap_or_default()));
                    return Some((action?, vec![("DialCallStatus", "completed".to_owned())]));
                }
                "Connect" => {
                    let agent = verb.first_element_child()?;
                    heard.push(format!("agent {}", agent.attribute("url").unwrap_or_default()));
                    let named = agent.children().filter(roxmltree::Node::is_element);
                    heard.extend(named.map(|it| {
                        let attribute = |name| it.attribute(name).unwrap_or_default();
                        format!("{}={}", attribute("name"), attribute("value"))
                    }));
                    return Some((action?, Vec::new()));
                }
                "Hangup" => return None,
                _ => {}
            }
        }
        None
    }
}

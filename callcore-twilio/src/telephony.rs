//! Dialling through Twilio.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use callcore::campaign::VoicemailPolicy;
use callcore::engine::Ticket;
use callcore::id::CallId;
use callcore::performance::Performance;
use callcore::phone::PhoneNumber;
use callcore::port::{Audio, Fault, Found, OpenCall, Placement, Telephony, TelephonyError};
use callcore::time::{Clock, Entropy};
use chrono::TimeDelta;

use crate::answer::{Answer, Refusal, is_call};
use crate::api::{Api, ApiError, Call, Rewrite};
use crate::config::{Config, ConfigError, Detection};
use crate::hook::{Address, Hook, Hooks, PROVIDER, What};
use crate::pace::Pace;
use crate::signature::Signer;
use crate::twiml::{ConnectKind, MAX_SENT, Response};
use crate::voice::Stage;
use crate::{caller_id, events};

/// How far Twilio's clock and ours may differ when a call is looked for.
const SKEW: TimeDelta = TimeDelta::minutes(5);
/// How long after its intent a call may still have been created: a ticket lasts for seconds.
const LATEST: TimeDelta = TimeDelta::minutes(10);
/// How many calls to one number are looked into.
const MAX_CANDIDATES: usize = 20;

/// The carrier.
///
/// One dial is one request, never repeated: redirects and retries are switched off, and an answer
/// that proves nothing is [`Placement::Unknown`]. Twilio has no idempotency key for calls.
#[derive(Clone)]
pub struct Twilio(Arc<Inner>);

struct Inner {
    api: Api,
    hooks: Hooks,
    signer: Signer,
    caller_ids: Vec<PhoneNumber>,
    detection: Detection,
    agents: ConnectKind,
    pace: Pace,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
}

impl fmt::Debug for Twilio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Twilio").finish_non_exhaustive()
    }
}

impl Twilio {
    /// A carrier. `clock` is the campaign clock, which is the wall clock wherever phones ring.
    ///
    /// # Errors
    ///
    /// No HTTP client can be made of the configuration.
    pub fn new(
        mut config: Config,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Result<Self, ConfigError> {
        if config.signing_tokens.is_empty() {
            return Err(ConfigError::NoSigningToken);
        }
        let api = Api::new(&mut config)?;
        Ok(Self(Arc::new(Inner {
            api,
            hooks: Hooks::new(&config.public_url),
            signer: Signer::new(config.signing_tokens),
            caller_ids: config.caller_ids,
            detection: config.detection,
            agents: config.agents,
            pace: Pace::default(),
            clock,
            entropy,
        })))
    }

    pub(crate) fn api(&self) -> &Api {
        &self.0.api
    }

    pub(crate) fn caller_ids(&self) -> &[PhoneNumber] {
        &self.0.caller_ids
    }

    pub(crate) fn hooks(&self) -> &Hooks {
        &self.0.hooks
    }

    pub(crate) fn signer(&self) -> &Signer {
        &self.0.signer
    }

    pub(crate) fn stage(&self) -> Stage<'_> {
        Stage {
            hooks: &self.0.hooks,
            agents: self.0.agents,
            talk_seconds: seconds(callcore::engine::TALK_LIMIT.num_seconds()),
        }
    }

    #[cfg(feature = "testing")]
    pub(crate) fn pace(&self) -> &Pace {
        &self.0.pace
    }

    /// Gives a call that goes on another document, here or, if it is too long for that, under the
    /// URL of a hook that answers with it. One that is over by then heard enough.
    pub(crate) async fn go_on_with(&self, call: &Performance, response: &Response, url: String) {
        let Some(sid) = call.carrier_call_id.as_deref().filter(|sid| is_call(sid)) else { return };
        let short = response.render().ok().filter(|twiml| twiml.chars().count() <= MAX_SENT);
        let document = short.map_or(Rewrite::Url(url), Rewrite::Twiml);
        match self.0.api.rewrite_call(sid, document).await {
            Ok(()) => {}
            Err(error) if error.is_over() => {}
            Err(error) => tracing::warn!(call = %call.call, %error, "a call plays on to a machine"),
        }
    }

    fn form(&self, ticket: &Ticket, from: PhoneNumber) -> Vec<(&'static str, String)> {
        let at = Address::Ours(ticket.call());
        let url = |what| self.0.hooks.url(at, what);
        let post = || "POST".to_owned();
        let mut form = vec![
            ("To", ticket.to().to_string()),
            ("From", from.to_string()),
            ("Url", url(What::Voice)),
            ("Method", post()),
            ("FallbackUrl", url(What::Fallback)),
            ("FallbackMethod", post()),
            ("StatusCallback", url(What::Status)),
            ("StatusCallbackMethod", post()),
            ("Timeout", ticket.ring_limit_seconds().to_string()),
            ("TimeLimit", ticket.talk_limit_seconds().to_string()),
        ];
        for event in ["initiated", "ringing", "answered", "completed"] {
            form.push(("StatusCallbackEvent", event.to_owned()));
        }
        let settings = ticket.settings();
        let leaves = settings.voicemail.policy == VoicemailPolicy::LeaveMessage;
        // Where a message is left, the end of the greeting has to be heard first.
        let mode = if leaves { "DetectMessageEnd" } else { "Enable" };
        form.push(("MachineDetection", mode.to_owned()));
        if !self.0.detection.blocks(leaves) {
            form.push(("AsyncAmd", "true".to_owned()));
            form.push(("AsyncAmdStatusCallback", url(What::Detection)));
            form.push(("AsyncAmdStatusCallbackMethod", post()));
        }
        if let Some(channels) = settings.recording.channels() {
            form.push(("Record", "true".to_owned()));
            form.push(("RecordingChannels", channels.to_owned()));
            form.push(("RecordingStatusCallback", url(What::Recording)));
            form.push(("RecordingStatusCallbackMethod", post()));
        }
        form
    }

    pub(crate) fn placement(&self, call: CallId, answer: Answer) -> Placement {
        match answer {
            Answer::Placed(carrier_call_id) => {
                self.0.pace.took();
                Placement::Placed { carrier_call_id }
            }
            Answer::Later(asked) => {
                let now = self.0.clock.now();
                let at = self.0.pace.refused(now, asked, &*self.0.entropy);
                Placement::Later { at }
            }
            Answer::Refused(Refusal { code, fault }) => {
                let code = code.map_or_else(|| "http".to_owned(), |code| code.to_string());
                if fault == Fault::Request {
                    tracing::error!(%call, code, "Twilio does not understand what it was asked");
                }
                Placement::Refused { reason: format!("twilio_{code}"), fault }
            }
            Answer::Unclear => Placement::Unknown,
        }
    }

    /// The call that was created for an intent, proven by our id in the URLs that Twilio called for
    /// it. Twilio shows a call only after a while, so that nothing found proves nothing.
    async fn search(&self, open: &OpenCall) -> Result<Option<Call>, ApiError> {
        let Some(to) = open.phone else { return Ok(None) };
        let (from, until) = (open.begun_at - SKEW, open.begun_at + LATEST);
        let calls = self.0.api.calls(&to.to_string()).await?;
        let may_be = |call: &Call| {
            let created = call.date_created.as_deref().and_then(events::rfc2822);
            is_call(&call.sid) && created.is_none_or(|at| from <= at && at <= until)
        };
        for call in calls.into_iter().filter(may_be).take(MAX_CANDIDATES) {
            let urls = self.0.api.requested_urls(&call.sid).await?;
            let about = |url: &String| {
                let (path, _) = self.0.hooks.below(url)?;
                path.parse::<Hook>().ok().map(|hook| hook.at)
            };
            if urls.iter().filter_map(about).any(|at| at == Address::Ours(open.call)) {
                return Ok(Some(call));
            }
        }
        Ok(None)
    }
}

#[async_trait]
impl Telephony for Twilio {
    fn kind(&self) -> &'static str {
        PROVIDER
    }

    fn is_simulated(&self) -> bool {
        false
    }

    async fn place_call(&self, ticket: Ticket) -> Placement {
        if let Some(at) = self.0.pace.held(self.0.clock.now()) {
            return Placement::Later { at };
        }
        let wanted = &ticket.settings().caller_ids;
        let pool = if wanted.is_empty() { &self.0.caller_ids } else { wanted };
        let Some(from) = caller_id::choose(pool, &ticket) else {
            let reason = "no_caller_id".to_owned();
            return Placement::Refused { reason, fault: Fault::Configuration };
        };
        let answer = self.0.api.create_call(&self.form(&ticket, from)).await;
        self.placement(ticket.call(), answer)
    }

    async fn hang_up(
        &self,
        _: CallId,
        carrier_call_id: Option<&str>,
    ) -> Result<(), TelephonyError> {
        let what = "hang up";
        // A call that Twilio never named can't be addressed; once it is found it is asked again.
        let sid = carrier_call_id.filter(|sid| is_call(sid)).ok_or(TelephonyError::new(what))?;
        match self.0.api.end_call(sid).await {
            Ok(()) => Ok(()),
            Err(error) if error.is_over() => Ok(()),
            Err(error) => Err(TelephonyError::new(what).because(error)),
        }
    }

    async fn find_call(&self, open: &OpenCall) -> Result<Found, TelephonyError> {
        let failed = |error| TelephonyError::new("find a call").because(error);
        let known = open.carrier_call_id.as_deref().filter(|sid| is_call(sid));
        let call = match known {
            Some(sid) => match self.0.api.call(sid).await {
                Ok(call) => Some(call),
                Err(error) if error.is_not_found() => None,
                Err(error) => return Err(failed(error)),
            },
            None => self.search(open).await.map_err(failed)?,
        };
        Ok(call
            .map_or(Found::Nothing, |call| Found::Events(events::looked_up(&call, open.begun_at))))
    }

    async fn check(&self) -> Result<(), TelephonyError> {
        let answer = self.0.api.account().await;
        answer.map(drop).map_err(|error| TelephonyError::new("answer").because(error))
    }

    async fn recording(&self, reference: &str) -> Result<Option<Audio>, TelephonyError> {
        if !events::is_recording(reference) {
            return Ok(None);
        }
        match self.0.api.recording(reference).await {
            Ok(found) => Ok(found.map(|(content_type, bytes)| Audio { content_type, bytes })),
            Err(error) => Err(TelephonyError::new("fetch a recording").because(error)),
        }
    }

    async fn delete_recording(&self, reference: &str) -> Result<(), TelephonyError> {
        // None of Twilio's: it has no such recording.
        if !events::is_recording(reference) {
            return Ok(());
        }
        let deleted = self.0.api.delete_recording(reference).await;
        deleted.map_err(|error| TelephonyError::new("delete a recording").because(error))
    }
}

fn seconds(count: i64) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

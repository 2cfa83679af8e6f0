//! The two proofs a dial needs.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::decide::{Facts, Heard, Lease, Person};
use super::{RING_LIMIT, TALK_LIMIT, TICKET_LIFE};
use crate::call::Intent;
use crate::campaign::Settings;
use crate::campaign::VoicemailPolicy;
use crate::id::{AudioId, CallId, CampaignId, ClientId};
use crate::phone::PhoneNumber;
use crate::script::{ClientFields, Rendered, Step, Template, field_key};
use crate::seal::Sealer;

/// The proof that every rule said yes. Only [`decide`](super::decide()) makes one.
///
/// ```compile_fail,E0451
/// # use callcore::engine::Permit;
/// // A permit can't be put together by hand...
/// let permit = Permit { ..todo!() };
/// ```
///
/// ```compile_fail,E0599
/// # fn twice(permit: callcore::engine::Permit) {
/// // ...nor used twice.
/// let again = permit.clone();
/// # }
/// ```
#[derive(Debug)]
pub struct Permit {
    facts: Facts,
    decided_at: DateTime<Utc>,
    window_end: Option<DateTime<Utc>>,
    decision: Vec<Heard>,
}

impl Permit {
    pub(super) const fn issue(
        facts: Facts,
        decided_at: DateTime<Utc>,
        window_end: Option<DateTime<Utc>>,
        decision: Vec<Heard>,
    ) -> Self {
        Self { facts, decided_at, window_end, decision }
    }

    /// The call.
    #[must_use]
    pub const fn call(&self) -> CallId {
        self.facts.call
    }

    /// Its campaign.
    #[must_use]
    pub const fn campaign(&self) -> CampaignId {
        self.facts.campaign
    }

    /// Its client; a test call has none.
    #[must_use]
    pub const fn client(&self) -> Option<ClientId> {
        self.facts.client
    }

    /// The number to dial.
    #[must_use]
    pub const fn phone(&self) -> PhoneNumber {
        self.facts.phone
    }

    /// Which number of dial it is for the client.
    #[must_use]
    pub const fn attempt(&self) -> u32 {
        self.facts.attempt
    }

    /// Whether a person asked for it.
    #[must_use]
    pub const fn intent(&self) -> Intent {
        self.facts.intent
    }

    /// The lease under which the call was claimed.
    #[must_use]
    pub const fn lease(&self) -> Lease {
        self.facts.lease
    }

    /// The settings the rules were asked under.
    #[must_use]
    pub const fn settings_version(&self) -> u32 {
        self.facts.settings_version
    }

    /// Those settings.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.facts.settings
    }

    /// When the rules spoke.
    #[must_use]
    pub const fn decided_at(&self) -> DateTime<Utc> {
        self.decided_at
    }

    /// When the calling window closes, if one counts.
    #[must_use]
    pub const fn window_end(&self) -> Option<DateTime<Utc>> {
        self.window_end
    }

    /// Every rule that was asked, as it answered.
    #[must_use]
    pub fn decision(&self) -> &[Heard] {
        &self.decision
    }
}

/// The proof that the intent to dial is stored. Only the driver makes one, from a permit that a
/// store accepted, and placing the call consumes it: a ticket is one dial.
///
/// ```compile_fail,E0451
/// # use callcore::engine::Ticket;
/// let ticket = Ticket { ..todo!() };
/// ```
///
/// ```compile_fail,E0382
/// # async fn twice(carrier: &dyn callcore::port::Telephony, ticket: callcore::engine::Ticket) {
/// carrier.place_call(ticket).await;
/// carrier.place_call(ticket).await;
/// # }
/// ```
///
/// ```compile_fail,E0277
/// // It doesn't come out of a file either.
/// let ticket: callcore::engine::Ticket = serde_json::from_str("{}").unwrap();
/// ```
pub struct Ticket {
    facts: Facts,
    good_until: DateTime<Utc>,
    window_end: Option<DateTime<Utc>>,
    tokens: Tokens,
}

/// What a ticket hands on for others to come back with.
#[derive(Default)]
struct Tokens {
    result: Option<String>,
    audio: BTreeMap<AudioId, String>,
}

impl fmt::Debug for Ticket {
    /// Leaves the tokens out: whoever has them may use them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ticket").field("call", &self.facts.call).finish_non_exhaustive()
    }
}

impl Ticket {
    pub(crate) fn issue(permit: Permit, wall: DateTime<Utc>, sealer: Option<&Sealer>) -> Self {
        let Permit { facts, window_end, .. } = permit;
        let tokens = sealer.map(|sealer| Tokens::seal(&facts, wall, sealer)).unwrap_or_default();
        Self { facts, good_until: wall + TICKET_LIFE, window_end, tokens }
    }

    /// Whether the carrier may still be asked: the ticket is seconds old on the wall clock, and
    /// the calling window has not closed on the campaign clock.
    pub(crate) fn is_good(&self, now: DateTime<Utc>, wall: DateTime<Utc>) -> bool {
        wall < self.good_until && self.window_end.is_none_or(|end| now < end)
    }

    pub(crate) const fn lease(&self) -> Lease {
        self.facts.lease
    }

    pub(crate) const fn intent(&self) -> Intent {
        self.facts.intent
    }

    /// The call's campaign.
    #[must_use]
    pub const fn campaign(&self) -> CampaignId {
        self.facts.campaign
    }

    /// The call's client; a test call has none.
    #[must_use]
    pub const fn client(&self) -> Option<ClientId> {
        self.facts.client
    }

    /// The call. Carriers hand it back in every event about it.
    #[must_use]
    pub const fn call(&self) -> CallId {
        self.facts.call
    }

    /// The number to dial.
    #[must_use]
    pub const fn to(&self) -> PhoneNumber {
        self.facts.phone
    }

    /// Which number of dial it is for the client.
    #[must_use]
    pub const fn attempt(&self) -> u32 {
        self.facts.attempt
    }

    /// The campaign's settings: script, voicemail policy.
    #[must_use]
    pub const fn settings(&self) -> &Arc<Settings> {
        &self.facts.settings
    }

    /// How long it may ring, in seconds.
    #[must_use]
    pub const fn ring_limit_seconds(&self) -> i64 {
        RING_LIMIT.num_seconds()
    }

    /// How long it may last once answered, in seconds.
    #[must_use]
    pub const fn talk_limit_seconds(&self) -> i64 {
        TALK_LIMIT.num_seconds()
    }

    /// What the person hears, filled in for this client. Audio that was deleted since the script
    /// was written is left out.
    #[must_use]
    pub fn steps(&self) -> Vec<Rendered> {
        let fill = |template: &Template| self.fill(template);
        let steps = self.facts.settings.script.heard().map(|step| step.rendered(&fill));
        steps.filter(|step| self.is_there(step)).collect()
    }

    /// What a voicemail hears after the beep, if the campaign leaves messages.
    #[must_use]
    pub fn voicemail_message(&self) -> Option<Rendered> {
        let settings = &self.facts.settings;
        let leaves = settings.voicemail.policy == VoicemailPolicy::LeaveMessage;
        let message = settings.voicemail.message.as_ref().filter(|_| leaves)?;
        let message = message.rendered(settings.script.language(), &|text| self.fill(text));
        Some(message).filter(|message| self.is_there(message))
    }

    fn is_there(&self, step: &Rendered) -> bool {
        step.audio().is_none_or(|audio| self.audio_name(audio).is_some())
    }

    /// What an audio of the script is called.
    #[must_use]
    pub fn audio_name(&self, audio: AudioId) -> Option<&str> {
        let known = self.facts.audio.iter().find(|(id, _)| *id == audio);
        known.map(|(_, name)| &**name)
    }

    /// What lets a carrier fetch an audio of the script under `/media/` for a while; none if the
    /// driver has no [`Sealer`].
    #[must_use]
    pub fn audio_token(&self, audio: AudioId) -> Option<&str> {
        self.tokens.audio.get(&audio).map(|token| &**token)
    }

    /// What lets the voice agent that the script connects to report this call's result; none
    /// without such a step, and if the driver has no [`Sealer`].
    #[must_use]
    pub fn result_token(&self) -> Option<&str> {
        self.tokens.result.as_deref()
    }

    pub(crate) fn fill(&self, template: &Template) -> String {
        let facts = &self.facts;
        fill(template, &facts.person, facts.phone, &facts.settings.name, facts.client.is_some())
    }
}

impl Tokens {
    fn seal(facts: &Facts, wall: DateTime<Utc>, sealer: &Sealer) -> Self {
        let steps = &facts.settings.script.steps;
        let connects = steps.iter().any(|step| matches!(step, Step::Connect(_)));
        let audio = facts.audio.iter().map(|(audio, _)| (*audio, sealer.audio(*audio, wall)));
        Self {
            result: connects.then(|| sealer.result(facts.call, Some(facts.phone), wall)),
            audio: audio.collect(),
        }
    }
}

/// A template filled in for somebody. In a test call without a client, the name of a field stands
/// where its value would.
pub(crate) fn fill(
    template: &Template,
    person: &Person,
    phone: PhoneNumber,
    campaign: &str,
    is_client: bool,
) -> String {
    let fields = ClientFields {
        name: &person.name,
        phone: Some(phone),
        email: person.email.as_deref(),
        external_id: person.external_id.as_deref(),
        campaign,
        columns: &person.columns,
    };
    let is_nobody = !is_client && *person == Person::default();
    let missing = |name: &str| {
        if is_nobody { field_key(name).replace('_', " ") } else { String::new() }
    };
    template.fill_or(|name| fields.value(name), missing)
}

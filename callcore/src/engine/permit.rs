//! The two proofs a dial needs.

use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::decide::{Facts, Heard, Lease};
use super::{RING_LIMIT, TALK_LIMIT, TICKET_LIFE};
use crate::call::Intent;
use crate::campaign::Settings;
use crate::id::{CallId, CampaignId, ClientId};
use crate::phone::PhoneNumber;

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

    /// Its client.
    #[must_use]
    pub const fn client(&self) -> ClientId {
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
#[derive(Debug)]
pub struct Ticket {
    facts: Facts,
    good_until: DateTime<Utc>,
    window_end: Option<DateTime<Utc>>,
}

impl Ticket {
    pub(crate) fn issue(permit: Permit, wall: DateTime<Utc>) -> Self {
        Self { facts: permit.facts, good_until: wall + TICKET_LIFE, window_end: permit.window_end }
    }

    /// Whether the carrier may still be asked: the ticket is seconds old on the wall clock, and
    /// the calling window has not closed on the campaign clock.
    pub(crate) fn is_good(&self, now: DateTime<Utc>, wall: DateTime<Utc>) -> bool {
        wall < self.good_until && self.window_end.is_none_or(|end| now < end)
    }

    pub(crate) const fn lease(&self) -> Lease {
        self.facts.lease
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

    /// What the person hears, filled in for this client.
    #[must_use]
    pub fn spoken(&self) -> Vec<String> {
        self.facts.settings.script.spoken(|field| self.field(field))
    }

    /// What a voicemail hears after the beep, if the campaign leaves messages.
    #[must_use]
    pub fn voicemail_message(&self) -> Option<String> {
        let message = self.facts.settings.voicemail.message.as_ref()?;
        Some(message.fill(|field| self.field(field)))
    }

    fn field(&self, name: &str) -> Option<String> {
        client_field(&self.facts.fields, &self.facts.name, name)
    }
}

/// A field of a client by its column's header; `First Name` is also `first_name`.
pub(crate) fn client_field(
    fields: &[(String, String)],
    client_name: &str,
    wanted: &str,
) -> Option<String> {
    let wanted = plain(wanted);
    let column = fields.iter().find(|(column, _)| plain(column) == wanted);
    match column {
        Some((_, value)) => Some(value.clone()),
        None if wanted == "name" => Some(client_name.to_owned()),
        None if wanted == "first_name" => client_name.split_whitespace().next().map(str::to_owned),
        None => None,
    }
}

fn plain(name: &str) -> String {
    name.trim().to_lowercase().replace([' ', '-', '.'], "_")
}

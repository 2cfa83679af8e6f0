//! The judge: sees what was committed, what the carrier was asked and what events came in, and
//! says when an invariant is broken. It shares no rule with the code it judges.

mod limits;

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, TimeDelta, Utc};

use super::carrier::SUSPENDED;
use super::evidence::{End, end_of, opted_out_at, opts_out};
use super::spec::Spec;
use crate::call::{CallEvent, EventKind, InboundRing, Intent, Outcome};
use crate::campaign::RunState;
use crate::client::ClientZone;
use crate::dnc::DncScope;
use crate::engine::Permit;
use crate::id::{CallId, CampaignId, ClientId};
use crate::phone::PhoneNumber;
use crate::port::ClientChange;

/// How long a call that is not heard of holds its slot: 60 s of ringing, 15 min of talk, 1 min.
const HOLD: TimeDelta = TimeDelta::minutes(17);

/// How old a ticket may be on the wall clock when the carrier is asked.
const TICKET: TimeDelta = TimeDelta::seconds(5);

#[derive(Debug, Default)]
pub(super) struct Judge {
    pub(super) campaigns: BTreeMap<CampaignId, Campaign>,
    pub(super) clients: BTreeMap<ClientId, Person>,
    pub(super) calls: BTreeMap<CallId, Record>,
    pub(super) account: limits::Account,
    /// Campaigns that paused themselves, for whoever resumes them.
    pub(super) tripped: Vec<CampaignId>,
    pub(super) dnc: BTreeSet<(PhoneNumber, DncScope)>,
    /// Numbers that were ever on a list: their clients' calls may have been cancelled.
    pub(super) ever_on_dnc: BTreeSet<PhoneNumber>,
    /// Clients that were erased: never called again, and nothing is known of them.
    pub(super) erased: BTreeSet<ClientId>,
    /// Test calls to the numbers of the erased: nothing is known of them either.
    erased_tests: BTreeSet<CallId>,
    /// Calls that workers claimed, the latest last: where people meddle.
    pub(super) claims: Vec<CallId>,
    /// Calls that people asked for, and their intents.
    wishes: BTreeMap<CallId, Intent>,
    /// Test calls that were made.
    pub(super) tests: BTreeSet<CallId>,
    /// What happened in calls that came in, by the carrier's id.
    rings: BTreeMap<String, (Option<PhoneNumber>, BTreeSet<CallEvent>)>,
    /// Planned calls that the carrier refused because of the account, whose campaign was not asked
    /// to pause yet.
    refused: BTreeSet<CallId>,
    /// Numbers whose opt-out was heard while the store failed, and is not stored yet.
    held: BTreeSet<PhoneNumber>,
    epochs: BTreeMap<CallId, u64>,
    names: BTreeMap<CallId, usize>,
    broken: Option<String>,
}

#[derive(Debug)]
pub(super) struct Campaign {
    pub(super) state: RunState,
    pub(super) versions: Vec<Spec>,
    pub(super) changed_at: DateTime<Utc>,
    pub(super) fastest: usize,
    /// Dials that ended since count for the breaker.
    pub(super) counted_from: DateTime<Utc>,
    /// Whether its dials have failed once too often, of which the store has to hear.
    due_to_pause: bool,
    planned_dials: Vec<DateTime<Utc>>,
}

#[derive(Debug)]
pub(super) struct Person {
    pub(super) campaign: CampaignId,
    pub(super) phone: PhoneNumber,
    pub(super) zones: Vec<ClientZone>,
    pub(super) consent: bool,
    pub(super) active: bool,
    /// The call that was to come when somebody switched the client off.
    canceled: Option<CallId>,
}

impl Person {
    pub(super) const fn new(
        campaign: CampaignId,
        phone: PhoneNumber,
        zones: Vec<ClientZone>,
        consent: bool,
    ) -> Self {
        Self { campaign, phone, zones, consent, active: true, canceled: None }
    }
}

/// A call from its first `begin` on.
#[derive(Debug)]
pub(super) struct Record {
    pub(super) campaign: CampaignId,
    /// None for a test call.
    pub(super) client: Option<ClientId>,
    pub(super) phone: PhoneNumber,
    pub(super) intent: Intent,
    /// The intent that stands: none once it was taken back.
    pub(super) begun: Option<Begun>,
    pub(super) dials: u32,
    pub(super) events: BTreeSet<CallEvent>,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Begun {
    pub(super) at: DateTime<Utc>,
    wall: DateTime<Utc>,
    /// Which of the campaign's settings, from 0.
    version: usize,
    epoch: u64,
}

impl Judge {
    pub(super) const fn broken(&self) -> Option<&String> {
        self.broken.as_ref()
    }

    pub(super) fn accuse(&mut self, what: String) {
        self.broken.get_or_insert(what);
    }

    /// A short name for a call, the same in each run of a seed.
    pub(super) fn name(&mut self, call: CallId) -> usize {
        let next = self.names.len();
        *self.names.entry(call).or_insert(next)
    }

    pub(super) fn known_name(&self, call: CallId) -> Option<usize> {
        self.names.get(&call).copied()
    }

    pub(super) fn campaign_created(&mut self, id: CampaignId, spec: Spec, now: DateTime<Utc>) {
        let fastest = spec.calls_per_second;
        let campaign = Campaign {
            state: RunState::Draft,
            versions: vec![spec],
            changed_at: now,
            fastest,
            counted_from: DateTime::UNIX_EPOCH,
            due_to_pause: false,
            planned_dials: Vec::new(),
        };
        self.campaigns.insert(id, campaign);
    }

    pub(super) fn settings_changed(&mut self, id: CampaignId, spec: Spec, now: DateTime<Utc>) {
        if let Some(campaign) = self.campaigns.get_mut(&id) {
            campaign.fastest = campaign.fastest.max(spec.calls_per_second);
            campaign.changed_at = now;
            campaign.versions.push(spec);
        }
    }

    pub(super) fn wished(&mut self, call: CallId, intent: Intent) {
        self.wishes.insert(call, intent);
        if intent == Intent::Test {
            self.tests.insert(call);
        }
    }

    /// Somebody changed a client that had one call to come before and has another one now.
    pub(super) fn client_changed(
        &mut self,
        id: ClientId,
        change: &ClientChange,
        waited: Option<CallId>,
        waits: Option<CallId>,
    ) {
        let Some(person) = self.clients.get_mut(&id) else { return };
        if let Some(consent) = &change.consent {
            person.consent = consent.is_some();
        }
        match change.active {
            Some(false) => {
                person.canceled = waited.or(person.canceled);
                person.active = false;
                if waits.is_some() {
                    self.accuse("a client that was switched off has a call to come".to_owned());
                }
            }
            Some(true) => {
                person.active = true;
                // What a person had asked for is now at a time that was chosen for it.
                let asked = person.canceled.take().filter(|call| self.wishes.contains_key(call));
                if let (Some(_), Some(call), None) = (asked, waits, waited) {
                    self.wished(call, Intent::Rescheduled);
                }
            }
            None => {}
        }
    }

    pub(super) fn claimed(&mut self, call: CallId, epoch: u64) {
        let name = self.name(call);
        self.claims.push(call);
        let known = self.epochs.entry(call).or_default();
        if epoch <= *known {
            let what = format!("call {name} was claimed under epoch {epoch} after {known}");
            self.accuse(what);
        } else {
            *known = epoch;
        }
        if self.calls.get(&call).is_some_and(|record| record.begun.is_some()) {
            self.accuse(format!("call {name} was claimed while its intent stands"));
        }
    }

    /// A store took an intent: this is the instant at which everything must hold.
    pub(super) fn begun(&mut self, permit: &Permit, now: DateTime<Utc>, wall: DateTime<Utc>) {
        if let Err(what) = self.may_begin(permit, now) {
            let name = self.name(permit.call());
            self.accuse(format!("the intent of call {name} was stored although {what}"));
        }
        self.account.dials.push(now);
        let Some(campaign) = self.campaigns.get_mut(&permit.campaign()) else { return };
        if !matches!(permit.intent(), Intent::Person | Intent::Test) {
            campaign.planned_dials.push(now);
        }
        let begun = Begun {
            at: now,
            wall,
            version: campaign.versions.len() - 1,
            epoch: permit.lease().epoch,
        };
        let record = self.calls.entry(permit.call()).or_insert_with(|| Record {
            campaign: permit.campaign(),
            client: permit.client(),
            phone: permit.phone(),
            intent: permit.intent(),
            begun: None,
            dials: 0,
            events: BTreeSet::new(),
        });
        record.intent = permit.intent();
        record.begun = Some(begun);
    }

    fn may_begin(&self, permit: &Permit, now: DateTime<Utc>) -> Result<(), String> {
        let holds = |holds: bool, what: &str| if holds { Ok(()) } else { Err(what.to_owned()) };
        let (id, phone) = (permit.call(), permit.phone());
        let campaign = self.campaigns.get(&permit.campaign()).ok_or("nobody knows its campaign")?;
        let spec = campaign.versions.last().ok_or("its campaign has no settings")?;
        let intent = self.wishes.get(&id).copied().unwrap_or(Intent::Plan);
        let test = intent == Intent::Test;
        let person = intent == Intent::Person || test;

        holds(intent == permit.intent(), "it has another intent")?;
        holds(permit.client().is_none() == test, "only a test call has no client")?;
        holds(!self.account.stopped, "all dialling is stopped")?;
        let allowed_state = match campaign.state {
            RunState::Running | RunState::Finished => true,
            RunState::Paused => person,
            RunState::Draft => test,
            RunState::Stopped => false,
        };
        holds(allowed_state, &format!("its campaign is {}", campaign.state.as_str()))?;
        holds(!self.on_dnc(phone, permit.campaign()), "its number is on the DNC list")?;
        let erased = permit.client().is_some_and(|client| self.erased.contains(&client));
        holds(!erased, "its client was erased")?;
        holds(
            permit.settings_version() as usize == campaign.versions.len(),
            "its settings are outdated",
        )?;
        holds(
            self.epochs.get(&id) == Some(&permit.lease().epoch),
            "its lease was lost to another worker",
        )?;
        let earlier = self.calls.get(&id);
        holds(earlier.is_none_or(|call| call.begun.is_none()), "its intent stood already")?;
        holds(earlier.is_none_or(|call| call.dials == 0), "it was dialled before")?;
        holds(
            !self.standing().any(|(_, call, _)| call.phone == phone && call.end().is_none()),
            "another call to its number is live",
        )?;
        holds(!self.is_ringing_in(phone), "its number is calling in")?;
        self.within_limits(permit, spec, campaign, now)?;
        self.within_days(permit, spec, now)?;
        self.account_allows(now)?;
        let Some(id) = permit.client() else { return Ok(()) };
        let client = self.clients.get(&id).ok_or("nobody knows its client")?;
        holds(client.phone == phone, "it is another client's number")?;
        holds(client.active, "its client is switched off")?;
        holds(client.consent || !spec.consent_required, "there is no consent")?;
        if !person {
            holds(spec.open(now, &client.zones), "it is outside the calling hours")?;
        }
        if intent == Intent::Plan { self.is_owed(id, spec, now) } else { Ok(()) }
    }

    fn within_limits(
        &self,
        permit: &Permit,
        spec: &Spec,
        campaign: &Campaign,
        now: DateTime<Utc>,
    ) -> Result<(), String> {
        let holding = self
            .standing()
            .filter(|(_, call, begun)| {
                call.campaign == permit.campaign() && call.end().is_none() && now < begun.at + HOLD
            })
            .count();
        if holding >= spec.max_concurrent {
            return Err(format!("{holding} of {} slots are taken", spec.max_concurrent));
        }
        for (max, per) in &spec.caps {
            let counting = self
                .standing()
                .filter(|(_, call, begun)| {
                    call.phone == permit.phone()
                        && call.intent != Intent::Test
                        && now < begun.at + TimeDelta::seconds(*per)
                })
                .count();
            if counting >= *max {
                return Err(format!("{counting} dials on its number count in {per} s"));
            }
        }
        if matches!(permit.intent(), Intent::Person | Intent::Test) {
            return Ok(());
        }
        let dials = self.standing().filter(|(_, call, _)| call.client == permit.client()).count();
        if dials >= spec.max_attempts {
            return Err(format!("its client was dialled {dials} times"));
        }
        // A ledger that saves up one second's dials lets twice the pace through in one second, and
        // over ten seconds no more than eleven seconds' dials.
        for (seconds, most) in [(1, 2), (10, 11)] {
            let since = now - TimeDelta::seconds(seconds);
            let recent = campaign.planned_dials.iter().rev().take(200);
            let recent = recent.filter(|at| since < **at && **at <= now).count();
            if recent >= most * campaign.fastest {
                return Err(format!("{recent} dials were begun in {seconds} s"));
            }
        }
        Ok(())
    }

    /// Whether a planned call is owed by how the client's last dial ended.
    fn is_owed(&self, client: ClientId, spec: &Spec, now: DateTime<Utc>) -> Result<(), String> {
        let dials = self.dials_of(client);
        let Some((_, _, last)) = dials.last() else { return Ok(()) };
        let Some(end) = last else { return Err("its client's last dial is not over".to_owned()) };
        if end.unknown {
            return Err("its client's last dial is unknown".to_owned());
        }
        let Some(waits) = waits(spec, end) else {
            return Err(format!("its client's last dial ended {}", end.outcome));
        };
        let same = |other: &End| waits_kind(other) == waits_kind(end) && !other.unknown;
        let before = dials.iter().filter(|(_, _, end)| end.as_ref().is_some_and(same)).count();
        let Some(wait) = before.checked_sub(1).and_then(|step| waits.get(step)) else {
            return Err(format!("its client has {before} dials that ended {}", end.outcome));
        };
        if now < end.at + TimeDelta::seconds(*wait) {
            return Err(format!("its client's last dial ended less than {wait} s ago"));
        }
        Ok(())
    }

    /// The dials of a client, in order.
    pub(super) fn dials_of(&self, client: ClientId) -> Vec<(DateTime<Utc>, CallId, Option<End>)> {
        let of = self.standing().filter(|(_, call, _)| call.client == Some(client));
        let mut dials: Vec<_> = of.map(|(id, call, begun)| (begun.at, id, call.end())).collect();
        dials.sort_by_key(|(at, id, _)| (*at, *id));
        dials
    }

    /// Calls whose intent stands.
    pub(super) fn standing(&self) -> impl Iterator<Item = (CallId, &Record, Begun)> {
        self.calls.iter().filter_map(|(id, call)| Some((*id, call, call.begun?)))
    }

    /// The carrier is asked to dial.
    pub(super) fn asked(
        &mut self,
        id: CallId,
        to: PhoneNumber,
        now: DateTime<Utc>,
        wall: DateTime<Utc>,
    ) {
        if let Err(what) = self.may_ask(id, to, now, wall) {
            let name = self.name(id);
            self.accuse(format!("the carrier was asked to dial call {name} although {what}"));
        }
    }

    fn may_ask(
        &self,
        id: CallId,
        to: PhoneNumber,
        now: DateTime<Utc>,
        wall: DateTime<Utc>,
    ) -> Result<(), String> {
        if self.held.contains(&to) {
            return Err("an opt-out of its number waits to be stored".to_owned());
        }
        let call = self.calls.get(&id).ok_or("no intent was ever stored")?;
        let begun = call.begun.ok_or("its intent was taken back")?;
        if call.phone != to {
            return Err("it is another number".to_owned());
        }
        if call.dials > 0 {
            return Err("it was dialled before".to_owned());
        }
        if wall > begun.wall + TICKET {
            return Err("its ticket had run out".to_owned());
        }
        let client = call.client.and_then(|client| self.clients.get(&client));
        let zones = client.map(|client| &client.zones[..]);
        let spec = self.campaigns.get(&call.campaign).and_then(|it| it.versions.get(begun.version));
        let open = spec.is_some_and(|spec| spec.open(now, zones.unwrap_or_default()));
        if !matches!(call.intent, Intent::Person | Intent::Test) && !open {
            return Err("it was outside the calling hours".to_owned());
        }
        Ok(())
    }

    /// The carrier dialled.
    pub(super) fn dialled(&mut self, id: CallId) {
        let name = self.name(id);
        let dials = self.calls.get_mut(&id).map_or(1, |call| {
            call.dials += 1;
            call.dials
        });
        if dials > 1 {
            self.accuse(format!("call {name} was dialled {dials} times"));
        }
    }

    /// The carrier takes no call of this account.
    pub(super) fn account_refused(&mut self, id: CallId) {
        if self.calls.get(&id).is_some_and(|call| call.intent == Intent::Plan) {
            self.refused.insert(id);
        }
    }

    /// A campaign is being paused because of the account, whether the store manages or not.
    pub(super) fn halting(&mut self, campaign: CampaignId) {
        let calls = &self.calls;
        self.refused.retain(|id| calls.get(id).is_none_or(|call| call.campaign != campaign));
    }

    /// Somebody opted out while the store failed.
    pub(super) fn held(&mut self, phone: PhoneNumber) {
        self.held.insert(phone);
    }

    /// Whether an opt-out of a number waits to be stored.
    pub(super) fn is_held(&self, phone: PhoneNumber) -> bool {
        self.held.contains(&phone)
    }

    /// How many numbers' opt-outs were heard and are stored nowhere.
    pub(super) fn never_stored(&self) -> usize {
        self.held.len()
    }

    /// A begun call waits again.
    pub(super) fn taken_back(&mut self, id: CallId, epoch: u64) {
        let name = self.name(id);
        let Some(call) = self.calls.get_mut(&id) else { return };
        let Some(begun) = call.begun.take() else { return };
        if let Some(at) = self.account.dials.iter().rposition(|at| *at == begun.at) {
            self.account.dials.remove(at);
        }
        if call.dials > 0 {
            self.accuse(format!("call {name} was taken back although it was dialled"));
        } else if self.refused.remove(&id) {
            let what = "was taken back while its campaign, refused by the carrier, goes on";
            self.accuse(format!("call {name} {what}"));
        } else if begun.epoch != epoch {
            self.accuse(format!("call {name} was taken back under a lost lease"));
        } else if let Some(campaign) = self.campaigns.get_mut(&self.calls[&id].campaign) {
            // What the ledger does with the token is its own affair; the dial was none.
            if let Some(at) = campaign.planned_dials.iter().rposition(|at| *at == begun.at) {
                campaign.planned_dials.remove(at);
            }
        }
    }

    /// An event came in, and was stored, or known, or found no call.
    pub(super) fn recorded(&mut self, id: CallId, event: &CallEvent, stored: bool) {
        let name = self.name(id);
        let Some(call) = self.calls.get_mut(&id) else { return };
        if opts_out(&event.kind) {
            self.held.remove(&call.phone);
        }
        if !stored {
            // Who asks about a silent call may be overtaken by whoever gives it back.
            if call.begun.is_some() || event.kind.proves_placed() {
                self.accuse(format!("an event of call {name} found no call"));
            }
            return;
        }
        let refused =
            matches!(&event.kind, EventKind::NotPlaced { reason, .. } if reason == SUSPENDED);
        let spent = refused && call.intent == Intent::Plan;
        let is_rung = matches!(event.kind, EventKind::NotPlaced { .. }) && call.dials > 0;
        let before = opted_out_at(&call.events);
        let had_failed = call.end().is_some_and(|end| end.outcome == Outcome::Failed);
        call.events.insert(event.clone());
        let fails = call.end().is_some_and(|end| end.outcome == Outcome::Failed) && !had_failed;
        let fails = fails && call.intent != Intent::Test;
        let campaign = call.campaign;
        // An entry that somebody removed since does not come back with other news of the call.
        if opted_out_at(&call.events) != before {
            let phone = call.phone;
            self.listed(phone, DncScope::Global);
        }
        if is_rung {
            self.accuse(format!("call {name} counts as not placed although it was dialled"));
        }
        if spent {
            self.accuse(format!("call {name} failed for what is wrong with the account"));
        }
        if fails {
            self.failed(campaign);
        }
    }

    /// What somebody who rang in wished is stored, whoever it is.
    pub(super) fn not_held(&mut self, phone: Option<PhoneNumber>) {
        if let Some(phone) = phone {
            self.held.remove(&phone);
        }
    }

    /// Something was stored of a call that came in. Keys of strangers mean nothing: no campaign has a
    /// script for them.
    pub(super) fn rang_in(&mut self, ring: &InboundRing, event: &CallEvent, stranger: bool) {
        let ringing = self.rings.entry(ring.carrier_call_id.clone());
        let (_, events) = ringing.or_insert_with(|| (ring.from, BTreeSet::new()));
        let before = opted_out_at(events);
        events.insert(event.clone());
        if let Some(from) = ring.from.filter(|_| !stranger)
            && opted_out_at(events) != before
        {
            self.listed(from, DncScope::Global);
        }
    }

    /// Whether somebody with this number is on the line with a call that came in.
    pub(super) fn is_ringing_in(&self, phone: PhoneNumber) -> bool {
        let live = |events| end_of(events).is_none();
        self.rings.values().any(|(from, events)| *from == Some(phone) && live(events))
    }

    /// A number came onto the DNC list.
    pub(super) fn listed(&mut self, phone: PhoneNumber, scope: DncScope) {
        self.dnc.insert((phone, scope));
        self.ever_on_dnc.insert(phone);
    }

    /// The person behind a client was erased: in every campaign that had the number by then.
    pub(super) fn erased(&mut self, client: ClientId) {
        let Some(phone) = self.clients.get(&client).map(|person| person.phone) else { return };
        if !self.erased.contains(&client) {
            let all = self.clients.iter().filter(|(_, person)| person.phone == phone);
            self.erased.extend(all.map(|(id, _)| *id));
            let calls = self.calls.iter();
            let tests = calls.filter(|(_, call)| call.client.is_none() && call.phone == phone);
            self.erased_tests.extend(tests.map(|(id, _)| *id));
        }
    }

    /// Whether a call's person was erased.
    pub(super) fn is_erased(&self, id: CallId, call: &Record) -> bool {
        call.client
            .map_or_else(|| self.erased_tests.contains(&id), |client| self.erased.contains(&client))
    }

    pub(super) fn on_dnc(&self, phone: PhoneNumber, campaign: CampaignId) -> bool {
        self.dnc.contains(&(phone, DncScope::Global))
            || self.dnc.contains(&(phone, DncScope::Campaign(campaign)))
    }

    /// Whether a retry is owed to a client of whom nothing else is known than its dials.
    pub(super) fn owes(&self, client: ClientId, spec: &Spec) -> bool {
        let dials = self.dials_of(client);
        match dials.last() {
            None => true,
            Some((_, _, None)) => false,
            Some((at, _, Some(end))) => {
                !end.unknown
                    && dials.len() < spec.max_attempts
                    && self.is_owed(client, spec, *at + TimeDelta::days(400)).is_ok()
            }
        }
    }
}

impl Record {
    pub(super) fn end(&self) -> Option<End> {
        end_of(&self.events)
    }
}

/// The waits that follow a dial that ended so; none if nothing does.
fn waits<'a>(spec: &'a Spec, end: &End) -> Option<&'a [i64]> {
    match waits_kind(end) {
        1 => Some(&spec.connect),
        2 => Some(spec.voicemail_waits()).filter(|waits| !waits.is_empty()),
        _ => None,
    }
}

const fn waits_kind(end: &End) -> u8 {
    match end.outcome {
        _ if end.permanent => 0,
        Outcome::Busy | Outcome::NoAnswer | Outcome::Failed => 1,
        Outcome::Voicemail => 2,
        _ => 0,
    }
}

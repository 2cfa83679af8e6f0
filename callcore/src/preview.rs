//! What would happen if a campaign started now, or goes on: who is called and who is not, and why.
//!
//! The rules of a dial are asked about every call to come, so that a preview can't differ from what
//! happens, as long as nothing else does. When the last one is due is an estimate: it goes by the
//! hours, the campaign's pace and budget and [`SECONDS_A_CALL`]; it leaves out retries, and what the
//! account's other campaigns take.

use std::collections::BTreeMap;
use std::fmt;

use chrono::{DateTime, TimeDelta, Utc};

use crate::call::{CancelReason, Intent};
use crate::campaign::{RunState, Settings};
use crate::client::ZoneSource;
use crate::engine::{Facts, Foreseen, foresee};
use crate::script::{ClientFields, Message, Place, field_key};
use crate::time::Zone;

/// How long a call is taken to hold its slot, ringing included.
pub const SECONDS_A_CALL: u32 = 60;

/// How many verdicts are kept: calls of which the rules hear the same get the same.
const KEPT: usize = 10_000;

/// The most steps of an estimate.
const STEPS: u32 = 100_000;

/// Adds up what the rules say, call by call. What it keeps grows with the zones and the instants
/// there are, not with the calls.
pub struct Preview {
    now: DateTime<Utc>,
    outlook: Outlook,
    known: BTreeMap<Heard, Foreseen>,
    starts: BTreeMap<Start, (u64, Facts)>,
    calls_per_second: f64,
}

impl fmt::Debug for Preview {
    /// Leaves out all that is known of people.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Preview").field("called", &self.outlook.called).finish_non_exhaustive()
    }
}

/// What would happen.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Outlook {
    /// Calls that would be dialled.
    pub called: u64,
    /// Calls that would not, by the reason.
    pub left_out: BTreeMap<CancelReason, u64>,
    /// When the first could be dialled.
    pub first_due_at: Option<DateTime<Utc>>,
    /// When the last is about to be dialled; none if nobody can say.
    pub last_due_at: Option<DateTime<Utc>>,
    /// Dials a second that the pace and the slots come to.
    pub calls_per_second: f64,
    /// Where those who would be called are: everybody's zones together, and how many they are.
    pub zones: BTreeMap<Vec<String>, InZones>,
    /// Fields of the script that clients who would be called lack.
    pub missing: BTreeMap<String, Missing>,
}

/// Clients whose hours are judged in the same zones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InZones {
    /// How many.
    pub clients: u64,
    /// When the first of them could be dialled.
    pub first_due_at: DateTime<Utc>,
}

/// A field of the script that clients lack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Missing {
    /// How many lack it.
    pub clients: u64,
    /// Whether a default stands in for it wherever it is asked for.
    pub has_default: bool,
}

/// Calls that could be dialled from one instant on, within one window.
type Start = (DateTime<Utc>, Option<DateTime<Utc>>, Vec<String>);

/// Everything the rules hear of a call whose number nobody dialled and that nobody asked for.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Heard {
    zones: Vec<(String, u8)>,
    flags: [bool; 4],
    dials: u32,
    from: DateTime<Utc>,
}

impl Preview {
    /// A preview of a campaign with these settings.
    #[must_use]
    pub fn new(settings: &Settings, now: DateTime<Utc>) -> Self {
        let slots = f64::from(settings.pacing.max_concurrent) / f64::from(SECONDS_A_CALL);
        Self {
            now,
            outlook: Outlook::default(),
            known: BTreeMap::new(),
            starts: BTreeMap::new(),
            calls_per_second: slots.min(f64::from(settings.pacing.calls_per_second)),
        }
    }

    /// Asks the rules about a call to come, as if the campaign ran.
    pub fn add(&mut self, mut facts: Facts) {
        facts.run_state = RunState::Running;
        match self.foreseen(&mut facts) {
            Foreseen::Retire(reason) => *self.outlook.left_out.entry(reason).or_default() += 1,
            Foreseen::Dial { at, window_end } => self.call(facts, at, window_end),
        }
    }

    fn foreseen(&mut self, facts: &mut Facts) -> Foreseen {
        // What was due before the campaign starts is due when it does.
        let from = facts.due_at.max(self.now);
        let dialled = !(facts.number_dials.is_empty() && facts.number_ends.is_empty());
        if facts.intent == Intent::Person || dialled {
            return foresee(facts, from);
        }
        let zone = |zone: &crate::client::ClientZone| {
            let source = match zone.source {
                ZoneSource::File => 0,
                ZoneSource::Number => 1,
                ZoneSource::Country => 2,
                ZoneSource::Person => 3,
            };
            (zone.zone.name().to_owned(), source)
        };
        let heard = Heard {
            zones: facts.zones.iter().map(zone).collect(),
            flags: [facts.active, facts.consent, facts.dnc.is_some(), facts.number_live],
            dials: facts.client_dials,
            from,
        };
        if let Some(known) = self.known.get(&heard) {
            return *known;
        }
        let foreseen = foresee(facts, from);
        if self.known.len() == KEPT {
            self.known.clear();
        }
        self.known.insert(heard, foreseen);
        foreseen
    }

    fn call(&mut self, facts: Facts, at: DateTime<Utc>, window_end: Option<DateTime<Utc>>) {
        self.outlook.called += 1;
        self.note_missing(&facts);
        let zones = facts.settings.zones_of(&facts.zones);
        let zones: Vec<String> = zones.iter().map(|zone| Zone::name(zone).to_owned()).collect();
        let there = self.outlook.zones.entry(zones.clone());
        let there = there.or_insert(InZones { clients: 0, first_due_at: at });
        there.clients += 1;
        there.first_due_at = there.first_due_at.min(at);
        // By the minute, so that they stay few.
        let minute = DateTime::from_timestamp(at.timestamp().div_euclid(60) * 60, 0).unwrap_or(at);
        self.starts.entry((minute.max(self.now), window_end, zones)).or_insert((0, facts)).0 += 1;
    }

    fn note_missing(&mut self, facts: &Facts) {
        let settings = &facts.settings;
        let message = settings.voicemail.message.iter().flat_map(Message::places);
        let mut lacked: BTreeMap<String, bool> = BTreeMap::new();
        for Place { field, default } in settings.script.places().chain(message) {
            if fields(facts).value(field).is_none() {
                *lacked.entry(field_key(field)).or_insert(true) &= default.is_some();
            }
        }
        for (field, has_default) in lacked {
            let missing = self.outlook.missing.entry(field);
            missing.or_insert(Missing { clients: 0, has_default }).clients += 1;
        }
    }

    /// The end: what all calls come to.
    #[must_use]
    pub fn outlook(self) -> Outlook {
        let first_due_at = self.outlook.zones.values().map(|zone| zone.first_due_at).min();
        let last_due_at = last(self.starts, self.calls_per_second);
        let last_due_at =
            last_due_at.map(|last| first_due_at.map_or(last, |first| last.max(first)));
        let calls_per_second = self.calls_per_second;
        Outlook { first_due_at, last_due_at, calls_per_second, ..self.outlook }
    }
}

/// What a client's texts are filled in from.
fn fields(facts: &Facts) -> ClientFields<'_> {
    ClientFields {
        name: &facts.person.name,
        phone: Some(facts.phone),
        email: facts.person.email.as_deref(),
        external_id: facts.person.external_id.as_deref(),
        campaign: &facts.settings.name,
        columns: &facts.person.columns,
    }
}

/// When the last call is dialled, if they are dialled one after the other, whose window opens first
/// first, as fast as `calls_per_second`.
fn last(mut starts: BTreeMap<Start, (u64, Facts)>, calls_per_second: f64) -> Option<DateTime<Utc>> {
    let gap = 1.0 / calls_per_second;
    let (mut free_at, mut last) = (DateTime::<Utc>::MIN_UTC, None);
    let mut days = Days::default();
    for _ in 0..STEPS {
        let Some(((at, window_end, zones), (calls, mut facts))) = starts.pop_first() else {
            return last;
        };
        let begin = at.max(free_at);
        let fits = window_end.map_or(calls, |end| {
            if end > begin { calls.min(whole(seconds(end - begin) / gap).max(1)) } else { 0 }
        });
        let (day_ends, room) = days.room(&facts, begin);
        let fits = fits.min(room);
        days.take(day_ends, fits);
        if fits > 0 {
            last = Some(begin + span(count(fits - 1) * gap));
            free_at = begin + span(count(fits) * gap);
        }
        let left = calls - fits;
        // The rest goes on when the window opens again, or on the next day of the budget.
        let again = if fits < room { window_end } else { Some(day_ends) };
        if left > 0
            && let Some(end) = again
            && let Foreseen::Dial { at, window_end } = foresee(&mut facts, end)
        {
            starts.entry((at, window_end, zones)).or_insert((0, facts)).0 += left;
        }
    }
    None
}

/// The dials of a campaign's days, each by when it ends.
#[derive(Default)]
struct Days(BTreeMap<DateTime<Utc>, u64>);

impl Days {
    /// When the day of an instant ends, and how many dials of its budget are left.
    fn room(&self, facts: &Facts, at: DateTime<Utc>) -> (DateTime<Utc>, u64) {
        let (_, ends) = facts.settings.time_zone.day(at);
        let room = facts.settings.budget.calls_per_day.map_or(u64::MAX, |most| {
            let known = self.0.get(&ends).copied().unwrap_or_default();
            u64::from(most).saturating_sub(known + facts.campaign_day.at(at).begun)
        });
        (ends, room)
    }

    fn take(&mut self, ends: DateTime<Utc>, dials: u64) {
        *self.0.entry(ends).or_default() += dials;
    }
}

#[expect(clippy::cast_precision_loss, reason = "an estimate needs no 52 bits")]
fn count(calls: u64) -> f64 {
    calls as f64
}

#[expect(clippy::cast_precision_loss, reason = "an estimate needs no 52 bits")]
fn seconds(span: TimeDelta) -> f64 {
    span.num_milliseconds() as f64 / 1_000.0
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "it is not negative, and as many as fit are meant"
)]
fn whole(calls: f64) -> u64 {
    calls as u64
}

#[expect(clippy::cast_possible_truncation, reason = "longer than time itself is the end of time")]
fn span(seconds: f64) -> TimeDelta {
    TimeDelta::try_milliseconds((seconds * 1_000.0) as i64).unwrap_or(TimeDelta::days(36_500))
}

//! Rows into types that can't be wrong, and instants and ids into what columns hold.

use std::collections::BTreeSet;

use callcore::actor::Actor;
use callcore::call::{
    Call, CallEvent, Direction, Intent, Outcome, Progress, Retired, Retirement, Review,
};
use callcore::campaign::Pause;
use callcore::client::{Client, ClientStatus, Erasure, NextCall, Standing};
use callcore::engine::{CallBrief, Stage};
use callcore::id::{CallId, CampaignId, ClientId, ImportId};
use callcore::phone::PhoneNumber;
use callcore::time::Zone;
use chrono::{DateTime, Utc};
use serde::de::DeserializeOwned;
use sqlx::Row;
use sqlx::sqlite::SqliteRow;
use uuid::Uuid;

use super::fail::Fail;

pub(super) const fn micros(at: DateTime<Utc>) -> i64 {
    at.timestamp_micros()
}

pub(super) fn instant(micros: i64) -> Result<DateTime<Utc>, Fail> {
    DateTime::from_timestamp_micros(micros).ok_or(Fail::Corrupt("instant"))
}

/// A number as SQLite keeps it; E.164 has 15 digits at most.
pub(super) const fn digits(phone: PhoneNumber) -> i64 {
    phone.digits().cast_signed()
}

pub(super) fn phone(digits: i64) -> Result<PhoneNumber, Fail> {
    let corrupt = Fail::Corrupt("phone number");
    let Ok(digits) = u64::try_from(digits) else { return Err(corrupt) };
    PhoneNumber::from_digits(digits).map_err(|_| corrupt)
}

/// Ids as a JSON array, for one statement over many.
pub(super) fn ids<I: ToString>(ids: impl IntoIterator<Item = I>) -> String {
    let ids: Vec<String> = ids.into_iter().map(|id| id.to_string()).collect();
    serde_json::Value::from(ids).to_string()
}

/// Numbers as a JSON array.
pub(super) fn numbers<'a>(phones: impl IntoIterator<Item = &'a PhoneNumber>) -> String {
    let phones: Vec<i64> = phones.into_iter().map(|phone| digits(*phone)).collect();
    serde_json::Value::from(phones).to_string()
}

pub(super) fn word<T>(
    text: &str,
    parse: impl FnOnce(&str) -> Option<T>,
    what: &'static str,
) -> Result<T, Fail> {
    parse(text).ok_or(Fail::Corrupt(what))
}

pub(super) fn actor(text: &str) -> Result<Actor, Fail> {
    text.parse().map_err(|_| Fail::Corrupt("actor"))
}

pub(super) fn document<T: DeserializeOwned>(text: &str, what: &'static str) -> Result<T, Fail> {
    serde_json::from_str(text).map_err(|_| Fail::Corrupt(what))
}

/// Which of the three tables a call is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Table {
    Due,
    InFlight,
    History,
}

impl Table {
    fn parse(text: &str) -> Option<Self> {
        match text {
            "due" => Some(Self::Due),
            "in_flight" => Some(Self::InFlight),
            "history" => Some(Self::History),
            _ => None,
        }
    }

    /// Where a call belongs.
    pub(super) fn of(call: &Call) -> Self {
        if call.ended_at().is_some() {
            Self::History
        } else if call.begun_at.is_some() || call.direction == Direction::Inbound {
            Self::InFlight
        } else {
            Self::Due
        }
    }
}

/// A call whose words were erased.
#[derive(Debug, Clone, Copy)]
pub(super) struct ErasedCall {
    /// Whether its number goes too, once it has ended.
    pub(super) number: bool,
    /// The number that was dialled, for as long as caps look back to it.
    pub(super) dialled: Option<PhoneNumber>,
}

/// A call with what the store keeps beside it.
#[derive(Debug)]
pub(super) struct CallRow {
    pub(super) call: Call,
    pub(super) events: BTreeSet<CallEvent>,
    /// Set once its words were erased.
    pub(super) erased: Option<ErasedCall>,
    pub(super) epoch: u64,
    /// Until when, on the wall clock, a worker holds it.
    pub(super) lease_until: Option<i64>,
    pub(super) looks: u32,
    pub(super) look_at: i64,
    /// Where it is stored, and whether as doubtful.
    pub(super) stored: Option<(Table, bool)>,
    pub(super) changed: bool,
}

impl CallRow {
    /// A call that is not stored yet.
    pub(super) const fn new(call: Call) -> Self {
        Self {
            call,
            events: BTreeSet::new(),
            erased: None,
            epoch: 0,
            lease_until: None,
            looks: 0,
            look_at: 0,
            stored: None,
            changed: true,
        }
    }

    /// Whether the carrier has to be asked about it: nothing was heard, or nobody knows whether it
    /// dialled. Only a live call can be; a row that waits or is over would else be written anew
    /// whenever it was read.
    pub(super) fn doubtful(&self) -> bool {
        let in_doubt = self.events.is_empty()
            || self.call.progress.status == callcore::call::CallStatus::Unknown;
        in_doubt && Table::of(&self.call) == Table::InFlight
    }

    /// Reads a row of the view `calls`; its events are not part of it.
    pub(super) fn read(row: &SqliteRow) -> Result<Self, Fail> {
        let optional_id = |column| -> Result<Option<Uuid>, Fail> { Ok(row.try_get(column)?) };
        let lease_until: Option<i64> = row.try_get("lease_until")?;
        let table = word(row.try_get("stage")?, Table::parse, "stage")?;
        let zone: Option<&str> = row.try_get("zone")?;
        let decision: Option<&str> = row.try_get("decision")?;
        let retired: Option<&str> = row.try_get("retired")?;
        let phone_digits: Option<i64> = row.try_get("phone")?;
        let begun_at: Option<i64> = row.try_get("begun_at")?;
        let call = Call {
            id: CallId::from_uuid(row.try_get("id")?),
            campaign: optional_id("campaign")?.map(CampaignId::from_uuid),
            client: optional_id("client")?.map(ClientId::from_uuid),
            sample: optional_id("sample")?.map(ClientId::from_uuid),
            phone: phone_digits.map(phone).transpose()?,
            direction: word(row.try_get("direction")?, Direction::parse, "direction")?,
            attempt: row.try_get("attempt")?,
            retry_of: optional_id("retry_of")?.map(CallId::from_uuid),
            intent: word(row.try_get("intent")?, Intent::parse, "intent")?,
            by: actor(row.try_get("by")?)?,
            due_at: instant(row.try_get("due_at")?)?,
            claimed: lease_until.is_some(),
            begun_at: begun_at.map(instant).transpose()?,
            settings_version: row.try_get("settings_version")?,
            zone: zone.map(zone_of).transpose()?,
            decision: decision.map_or(Ok(Vec::new()), |text| document(text, "decision"))?,
            retired: retired.map(|text| document(text, "retirement")).transpose()?,
            progress: Progress::default(),
            review: word(row.try_get("review")?, Review::parse, "review status")?,
            disposition: row.try_get("disposition")?,
            notes: Vec::new(),
        };
        Ok(Self {
            call,
            events: BTreeSet::new(),
            erased: None,
            epoch: row.try_get::<i64, _>("epoch")?.cast_unsigned(),
            lease_until,
            looks: row.try_get("looks")?,
            look_at: row.try_get("look_at")?,
            stored: Some((table, row.try_get("doubtful")?)),
            changed: false,
        })
    }
}

/// Who paused a campaign, from its row.
pub(super) fn pause(row: &SqliteRow) -> Result<Option<Pause>, Fail> {
    let at: Option<i64> = row.try_get("paused_at")?;
    let by: Option<&str> = row.try_get("paused_by")?;
    let (Some(at), Some(by)) = (at, by) else { return Ok(None) };
    let reason = row.try_get("pause_reason")?;
    Ok(Some(Pause { at: instant(at)?, by: actor(by)?, reason }))
}

fn zone_of(name: &str) -> Result<Zone, Fail> {
    name.parse().map_err(|_| Fail::Corrupt("time zone"))
}

/// What of a call counts for its client, from a row of the view `calls`; none for inbound calls.
pub(super) fn brief(row: &SqliteRow) -> Result<Option<CallBrief>, Fail> {
    if word(row.try_get("direction")?, Direction::parse, "direction")? == Direction::Inbound {
        return Ok(None);
    }
    let retired: Option<&str> = row.try_get("retired")?;
    let stage = match (word(row.try_get("stage")?, Table::parse, "stage")?, retired) {
        (Table::Due, _) => Stage::Scheduled { due_at: instant(row.try_get("due_at")?)? },
        (Table::InFlight, _) => Stage::Live,
        (Table::History, Some(retired)) => {
            let retired: Retired = document(retired, "retirement")?;
            let reason = match retired.how {
                Retirement::Skipped(_) => None,
                Retirement::Canceled(reason) => Some(reason),
            };
            let due_at = instant(row.try_get("due_at")?)?;
            Stage::Retired { reason, at: retired.at, due_at }
        }
        (Table::History, None) => Stage::Dialled {
            outcome: word(row.try_get("outcome")?, Outcome::parse, "outcome")?,
            at: instant(row.try_get("ended_at")?)?,
            permanent: row.try_get("permanent")?,
            unknown: row.try_get::<Option<&str>, _>("end_reason")? == Some("unknown"),
        },
    };
    let retry_of: Option<Uuid> = row.try_get("retry_of")?;
    Ok(Some(CallBrief {
        id: CallId::from_uuid(row.try_get("id")?),
        attempt: row.try_get("attempt")?,
        retry_of: retry_of.map(CallId::from_uuid),
        intent: word(row.try_get("intent")?, Intent::parse, "intent")?,
        stage,
    }))
}

/// A whole client; `next_call` and `next_due_at` come from the queue, notes from their own table.
pub(super) fn client(row: &SqliteRow) -> Result<Client, Fail> {
    let consent: Option<&str> = row.try_get("consent")?;
    let next_call: Option<Uuid> = row.try_get("next_call")?;
    let next_due_at: Option<i64> = row.try_get("next_due_at")?;
    let next_call = match (next_call, next_due_at) {
        (Some(call), Some(due_at)) => {
            Some(NextCall { call: CallId::from_uuid(call), due_at: instant(due_at)? })
        }
        _ => None,
    };
    let (phone, erased) = phone_or_erasure(row)?;
    Ok(Client {
        id: ClientId::from_uuid(row.try_get("id")?),
        campaign: CampaignId::from_uuid(row.try_get("campaign")?),
        import: ImportId::from_uuid(row.try_get("import")?),
        line: row.try_get::<i64, _>("line")?.cast_unsigned(),
        phone,
        name: row.try_get("name")?,
        external_id: row.try_get("external_id")?,
        email: row.try_get("email")?,
        zones: document(row.try_get("zones")?, "zones")?,
        fields: document(row.try_get("fields")?, "fields")?,
        tags: document(row.try_get("tags")?, "tags")?,
        notes: Vec::new(),
        active: row.try_get("active")?,
        consent: consent.map(|text| document(text, "consent")).transpose()?,
        person_key: row.try_get("person_key")?,
        debt_key: row.try_get("debt_key")?,
        standing: Standing { next_call, ..standing(row)? },
        erased,
    })
}

/// A client's number, or that the person was erased: then the column has the client's place with a
/// minus, so that it is still one of its own.
pub(super) fn phone_or_erasure(
    row: &SqliteRow,
) -> Result<(Option<PhoneNumber>, Option<Erasure>), Fail> {
    let erased_at: Option<i64> = row.try_get("erased_at")?;
    match erased_at {
        Some(at) => {
            let on_dnc = row.try_get("erased_on_dnc")?;
            Ok((None, Some(Erasure { at: instant(at)?, on_dnc })))
        }
        None => Ok((Some(phone(row.try_get("phone")?)?), None)),
    }
}

/// A client's standing but for its call to come.
pub(super) fn standing(row: &SqliteRow) -> Result<Standing, Fail> {
    let last_outcome: Option<&str> = row.try_get("last_outcome")?;
    let last_call_at: Option<i64> = row.try_get("last_call_at")?;
    Ok(Standing {
        status: word(row.try_get("status")?, ClientStatus::parse, "client status")?,
        attempts: row.try_get("attempts")?,
        voicemails: row.try_get("voicemails")?,
        last_outcome: last_outcome.map(|it| word(it, Outcome::parse, "outcome")).transpose()?,
        last_call_at: last_call_at.map(instant).transpose()?,
        next_call: None,
    })
}

use std::collections::BTreeSet;
use std::fmt;

use async_trait::async_trait;
use serde_json::{Map, Value, json};

use super::{By, CallView, ClientView, NewCall};
use crate::client::{Client, ClientZone, Consent, MAX_TAGS, Note, ZoneSource};
use crate::engine::Facts;
use crate::id::{CallId, ClientId};
use crate::phone::PhoneNumber;
use crate::port::{ActError, Refused, StoreError};
use crate::time::Zone;

/// The clients' side: what people change about one, and what its rules are asked.
///
/// - **P1** `change_client` changes what is given and nothing else; a note is appended, and no entry
///   is ever changed. A tag that is added or taken off leaves the others as they are by then.
/// - **P2** Switching a client off cancels what is scheduled, with rows in the history, and nothing
///   follows a live call. Switching it on again schedules what is still owed.
/// - **P3** A zone a person gives takes the place of the file's; taking it away brings that back. A
///   scheduled call that is outside the hours there moves into them.
/// - **P4** A change of zone or consent takes a claimed call from its worker, so that the next
///   decision sees it. A consent schedules again what was cancelled for the lack of it.
/// - **P5** `call_client` makes the client's scheduled call due now, or a new one if none is to come;
///   it refuses what `call_now` and `retry` refuse.
/// - **P6** `client_facts` are those of the client's scheduled call, or of the dial that would be
///   next.
/// - **P7** `open_calls` has every call to come and every live one of a number, over all campaigns.
#[async_trait]
pub trait Clients: fmt::Debug + Send + Sync + 'static {
    /// Changes a client.
    ///
    /// # Errors
    ///
    /// There is no such client, it was erased, or it has too many tags for more.
    async fn change_client(
        &self,
        by: By<'_>,
        id: ClientId,
        change: &ClientChange,
    ) -> Result<ClientDetail, ActError>;

    /// Has a client called at once, by a person's wish; `new` is used if no call is to come.
    ///
    /// # Errors
    ///
    /// There is no such client, its call is claimed or live, a DNC entry covers its number, it is
    /// switched off or lacks a consent that is required, its campaign is a draft or stopped, or all
    /// dialling is stopped.
    async fn call_client(
        &self,
        by: By<'_>,
        id: ClientId,
        new: NewCall,
    ) -> Result<CallView, ActError>;

    /// What the rules would be asked about a dial to a client; none if it is unknown or was erased.
    ///
    /// # Errors
    ///
    /// The store failed.
    async fn client_facts(&self, id: ClientId) -> Result<Option<Facts>, StoreError>;

    /// Calls of a number that have not ended: those under way, then those to come by their due time.
    ///
    /// # Errors
    ///
    /// The store failed.
    async fn open_calls(&self, phone: PhoneNumber) -> Result<Vec<CallView>, StoreError>;
}

/// What a person changes about a client; what is none stays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientChange {
    /// Something written down.
    pub note: Option<String>,
    /// All tags it has from now on, before those that are added or taken off.
    pub tags: Option<BTreeSet<String>>,
    /// Tags it has from now on beside those there are.
    pub add_tags: BTreeSet<String>,
    /// Tags it has no longer.
    pub remove_tags: BTreeSet<String>,
    /// Whether it may be called at all.
    pub active: Option<bool>,
    /// Where the person is; none in it takes a person's word back.
    pub time_zone: Option<Option<Zone>>,
    /// The consent to be called; none in it withdraws it.
    pub consent: Option<Option<Consent>>,
    /// The id of the call that is owed again after the change, if one is.
    pub resumed: CallId,
}

impl ClientChange {
    /// No change yet.
    #[must_use]
    pub const fn new(resumed: CallId) -> Self {
        Self {
            note: None,
            tags: None,
            add_tags: BTreeSet::new(),
            remove_tags: BTreeSet::new(),
            active: None,
            time_zone: None,
            consent: None,
            resumed,
        }
    }

    /// All tags that a client with these has after the change; none if it says nothing of tags.
    fn tags_after(&self, tags: &BTreeSet<String>) -> Option<BTreeSet<String>> {
        if self.tags.is_none() && self.add_tags.is_empty() && self.remove_tags.is_empty() {
            return None;
        }
        let kept = self.tags.as_ref().unwrap_or(tags).difference(&self.remove_tags);
        Some(kept.chain(&self.add_tags).cloned().collect())
    }

    /// Puts the change into a client; what it was and is, for the audit row.
    ///
    /// # Errors
    ///
    /// It would have too many tags. Nothing was changed.
    pub fn put(&self, client: &mut Client, by: By<'_>) -> Result<(Value, Value), Refused> {
        let tags = self.tags_after(&client.tags);
        if tags.as_ref().is_some_and(|tags| tags.len() > MAX_TAGS) {
            return Err(Refused::TooManyTags);
        }
        let (mut old, mut new) = (Map::new(), Map::new());
        let mut moved = |field: &str, from: Value, to: Value| {
            old.insert(field.to_owned(), from);
            new.insert(field.to_owned(), to);
        };
        if let Some(text) = &self.note {
            let note = Note { text: text.clone(), by: by.actor.clone(), at: by.now };
            client.notes.push(note);
            // The words stand where notes are kept, from where they can be erased.
            moved("note", Value::Null, json!({"characters": text.chars().count()}));
        }
        if let Some(tags) = tags {
            moved("tags", json!(client.tags), json!(tags));
            client.tags = tags;
        }
        if let Some(active) = self.active {
            moved("active", json!(client.active), json!(active));
            client.active = active;
        }
        if let Some(told) = &self.time_zone {
            let told = told
                .iter()
                .map(|zone| ClientZone { zone: zone.clone(), source: ZoneSource::Person });
            let known = client.zones.iter().filter(|zone| zone.source != ZoneSource::Person);
            let zones: Vec<ClientZone> = told.chain(known.cloned()).collect();
            moved("zones", json!(client.zones), json!(zones));
            client.zones = zones;
        }
        if let Some(consent) = &self.consent {
            moved("consent", json!(client.consent), json!(consent));
            client.consent = consent.clone();
        }
        Ok((old.into(), new.into()))
    }

    /// Whether a call that was cancelled may be owed again after it.
    #[must_use]
    pub const fn may_resume(&self) -> bool {
        matches!(self.active, Some(true)) || self.decides_again()
    }

    /// Whether the rules have to be asked again about a call that a worker has in its hands.
    #[must_use]
    pub const fn decides_again(&self) -> bool {
        self.time_zone.is_some() || self.consent.is_some()
    }
}

/// A client with the columns of the file that brought it.
#[derive(Debug, Clone, PartialEq)]
pub struct ClientDetail {
    /// The client.
    pub view: ClientView,
    /// The names of its fields.
    pub columns: Vec<String>,
}

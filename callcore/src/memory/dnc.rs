use async_trait::async_trait;
use serde_json::json;

use super::MemoryStore;
use super::campaigns::page;
use crate::dnc::{DncEntry, DncScope};
use crate::id::CallId;
use crate::phone::PhoneNumber;
use crate::port::{
    ActError, By, Cursor, Dnc, DncAdded, DncQuery, Effect, Page, Refused, StoreError,
};

#[async_trait]
impl Dnc for MemoryStore {
    async fn add_dnc(&self, by: By<'_>, entry: DncEntry) -> Result<DncAdded, ActError> {
        let mut state = self.lock();
        state.enter(by)?;
        if let DncScope::Campaign(id) = entry.scope {
            state.campaign_row(id)?;
        }
        let key = (entry.phone, entry.scope);
        if !state.dnc.contains_key(&key) {
            let new = json!({"scope": entry.scope.as_str(), "reason": entry.reason});
            state.write_audit(by, "dnc.add", entry.phone, None, Some(new));
            state.dnc.insert(key, entry.clone());
        }
        let canceled = state.cancel_number(entry.phone, entry.scope, by.now, by.actor);
        let live = state.live_numbers.get(&entry.phone).cloned().unwrap_or_default();
        let covered = |id: &CallId| {
            state.calls[id].call.campaign.is_some_and(|campaign| entry.scope.covers(campaign))
        };
        let in_flight = live.into_iter().filter(covered).collect();
        let added = DncAdded { entry: state.dnc[&key].clone(), canceled, in_flight };
        state.leave(by, &Effect::DncAdded(added.clone()));
        Ok(added)
    }

    async fn remove_dnc(
        &self,
        by: By<'_>,
        phone: PhoneNumber,
        scope: DncScope,
        reason: &str,
    ) -> Result<(), ActError> {
        let mut state = self.lock();
        state.enter(by)?;
        let entry = state.dnc.remove(&(phone, scope)).ok_or(Refused::NotFound)?;
        let old = json!({"scope": scope.as_str(), "reason": entry.reason});
        state.write_audit(by, "dnc.remove", phone, Some(old), Some(json!({"reason": reason})));
        state.leave(by, &Effect::DncRemoved);
        Ok(())
    }

    async fn dnc(&self, query: &DncQuery) -> Result<Page<DncEntry>, StoreError> {
        let state = self.lock();
        let key = |entry: &DncEntry| Cursor::at(entry.created_at, entry_id(entry));
        let digits: Option<String> =
            query.q.as_ref().map(|q| q.chars().filter(char::is_ascii_digit).collect());
        let mut rows: Vec<&DncEntry> = state
            .dnc
            .values()
            .filter(|entry| {
                let campaign = entry.scope.campaign();
                query.of_campaigns.is_none_or(|wanted| campaign.is_some() == wanted)
                    && query.campaign.is_none_or(|wanted| campaign == Some(wanted))
                    && digits.as_ref().is_none_or(|digits| {
                        let number = entry.phone.digits().to_string();
                        if digits.len() < 3 {
                            number.starts_with(digits)
                        } else {
                            number.contains(digits)
                        }
                    })
                    && query.after.as_ref().is_none_or(|after| key(entry) < *after)
            })
            .collect();
        rows.sort_unstable_by_key(|entry| std::cmp::Reverse(key(entry)));
        Ok(page(rows, query.limit, |entry| key(entry)).map(|entry| Some(entry.clone())))
    }
}

/// Tells entries of one instant apart: the number, and half of the campaign's id.
fn entry_id(entry: &DncEntry) -> uuid::Uuid {
    let campaign = entry.scope.campaign().map_or(0, |id| id.uuid().as_u64_pair().1);
    uuid::Uuid::from_u64_pair(entry.phone.digits(), campaign)
}

use async_trait::async_trait;
use serde_json::json;

use super::campaigns::page;
use super::{MemoryStore, State};
use crate::call::CancelReason;
use crate::dnc::{DncEntry, DncReport, DncScope, DncSource};
use crate::id::{CallId, ImportId};
use crate::phone::PhoneNumber;
use crate::port::{
    ActError, BeginDncImport, By, Cursor, Dnc, DncAdded, DncBatch, DncImport, DncQuery, Effect,
    ImportStatus, Page, Refused, StoreError,
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
        let (canceled, in_flight) = state.stop_calls(by, entry.phone, entry.scope);
        let added = DncAdded { entry: state.dnc[&key].clone(), canceled, in_flight };
        state.leave(by, &Effect::DncAdded(added.clone()));
        Ok(added)
    }

    async fn begin_dnc_import(
        &self,
        by: By<'_>,
        new: BeginDncImport,
    ) -> Result<DncImport, ActError> {
        let mut state = self.lock();
        state.enter(by)?;
        if let DncScope::Campaign(id) = new.scope {
            state.campaign_row(id)?;
        }
        let import = DncImport {
            id: new.id,
            scope: new.scope,
            file_name: new.file_name,
            added_by: by.actor.clone(),
            status: ImportStatus::Running,
            report: DncReport::default(),
        };
        state.dnc_imports.insert(new.id, import.clone());
        state.leave(by, &Effect::DncImport(Box::new(import.clone())));
        Ok(import)
    }

    async fn add_dnc_batch(
        &self,
        by: By<'_>,
        import: ImportId,
        numbers: &[(PhoneNumber, String)],
    ) -> Result<DncBatch, ActError> {
        let mut state = self.lock();
        state.enter(by)?;
        let running = state.dnc_imports.get(&import);
        let running = running.filter(|import| import.status == ImportStatus::Running);
        let DncImport { scope, added_by, .. } = running.ok_or(Refused::NotFound)?.clone();
        state.at(by.now);
        let mut batch = DncBatch::default();
        for (phone, reason) in numbers {
            let is_new = !state.dnc.contains_key(&(*phone, scope));
            batch.added.push(is_new);
            let entry = || DncEntry {
                phone: *phone,
                scope,
                reason: reason.clone(),
                source: DncSource::Import,
                added_by: added_by.clone(),
                created_at: by.now,
            };
            state.dnc.entry((*phone, scope)).or_insert_with(entry);
            let (canceled, in_flight) = state.stop_calls(by, *phone, scope);
            batch.canceled.extend(canceled);
            batch.in_flight.extend(in_flight);
        }
        batch.canceled.sort_unstable();
        batch.in_flight.sort_unstable();
        batch.in_flight.dedup();
        Ok(batch)
    }

    async fn report_dnc_import(
        &self,
        by: By<'_>,
        import: ImportId,
        status: ImportStatus,
        report: &DncReport,
    ) -> Result<DncImport, ActError> {
        let mut state = self.lock();
        state.enter(by)?;
        let row = state.dnc_imports.get_mut(&import).ok_or(Refused::NotFound)?;
        let was = std::mem::replace(&mut row.status, status);
        row.report = report.clone();
        let import = row.clone();
        if was == ImportStatus::Running && status != was {
            state.write_audit(by, "dnc.import", import.id, None, Some(import.audited()));
        }
        state.leave(by, &Effect::DncImport(Box::new(import.clone())));
        Ok(import)
    }

    async fn dnc_import(&self, id: ImportId) -> Result<Option<DncImport>, StoreError> {
        Ok(self.lock().dnc_imports.get(&id).cloned())
    }

    async fn fail_running_dnc_imports(&self, by: By<'_>) -> Result<u64, StoreError> {
        let mut state = self.lock();
        state.at(by.now);
        let running =
            state.dnc_imports.values_mut().filter(|it| it.status == ImportStatus::Running);
        let failed: Vec<DncImport> = running
            .map(|import| {
                import.status = ImportStatus::Failed;
                import.clone()
            })
            .collect();
        for import in &failed {
            // Whoever began it did what it did.
            let by = By::new(&import.added_by, by.now);
            state.write_audit(by, "dnc.import", import.id, None, Some(import.audited()));
        }
        Ok(failed.len() as u64)
    }

    async fn listed(
        &self,
        scope: DncScope,
        numbers: &[PhoneNumber],
    ) -> Result<Vec<bool>, StoreError> {
        let state = self.lock();
        Ok(numbers.iter().map(|phone| state.dnc.contains_key(&(*phone, scope))).collect())
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
                    && (query.campaigns.is_empty()
                        || campaign.is_some_and(|id| query.campaigns.contains(&id)))
                    && digits.as_ref().is_none_or(|digits| {
                        let number = entry.phone.digits().to_string();
                        if digits.is_empty() {
                            false
                        } else if digits.len() < 3 {
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

impl State {
    /// Cancels what is scheduled for a number in a scope; that, and which calls are live.
    fn stop_calls(
        &mut self,
        by: By<'_>,
        phone: PhoneNumber,
        scope: DncScope,
    ) -> (Vec<CallId>, Vec<CallId>) {
        let canceled = self.cancel_number(phone, scope, by.now, by.actor, CancelReason::OnDnc);
        let live = self.live_numbers.get(&phone).cloned().unwrap_or_default();
        let covered = |id: &CallId| {
            self.calls[id].call.campaign.is_some_and(|campaign| scope.covers(campaign))
        };
        let live: Vec<CallId> = live.into_iter().filter(covered).collect();
        self.ask_to_hang_up(&live);
        (canceled, live)
    }
}

/// Tells entries of one instant apart: the number, and half of the campaign's id.
fn entry_id(entry: &DncEntry) -> uuid::Uuid {
    let campaign = entry.scope.campaign().map_or(0, |id| id.uuid().as_u64_pair().1);
    uuid::Uuid::from_u64_pair(entry.phone.digits(), campaign)
}

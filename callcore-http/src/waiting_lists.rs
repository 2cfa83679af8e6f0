//! Lists that wait between upload and import: somebody still looks at their columns and at what a dry
//! run says. They are kept in nameless temporary files of this process, so that nothing is left of
//! people who never came in; whoever comes back after a restart chooses the file once more.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use callcore::campaign::Settings;
use callcore::id::CampaignId;
use callcore::import::{DuplicatePolicy, Mapping};
use chrono::{DateTime, TimeDelta, Utc};

use crate::importing::{List, Sample};
use crate::problem::Problem;
use crate::request::internal;
use crate::upload::{Reader, Upload};

/// How many lists wait at most; the oldest makes room.
const MOST: usize = 16;

/// For how long a list waits, on the wall clock.
const WAITS_FOR: TimeDelta = TimeDelta::days(1);

/// The lists, one for each campaign: a newer one takes its place.
#[derive(Debug, Default)]
pub(crate) struct WaitingLists {
    lists: Mutex<BTreeMap<CampaignId, WaitingList>>,
    /// How many marks were given out.
    marks: AtomicU64,
}

/// A list that waits. Clones are the same file.
#[derive(Clone)]
pub(crate) struct WaitingList {
    file: Arc<File>,
    since: DateTime<Utc>,
    bytes: u64,
    /// What the file is called.
    pub(crate) name: String,
    /// Which columns hold which field, as far as somebody said so.
    pub(crate) mapping: Mapping,
    /// What is done with rows about people who are in already.
    pub(crate) duplicates: DuplicatePolicy,
    /// Tells it from every other list, and from itself read differently.
    mark: u64,
}

impl fmt::Debug for WaitingList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WaitingList").field("bytes", &self.bytes).finish_non_exhaustive()
    }
}

impl WaitingLists {
    /// Keeps a list for a campaign. All together have at most `most_bytes`, but for a list that
    /// alone has more.
    pub(crate) fn put(&self, campaign: CampaignId, list: WaitingList, most_bytes: u64) {
        let list = self.marked(list);
        let bytes = list.bytes;
        self.with(|lists| {
            lists.remove(&campaign);
            let is_full = |lists: &BTreeMap<CampaignId, WaitingList>| {
                let held: u64 = lists.values().map(|list| list.bytes).sum();
                lists.len() >= MOST || held.saturating_add(bytes) > most_bytes
            };
            while is_full(lists)
                && let Some(oldest) = lists.iter().min_by_key(|(_, list)| list.since)
            {
                let oldest = *oldest.0;
                lists.remove(&oldest);
            }
            lists.insert(campaign, list);
        });
    }

    /// The list that waits for a campaign.
    pub(crate) fn of(&self, campaign: CampaignId, wall: DateTime<Utc>) -> Option<WaitingList> {
        self.with(|lists| {
            lists.retain(|_, list| wall - list.since < WAITS_FOR);
            lists.get(&campaign).cloned()
        })
    }

    /// Changes how the list of a campaign is read.
    pub(crate) fn change(&self, campaign: CampaignId, list: WaitingList) {
        let list = self.marked(list);
        self.with(|lists| {
            // Unless a newer file took its place.
            if let Some(kept) = lists.get_mut(&campaign)
                && Arc::ptr_eq(&kept.file, &list.file)
            {
                *kept = list;
            }
        });
    }

    /// Drops a list, unless it was changed or another took its place.
    pub(crate) fn drop_same(&self, campaign: CampaignId, list: &WaitingList) {
        self.with(|lists| {
            if lists.get(&campaign).is_some_and(|kept| kept.mark() == list.mark()) {
                lists.remove(&campaign);
            }
        });
    }

    fn marked(&self, list: WaitingList) -> WaitingList {
        WaitingList { mark: self.marks.fetch_add(1, Ordering::Relaxed), ..list }
    }

    /// Drops the list of a campaign.
    pub(crate) fn forget(&self, campaign: CampaignId) {
        self.with(|lists| lists.remove(&campaign));
    }

    /// Drops every list: one of them may hold a person who is to be erased.
    pub(crate) fn forget_all(&self) {
        self.with(BTreeMap::clear);
    }

    fn with<T>(&self, act: impl FnOnce(&mut BTreeMap<CampaignId, WaitingList>) -> T) -> T {
        act(&mut self.lists.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl WaitingList {
    /// A list that begins to wait.
    pub(crate) fn new(upload: Upload, wall: DateTime<Utc>) -> Result<Self, Problem> {
        let bytes = upload.file.metadata().map_err(|error| internal(&error))?.len();
        let Upload { file, name, mapping, duplicates, .. } = upload;
        let file = Arc::new(file);
        Ok(Self { file, since: wall, bytes, name, mapping, duplicates, mark: 0 })
    }

    /// What a form that was made for this list, read this way, names it by. Marks begin anew with
    /// the process; the instant does not.
    pub(crate) fn mark(&self) -> String {
        format!("{}-{}", self.since.timestamp_millis(), self.mark)
    }

    /// The list, to be checked or imported.
    pub(crate) async fn open(&self, settings: &Settings) -> Result<List, Problem> {
        let file = Reader::new(self.file.clone());
        let (mapping, duplicates) = (self.mapping.clone(), self.duplicates);
        List::of_file(file, self.name.clone(), mapping, duplicates, settings).await
    }

    /// Its first rows.
    pub(crate) async fn sample(&self, settings: &Settings, rows: usize) -> Result<Sample, Problem> {
        let file = self.file.clone();
        let reader = move || Reader::new(file.clone());
        Sample::read(reader, self.mapping.clone(), settings, rows).await
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::io::Write;

    use super::*;

    fn id(number: u8) -> CampaignId {
        format!("0199aaaa-0000-7000-8000-0000000000{number:02x}").parse().unwrap()
    }

    fn at(hour: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::hours(hour)
    }

    fn list(bytes: usize, hour: i64) -> WaitingList {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&vec![b'x'; bytes]).unwrap();
        let upload = Upload {
            file,
            name: "list.csv".to_owned(),
            mapping: Mapping::default(),
            duplicates: DuplicatePolicy::default(),
            dry_run: false,
            fingerprint: Vec::new(),
            others: BTreeMap::new(),
        };
        WaitingList::new(upload, at(hour)).unwrap()
    }

    #[test]
    fn lists_make_room_by_number_and_by_size_and_wait_for_a_day() {
        let lists = WaitingLists::default();
        for number in 0..20 {
            lists.put(id(number), list(10, i64::from(number)), 1_000);
        }
        assert!(lists.of(id(3), at(20)).is_none() && lists.of(id(4), at(20)).is_some());
        lists.put(id(30), list(900, 20), 1_000);
        assert!(lists.of(id(9), at(20)).is_none() && lists.of(id(10), at(20)).is_some());
        lists.put(id(31), list(5_000, 20), 1_000);
        assert!(lists.of(id(30), at(20)).is_none(), "one list may be larger than all should be");
        assert!(lists.of(id(31), at(43)).is_some());
        assert!(lists.of(id(31), at(44)).is_none());
    }
}

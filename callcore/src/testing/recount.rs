//! Counters and standings against a recount of the rows.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, TimeDelta, Utc};

use crate::account::{Meter, Reading};
use crate::analytics::Totals;
use crate::call::{CallStatus, Direction, Outcome, Review};
use crate::campaign::RunState;
use crate::client::ClientStatus;
use crate::engine::Tally;
use crate::id::{CallId, CampaignId, ClientId};
use crate::port::{
    CallOrder, CallQuery, CallView, CampaignView, ClientQuery, ClientView, Cursor, Page, Store,
    StoreError, TallyRow,
};

/// Small, so that every recount turns pages.
pub(super) const PAGE: u32 = 7;

/// Reads every row of a store through its pages and panics unless the counters equal the recount,
/// every client is final or has exactly one call to come or in progress, nobody on a DNC list has
/// a call to come, and running campaigns have somebody left, if they have clients.
///
/// # Panics
///
/// One of these does not hold, or the store failed.
pub async fn recount(store: &dyn Store) {
    let history = history(store).await;
    let live = store.live(u32::MAX).await.expect("live calls");
    let live: BTreeSet<CallId> = live.into_iter().map(|open| open.call).collect();
    check_meters(store, &history, &live).await;
    let mut tallies = BTreeMap::new();
    for view in campaigns(store).await {
        let campaign = view.campaign.id;
        let ended: Vec<&CallView> =
            history.iter().filter(|call| call.call.campaign == Some(campaign)).collect();
        let mut live_views = Vec::new();
        for id in &live {
            let call = store.call(*id).await.expect("read").expect("a live call is there");
            assert!(call.call.is_live(), "{id} is among the live calls but is not live");
            // Somebody who calls in takes no slot, and a test call is not shown.
            let outbound = call.call.direction == Direction::Outbound && !call.call.is_test();
            if outbound && call.call.campaign == Some(campaign) {
                live_views.push(call);
            }
        }
        let clients = clients(store, campaign).await;
        check_clients(store, &view, &clients, &ended, &live_views).await;
        check_tags(store, campaign, &clients, &ended).await;
        check_counters(store, &view, &clients, &ended, live_views.len(), &mut tallies).await;
    }
    check_attention(store, &history, &live).await;
    let all = store.tallies(None, None, None).await.expect("tallies");
    assert_eq!(by_cell(&all), tallies, "the tallies of all campaigns are the sum of each");
}

/// Dials by the quarter in which they began, of each campaign and of the account, and how many of
/// them are live.
async fn check_meters(store: &dyn Store, history: &[CallView], live: &BTreeSet<CallId>) {
    let mut calls: Vec<CallView> = history.to_vec();
    for id in live {
        calls.push(store.call(*id).await.expect("read").expect("a live call is there"));
    }
    let (mut quarters, mut sums) = (BTreeMap::new(), BTreeMap::new());
    for call in &calls {
        let Some(reading) = Reading::of(&call.call) else { continue };
        // A test call has its price, and stands outside its campaign's counts.
        let campaign = call.call.campaign.filter(|_| !call.call.is_test());
        let scopes = [None, campaign];
        for scope in scopes.into_iter().take(if campaign.is_some() { 2 } else { 1 }) {
            quarters.entry((scope, reading.quarter)).or_insert_with(Meter::default).add(reading);
            sums.entry(scope).or_insert_with(Meter::default).add(reading);
        }
    }
    for ((scope, from), wanted) in quarters {
        let meter = store.meter(scope, from, from + TimeDelta::minutes(15)).await;
        assert_eq!(meter.expect("read"), wanted, "dials begun in the quarter from {from}");
    }
    let scopes = campaigns(store).await.into_iter().map(|view| Some(view.campaign.id));
    for scope in scopes.chain([None]) {
        let to = DateTime::<Utc>::UNIX_EPOCH + TimeDelta::days(40_000);
        let meter = store.meter(scope, DateTime::UNIX_EPOCH, to).await.expect("read");
        let wanted = sums.get(&scope).copied().unwrap_or_default();
        assert_eq!(meter, wanted, "dials begun at any time");
        if scope.is_none() {
            let account = store.account().await.expect("read");
            assert_eq!(account.live, wanted.live, "live calls of the account");
        }
    }
}

async fn check_attention(store: &dyn Store, history: &[CallView], live: &BTreeSet<CallId>) {
    let shown = store.attention(DateTime::UNIX_EPOCH, u32::MAX).await.expect("attention");
    let marked = history.iter().filter(|call| call.call.review == Review::NeedsFollowUp);
    let marked: Vec<CallId> = marked.map(|call| call.call.id).collect();
    assert_eq!(shown.calls_to_follow_up, marked, "calls to follow up");
    let mut unknown = BTreeSet::new();
    for id in live {
        let call = store.call(*id).await.expect("read").expect("a live call is there").call;
        if call.status() == CallStatus::Unknown {
            unknown.insert((call.began(), *id));
        }
    }
    let unknown: Vec<CallId> = unknown.into_iter().map(|(_, id)| id).collect();
    assert_eq!(shown.unknown_calls, unknown, "calls nobody knows the fate of");
    let mut follow_up = BTreeMap::new();
    for view in campaigns(store).await {
        let clients = view.progress.clients.get(&ClientStatus::NeedsFollowUp);
        follow_up.extend(clients.map(|count| (view.campaign.id, *count)));
    }
    let follow_up: Vec<_> = follow_up.into_iter().rev().collect();
    assert_eq!(shown.clients_to_follow_up, follow_up, "clients to follow up");
}

/// Numbers by tag against the rows.
async fn check_tags(
    store: &dyn Store,
    campaign: CampaignId,
    clients: &[ClientView],
    ended: &[&CallView],
) {
    let tags: BTreeSet<&String> = clients.iter().flat_map(|view| &view.client.tags).collect();
    let each = tags.iter().map(|tag| vec![(*tag).clone()]);
    let all = tags.iter().map(|tag| (*tag).clone()).collect();
    for tags in each.chain([all]) {
        let shown = store.tagged(campaign, &tags, None, None).await.expect("numbers");
        let has_one = |view: &&ClientView| tags.iter().any(|tag| view.client.tags.contains(tag));
        let mut statuses: BTreeMap<ClientStatus, u64> = BTreeMap::new();
        let mut ids = BTreeSet::new();
        for view in clients.iter().filter(has_one) {
            *statuses.entry(view.client.standing.status).or_default() += 1;
            ids.insert(view.client.id);
        }
        assert_eq!(shown.clients, statuses, "clients with {tags:?}");
        let of_them = |call: &&&CallView| call.call.client.is_some_and(|id| ids.contains(&id));
        let counted = cells(ended.iter().filter(of_them).copied());
        assert_eq!(by_cell(&shown.tallies), counted, "calls of clients with {tags:?}");
    }
}

fn cells<'a>(ended: impl IntoIterator<Item = &'a CallView>) -> Cells {
    let mut cells = Cells::new();
    for tally in ended.into_iter().filter_map(|call| Tally::of(&call.call)) {
        let cell = cells.entry((tally.quarter, tally.outcome)).or_default();
        *cell = (cell.0 + 1, cell.1 + u64::from(tally.talk_seconds));
    }
    cells
}

type Cells = BTreeMap<(DateTime<Utc>, Outcome), (u64, u64)>;

async fn check_counters(
    store: &dyn Store,
    view: &CampaignView,
    clients: &[ClientView],
    ended: &[&CallView],
    live: usize,
    all: &mut Cells,
) {
    let mut statuses: BTreeMap<ClientStatus, u64> = BTreeMap::new();
    for client in clients {
        *statuses.entry(client.client.standing.status).or_default() += 1;
    }
    assert_eq!(view.progress.clients, statuses, "clients by status");
    assert_eq!(view.progress.live, live as u64, "live calls");
    let cells = cells(ended.iter().copied());
    let mut totals = Totals::default();
    for ((_, outcome), (calls, talk_seconds)) in &cells {
        totals.add(*outcome, *calls, *talk_seconds);
    }
    assert_eq!(view.progress.totals, totals, "ended calls by outcome");
    let kept = store.tallies(Some(view.campaign.id), None, None).await.expect("tallies");
    let quarters: Vec<_> = kept.iter().map(|row| row.quarter).collect();
    assert!(quarters.is_sorted(), "tallies come in order of time");
    assert_eq!(by_cell(&kept), cells, "tallies by quarter");
    for (key, (calls, talk)) in cells {
        let cell = all.entry(key).or_default();
        *cell = (cell.0 + calls, cell.1 + talk);
    }
}

fn by_cell(rows: &[TallyRow]) -> Cells {
    let mut cells = Cells::new();
    for row in rows.iter().filter(|row| row.calls > 0) {
        let known = cells.insert((row.quarter, row.outcome), (row.calls, row.talk_seconds));
        assert_eq!(known, None, "one row for each quarter and outcome");
    }
    cells
}

async fn check_clients(
    store: &dyn Store,
    view: &CampaignView,
    clients: &[ClientView],
    ended: &[&CallView],
    live: &[CallView],
) {
    let upcoming = upcoming(store, view.campaign.id).await;
    let mut waiting: BTreeMap<ClientId, CallId> = BTreeMap::new();
    for call in &upcoming {
        let client = call.call.client.expect("a call to come has a client");
        assert_eq!(waiting.insert(client, call.call.id), None, "one call to come for a client");
    }
    let shown = matches!(view.campaign.state, RunState::Running | RunState::Paused);
    for ClientView { client, on_dnc } in clients {
        let (id, standing) = (client.id, &client.standing);
        let next = standing.next_call.map(|next| next.call);
        if shown {
            assert_eq!(next, waiting.remove(&id), "the next call of {id} is the one to come");
        }
        if let Some(next) = &standing.next_call {
            let call = store.call(next.call).await.expect("read").expect("the next call is there");
            assert!(matches!(call.call.status(), CallStatus::Scheduled | CallStatus::Claimed));
            assert_eq!(call.call.due_at, next.due_at, "the next call's due time");
            assert!(!on_dnc, "{id} is on a DNC list and has a call to come");
        }
        let of_client = |call: &&CallView| {
            call.call.client == Some(id) && call.call.direction == Direction::Outbound
        };
        let is_live = live.iter().any(|call| of_client(&call));
        match standing.status {
            ClientStatus::InProgress => assert!(is_live, "{id} is in progress without a call"),
            ClientStatus::Pending | ClientStatus::Scheduled => {
                assert!(next.is_some() && !is_live, "{id} waits for nothing");
            }
            _ => assert!(next.is_none() && !is_live, "{id} is final with a call to come"),
        }
        let dialled: Vec<&&CallView> =
            ended.iter().filter(|call| of_client(call) && call.call.begun_at.is_some()).collect();
        let attempts = dialled.len() + live.iter().filter(of_client).count();
        assert_eq!(standing.attempts as usize, attempts, "dials of {id}");
        let voicemails =
            dialled.iter().filter(|call| call.call.outcome() == Some(Outcome::Voicemail)).count();
        assert_eq!(standing.voicemails as usize, voicemails, "voicemails of {id}");
        let last = dialled.iter().max_by_key(|call| (call.call.attempt, call.call.id));
        assert_eq!(standing.last_outcome, last.and_then(|call| call.call.outcome()));
        assert_eq!(standing.last_call_at, last.and_then(|call| call.call.ended_at()));
    }
    assert!(waiting.is_empty(), "calls to come belong to clients: {waiting:?}");
    match view.campaign.state {
        RunState::Running => assert!(
            clients.is_empty()
                || clients.iter().any(|view| !view.client.standing.status.is_final()),
            "a running campaign has somebody left"
        ),
        RunState::Finished | RunState::Stopped => assert!(
            clients.iter().all(|view| view.client.standing.next_call.is_none()),
            "a campaign that is over has no calls to come"
        ),
        RunState::Draft | RunState::Paused => {}
    }
}

/// Every campaign.
pub(super) async fn campaigns(store: &dyn Store) -> Vec<CampaignView> {
    pages(async |after| store.campaigns(&[], after, PAGE).await).await
}

/// Every client of a campaign, in the order they came in.
pub(super) async fn clients(store: &dyn Store, campaign: CampaignId) -> Vec<ClientView> {
    pages(async |after| {
        let query = ClientQuery {
            campaign,
            q: None,
            statuses: Vec::new(),
            tags: Vec::new(),
            after,
            limit: PAGE,
        };
        store.clients(&query).await
    })
    .await
}

/// Every ended call, newest first.
pub(super) async fn history(store: &dyn Store) -> Vec<CallView> {
    let query =
        CallQuery { limit: PAGE, order: Some(CallOrder::NEWEST_FIRST), ..CallQuery::default() };
    let all = pages(async |after| store.history(&CallQuery { after, ..query.clone() }).await).await;
    let keys: Vec<_> = all.iter().map(|call| (call.call.date(), call.call.id)).collect();
    assert!(keys.is_sorted_by(|a, b| a > b), "the newest comes first, and each once");
    assert!(all.iter().all(|call| call.call.status() == CallStatus::Ended), "all of them ended");
    all
}

/// Every call to come of a campaign.
pub(super) async fn upcoming(store: &dyn Store, campaign: CampaignId) -> Vec<CallView> {
    let query = CallQuery { limit: PAGE, campaigns: vec![campaign], ..CallQuery::default() };
    let all =
        pages(async |after| store.upcoming(&CallQuery { after, ..query.clone() }).await).await;
    let keys: Vec<_> = all.iter().map(|call| (call.call.due_at, call.call.id)).collect();
    assert!(keys.is_sorted_by(|a, b| a < b), "in order of the due time, and each once");
    all
}

/// Turns all pages of a list.
pub(super) async fn pages<T>(
    mut page: impl AsyncFnMut(Option<Cursor>) -> Result<Page<T>, StoreError>,
) -> Vec<T> {
    let mut all = Vec::new();
    let mut after = None;
    loop {
        let Page { items, next } = page(after.clone()).await.expect("a page");
        assert!(items.len() <= PAGE as usize, "a page has at most so many rows as asked for");
        assert!(next.is_none() || next != after, "pages go on");
        all.extend(items);
        match next {
            Some(next) => after = Some(next),
            None => return all,
        }
    }
}

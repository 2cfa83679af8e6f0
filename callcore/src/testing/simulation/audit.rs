//! Everything is recounted: rows against events, counters against rows, clients against dials.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};

use super::evidence::End;
use super::judge::{Judge, Record};
use super::spec::Spec;
use super::world::{World, read};
use crate::actor::Actor;
use crate::analytics::Totals;
use crate::call::{Call, CallEvent, Direction, EventKind, Intent, Outcome, Progress, Report};
use crate::campaign::RunState;
use crate::client::{Client, ClientStatus};
use crate::id::{CallId, CampaignId};
use crate::port::{
    By, CallQuery, CallView, Calls, CampaignView, Campaigns, ClientQuery, Dispatch, Recorded,
};

/// More rows than a run has.
const ALL: u32 = 100_000;

/// All rows of a run.
#[derive(Debug, PartialEq)]
struct Rows {
    campaigns: Vec<CampaignView>,
    clients: Vec<Client>,
    history: Vec<CallView>,
    upcoming: Vec<CallView>,
}

impl World {
    /// Whether counters and facts are right in the middle of everything.
    pub(super) fn recount(&self) -> Result<(), String> {
        let rows = self.rows()?;
        for view in &rows.campaigns {
            self.recount_campaign(view, &rows)?;
        }
        match self.dice(|dice| dice.pick(&rows.upcoming).map(|view| view.call.id)) {
            Some(id) => self.compare_facts(id),
            None => Ok(()),
        }
    }

    /// Recounts everything once all has come to rest, and again after every event was told once
    /// more, in another order and twice.
    pub(super) fn audit(&self) -> Result<(), String> {
        let rows = self.rows()?;
        for view in &rows.campaigns {
            self.recount_campaign(view, &rows)?;
            self.audit_campaign(view, &rows)?;
        }
        let never_stored = self.stage.lock().judge.never_stored();
        same("opt-outs that were heard and never stored", &0, &never_stored)?;
        self.audit_calls()?;
        self.audit_tests(&rows)?;
        self.tell_again()?;
        if self.rows()? == rows { Ok(()) } else { Err("telling events again changed rows".into()) }
    }

    fn rows(&self) -> Result<Rows, String> {
        let ids: Vec<CampaignId> = self.stage.lock().judge.campaigns.keys().copied().collect();
        let query = CallQuery { limit: ALL, ..CallQuery::default() };
        let mut rows = Rows {
            campaigns: Vec::new(),
            clients: Vec::new(),
            history: read(self.inner.history(&query)).ok_or("no history")?.items,
            upcoming: read(self.inner.upcoming(&query)).ok_or("no calls to come")?.items,
        };
        for campaign in ids {
            let view = read(self.inner.campaign(campaign)).flatten().ok_or("a campaign is gone")?;
            rows.campaigns.push(view);
            let (statuses, tags) = (Vec::new(), Vec::new());
            let query = ClientQuery { campaign, q: None, statuses, tags, after: None, limit: ALL };
            let page = read(self.inner.clients(&query)).ok_or("no clients")?;
            rows.clients.extend(page.items.into_iter().map(|view| view.client));
        }
        Ok(rows)
    }

    /// Counters shown equal a recount of the rows.
    fn recount_campaign(&self, view: &CampaignView, rows: &Rows) -> Result<(), String> {
        let (id, name) = (view.campaign.id, &view.campaign.settings.name);
        let mut clients: BTreeMap<ClientStatus, u64> = BTreeMap::new();
        for client in rows.clients.iter().filter(|client| client.campaign == id) {
            *clients.entry(client.standing.status).or_default() += 1;
        }
        let shown: BTreeMap<_, _> =
            view.progress.clients.iter().filter(|(_, n)| **n > 0).map(|(s, n)| (*s, *n)).collect();
        same(&format!("clients by status of {name}"), &shown, &clients)?;

        let mut totals = Totals::default();
        let mut quarters: BTreeMap<(DateTime<Utc>, Outcome), (u64, u64)> = BTreeMap::new();
        for view in rows.history.iter().filter(|view| view.call.campaign == Some(id)) {
            let call = &view.call;
            let (Some(outcome), Some(at)) = (call.outcome(), call.ended_at()) else {
                return Err(format!("a call in the history of {name} has not ended"));
            };
            if call.direction == Direction::Inbound || call.intent == Intent::Test {
                continue;
            }
            let talk = if outcome.reached() { u64::from(call.progress.talk_seconds) } else { 0 };
            totals.add(outcome, 1, talk);
            let quarter = at.timestamp().div_euclid(900) * 900;
            let cell = quarters
                .entry((DateTime::from_timestamp(quarter, 0).unwrap_or_default(), outcome))
                .or_default();
            *cell = (cell.0 + 1, cell.1 + talk);
        }
        same(&format!("totals of {name}"), &view.progress.totals, &totals)?;
        let tallies = read(self.inner.tallies(Some(id), None, None)).ok_or("no tallies")?;
        let shown = tallies
            .iter()
            .map(|row| ((row.quarter, row.outcome), (row.calls, row.talk_seconds)))
            .collect();
        same(&format!("quarters of {name}"), &quarters, &shown)?;

        let stage = self.stage.lock();
        let counts = |call: &Record| call.campaign == id && call.intent != Intent::Test;
        let live = stage.judge.standing().filter(|(_, call, _)| counts(call));
        let live = live.filter(|(_, call, _)| call.end().is_none()).count() as u64;
        same(&format!("live calls of {name}"), &view.progress.live, &live)
    }

    /// What the rules are told of a number and a client equals what happened.
    fn compare_facts(&self, id: CallId) -> Result<(), String> {
        let Some(Some(facts)) = read(self.inner.facts(id)) else { return Ok(()) };
        let mut stage = self.stage.lock();
        let name = stage.judge.name(id);
        let judge = &stage.judge;
        let to_number = || judge.standing().filter(|(_, call, _)| call.phone == facts.phone);
        let counting = to_number().filter(|(_, call, _)| call.intent != Intent::Test);
        let mut dials: Vec<DateTime<Utc>> = counting.map(|(.., begun)| begun.at).collect();
        dials.sort_unstable();
        same(&format!("dials to the number of call {name}"), &facts.number_dials, &dials)?;
        let dialled = to_number().any(|(_, call, _)| call.end().is_none());
        let live = dialled || judge.is_ringing_in(facts.phone);
        same(
            &format!("a live call to or from the number of call {name}"),
            &facts.number_live,
            &live,
        )?;
        let dials = facts.client.map_or(0, |client| judge.dials_of(client).len());
        same(
            &format!("dials to the client of call {name}"),
            &(facts.client_dials as usize),
            &dials,
        )?;
        let listed = judge.on_dnc(facts.phone, facts.campaign);
        same(&format!("DNC of call {name}"), &facts.dnc.is_some(), &listed)
    }

    /// Nobody is forgotten, and everybody stands where the dials say.
    fn audit_campaign(&self, view: &CampaignView, rows: &Rows) -> Result<(), String> {
        let (id, name) = (view.campaign.id, &view.campaign.settings.name);
        let state = view.campaign.state;
        let stage = self.stage.lock();
        let judge = &stage.judge;
        let known = judge.campaigns.get(&id).ok_or("a campaign nobody founded")?;
        let clients: Vec<&Client> = rows.clients.iter().filter(|it| it.campaign == id).collect();
        let wanted = match known.state {
            RunState::Running | RunState::Finished => RunState::Finished,
            other => other,
        };
        same(&format!("the state of {name}"), &state, &wanted)?;
        let of_campaign = judge.clients.values().filter(|person| person.campaign == id);
        same(&format!("the clients of {name}"), &clients.len(), &of_campaign.count())?;
        for client in clients {
            let line = client.line;
            let calls = judge.dials_of(client.id);
            let calls: Vec<_> = calls.iter().map(|(_, id, _)| judge.known_name(*id)).collect();
            let versions = &known.versions;
            audit_client(judge, rows, versions, state, client).map_err(|what| {
                format!("the client of line {line} of {name} (calls {calls:?}): {what}")
            })?;
        }
        Ok(())
    }

    /// Each call's row is what its events say, in whatever order they are told.
    fn audit_calls(&self) -> Result<(), String> {
        let ids: Vec<CallId> = self.stage.lock().judge.calls.keys().copied().collect();
        for id in ids {
            let view = read(self.inner.call(id)).flatten();
            let stored = read(self.inner.events(id)).unwrap_or_default();
            let mut stage = self.stage.lock();
            let name = stage.judge.name(id);
            let Some(record) = stage.judge.calls.get(&id) else { continue };
            if record.begun.is_none() {
                continue;
            }
            let call = view.ok_or(format!("call {name} is gone"))?.call;
            let mut told: Vec<CallEvent> = record.events.iter().cloned().collect();
            let (end, unknown) = (record.end(), record.end().is_some_and(|end| end.unknown));
            let erased = stage.judge.is_erased(id, record);
            if erased {
                check_erased_call(&call, &stored).map_err(|what| format!("call {name}: {what}"))?;
            } else {
                same(&format!("the events of call {name}"), &stored, &told)?;
            }
            same(
                &format!("the outcome of call {name}"),
                &call.outcome(),
                &end.map(|it| it.outcome),
            )?;
            same(&format!("the end of call {name}"), &call.ended_at(), &end.map(|it| it.at))?;
            let handed_on = told.iter().any(|event| event.kind == EventKind::Transferred);
            let answered = end.is_some_and(|end| end.outcome == Outcome::Answered);
            same(
                &format!("whether call {name} was handed on"),
                &(call.end_reason() == Some("transferred")),
                &(handed_on && answered),
            )?;
            if erased {
                continue;
            }
            told.extend(told.clone());
            stage.dice.shuffle(&mut told);
            stage.stats.given_up += u64::from(unknown);
            drop(stage);
            let script = call.campaign.and_then(|id| read(self.inner.campaign(id)).flatten());
            let script = script.map(|view| view.campaign.settings.script.clone());
            let told: BTreeSet<CallEvent> = told.into_iter().collect();
            let fresh = Progress::of(&told, &script.unwrap_or_default());
            same(&format!("the row of call {name}"), &call.progress, &fresh)?;
        }
        Ok(())
    }

    /// A test call has ended, stands in the history, and is nobody's.
    fn audit_tests(&self, rows: &Rows) -> Result<(), String> {
        let stage = self.stage.lock();
        for id in &stage.judge.tests {
            let name = stage.judge.known_name(*id);
            let view = rows.history.iter().find(|view| view.call.id == *id);
            let call = &view.ok_or(format!("test call {name:?} is not in the history"))?.call;
            same(&format!("the client of test call {name:?}"), &call.client, &None)?;
            same(&format!("the intent of test call {name:?}"), &call.intent, &Intent::Test)?;
        }
        Ok(())
    }

    /// Tells every event of the run twice more, in another order: nothing may follow.
    fn tell_again(&self) -> Result<(), String> {
        let mut reports: Vec<Report> = Vec::new();
        {
            let mut stage = self.stage.lock();
            for (id, record) in &stage.judge.calls {
                let events = record.events.iter().cloned();
                reports.extend(events.map(|event| Report::ours(*id, event.at, event.kind)));
            }
            reports.extend(reports.clone());
            stage.dice.shuffle(&mut reports);
        }
        let by = By::new(&Actor::System, self.now());
        let answers = read(self.inner.record(by, &reports)).ok_or("nothing could be recorded")?;
        if answers.iter().all(|answer| matches!(answer, Recorded::Known { .. })) {
            Ok(())
        } else {
            Err("an event that was told before was taken for a new one".to_owned())
        }
    }
}

/// Of a person who was erased nothing is left but how its calls ended.
fn check_erased_call(call: &Call, events: &[CallEvent]) -> Result<(), String> {
    let personal = |event: &CallEvent| {
        matches!(event.kind, EventKind::Key { .. } | EventKind::Line { .. } | EventKind::Tag { .. })
    };
    if call.phone.is_some() || events.iter().any(personal) {
        return Err("its person was erased and is still known".to_owned());
    }
    Ok(())
}

fn audit_client(
    judge: &Judge,
    rows: &Rows,
    versions: &[Spec],
    state: RunState,
    client: &Client,
) -> Result<(), String> {
    let erased = judge.erased.contains(&client.id);
    same("being erased", &client.erased.is_some(), &erased)?;
    if erased && (client.phone.is_some() || !client.name.is_empty() || !client.tags.is_empty()) {
        return Err("was erased and is still known".to_owned());
    }
    let standing = &client.standing;
    let dials = judge.dials_of(client.id);
    same("dials", &(standing.attempts as usize), &dials.len())?;
    let ended_so = |wanted: Outcome| {
        let ends = dials.iter().filter_map(|(.., end)| *end);
        ends.filter(|end| end.outcome == wanted).count()
    };
    same("voicemails", &(standing.voicemails as usize), &ended_so(Outcome::Voicemail))?;
    if !standing.status.is_final() {
        // Only what nobody started, or somebody paused for good, may still wait.
        return match (state, standing.next_call) {
            (RunState::Draft, Some(_)) => Ok(()),
            _ => Err(format!(
                "is {} for ever, {state:?}, {:?}",
                standing.status.as_str(),
                standing.next_call
            )),
        };
    }
    if judge.clients.get(&client.id).is_some_and(|person| !person.active) {
        let may = [ClientStatus::Inactive, ClientStatus::OnDnc, ClientStatus::OptedOut];
        let which = format!("is switched off and {}", standing.status.as_str());
        return if may.contains(&standing.status) { Ok(()) } else { Err(which) };
    }
    let of_client = |view: &&CallView| view.call.client == Some(client.id);
    let retired = rows.history.iter().filter(of_client).any(|view| view.call.retired.is_some());
    if retired || client.phone.is_none_or(|phone| judge.ever_on_dnc.contains(&phone)) {
        return Ok(());
    }
    let Some((.., last)) = dials.last() else {
        return Err("was never dialled, and nothing says why".to_owned());
    };
    let last = last.ok_or("has a dial that never ended")?;
    same("status", &standing.status, &status_after(&last))?;
    let zones = judge.clients.get(&client.id).map(|person| &person.zones[..]).unwrap_or_default();
    let owed = versions.last().is_some_and(|spec| judge.owes(client.id, spec));
    if state == RunState::Stopped || !owed || versions.iter().any(|it| it.shuts(last.at, zones)) {
        return Ok(());
    }
    Err("was owed another dial and never got it".to_owned())
}

/// Where a client stands after its last dial, nothing else being known.
const fn status_after(end: &End) -> ClientStatus {
    match end.outcome {
        _ if end.unknown => ClientStatus::NeedsFollowUp,
        _ if end.permanent => ClientStatus::Unreachable,
        Outcome::Answered => ClientStatus::Reached,
        Outcome::Voicemail => ClientStatus::Voicemail,
        Outcome::OptedOut => ClientStatus::OptedOut,
        _ => ClientStatus::Exhausted,
    }
}

fn same<T: PartialEq + std::fmt::Debug>(what: &str, shown: &T, counted: &T) -> Result<(), String> {
    if shown == counted {
        return Ok(());
    }
    Err(format!("{what}: the store says {shown:?}, and it is {counted:?}"))
}

//! Recording events: calls that wait at the same time are committed together.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, PoisonError};

use callcore::actor::Actor;
use callcore::call::{Call, CallEvent, CallRef, Direction, InboundRing, Outcome, Progress, Report};
use callcore::dnc::{DncEntry, DncScope, DncSource};
use callcore::erase::{impersonal, recording_of};
use callcore::id::{CallId, ClientId};
use callcore::phone::PhoneNumber;
use callcore::port::{NoticeKind, Recorded, StoreError, StoreErrorKind};
use callcore::script::Script;
use chrono::{DateTime, Utc};
use sqlx::Row;
use tokio::sync::oneshot;

use super::dnc::{insert_dnc, live_calls};
use super::fail::Fail;
use super::open::SqliteStore;
use super::read;
use super::row::{CallRow, Table, digits, micros};
use super::work::Work;

/// The most events a commit takes: more would only make the others wait.
const MOST: usize = 2_000;

/// Events that wait for the next commit, and who waits for it.
#[derive(Debug)]
pub(super) struct Job {
    now: DateTime<Utc>,
    reports: Arc<[Report]>,
    answer: oneshot::Sender<Result<Vec<Recorded>, StoreErrorKind>>,
}

impl SqliteStore {
    /// Stores events together with those of everybody who waits at the same time: whoever gets the
    /// writer first commits for all.
    pub(super) async fn record_grouped(
        &self,
        now: DateTime<Utc>,
        reports: &[Report],
    ) -> Result<Vec<Recorded>, StoreError> {
        if reports.is_empty() {
            return Ok(Vec::new());
        }
        let reports: Arc<[Report]> = reports.into();
        loop {
            let (answer, mut answered) = oneshot::channel();
            let job = Job { now, reports: reports.clone(), answer };
            self.queue().push_back(job);
            let work = self.write().await.map_err(|fail| fail.store("record"))?;
            // Whoever had the writer before may have done this one too.
            match answered.try_recv() {
                Ok(done) => return done.map_err(|kind| StoreError::new(kind, "record")),
                // That one died half way: nothing was committed, and nobody else has the job.
                Err(oneshot::error::TryRecvError::Closed) => continue,
                Err(oneshot::error::TryRecvError::Empty) => {}
            }
            let jobs = self.take_jobs(&reports);
            let alone =
                jobs.len() == 1 && jobs.iter().all(|job| Arc::ptr_eq(&job.reports, &reports));
            match self.commit_jobs(work, &jobs).await {
                Ok(answers) => {
                    for (job, answer) in jobs.into_iter().zip(answers) {
                        // Whoever no longer waits for the answer may ask again.
                        drop(job.answer.send(Ok(answer)));
                    }
                }
                Err(fail) if alone => return Err(fail.store("record")),
                // One bad row must not refuse the others' events: each by itself.
                Err(_) => self.commit_one_by_one(jobs).await,
            }
            match answered.await {
                Ok(done) => return done.map_err(|kind| StoreError::new(kind, "record")),
                Err(_) => continue,
            }
        }
    }

    fn queue(&self) -> std::sync::MutexGuard<'_, VecDeque<Job>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes what fits into one commit: the caller's own events, and others in order of arrival.
    fn take_jobs(&self, own: &Arc<[Report]>) -> Vec<Job> {
        let mut queue = self.queue();
        let mut jobs = Vec::new();
        if let Some(at) = queue.iter().position(|job| Arc::ptr_eq(&job.reports, own)) {
            jobs.extend(queue.remove(at));
        }
        let mut events = own.len();
        while let Some(next) = queue.front()
            && events + next.reports.len() <= MOST
        {
            events += next.reports.len();
            jobs.extend(queue.pop_front());
        }
        jobs
    }

    async fn commit_jobs(
        &self,
        mut work: Work<'_>,
        jobs: &[Job],
    ) -> Result<Vec<Vec<Recorded>>, Fail> {
        let answers = work.record(jobs).await?;
        work.commit().await?;
        Ok(answers)
    }

    async fn commit_one_by_one(&self, jobs: Vec<Job>) {
        for job in jobs {
            let done = match self.write().await {
                Ok(work) => self.commit_jobs(work, std::slice::from_ref(&job)).await,
                Err(fail) => Err(fail),
            };
            let done = done.map(|mut answers| answers.pop().unwrap_or_default());
            drop(job.answer.send(done.map_err(|fail| fail.store("record").kind())));
        }
    }
}

impl Work<'_> {
    async fn record(&mut self, jobs: &[Job]) -> Result<Vec<Vec<Recorded>>, Fail> {
        let reports = || jobs.iter().flat_map(|job| job.reports.iter());
        let mut rings = self.known_rings(reports()).await?;
        let calls: BTreeSet<CallId> = reports()
            .filter_map(|report| match &report.call {
                CallRef::Ours(id) => Some(*id),
                CallRef::Inbound(ring) => rings.get(&ring.carrier_call_id).copied(),
            })
            .collect();
        self.load_calls(calls).await?;
        let clients: BTreeSet<ClientId> =
            self.calls.values().filter_map(|row| row.call.client).collect();
        self.load_clients(clients).await?;
        let mut answers = Vec::new();
        for job in jobs {
            self.at(job.now);
            let mut done = Vec::new();
            for report in job.reports.iter() {
                done.push(self.record_one(job.now, report, &mut rings).await?);
            }
            answers.push(done);
        }
        Ok(answers)
    }

    /// The inbound calls among the events that have a row.
    async fn known_rings(
        &mut self,
        reports: impl Iterator<Item = &Report>,
    ) -> Result<BTreeMap<String, CallId>, Fail> {
        let wanted: BTreeSet<&str> = reports
            .filter_map(|report| match &report.call {
                CallRef::Inbound(ring) => Some(&*ring.carrier_call_id),
                CallRef::Ours(_) => None,
            })
            .collect();
        if wanted.is_empty() {
            return Ok(BTreeMap::new());
        }
        let rows = sqlx::query(
            "select carrier_call_id, call from inbound
             where carrier_call_id in (select value from json_each(?1))",
        )
        .bind(serde_json::to_string(&wanted)?)
        .fetch_all(self.conn())
        .await?;
        let read = |row: sqlx::sqlite::SqliteRow| {
            Ok((row.try_get("carrier_call_id")?, CallId::from_uuid(row.try_get("call")?)))
        };
        rows.into_iter().map(read).collect()
    }

    pub(super) async fn record_one(
        &mut self,
        now: DateTime<Utc>,
        report: &Report,
        rings: &mut BTreeMap<String, CallId>,
    ) -> Result<Recorded, Fail> {
        let (id, caller) = match &report.call {
            CallRef::Ours(id) => (*id, None),
            CallRef::Inbound(ring) => match rings.get(&ring.carrier_call_id) {
                Some(id) => (*id, ring.from),
                None => {
                    self.add_inbound(now, ring, report.event.at).await?;
                    rings.insert(ring.carrier_call_id.clone(), ring.new_id);
                    (ring.new_id, ring.from)
                }
            },
        };
        let Some(row) = self.calls.get_mut(&id) else { return Ok(Recorded::NoSuchCall) };
        if row.call.direction == Direction::Outbound && row.call.begun_at.is_none() {
            return Ok(Recorded::NoSuchCall);
        }
        if row.events.contains(&report.event) {
            return Ok(Recorded::Known { call: id });
        }
        let was_ended = row.call.ended_at().is_some();
        let script = self.script(id).await?;
        if !self.add_event(id, &report.event, &script)? {
            return Ok(Recorded::Known { call: id });
        }
        self.add_up(id, caller, now, &script).await?;
        let ended = self.calls.get(&id).is_some_and(|row| row.call.ended_at().is_some());
        Ok(Recorded::New { call: id, ended: ended && !was_ended })
    }

    /// Adds an event to a call's; of one that was erased, only what is nobody's. Whether it was news.
    fn add_event(&mut self, id: CallId, event: &CallEvent, script: &Script) -> Result<bool, Fail> {
        let Some(row) = self.calls.get_mut(&id) else { return Ok(false) };
        let mut news = vec![event.clone()];
        if row.erased.is_some() {
            let mut all = row.events.clone();
            all.insert(event.clone());
            news = impersonal(&all, script).difference(&row.events).cloned().collect();
            self.out.recordings.extend(recording_of(event).map(str::to_owned));
        }
        for event in &news {
            self.out.events.push((id, serde_json::to_string(event)?));
        }
        let is_news = !news.is_empty();
        row.events.extend(news);
        Ok(is_news)
    }

    /// Makes a call's row what its events say, with everything that follows. Whoever called in and
    /// was erased since is known by the report alone.
    async fn add_up(
        &mut self,
        id: CallId,
        caller: Option<PhoneNumber>,
        now: DateTime<Utc>,
        script: &Script,
    ) -> Result<(), Fail> {
        let Some(row) = self.calls.get(&id) else { return Ok(()) };
        let progress = Progress::of(&row.events, script);
        let first = row.events.first().map(|event| event.at);
        let dialled = row.erased.and_then(|erased| erased.dialled);
        let (client, phone) = (row.call.client, row.call.phone.or(dialled).or(caller));
        // Only news: an entry that people removed since must not come back with the next event.
        let known = row.call.progress.opted_out_at;
        let was_named = row.call.progress.carrier_call_id.is_some();
        if progress.carrier_call_id.is_some() && !was_named {
            self.out.named.push(id);
        }
        let opted_out = progress.opted_out_at.filter(|at| known != Some(*at));
        let tags = progress.tags.clone();
        let was_unknown = row.call.end_reason() == Some("unknown");
        let failed_before = row.call.outcome() == Some(Outcome::Failed);
        let given_up = progress.end_reason.as_deref() == Some("unknown");
        self.change(id, |row| {
            if row.call.direction == Direction::Inbound {
                row.call.due_at = first.unwrap_or(row.call.due_at);
                row.changed = true;
            }
            row.call.progress = progress;
            row.call.follow_up_review(was_unknown);
            // Only filters on ended calls need columns for what the events add up to.
            row.changed |= Table::of(&row.call) == Table::History;
        });
        if let Some(row) = client.and_then(|client| self.clients.get_mut(&client))
            && !tags.is_subset(&row.tags)
        {
            row.tags.extend(tags);
            row.changed = true;
        }
        if let (Some(at), Some(phone)) = (opted_out, phone) {
            self.opt_out(id, client, phone, (at, now)).await?;
        }
        if given_up {
            self.notify(now, NoticeKind::CallGivenUp(id));
        }
        if script.records() && self.calls.get(&id).is_some_and(|row| row.call.has_message()) {
            self.notify(now, NoticeKind::MessageLeft(id));
        }
        if let Some(client) = client {
            self.follow_up(client, now);
        }
        let call = self.calls.get(&id).map(|row| &row.call);
        let failed =
            call.filter(|call| call.begun_at.is_some() && !failed_before && !call.is_test());
        let failed = failed.filter(|call| call.outcome() == Some(Outcome::Failed));
        match failed.and_then(|call| call.campaign) {
            Some(campaign) => self.check_breaker(campaign, now).await,
            None => Ok(()),
        }
    }

    async fn opt_out(
        &mut self,
        call: CallId,
        client: Option<ClientId>,
        phone: PhoneNumber,
        (at, now): (DateTime<Utc>, DateTime<Utc>),
    ) -> Result<(), Fail> {
        let entry = DncEntry {
            phone,
            scope: DncScope::Global,
            reason: String::new(),
            source: DncSource::OptOut,
            added_by: Actor::Client,
            created_at: at,
        };
        if !insert_dnc(self, &entry).await? {
            // The press that is heard of first need not be the first one.
            sqlx::query(
                "update dnc set created_at = min(created_at, ?2)
                 where phone = ?1 and campaign = x'' and source = ?3",
            )
            .bind(digits(phone))
            .bind(micros(at))
            .bind(DncSource::OptOut.as_str())
            .execute(self.conn())
            .await?;
            return Ok(());
        }
        // A retry that this call had planned is withdrawn, as if the opt-out had been heard of
        // first; what others scheduled is cancelled.
        if let Some(client) = client {
            self.follow_up(client, now);
        }
        self.cancel_number(phone, DncScope::Global, now, &Actor::Client).await?;
        // Whoever opts out in a call hears it confirmed there; another call is not to ring on.
        let mut live = live_calls(self, &BTreeSet::from([phone]), DncScope::Global).await?;
        live.retain(|other| *other != call);
        self.ask_to_hang_up(&live).await
    }

    /// Adds the row of an inbound call, by whichever of its events comes first.
    async fn add_inbound(
        &mut self,
        now: DateTime<Utc>,
        ring: &InboundRing,
        at: DateTime<Utc>,
    ) -> Result<(), Fail> {
        let client = match ring.from {
            Some(from) => read::client_of_number(self.conn(), from).await?,
            None => None,
        };
        self.load_clients(client).await?;
        let campaign = client.and_then(|id| self.clients.get(&id)).map(|row| row.campaign);
        let version = campaign.and_then(|id| self.campaigns.get(&id));
        let settings_version = version.map_or(0, |row| row.settings_version);
        sqlx::query("insert into inbound (carrier_call_id, call) values (?1, ?2)")
            .bind(&ring.carrier_call_id)
            .bind(ring.new_id.uuid())
            .execute(self.conn())
            .await?;
        let call = Call::inbound(ring.new_id, ring.from, at);
        self.add_call(CallRow::new(Call { campaign, client, settings_version, ..call }));
        self.notify(now, NoticeKind::InboundCall(ring.new_id));
        Ok(())
    }
}

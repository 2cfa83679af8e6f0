//! What people do, at the worst moments: while a dispatcher is between two of its steps.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};

use super::spec::{AccountSpec, Spec, client_zones};
use super::world::{Done, Item, World, read};
use crate::actor::Actor;
use crate::call::{Skip, SkipReason};
use crate::campaign::Transition;
use crate::client::Consent;
use crate::desk::{AfterSkip, ManyActs};
use crate::dnc::{DncEntry, DncReport, DncScope, DncSource};
use crate::id::{CallId, CampaignId, ClientId, ImportId};
use crate::import::DuplicatePolicy;
use crate::phone::PhoneNumber;
use crate::port::{
    Account, BeginDncImport, BeginImport, By, CallQuery, CallView, Calls, Campaigns, ClientChange,
    Clients, Dnc, NewCampaign, NewClient,
};

/// Numbers that the campaigns share: all of the fictional exchange 555-01xx.
const NUMBERS: u64 = 40;
const FIRST_NUMBER: u64 = 12_125_550_100;

const PERSON: Actor = Actor::System;

impl World {
    /// Founds the campaigns, imports their clients, and files what will happen.
    pub(super) fn found(&mut self) {
        let start = self.now();
        for index in 0..self.options.campaigns as usize {
            let id = CampaignId::new(start, &*self.entropy);
            let spec = self.dice(|dice| Spec::new(dice, index, start));
            let Ok(settings) = spec.settings() else { continue };
            let new = NewCampaign { id, settings: Arc::new(settings) };
            let created = self.at_once(self.store.create_campaign(By::new(&PERSON, start), new));
            if created.is_err() {
                continue;
            }
            self.stage.lock().judge.campaign_created(id, spec, start);
            if let Some(import) = self.import(id) {
                let clients = self.some_clients(self.options.clients);
                let by = By::new(&PERSON, start);
                drop(self.at_once(self.store.add_clients(by, import, &clients)));
            }
            // One stays a draft for a while, and now and then for good.
            let (late, never) = self.dice(|dice| (dice.chance(250), dice.chance(100)));
            let wait = if late { self.dice(|dice| dice.between(1, 40)) } else { 0 };
            if !never {
                self.file(start + TimeDelta::hours(wait), Item::Start(id));
            }
        }
        let end = i64::from(self.options.days) * 86_400;
        for _ in 0..self.options.acts / 2 {
            let at = start + TimeDelta::seconds(self.dice(|dice| dice.between(0, end)));
            self.file(at, Item::Person);
        }
        for _ in 0..self.dice(|dice| dice.below(4)) {
            let from = start + TimeDelta::seconds(self.dice(|dice| dice.between(0, end)));
            let minutes = self.dice(|dice| dice.between(1, 240));
            self.file(from, Item::Outage(true));
            self.file(from + TimeDelta::minutes(minutes), Item::Outage(false));
        }
    }

    /// Somebody does something, to a call a dispatcher has in its hands if there is one.
    pub(super) fn meddle(&mut self) {
        if self.acts_left == 0 {
            return;
        }
        self.acts_left -= 1;
        let Some(view) = self.a_call() else { return };
        let (Some(campaign), Some(phone)) = (view.call.campaign, view.call.phone) else { return };
        let (store, desk, now) = (self.store.clone(), self.desk.clone(), self.now());
        let id = view.call.id;
        let luck = self.dice(|dice| dice.below(126));
        match luck {
            0..=6 => self.list(phone, campaign),
            7..=9 => self.list_many(phone, campaign),
            10..=15 => self.unlist(),
            16..=30 => self.pause(campaign),
            31..=39 => self.change(campaign),
            40..=49 => self.skip(id),
            50..=59 => self.reschedule(id),
            60..=74 => self.start(async move {
                Done::Acted("call now", store.call_now(By::new(&PERSON, now), id).await.is_ok())
            }),
            75..=86 => self.start(async move {
                let done = desk.retry(By::new(&PERSON, now), id, None).await;
                Done::Acted("re-call", done.is_ok())
            }),
            87..=91 => self.add(campaign),
            92..=94 => self.switch(view.call.client),
            95 => self.skip_many(),
            96..=98 => self.erase(&view),
            99 => self.transition(campaign, Transition::Stop, "stop"),
            100..=111 => self.test(campaign, phone),
            112..=115 => self.stop_all(),
            116..=123 => self.change_account(),
            _ => self.pause_all(),
        }
    }

    fn stop_all(&mut self) {
        let (desk, now) = (self.desk.clone(), self.now());
        let (hang_up, minutes) = self.dice(|dice| (dice.chance(800), dice.between(0, 600)));
        self.start(async move {
            let done = desk.stop_all(By::new(&PERSON, now), None, hang_up).await;
            Done::Acted("stop of all", done.is_ok())
        });
        self.file(now + TimeDelta::minutes(minutes), Item::ResumeAll);
    }

    pub(super) fn resume_all(&mut self) {
        let (store, now) = (self.store.clone(), self.now());
        self.start(async move {
            let done = store.resume_all(By::new(&PERSON, now)).await;
            Done::Acted("resumption of all", done.is_ok())
        });
    }

    fn pause_all(&mut self) {
        let (store, now) = (self.store.clone(), self.now());
        self.start(async move {
            let done = store.pause_all(By::new(&PERSON, now)).await;
            Done::Acted("pause of all", done.is_ok())
        });
        let campaigns: Vec<CampaignId> =
            self.stage.lock().judge.campaigns.keys().copied().collect();
        for id in campaigns {
            let minutes = self.dice(|dice| dice.between(1, 600));
            self.file(now + TimeDelta::minutes(minutes), Item::Resume(id));
        }
    }

    fn change_account(&mut self) {
        let spec = self.dice(AccountSpec::new);
        let Ok(settings) = spec.settings() else { return };
        let (store, now) = (self.store.clone(), self.now());
        self.start(async move {
            let by = By::new(&PERSON, now);
            let done = store.change_account_spec(by, &spec, Arc::new(settings)).await;
            Done::Acted("change of the account", done.is_ok())
        });
    }

    pub(super) fn transition(
        &mut self,
        campaign: CampaignId,
        transition: Transition,
        what: &'static str,
    ) {
        let (store, now) = (self.store.clone(), self.now());
        self.start(async move {
            let done = store.change_state(By::new(&PERSON, now), campaign, transition).await;
            Done::Acted(what, done.is_ok())
        });
    }

    /// A call of interest: one just claimed, one to come, or one that ended.
    fn a_call(&self) -> Option<CallView> {
        let (luck, place) = self.dice(|dice| (dice.below(10), dice.index(40)));
        if luck < 5 {
            let claims = &self.stage.lock().judge.claims;
            let recent = claims.iter().rev().nth(place % 4).copied();
            if let Some(id) = recent
                && let Some(Some(view)) = read(self.inner.call(id))
            {
                return Some(view);
            }
        }
        let query = CallQuery { limit: 40, ..CallQuery::default() };
        let page = if luck < 8 {
            read(self.inner.upcoming(&query))?
        } else {
            read(self.inner.history(&query))?
        };
        let len = page.items.len().max(1);
        page.items.into_iter().nth(place % len)
    }

    fn list(&mut self, phone: PhoneNumber, campaign: CampaignId) {
        let (desk, now) = (self.desk.clone(), self.now());
        let everywhere = self.dice(|dice| dice.chance(500));
        let entry = DncEntry {
            phone,
            scope: if everywhere { DncScope::Global } else { DncScope::Campaign(campaign) },
            reason: String::new(),
            source: DncSource::Manual,
            added_by: PERSON,
            created_at: now,
        };
        self.start(async move {
            Done::Acted("DNC entry", desk.add_dnc(By::new(&PERSON, now), entry).await.is_ok())
        });
    }

    /// A list of numbers comes in, the call's among them.
    fn list_many(&mut self, phone: PhoneNumber, campaign: CampaignId) {
        let (store, desk, now) = (self.store.clone(), self.desk.clone(), self.now());
        let id = ImportId::new(now, &*self.entropy);
        let (everywhere, others) = self
            .dice(|dice| (dice.chance(300), [0; 3].map(|_| FIRST_NUMBER + dice.below(NUMBERS))));
        let scope = if everywhere { DncScope::Global } else { DncScope::Campaign(campaign) };
        let others = others.into_iter().filter_map(|digits| PhoneNumber::from_digits(digits).ok());
        let numbers: Vec<_> = others.chain([phone]).map(|it| (it, String::new())).collect();
        self.start(async move {
            let by = By::new(&PERSON, now);
            let new = BeginDncImport { id, scope, file_name: "list.csv".to_owned() };
            let mut report = DncReport::default();
            let done = match store.begin_dnc_import(by, new).await {
                Ok(_) => desk.add_numbers(by, id, &numbers, &mut report).await.is_ok(),
                Err(_) => false,
            };
            Done::Acted("DNC list", done)
        });
    }

    /// A person is erased, as a rule one who was called.
    fn erase(&mut self, view: &CallView) {
        let Some(client) = view.call.client else { return };
        let (desk, now) = (self.desk.clone(), self.now());
        self.start(async move {
            let done = desk.erase(By::new(&PERSON, now), client, "asked for").await;
            Done::Acted("erasure", done.is_ok())
        });
    }

    fn unlist(&mut self) {
        let entries: Vec<_> = self.stage.lock().judge.dnc.iter().copied().collect();
        let Some((phone, scope)) = self.dice(|dice| dice.pick(&entries).copied()) else { return };
        let (store, now) = (self.store.clone(), self.now());
        self.start(async move {
            let done = store.remove_dnc(By::new(&PERSON, now), phone, scope, "asked for").await;
            Done::Acted("DNC removal", done.is_ok())
        });
    }

    fn pause(&mut self, campaign: CampaignId) {
        self.transition(campaign, Transition::Pause, "pause");
        let minutes = self
            .dice(|dice| if dice.chance(500) { dice.between(0, 5) } else { dice.between(5, 2000) });
        self.file(self.now() + TimeDelta::minutes(minutes), Item::Resume(campaign));
    }

    fn change(&mut self, campaign: CampaignId) {
        let known = self.stage.lock().judge.campaigns.get(&campaign).map(|it| it.versions.clone());
        let Some(versions) = known else { return };
        let Some(last) = versions.last() else { return };
        let spec = self.dice(|dice| last.changed(dice));
        let Ok(settings) = spec.settings() else { return };
        let (store, now) = (self.store.clone(), self.now());
        let version = u32::try_from(versions.len()).unwrap_or(u32::MAX);
        self.start(async move {
            let (by, settings) = (By::new(&PERSON, now), Arc::new(settings));
            let done = store.change_spec(by, campaign, version, &spec, settings).await;
            Done::Acted("change of settings", done.is_ok())
        });
    }

    /// Switches a client off, and on again after a while.
    fn switch(&mut self, client: Option<ClientId>) {
        let Some(client) = client else { return };
        self.change_client(client, false);
        let minutes = self.dice(|dice| dice.between(0, 2000));
        self.file(self.now() + TimeDelta::minutes(minutes), Item::SwitchOn(client));
    }

    pub(super) fn change_client(&mut self, client: ClientId, active: bool) {
        let (store, now) = (self.store.clone(), self.now());
        let resumed = CallId::new(now, &*self.entropy);
        let change = ClientChange { active: Some(active), ..ClientChange::new(resumed) };
        self.start(async move {
            let done = store.change_client(By::new(&PERSON, now), client, &change).await;
            Done::Acted("switch of a client", done.is_ok())
        });
    }

    fn skip_many(&mut self) {
        let query = CallQuery { limit: 10, ..CallQuery::default() };
        let Some(page) = read(self.inner.upcoming(&query)) else { return };
        let ids: Vec<CallId> = page.items.iter().map(|view| view.call.id).collect();
        let ids =
            ids.into_iter().filter(|_| self.dice(|dice| dice.chance(300))).collect::<Vec<_>>();
        let (desk, now) = (self.desk.clone(), self.now());
        self.start(async move {
            let skip = Skip { reason: SkipReason::Duplicate, note: None };
            let done = desk.change_calls(By::new(&PERSON, now), &ids, &ManyActs::Skip(skip)).await;
            Done::Acted("bulk skip", done.is_ok())
        });
    }

    fn skip(&mut self, id: CallId) {
        let (desk, now) = (self.desk.clone(), self.now());
        let ends = self.dice(|dice| dice.chance(500));
        let then = if ends { AfterSkip::End } else { AfterSkip::NextAttempt };
        self.start(async move {
            let skip = Skip { reason: SkipReason::BadTiming, note: None };
            let done = desk.skip(By::new(&PERSON, now), id, skip, then).await;
            Done::Acted("skip", done.is_ok())
        });
    }

    fn reschedule(&mut self, id: CallId) {
        let (desk, now) = (self.desk.clone(), self.now());
        let at = now + TimeDelta::minutes(self.dice(|dice| dice.between(0, 3000)));
        self.start(async move {
            let done = desk.reschedule(By::new(&PERSON, now), id, at).await;
            Done::Acted("reschedule", done.is_ok())
        });
    }

    fn add(&mut self, campaign: CampaignId) {
        let Some(import) = self.imports.get(&campaign).copied() else { return };
        let clients = self.some_clients(3);
        let (store, now) = (self.store.clone(), self.now());
        self.start(async move {
            let done = store.add_clients(By::new(&PERSON, now), import, &clients).await;
            Done::Acted("import", done.is_ok())
        });
    }

    /// Somebody tries the script, on a number of their own or, by mistake, a client's.
    fn test(&mut self, campaign: CampaignId, phone: PhoneNumber) {
        let (desk, now) = (self.desk.clone(), self.now());
        let own =
            self.dice(|dice| dice.chance(500)).then(|| PhoneNumber::from_digits(12_125_550_198));
        let phone = own.and_then(Result::ok).unwrap_or(phone);
        self.start(async move {
            let by = By::new(&PERSON, now);
            Done::Acted("test call", desk.test_call(by, campaign, phone, None).await.is_ok())
        });
    }

    fn import(&mut self, campaign: CampaignId) -> Option<ImportId> {
        let now = self.now();
        let id = ImportId::new(now, &*self.entropy);
        let (file_name, columns) = ("clients.csv".to_owned(), vec!["phone".to_owned()]);
        let duplicates = DuplicatePolicy::default();
        let new = BeginImport { id, campaign, file_name, columns, duplicates };
        self.at_once(self.store.begin_import(By::new(&PERSON, now), new)).ok()?;
        self.imports.insert(campaign, id);
        Some(id)
    }

    fn some_clients(&self, about: u32) -> Vec<NewClient> {
        let now = self.now();
        let count = self.dice(|dice| dice.between(1, 2 * i64::from(about)));
        (0..count).filter_map(|line| self.a_client(line.unsigned_abs() + 2, now)).collect()
    }

    fn a_client(&self, line: u64, now: DateTime<Utc>) -> Option<NewClient> {
        let mut stage = self.stage.lock();
        let number = FIRST_NUMBER + stage.dice.below(NUMBERS);
        let zones = client_zones(&mut stage.dice);
        let consent = stage.dice.chance(800).then(|| Consent {
            basis: "signed".to_owned(),
            at: None,
            source: "clients.csv".to_owned(),
            evidence: None,
        });
        let late = stage.dice.between(0, 3600);
        drop(stage);
        Some(NewClient {
            id: ClientId::new(now, &*self.entropy),
            call: CallId::new(now, &*self.entropy),
            due_at: now + TimeDelta::seconds(late),
            line,
            phone: PhoneNumber::from_digits(number).ok()?,
            name: "A client".to_owned(),
            external_id: None,
            email: None,
            zones,
            fields: Vec::new(),
            tags: std::collections::BTreeSet::new(),
            note: None,
            consent,
            says_consent: true,
            person_key: None,
            debt_key: None,
        })
    }
}

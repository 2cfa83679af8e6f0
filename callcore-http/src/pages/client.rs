//! One client: who it is, what is known, every call with the number, the next one and why then.

mod acts;
mod erase;

use askama::Template;
use axum::extract::{FromRequestParts, Path, State};
use axum::http::StatusCode;
use axum::http::request::Parts;
use callcore::call::{CallStatus, Intent, Outcome};
use callcore::campaign::Settings;
use callcore::client::{Consent, ZoneSource};
use callcore::engine::{self, Verdict};
use callcore::id::{CampaignId, ClientId};
use callcore::port::{CallQuery, CallView, CampaignView, ClientView};

use super::ROWS;
use super::call::{Offer, RuleRow, Tried as TriedCall};
use super::campaign;
use super::frame::{Answer, Shell, Trouble, Visit, page_with};
use super::notes::Notes;
use super::rows::{CallRow, shown};
use super::when::{When, told};
use super::words::{self, Word};
use crate::api::clients::history::timeline;
use crate::problem::Problem;
use crate::query::Query;
use crate::state::ApiState;

pub(super) use acts::{active, call_now, consent, note, tags, zone};
pub(super) use erase::{confirm as confirm_erase, erase};

/// The longest cell that the page shows, in characters.
const MAX_TEXT: usize = 2_000;

/// How many characters of the file's cells the page shows, spread evenly over the columns.
const ROOM: usize = 12_000;

/// How many columns of the file are shown.
const MAX_FIELDS: usize = 60;

/// How many zones are listed.
const MAX_ZONES: usize = 20;

#[derive(Template)]
#[template(path = "client.html")]
struct ClientPage {
    shell: Shell,
    base: String,
    campaign_id: CampaignId,
    campaign: String,
    name: String,
    phone: String,
    status: Word,
    active: bool,
    erased: Option<When>,
    on_dnc: bool,
    /// Whether *call now* may be asked for.
    dials: bool,
    next: Next,
    open: Vec<TimelineRow>,
    ended: Vec<TimelineRow>,
    paged: bool,
    older: Option<String>,
    notes: Notes,
    facts: Vec<(&'static str, String)>,
    zones: Vec<ZoneRow>,
    more_zones: usize,
    told_zone: String,
    consent: Vec<(&'static str, String)>,
    consent_required: bool,
    draft: ConsentDraft,
    /// Whether somebody just tried to save a consent.
    tried_consent: bool,
    tags: Vec<String>,
    fields: Vec<(String, String)>,
    line: u64,
    tried: Tried,
}

/// The call to come, and what the rules say of it.
#[derive(Default)]
struct Next {
    /// What comes of it, in sentences; nothing is said of who was erased.
    words: String,
    /// How it came to be due then.
    because: String,
    /// What the rules say of a dial then, or now if none is to come.
    verdict: String,
    client_time: String,
    call_href: Option<String>,
    rules: Vec<RuleRow>,
    offer: Option<Offer>,
}

/// A call among those of the number.
struct TimelineRow {
    call: CallRow,
    /// Another campaign than the one whose client is shown.
    other: bool,
}

struct ZoneRow {
    name: String,
    source: &'static str,
    now: String,
    /// Whether the rules go by it.
    judged: bool,
}

/// The form for a consent.
#[derive(Debug, Default)]
struct ConsentDraft {
    basis: String,
    source: String,
    date: String,
    evidence: String,
}

/// What somebody tried to do, to stand in its form again, and why it failed.
#[derive(Default)]
struct Tried {
    trouble: Option<Trouble>,
    note: String,
    tag: String,
    zone: String,
    consent: Option<ConsentDraft>,
}

/// The client a path leads to, in its campaign.
pub(super) struct Found {
    campaign: CampaignView,
    view: ClientView,
}

impl FromRequestParts<ApiState> for Found {
    type Rejection = Trouble;

    async fn from_request_parts(parts: &mut Parts, state: &ApiState) -> Result<Self, Trouble> {
        let path = Path::<(String, String)>::from_request_parts(parts, state).await;
        let Path((campaign, client)) = path.map_err(|_| Problem::not_found())?;
        let campaign: CampaignId = campaign.parse().map_err(|_| Problem::not_found())?;
        let id: ClientId = client.parse().map_err(|_| Problem::not_found())?;
        let campaign = campaign::existing(state, campaign).await?;
        let view = state.store().client(id).await?;
        let view = view.filter(|view| view.client.campaign == campaign.campaign.id);
        Ok(Self { campaign, view: view.ok_or_else(Problem::not_found)? })
    }
}

impl Found {
    /// Where the client's page is.
    fn base(&self) -> String {
        let client = &self.view.client;
        format!("/campaigns/{}/clients/{}", client.campaign, client.id)
    }

    fn settings(&self) -> &Settings {
        &self.campaign.campaign.settings
    }
}

pub(super) async fn show(
    State(state): State<ApiState>,
    visit: Visit,
    found: Found,
    mut query: Query,
) -> Answer {
    let notes_before = query.one("notes", |text| text.parse().ok());
    let after = query.cursor();
    query.finish()?;
    let calls = CallQuery { after, limit: ROWS, ..CallQuery::default() };
    show_with(&state, &visit, &found, (calls, notes_before), Tried::default()).await
}

/// Shows the client again with what went wrong.
async fn again(state: &ApiState, visit: &Visit, found: &Found, tried: Tried) -> Answer {
    let calls = CallQuery { limit: ROWS, ..CallQuery::default() };
    show_with(state, visit, found, (calls, None), tried).await
}

async fn show_with(
    state: &ApiState,
    visit: &Visit,
    found: &Found,
    (calls, notes_before): (CallQuery, Option<usize>),
    mut tried: Tried,
) -> Answer {
    let (base, view) = (found.base(), &found.view);
    let client = &view.client;
    let paged = calls.after.is_some();
    let (open, ended) = timeline(state, client, calls).await?;
    let columns = state.store().import(client.import).await?.map(|it| it.columns);
    let name = match client.erased {
        Some(_) => "An erased person".to_owned(),
        None => shown(&client.name),
    };
    let shell = visit.shell(state, &*name, "/campaigns");
    let shell = if paged { shell } else { shell.live() };
    let status = tried.trouble.as_ref().map_or(StatusCode::OK, Trouble::status);
    let tried_consent = tried.consent.is_some();
    let draft = match (tried.consent.take(), &client.consent) {
        (Some(draft), _) => draft,
        (None, Some(consent)) => ConsentDraft::of(consent, visit),
        (None, None) => ConsentDraft::default(),
    };
    let page = ClientPage {
        next: next(state, visit, found, &open, &base).await?,
        shell: match &tried.trouble {
            Some(trouble) => shell.at(&*base).with_trouble(trouble.sentence()),
            None => shell,
        },
        campaign_id: client.campaign,
        campaign: shown(&found.settings().name),
        name,
        phone: client.phone.map(|phone| phone.to_string()).unwrap_or_default(),
        status: words::client(client.standing.status),
        active: client.active,
        erased: client.erased.map(|it| visit.when(it.at)),
        on_dnc: view.on_dnc,
        dials: campaign::dials(found.campaign.campaign.state)
            && client.active
            && !view.on_dnc
            && !open.iter().any(|view| view.call.is_live()),
        open: rows(&open, client.campaign, visit),
        ended: rows(&ended.items, client.campaign, visit),
        paged,
        older: ended.next.map(|cursor| format!("{base}?cursor={cursor}#h-calls")),
        notes: Notes::new(&client.notes, notes_before, visit),
        facts: facts(view, visit),
        zones: zones(found, visit),
        more_zones: client.zones.len().saturating_sub(MAX_ZONES),
        told_zone: client
            .zones
            .iter()
            .find(|it| it.source == ZoneSource::Person)
            .map_or_else(String::new, |it| it.zone.name().to_owned()),
        consent: client.consent.as_ref().map(|it| consent_facts(it, visit)).unwrap_or_default(),
        consent_required: found.settings().consent_required,
        draft,
        tried_consent,
        tags: client.tags.iter().cloned().collect(),
        fields: fields(&columns.unwrap_or_default(), &client.fields),
        line: client.line,
        base,
        tried,
    };
    Ok(page_with(status, &page))
}

fn rows(views: &[CallView], campaign: CampaignId, visit: &Visit) -> Vec<TimelineRow> {
    let row = |view: &CallView| TimelineRow {
        call: CallRow::of(view, visit),
        other: view.call.campaign.is_some_and(|its| its != campaign),
    };
    views.iter().map(row).collect()
}

async fn next(
    state: &ApiState,
    visit: &Visit,
    found: &Found,
    open: &[CallView],
    base: &str,
) -> Result<Next, Trouble> {
    let client = &found.view.client;
    let mut next = Next::default();
    if let Some(facts) = state.store().client_facts(client.id).await? {
        let why = engine::why(&facts, &client.standing, visit.now);
        next.words = sentence(&told(&why.words, |at| visit.when(at).short));
        let due_at = client.standing.next_call.map(|it| it.due_at).filter(|at| *at > visit.now);
        let (verdict, heard) = engine::explain(&facts, due_at.unwrap_or(visit.now));
        let then = due_at.map_or_else(|| "now".to_owned(), |at| visit.when(at).short);
        next.verdict = match verdict {
            Verdict::Dial { .. } => format!("As far as is known, they allow a dial {then}."),
            Verdict::Defer(defer) => format!(
                "They allow no dial {then}: {} asks to wait until {}.",
                words::rule(defer.why),
                visit.when(defer.until).short
            ),
            Verdict::Retire(reason) => {
                format!("They allow no dial {then}: {}.", words::cancel_reason(reason))
            }
        };
        next.rules = RuleRow::all(&heard, visit);
    }
    let Some(to_come) = client.standing.next_call else { return Ok(next) };
    next.call_href = Some(format!("/calls/{}", to_come.call));
    let scheduled = |view: &&CallView| {
        view.call.id == to_come.call && view.call.status() == CallStatus::Scheduled
    };
    let view = match open.iter().find(scheduled) {
        Some(view) => Some(view.clone()),
        // On a later page of the timeline nothing open was read.
        None => state.store().call(to_come.call).await?.filter(|view| scheduled(&view)),
    };
    if let Some(view) = view {
        next.because = because(&view, client.standing.last_outcome);
        next.client_time = CallRow::of(&view, visit).client_time;
        if visit.is_operator() {
            let tried = TriedCall::default();
            next.offer = Some(Offer::of(state, visit, &view, &tried, base.to_owned()).await?);
        }
    }
    Ok(next)
}

/// How a call came to be due when it is.
fn because(view: &CallView, last: Option<Outcome>) -> String {
    let call = &view.call;
    match (call.intent, last) {
        (Intent::Rescheduled, _) => "A person chose that time.".to_owned(),
        (Intent::Person | Intent::Test, _) => {
            format!("{} asked for it.", words::actor(&call.by))
        }
        (Intent::Plan, Some(last)) if call.attempt > 1 => format!(
            "It is dial {}, by the campaign's plan after “{}”.",
            call.attempt,
            words::outcome(last).label
        ),
        (Intent::Plan, _) => "It is the first dial of the campaign's plan.".to_owned(),
    }
}

/// Words as a sentence.
fn sentence(words: &str) -> String {
    let mut text = words.to_owned();
    if let Some(first) = text.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    text + "."
}

fn facts(view: &ClientView, visit: &Visit) -> Vec<(&'static str, String)> {
    let (client, standing) = (&view.client, &view.client.standing);
    let mut facts = vec![
        ("Full name", client.name.trim().to_owned()),
        ("Dials", standing.attempts.to_string()),
        ("Voicemails", standing.voicemails.to_string()),
        (
            "Last outcome",
            standing.last_outcome.map_or("", |it| words::outcome(it).label).to_owned(),
        ),
        ("Last call", standing.last_call_at.map(|at| visit.when(at).full).unwrap_or_default()),
        ("Email", client.email.clone().unwrap_or_default()),
        ("Your own id", client.external_id.clone().unwrap_or_default()),
    ];
    if view.on_dnc {
        facts.push(("Do not call", "the number is on the list".to_owned()));
    }
    if !client.active {
        facts.push(("Switched off", "this person is not called".to_owned()));
    }
    // The heading has the name already, unless it is too long for it.
    facts.retain(|(label, words)| match *label {
        "Full name" => !words.is_empty() && shown(&client.name) != *words,
        "Voicemails" => words != "0",
        _ => !words.is_empty(),
    });
    facts.into_iter().map(|(label, words)| (label, cut(&words, MAX_TEXT))).collect()
}

fn zones(found: &Found, visit: &Visit) -> Vec<ZoneRow> {
    let client = &found.view.client;
    let judged = found.settings().zones_of(&client.zones);
    let row = |name: &str, source, zone: &callcore::time::Zone| ZoneRow {
        name: name.to_owned(),
        source,
        now: zone.local(visit.now).format("%a %H:%M").to_string(),
        judged: judged.contains(zone),
    };
    let mut rows: Vec<ZoneRow> = client
        .zones
        .iter()
        .take(MAX_ZONES)
        .map(|it| row(it.zone.name(), words::zone_source(it.source), &it.zone))
        .collect();
    for zone in &judged {
        if rows.len() < MAX_ZONES && !client.zones.iter().any(|it| it.zone == *zone) {
            rows.push(row(zone.name(), "from the campaign's settings", zone));
        }
    }
    rows
}

fn consent_facts(consent: &Consent, visit: &Visit) -> Vec<(&'static str, String)> {
    let at = consent.at.map_or_else(|| "not known".to_owned(), |at| visit.when(at).full);
    let mut facts = vec![
        ("Basis", consent.basis.clone()),
        ("Given", at),
        ("Recorded in", consent.source.clone()),
    ];
    facts.extend(consent.evidence.clone().map(|it| ("Proof", it)));
    facts
}

impl ConsentDraft {
    fn of(consent: &Consent, visit: &Visit) -> Self {
        Self {
            basis: consent.basis.clone(),
            source: consent.source.clone(),
            date: consent.at.map(|at| visit.zone.date(at).to_string()).unwrap_or_default(),
            evidence: consent.evidence.clone().unwrap_or_default(),
        }
    }
}

/// The cells of the file that are not empty, under their columns.
fn fields(columns: &[String], cells: &[String]) -> Vec<(String, String)> {
    let filled: Vec<(&String, &String)> =
        columns.iter().zip(cells).filter(|(_, cell)| !cell.trim().is_empty()).collect();
    let each = (ROOM / filled.len().clamp(1, MAX_FIELDS)).min(MAX_TEXT);
    let filled = filled.into_iter().take(MAX_FIELDS);
    filled.map(|(column, cell)| (shown(column), cut(cell, each))).collect()
}

fn cut(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

//! The first step: what the campaign is called, and the list of people.

use std::io::Write;
use std::sync::Arc;

use askama::Template;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect};
use callcore::actor::Role;
use callcore::campaign::{FieldError, Settings, SettingsError};
use callcore::id::CampaignId;
use callcore::port::{NewCampaign, Refused};
use serde_json::{Map, Value, json};

use super::super::campaign::existing;
use super::super::form::{CSRF_FIELD, Errors, Form};
use super::super::frame::{Answer, Shell, Trouble, Visit, done, page, page_with};
use super::super::import::{ImportRow, import_rows};
use super::super::when::counted;
use super::{Saved, Setup, Step, not_saved, put};
use crate::problem::Problem;
use crate::request::{Id, internal};
use crate::state::ApiState;
use crate::upload::{Upload, receive};
use crate::waiting_lists::WaitingList;

/// The file types a list may have, for the browser's choice of files.
#[cfg(not(feature = "xlsx"))]
pub(in super::super) const ACCEPT: &str = ".csv,.tsv,.txt,text/csv,text/plain";
#[cfg(feature = "xlsx")]
pub(in super::super) const ACCEPT: &str = ".xlsx,.csv,.tsv,.txt,text/csv,text/plain,\
    application/vnd.openxmlformats-officedocument.spreadsheetml.sheet";

/// What a list that was typed is called.
const PASTED: &str = "pasted rows";

#[derive(Template)]
#[template(path = "setup/new.html")]
struct NewPage {
    shell: Shell,
    name: String,
    default_region: String,
    rows: String,
    accept: &'static str,
    errors: Errors,
}

#[derive(Template)]
#[template(path = "setup/list.html")]
struct ListPage {
    shell: Shell,
    setup: Setup,
    name: String,
    default_region: String,
    rows: String,
    clients: String,
    has_clients: bool,
    takes: bool,
    /// What the list that waits is called.
    waits: Option<String>,
    /// What a form names that list by.
    mark: String,
    imports: Vec<ImportRow>,
    accept: &'static str,
    errors: Errors,
}

pub(in super::super) async fn new(State(state): State<ApiState>, visit: Visit) -> Answer {
    visit.require(Role::Admin)?;
    Ok(page(&NewPage {
        shell: visit.shell(&state, "New campaign", "/campaigns"),
        name: String::new(),
        default_region: "US".to_owned(),
        rows: String::new(),
        accept: ACCEPT,
        errors: Errors::default(),
    }))
}

/// Makes a draft, with a list if there is one.
pub(in super::super) async fn create(
    State(state): State<ApiState>,
    visit: Visit,
    request: Request,
) -> Answer {
    visit.require(Role::Admin)?;
    let fields = [CSRF_FIELD, "name", "default_region", "rows"];
    let upload = receive(&state, request, &[], &fields).await?;
    let field = |name: &str| upload.others.get(name).map(|it| it.trim().to_owned());
    visit.principal.check_csrf(field(CSRF_FIELD).as_deref())?;
    let (name, default_region) = (field("name"), field("default_region"));
    let rows = field("rows").unwrap_or_default();
    let list = listed(&state, upload)?;
    let name = name.filter(|name| !name.is_empty());
    // Who names the file has named the campaign.
    let name = name.unwrap_or_else(|| list.as_ref().map(name_of).unwrap_or_default());
    let default_region = default_region.unwrap_or_default().to_uppercase();
    let made = match Settings::from_json(&offered(&visit, &name, &default_region)) {
        Ok(settings) => match wrong(list.as_ref(), &settings).await? {
            None => Ok(settings),
            Some(error) => Err(vec![error]),
        },
        Err(SettingsError(errors)) => Err(errors),
    };
    let settings = match made {
        Ok(settings) => settings,
        Err(errors) => {
            let shell = visit.shell(&state, "New campaign", "/campaigns");
            let shell = shell
                .with_trouble("The campaign was not created. What is wrong stands at the fields.");
            let errors = Errors(errors);
            let page = NewPage { shell, name, default_region, rows, accept: ACCEPT, errors };
            return Ok(page_with(StatusCode::UNPROCESSABLE_ENTITY, &page));
        }
    };
    let id = CampaignId::new(visit.now, state.entropy());
    let new = NewCampaign { id, settings: Arc::new(settings) };
    state.store().create_campaign(visit.by(), new).await?;
    state.wake();
    let next = if list.is_some() { Step::Columns } else { Step::List };
    if let Some(list) = list {
        keep(&state, id, list);
    }
    Ok(Redirect::to(&next.path(id)).into_response())
}

/// Why a list can't be read at all: it is told while the file is still chosen. Which column holds
/// the numbers can be said later.
async fn wrong(
    list: Option<&WaitingList>,
    settings: &Settings,
) -> Result<Option<FieldError>, Trouble> {
    let Some(list) = list else { return Ok(None) };
    match list.sample(settings, 1).await {
        Ok(_) => Ok(None),
        Err(problem) => match problem.errors().first() {
            Some(error) => Ok(Some(FieldError { field: "file".to_owned(), ..error.clone() })),
            None => Err(problem.into()),
        },
    }
}

/// The settings that a draft begins with: working hours where its maker is, and a key to opt out.
fn offered(visit: &Visit, name: &str, default_region: &str) -> Value {
    let open = json!([["09:00", "17:00"]]);
    json!({
        "name": name,
        "default_region": default_region,
        "time_zone": visit.zone.name(),
        "hours": {"mon": open, "tue": open, "wed": open, "thu": open, "fri": open},
        "script": {"keys": {"9": "opt_out"}},
    })
}

fn name_of(list: &WaitingList) -> String {
    let name = list.name.rsplit_once('.').map_or(&*list.name, |(name, _)| name);
    name.replace('_', " ").trim().to_owned()
}

/// The list in a form: its file, or what was typed instead; none if it has neither.
fn listed(state: &ApiState, mut upload: Upload) -> Result<Option<WaitingList>, Problem> {
    let len = upload.file.metadata().map_err(|error| internal(&error))?.len();
    if len == 0 {
        let rows = upload.others.get("rows").map(String::as_str).unwrap_or_default();
        if rows.trim().is_empty() {
            // Browsers send a file without a name where none was chosen. An empty one is a list
            // that can't be read.
            return match upload.name.is_empty() {
                true => Ok(None),
                false => WaitingList::new(upload, state.wall_now()).map(Some),
            };
        }
        // What a form may have of it fits into one write.
        upload.file.write_all(rows.as_bytes()).map_err(|error| internal(&error))?;
        PASTED.clone_into(&mut upload.name);
    }
    WaitingList::new(upload, state.wall_now()).map(Some)
}

fn keep(state: &ApiState, id: CampaignId, list: WaitingList) {
    // Two of the largest lists may wait at once.
    state.waiting_lists().put(id, list, state.max_upload().saturating_mul(2));
}

pub(super) async fn show(
    State(state): State<ApiState>,
    visit: Visit,
    Id(id): Id<CampaignId>,
) -> Answer {
    visit.require(Role::Operator)?;
    let list = list_page(&state, &visit, id, Errors::default()).await?;
    Ok(page(&list))
}

async fn list_page(
    state: &ApiState,
    visit: &Visit,
    id: CampaignId,
    errors: Errors,
) -> Result<ListPage, Trouble> {
    let view = existing(state, id).await?;
    let settings = &view.campaign.settings;
    let setup = Setup::new(state, visit, &view, Step::List);
    let clients = view.progress.client_count();
    let waits = state.waiting_lists().of(id, state.wall_now());
    Ok(ListPage {
        shell: setup.shell(state, visit),
        setup,
        name: settings.name.clone(),
        default_region: settings.default_region.to_string(),
        rows: String::new(),
        clients: counted(clients, "person is", "people are"),
        has_clients: clients > 0,
        takes: view.campaign.state.takes_clients(),
        mark: waits.as_ref().map(WaitingList::mark).unwrap_or_default(),
        waits: waits.map(|list| list.name),
        imports: import_rows(state, id).await?,
        accept: ACCEPT,
        errors,
    })
}

/// Takes a list, which then waits until its columns were looked at.
pub(super) async fn upload(
    State(state): State<ApiState>,
    visit: Visit,
    Id(id): Id<CampaignId>,
    request: Request,
) -> Answer {
    visit.require(Role::Operator)?;
    let view = existing(&state, id).await?;
    if !view.campaign.state.takes_clients() {
        return Err(Refused::Campaign(view.campaign.state).into());
    }
    let upload = receive(&state, request, &[], &[CSRF_FIELD, "rows"]).await?;
    visit.principal.check_csrf(upload.others.get(CSRF_FIELD).map(String::as_str))?;
    let rows = upload.others.get("rows").cloned().unwrap_or_default();
    let list = listed(&state, upload)?;
    let error = match &list {
        Some(_) => wrong(list.as_ref(), &view.campaign.settings).await?,
        None => Some(FieldError::new("file", "required", "choose a file, or paste rows")),
    };
    match (list, error) {
        (Some(list), None) => {
            keep(&state, id, list);
            Ok(Redirect::to(&Step::Columns.path(id)).into_response())
        }
        (_, error) => {
            let errors = Errors(error.into_iter().collect());
            let mut again = list_page(&state, &visit, id, errors).await?;
            again.rows = rows;
            let trouble = "No list was taken. What is wrong stands at its field.";
            again.shell = again.shell.with_trouble(trouble);
            Ok(page_with(StatusCode::UNPROCESSABLE_ENTITY, &again))
        }
    }
}

/// Changes what the campaign is called, and how numbers without a country code are read.
pub(super) async fn rename(
    State(state): State<ApiState>,
    visit: Visit,
    Id(id): Id<CampaignId>,
    form: Form,
) -> Answer {
    visit.require(Role::Admin)?;
    let view = existing(&state, id).await?;
    let (name, region) = (form.text("name"), form.text("default_region").to_uppercase());
    let fields = Map::from_iter([
        ("name".to_owned(), json!(name)),
        ("default_region".to_owned(), json!(region)),
    ]);
    let errors = match put(&state, &visit, &view, &form, fields).await? {
        Saved::Done => return Ok(done(&Step::List.path(id), "The settings are saved.")),
        Saved::Wrong(errors) => errors,
    };
    let trouble = not_saved(&errors);
    let mut list = list_page(&state, &visit, id, Errors(errors)).await?;
    (list.name, list.default_region) = (name.to_owned(), region);
    list.shell = list.shell.with_trouble(trouble);
    Ok(page_with(StatusCode::UNPROCESSABLE_ENTITY, &list))
}

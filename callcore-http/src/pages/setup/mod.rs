//! The guided way to a new campaign, and to changed settings of one that exists: each step is a page
//! of its own that can be left and come back to.

pub(super) mod audios;
mod columns;
pub(super) mod hours;
pub(super) mod list;
pub(super) mod report;
pub(super) mod rules;
pub(super) mod script;
pub(super) mod start;
pub(super) mod test_call;
mod wait;

use axum::Router;
use axum::extract::{DefaultBodyLimit, State};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use callcore::actor::Role;
use callcore::audio::MAX_BYTES;
use callcore::campaign::{FieldError, RunState, Settings};
use callcore::id::CampaignId;
use callcore::port::CampaignView;
use serde_json::{Map, Value};

use super::campaign::existing;
use super::form::Form;
use super::frame::{Answer, Shell, Trouble, Visit, done};
use super::rows::shown;
use super::words::{self, Word};
use crate::api::campaigns::change::put_in_force;
use crate::request::Id;
use crate::state::ApiState;

/// The largest form with an audio in it, in bytes.
pub(super) const AUDIO_FORM: usize = MAX_BYTES + 2 * 1024 * 1024;

pub(super) fn routes() -> Router<ApiState> {
    // The upload's own limit is said in words.
    let any_size = DefaultBodyLimit::disable;
    Router::new()
        .route("/campaigns/new", get(list::new))
        .route("/campaigns/{id}/setup", get(first))
        .route("/campaigns/{id}/setup/list", get(list::show).post(list::upload).layer(any_size()))
        .route("/campaigns/{id}/setup/name", post(list::rename))
        .route("/campaigns/{id}/setup/columns", get(columns::show).post(columns::save))
        .route("/campaigns/{id}/setup/report", get(report::show).post(report::import))
        .route("/campaigns/{id}/setup/refused.csv", get(report::refused))
        .route("/campaigns/{id}/setup/discard", post(report::discard))
        .route("/campaigns/{id}/setup/hours", get(hours::show).post(hours::save))
        .route("/campaigns/{id}/setup/rules", get(rules::show).post(rules::save))
        .route(
            "/campaigns/{id}/setup/script",
            get(script::show).post(script::save).layer(DefaultBodyLimit::max(AUDIO_FORM)),
        )
        .route(
            "/campaigns/{id}/setup/call-backs",
            get(script::show_inbound)
                .post(script::save_inbound)
                .layer(DefaultBodyLimit::max(AUDIO_FORM)),
        )
        .route("/campaigns/{id}/setup/test", get(test_call::show).post(test_call::make))
        .route("/campaigns/{id}/setup/start", get(start::show))
}

/// A step on the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    List,
    Columns,
    Report,
    Hours,
    Rules,
    Script,
    Test,
    Start,
}

impl Step {
    const ALL: [Self; 8] = [
        Self::List,
        Self::Columns,
        Self::Report,
        Self::Hours,
        Self::Rules,
        Self::Script,
        Self::Test,
        Self::Start,
    ];

    const fn word(self) -> &'static str {
        match self {
            Self::List => "list",
            Self::Columns => "columns",
            Self::Report => "report",
            Self::Hours => "hours",
            Self::Rules => "rules",
            Self::Script => "script",
            Self::Test => "test",
            Self::Start => "start",
        }
    }

    pub(super) const fn label(self) -> &'static str {
        match self {
            Self::List => "Name and list",
            Self::Columns => "Columns",
            Self::Report => "Report",
            Self::Hours => "Hours",
            Self::Rules => "Calling again",
            Self::Script => "Script",
            Self::Test => "Test call",
            Self::Start => "Check and start",
        }
    }

    /// Who may take it.
    const fn role(self) -> Role {
        match self {
            Self::Hours | Self::Rules | Self::Script => Role::Admin,
            Self::List | Self::Columns | Self::Report | Self::Test => Role::Operator,
            Self::Start => Role::Viewer,
        }
    }

    pub(super) fn path(self, id: CampaignId) -> String {
        format!("/campaigns/{id}/setup/{}", self.word())
    }
}

/// What the pages of all steps show around their own part.
#[derive(Debug)]
pub(super) struct Setup {
    pub(super) id: CampaignId,
    pub(super) name: String,
    pub(super) is_draft: bool,
    pub(super) state: Word,
    pub(super) version: u32,
    pub(super) title: &'static str,
    pub(super) steps: Vec<StepLink>,
}

/// A step in the list of steps.
#[derive(Debug)]
pub(super) struct StepLink {
    pub(super) label: &'static str,
    /// None if there is nothing to see there now.
    pub(super) href: Option<String>,
    pub(super) current: bool,
    /// What is known of it.
    pub(super) note: &'static str,
}

impl Setup {
    pub(super) fn new(state: &ApiState, visit: &Visit, view: &CampaignView, at: Step) -> Self {
        Self { title: at.label(), ..Self::around(state, visit, view, Some(at)) }
    }

    /// The steps as a page shows them that is none of them.
    pub(super) fn around(
        state: &ApiState,
        visit: &Visit,
        view: &CampaignView,
        at: Option<Step>,
    ) -> Self {
        let campaign = &view.campaign;
        let is_draft = campaign.state == RunState::Draft;
        let waits = state.waiting_lists().of(campaign.id, state.wall_now()).is_some();
        let steps = Step::ALL.into_iter().filter(|step| *step != Step::Start || is_draft);
        let steps = steps.map(|step| {
            let of_list = matches!(step, Step::Columns | Step::Report);
            let open = visit.principal.role >= step.role() && (waits || !of_list);
            StepLink {
                label: step.label(),
                href: open.then(|| step.path(campaign.id)),
                current: Some(step) == at,
                note: note(step, view, waits),
            }
        });
        Self {
            id: campaign.id,
            name: shown(&campaign.settings.name),
            is_draft,
            state: words::run_state(campaign.state),
            version: campaign.settings_version,
            title: "",
            steps: steps.collect(),
        }
    }

    /// The page around it.
    pub(super) fn shell(&self, state: &ApiState, visit: &Visit) -> Shell {
        visit.shell(state, format!("{}: {}", self.title, self.name), "/campaigns")
    }
}

fn note(step: Step, view: &CampaignView, waits: bool) -> &'static str {
    match step {
        Step::Columns if waits => "a list waits",
        Step::List if !waits && view.progress.client_count() == 0 => "to do",
        Step::Script if view.campaign.settings.script.steps.is_empty() => "to do",
        _ => "",
    }
}

/// The first step that is left to take.
async fn first(State(state): State<ApiState>, visit: Visit, Id(id): Id<CampaignId>) -> Answer {
    let view = existing(&state, id).await?;
    let waits = state.waiting_lists().of(id, state.wall_now()).is_some();
    let step = match &view {
        _ if visit.principal.role < Role::Operator => Step::Start,
        _ if waits => Step::Columns,
        view if view.progress.client_count() == 0 => Step::List,
        view if view.campaign.settings.script.steps.is_empty()
            && visit.principal.role >= Role::Admin =>
        {
            Step::Script
        }
        _ => Step::Start,
    };
    Ok(Redirect::to(&step.path(id)).into_response())
}

/// What became of a change of settings.
pub(super) enum Saved {
    Done,
    Wrong(Vec<FieldError>),
}

/// Lays fields over the settings in force, of which nothing else changes. Whoever changed them in the
/// meantime is told of.
pub(super) async fn put(
    state: &ApiState,
    visit: &Visit,
    view: &CampaignView,
    form: &Form,
    fields: Map<String, Value>,
) -> Result<Saved, Trouble> {
    let campaign = &view.campaign;
    if form.read("version") != Some(campaign.settings_version) {
        return Ok(Saved::Wrong(vec![stale()]));
    }
    let mut document = campaign.settings.to_json();
    if let Value::Object(document) = &mut document {
        document.extend(fields);
    }
    if Settings::from_json(&document).as_ref() == Ok(&campaign.settings) {
        return Ok(Saved::Done);
    }
    match put_in_force(state, visit.by(), view, &document).await {
        Ok(_) => Ok(Saved::Done),
        Err(problem) if problem.code() == "stale" => Ok(Saved::Wrong(vec![stale()])),
        Err(problem) if !problem.errors().is_empty() => Ok(Saved::Wrong(problem.errors().to_vec())),
        Err(problem) => Err(problem.into()),
    }
}

/// Where the page tells that somebody else was quicker.
pub(super) const STALE: &str = "version";

fn stale() -> FieldError {
    let words = "somebody changed the settings in the meantime. What you wrote still stands here: \
                 save again to put it in force on top of their change";
    FieldError::new(STALE, "stale", words)
}

/// Why a form of settings was not saved, as the page says it at its top.
pub(super) fn not_saved(errors: &[FieldError]) -> String {
    match errors.iter().find(|error| error.field == STALE) {
        Some(error) => format!("Nothing was saved: {}.", error.message),
        None => "Nothing was saved. What is wrong stands at the fields.".to_owned(),
    }
}

/// Goes on after a step was saved: a draft to the next step, unless its form says otherwise.
pub(super) fn go_on(view: &CampaignView, form: &Form, here: &str, next: Step) -> Response {
    let id = view.campaign.id;
    let is_draft = view.campaign.state == RunState::Draft;
    if is_draft && form.text("then") != "stay" {
        return Redirect::to(&next.path(id)).into_response();
    }
    done(&format!("/campaigns/{id}/setup/{here}"), "The settings are saved.")
}

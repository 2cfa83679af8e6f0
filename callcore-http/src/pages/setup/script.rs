//! What a person hears and may press, in a call or when calling back; with audio to upload, and as a
//! real row of the list would hear it.

mod preview;
mod rows;

use askama::Template;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use callcore::actor::Role;
use callcore::campaign::{FieldError, Settings};
use callcore::id::{AudioId, CampaignId};
use callcore::port::CampaignView;
use callcore::script::{STANDARD_FIELDS, Script};
use serde_json::{Map, Value, json};

pub(super) use self::preview::sample_client;
use self::preview::{Preview, preview};
use self::rows::{KeyRow, StepRow, Written};
use super::super::campaign::existing;
use super::super::form::{Choice, Errors, Form, SentFile};
use super::super::frame::{Answer, Shell, Trouble, Visit, page, page_with};
use super::audios::Audios;
use super::hours::choices;
use super::{Saved, Setup, Step, go_on, not_saved, put};
use crate::api::audio::upload::Sent;
use crate::problem::Problem;
use crate::request::Id;
use crate::state::ApiState;

/// How many columns are named as places to fill.
const PLACES: usize = 40;

/// Which script a page is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Which {
    Outbound,
    Inbound,
}

impl Which {
    const fn field(self) -> &'static str {
        match self {
            Self::Outbound => "script",
            Self::Inbound => "inbound",
        }
    }

    const fn word(self) -> &'static str {
        match self {
            Self::Outbound => "script",
            Self::Inbound => "call-backs",
        }
    }

    fn of(self, settings: &Settings) -> Option<&Script> {
        match self {
            Self::Outbound => Some(&settings.script),
            Self::Inbound => settings.inbound.as_ref(),
        }
    }
}

#[derive(Template)]
#[template(path = "setup/script.html")]
struct ScriptPage {
    shell: Shell,
    setup: Setup,
    inbound: bool,
    word: &'static str,
    field: &'static str,
    steps_field: String,
    steps: Vec<StepRow>,
    keys: Vec<KeyRow>,
    notice: String,
    notice_field: String,
    recordings: Vec<Choice>,
    transcription: bool,
    places: Vec<String>,
    missing: Vec<String>,
    sample: String,
    preview: Option<Preview>,
    /// Whether the script as it stands could be heard.
    is_whole: bool,
    has_clients: bool,
    errors: Errors,
    beside: Vec<String>,
}

pub(super) async fn show(
    State(state): State<ApiState>,
    visit: Visit,
    Id(id): Id<CampaignId>,
) -> Answer {
    shown_script(&state, &visit, id, Which::Outbound).await
}

pub(super) async fn show_inbound(
    State(state): State<ApiState>,
    visit: Visit,
    Id(id): Id<CampaignId>,
) -> Answer {
    shown_script(&state, &visit, id, Which::Inbound).await
}

pub(super) async fn save(
    State(state): State<ApiState>,
    visit: Visit,
    Id(id): Id<CampaignId>,
    request: Request,
) -> Answer {
    written(&state, &visit, id, Which::Outbound, request).await
}

pub(super) async fn save_inbound(
    State(state): State<ApiState>,
    visit: Visit,
    Id(id): Id<CampaignId>,
    request: Request,
) -> Answer {
    written(&state, &visit, id, Which::Inbound, request).await
}

async fn shown_script(state: &ApiState, visit: &Visit, id: CampaignId, which: Which) -> Answer {
    visit.require(Role::Admin)?;
    let view = existing(state, id).await?;
    let mut written = Written::of(&view.campaign.settings, which);
    if which == Which::Outbound && written.steps.is_empty() {
        written.steps.push(StepRow::kind("say"));
    }
    let page_of = script_page(state, visit, &view, which, written, Vec::new()).await?;
    Ok(page(&page_of))
}

async fn written(
    state: &ApiState,
    visit: &Visit,
    id: CampaignId,
    which: Which,
    request: Request,
) -> Answer {
    visit.require(Role::Admin)?;
    let view = existing(state, id).await?;
    let (form, file) = Form::with_file(request, state).await?;
    let mut written = Written::read(&form);
    let act = form.text("do");
    let again = async |written, errors: Vec<FieldError>, trouble: Option<String>| {
        let is_wrong = !errors.is_empty();
        let mut again = script_page(state, visit, &view, which, written, errors).await?;
        if let Some(trouble) = trouble {
            again.shell = again.shell.with_trouble(trouble);
        }
        let status = if is_wrong { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
        Ok::<Response, Trouble>(page_with(status, &again))
    };
    // A chosen file is not lost, whatever button was pressed.
    if file.is_some() || act == "upload" {
        return match add_audio(state, visit, None, file).await? {
            Ok(audio) => {
                written.steps.push(StepRow { play: audio.to_string(), ..StepRow::kind("play") });
                again(written, Vec::new(), None).await
            }
            Err(errors) => {
                let trouble = "The audio was not taken. What is wrong stands at its field.";
                again(written, errors, Some(trouble.to_owned())).await
            }
        };
    }
    if written.edit(act) {
        return again(written, Vec::new(), None).await;
    }
    let mut errors = Vec::new();
    let settings = &view.campaign.settings;
    let mut script = written.json(settings, which.field(), &mut errors);
    let kept_empty = settings.inbound.as_ref().is_some_and(|it| *it == Script::default());
    if which == Which::Inbound && written.is_empty() && !kept_empty {
        script = Value::Null;
    }
    let saved = if errors.is_empty() {
        let mut fields = Map::from_iter([(which.field().to_owned(), script)]);
        if which == Which::Outbound && !written.recording.is_empty() {
            let recording = match &*written.recording {
                "mono" => json!("mono"),
                word => json!(word == "dual"),
            };
            fields.insert("recording".to_owned(), recording);
            fields.insert("transcription".to_owned(), json!(written.transcription));
        }
        put(state, visit, &view, &form, fields).await?
    } else {
        Saved::Wrong(errors)
    };
    match saved {
        Saved::Done => Ok(go_on(&view, &form, which.word(), Step::Test)),
        Saved::Wrong(errors) => {
            let trouble = not_saved(&errors);
            again(written, errors, Some(trouble)).await
        }
    }
}

/// Keeps an audio that was sent, under a name or that of its file.
pub(in crate::pages) async fn add_audio(
    state: &ApiState,
    visit: &Visit,
    name: Option<&str>,
    file: Option<Result<SentFile, Problem>>,
) -> Result<Result<AudioId, Vec<FieldError>>, Trouble> {
    let at_file = |code: &str, words: &str| vec![FieldError::new("file", code, words)];
    let file = match file {
        None => return Ok(Err(at_file("required", "choose a WAV or MP3 file first"))),
        Some(Err(problem)) if problem.code() == "too_large" => {
            return Ok(Err(at_file("too_large", "is larger than 10 MB")));
        }
        Some(file) => file?,
    };
    match Sent::new(name, file) {
        Ok(sent) => {
            let audio = state.store().add_audio(visit.by(), sent.audio(state, visit.now)).await?;
            Ok(Ok(audio.id))
        }
        Err(errors) => Ok(Err(errors
            .into_iter()
            .map(|error| FieldError { field: "file".to_owned(), ..error })
            .collect())),
    }
}

async fn script_page(
    state: &ApiState,
    visit: &Visit,
    view: &CampaignView,
    which: Which,
    written: Written,
    errors: Vec<FieldError>,
) -> Result<ScriptPage, Trouble> {
    let settings = &view.campaign.settings;
    let path = which.field();
    let columns = columns(state, view.campaign.id).await?;
    let document = written.json(settings, path, &mut Vec::new());
    let script = Script::read(&document, path).ok();
    let missing = script.as_ref().map(|script| script.missing_fields(&columns));
    let missing = missing.into_iter().flatten().map(str::to_owned).collect();
    let preview = match &script {
        Some(script) => preview(state, view, script, &written.sample).await?,
        None => None,
    };
    let Written { notice, recording, transcription, mut steps, mut keys, sample } = written;
    let chosen = steps.iter().filter(|step| step.kind == "play").map(|step| &*step.play);
    let audios = Audios::read(state, &chosen.collect::<Vec<_>>()).await?;
    for (index, step) in steps.iter_mut().enumerate() {
        (step.path, step.at) = (format!("{path}.steps[{index}]"), index);
        match &*step.kind {
            "play" => step.audios = audios.choices(&step.play, "choose an audio"),
            "connect" => step.params.push(Default::default()),
            _ => {}
        }
    }
    keys.push(KeyRow::default());
    for row in &mut keys {
        row.path = format!("{path}.keys.{}", row.key);
    }
    let setup = Setup::new(state, visit, view, Step::Script);
    let errors = Errors(errors);
    let standard = STANDARD_FIELDS.iter().map(|name| (*name).to_owned());
    Ok(ScriptPage {
        shell: setup.shell(state, visit),
        setup,
        inbound: which == Which::Inbound,
        word: which.word(),
        field: path,
        steps_field: format!("{path}.steps"),
        steps,
        keys,
        notice,
        notice_field: format!("{path}.notice"),
        recordings: choices(
            &recording,
            &[
                ("off", "no"),
                ("dual", "yes, each side on its own channel"),
                ("mono", "yes, both sides on one channel"),
            ],
        ),
        transcription,
        places: columns.into_iter().chain(standard).take(PLACES).collect(),
        missing,
        sample,
        preview,
        is_whole: script.is_some(),
        has_clients: view.progress.client_count() > 0,
        beside: errors.beside(&[path, "file", super::STALE]),
        errors,
    })
}

/// The columns of every list of a campaign.
async fn columns(state: &ApiState, id: CampaignId) -> Result<Vec<String>, Trouble> {
    let mut columns: Vec<String> = Vec::new();
    for import in state.store().imports(id).await? {
        for column in import.columns {
            if !column.trim().is_empty() && !columns.contains(&column) {
                columns.push(column);
            }
        }
    }
    Ok(columns)
}

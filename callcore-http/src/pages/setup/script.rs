//! What a person hears and may press, in a call or when calling back; with audio to upload, and as a
//! real row of the list would hear it.

use std::collections::BTreeSet;

use askama::Template;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use callcore::actor::Role;
use callcore::campaign::{FieldError, Settings};
use callcore::id::{AudioId, CampaignId};
use callcore::phone::PhoneNumber;
use callcore::port::{CampaignView, ClientQuery, ClientView};
use callcore::script::{
    DEFAULT_LANGUAGE, KeyAction, Rendered, STANDARD_FIELDS, Script, Step as Heard,
};
use serde_json::{Map, Value, json};

use super::super::campaign::existing;
use super::super::form::{Choice, Errors, Form, SentFile};
use super::super::frame::{Answer, Shell, Trouble, Visit, page, page_with};
use super::super::rows::shown;
use super::audios::Audios;
use super::hours::choices;
use super::{Saved, Setup, Step, go_on, not_saved, put};
use crate::api::audio::upload::Sent;
use crate::api::campaigns::preview::{Hearing, hearing};
use crate::problem::Problem;
use crate::request::Id;
use crate::state::ApiState;

/// How many steps, and parameters of one, a form may have; and how many keys there are.
const MOST: usize = 24;

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

/// A step, as somebody wrote it.
#[derive(Debug, Clone, Default)]
struct StepRow {
    kind: String,
    say: String,
    language: String,
    play: String,
    audios: Vec<Choice>,
    url: String,
    params: Vec<[String; 2]>,
    /// Where the settings name its troubles.
    path: String,
    /// Its place, from 0.
    at: usize,
}

/// What a key does, as somebody wrote it.
#[derive(Debug, Clone, Default)]
struct KeyRow {
    key: String,
    action: String,
    value: String,
    path: String,
}

/// The script as somebody of the list would hear it.
struct Preview {
    name: String,
    lines: Vec<(&'static str, String)>,
}

/// A whole form.
#[derive(Debug, Default)]
struct Written {
    notice: String,
    /// `off`, `mono` or `dual`.
    recording: String,
    transcription: bool,
    steps: Vec<StepRow>,
    keys: Vec<KeyRow>,
    sample: String,
}

impl StepRow {
    fn kind(kind: &str) -> Self {
        let language = DEFAULT_LANGUAGE.to_owned();
        Self { kind: kind.to_owned(), language, ..Self::default() }
    }

    fn of(step: &Heard) -> Self {
        match step {
            Heard::Say { say, language } => Self {
                say: say.source().to_owned(),
                language: language.clone(),
                ..Self::kind("say")
            },
            Heard::Play(audio) => Self { play: audio.to_string(), ..Self::kind("play") },
            Heard::Connect(connect) => Self {
                url: connect.url.clone(),
                params: connect
                    .params
                    .iter()
                    .map(|(name, value)| [name.clone(), value.source().to_owned()])
                    .collect(),
                ..Self::kind("connect")
            },
        }
    }

    fn read(form: &Form, index: usize) -> Option<Self> {
        // Browsers send line breaks their own way.
        let text = |name: &str| form.text(&format!("step_{index}_{name}")).replace("\r\n", "\n");
        let kind = text("kind");
        if !["say", "play", "connect"].contains(&&*kind) {
            return None;
        }
        let param =
            |at: usize| [text(&format!("param_{at}_name")), text(&format!("param_{at}_value"))];
        let params =
            (0..MOST).map(param).filter(|[name, value]| !(name.is_empty() && value.is_empty()));
        Some(Self {
            say: text("say"),
            language: text("language"),
            play: text("play"),
            url: text("url"),
            params: params.collect(),
            ..Self::kind(&kind)
        })
    }

    fn json(&self) -> Value {
        match &*self.kind {
            "say" => {
                let language = Some(&self.language).filter(|language| !language.is_empty());
                json!({"say": self.say, "language": language})
            }
            "play" => json!({"play": self.play}),
            _ => {
                let params: Map<String, Value> =
                    self.params.iter().map(|[name, value]| (name.clone(), json!(value))).collect();
                json!({"connect": {"url": self.url, "params": params}})
            }
        }
    }
}

impl KeyRow {
    fn of(key: char, action: &KeyAction) -> Self {
        let (action, value) = match action {
            KeyAction::OptOut => ("opt_out", String::new()),
            KeyAction::Tag(tag) => ("tag", tag.clone()),
            KeyAction::Transfer(number) => ("transfer", number.to_string()),
        };
        Self { key: key.to_string(), action: action.to_owned(), value, path: String::new() }
    }

    fn read(form: &Form, index: usize) -> Option<Self> {
        let key = form.some(&format!("key_{index}"))?.to_owned();
        let text = |name: &str| form.text(&format!("key_{index}_{name}")).to_owned();
        Some(Self { key, action: text("action"), value: text("value"), path: String::new() })
    }

    fn keys(&self) -> Vec<Choice> {
        let mut keys = choices(&self.key, &[("", "no key")]);
        for key in "1234567890*#".chars() {
            let key = key.to_string();
            keys.push(Choice::new(&key, &key, key == self.key));
        }
        keys
    }

    fn actions(&self) -> Vec<Choice> {
        choices(
            &self.action,
            &[
                ("opt_out", "opts out for good"),
                ("tag", "puts on this tag:"),
                ("transfer", "hands over to:"),
            ],
        )
    }

    fn json(&self, settings: &Settings) -> Value {
        match &*self.action {
            "opt_out" => json!("opt_out"),
            "tag" => json!({"tag": self.value}),
            _ => {
                // However people write numbers, settings keep them in E.164.
                let number = PhoneNumber::parse(&self.value, &settings.default_region);
                let number = number.map_or_else(|_| self.value.clone(), |it| it.to_string());
                json!({"transfer": number})
            }
        }
    }
}

impl Written {
    fn of(settings: &Settings, which: Which) -> Self {
        let written = Self {
            recording: settings.recording.channels().unwrap_or("off").to_owned(),
            transcription: settings.transcription,
            ..Self::default()
        };
        let Some(script) = which.of(settings) else { return written };
        let notice = script.notice.as_ref().map(|notice| notice.source().to_owned());
        Self {
            notice: notice.unwrap_or_default(),
            steps: script.steps.iter().map(StepRow::of).collect(),
            keys: script.keys.iter().map(|(key, action)| KeyRow::of(key.digit(), action)).collect(),
            ..written
        }
    }

    fn read(form: &Form) -> Self {
        Self {
            notice: form.text("notice").to_owned(),
            recording: form.text("recording").to_owned(),
            transcription: form.has("transcription"),
            steps: (0..MOST).filter_map(|index| StepRow::read(form, index)).collect(),
            keys: (0..MOST).filter_map(|index| KeyRow::read(form, index)).collect(),
            sample: form.text("sample").to_owned(),
        }
    }

    /// The document of the script, with what can't even be put into it.
    fn json(&self, settings: &Settings, path: &str, errors: &mut Vec<FieldError>) -> Value {
        let steps: Vec<Value> = self.steps.iter().map(StepRow::json).collect();
        for (index, step) in self.steps.iter().enumerate() {
            if step.kind == "play" && step.play.is_empty() {
                let field = format!("{path}.steps[{index}].play");
                errors.push(FieldError::new(field, "required", "choose an audio, or upload one"));
            }
            let names: BTreeSet<&String> = step.params.iter().map(|[name, _]| name).collect();
            if names.len() < step.params.len() {
                let field = format!("{path}.steps[{index}].connect.params");
                errors.push(FieldError::new(field, "twice", "two parameters have one name"));
            }
        }
        let mut keys = Map::new();
        for row in &self.keys {
            if keys.insert(row.key.clone(), row.json(settings)).is_some() {
                let field = format!("{path}.keys.{}", row.key);
                errors.push(FieldError::new(field, "twice", "the key is there twice"));
            }
        }
        let notice = Some(&self.notice).filter(|notice| !notice.is_empty());
        json!({"notice": notice, "steps": steps, "keys": keys})
    }

    fn is_empty(&self) -> bool {
        self.notice.is_empty() && self.steps.is_empty() && self.keys.is_empty()
    }

    /// Does what a button of the form says, other than saving. False if it says nothing of the kind.
    fn edit(&mut self, act: &str) -> bool {
        let index = |prefix: &str| act.strip_prefix(prefix)?.parse::<usize>().ok();
        if let Some(kind) = act.strip_prefix("add_") {
            self.steps.push(StepRow::kind(kind));
        } else if let Some(index) = index("up_") {
            if (1..self.steps.len()).contains(&index) {
                self.steps.swap(index, index - 1);
            }
        } else if let Some(index) = index("remove_") {
            if index < self.steps.len() {
                self.steps.remove(index);
            }
        } else {
            return matches!(act, "more" | "preview");
        }
        true
    }
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

/// Whoever of the list is searched for; the first if nobody is.
pub(super) async fn sample_client(
    state: &ApiState,
    id: CampaignId,
    sought: &str,
) -> Result<Option<ClientView>, Trouble> {
    let q = Some(sought.to_owned()).filter(|q| !q.is_empty());
    let (statuses, tags, after) = (Vec::new(), Vec::new(), None);
    let query = ClientQuery { campaign: id, q, statuses, tags, after, limit: 1 };
    Ok(state.store().clients(&query).await?.items.pop())
}

async fn preview(
    state: &ApiState,
    view: &CampaignView,
    script: &Script,
    sample: &str,
) -> Result<Option<Preview>, Trouble> {
    let Some(client) = sample_client(state, view.campaign.id, sample).await? else {
        return Ok(None);
    };
    let heard = hearing(state, &view.campaign.settings, script, &client.client).await?;
    Ok(Some(Preview { name: shown(&client.client.name), lines: lines(state, heard).await? }))
}

/// What is heard, line by line.
async fn lines(state: &ApiState, heard: Hearing) -> Result<Vec<(&'static str, String)>, Trouble> {
    let mut lines = Vec::new();
    for step in heard.steps {
        lines.push(match step {
            Rendered::Say { text, language } => ("says", format!("{text} ({language})")),
            Rendered::Play(audio) => ("plays", audio_name(state, audio).await?),
            Rendered::Connect { url, params } => {
                let params: Vec<String> =
                    params.iter().map(|(name, value)| format!("{name} = {value}")).collect();
                ("hands over to", format!("{url} {}", params.join(", ")))
            }
        });
    }
    if let Some(message) = heard.voicemail_message {
        let heard = match message {
            Rendered::Say { text, .. } => text,
            Rendered::Play(audio) => audio_name(state, audio).await?,
            Rendered::Connect { url, .. } => url,
        };
        lines.push(("on a voicemail", heard));
    }
    Ok(lines)
}

async fn audio_name(state: &ApiState, audio: AudioId) -> Result<String, Trouble> {
    let audio = state.store().audio(audio).await?;
    Ok(audio.map_or_else(|| "an audio that is gone".to_owned(), |audio| audio.name))
}

//! Which column holds what: guessed from the names, to be mended over the first rows.

use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use callcore::actor::Role;
use callcore::campaign::{FieldError, Settings};
use callcore::id::CampaignId;
use callcore::import::{Dedupe, Mapping, OnDuplicate};
use callcore::port::CampaignView;

use super::super::campaign::existing;
use super::super::form::{Choice, Errors, Form};
use super::super::frame::{Answer, Shell, Trouble, Visit, done, page, page_with};
use super::super::rows::shown;
use super::{Setup, Step};
use crate::importing::Sample;
use crate::request::Id;
use crate::state::ApiState;
use crate::waiting_lists::WaitingList;

/// How many rows are shown.
const ROWS: usize = 5;

/// How many columns are shown over them.
const COLUMNS: usize = 30;

/// The longest cell that is shown, in characters.
const MAX_CELL: usize = 40;

/// Beyond so many columns, or bytes of their names, they are typed rather than chosen.
const MAX_CHOICES: usize = 40;
const MAX_CHOICE_BYTES: usize = 1_500;

/// How many bytes of names are offered to whoever types.
const MAX_OFFERED_BYTES: usize = 12_000;

/// The fields that a column can be named for, with what they are.
const FIELDS: [(&str, &str, &str); 10] = [
    ("phone", "Phone number", "whom to call; needed"),
    ("name", "Whole name", ""),
    ("first_name", "First name", "joined with the last, if there is no whole name"),
    ("last_name", "Last name", ""),
    ("time_zone", "Time zone", "an IANA name such as America/New_York"),
    ("tags", "Tags", "separated by comma, semicolon or bar"),
    ("notes", "Note", ""),
    ("email", "E-mail address", ""),
    ("external_id", "Your own id", "tells people of this campaign apart"),
    ("consent", "Consent", "on what ground the person may be called"),
];

#[derive(Template)]
#[template(path = "setup/columns.html")]
struct ColumnsPage {
    shell: Shell,
    setup: Setup,
    file_name: String,
    fields: Vec<FieldRow>,
    columns: Vec<Column>,
    /// The names that are offered where a column is typed; none where it is chosen.
    offered: Option<Vec<String>>,
    rows: Vec<Vec<String>>,
    more_columns: usize,
    by_name: bool,
    update: bool,
    errors: Errors,
}

/// A field, with the columns it may be read from.
struct FieldRow {
    key: &'static str,
    label: &'static str,
    hint: &'static str,
    chosen: String,
    choices: Vec<Choice>,
    /// What the first row with anything in it has there.
    example: String,
}

/// A column, with the field it is read for.
struct Column {
    name: String,
    used: &'static str,
}

/// Where somebody goes whose list waits no longer.
pub(super) fn gone(id: CampaignId) -> Response {
    done(
        &Step::List.path(id),
        "No list waits here any more: a list is kept for a day, and not over a restart. Choose the file once more.",
    )
}

pub(super) async fn show(
    State(state): State<ApiState>,
    visit: Visit,
    Id(id): Id<CampaignId>,
) -> Answer {
    visit.require(Role::Operator)?;
    let view = existing(&state, id).await?;
    let Some(list) = state.waiting_lists().of(id, state.wall_now()) else { return Ok(gone(id)) };
    let columns = columns_page(&state, &visit, &view, &list, Vec::new()).await?;
    Ok(page(&columns))
}

async fn columns_page(
    state: &ApiState,
    visit: &Visit,
    view: &CampaignView,
    list: &WaitingList,
    errors: Vec<FieldError>,
) -> Result<ColumnsPage, Trouble> {
    let Sample { columns, mapping, rows } = sample(list, &view.campaign.settings).await?;
    // What somebody chose stands there even if it was wrong.
    let mapping = if errors.is_empty() { mapping } else { list.mapping.clone() };
    let setup = Setup::new(state, visit, view, Step::Columns);
    let named = |key: &str| column(&mapping, key).cloned().flatten();
    let named_columns = || columns.iter().filter(|name| !name.trim().is_empty());
    let offered = (columns.len() > MAX_CHOICES
        || columns.iter().map(String::len).sum::<usize>() > MAX_CHOICE_BYTES)
        .then(|| {
            let mut bytes = 0;
            let fits = |name: &&String| {
                bytes += name.len();
                bytes <= MAX_OFFERED_BYTES
            };
            named_columns().take_while(fits).cloned().collect::<Vec<_>>()
        });
    let fields = FIELDS.map(|(key, label, hint)| {
        let chosen = named(key);
        let at = chosen.as_ref().and_then(|name| columns.iter().position(|it| it == name));
        let example =
            rows.iter().filter_map(|row| row.get(at?)).find(|cell| !cell.trim().is_empty());
        let mut choices = vec![Choice::new("", "in no column", chosen.is_none())];
        if offered.is_none() {
            choices.extend(
                named_columns()
                    .map(|name| Choice::new(name, cut(name), Some(name) == chosen.as_ref())),
            );
        }
        let example = example.map(|it| cut(it)).unwrap_or_default();
        FieldRow { key, label, hint, chosen: chosen.unwrap_or_default(), choices, example }
    });
    let used = |name: &String| {
        let field = FIELDS.iter().find(|(key, ..)| named(key).as_ref() == Some(name));
        field.map_or("", |(_, label, _)| *label)
    };
    let head =
        columns.iter().take(COLUMNS).map(|name| Column { name: cut(name), used: used(name) });
    Ok(ColumnsPage {
        shell: setup.shell(state, visit),
        setup,
        file_name: shown(&list.name),
        fields: fields.into(),
        columns: head.collect(),
        offered,
        rows: rows
            .iter()
            .map(|row| row.iter().take(COLUMNS).map(|cell| cut(cell)).collect())
            .collect(),
        more_columns: columns.len().saturating_sub(COLUMNS),
        by_name: list.duplicates.dedupe == Dedupe::PhoneAndName,
        update: list.duplicates.on_duplicate == OnDuplicate::Update,
        errors: Errors(errors),
    })
}

/// The first rows, also of a list whose columns somebody named wrongly.
async fn sample(list: &WaitingList, settings: &Settings) -> Result<Sample, Trouble> {
    match list.sample(settings, ROWS).await {
        Err(problem) if problem.code() == "unknown_column" => {
            let mut guessed = list.clone();
            guessed.mapping = Mapping::default();
            Ok(guessed.sample(settings, ROWS).await?)
        }
        sample => Ok(sample?),
    }
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(MAX_CELL) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// The column of a field.
fn column<'a>(mapping: &'a Mapping, key: &str) -> Option<&'a Option<String>> {
    Some(match key {
        "phone" => &mapping.phone,
        "name" => &mapping.name,
        "first_name" => &mapping.first_name,
        "last_name" => &mapping.last_name,
        "time_zone" => &mapping.time_zone,
        "tags" => &mapping.tags,
        "notes" => &mapping.notes,
        "email" => &mapping.email,
        "external_id" => &mapping.external_id,
        "consent" => &mapping.consent,
        _ => return None,
    })
}

pub(super) async fn save(
    State(state): State<ApiState>,
    visit: Visit,
    Id(id): Id<CampaignId>,
    form: Form,
) -> Answer {
    visit.require(Role::Operator)?;
    let view = existing(&state, id).await?;
    let Some(mut list) = state.waiting_lists().of(id, state.wall_now()) else {
        return Ok(gone(id));
    };
    let chosen = |key: &str| form.some(key).map(|_| form.raw(key).to_owned());
    list.mapping = Mapping {
        phone: chosen("phone"),
        name: chosen("name"),
        first_name: chosen("first_name"),
        last_name: chosen("last_name"),
        time_zone: chosen("time_zone"),
        tags: chosen("tags"),
        notes: chosen("notes"),
        email: chosen("email"),
        external_id: chosen("external_id"),
        consent: chosen("consent"),
        exact: true,
    };
    let tells_by_name = form.text("dedupe") == "phone_and_name";
    list.duplicates.dedupe = if tells_by_name { Dedupe::PhoneAndName } else { Dedupe::Phone };
    let updates = form.text("on_duplicate") == "update";
    list.duplicates.on_duplicate = if updates { OnDuplicate::Update } else { OnDuplicate::Skip };
    let mut errors = wrong(&list.mapping);
    if errors.is_empty()
        && let Err(problem) = list.sample(&view.campaign.settings, 1).await
    {
        // A name that was typed may be no column's.
        let at_field = |error: &FieldError| {
            let field = error.field.trim_start_matches("mapping.").to_owned();
            FieldError { field, ..error.clone() }
        };
        if problem.code() != "unknown_column" {
            return Err(problem.into());
        }
        errors.extend(problem.errors().iter().map(at_field));
    }
    if errors.is_empty() {
        state.waiting_lists().change(id, list);
        return Ok(Redirect::to(&Step::Report.path(id)).into_response());
    }
    let mut columns = columns_page(&state, &visit, &view, &list, errors).await?;
    let trouble = "The columns were not taken. What is wrong stands at the fields.";
    columns.shell = columns.shell.with_trouble(trouble);
    Ok(page_with(StatusCode::UNPROCESSABLE_ENTITY, &columns))
}

/// A field has one column, and a column one field.
fn wrong(mapping: &Mapping) -> Vec<FieldError> {
    let mut errors = Vec::new();
    if mapping.phone.is_none() {
        let words = "say which column holds the numbers to call";
        errors.push(FieldError::new("phone", "required", words));
    }
    let mut taken: Vec<&String> = Vec::new();
    for (key, ..) in FIELDS {
        let Some(Some(name)) = column(mapping, key) else { continue };
        if taken.contains(&name) {
            errors.push(FieldError::new(key, "taken", "this column is named above already"));
        }
        taken.push(name);
    }
    errors
}

//! The audio that scripts may play: uploaded, heard, deleted.

use askama::Template;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use callcore::actor::Role;
use callcore::audio::Audio;
use callcore::id::AudioId;
use callcore::port::{ActError, Cursor, Refused};

use super::super::ROWS;
use super::super::form::{Errors, Form};
use super::super::frame::{Answer, NavItem, Shell, Trouble, Visit, done, page, page_with};
use super::super::rows::shown;
use super::super::setup::script::add_audio;
use super::super::when::When;
use super::super::words::actor;
use super::tabs;
use crate::query::Query;
use crate::request::Id;
use crate::state::ApiState;

const PATH: &str = "/settings/audio";

#[derive(Template)]
#[template(path = "settings/audio.html")]
struct AudioPage {
    shell: Shell,
    tabs: Vec<NavItem>,
    audios: Vec<AudioRow>,
    next: Option<String>,
    paged: bool,
    name: String,
    errors: Errors,
}

struct AudioRow {
    id: AudioId,
    name: String,
    kind: &'static str,
    size: String,
    uploaded: When,
    by: String,
}

fn row(visit: &Visit, audio: &Audio) -> AudioRow {
    AudioRow {
        id: audio.id,
        name: shown(&audio.name),
        kind: if audio.format.media_type().ends_with("wav") { "WAV" } else { "MP3" },
        size: size(audio.size),
        uploaded: visit.when(audio.created_at),
        by: actor(&audio.created_by),
    }
}

/// A size as people read it.
fn size(bytes: u64) -> String {
    match bytes.div_ceil(1_000) {
        kilobytes @ 0..1_000 => format!("{kilobytes} kB"),
        kilobytes => format!("{}.{} MB", kilobytes / 1_000, kilobytes % 1_000 / 100),
    }
}

pub(in crate::pages) async fn show(
    State(state): State<ApiState>,
    visit: Visit,
    mut query: Query,
) -> Answer {
    let after = query.cursor();
    query.finish()?;
    let draft = (String::new(), Errors::default());
    Ok(page(&audio_page(&state, &visit, after, draft).await?))
}

async fn audio_page(
    state: &ApiState,
    visit: &Visit,
    after: Option<Cursor>,
    (name, errors): (String, Errors),
) -> Result<AudioPage, Trouble> {
    let paged = after.is_some();
    let audios = state.store().audios(after, ROWS).await?;
    Ok(AudioPage {
        shell: visit.shell(state, "Audio", "/settings"),
        tabs: tabs(visit, PATH),
        audios: audios.items.iter().map(|audio| row(visit, audio)).collect(),
        next: audios.next.map(|cursor| format!("{PATH}?cursor={cursor}")),
        paged,
        name,
        errors,
    })
}

pub(in crate::pages) async fn upload(
    State(state): State<ApiState>,
    visit: Visit,
    request: Request,
) -> Answer {
    visit.require(Role::Operator)?;
    let (form, file) = Form::with_file(request, &state).await?;
    let name = form.text("name");
    match add_audio(&state, &visit, Some(name), file).await? {
        Ok(_) => Ok(done(PATH, "The audio is there: scripts can play it.")),
        Err(errors) => {
            let draft = (name.to_owned(), Errors(errors));
            let page = audio_page(&state, &visit, None, draft).await?;
            Ok(page_with(StatusCode::UNPROCESSABLE_ENTITY, &page))
        }
    }
}

pub(in crate::pages) async fn delete(
    State(state): State<ApiState>,
    visit: Visit,
    Id(id): Id<AudioId>,
    _: Form,
) -> Answer {
    visit.require(Role::Admin)?;
    match state.store().remove_audio(visit.by(), id).await {
        Ok(()) => Ok(done(PATH, "The audio is deleted.")),
        Err(ActError::Refused(Refused::AudioInUse(campaign))) => {
            let view = state.store().campaign(campaign).await?;
            let name = view.map(|view| shown(&view.campaign.settings.name)).unwrap_or_default();
            let trouble = format!(
                "The campaign “{name}” plays it, so nothing was deleted. Take it out of that campaign's script first."
            );
            let draft = (String::new(), Errors::default());
            let mut page = audio_page(&state, &visit, None, draft).await?;
            page.shell = page.shell.with_trouble(trouble);
            Ok(page_with(StatusCode::CONFLICT, &page))
        }
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_rounded_to_what_people_read() {
        assert_eq!(size(44), "1 kB");
        assert_eq!(size(998_500), "999 kB");
        assert_eq!(size(2_345_678), "2.3 MB");
    }
}

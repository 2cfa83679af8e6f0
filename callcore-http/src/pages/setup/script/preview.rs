//! The script as somebody of the list would hear it.

use callcore::id::{AudioId, CampaignId};
use callcore::port::{CampaignView, ClientQuery, ClientView};
use callcore::script::{Rendered, Script};

use super::super::super::frame::Trouble;
use super::super::super::rows::shown;
use super::super::super::words::message;
use crate::api::campaigns::preview::{Hearing, hearing};
use crate::state::ApiState;

/// The script as somebody of the list would hear it.
pub(super) struct Preview {
    pub(super) name: String,
    pub(super) lines: Vec<(&'static str, String)>,
}

/// Whoever of the list is searched for; the first if nobody is.
pub(in super::super) async fn sample_client(
    state: &ApiState,
    id: CampaignId,
    sought: &str,
) -> Result<Option<ClientView>, Trouble> {
    let q = Some(sought.to_owned()).filter(|q| !q.is_empty());
    let (statuses, tags, after) = (Vec::new(), Vec::new(), None);
    let query = ClientQuery { campaign: id, q, statuses, tags, after, limit: 1 };
    Ok(state.store().clients(&query).await?.items.pop())
}

pub(super) async fn preview(
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
            Rendered::Transfer(number) => ("hands over to", number.to_string()),
            Rendered::Record(record) => ("records", message(record)),
        });
    }
    if let Some(message) = heard.voicemail_message {
        let heard = match message {
            Rendered::Say { text, .. } => text,
            Rendered::Play(audio) => audio_name(state, audio).await?,
            _ => String::new(),
        };
        lines.push(("on a voicemail", heard));
    }
    Ok(lines)
}

async fn audio_name(state: &ApiState, audio: AudioId) -> Result<String, Trouble> {
    let audio = state.store().audio(audio).await?;
    Ok(audio.map_or_else(|| "an audio that is gone".to_owned(), |audio| audio.name))
}

//! The last step: what would happen if the campaign started now.

use askama::Template;
use axum::extract::State;
use callcore::campaign::RunState;
use callcore::client::ClientStatus;
use callcore::id::CampaignId;
use callcore::port::CampaignView;
use callcore::preview::SECONDS_A_CALL;

use super::super::campaign::changes::short;
use super::super::campaign::existing;
use super::super::frame::{Answer, Shell, Visit, page};
use super::super::when::{When, count, counted};
use super::super::words;
use super::{Setup, Step};
use crate::api::campaigns::preview::outlook;
use crate::request::Id;
use crate::state::ApiState;

/// How many zones are listed, those with the most clients.
const ZONES: usize = 20;

#[derive(Template)]
#[template(path = "setup/start.html")]
struct StartPage {
    shell: Shell,
    setup: Setup,
    clients: String,
    called: String,
    /// Who is left out, and why.
    skipped: String,
    reasons: Vec<(String, String)>,
    first: Option<When>,
    last: Option<When>,
    pace: String,
    zones: Vec<ZoneRow>,
    missing: Vec<(String, String, bool)>,
    /// What has to be done before it can start.
    obstacles: Vec<Obstacle>,
    settings: Vec<(&'static str, String)>,
    all_stopped: bool,
}

struct ZoneRow {
    zones: String,
    clients: String,
    first: When,
}

struct Obstacle {
    words: &'static str,
    /// None if the visitor may not go there.
    href: Option<String>,
    link: &'static str,
}

pub(super) async fn show(
    State(state): State<ApiState>,
    visit: Visit,
    Id(id): Id<CampaignId>,
) -> Answer {
    let view = existing(&state, id).await?;
    let settings = &view.campaign.settings;
    let outlook = outlook(&state, &view, visit.now).await?;
    let mut reasons: Vec<(String, u64)> = outlook
        .left_out
        .iter()
        .map(|(reason, clients)| (words::cancel_reason(*reason).to_owned(), *clients))
        .collect();
    // Some are left alone whatever the rules say now: no call is scheduled for them.
    for (status, words) in [
        (ClientStatus::OnDnc, words::cancel_reason(callcore::call::CancelReason::OnDnc)),
        (ClientStatus::OptedOut, "the person opted out"),
        (ClientStatus::Inactive, words::cancel_reason(callcore::call::CancelReason::Inactive)),
        (ClientStatus::NoConsent, words::cancel_reason(callcore::call::CancelReason::NoConsent)),
        (ClientStatus::Skipped, "somebody skipped the person"),
    ] {
        let clients = view.progress.clients.get(&status).copied().unwrap_or_default();
        match reasons.iter_mut().find(|(known, _)| known == words) {
            _ if clients == 0 => {}
            Some((_, sum)) => *sum += clients,
            None => reasons.push((words.to_owned(), clients)),
        }
    }
    let skipped: u64 = reasons.iter().map(|(_, clients)| clients).sum();
    let mut zones: Vec<(u64, ZoneRow)> = outlook
        .zones
        .iter()
        .map(|(zones, there)| {
            let row = ZoneRow {
                zones: zones.join(", "),
                clients: count(there.clients),
                first: visit.when(there.first_due_at),
            };
            (there.clients, row)
        })
        .collect();
    zones.sort_by_key(|(clients, _)| std::cmp::Reverse(*clients));
    let setup = Setup::new(&state, &visit, &view, Step::Start);
    let missing = outlook.missing.iter().map(|(field, missing)| {
        (field.clone(), counted(missing.clients, "person has", "people have"), missing.has_default)
    });
    Ok(page(&StartPage {
        shell: setup.shell(&state, &visit),
        clients: count(view.progress.client_count()),
        called: count(outlook.called),
        skipped: count(skipped),
        reasons: reasons.into_iter().map(|(words, clients)| (words, count(clients))).collect(),
        first: outlook.first_due_at.map(|at| visit.when(at)),
        last: outlook.last_due_at.map(|at| visit.when(at)),
        pace: format!(
            "{} calls a minute, {SECONDS_A_CALL} seconds each",
            pace(outlook.calls_per_second * 60.0)
        ),
        zones: zones.into_iter().take(ZONES).map(|(_, row)| row).collect(),
        missing: missing.collect(),
        obstacles: obstacles(&visit, &view),
        settings: short(words::settings(settings)),
        all_stopped: state.store().account().await?.stopped.is_some(),
        setup,
    }))
}

fn pace(a_minute: f64) -> String {
    if a_minute < 10.0 { format!("{a_minute:.1}") } else { format!("{a_minute:.0}") }
}

fn obstacles(visit: &Visit, view: &CampaignView) -> Vec<Obstacle> {
    let (id, state) = (view.campaign.id, view.campaign.state);
    if state != RunState::Draft {
        let href = Some(format!("/campaigns/{id}"));
        let words = "The campaign was started already.";
        return vec![Obstacle { words, href, link: "To the campaign" }];
    }
    let step = |words, step: Step, link| {
        let href = (visit.principal.role >= step.role()).then(|| step.path(id));
        Obstacle { words, href, link }
    };
    let mut obstacles = Vec::new();
    if view.progress.client_count() == 0 {
        obstacles.push(step("There is nobody to call yet.", Step::List, "Add a list"));
    }
    if view.campaign.settings.script.steps.is_empty() {
        let words = "Whoever answers would hear nothing.";
        obstacles.push(step(words, Step::Script, "Write the script"));
    }
    obstacles
}

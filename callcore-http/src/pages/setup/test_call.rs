//! Trying the script on one's own phone.

use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use callcore::actor::Role;
use callcore::campaign::{FieldError, RunState};
use callcore::id::{CallId, CampaignId};
use callcore::phone::PhoneNumber;
use callcore::port::{ActError, CampaignView, Refused};

use super::super::campaign::existing;
use super::super::form::{Errors, Form};
use super::super::frame::{Answer, Shell, Trouble, Visit, done, page, page_with};
use super::super::rows::CallRow;
use super::script::sample_client;
use super::{Setup, Step};
use crate::query::Query;
use crate::request::Id;
use crate::state::ApiState;

#[derive(Template)]
#[template(path = "setup/test.html")]
struct TestPage {
    shell: Shell,
    setup: Setup,
    phone: String,
    sample: String,
    says_nothing: bool,
    stopped: bool,
    call: Option<CallRow>,
    live: bool,
    errors: Errors,
}

pub(super) async fn show(
    State(state): State<ApiState>,
    visit: Visit,
    Id(id): Id<CampaignId>,
    mut query: Query,
) -> Answer {
    let call: Option<CallId> = query.one("call", |text| text.parse().ok());
    query.finish()?;
    visit.require(Role::Operator)?;
    let view = existing(&state, id).await?;
    let call = match call {
        Some(call) => state.store().call(call).await?.filter(|it| it.call.campaign == Some(id)),
        None => None,
    };
    let mut test = test_page(&state, &visit, &view, Errors::default());
    test.live = call.as_ref().is_some_and(|it| it.call.outcome().is_none());
    test.call = call.map(|view| CallRow::of(&view, &visit));
    if test.live {
        test.shell = test.shell.live();
    }
    Ok(page(&test))
}

fn test_page(state: &ApiState, visit: &Visit, view: &CampaignView, errors: Errors) -> TestPage {
    let setup = Setup::new(state, visit, view, Step::Test);
    TestPage {
        shell: setup.shell(state, visit),
        setup,
        phone: String::new(),
        sample: String::new(),
        says_nothing: view.campaign.settings.script.steps.is_empty(),
        stopped: view.campaign.state == RunState::Stopped,
        call: None,
        live: false,
        errors,
    }
}

pub(super) async fn make(
    State(state): State<ApiState>,
    visit: Visit,
    Id(id): Id<CampaignId>,
    form: Form,
) -> Answer {
    visit.require(Role::Operator)?;
    let view = existing(&state, id).await?;
    let (text, sought) = (form.text("phone"), form.text("sample"));
    let again = |field: &str, words: &str| -> Response {
        let errors = Errors(vec![FieldError::new(field, "invalid", words)]);
        let mut again = test_page(&state, &visit, &view, errors);
        (again.phone, again.sample) = (text.to_owned(), sought.to_owned());
        again.shell =
            again.shell.with_trouble("No call was made. What is wrong stands at the field.");
        page_with(StatusCode::UNPROCESSABLE_ENTITY, &again)
    };
    let Ok(phone) = PhoneNumber::parse(text, &view.campaign.settings.default_region) else {
        return Ok(again("phone", "is no phone number that could be dialled"));
    };
    let sample = match sought {
        "" => None,
        sought => match sample_client(&state, id, sought).await? {
            Some(client) => Some(client.client.id),
            None => return Ok(again("sample", "nobody on the list has this name or number")),
        },
    };
    match state.desk().test_call(visit.by(), id, phone, sample).await {
        Ok(call) => {
            state.wake();
            let path = format!("{}?call={}", Step::Test.path(id), call.call.id);
            Ok(done(&path, "The call is on its way to your phone."))
        }
        Err(ActError::Refused(Refused::OnDnc)) => {
            Ok(again("phone", "the number is on the Do-Not-Call list, so it is not called"))
        }
        Err(error) => {
            let trouble = Trouble::from(error);
            let mut again = test_page(&state, &visit, &view, Errors::default());
            (again.phone, again.sample) = (text.to_owned(), sought.to_owned());
            again.shell = again.shell.with_trouble(trouble.sentence());
            Ok(page_with(trouble.status(), &again))
        }
    }
}

//! `POST /api/calls/{id}/result`: what a voice agent reports of its call, let in by the call's own
//! token alone.
//!
//! An opt-out in it holds whatever else is wrong with the report: a refusal then says `"opted_out":
//! true`. It holds even while the store is away: the number is not dialled from then on, and
//! the wish is kept beside the store until that takes it. The answer is then 503 with `Retry-After`
//! and `"opt_out_held": true`. The agent may say that the wish is noted; that the person is on the
//! list is true once the same request, sent again, is answered with 200. With `"opt_out_held": false`
//! the wish may be lost if the process ends before the store is back.

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;
use callcore::actor::{Actor, Role};
use callcore::call::{AgentResult, EventKind, Report, When};
use callcore::campaign::FieldError;
use callcore::id::CallId;
use callcore::opt_outs::HeldOptOut;
use callcore::port::{ActError, By, Effect};
use callcore::seal::{AgentsCall, RESULT_GRACE, TokenError};
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;

use super::existing;
use crate::act::{Act, Early};
use crate::auth::{Principal, bearer};
use crate::holding::{STORE_PATIENCE, keep};
use crate::problem::Problem;
use crate::request::{Change, Id};
use crate::state::ApiState;

/// How far an agent's clock may be ahead of ours, or behind.
const SKEW: TimeDelta = TimeDelta::minutes(5);

pub(crate) async fn handle(
    State(state): State<ApiState>,
    id: Result<Id<CallId>, Problem>,
    headers: HeaderMap,
    change: Change,
) -> Result<Response, Early> {
    let agents @ AgentsCall { call, phone } = let_in(&state, &headers).await?;
    let Id(id) = id?;
    if call != id {
        let detail = "the token is another call's";
        return Err(Problem::new(StatusCode::FORBIDDEN, "forbidden", detail).into());
    }
    let document = change.json()?;
    let reported = report(&state, id, &change, &document);
    let Some(opt_out) = AgentResult::opt_out_of(&document) else { return reported.await };
    let answered = async {
        match reported.await {
            Err(Early::Problem(problem)) if problem.status().is_client_error() => {
                Err(refused(&state, agents, &opt_out, problem).await?.into())
            }
            answer => answer,
        }
    };
    // A store that is away takes its time to say so: nobody is dialled meanwhile either.
    let _blocked = phone.map(|phone| state.opt_outs().block(phone));
    match tokio::time::timeout(STORE_PATIENCE, answered).await {
        Ok(Err(Early::Problem(problem))) if problem.status().is_server_error() => {}
        Ok(answer) => return answer,
        Err(_) => {}
    }
    let reports = vec![Report::ours(id, state.now(), EventKind::OptOut)];
    let is_held = keep(&state, HeldOptOut { phone, reports }).await;
    let detail = "the store is away: the result is not stored; send it again";
    let problem = Problem::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", detail);
    Err(problem.with("opt_out_held", is_held).into())
}

async fn report(
    state: &ApiState,
    id: CallId,
    change: &Change,
    document: &Value,
) -> Result<Response, Early> {
    // The scope of an idempotency key has the call in its path: each agent is alone in its own.
    let principal = Principal::new(Actor::Agent, Role::Viewer);
    let act = Act::begin(state, principal, change, StatusCode::OK).await?;
    let call = existing(state, id).await?.call;
    let result = AgentResult::read(document).map_err(Problem::fields)?;
    check_instants(&result, call.began(), act.now())?;
    let recorded = state.store().report_result(act.by(), id, &result).await;
    act.finish(recorded.map(|view| Effect::Result(Box::new(view)))).await
}

/// What a report is answered that is not taken; an opt-out in it holds nevertheless.
async fn refused(
    state: &ApiState,
    AgentsCall { call, phone }: AgentsCall,
    opt_out: &AgentResult,
    problem: Problem,
) -> Result<Problem, Problem> {
    let (store, now) = (&**state.store(), state.now());
    // Without the request's key: the mended report may come under it.
    let is_heard = match store.report_result(By::new(&Actor::Agent, now), call, opt_out).await {
        Ok(_) => true,
        Err(ActError::Refused(_)) => {
            let reports = vec![Report::ours(call, now, EventKind::OptOut)];
            HeldOptOut { phone, reports }.store(store, now).await?
        }
        Err(ActError::Store(error)) => return Err(error.into()),
    };
    if !is_heard {
        return Ok(problem);
    }
    state.wake();
    Ok(problem.with("opted_out", true))
}

/// The call whose agent asks.
async fn let_in(state: &ApiState, headers: &HeaderMap) -> Result<AgentsCall, Problem> {
    let sent = headers.get(header::AUTHORIZATION).and_then(|value| bearer(value.as_bytes()));
    let unauthorized =
        |code: &'static str, detail: &str| Problem::new(StatusCode::UNAUTHORIZED, code, detail);
    let missing = || unauthorized("not_signed_in", "send the call's own token as a bearer token");
    let token = sent.ok_or_else(missing)?;
    state.sealer().await?.call_of(token, state.wall_now()).map_err(|error| match error {
        TokenError::Forged => missing(),
        TokenError::Expired => unauthorized("token_expired", "the call's token ended"),
    })
}

/// Whether lines are told by instants at which the call can have been.
fn check_instants(
    result: &AgentResult,
    began: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Result<(), Problem> {
    let possible = began - SKEW..=now.max(began + RESULT_GRACE) + SKEW;
    let lines = result.transcript.iter().enumerate();
    let errors: Vec<FieldError> = lines
        .filter(|(_, line)| matches!(line.when, When::At(at) if !possible.contains(&at)))
        .map(|(index, _)| {
            let words = "is no instant of this call";
            FieldError::new(format!("transcript[{index}].at"), "out_of_range", words)
        })
        .collect();
    if errors.is_empty() { Ok(()) } else { Err(Problem::fields(errors)) }
}

#[cfg(test)]
mod tests {
    use axum::http::StatusCode;
    use callcore::id::CallId;
    use serde_json::{Value, json};

    use crate::testing::{Answer, World};

    /// A world with a call that was placed, and the token of its agent.
    async fn world() -> (World, String, String) {
        let world = World::new();
        let id = world.loaded(2).await;
        world.post(&format!("/api/campaigns/{id}/start"), json!({})).await;
        let call = world.calls().await.remove(0);
        world.dial_all().await;
        let token = token(&world, &call).await;
        (world, call, token)
    }

    async fn token(world: &World, call: &str) -> String {
        let sealer = world.state.sealer().await.unwrap();
        sealer.result(call.parse::<CallId>().unwrap(), None, world.state.wall_now())
    }

    async fn report(world: &World, call: &str, token: &str, body: Value) -> Answer {
        let request = world.request("POST", &format!("/api/calls/{call}/result")).anonymous();
        request.header("authorization", &format!("Bearer {token}")).json(body).send().await
    }

    fn body() -> Value {
        json!({
            "transcript": [
                {"speaker": "agent", "offset_seconds": 1, "text": "Shall we go on?"},
                {"speaker": "client", "offset_seconds": 4, "text": "Please don't call again."},
            ],
            "disposition": "declined", "tags": ["agent"], "opt_out": true, "note": "was polite",
        })
    }

    #[tokio::test]
    async fn a_result_is_in_force_before_it_is_answered_and_repeats_change_nothing() {
        let (world, call, token) = world().await;
        let answer = report(&world, &call, &token, body()).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
        assert_eq!((&answer.json["id"], &answer.json["opted_out"]), (&json!(call), &json!(true)));
        assert!(answer.json.get("phone").is_none(), "an agent learns no more than it was told");
        let dnc = world.get("/api/dnc").await.json;
        assert_eq!(dnc["items"][0]["source"], "opt_out");
        assert_eq!(report(&world, &call, &token, body()).await.json, answer.json);
        let shown = world.get(&format!("/api/calls/{call}")).await.json;
        assert_eq!(shown["transcript"].as_array().unwrap().len(), 2);
        assert_eq!(
            (&shown["disposition"], &shown["tags"][0]),
            (&json!("declined"), &json!("agent"))
        );
        assert_eq!(
            (&shown["notes"][0]["text"], &shown["notes"][0]["by"]),
            (&json!("was polite"), &json!("agent"))
        );
    }

    #[tokio::test]
    async fn only_the_calls_own_token_lets_in_and_it_ends() {
        let (world, call, token) = world().await;
        let other = world.calls().await;
        assert!(other.is_empty(), "both were dialled");
        let path = format!("/api/calls/{call}/result");
        let stranger = world.request("POST", &path).anonymous().json(body()).send().await;
        assert_eq!(stranger.status, StatusCode::UNAUTHORIZED);
        for (token, status) in [("admin", 401), ("", 401), (&token[2..], 401)] {
            assert_eq!(report(&world, &call, token, body()).await.status.as_u16(), status);
        }
        let entropy = callcore::time::SeededEntropy::new(1);
        let nobodys = CallId::new(world.state.now(), &entropy).to_string();
        let foreign = report(&world, &call, &self::token(&world, &nobodys).await, body()).await;
        assert_eq!((foreign.status, foreign.code()), (StatusCode::FORBIDDEN, "forbidden"));
        let unknown = report(&world, &nobodys, &self::token(&world, &nobodys).await, body()).await;
        assert_eq!(unknown.status, StatusCode::NOT_FOUND);
        let elsewhere = world.request("GET", &format!("/api/calls/{call}")).anonymous();
        let elsewhere = elsewhere.header("authorization", &format!("Bearer {token}")).send().await;
        assert_eq!(elsewhere.status, StatusCode::UNAUTHORIZED, "no other route takes it");
        world.clock.advance(chrono::TimeDelta::hours(2));
        let late = report(&world, &call, &token, body()).await;
        assert_eq!((late.status, late.code()), (StatusCode::UNAUTHORIZED, "token_expired"));
        assert!(world.get("/api/dnc").await.json["items"].as_array().unwrap().is_empty());
    }

    #[tokio::test]
    async fn what_is_wrong_is_refused_by_name_and_changes_nothing() {
        let (world, call, token) = world().await;
        let bad = json!({"transcript": [{"speaker": "dog", "text": "Wuff"}], "opt_out": 1, "x": 2});
        let bad = report(&world, &call, &token, bad).await;
        assert_eq!(bad.status, StatusCode::BAD_REQUEST);
        assert_eq!(
            bad.fields(),
            ["transcript[0].speaker", "transcript[0].offset_seconds", "opt_out", "x"]
        );
        let early = json!({"transcript": [{"speaker": "agent", "at": "2020-01-01T00:00:00Z", "text": "a"}]});
        let early = report(&world, &call, &token, early).await;
        assert_eq!(
            (early.status, early.fields()),
            (StatusCode::UNPROCESSABLE_ENTITY, vec!["transcript[0].at"])
        );
        assert!(world.get(&format!("/api/calls/{call}")).await.json["transcript"].is_null());
    }

    #[tokio::test]
    async fn an_opt_out_holds_whatever_else_is_wrong_with_its_report() {
        let (world, call, token) = world().await;
        let send = |body: Value| {
            let request = world.request("POST", &format!("/api/calls/{call}/result")).anonymous();
            let request = request.header("authorization", &format!("Bearer {token}"));
            request.header("idempotency-key", "r").json(body).send()
        };
        let mut bad = body();
        bad["transcript"][0]["text"] = json!(" ");
        let refused = send(bad).await;
        assert_eq!(refused.fields(), ["transcript[0].text"]);
        assert_eq!(refused.json["opted_out"], true);
        assert_eq!(world.get("/api/dnc").await.json["items"][0]["source"], "opt_out");
        assert!(world.get(&format!("/api/calls/{call}")).await.json["transcript"].is_null());
        assert_eq!(send(body()).await.status, StatusCode::OK, "and the mended one is taken");
        let maybe = report(&world, &call, &token, json!({"opt_out": "yes"})).await;
        assert!(maybe.json.get("opted_out").is_none());
    }

    #[tokio::test]
    async fn a_key_answers_again_and_refuses_another_body() {
        let (world, call, token) = world().await;
        let send = |body: Value| {
            let request = world.request("POST", &format!("/api/calls/{call}/result")).anonymous();
            let request = request.header("authorization", &format!("Bearer {token}"));
            request.header("idempotency-key", "r").json(body).send()
        };
        let (first, again) = (send(body()).await, send(body()).await);
        assert_eq!((first.status, &first.json), (StatusCode::OK, &again.json));
        assert_eq!(send(json!({})).await.code(), "idempotency_key_reused");
    }

    #[tokio::test]
    async fn an_opt_out_holds_also_under_a_key_that_was_used_before() {
        let (world, call, token) = world().await;
        let send = |body: Value| {
            let request = world.request("POST", &format!("/api/calls/{call}/result")).anonymous();
            let request = request.header("authorization", &format!("Bearer {token}"));
            request.header("idempotency-key", "r").json(body).send()
        };
        assert_eq!(send(json!({"tags": ["agent"]})).await.status, StatusCode::OK);
        let refused = send(json!({"opt_out": true})).await;
        assert_eq!(refused.code(), "idempotency_key_reused");
        assert_eq!(refused.json["opted_out"], true);
        assert_eq!(world.get("/api/dnc").await.json["items"][0]["source"], "opt_out");
    }

    #[tokio::test]
    async fn an_opt_out_holds_also_in_a_call_that_the_store_does_not_know() {
        let (world, _, _) = world().await;
        let entropy = callcore::time::SeededEntropy::new(1);
        let call = CallId::new(world.state.now(), &entropy);
        let sealer = world.state.sealer().await.unwrap();
        let phone = "+12125550177".parse().ok();
        let token = sealer.result(call, phone, world.state.wall_now());
        let unknown = report(&world, &call.to_string(), &token, body()).await;
        assert_eq!(
            (unknown.status, &unknown.json["opted_out"]),
            (StatusCode::NOT_FOUND, &json!(true))
        );
        let listed = world.get("/api/dnc").await.json;
        assert_eq!(listed["items"][0]["phone"], "+12125550177");
    }

    #[tokio::test]
    async fn a_call_that_waits_has_no_result() {
        let world = World::new();
        world.loaded(1).await;
        let call = world.calls().await.remove(0);
        let early = report(&world, &call, &token(&world, &call).await, body()).await;
        assert_eq!((early.status, early.code()), (StatusCode::CONFLICT, "call_state"));
    }
}

//! The history of calls, and the queue of those to come.

use askama::Template;
use axum::extract::{OriginalUri, State};
use callcore::call::{Direction, Outcome, Review};
use callcore::port::{CallOrder, CallQuery, CallSort, Cursor};

use super::ROWS;
use super::form::Choice;
use super::frame::{Answer, Shell, Visit, page};
use super::rows::{CallRow, campaign_choices};
use super::words;
use crate::query::Query;
use crate::state::ApiState;

#[derive(Template)]
#[template(path = "history.html")]
struct HistoryPage {
    shell: Shell,
    live: bool,
    filter: HistoryFilter,
    calls: Vec<CallRow>,
    paged: bool,
    first: String,
    next: Option<String>,
}

struct HistoryFilter {
    q: String,
    campaigns: Vec<Choice>,
    outcomes: Vec<Choice>,
    directions: Vec<Choice>,
    reviews: Vec<Choice>,
    from: String,
    to: String,
    oldest_first: bool,
    on: bool,
}

pub(super) async fn history(
    State(state): State<ApiState>,
    visit: Visit,
    OriginalUri(uri): OriginalUri,
    mut query: Query,
) -> Answer {
    let campaign = query.one("campaign", |text| text.parse().ok());
    let outcome = query.one("outcome", Outcome::parse);
    let direction = query.one("direction", Direction::parse);
    let review = query.one("review", Review::parse);
    let q = query.q();
    let (order, after) = query.call_order(&[CallSort::Date]);
    let order = order.unwrap_or(CallOrder::NEWEST_FIRST);
    let dates = [date(&uri, "from"), date(&uri, "to")];
    let between = query.instants(&visit.zone);
    query.finish()?;
    let list = state
        .store()
        .history(&CallQuery {
            q: q.clone(),
            campaigns: campaign.into_iter().collect(),
            outcomes: outcome.into_iter().collect(),
            reviews: review.into_iter().collect(),
            directions: direction.into_iter().collect(),
            from: between.from,
            to: between.to,
            order: Some(order),
            after: after.clone(),
            limit: ROWS,
            ..CallQuery::default()
        })
        .await?;
    let [from, to] = dates;
    let on = q.is_some()
        || campaign.is_some()
        || outcome.is_some()
        || direction.is_some()
        || review.is_some()
        || between.from.is_some()
        || between.to.is_some();
    let live = after.is_none() && order == CallOrder::NEWEST_FIRST;
    let shell = visit.shell(&state, "Call history", "/calls/history");
    Ok(page(&HistoryPage {
        shell: if live { shell.live() } else { shell },
        live,
        filter: HistoryFilter {
            q: q.unwrap_or_default(),
            campaigns: campaign_choices(&state, campaign).await?,
            outcomes: choices(Outcome::ALL, outcome, |it| (it.as_str(), words::outcome(it).label)),
            directions: choices(Direction::ALL, direction, |it| {
                (it.as_str(), words::direction(it))
            }),
            reviews: choices(Review::ALL, review, |it| (it.as_str(), words::review(it))),
            from,
            to,
            oldest_first: order == CallOrder::OLDEST_FIRST,
            on,
        },
        calls: CallRow::all(&list.items, &visit),
        paged: after.is_some(),
        first: continued(&uri, None),
        next: list.next.map(|cursor| continued(&uri, Some(cursor))),
    }))
}

#[derive(Template)]
#[template(path = "upcoming.html")]
struct UpcomingPage {
    shell: Shell,
    live: bool,
    filter: UpcomingFilter,
    calls: Vec<CallRow>,
    paged: bool,
    first: String,
    next: Option<String>,
}

struct UpcomingFilter {
    q: String,
    campaigns: Vec<Choice>,
    on: bool,
}

pub(super) async fn upcoming(
    State(state): State<ApiState>,
    visit: Visit,
    OriginalUri(uri): OriginalUri,
    mut query: Query,
) -> Answer {
    let campaign = query.one("campaign", |text| text.parse().ok());
    let (q, after) = (query.q(), query.cursor());
    query.finish()?;
    let list = state
        .store()
        .upcoming(&CallQuery {
            q: q.clone(),
            campaigns: campaign.into_iter().collect(),
            after: after.clone(),
            limit: ROWS,
            ..CallQuery::default()
        })
        .await?;
    let live = after.is_none();
    let shell = visit.shell(&state, "Upcoming calls", "/calls/upcoming");
    Ok(page(&UpcomingPage {
        shell: if live { shell.live() } else { shell },
        live,
        filter: UpcomingFilter {
            on: q.is_some() || campaign.is_some(),
            q: q.unwrap_or_default(),
            campaigns: campaign_choices(&state, campaign).await?,
        },
        calls: CallRow::all(&list.items, &visit),
        paged: after.is_some(),
        first: continued(&uri, None),
        next: list.next.map(|cursor| continued(&uri, Some(cursor))),
    }))
}

fn choices<T: Copy + PartialEq>(
    all: &[T],
    chosen: Option<T>,
    tell: impl Fn(T) -> (&'static str, &'static str),
) -> Vec<Choice> {
    let choice = |it: &T| {
        let (value, label) = tell(*it);
        Choice::new(value, label, Some(*it) == chosen)
    };
    all.iter().map(choice).collect()
}

/// A date as the form sent it, to stand in its field again.
fn date(uri: &axum::http::Uri, key: &str) -> String {
    let pairs = uri.query().unwrap_or_default().split('&');
    let mut values = pairs.filter_map(|pair| pair.strip_prefix(key)?.strip_prefix('='));
    values
        .next()
        .filter(|value| value.parse::<chrono::NaiveDate>().is_ok())
        .unwrap_or("")
        .to_owned()
}

/// The same list from another place on.
fn continued(uri: &axum::http::Uri, cursor: Option<Cursor>) -> String {
    let pairs = uri.query().unwrap_or_default().split('&');
    let pairs = pairs.filter(|pair| !pair.is_empty() && !pair.starts_with("cursor="));
    let mut query: Vec<String> = pairs.map(str::to_owned).collect();
    query.extend(cursor.map(|cursor| format!("cursor={cursor}")));
    format!("{}?{}", uri.path(), query.join("&"))
}

//! The history of calls: searched, filtered, sorted, reviewed, exported.

mod many;

use askama::Template;
use axum::extract::{OriginalUri, State};
use axum::http::Uri;
use callcore::port::{CallOrder, CallQuery, CallSort};
use chrono::{DateTime, TimeDelta, Utc};

use super::ROWS;
use super::form::Choice;
use super::frame::{Answer, Shell, Visit, encoded, page};
use super::list::{Options, continued, query as query_of, with};
use super::rows::{CallRow, campaigns_among};
use crate::api::calls::history::wanted;
use crate::query::Query;
use crate::state::ApiState;

pub(super) use many::many;

#[derive(Template)]
#[template(path = "history.html")]
struct HistoryPage {
    shell: Shell,
    live: bool,
    filter: Filter,
    sorts: Vec<Choice>,
    by: By,
    calls: Vec<CallRow>,
    back: String,
    export: String,
    paged: bool,
    first: String,
    next: Option<String>,
    next_label: &'static str,
}

struct Filter {
    q: String,
    campaigns: Options,
    outcomes: Options,
    directions: Options,
    reviews: Options,
    tags: Vec<String>,
    from: String,
    to: String,
    on: bool,
}

/// The headers that sort.
struct By {
    date: Sort,
    name: Sort,
    duration: Sort,
}

/// A header that sorts: where it leads, and how the list is sorted by it now.
struct Sort {
    href: String,
    aria: &'static str,
    arrow: &'static str,
}

/// Every order, by the word in the address.
const ORDERS: [(&str, &str, CallOrder); 6] = [
    ("-date", "newest first", CallOrder::NEWEST_FIRST),
    ("date", "oldest first", CallOrder::OLDEST_FIRST),
    ("name", "by name, A to Z", CallOrder { by: CallSort::Name, descending: false }),
    ("-name", "by name, Z to A", CallOrder { by: CallSort::Name, descending: true }),
    ("-duration", "longest first", CallOrder { by: CallSort::Duration, descending: true }),
    ("duration", "shortest first", CallOrder { by: CallSort::Duration, descending: false }),
];

impl Sort {
    /// A header that first sorts in one order, and by a second click in the opposite one.
    fn new(uri: &Uri, first: CallOrder, now: CallOrder) -> Self {
        let on = now.by == first.by;
        let order = CallOrder { descending: first.descending ^ (on && now == first), ..first };
        let word = ORDERS.iter().find(|it| it.2 == order).map(|it| it.0);
        let (aria, arrow) = match (on, now.descending) {
            (false, _) => ("none", ""),
            (true, true) => ("descending", " ↓"),
            (true, false) => ("ascending", " ↑"),
        };
        Self { href: with(uri, "sort", word), aria, arrow }
    }
}

pub(super) async fn show(
    State(state): State<ApiState>,
    visit: Visit,
    OriginalUri(uri): OriginalUri,
    mut query: Query,
) -> Answer {
    for (key, why) in [("limit", "a page has its own length"), ("zone", "a page has your own")] {
        if !query.texts(key).is_empty() {
            query.refuse(key, why);
        }
    }
    let wanted = CallQuery { limit: ROWS, ..wanted(&mut query, &visit.zone) };
    query.finish()?;
    let list = state.store().history(&wanted).await?;
    let order = wanted.order.unwrap_or(CallOrder::NEWEST_FIRST);
    let live = wanted.after.is_none() && order == CallOrder::NEWEST_FIRST;
    let shell = visit.shell(&state, "Call history", "/calls/history");
    let filtered = query_of(&uri, &["sort", "cursor"]);
    let zone = format!("zone={}", encoded(visit.zone.name()));
    let export: Vec<String> = query_of(&uri, &["cursor"]).into_iter().chain([zone]).collect();
    let day = |at: Option<DateTime<Utc>>| {
        at.map(|at| visit.zone.date(at).to_string()).unwrap_or_default()
    };
    let ascending = |by| CallOrder { by, descending: false };
    let longest = CallOrder { by: CallSort::Duration, descending: true };
    Ok(page(&HistoryPage {
        shell: if live { shell.live() } else { shell },
        live,
        filter: Filter {
            q: wanted.q.unwrap_or_default(),
            campaigns: Options { choices: campaigns_among(&state, &wanted.campaigns).await? },
            outcomes: Options::outcomes(&wanted.outcomes),
            directions: Options::directions(&wanted.directions),
            reviews: Options::reviews(&wanted.reviews),
            // There is always a field for one.
            tags: if wanted.tags.is_empty() { vec![String::new()] } else { wanted.tags },
            from: day(wanted.from),
            // The first instant that no longer counts.
            to: day(wanted.to.map(|to| to - TimeDelta::seconds(1))),
            on: !filtered.is_empty(),
        },
        sorts: ORDERS
            .iter()
            .map(|(word, label, it)| Choice::new(word, *label, *it == order))
            .collect(),
        by: By {
            date: Sort::new(&uri, CallOrder::NEWEST_FIRST, order),
            name: Sort::new(&uri, ascending(CallSort::Name), order),
            duration: Sort::new(&uri, longest, order),
        },
        calls: CallRow::all(&list.items, &visit),
        back: uri.path_and_query().map_or_else(String::new, ToString::to_string),
        export: format!("/api/calls/export?{}", export.join("&")),
        paged: wanted.after.is_some(),
        first: continued(&uri, None),
        next: list.next.map(|cursor| continued(&uri, Some(cursor))),
        next_label: match (order.by, order.descending) {
            (CallSort::Date, true) => "Older calls",
            (CallSort::Date, false) => "Newer calls",
            _ => "More calls",
        },
    }))
}

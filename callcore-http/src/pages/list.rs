//! What lists of calls share: links to other parts of the same list, and what was done to many.

use axum::http::Uri;
use callcore::call::{Direction, Outcome, Review};
use callcore::id::CallId;
use callcore::port::{Acted, Cursor};
use serde_json::{Value, json};

use super::call::refusal;
use super::form::{Choice, Form};
use super::frame::Visit;
use super::rows::shown;
use super::words;
use crate::state::ApiState;

/// How many refusals a page names.
const NAMED: usize = 3;

/// The same list from another place on.
pub(super) fn continued(uri: &Uri, cursor: Option<Cursor>) -> String {
    with(uri, "cursor", cursor.map(|cursor| cursor.to_string()).as_deref())
}

/// The same list, from its start, with another value of a key, or without the key.
pub(super) fn with(uri: &Uri, key: &str, value: Option<&str>) -> String {
    let query = query(uri, &[key, "cursor"]);
    let own = value.map(|value| format!("{key}={value}"));
    let all: Vec<String> = query.into_iter().chain(own).collect();
    if all.is_empty() {
        return uri.path().to_owned();
    }
    format!("{}?{}", uri.path(), all.join("&"))
}

/// The pairs of the query that say something, without those of some keys.
pub(super) fn query(uri: &Uri, without: &[&str]) -> Vec<String> {
    let pairs = uri.query().unwrap_or_default().split('&');
    let said = pairs.filter(|pair| {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        !value.is_empty() && !without.contains(&key)
    });
    said.map(str::to_owned).collect()
}

/// A filter of a list.
pub(super) struct Options {
    pub(super) choices: Vec<Choice>,
}

impl Options {
    /// Whether more than one of them is chosen; a form with room for one would lose the others.
    pub(super) fn several(&self) -> bool {
        self.choices.iter().filter(|choice| choice.chosen).count() > 1
    }

    fn new<T: Copy + PartialEq>(
        all: &[T],
        chosen: &[T],
        tell: impl Fn(T) -> (&'static str, &'static str),
    ) -> Self {
        let choice = |it: &T| {
            let (value, label) = tell(*it);
            Choice::new(value, label, chosen.contains(it))
        };
        Self { choices: all.iter().map(choice).collect() }
    }

    pub(super) fn outcomes(chosen: &[Outcome]) -> Self {
        Self::new(Outcome::ALL, chosen, |it| (it.as_str(), words::outcome(it).label))
    }

    pub(super) fn directions(chosen: &[Direction]) -> Self {
        Self::new(Direction::ALL, chosen, |it| (it.as_str(), words::direction(it)))
    }

    pub(super) fn reviews(chosen: &[Review]) -> Self {
        Self::new(Review::ALL, chosen, |it| (it.as_str(), words::review(it)))
    }
}

/// The ids of the calls that were ticked, as the API reads them.
pub(super) fn ids(form: &Form) -> Value {
    json!(form.all("id"))
}

/// What became of many calls, in a sentence or two. `done` is what is said of those that went well.
pub(super) async fn outcome_of(
    state: &ApiState,
    visit: &Visit,
    acted: &[Acted],
    done: (&str, &str),
) -> Result<String, super::frame::Trouble> {
    let good = acted.iter().filter(|it| it.done.is_ok()).count() as u64;
    let mut said = format!("{}.", super::when::counted(good, done.0, done.1));
    let bad: Vec<&Acted> = acted.iter().filter(|it| it.done.is_err()).collect();
    if bad.is_empty() {
        return Ok(said);
    }
    let ids: Vec<CallId> = bad.iter().take(NAMED).map(|it| it.call).collect();
    let views = state.store().calls(&ids).await?;
    let mut told = Vec::new();
    for it in bad.iter().take(NAMED) {
        let Err(refused) = &it.done else { continue };
        let view = views.iter().find(|view| view.call.id == it.call);
        let name = view.and_then(|view| view.client_name.as_deref());
        told.push(format!("{}: {}", shown(name.unwrap_or_default()), refusal(*refused, visit)));
    }
    if bad.len() > told.len() {
        told.push(format!("and {} more", bad.len() - told.len()));
    }
    said.push_str(&format!(" Not done: {}.", told.join("; ")));
    Ok(said)
}

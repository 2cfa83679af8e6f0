//! The audit log: who did what, when, on which object, with old and new values.

mod values;
mod words;

use std::collections::BTreeMap;

use askama::Template;
use axum::extract::State;
use callcore::actor::{Actor, Role};
use callcore::id::{CampaignId, UserId};
use callcore::port::{AuditQuery, AuditRow};
use callcore::time::Zone;
use chrono::{DateTime, TimeDelta, Utc};

use self::values::{Changed, Room};
use super::form::Choice;
use super::frame::{Answer, Shell, Trouble, Visit, encoded, page};
use super::rows::shown;
use super::when::When;
use super::words::actor;
use crate::dto::instant;
use crate::query::Query;
use crate::state::ApiState;

/// How many rows a page has: each may show a dozen values.
const ROWS: u32 = 30;

/// The longest object that a row shows, in characters.
const MAX_OBJECT: usize = 80;

#[derive(Template)]
#[template(path = "audit.html")]
struct AuditPage {
    shell: Shell,
    filter: Filter,
    actions: Vec<Choice>,
    rows: Vec<Row>,
    first: String,
    next: Option<String>,
    paged: bool,
    export: String,
}

/// What somebody looks for.
#[derive(Debug, Default)]
struct Filter {
    who: String,
    object: String,
    action: Option<String>,
    from: String,
    to: String,
}

struct Row {
    at: When,
    actor: String,
    /// Where the rows of this actor are.
    of_actor: String,
    action: String,
    object: Object,
    changed: Changed,
}

/// What something was done to.
struct Object {
    text: String,
    /// Its page, where it has one.
    href: Option<String>,
    /// Where the rows of this object are.
    of_object: String,
}

pub(super) async fn show(State(state): State<ApiState>, visit: Visit, mut query: Query) -> Answer {
    visit.require(Role::Admin)?;
    let after = query.cursor();
    let stretch = query.instants(&visit.zone);
    let filter = Filter {
        who: query.text("actor").unwrap_or_default().trim().to_owned(),
        object: query.text("object").unwrap_or_default().trim().to_owned(),
        action: query.one("action", |text| words::is_action(text).then(|| text.to_owned())),
        from: date(stretch.from, &visit.zone, TimeDelta::zero()),
        // The day before the first one that is left out.
        to: date(stretch.to, &visit.zone, TimeDelta::seconds(1)),
    };
    query.finish()?;
    let paged = after.is_some();
    let wanted = AuditQuery {
        actors: actors(&filter.who),
        objects: Some(filter.object.clone()).filter(|it| !it.is_empty()).into_iter().collect(),
        actions: filter.action.clone().into_iter().collect(),
        from: stretch.from,
        to: stretch.to,
        after,
        limit: ROWS,
    };
    let found = state.store().audit(&wanted).await?;
    let names = Names::of(&state, &found.items).await?;
    let mut room = Room::of_a_page();
    let row = |row: &AuditRow| Row {
        at: visit.when(row.at),
        actor: actor(&row.actor),
        of_actor: format!("/audit?actor={}", encoded(&row.actor.to_string())),
        action: words::action(&row.action),
        object: names.object(row),
        changed: room.changed(row.old.as_ref(), row.new.as_ref()),
    };
    let rows = found.items.iter().map(row).collect();
    let first = filter.query();
    Ok(page(&AuditPage {
        shell: visit.shell(&state, "Audit", "/audit"),
        actions: words::choices(filter.action.as_deref()),
        rows,
        next: found.next.map(|cursor| format!("/audit?{first}cursor={cursor}")),
        first: format!("/audit?{first}"),
        paged,
        export: export(&wanted),
        filter,
    }))
}

impl Filter {
    fn is_on(&self) -> bool {
        self.action.is_some()
            || [&self.who, &self.object, &self.from, &self.to].iter().any(|it| !it.is_empty())
    }

    /// The filter as the beginning of a query.
    fn query(&self) -> String {
        let action = self.action.as_deref().unwrap_or_default();
        let fields = [
            ("actor", &*self.who),
            ("object", &self.object),
            ("action", action),
            ("from", &self.from),
            ("to", &self.to),
        ];
        let set = fields.into_iter().filter(|(_, text)| !text.is_empty());
        set.map(|(key, text)| format!("{key}={}&", encoded(text))).collect()
    }
}

/// An instant as the date that a field shows.
fn date(at: Option<DateTime<Utc>>, zone: &Zone, before: TimeDelta) -> String {
    at.map(|at| zone.date(at - before).to_string()).unwrap_or_default()
}

/// Whom a name may stand for: people write it as it is shown, or as the log keeps it.
fn actors(who: &str) -> Vec<Actor> {
    if who.is_empty() {
        return Vec::new();
    }
    if let Ok(actor) = who.parse() {
        return vec![actor];
    }
    let name = who.strip_suffix("(token)").unwrap_or(who).trim_end().to_owned();
    vec![Actor::User(name.clone()), Actor::Token(name)]
}

/// Where the rows are that the page lists, as a file.
fn export(wanted: &AuditQuery) -> String {
    let mut query = String::new();
    let mut put = |key: &str, text: &str| {
        query.push_str(&format!(
            "{}{key}={}",
            if query.is_empty() { "?" } else { "&" },
            encoded(text)
        ));
    };
    wanted.actors.iter().for_each(|actor| put("actor", &actor.to_string()));
    wanted.objects.iter().for_each(|object| put("object", object));
    wanted.actions.iter().for_each(|action| put("action", action));
    for (key, at) in [("from", wanted.from), ("to", wanted.to)] {
        if let Some(at) = at {
            put(key, &instant(at));
        }
    }
    format!("/api/audit/export{query}")
}

/// What the objects of some rows are called.
struct Names(BTreeMap<String, String>);

impl Names {
    async fn of(state: &ApiState, rows: &[AuditRow]) -> Result<Self, Trouble> {
        let mut names = BTreeMap::new();
        for AuditRow { object, action, .. } in rows {
            if names.contains_key(object) {
                continue;
            }
            let name = match action.split_once('.').map(|(kind, _)| kind) {
                Some("campaign") => match object.parse::<CampaignId>() {
                    Ok(id) => state
                        .store()
                        .campaign(id)
                        .await?
                        .map(|it| it.campaign.settings.name.clone()),
                    Err(_) => None,
                },
                Some("user") => match object.parse::<UserId>() {
                    Ok(id) => state.store().user_view(id).await?.map(|it| it.user.name),
                    Err(_) => None,
                },
                _ => None,
            };
            if let Some(name) = name {
                names.insert(object.clone(), name);
            }
        }
        Ok(Self(names))
    }

    fn object(&self, row: &AuditRow) -> Object {
        let AuditRow { object, action, .. } = row;
        let of_object = format!("/audit?object={}", encoded(object));
        let known = self.0.get(object);
        let kind = action.split_once('.').map_or(&**action, |(kind, _)| kind);
        let href = match kind {
            "campaign" if known.is_some() => Some(format!("/campaigns/{object}")),
            "call" | "transcript" | "recording" => Some(format!("/calls/{object}")),
            _ => None,
        };
        let field =
            if action.ends_with("import") || kind == "import" { "file_name" } else { "name" };
        let told = [&row.new, &row.old].into_iter().flatten().find_map(|it| it[field].as_str());
        let text = match (known, told) {
            (Some(name), _) => shown(name),
            // What is gone, and files, have their name in the row.
            (None, Some(name)) if matches!(kind, "token" | "audio" | "import" | "dnc") => {
                shown(name)
            }
            _ => object.chars().take(MAX_OBJECT).collect(),
        };
        Object { text, href, of_object }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_looked_for_as_it_is_shown_and_as_it_is_kept() {
        let both = |name: &str| vec![Actor::User(name.to_owned()), Actor::Token(name.to_owned())];
        assert_eq!(actors(""), []);
        assert_eq!(actors("ana"), both("ana"));
        assert_eq!(actors("CRM (token)"), both("CRM"));
        assert_eq!(actors("user:ana"), [Actor::User("ana".to_owned())]);
        assert_eq!(actors("system"), [Actor::System]);
    }

    #[test]
    fn the_export_has_what_the_page_lists() {
        let wanted = AuditQuery {
            actors: actors("ana"),
            objects: vec!["+12125550100".to_owned()],
            from: Some("2026-11-23T05:00:00Z".parse().unwrap()),
            ..AuditQuery::default()
        };
        let expected = "/api/audit/export?actor=user%3Aana&actor=token%3Aana\
            &object=%2B12125550100&from=2026-11-23T05%3A00%3A00Z";
        assert_eq!(export(&wanted), expected);
        assert_eq!(export(&AuditQuery::default()), "/api/audit/export");
    }
}

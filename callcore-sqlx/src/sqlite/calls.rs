use std::collections::BTreeSet;

use async_trait::async_trait;
use callcore::call::{CallEvent, Direction, Intent, Outcome, Retirement, Review, Skip};
use callcore::campaign::RunState;
use callcore::engine::{CallBrief, Facts, Stage};
use callcore::id::{CallId, ClientId};
use callcore::port::{
    ActError, By, CallOrder, CallQuery, CallSort, CallView, Calls, Cursor, Effect, NewCall, Page,
    Refused, SkipThen, StoreError,
};
use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use sqlx::sqlite::SqliteRow;
use sqlx::{QueryBuilder, Row, Sqlite, SqliteConnection};
use uuid::Uuid;

use super::account::account_facts;
use super::facts;
use super::fail::Fail;
use super::open::SqliteStore;
use super::read;
use super::row::{Table, digits, document, ids, instant, micros};
use super::search::{Needle, cut, push_key};
use super::work::{Next, Work};

/// Up to so many clients a search leads from them to their calls.
const FEW: i64 = 1_000;

#[async_trait]
impl Calls for SqliteStore {
    async fn call(&self, id: CallId) -> Result<Option<CallView>, StoreError> {
        let read = async {
            let mut conn = self.read().await?;
            read::call_view(&mut conn, &self.settings, id).await
        };
        read.await.map_err(|fail: Fail| fail.store("call"))
    }

    async fn calls(&self, ids: &[CallId]) -> Result<Vec<CallView>, StoreError> {
        let read = async {
            let mut conn = self.read().await?;
            read::call_views(&mut conn, &self.settings, ids).await
        };
        read.await.map_err(|fail: Fail| fail.store("calls"))
    }

    async fn events(&self, id: CallId) -> Result<Vec<CallEvent>, StoreError> {
        self.events_of(id).await.map_err(|fail| fail.store("events"))
    }

    async fn facts(&self, id: CallId) -> Result<Option<Facts>, StoreError> {
        let read = async {
            let mut conn = self.read().await?;
            let now = read::latest_instant(&mut conn).await?.unwrap_or(DateTime::UNIX_EPOCH);
            let account = std::sync::Arc::new(account_facts(&mut conn, now).await?);
            Ok(facts::facts(&mut conn, &self.settings, &[id], &account, now).await?.pop())
        };
        read.await.map_err(|fail: Fail| fail.store("facts"))
    }

    async fn history(&self, query: &CallQuery) -> Result<Page<CallView>, StoreError> {
        self.history_page(query).await.map_err(|fail| fail.store("history"))
    }

    async fn upcoming(&self, query: &CallQuery) -> Result<Page<CallView>, StoreError> {
        self.upcoming_page(query).await.map_err(|fail| fail.store("upcoming"))
    }

    async fn call_now(&self, by: By<'_>, id: CallId) -> Result<CallView, ActError> {
        let done = self.move_call(by, id, Intent::Person, by.now).await;
        done.map_err(|fail| fail.act("call_now"))
    }

    async fn skip(
        &self,
        by: By<'_>,
        id: CallId,
        skip: Skip,
        then: SkipThen,
    ) -> Result<CallView, ActError> {
        self.skip_call(by, id, skip, then).await.map_err(|fail| fail.act("skip"))
    }

    async fn reschedule(
        &self,
        by: By<'_>,
        id: CallId,
        due_at: DateTime<Utc>,
    ) -> Result<CallView, ActError> {
        let done = self.move_call(by, id, Intent::Rescheduled, due_at).await;
        done.map_err(|fail| fail.act("reschedule"))
    }

    async fn retry(&self, by: By<'_>, id: CallId, new: NewCall) -> Result<CallView, ActError> {
        self.retry_call(by, id, new).await.map_err(|fail| fail.act("retry"))
    }
}

impl SqliteStore {
    async fn events_of(&self, id: CallId) -> Result<Vec<CallEvent>, Fail> {
        let mut conn = self.read().await?;
        let bodies: Vec<String> =
            sqlx::query_scalar("select body from call_events where call = ?1")
                .bind(id.uuid())
                .fetch_all(&mut *conn)
                .await?;
        let events: BTreeSet<CallEvent> =
            bodies.iter().map(|body| document(body, "event")).collect::<Result<_, _>>()?;
        Ok(events.into_iter().collect())
    }

    async fn history_page(&self, query: &CallQuery) -> Result<Page<CallView>, Fail> {
        let mut conn = self.read().await?;
        let order = query.order.unwrap_or(CallOrder::NEWEST_FIRST);
        let mut sql = QueryBuilder::<Sqlite>::new("select id, ");
        sql.push(sorted_by(order.by, "ended_at")).push(" as key from history where true");
        push_filters(&mut conn, &mut sql, query, ("history", "ended_at")).await?;
        // The outcome has an index in the order of dates alone.
        let outcome = if order.by == CallSort::Date { "outcome" } else { "+outcome" };
        push_words(&mut sql, outcome, query.outcomes.iter().copied().map(Outcome::as_str));
        push_words(&mut sql, "review", query.reviews.iter().copied().map(Review::as_str));
        push_words(&mut sql, "direction", query.directions.iter().copied().map(Direction::as_str));
        push_order(&mut sql, query, order, "ended_at");
        self.call_page(&mut conn, sql, query.limit, order.by).await
    }

    async fn upcoming_page(&self, query: &CallQuery) -> Result<Page<CallView>, Fail> {
        // What only ended calls have, no call to come has.
        let others = !query.outcomes.is_empty()
            || (!query.reviews.is_empty() && !query.reviews.contains(&Review::Unreviewed))
            || (!query.directions.is_empty() && !query.directions.contains(&Direction::Outbound));
        if others {
            return Ok(Page { items: Vec::new(), next: None });
        }
        let mut conn = self.read().await?;
        let mut sql =
            QueryBuilder::<Sqlite>::new("select id, due_at as key from due where serving = 1");
        push_filters(&mut conn, &mut sql, query, ("due", "due_at")).await?;
        let order = query.order.unwrap_or(CallOrder::OLDEST_FIRST);
        let order = CallOrder { by: CallSort::Date, ..order };
        push_order(&mut sql, query, order, "due_at");
        self.call_page(&mut conn, sql, query.limit, order.by).await
    }

    async fn call_page(
        &self,
        conn: &mut SqliteConnection,
        mut sql: QueryBuilder<Sqlite>,
        limit: u32,
        by: CallSort,
    ) -> Result<Page<CallView>, Fail> {
        sql.push_bind(i64::from(limit) + 1);
        let rows = sql.build().fetch_all(&mut *conn).await?;
        let keys = rows.iter().map(|row| place(row, by)).collect::<Result<Vec<_>, _>>()?;
        let page = cut(keys, limit, Cursor::clone);
        let wanted: Vec<CallId> = page.items.iter().map(|key| CallId::from_uuid(key.id)).collect();
        let items = read::call_views(conn, &self.settings, &wanted).await?;
        Ok(Page { items, next: page.next })
    }

    /// Gives a scheduled call another due time, by a person's wish.
    async fn move_call(
        &self,
        by: By<'_>,
        id: CallId,
        intent: Intent,
        due_at: DateTime<Utc>,
    ) -> Result<CallView, Fail> {
        let mut work = self.write().await?;
        work.enter(by).await?;
        let dials = intent == Intent::Person;
        let (client, _) = work.waiting(id, dials).await?;
        let old = work.calls.get(&id).map(|row| json!({"due_at": row.call.due_at}));
        work.change(id, |row| {
            row.call.intent = intent;
            row.call.by = by.actor.clone();
            row.call.due_at = due_at;
            row.changed = true;
        });
        let (action, new) = if dials {
            ("call.call_now", None)
        } else {
            ("call.reschedule", Some(json!({"due_at": due_at})))
        };
        work.call_changed(by, action, (id, client), old, new).await
    }

    async fn skip_call(
        &self,
        by: By<'_>,
        id: CallId,
        skip: Skip,
        then: SkipThen,
    ) -> Result<CallView, Fail> {
        let mut work = self.write().await?;
        work.enter(by).await?;
        let (client, attempt) = work.waiting(id, false).await?;
        let new = json!({"reason": skip.reason, "note": skip.note});
        work.retire(id, by.now, by.actor, Retirement::Skipped(skip));
        if let SkipThen::Next(next) = then {
            let next = Next { id: next.id, attempt, retry_of: Some(id), due_at: next.due_at };
            work.schedule(client, next, Intent::Rescheduled, by.actor.clone());
        }
        work.call_changed(by, "call.skip", (id, client), None, Some(new)).await
    }

    async fn retry_call(&self, by: By<'_>, id: CallId, new: NewCall) -> Result<CallView, Fail> {
        let mut work = self.write().await?;
        work.enter(by).await?;
        work.load_calls([id]).await?;
        let call = &work.calls.get(&id).ok_or(Refused::NotFound)?.call;
        if call.ended_at().is_none() {
            return Err(Refused::Call(call.status()).into());
        }
        let client_id = call.client.ok_or(Refused::NotFound)?;
        work.load_clients([client_id]).await?;
        let client = work.clients.get(&client_id).ok_or(Refused::NotFound)?;
        let state = work.campaign(client.campaign)?.state;
        if matches!(state, RunState::Draft | RunState::Stopped) {
            return Err(Refused::Campaign(state).into());
        }
        if client.erased.is_some() {
            return Err(Refused::Erased.into());
        }
        if work.covers(client) {
            return Err(Refused::OnDnc.into());
        }
        let open =
            |brief: &&CallBrief| matches!(brief.stage, Stage::Scheduled { .. } | Stage::Live);
        if let Some(open) = client.calls.values().find(open) {
            return Err(Refused::AlreadyScheduled(open.id).into());
        }
        let attempt = client.standing.attempts + 1;
        let next = Next { id: new.id, attempt, retry_of: Some(id), due_at: new.due_at };
        work.schedule(client_id, next, Intent::Person, by.actor.clone());
        let body = json!({"retry_of": id, "due_at": new.due_at});
        work.call_changed(by, "call.retry", (new.id, client_id), None, Some(body)).await
    }
}

/// The column a list is sorted by.
const fn sorted_by(by: CallSort, date: &'static str) -> &'static str {
    match by {
        CallSort::Date => date,
        CallSort::Name => "name_key",
        CallSort::Duration => "talk_seconds",
    }
}

/// Adds where a page begins and in which order it is, up to its limit.
fn push_order(
    sql: &mut QueryBuilder<Sqlite>,
    query: &CallQuery,
    order: CallOrder,
    date: &'static str,
) {
    let column = sorted_by(order.by, date);
    if let Some(after) = &query.after {
        sql.push(" and (").push(column).push(if order.descending {
            ", id) < ("
        } else {
            ", id) > ("
        });
        push_key(sql, &after.key);
        sql.push(", ").push_bind(after.id).push(")");
    }
    let direction = if order.descending { " desc" } else { "" };
    sql.push(" order by ").push(column).push(direction).push(", id").push(direction);
    sql.push(" limit ");
}

/// A call's place in its list.
fn place(row: &SqliteRow, by: CallSort) -> Result<Cursor, Fail> {
    let id = row.try_get("id")?;
    Ok(match by {
        CallSort::Date => Cursor::at(instant(row.try_get("key")?)?, id),
        CallSort::Name => Cursor::text(row.try_get("key")?, id),
        CallSort::Duration => Cursor::number(row.try_get::<i64, _>("key")?.cast_unsigned(), id),
    })
}

/// The filters that scheduled and ended calls share.
async fn push_filters(
    conn: &mut SqliteConnection,
    sql: &mut QueryBuilder<Sqlite>,
    query: &CallQuery,
    (table, at): (&'static str, &'static str),
) -> Result<(), Fail> {
    match &query.campaigns[..] {
        [] => {}
        [one] => {
            sql.push(" and campaign = ").push_bind(one.uuid());
        }
        several => {
            // The plus keeps to the order of dates: sorting every call of a few campaigns costs more
            // than passing over those of the others.
            sql.push(" and +campaign in (select unhex(value, '-') from json_each(");
            sql.push_bind(ids(several)).push("))");
        }
    }
    if let Some(client) = query.client {
        sql.push(" and client = ").push_bind(client.uuid());
    }
    if let Some(phone) = query.phone {
        sql.push(" and phone = ").push_bind(digits(phone));
    }
    for (bound, compared) in [(query.from, " >= "), (query.to, " < ")] {
        if let Some(bound) = bound {
            sql.push(" and ").push(at).push(compared).push_bind(micros(bound));
        }
    }
    if query.q.is_some() || !query.tags.is_empty() {
        let needle = query.q.as_deref().map(Needle::new);
        push_people(conn, sql, (needle.as_ref(), &query.tags), table).await?;
    }
    Ok(())
}

/// Adds a search for people and their tags. Few clients lead to their calls; if it finds many, a
/// page is soon full in whatever order.
async fn push_people(
    conn: &mut SqliteConnection,
    sql: &mut QueryBuilder<Sqlite>,
    (needle, tags): (Option<&Needle>, &[String]),
    table: &'static str,
) -> Result<(), Fail> {
    let tags = (!tags.is_empty()).then(|| Value::from(tags).to_string());
    let mut clients = QueryBuilder::<Sqlite>::new("select id from ");
    match &tags {
        // The order of the join is ours: from the tags to their clients.
        Some(tags) => clients
            .push("client_tags cross join clients on place = client_tags.client where tag in ")
            .push("(select value from json_each(")
            .push_bind(tags)
            .push("))"),
        None => clients.push("clients where true"),
    };
    if let Some(needle) = needle {
        clients.push(" and ");
        needle.push_clients(&mut clients);
    }
    clients.push(" limit ").push_bind(FEW + 1);
    let found: Vec<Uuid> = clients.build_query_scalar().fetch_all(conn).await?;
    // A stranger has a number, but neither a name nor tags.
    let strangers = needle.filter(|_| tags.is_none());
    if i64::try_from(found.len()).is_ok_and(|found| found <= FEW) {
        sql.push(" and id in (select id from ").push(table);
        sql.push(" where client in (select unhex(value, '-') from json_each(");
        sql.push_bind(ids(found)).push("))");
        if let Some(needle) = strangers {
            sql.push(" union all select id from ").push(table).push(" where client is null and ");
            needle.push_number(sql, "phone");
        }
        sql.push(")");
        return Ok(());
    }
    sql.push(" and (true");
    if let Some(needle) = needle {
        sql.push(" and +client in (select id from clients where ");
        needle.push_clients(sql);
        sql.push(")");
    }
    if let Some(tags) = tags {
        sql.push(
            " and exists (select 1 from clients join client_tags
                 on client_tags.client = clients.place and client_tags.campaign = clients.campaign
                 where clients.id = ",
        );
        sql.push(table).push(".client and tag in (select value from json_each(");
        sql.push_bind(tags).push(")))");
    }
    if let Some(needle) = strangers {
        sql.push(" or (client is null and ");
        needle.push_number(sql, "phone");
        sql.push(")");
    }
    sql.push(")");
    Ok(())
}

fn push_words(
    sql: &mut QueryBuilder<Sqlite>,
    column: &'static str,
    words: impl Iterator<Item = &'static str>,
) {
    let words: Vec<&str> = words.collect();
    match words[..] {
        [] => {}
        [one] => {
            sql.push(" and ").push(column).push(" = ").push_bind(one);
        }
        _ => {
            sql.push(" and +").push(column).push(" in (select value from json_each(");
            sql.push_bind(Value::from(words).to_string()).push("))");
        }
    }
}

impl Work<'_> {
    /// Loads a scheduled call that a person may still change; its client and its attempt.
    async fn waiting(&mut self, id: CallId, dials: bool) -> Result<(ClientId, u32), Fail> {
        self.load_calls([id]).await?;
        let call = &self.calls.get(&id).ok_or(Refused::NotFound)?.call;
        if Table::of(call) != Table::Due || call.claimed {
            return Err(Refused::Call(call.status()).into());
        }
        let attempt = call.attempt;
        let client = call.client.ok_or(Refused::NotFound)?;
        let campaign = call.campaign.ok_or(Refused::NotFound)?;
        self.load_clients([client]).await?;
        let state = self.campaign(campaign)?.state;
        if state == RunState::Stopped || (dials && state == RunState::Draft) {
            return Err(Refused::Campaign(state).into());
        }
        Ok((client, attempt))
    }

    /// Ends a change of a call: what follows for its client, the view as it now is, the audit row,
    /// the saved answer, the commit.
    async fn call_changed(
        mut self,
        by: By<'_>,
        action: &str,
        (id, client): (CallId, ClientId),
        old: Option<Value>,
        new: Option<Value>,
    ) -> Result<CallView, Fail> {
        self.follow_up(client, by.now);
        self.audit(by, action, id.to_string(), old, new).await?;
        self.flush().await?;
        let settings = self.settings;
        let view = read::call_view(self.conn(), settings, id).await?.ok_or(Refused::NotFound)?;
        self.leave(by, &Effect::Call(Box::new(view.clone()))).await?;
        self.commit().await?;
        Ok(view)
    }
}

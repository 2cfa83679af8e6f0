use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use callcore::call::{AgentResult, CallEvent, Direction, Intent, Outcome, Review, Skip};
use callcore::engine::Facts;
use callcore::id::CallId;
use callcore::port::{
    ActError, Acted, By, CallAct, CallOrder, CallQuery, CallSort, CallView, Calls, Cursor, Effect,
    NewCall, NewTestCall, Page, Refused, SkipThen, StoreError,
};
use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::sqlite::SqliteRow;
use sqlx::{QueryBuilder, Row, Sqlite, SqliteConnection};
use uuid::Uuid;

use super::account::account_facts;
use super::acts::Change;
use super::facts;
use super::fail::Fail;
use super::open::SqliteStore;
use super::read;
use super::row::{digits, document, ids, instant, micros};
use super::search::{Needle, cut, push_key};
use super::work::Work;

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

    async fn inbound_call(&self, carrier_call_id: &str) -> Result<Option<CallId>, StoreError> {
        let read = async {
            let mut conn = self.read().await?;
            let call = sqlx::query_scalar("select call from inbound where carrier_call_id = ?1")
                .bind(carrier_call_id)
                .fetch_optional(&mut *conn)
                .await?;
            Ok(call.map(CallId::from_uuid))
        };
        read.await.map_err(|fail: Fail| fail.store("inbound_call"))
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
        let done =
            self.do_one(by, async |work| work.move_call(by, id, Intent::Person, by.now).await);
        done.await.map_err(|fail| fail.act("call_now"))
    }

    async fn skip(
        &self,
        by: By<'_>,
        id: CallId,
        skip: Skip,
        then: SkipThen,
    ) -> Result<CallView, ActError> {
        let done = self.do_one(by, async |work| work.skip(by, id, skip, then).await);
        done.await.map_err(|fail| fail.act("skip"))
    }

    async fn reschedule(
        &self,
        by: By<'_>,
        id: CallId,
        due_at: DateTime<Utc>,
    ) -> Result<CallView, ActError> {
        let done =
            self.do_one(by, async |work| work.move_call(by, id, Intent::Rescheduled, due_at).await);
        done.await.map_err(|fail| fail.act("reschedule"))
    }

    async fn retry(&self, by: By<'_>, id: CallId, new: NewCall) -> Result<CallView, ActError> {
        let done = self.do_one(by, async |work| work.retry(by, id, new).await);
        done.await.map_err(|fail| fail.act("retry"))
    }

    async fn add_note(&self, by: By<'_>, id: CallId, text: &str) -> Result<CallView, ActError> {
        let done = self.do_one(by, async |work| work.add_note(by, id, text).await);
        done.await.map_err(|fail| fail.act("add_note"))
    }

    async fn review(
        &self,
        by: By<'_>,
        id: CallId,
        review: Review,
        disposition: Option<Option<String>>,
    ) -> Result<CallView, ActError> {
        let done = self.do_one(by, async |work| work.review(id, review, disposition).await);
        done.await.map_err(|fail| fail.act("review"))
    }

    async fn change_calls(
        &self,
        by: By<'_>,
        acts: &[(CallId, Result<CallAct, Refused>)],
    ) -> Result<Vec<Acted>, ActError> {
        self.do_many(by, acts).await.map_err(|fail| fail.act("change_calls"))
    }

    async fn test_call(&self, by: By<'_>, new: NewTestCall) -> Result<CallView, ActError> {
        self.add_test_call(by, new).await.map_err(|fail| fail.act("test_call"))
    }

    async fn report_result(
        &self,
        by: By<'_>,
        id: CallId,
        result: &AgentResult,
    ) -> Result<CallView, ActError> {
        self.record_result(by, id, result).await.map_err(|fail| fail.act("report_result"))
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
        let sql = history_sql(&mut conn, query, order).await?;
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

    /// Does one act: what follows for the client, the view as it then is, the audit row, the saved
    /// answer, the commit.
    pub(super) async fn do_one(
        &self,
        by: By<'_>,
        act: impl AsyncFnOnce(&mut Work<'_>) -> Result<Change, Fail>,
    ) -> Result<CallView, Fail> {
        let mut work = self.write().await?;
        work.enter(by).await?;
        let change = act(&mut work).await?;
        let id = change.id;
        work.changed(by, change).await?;
        work.flush().await?;
        let settings = work.settings;
        let view = read::call_view(work.conn(), settings, id).await?.ok_or(Refused::NotFound)?;
        work.leave(by, &Effect::Call(Box::new(view.clone()))).await?;
        work.commit().await?;
        Ok(view)
    }

    async fn do_many(
        &self,
        by: By<'_>,
        acts: &[(CallId, Result<CallAct, Refused>)],
    ) -> Result<Vec<Acted>, Fail> {
        let mut work = self.write().await?;
        work.enter(by).await?;
        work.load_calls(acts.iter().map(|(id, _)| *id)).await?;
        let clients: Vec<_> = work.calls.values().filter_map(|row| row.call.client).collect();
        work.load_clients(clients).await?;
        let mut refusals = BTreeMap::new();
        for (id, act) in acts {
            let change = match act.clone() {
                Err(refused) => Err(refused.into()),
                Ok(CallAct::Skip(skip)) => work.skip(by, *id, skip, SkipThen::End).await,
                Ok(CallAct::Reschedule(due_at)) => {
                    work.move_call(by, *id, Intent::Rescheduled, due_at).await
                }
                Ok(CallAct::Review(review)) => work.review(*id, review, None).await,
                Ok(CallAct::Tag(tags)) => work.tag(*id, tags).await,
            };
            match change {
                Ok(change) => work.changed(by, change).await?,
                Err(Fail::Refused(refused)) => {
                    refusals.insert(*id, refused);
                }
                Err(fail) => return Err(fail),
            }
        }
        work.flush().await?;
        let settings = work.settings;
        let wanted: Vec<CallId> = acts.iter().map(|(id, _)| *id).collect();
        let views = read::call_views(work.conn(), settings, &wanted).await?;
        let mut views: BTreeMap<CallId, CallView> =
            views.into_iter().map(|view| (view.call.id, view)).collect();
        let acted = wanted.into_iter().map(|call| {
            let done = match refusals.get(&call) {
                Some(refused) => Err(*refused),
                None => views.remove(&call).map(Box::new).ok_or(Refused::NotFound),
            };
            Acted { call, done }
        });
        let acted: Vec<Acted> = acted.collect();
        work.leave(by, &Effect::Calls(acted.clone())).await?;
        work.commit().await?;
        Ok(acted)
    }
}

/// A page of ended calls, up to its limit.
async fn history_sql(
    conn: &mut SqliteConnection,
    query: &CallQuery,
    order: CallOrder,
) -> Result<QueryBuilder<Sqlite>, Fail> {
    let mut sql = QueryBuilder::<Sqlite>::new("select id, ");
    sql.push(sorted_by(order.by, "ended_at")).push(" as key from history where true");
    push_filters(conn, &mut sql, query, ("history", "ended_at")).await?;
    // The outcome has an index in the order of dates alone.
    let outcome = if order.by == CallSort::Date { "outcome" } else { "+outcome" };
    push_words(&mut sql, outcome, query.outcomes.iter().copied().map(Outcome::as_str));
    push_words(&mut sql, "review", query.reviews.iter().copied().map(Review::as_str));
    push_words(&mut sql, "direction", query.directions.iter().copied().map(Direction::as_str));
    push_order(&mut sql, query, order, "ended_at");
    Ok(sql)
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

#[cfg(test)]
mod tests {
    use callcore::id::CampaignId;

    use super::super::open::OpenOptions;
    use super::*;

    /// How the database goes about a page of a history.
    async fn plan(store: &SqliteStore, query: &CallQuery, order: CallOrder) -> String {
        let mut conn = store.read().await.expect("a reader");
        let mut sql = history_sql(&mut conn, query, order).await.expect("a statement");
        sql.push_bind(51);
        let explained = format!("explain query plan {}", sql.sql().as_str());
        let explained = sqlx::query(sqlx::AssertSqlSafe(explained));
        let rows = explained.fetch_all(&mut *conn).await.expect("a plan");
        let steps = rows.iter().map(|row| row.get::<String, _>("detail"));
        steps.collect::<Vec<_>>().join("; ")
    }

    #[tokio::test]
    async fn no_page_of_a_history_sorts_what_it_does_not_show() {
        let directory = tempfile::TempDir::new().expect("a directory");
        let url = format!("sqlite://{}", directory.path().join("callcore.db").display());
        let store = SqliteStore::open(OpenOptions::new(url)).await.expect("a store");
        let campaign = vec![CampaignId::from_uuid(Uuid::from_u128(7))];
        for by in [CallSort::Date, CallSort::Name, CallSort::Duration] {
            let key = match by {
                CallSort::Date => Cursor::at(DateTime::UNIX_EPOCH, Uuid::nil()),
                CallSort::Name => Cursor::text("m".to_owned(), Uuid::nil()),
                CallSort::Duration => Cursor::number(7, Uuid::nil()),
            };
            for (campaigns, outcomes) in [
                (vec![], vec![]),
                (campaign.clone(), vec![]),
                (campaign.clone(), vec![Outcome::Answered]),
            ] {
                for descending in [false, true] {
                    let order = CallOrder { by, descending };
                    let after = Some(key.clone());
                    let (campaigns, outcomes) = (campaigns.clone(), outcomes.clone());
                    let query = CallQuery { after, campaigns, outcomes, ..CallQuery::default() };
                    let plan = plan(&store, &query, order).await;
                    assert!(plan.contains("SEARCH") && !plan.contains("TEMP B-TREE"), "{plan}");
                }
            }
        }
    }
}

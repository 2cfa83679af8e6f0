pub(crate) mod export;
pub(crate) mod list;

use callcore::port::AuditQuery;

use crate::query::Query;
use crate::state::ApiState;

/// How many values a filter takes.
const MOST_VALUES: usize = 20;

/// The filters that list and export share.
fn filters(query: &mut Query, state: &ApiState) -> AuditQuery {
    let zone = query.zone(state.zone());
    let stretch = query.instants(&zone);
    let found = AuditQuery {
        actors: query.many("actor", |text| text.parse().ok()),
        objects: query.texts("object"),
        actions: query.texts("action"),
        from: stretch.from,
        to: stretch.to,
        ..AuditQuery::default()
    };
    let counts = [
        ("actor", found.actors.len()),
        ("object", found.objects.len()),
        ("action", found.actions.len()),
    ];
    for (key, count) in counts {
        if count > MOST_VALUES {
            query.refuse(key, format!("may be there {MOST_VALUES} times"));
        }
    }
    found
}

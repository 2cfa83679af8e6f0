pub(crate) mod add;
pub(crate) mod call_now;
pub(crate) mod change;
pub(crate) mod dnc;
pub(crate) mod erase;
pub(crate) mod explain;
pub(crate) mod history;
pub(crate) mod list;
pub(crate) mod read;

use std::collections::BTreeSet;

use callcore::client::MAX_TAGS;
use callcore::id::ClientId;
use callcore::port::ClientView;
use callcore::text::{MAX_TAG, line};

use crate::problem::Problem;
use crate::request::Fields;
use crate::state::ApiState;

/// A client, or a 404.
pub(crate) async fn existing(state: &ApiState, id: ClientId) -> Result<ClientView, Problem> {
    state.store().client(id).await?.ok_or_else(Problem::not_found)
}

/// Tags under a name; two of the same text are one.
pub(crate) fn tags(fields: &mut Fields, name: &str) -> Option<BTreeSet<String>> {
    let texts: Vec<String> = fields.optional(name)?;
    let mut tags = BTreeSet::new();
    for (index, text) in texts.iter().enumerate() {
        let field = format!("{name}.{index}");
        match fields.text(&field, line(text, MAX_TAG)) {
            Some(tag) => {
                tags.insert(tag);
            }
            None if fields.is_refused(&field) => {}
            None => fields.refuse(&field, "required", "is empty"),
        }
    }
    if tags.len() > MAX_TAGS {
        fields.refuse(name, "too_many", format!("at most {MAX_TAGS}"));
    }
    Some(tags)
}

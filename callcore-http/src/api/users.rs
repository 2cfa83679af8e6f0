pub(crate) mod change;
pub(crate) mod invite;
pub(crate) mod list;
pub(crate) mod read;

use serde_json::{Value, json};

use crate::sign_in::invitation_link;
use crate::state::ApiState;

/// Shows an invitation's link, which is nowhere else than in this answer.
fn show_link(state: &ApiState, user: &mut Value, secret: &str) {
    user["invitation"]["link"] = json!(invitation_link(state, secret));
}

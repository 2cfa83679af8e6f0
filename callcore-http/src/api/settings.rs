pub(crate) mod change;
pub(crate) mod read;

use axum::http::StatusCode;
use axum::response::Response;
use callcore::port::AccountView;

use crate::dto::{self, AccountDto};

/// The account with the version of its settings as its entity tag.
fn tagged(view: &AccountView) -> Response {
    dto::tagged(dto::json(StatusCode::OK, &AccountDto::from(view)), view.settings_version)
}

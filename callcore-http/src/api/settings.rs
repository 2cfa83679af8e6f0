pub(crate) mod change;
pub(crate) mod read;
pub(crate) mod resume_all;
pub(crate) mod stop_all;

use callcore::account::Day;
use callcore::port::{AccountView, StoreError};
use serde_json::{Value, json};

use crate::dto::{AccountDto, SpendDto};
use crate::state::ApiState;

/// The account with what its day has cost so far.
pub(crate) async fn shown(state: &ApiState, view: &AccountView) -> Result<Value, StoreError> {
    let spend = match view.settings.spend_per_day {
        Some(spend) => {
            let (from, ends) = view.zone().day(state.now());
            let dials = state.store().meter(None, from, ends).await?;
            Some(SpendDto::new(spend, &Day { ends, dials }))
        }
        None => None,
    };
    let mut shown = json!(AccountDto::from(view));
    shown["spend_today"] = json!(spend);
    Ok(shown)
}

//! The campaign clock: where it begins, and where it goes on after a restart.

use std::error::Error;
use std::sync::Arc;

use callcore::port::Store;
use chrono::{DateTime, SecondsFormat, Utc};

const ORIGIN: &str = "campaign_clock_origin";

/// The instant at which the campaign clock goes on: `first` in a new database, else where it was
/// when the last change was made, so that it never goes back.
///
/// # Errors
///
/// The store failed.
pub(crate) async fn origin(
    store: &Arc<dyn Store>,
    first: DateTime<Utc>,
) -> Result<DateTime<Utc>, Box<dyn Error + Send + Sync>> {
    let stored =
        store.put_fact(ORIGIN, &first.to_rfc3339_opts(SecondsFormat::Millis, true)).await?;
    let begun: DateTime<Utc> = stored
        .parse()
        .map_err(|_| format!("the database's {ORIGIN} is {stored:?}, which is no instant"))?;
    Ok(store.latest_instant().await?.map_or(begun, |latest| latest.max(begun)))
}

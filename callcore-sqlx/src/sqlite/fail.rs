//! What can go wrong inside, and how the ports see it.

use callcore::port::{ActError, Refused, StoreError, StoreErrorKind};

/// Why a unit of work ended without a commit.
#[derive(Debug, thiserror::Error)]
pub(super) enum Fail {
    #[error(transparent)]
    Refused(#[from] Refused),
    #[error(transparent)]
    Sql(#[from] sqlx::Error),
    #[error("can't migrate the database")]
    Migrate(#[from] sqlx::migrate::MigrateError),
    /// A row holds what callcore can't have written.
    #[error("a row holds no {0}")]
    Corrupt(&'static str),
    #[error("can't write a document")]
    Document(#[from] serde_json::Error),
    /// What was opened is not something this store can keep its rows in.
    #[error("{0}")]
    Unusable(String),
}

impl Fail {
    /// The failure as the port reports it.
    pub(super) fn store(self, operation: &'static str) -> StoreError {
        let kind = match &self {
            Self::Sql(error) => kind(error),
            Self::Corrupt(_) => StoreErrorKind::Corrupt,
            _ => StoreErrorKind::Other,
        };
        StoreError::new(kind, operation).because(self)
    }

    /// The failure of something a person asked for.
    pub(super) fn act(self, operation: &'static str) -> ActError {
        match self {
            Self::Refused(refused) => refused.into(),
            other => other.store(operation).into(),
        }
    }
}

fn kind(error: &sqlx::Error) -> StoreErrorKind {
    match error {
        // SQLITE_BUSY and SQLITE_LOCKED, whatever their extended code.
        sqlx::Error::Database(error) => {
            match error.code().and_then(|code| code.parse::<i32>().ok()).map(|code| code & 0xff) {
                Some(5 | 6) => StoreErrorKind::Unavailable,
                Some(11 | 26) => StoreErrorKind::Corrupt,
                _ => StoreErrorKind::Other,
            }
        }
        sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed | sqlx::Error::WorkerCrashed => {
            StoreErrorKind::Unavailable
        }
        sqlx::Error::Decode(_) | sqlx::Error::ColumnDecode { .. } => StoreErrorKind::Corrupt,
        _ => StoreErrorKind::Other,
    }
}

//! The account as a whole: its settings, limits and switches.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::account::AccountSettings;
use crate::port::{By, Refused, Store};
use crate::testing::fixtures::{Scene, person, refused};
use crate::time::Zone;

fn settings(document: &Value) -> Arc<AccountSettings> {
    Arc::new(AccountSettings::from_json(document).expect("valid settings"))
}

pub async fn t1_account_settings_are_versioned_and_stale_changes_refused(store: &dyn Store) {
    let scene = Scene::new(store);
    let first = store.account().await.expect("read");
    assert_eq!((first.settings_version, &*first.settings), (1, &AccountSettings::default()));
    let new = settings(&json!({
        "calls_per_second": 7, "calls_at_once": 9, "retention_days": 30,
        "spend_per_day": {"amount": "12.50", "per_minute": "0.014"},
        "time_zone": "Europe/Berlin",
        "mail": {"to": ["team@example.com"], "summary_at": "18:00", "details": true},
    }));
    let admin = person();
    let by = By::new(&admin, scene.now());
    let changed = store.change_account(by, 1, new.clone()).await.expect("changed");
    assert_eq!((changed.settings_version, &changed.settings), (2, &new));
    assert_eq!(store.account().await.expect("read"), changed);
    let stale = store.change_account(by, 1, settings(&json!({}))).await;
    assert_eq!(refused(stale), Refused::Stale { current: 2 });
    assert_eq!(store.account().await.expect("read"), changed);
    let audit = store.audit(None, 10).await.expect("read").items;
    assert_eq!(
        (audit.len(), &*audit[0].action, &*audit[0].object),
        (1, "account.change", "account")
    );
    assert_eq!(audit[0].old, Some(AccountSettings::default().to_json()));
    assert_eq!(audit[0].new, Some(new.to_json()));
}

pub async fn t2_the_servers_zone_holds_while_the_settings_name_none(store: &dyn Store) {
    let scene = Scene::new(store);
    let zone = async || store.account().await.expect("read").zone().name().to_owned();
    assert_eq!(zone().await, "UTC");
    for name in ["America/New_York", "Europe/Berlin"] {
        let server: Zone = name.parse().expect("a zone");
        store.keep_server_zone(&server).await.expect("kept");
        assert_eq!(zone().await, name);
    }
    let own = settings(&json!({"time_zone": "Asia/Tokyo"}));
    store.change_account(scene.by(), 1, own).await.expect("changed");
    assert_eq!(zone().await, "Asia/Tokyo");
    store.change_account(scene.by(), 2, settings(&json!({}))).await.expect("changed");
    assert_eq!(zone().await, "Europe/Berlin");
}

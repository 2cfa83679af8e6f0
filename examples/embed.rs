//! callcore inside another program: a CSV goes in, people are called, results come out.

use std::sync::Arc;

use callcore::campaign::{Settings, Transition};
use callcore::port::{By, Campaigns, NewCampaign};
use callcore::runtime::{OsEntropy, Runtime, SystemClock};
use callcore::{actor::Actor, desk::Desk, id::CampaignId, memory::MemoryStore};
use callcore::{sim::SimModel, sim::SimTelephony, time::Clock, time::FastClock};

const CSV: &str = "Name,Phone,Balance\nAda,212-555-0123,12.50\nGrace,(303) 555-0188,7.00\n";

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let store = Arc::new(MemoryStore::default());
    // An hour of the campaign passes in a second, so that retries are seen.
    let clock = Arc::new(FastClock::new(SystemClock, SystemClock.now(), 3600));
    let carrier = SimTelephony::new(7, SimModel::default(), clock.clone());
    let desk = Desk::new(store.clone(), Arc::new(carrier.clone()), Arc::new(OsEntropy));
    let calls = Runtime::builder(
        store.clone(),
        Arc::new(carrier.clone()),
        clock.clone(),
        Arc::new(SystemClock),
    )
    .simulated(carrier)
    .start();

    let day = serde_json::json!([["08:00", "21:00"]]);
    let settings = Arc::new(Settings::from_json(&serde_json::json!({
        "name": "Renewals", "hours": {"mon": day, "tue": day, "wed": day, "thu": day, "fri": day},
        "script": {"steps": [{"say": "Hello {{name|there}}, your balance is {{balance}}."}]},
    }))?);
    let (id, by) = (CampaignId::new(clock.now(), &OsEntropy), By::new(&Actor::System, clock.now()));
    store.create_campaign(by, NewCampaign { id, settings: settings.clone() }).await?;
    let report = desk.import_csv(by, id, &settings, "clients.csv", CSV.as_bytes()).await?;
    println!("{} clients, {} rejected", report.accepted, report.rejected);
    store.change_state(by, id, Transition::Start).await?;

    loop {
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
        let view = store.campaign(id).await?.ok_or("the campaign is there")?;
        println!("{:?} {:?}", view.campaign.state, view.progress.totals.outcomes);
        if view.campaign.state == callcore::campaign::RunState::Finished {
            break;
        }
    }
    calls.shutdown().await;
    Ok(())
}

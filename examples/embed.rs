//! callcore inside another program: a CSV goes in, people are called, results come out.

use std::{sync::Arc, time::Duration};

use callcore::campaign::{RunState, Settings, Transition};
use callcore::port::{By, Campaigns, NewCampaign};
use callcore::runtime::{OsEntropy, Runtime, SystemClock};
use callcore::sim::{SimModel, SimTelephony};
use callcore::time::{Clock, FastClock};
use callcore::{actor::Actor, desk::Desk, id::CampaignId, memory::MemoryStore};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    // An hour of the campaign passes in a second, so that retries are seen.
    let (wall, store) = (Arc::new(SystemClock), Arc::new(MemoryStore::default()));
    let clock = Arc::new(FastClock::new(SystemClock, wall.now(), 3600));
    let sim = SimTelephony::new(7, SimModel::default(), clock.clone());
    let carrier = Arc::new(sim.clone());
    let desk = Desk::new(store.clone(), carrier.clone(), Arc::new(OsEntropy));
    let calls =
        Runtime::builder(store.clone(), carrier, clock.clone(), wall).simulated(sim).start();

    let day = serde_json::json!([["08:00", "21:00"]]);
    let settings = Arc::new(Settings::from_json(&serde_json::json!({
        "name": "Renewals", "time_zone": "America/New_York",
        "hours": {"mon": day, "tue": day, "wed": day, "thu": day, "fri": day, "sat": day, "sun": day},
    }))?);
    let (id, by) = (CampaignId::new(clock.now(), &OsEntropy), By::new(&Actor::System, clock.now()));
    store.create_campaign(by, NewCampaign { id, settings: settings.clone() }).await?;
    let csv = "Name,Phone\nAda,212-555-0123\nGrace,(303) 555-0188\n";
    let report = desk.import_csv(by, id, &settings, "clients.csv", csv.as_bytes()).await?;
    println!("{} clients, {} rejected", report.accepted, report.rejected);
    store.change_state(by, id, Transition::Start).await?;

    while let Some(view) = store.campaign(id).await?
        && view.campaign.state != RunState::Finished
    {
        println!("{:.0} % {:?}", view.progress.percent(), view.progress.totals.outcomes);
        tokio::time::sleep(Duration::from_secs(2)).await;
    }
    println!("finished");
    calls.shutdown().await;
    Ok(())
}

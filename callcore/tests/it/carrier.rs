//! The simulated carrier keeps what carriers promise.

use std::sync::Arc;

use async_trait::async_trait;
use callcore::call::Report;
use callcore::id::CallId;
use callcore::phone::PhoneNumber;
use callcore::port::Telephony;
use callcore::sim::{SimModel, SimTelephony};
use callcore::testing::carrier::{Line, LineFactory, Play};
use callcore::testing::fixtures::monday;
use callcore::time::{Clock, ManualClock};
use chrono::{DateTime, Utc};

struct Simulated;

struct SimLine {
    sim: SimTelephony,
    clock: Arc<ManualClock>,
}

#[async_trait]
impl LineFactory for Simulated {
    async fn build(&self, play: Play) -> Option<Box<dyn Line>> {
        // In one process nothing gets lost on the way.
        if play != Play::Take {
            return None;
        }
        let clock = Arc::new(ManualClock::new(monday()));
        let sim = SimTelephony::new(7, SimModel::default(), clock.clone());
        Some(Box::new(SimLine { sim, clock }))
    }
}

#[async_trait]
impl Line for SimLine {
    fn carrier(&self) -> &dyn Telephony {
        &self.sim
    }

    fn now(&self) -> DateTime<Utc> {
        self.clock.now()
    }

    async fn dials(&self) -> Vec<(CallId, PhoneNumber)> {
        self.sim.carrier().dial_log().iter().map(|dial| (dial.call, dial.to)).collect()
    }

    async fn live(&self) -> Vec<Report> {
        let mut reports = Vec::new();
        while let Some(at) = self.sim.next_delivery() {
            self.clock.advance_to(at);
            reports.extend(self.sim.advance());
        }
        reports
    }

    async fn mend(&self) {}
}

callcore::carrier_conformance!(Simulated);

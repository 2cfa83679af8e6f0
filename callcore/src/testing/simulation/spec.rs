//! Campaigns as the judge reads them: plain numbers beside the settings document, so that nothing
//! is judged with the code under test.

use chrono::{DateTime, Datelike, NaiveDate, TimeDelta, Timelike, Utc};
use serde_json::json;

use super::dice::Dice;
use crate::account::AccountSettings;
use crate::campaign::{Settings, SettingsError};
use crate::client::{ClientZone, ZoneSource};
use crate::time::Zone;

/// One version of a campaign's settings.
#[derive(Debug, Clone)]
pub(super) struct Spec {
    name: String,
    /// By weekday from Monday: windows in minutes of the day; one that ends before it starts runs
    /// past midnight.
    week: [Vec<(u32, u32)>; 7],
    closed: Vec<NaiveDate>,
    end_on: Option<NaiveDate>,
    zone: Zone,
    campaign_zone_for_all: bool,
    refuses_unknown_zones: bool,
    /// At most so many dials on a number in so many seconds.
    pub(super) caps: Vec<(usize, i64)>,
    pub(super) max_concurrent: usize,
    pub(super) calls_per_second: usize,
    /// The waits after dials that reached nobody, in seconds; a later date counts as 1.
    pub(super) connect: Vec<i64>,
    /// The waits after voicemails; empty if they are not retried.
    pub(super) voicemail: Vec<i64>,
    voicemail_retried: bool,
    pub(super) max_attempts: usize,
    pub(super) consent_required: bool,
    priority: i32,
    /// How many dials a day of the campaign's zone may hold.
    pub(super) calls_per_day: Option<usize>,
    /// Of so many ended dials at least so many failed: then the campaign pauses itself.
    pub(super) breaker: Option<(usize, usize)>,
    /// For so many seconds after somebody was reached the number is left alone.
    pub(super) rest: Option<i64>,
}

/// One version of the account's settings, in thousandths of a unit where it is about money.
#[derive(Debug, Clone, Default)]
pub(super) struct AccountSpec {
    pub(super) calls_at_once: Option<usize>,
    pub(super) calls_per_second: Option<usize>,
    /// The amount, what a dial costs and what a minute does.
    pub(super) spend: Option<(u64, u64, u64)>,
    pub(super) zone: Option<Zone>,
}

impl AccountSpec {
    /// Limits that bind, each now and then.
    pub(super) fn new(dice: &mut Dice) -> Self {
        Self {
            calls_at_once: dice.chance(600).then(|| 1 + dice.index(4)),
            calls_per_second: dice.chance(500).then(|| 1 + dice.index(2)),
            spend: dice.chance(500).then(|| (600 + 100 * dice.below(20), 10, 20)),
            zone: dice.chance(700).then(|| a_zone(dice)),
        }
    }

    pub(super) fn settings(&self) -> Result<AccountSettings, SettingsError> {
        let money = |thousandths: u64| format!("{}.{:03}", thousandths / 1000, thousandths % 1000);
        let spend = self.spend.map(|(amount, call, minute)| {
            json!({"amount": money(amount), "per_call": money(call), "per_minute": money(minute)})
        });
        AccountSettings::from_json(&json!({
            "calls_at_once": self.calls_at_once,
            "calls_per_second": self.calls_per_second,
            "spend_per_day": spend,
            "time_zone": self.zone,
        }))
    }
}

const ZONES: [&str; 8] = [
    "America/New_York",
    "America/Los_Angeles",
    "America/St_Johns",
    "Europe/Berlin",
    "Australia/Lord_Howe",
    "Asia/Kolkata",
    "Africa/Cairo",
    "UTC",
];

/// Windows of one day, from plain to odd: lunch breaks, minutes, past midnight, in the hour that a
/// change of the clock skips or repeats.
const DAYS: [&[(u32, u32)]; 9] = [
    &[(9 * 60, 17 * 60)],
    &[(9 * 60, 12 * 60), (13 * 60, 18 * 60)],
    &[(10 * 60, 10 * 60 + 7)],
    &[(8 * 60, 8 * 60 + 20), (20 * 60, 20 * 60 + 3)],
    &[(22 * 60, 2 * 60)],
    &[(23 * 60 + 30, 60)],
    &[(60, 3 * 60)],
    &[(2 * 60 + 10, 2 * 60 + 50), (12 * 60, 12 * 60 + 30)],
    &[(0, 24 * 60)],
];

const NAMES: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

fn a_zone(dice: &mut Dice) -> Zone {
    dice.pick(&ZONES).and_then(|name| name.parse().ok()).unwrap_or_else(Zone::utc)
}

/// Where the zones of a new client come from: file, number, both, the country only, or nowhere.
pub(super) fn client_zones(dice: &mut Dice) -> Vec<ClientZone> {
    let sources: &[ZoneSource] = match dice.below(6) {
        0 | 1 => &[ZoneSource::File],
        2 => &[ZoneSource::Number],
        3 => &[ZoneSource::Number, ZoneSource::Number],
        4 => &[ZoneSource::File, ZoneSource::Number, ZoneSource::Country],
        _ => &[],
    };
    sources.iter().map(|source| ClientZone { zone: a_zone(dice), source: *source }).collect()
}

impl Spec {
    pub(super) fn new(dice: &mut Dice, index: usize, start: DateTime<Utc>) -> Self {
        let usual = DAYS[dice.index(DAYS.len())];
        let mut week: [Vec<(u32, u32)>; 7] = std::array::from_fn(|_| usual.to_vec());
        for day in &mut week {
            match dice.below(6) {
                0 => *day = DAYS[dice.index(DAYS.len())].to_vec(),
                1 => day.clear(),
                _ => {}
            }
        }
        if week.iter().all(Vec::is_empty) {
            week[0] = DAYS[0].to_vec();
        }
        let date = |days: i64| (start + TimeDelta::days(days)).date_naive();
        Self {
            name: format!("Campaign {index}"),
            week,
            closed: (0..dice.below(3)).map(|_| date(dice.between(0, 12))).collect(),
            end_on: dice.chance(120).then(|| date(dice.between(20, 25))),
            zone: a_zone(dice),
            campaign_zone_for_all: dice.chance(300),
            refuses_unknown_zones: dice.chance(150),
            caps: match dice.below(4) {
                0 => vec![(1, 86_400)],
                1 => vec![(2, 6 * 3600), (3, 7 * 86_400)],
                2 => vec![(1, 600)],
                _ => Vec::new(),
            },
            max_concurrent: 1 + dice.index(5),
            calls_per_second: 1 + dice.index(3),
            connect: match dice.below(4) {
                0 => vec![1800, 7200],
                1 => vec![7200, 1],
                2 => vec![60, 60, 60],
                _ => vec![7200],
            },
            voicemail: if dice.chance(500) { vec![4 * 3600, 1] } else { vec![120] },
            voicemail_retried: dice.chance(700),
            max_attempts: 1 + dice.index(5),
            consent_required: dice.chance(150),
            priority: i32::try_from(dice.below(2)).unwrap_or(0),
            calls_per_day: dice.chance(300).then(|| 2 + dice.index(6)),
            breaker: dice.chance(500).then(|| {
                let of_last = 2 + dice.index(5);
                (of_last.div_ceil(2), of_last)
            }),
            rest: dice.chance(300).then(|| dice.between(3600, 3 * 86_400)),
        }
    }

    /// A later version: what people change while a campaign runs. What retries follow from stays,
    /// so that the judge knows what was owed without asking when it was planned.
    pub(super) fn changed(&self, dice: &mut Dice) -> Self {
        let mut next = self.clone();
        match dice.below(5) {
            4 => next.calls_per_day = dice.chance(500).then(|| 1 + dice.index(6)),
            0 => next.max_concurrent = 1 + dice.index(5),
            1 => next.calls_per_second = 1 + dice.index(3),
            2 => next.caps = vec![(1 + dice.index(2), dice.between(600, 90_000))],
            _ => {
                let day = dice.index(7);
                next.week[day] = DAYS[dice.index(DAYS.len())].to_vec();
            }
        }
        next
    }

    /// Whether two instants are on one date of the campaign's zone.
    pub(super) fn same_day(&self, one: DateTime<Utc>, other: DateTime<Utc>) -> bool {
        self.zone.local(one).date() == self.zone.local(other).date()
    }

    pub(super) fn settings(&self) -> Result<Settings, SettingsError> {
        let clock = |minute: u32| format!("{:02}:{:02}", minute / 60, minute % 60);
        let hours: serde_json::Map<String, serde_json::Value> = NAMES
            .iter()
            .zip(&self.week)
            .map(|(name, day)| {
                let windows: Vec<_> =
                    day.iter().map(|(from, to)| json!([clock(*from), clock(*to)])).collect();
                ((*name).to_owned(), windows.into())
            })
            .collect();
        let steps = |waits: &[i64]| -> Vec<String> {
            let step = |wait: &i64| match wait {
                1 => "next_day".to_owned(),
                7200 => "later_same_day".to_owned(),
                wait => format!("PT{wait}S"),
            };
            waits.iter().map(step).collect()
        };
        let caps: Vec<_> = self
            .caps
            .iter()
            .map(|(max, per)| json!({"max": max, "per": format!("PT{per}S")}))
            .collect();
        Settings::from_json(&json!({
            "name": self.name,
            "hours": hours,
            "closed_dates": self.closed,
            "end_on": self.end_on,
            "time_zone": self.zone,
            "zone_policy": if self.campaign_zone_for_all { "campaign" } else { "client" },
            "zone_fallback": if self.refuses_unknown_zones { "refuse" } else { "campaign" },
            "retry": {
                "connect": steps(&self.connect),
                "voicemail": steps(&self.voicemail),
                "max_attempts": self.max_attempts,
            },
            "voicemail": {
                "policy": if self.voicemail_retried { "hang_up_and_retry" } else { "mark_and_move_on" }
            },
            "pacing": {
                "max_concurrent": self.max_concurrent,
                "calls_per_second": self.calls_per_second,
            },
            "script": {
                "steps": [{"say": "Hello {{name|there}}."}],
                "keys": {
                    "1": {"tag": "yes"}, "0": {"transfer": "+12125550199"}, "9": "opt_out"
                },
            },
            "inbound": {
                "steps": [{"say": "Thank you for calling back."}],
                "keys": {"1": {"tag": "called back"}, "9": "opt_out"},
            },
            "caps": caps,
            "budget": {"calls_per_day": self.calls_per_day},
            "breaker": self.breaker.map(|(_, of_last)| json!({"failed_share": 0.5, "of_last": of_last})),
            "cool_downs": self.rest.iter().map(|seconds| {
                json!({"after": "answered", "for": format!("PT{seconds}S")})
            }).collect::<Vec<_>>(),
            "consent_required": self.consent_required,
            "priority": self.priority,
        }))
    }

    /// The waits that follow voicemails; none if they are not retried.
    pub(super) fn voicemail_waits(&self) -> &[i64] {
        if self.voicemail_retried { &self.voicemail } else { &[] }
    }

    /// Whether no instant after `from` allows a call: the campaign's last day passes within a
    /// month, and candidate zones may have no common window.
    pub(super) fn shuts(&self, from: DateTime<Utc>, client: &[ClientZone]) -> bool {
        let minutes = (0..400 * 1440).map(|minute| from + TimeDelta::minutes(minute));
        self.end_on.is_some() || !minutes.into_iter().any(|at| self.open(at, client))
    }

    /// Whether the wall clocks of every zone the client may be in allow a call.
    pub(super) fn open(&self, at: DateTime<Utc>, client: &[ClientZone]) -> bool {
        let of = |source: ZoneSource| -> Vec<&Zone> {
            client.iter().filter(|zone| zone.source == source).map(|zone| &zone.zone).collect()
        };
        let (file, number) = (of(ZoneSource::File), of(ZoneSource::Number));
        let zones = match () {
            () if self.campaign_zone_for_all => vec![&self.zone],
            () if !file.is_empty() => file,
            () if !number.is_empty() => number,
            () if self.refuses_unknown_zones => return false,
            () => vec![&self.zone],
        };
        zones.into_iter().all(|zone| self.open_in(zone, at))
    }

    fn open_in(&self, zone: &Zone, at: DateTime<Utc>) -> bool {
        let local = zone.local(at);
        let (date, minute) = (local.date(), local.time().num_seconds_from_midnight() / 60);
        if self.closed.contains(&date) || self.end_on.is_some_and(|end| date > end) {
            return false;
        }
        let day = |date: NaiveDate| &self.week[date.weekday().num_days_from_monday() as usize];
        let today =
            day(date).iter().any(|(from, to)| *from <= minute && (minute < *to || to < from));
        let tail = date
            .pred_opt()
            .is_some_and(|eve| day(eve).iter().any(|(from, to)| to < from && minute < *to));
        today || tail
    }
}

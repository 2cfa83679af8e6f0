//! The daily summary: what a day brought, in the server's zone, as a mail tells it.
//!
//! The numbers are those of [`analytics`](crate::analytics), over the same rows.

use chrono::{DateTime, NaiveDate, NaiveTime, Utc};

use crate::analytics::Totals;
use crate::call::Outcome;
use crate::mail::{
    Links, Page, Written, clock, count, date, kind_in_words, mean_duration, one_line, percent,
};
use crate::port::Day;
use crate::time::Zone;

/// How many campaigns have a line of their own.
const CAMPAIGNS: usize = 50;

/// The kinds of notices that have a line of their own in a summary.
const TOLD_APART: [&str; 6] = [
    "campaign_finished",
    "inbound_call",
    "message_left",
    "call_given_up",
    "mail_failing",
    "mail_runs_short",
];

/// A day so far.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    /// The date, in the server's zone.
    pub date: NaiveDate,
    /// Up to when it counts.
    pub until: DateTime<Utc>,
    /// The server's zone.
    pub zone: Zone,
    /// What happened.
    pub day: Day,
}

/// The stretch of the day an instant lies in: from the local date's first instant on, up to the next
/// date's.
#[must_use]
pub fn day_of(now: DateTime<Utc>, zone: &Zone) -> (NaiveDate, DateTime<Utc>, DateTime<Utc>) {
    let date = zone.date(now);
    let next = date.succ_opt().unwrap_or(date);
    (date, zone.start_of(date), zone.start_of(next))
}

/// Whether a day's summary is due: the wall clock of the zone shows its hour or a later one. An hour
/// that the clock skips has come once it is past, one that it shows twice comes first.
#[must_use]
pub fn is_due(now: DateTime<Utc>, at: NaiveTime, zone: &Zone) -> bool {
    zone.local(now).time() >= at
}

impl Summary {
    /// The mail.
    #[must_use]
    pub fn write(&self, links: &Links) -> Written {
        let totals = self.day.totals();
        let attempted = totals.attempted();
        let calls = if attempted == 1 { "call" } else { "calls" };
        let subject = format!(
            "{}: {} {calls}, {} reached",
            self.date.format("%a %-d %b"),
            count(attempted),
            percent(totals.success_rate()),
        );
        let mut page = Page::new(&subject);
        let until = match self.until >= day_of(self.zone.start_of(self.date), &self.zone).2 {
            true => "the whole day".to_owned(),
            false => format!("until {}", clock(self.until, &self.zone)),
        };
        page.heading("Daily summary", &format!("{}, {until} ({})", date(self.date), self.zone));
        page.figures(&figures(&totals));
        self.notable(&mut page, &totals, links);
        outcomes(&mut page, &totals);
        self.campaigns(&mut page, links);
        page.footer("Dashboard", &links.page("/dashboard"));
        Written { subject, body: page.finish() }
    }

    fn notable(&self, page: &mut Page, totals: &Totals, links: &Links) {
        let opt_outs = totals.outcomes.get(&Outcome::OptedOut).copied().unwrap_or_default();
        let given_up = self.day.notices.get("call_given_up").copied().unwrap_or_default();
        let history = |filter: &str| {
            links.page(&format!("/calls/history?from={date}&to={date}&{filter}", date = self.date))
        };
        let mut entries = vec![
            ("Follow-ups needed", self.day.follow_ups, history("review=needs_follow_up")),
            ("Opt-outs", opt_outs, history("outcome=opted_out")),
            ("Calls that came in", self.day.inbound, history("direction=inbound")),
            ("Calls whose fate stayed unknown", given_up, history("outcome=failed")),
        ];
        let finished = self.day.finished.len() as u64;
        entries.push(("Campaigns finished", finished, links.page("/campaigns")));
        let entries = entries.into_iter().filter(|(_, many, _)| *many > 0);
        let mut lines: Vec<_> = entries
            .map(|(label, many, link)| (label.to_owned(), count(many), Some(link)))
            .collect();
        // What else stopped or failed, such as brakes, by its notice.
        for (word, many) in &self.day.notices {
            if !TOLD_APART.contains(word) {
                let link = links.page("/dashboard");
                lines.push((kind_in_words(word), count(*many), Some(link)));
            }
        }
        page.part("Notable");
        if lines.is_empty() {
            page.note("Nothing that needs anybody.");
        } else {
            page.entries(&lines);
        }
    }

    fn campaigns(&self, page: &mut Page, links: &Links) {
        if self.day.campaigns.is_empty() {
            return;
        }
        page.part("By campaign");
        let rows: Vec<(String, Vec<String>, String)> = self
            .day
            .campaigns
            .iter()
            .take(CAMPAIGNS)
            .map(|campaign| {
                let totals = &campaign.totals;
                let figures = vec![
                    count(totals.attempted()),
                    count(totals.answered()),
                    percent(totals.success_rate()),
                    mean_duration(totals.average_duration_seconds()),
                ];
                (one_line(&campaign.name), figures, links.campaign(campaign.id))
            })
            .collect();
        page.table(&["Calls", "Reached", "Rate", "Average"], &rows);
        let more = self.day.campaigns.len().saturating_sub(CAMPAIGNS);
        if more > 0 {
            page.note(&format!("and {} more campaigns.", count(more as u64)));
        }
    }
}

fn figures(totals: &Totals) -> [(&'static str, String); 4] {
    [
        ("Calls completed", count(totals.attempted())),
        ("People reached", count(totals.answered())),
        ("Success rate", percent(totals.success_rate())),
        ("Average duration", mean_duration(totals.average_duration_seconds())),
    ]
}

fn outcomes(page: &mut Page, totals: &Totals) {
    let mut ended: Vec<_> = totals.outcomes.iter().filter(|(_, many)| **many > 0).collect();
    ended.sort_by_key(|(outcome, _)| !outcome.attempted());
    let lines: Vec<_> = ended
        .into_iter()
        .map(|(outcome, many)| {
            let label = outcome.as_str().replace('_', " ");
            let left_out = if outcome.attempted() { "" } else { " (not counted as a call)" };
            let label = label[..1].to_uppercase() + &label[1..] + left_out;
            (label, count(*many), None)
        })
        .collect();
    if !lines.is_empty() {
        page.part("How calls ended");
        page.entries(&lines);
    }
}

#[cfg(test)]
mod tests;

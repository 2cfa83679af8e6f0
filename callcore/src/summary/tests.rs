use super::*;
use crate::id::CampaignId;
use crate::port::CampaignDay;

fn campaign(index: u128, name: &str, answered: u64, busy: u64) -> CampaignDay {
    let mut totals = Totals::default();
    totals.add(Outcome::Answered, answered, answered * 75);
    totals.add(Outcome::Busy, busy, 0);
    let id = CampaignId::from_uuid(uuid::Uuid::from_u128(index));
    CampaignDay { id, name: name.to_owned(), totals }
}

fn summary(day: Day) -> Summary {
    let date = "2026-11-23".parse().unwrap();
    let until = "2026-11-23T23:00:00Z".parse().unwrap();
    Summary { date, until, zone: "America/New_York".parse().unwrap(), day }
}

fn links() -> Links {
    Links::new("https://calls.example.com")
}

#[test]
fn the_text_has_every_number_and_the_links() {
    let mut day = Day {
        campaigns: vec![campaign(1, "Renewals", 3, 1), campaign(2, "Surveys", 1, 3)],
        inbound: 2,
        follow_ups: 4,
        ..Day::default()
    };
    day.finished.push((day.campaigns[0].id, "Renewals".to_owned()));
    day.notices.extend([("call_given_up", 1), ("campaign_paused", 1)]);
    let mail = summary(day).write(&links());
    assert_eq!(mail.subject, "Mon 23 Nov: 8 calls, 50.0 % reached");
    let text = &mail.body.text;
    for line in [
        "Monday, 23 November 2026, until 18:00 (America/New_York)",
        "Calls completed: 8",
        "People reached: 4",
        "Success rate: 50.0 %",
        "Average duration: 1:15",
        "Follow-ups needed: 4",
        "Calls that came in: 2",
        "Calls whose fate stayed unknown: 1",
        "Campaigns finished: 1",
        "Campaign paused: 1",
        "Busy: 4",
        "Renewals: calls 4, reached 3, rate 75.0 %, average 1:15",
        "https://calls.example.com/campaigns/00000000-0000-0000-0000-000000000001",
        "https://calls.example.com/dashboard",
    ] {
        assert!(text.contains(line), "{line}: {text}");
    }
    assert!(!text.contains("Opt-outs"), "what there was none of is left out");
}

#[test]
fn a_campaigns_name_is_text_whatever_it_holds() {
    let day = Day { campaigns: vec![campaign(1, "<b>A&B</b>\n\"x\"", 1, 0)], ..Day::default() };
    let mail = summary(day).write(&links());
    assert!(mail.body.html.contains("&lt;b&gt;A&amp;B&lt;/b&gt;&quot;x&quot;"));
    assert!(!mail.body.html.contains("<b>"));
}

#[test]
fn a_day_without_calls_is_said_in_so_many_words() {
    let mail = summary(Day::default()).write(&links());
    assert!(mail.body.text.contains("Nothing that needs anybody."), "{}", mail.body.text);
    assert!(mail.body.text.contains("Success rate: –"));
}

#[test]
fn many_campaigns_are_cut_and_counted() {
    let campaigns = (1..=53).map(|index| campaign(index, "One of many", 1, 0)).collect();
    let mail = summary(Day { campaigns, ..Day::default() }).write(&links());
    assert_eq!(mail.body.text.matches("One of many").count(), CAMPAIGNS);
    assert!(mail.body.text.contains("and 3 more campaigns."));
}

#[test]
fn days_begin_where_the_clock_on_the_wall_says() {
    let zone: Zone = "America/New_York".parse().unwrap();
    let (date, from, to) = day_of("2026-11-01T12:00:00Z".parse().unwrap(), &zone);
    assert_eq!(date.to_string(), "2026-11-01");
    assert_eq!((to - from).num_hours(), 25);
}

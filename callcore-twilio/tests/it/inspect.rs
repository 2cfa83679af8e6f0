//! What Twilio says of the account before anybody is dialled.

use callcore_twilio::inspect::Owner;

use crate::line::TwilioLine;

#[tokio::test]
async fn a_number_whose_calls_back_would_get_lost_is_told_of() {
    let line = TwilioLine::new().await;
    let all = line.twilio.number_urls().map(|(_, url)| Some(url));
    for (count, answered_here, is_told_all) in
        [(0, false, false), (1, true, false), (2, true, false), (3, true, true)]
    {
        let mut addresses = [None, None, None];
        addresses[..count].clone_from_slice(&all[..count]);
        line.fake.number_leads_to(addresses);
        let found = line.twilio.inspect(&[]).await.unwrap();
        let owner = Owner::Account { answered_here, is_told_all };
        assert_eq!(found.callers[0].owner, owner, "{count}");
        assert_eq!(found.warnings().len(), usize::from(!is_told_all), "{count}");
        assert!(found.obstacles().is_empty());
    }
}

use crate::browser::{Browser, Script, server};

#[tokio::test]
#[ignore = "needs Chromium and its driver"]
async fn a_person_signs_in_sees_the_dashboard_and_leaves() {
    for script in [Script::On, Script::Off] {
        let directory = tempfile::tempdir().unwrap();
        let server = server(directory.path());
        let browser = Browser::open(server.url(), script).await;

        browser.goto("/campaigns").await;
        browser.fill("User name", "admin").await;
        browser.fill("Password", "wrong horse").await;
        browser.press("Sign in").await;
        browser.sees("don't belong together").await;

        browser.fill("Password", "correct horse").await;
        browser.press("Sign in").await;
        browser.sees("Campaigns").await;
        assert_eq!(browser.path().await, "/campaigns", "it leads on to where they wanted to go");
        browser.follow("Dashboard").await;
        browser.sees("nobody's phone rings").await;

        browser.press("Sign out").await;
        browser.goto("/dashboard").await;
        browser.find("//button[normalize-space(.)='Sign in']").await;
    }
}

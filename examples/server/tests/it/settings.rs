use crate::harness::{TOKEN, run};

fn refused(arguments: &[&str], settings: &[(&str, &str)]) -> String {
    let directory = tempfile::tempdir().unwrap();
    let (code, said) = run(directory.path(), arguments, settings);
    assert_eq!(code, Some(2), "{said}");
    let left = std::fs::read_dir(directory.path()).unwrap().count();
    assert_eq!(left, 0, "a server that does not start leaves nothing behind");
    said
}

#[test]
fn an_open_server_is_refused() {
    let said = refused(&[], &[("CALLCORE_BIND", "0.0.0.0:0")]);
    assert!(said.contains("set CALLCORE_ADMIN_PASSWORD or CALLCORE_API_TOKEN"), "{said}");
}

#[test]
fn a_database_this_version_has_no_store_for_is_refused() {
    let said = refused(&[], &[("DATABASE_URL", "postgres://db.example/callcore")]);
    assert!(said.contains("SQLite only"), "{said}");
}

#[test]
fn settings_that_would_do_nothing_are_refused_by_name() {
    assert!(refused(&[], &[("CALLCORE_SIM_SPED", "60")]).contains("CALLCORE_SIM_SPED"));
    assert!(refused(&[], &[("CALLCORE_MAIL_TO", "a@example.com")]).contains("CALLCORE_MAIL_TO"));
    assert!(refused(&[], &[("TWILIO_ACOUNT_SID", "AC0")]).contains("TWILIO_ACOUNT_SID"));
    assert!(refused(&[], &[("TWILIO_ACCOUNT_SID", "AC0")]).contains("TWILIO_AUTH_TOKEN"));
    assert!(refused(&["--sim-sped", "60"], &[]).contains("--sim-sped"));
}

#[test]
fn settings_that_contradict_each_other_are_refused() {
    let url = ("CALLCORE_SIM_CARRIER_URL", "http://127.0.0.1:9");
    assert!(refused(&[], &[url]).contains("CALLCORE_SIM_CARRIER_SECRET"));
    let both = [url, ("CALLCORE_SIM_CARRIER_SECRET", "secret"), ("CALLCORE_SIM_SEED", "1")];
    assert!(refused(&[], &both).contains("CALLCORE_SIM_SEED"));
}

#[test]
fn half_of_the_mail_settings_is_refused_in_words() {
    let key = ("RESEND_API_KEY", "re_secret");
    let from = ("CALLCORE_MAIL_FROM", "calls@example.com");
    let to = ("CALLCORE_MAIL_TO", "ada@example.com");
    assert!(refused(&[], &[to]).contains("neither RESEND_API_KEY nor SMTP_URL"));
    assert!(refused(&[], &[key, to]).contains("CALLCORE_MAIL_FROM"));
    assert!(refused(&[], &[key, from]).contains("CALLCORE_MAIL_TO"));
    let both = [key, from, to, ("SMTP_URL", "smtp://127.0.0.1")];
    assert!(refused(&[], &both).contains("two ways"));
    let bad = [key, from, ("CALLCORE_MAIL_TO", "ada@example.com, nobody")];
    assert!(refused(&[], &bad).contains("not a mail address"));
    assert!(refused(&[], &[("CALLCORE_SUMMARY_AT", "6pm")]).contains("18:00"));
    assert!(refused(&[], &[("CRON_SECRET", "short")]).contains("at least 16"));
    assert!(refused(&[], &[("CALLCORE_PUBLIC_URL", "calls")]).contains("https://HOST"));
}

#[test]
fn secrets_that_are_guessed_at_once_are_refused() {
    assert!(refused(&[], &[("CALLCORE_API_TOKEN", "short")]).contains("at least 16"));
    assert!(refused(&[], &[("CALLCORE_ADMIN_PASSWORD", "")]).contains("at least 8"));
}

#[test]
fn a_second_server_on_one_address_touches_no_data() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let directory = tempfile::tempdir().unwrap();
    let (code, said) = run(directory.path(), &["--bind", &address], &[]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("can't listen on") && said.contains("CALLCORE_BIND"), "{said}");
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
}

#[test]
fn help_lists_the_settings_and_shows_no_secret() {
    let directory = tempfile::tempdir().unwrap();
    let mut help = crate::harness::command(
        directory.path(),
        &["--help"],
        &[("CALLCORE_API_TOKEN", TOKEN), ("CALLCORE_ADMIN_PASSWORD", "do not show me")],
    );
    let output = help.output().unwrap();
    assert!(output.status.success());
    let help = String::from_utf8(output.stdout).unwrap();
    for name in [
        "CALLCORE_BIND",
        "DATABASE_URL",
        "CALLCORE_SIM_SPEED",
        "CALLCORE_LOG_FORMAT",
        "RESEND_API_KEY",
        "RESEND_BASE_URL",
        "SMTP_URL",
        "CALLCORE_MAIL_FROM",
        "CALLCORE_MAIL_TO",
        "CALLCORE_MAIL_DETAILS",
        "CALLCORE_MAIL_PER_DAY",
        "CALLCORE_MAIL_PER_MONTH",
        "CALLCORE_SUMMARY_AT",
        "CALLCORE_PUBLIC_URL",
        "CRON_SECRET",
    ] {
        assert!(help.contains(name), "{name}");
    }
    assert!(!help.contains(TOKEN) && !help.contains("do not show me"));
}

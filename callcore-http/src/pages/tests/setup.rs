//! The guided way to a new campaign.

use axum::http::StatusCode;
use callcore::actor::Role;
use serde_json::{Value, json};

use super::{HOST, Person, to};
use crate::testing::{World, form, wav};

const HOURS: [(&str, &str); 6] = [
    ("time_zone", "America/New_York"),
    ("zone_policy", "campaign"),
    ("zone_fallback", "campaign"),
    ("start_on", ""),
    ("end_on", ""),
    ("closed_dates", ""),
];

const RULES: [(&str, &str); 9] = [
    ("connect_0", "later_same_day"),
    ("max_attempts", "4"),
    ("voicemail", "hang_up_and_retry"),
    ("max_concurrent", "10"),
    ("calls_per_second", "1"),
    ("breaker", "yes"),
    ("failed_percent", "50"),
    ("of_last", "50"),
    ("priority", "0"),
];

/// The settings now in force, with their version.
async fn settings(world: &World, id: &str) -> (String, Value) {
    let campaign = world.get(&format!("/api/campaigns/{id}")).await.json;
    (campaign["settings_version"].to_string(), campaign["settings"].clone())
}

/// Posts a step over the version in force.
async fn step(
    admin: &Person<'_>,
    (id, step): (&str, &str),
    fields: &[(&str, &str)],
) -> crate::testing::Answer {
    let (version, _) = settings(admin.world, id).await;
    let mut all = vec![("version", &*version)];
    all.extend(fields);
    admin.post(&format!("/campaigns/{id}/setup/{step}"), &all).await
}

/// The same of a form that may have a file in it.
async fn script(
    admin: &Person<'_>,
    (id, step): (&str, &str),
    fields: &[(&str, &str)],
) -> crate::testing::Answer {
    let (version, _) = settings(admin.world, id).await;
    let mut all: Vec<(&str, &[u8])> = vec![("version", version.as_bytes())];
    all.extend(fields.iter().map(|(name, value)| (*name, value.as_bytes())));
    admin.send(&format!("/campaigns/{id}/setup/{step}"), &all).await
}

/// What the report's forms name the list by.
async fn mark(person: &Person<'_>, id: &str) -> String {
    let page = person.read(&format!("/campaigns/{id}/setup/report")).await;
    let (_, rest) = page.split_once("name=\"list\" value=\"").expect("a list waits");
    rest.split('"').next().unwrap().to_owned()
}

/// Lets the list in whose report was just read.
async fn take_in(person: &Person<'_>, id: &str) -> crate::testing::Answer {
    let mark = mark(person, id).await;
    person.post(&format!("/campaigns/{id}/setup/report"), &[("list", &*mark)]).await
}

/// Creates a draft from a list that waits for a look at its columns.
async fn begun(admin: &Person<'_>, list: &[u8]) -> String {
    let fields: [(&str, &[u8]); 3] =
        [("name", b"Renewals"), ("default_region", b"us"), ("file", list)];
    let created = admin.send("/campaigns", &fields).await;
    assert_eq!(created.status, StatusCode::SEE_OTHER, "{}", created.text());
    let path = to(&created).to_owned();
    let id = path.strip_prefix("/campaigns/").unwrap().split('/').next().unwrap().to_owned();
    assert_eq!(path, format!("/campaigns/{id}/setup/columns"));
    id
}

#[tokio::test]
async fn a_campaign_goes_all_the_way_from_a_file_to_its_end() {
    let world = World::new();
    let admin = Person::new(&world, Role::Admin).await;
    let list = b"Who,Evening contact,Day\nAda,212 555 0100,Mon\nBob,n/a,Tue\nCy,+12125550100,\n";
    let id = begun(&admin, list).await;
    let at = |step: &str| format!("/campaigns/{id}/setup/{step}");

    let columns = admin.read(&at("columns")).await;
    assert!(columns.contains("<bdi>212 555 0100</bdi>"), "the rows are shown: {columns}");
    let unsaid = admin.post(&at("columns"), &[("name", "Who")]).await;
    assert_eq!(unsaid.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(unsaid.text().contains("Say which column holds the numbers"), "{}", unsaid.text());
    assert!(unsaid.text().contains("value=\"Who\" selected"), "what was chosen is kept");
    let named = [("name", "Who"), ("phone", "Evening contact"), ("dedupe", "phone")];
    assert_eq!(to(&admin.post(&at("columns"), &named).await), at("report"));

    let report = admin.read(&at("report")).await;
    assert!(report.contains("<bdi>n/a</bdi>") && report.contains("line 2"), "{report}");
    assert!(report.contains("Add 1 person<"), "{report}");
    let refused = admin.open(&at("refused.csv")).await;
    assert_eq!(
        refused.text(),
        "callcore_line,callcore_reason,Who,Evening contact,Day\r\n\
         3,Evening contact: not a valid phone number,Bob,n/a,Tue\r\n"
    );
    assert_eq!(world.get(&format!("/api/campaigns/{id}")).await.json["clients"], 0);
    let imported = take_in(&admin, &id).await;
    assert!(admin.follow(&imported).await.contains("The list is in"), "{}", imported.text());
    assert_eq!(world.get(&format!("/api/campaigns/{id}")).await.json["clients"], 1);
    let gone = admin.open(&at("report")).await;
    assert!(admin.follow(&gone).await.contains("No list waits here any more"));

    let mut hours = HOURS.to_vec();
    hours.extend([("mon_0_from", "09:00"), ("mon_0_to", "00:00")]);
    hours.extend([("closed_dates", "2026-12-25, 2027-01-01")]);
    hours.retain(|field| *field != ("closed_dates", ""));
    assert_eq!(to(&step(&admin, (&id, "hours"), &hours).await), at("rules"));
    assert_eq!(to(&step(&admin, (&id, "rules"), &RULES).await), at("script"));
    let steps = [
        ("step_0_kind", "say"),
        ("step_0_say", "Hello {{who|there}}, it is {{day}}."),
        ("step_0_language", "en-US"),
        ("key_0", "9"),
        ("key_0_action", "opt_out"),
    ];
    assert_eq!(to(&script(&admin, (&id, "script"), &steps).await), at("test"));
    let (_, set) = settings(&world, &id).await;
    assert_eq!(set["hours"], json!({"mon": [["09:00", "24:00"]]}));
    assert_eq!(set["closed_dates"], json!(["2026-12-25", "2027-01-01"]));

    let tried = admin.post(&at("test"), &[("phone", "(212) 555-0177"), ("sample", "Ada")]).await;
    let page = admin.follow(&tried).await;
    assert!(page.contains("on its way") && page.contains("+12125550177"), "{page}");

    let start = admin.read(&at("start")).await;
    assert!(start.contains("Start calling") && start.contains("of 1 on the list"), "{start}");
    assert!(start.contains("America/New_York"), "{start}");
    let started = admin.post(&format!("/campaigns/{id}/start"), &[]).await;
    assert!(admin.follow(&started).await.contains("The campaign runs"));
    assert!(admin.read("/dashboard").await.contains("Renewals"));
    let paused = admin.post(&format!("/campaigns/{id}/pause"), &[]).await;
    assert!(admin.follow(&paused).await.contains("is paused"));
    let asked = admin.read(&format!("/campaigns/{id}/stop")).await;
    assert!(asked.contains("1 client is not done yet"), "{asked}");
    let stopped = admin.post(&format!("/campaigns/{id}/stop"), &[]).await;
    assert!(admin.follow(&stopped).await.contains("is stopped"));
    let again = admin.post(&format!("/campaigns/{id}/resume"), &[]).await;
    assert_eq!(again.status, StatusCode::CONFLICT);
    assert!(again.text().contains("A stopped campaign can&#39;t resume."), "{}", again.text());
}

#[tokio::test]
async fn a_draft_can_be_left_and_says_what_is_left_to_do() {
    let world = World::new();
    let admin = Person::new(&world, Role::Admin).await;
    let nameless: [(&str, &[u8]); 4] =
        [("name", b""), ("default_region", b"US"), ("rows", b" "), ("file", b"")];
    let refused = admin.send("/campaigns", &nameless).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(refused.text().contains("id=\"e-name\">Is required."), "{}", refused.text());
    let pasted: [(&str, &[u8]); 4] = [
        ("name", b"Spring"),
        ("default_region", b"US"),
        ("rows", b"Name\tPhone\nAda\t2125550100\n"),
        ("file", b""),
    ];
    let created = admin.send("/campaigns", &pasted).await;
    let path = to(&created).strip_suffix("/setup/columns").unwrap().to_owned();
    let page = admin.read(&path).await;
    assert!(page.contains("Go on with the draft"), "{page}");
    assert_eq!(to(&admin.open(&format!("{path}/setup")).await), format!("{path}/setup/columns"));
    let id = path.rsplit('/').next().unwrap();
    let seen = mark(&admin, id).await;
    let discard = format!("{path}/setup/discard");
    let dropped = admin.post(&discard, &[("list", &*seen)]).await;
    assert!(admin.follow(&dropped).await.contains("nobody of it came in"));
    assert_eq!(to(&admin.open(&format!("{path}/setup")).await), format!("{path}/setup/list"));
    let start = admin.read(&format!("{path}/setup/start")).await;
    assert!(start.contains("nobody to call yet") && start.contains("would hear nothing"));
    assert!(!start.contains("Start calling"), "{start}");
    let too_early = admin.post(&format!("{path}/start"), &[]).await;
    assert_eq!(too_early.status, StatusCode::CONFLICT);
    assert!(too_early.text().contains("upload a CSV first"), "{}", too_early.text());
    let list: (&str, &[u8]) = ("file", b"Name,Phone\nAda,2125550100\n");
    let sent = admin.send(&format!("{path}/setup/list"), &[list]).await;
    assert_eq!(to(&sent), format!("{path}/setup/columns"));
    let nothing = admin.send(&format!("{path}/setup/list"), &[("file", b"")]).await;
    assert!(nothing.text().contains("Choose a file, or paste rows."), "{}", nothing.text());
    let asked = admin.read(&format!("{path}/delete")).await;
    assert!(asked.contains("goes for good"), "{asked}");
    let deleted = admin.post(&format!("{path}/delete"), &[]).await;
    assert!(admin.follow(&deleted).await.contains("The draft is deleted"));
    assert_eq!(admin.open(&path).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_file_that_is_no_list_is_told_in_a_sentence() {
    let world = World::new();
    let campaign = world.draft().await;
    let operator = Person::new(&world, Role::Operator).await;
    let answer = operator.upload(&campaign, &[("file", b"Name,City\nAda,Rome\n")]).await;
    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
    let page = answer.text();
    let words = "No column holds phone numbers; the columns are &#34;Name&#34;";
    assert!(page.contains(words), "{page}");
    let path = format!("/campaigns/{campaign}/setup/list");
    let binary = operator.send(&path, &[("file", b"%PDF-1.7\n\x00\x01")]).await;
    assert_eq!(binary.status, StatusCode::UNPROCESSABLE_ENTITY);
    let page = binary.text();
    assert!(page.contains("id=\"e-file\">This is") && page.contains("save it as CSV"), "{page}");
    let admin = Person::new(&world, Role::Admin).await;
    let parts: [(&str, &[u8]); 4] = [
        ("csrf", admin.csrf.as_bytes()),
        ("name", b"Summer"),
        ("default_region", b"US"),
        ("file", b""),
    ];
    let (media_type, body) = form(&parts);
    let body = String::from_utf8(body).unwrap().replace("filename=\"\"", "filename=\"a.csv\"");
    let request = world.request("POST", "/campaigns").anonymous().header("host", HOST);
    let request = request.header("cookie", &admin.cookie).header("content-type", &media_type);
    let request = request.header("origin", &format!("https://{HOST}"));
    let empty = request.body(body.into_bytes()).send().await;
    assert_eq!(empty.status, StatusCode::UNPROCESSABLE_ENTITY, "{}", empty.text());
    assert!(empty.text().contains("id=\"e-file\">The file is empty."), "{}", empty.text());
    let fields: [(&str, &[u8]); 3] =
        [("name", b"Spring"), ("default_region", b"US"), ("file", b"%PDF-1.7\n\x00\x01")];
    let none = admin.send("/campaigns", &fields).await;
    assert_eq!(none.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(none.text().contains("id=\"e-file\">") && none.text().contains("value=\"Spring\""));
    assert_eq!(world.get("/api/campaigns").await.json["items"].as_array().unwrap().len(), 1);
    // Which column holds the numbers can still be said.
    let odd = operator.send(&path, &[("file", b"Name,City\nAda,2125550100\n")]).await;
    let columns = operator.read(to(&odd)).await;
    assert!(columns.contains("in no column") && columns.contains("2125550100"), "{columns}");
    let skipped = operator.open(&format!("/campaigns/{campaign}/setup/report")).await;
    assert_eq!(to(&skipped), to(&odd), "the report needs to know it");
    let named = [("phone", "City"), ("name", "City")];
    let twice = operator.post(to(&odd), &named).await;
    assert!(twice.text().contains("This column is named above already."), "{}", twice.text());
    let named = [("phone", "City"), ("name", "Name"), ("on_duplicate", "update")];
    operator.post(to(&odd), &named).await;
    let imported = take_in(&operator, &campaign).await;
    assert!(operator.follow(&imported).await.contains("The list is in"));
    let clients = world.get(&format!("/api/campaigns/{campaign}/clients")).await.json;
    assert_eq!(clients["items"][0]["phone"], "+12125550100");
}

#[tokio::test]
async fn a_column_that_is_named_for_nothing_is_read_for_nothing() {
    let world = World::new();
    let admin = Person::new(&world, Role::Admin).await;
    let id = begun(&admin, b"Name,Phone,Notes\nAda,2125550100,met in May\n").await;
    let path = format!("/campaigns/{id}/setup");
    let page = admin.read(&format!("{path}/columns")).await;
    assert!(page.contains("value=\"Notes\" selected"), "it is guessed: {page}");
    admin.post(&format!("{path}/columns"), &[("phone", "Phone"), ("name", "Name")]).await;
    let page = admin.read(&format!("{path}/columns")).await;
    assert!(!page.contains("value=\"Notes\" selected"), "{page}");
    take_in(&admin, &id).await;
    let client = world.get(&format!("/api/clients/{}", world.client(&id).await)).await.json;
    assert_eq!((&client["notes"], &client["fields"]["Notes"]), (&json!([]), &json!("met in May")));
}

#[tokio::test]
async fn settings_without_a_control_survive_every_step() {
    let world = World::new();
    survives(&world, json!("Hello\n{{name}}.")).await;
    let audio = world.audio("After the beep").await;
    survives(&world, json!({"play": audio})).await;
}

async fn survives(world: &World, message: Value) {
    let mut document = crate::testing::settings();
    let audio = world.audio("Offer").await;
    for (field, value) in json!({
        "hours": {"mon": [["09:00", "12:00"], ["13:00", "17:00"], ["22:00", "02:00"]], "sun": [["10:00", "24:00"]]},
        "closed_dates": ["2026-12-25"], "start_on": "2026-11-01", "end_on": "2027-03-01",
        "zone_policy": "number", "zone_fallback": "refuse",
        "retry": {"connect": ["PT30M", "next_day", "PT90M"], "voicemail": [], "max_attempts": 7},
        "voicemail": {"policy": "leave_message", "message": message},
        "pacing": {"max_concurrent": 3, "calls_per_second": 2},
        "caps": [{"max": 3, "per": "PT24H", "count": "attempts", "key": "number"}, {"max": 9, "per": "P30D", "count": "attempts", "key": "number"}],
        "cool_downs": [{"after": "answered", "for": "P7D"}],
        "breaker": {"failed_share": 0.3333, "of_last": 20},
        "budget": {"calls_per_day": 500}, "consent_required": true, "priority": -3,
        "subject": "renewal", "caller_ids": ["+12125550100", "+13035550101"],
        "script": {"steps": [
            {"say": "Hello {{name|there}}.", "language": "es-MX"}, {"play": audio},
            {"connect": {"url": "wss://agent.example", "params": {"who": "{{name}}", "what": "a\nb"}}},
        ], "keys": {"1": {"tag": "confirmed"}, "0": {"transfer": "+12125550100"}, "#": "opt_out"}},
        "inbound": {"steps": [
            {"say": "Thank you.", "language": "en-US"}, {"record": {"max_seconds": 90}},
            {"transfer": "+12125550100"},
        ], "keys": {"9": "opt_out"}},
    }).as_object().unwrap() {
        document[field] = value.clone();
    }
    let draft = world.post("/api/campaigns", document).await;
    let id = draft.json["id"].as_str().unwrap().to_owned();
    let before = settings(world, &id).await;
    let admin = Person::new(world, Role::Admin).await;
    for name in ["hours", "rules", "script", "call-backs"] {
        let path = format!("/campaigns/{id}/setup/{name}");
        let page = admin.read(&path).await;
        let fields = fields_of(&page, &path);
        let fields: Vec<(&str, &str)> =
            fields.iter().map(|(name, value)| (&**name, &**value)).collect();
        let saved = if name.starts_with('h') || name.starts_with('r') {
            admin.post(&path, &fields).await
        } else {
            let parts: Vec<(&str, &[u8])> =
                fields.iter().map(|(name, value)| (*name, value.as_bytes())).collect();
            admin.send(&path, &parts).await
        };
        assert_eq!(saved.status, StatusCode::SEE_OTHER, "{name}: {}", saved.text());
        assert_eq!(settings(world, &id).await, before, "{name} leaves no new version");
    }
}

/// What a browser would send of the form that posts to a path, its save button pressed.
fn fields_of(page: &str, path: &str) -> Vec<(String, String)> {
    let unescaped = |text: &str| {
        let pairs =
            [("&#34;", "\""), ("&#39;", "'"), ("&#60;", "<"), ("&#62;", ">"), ("&#38;", "&")];
        pairs.iter().fold(text.to_owned(), |text, (from, to)| text.replace(from, to))
    };
    let attribute = |tag: &str, name: &str| {
        let (_, rest) = tag.split_once(&format!(" {name}=\""))?;
        Some(unescaped(rest.split('"').next().unwrap()))
    };
    let (_, form) = page.split_once(&format!("action=\"{path}\"")).unwrap();
    let form = form.split("</form>").next().unwrap();
    let mut fields = Vec::new();
    for (at, _) in form.match_indices('<') {
        let (tag, rest) = form[at..].split_once('>').unwrap();
        let Some(name) = attribute(tag, "name") else { continue };
        if name == "csrf" {
            continue;
        }
        if tag.starts_with("<input") {
            let kind = attribute(tag, "type").unwrap_or_default();
            let is_box = kind == "checkbox" || kind == "radio";
            if kind != "file" && (!is_box || tag.ends_with(" checked")) {
                fields.push((name, attribute(tag, "value").unwrap_or_default()));
            }
        } else if tag.starts_with("<textarea") {
            let text = rest.split("</textarea>").next().unwrap();
            // Browsers send line breaks so.
            fields.push((name, unescaped(text).replace('\n', "\r\n")));
        } else if tag.starts_with("<select") {
            let options = rest.split("</select>").next().unwrap();
            let chosen = options.split("<option").skip(1).find(|it| it.contains(" selected>"));
            let first = options.split("<option").nth(1);
            let value = chosen.or(first).and_then(|option| attribute(option, "value"));
            fields.push((name, value.unwrap_or_default()));
        }
    }
    fields
}

#[tokio::test]
async fn what_is_wrong_with_settings_stands_at_its_field_and_nothing_typed_is_lost() {
    let world = World::new();
    let id = world.draft().await;
    let admin = Person::new(&world, Role::Admin).await;
    let before = settings(&world, &id).await;
    let mut hours = HOURS.to_vec();
    hours[0] = ("time_zone", "Mars/Olympus");
    hours.extend([("tue_0_from", "09:00"), ("wed_1_from", "10:00"), ("wed_1_to", "10:00")]);
    let answer = step(&admin, (&id, "hours"), &hours).await;
    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(answer.text().contains("A window needs both its start and its end."));
    hours.retain(|(name, _)| *name != "tue_0_from");
    let page = step(&admin, (&id, "hours"), &hours).await.text();
    assert!(page.contains("id=\"e-time_zone\">") && page.contains("value=\"Mars/Olympus\""));
    assert!(page.contains("tarts and ends at 10:00"), "{page}");
    assert!(page.contains("aria-invalid=\"true\" aria-describedby=\"e-time_zone\""), "{page}");

    let mut rules = RULES.to_vec();
    rules.retain(|(name, _)| !["max_attempts", "max_concurrent", "voicemail"].contains(name));
    rules.extend([
        ("max_attempts", "10000"),
        ("voicemail", "leave_message"),
        ("max_concurrent", "100000"),
        ("connect_1", "after"),
        ("connect_1_number", "31"),
        ("connect_1_unit", "days"),
        ("cap_3", "5"),
        ("cap_3_number", "91"),
        ("cap_3_unit", "days"),
    ]);
    let page = step(&admin, (&id, "rules"), &rules).await.text();
    for words in [
        "id=\"e-retry.max_attempts\">From 1 to 20",
        "id=\"e-voicemail.message\">Is needed to leave a message",
        "id=\"e-pacing.max_concurrent\">Must be from 1 to 10000",
        "Must be at most 30 days.",
        "Must be at most 90 days.",
        "value=\"10000\"",
        "value=\"91\"",
    ] {
        assert!(page.contains(words), "{words}: {page}");
    }
    rules.extend([("message", "Call us."), ("audio", "0199aaaa-0000-7000-8000-000000000000")]);
    let page = step(&admin, (&id, "rules"), &rules).await.text();
    assert!(page.contains("id=\"e-voicemail.message\">Is either a text or an audio."), "{page}");
    rules.extend([("calls_per_day", "many"), ("cool_0", "answered"), ("cool_0_unit", "days")]);
    let page = step(&admin, (&id, "rules"), &rules).await.text();
    assert!(page.contains("id=\"e-budget.calls_per_day\">Is not a whole number."), "{page}");
    assert!(page.contains("Must be a whole number from 1."), "{page}");

    let steps = [
        ("step_0_kind", "connect"),
        ("step_0_url", "http://agent.example"),
        ("step_1_kind", "say"),
        ("step_1_say", "Hi {{ \"<there>\""),
        ("step_2_kind", "record"),
        ("step_2_seconds", "6oo"),
        ("step_3_kind", "transfer"),
        ("step_3_number", "nobody"),
        ("key_0", "1"),
        ("key_0_action", "transfer"),
        ("key_0_value", "nobody"),
    ];
    let answer = script(&admin, (&id, "script"), &steps).await;
    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
    let page = answer.text();
    for words in [
        "begins with wss://",
        "is never closed",
        "Must be from 1 to 600.",
        "value=\"6oo\"",
        "value=\"nobody\" placeholder=",
        "Must be a phone number",
        "Hi {{ &#34;&#60;there&#62;&#34;",
    ] {
        assert!(page.contains(words), "{words}: {page}");
    }
    assert_eq!(settings(&world, &id).await, before);
}

#[tokio::test]
async fn whoever_saves_over_somebody_elses_change_is_told_first() {
    let world = World::new();
    let id = world.draft().await;
    let admin = Person::new(&world, Role::Admin).await;
    let path = format!("/api/campaigns/{id}");
    let change = world.request("PATCH", &path).header("if-match", "1");
    change.json(json!({"priority": 5})).send().await;
    let mut fields = HOURS.to_vec();
    fields.extend([("fri_0_from", "10:00"), ("fri_0_to", "11:00"), ("version", "1")]);
    let answer = admin.post(&format!("/campaigns/{id}/setup/hours"), &fields).await;
    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
    let page = answer.text();
    assert!(page.contains("somebody changed the settings in the meantime"), "{page}");
    assert!(page.contains("value=\"10:00\"") && page.contains("name=\"version\" value=\"2\""));
    fields.pop();
    let saved = step(&admin, (&id, "hours"), &fields).await;
    assert_eq!(saved.status, StatusCode::SEE_OTHER);
    let (_, now) = settings(&world, &id).await;
    assert_eq!(
        (&now["priority"], &now["hours"]),
        (&json!(5), &json!({"fri": [["10:00", "11:00"]]}))
    );
}

#[tokio::test]
async fn windows_are_copied_and_steps_moved_without_a_script_and_without_saving() {
    let world = World::new();
    let id = world.draft().await;
    let admin = Person::new(&world, Role::Admin).await;
    let before = settings(&world, &id).await;
    let mut hours = HOURS.to_vec();
    hours.extend([("mon_0_from", "07:15"), ("mon_0_to", "08:45"), ("do", "copy_weekdays")]);
    let page = step(&admin, (&id, "hours"), &hours).await.text();
    assert_eq!(page.matches("value=\"07:15\"").count(), 5);
    assert!(page.contains("name=\"mon_1_from\"") && page.contains("Friday: 07:15–08:45"), "{page}");
    let steps = [
        ("step_0_kind", "say"),
        ("step_0_say", "First."),
        ("step_1_kind", "say"),
        ("step_1_say", "Second."),
    ];
    let edited_in = async |which: &'static str, act: &'static str| {
        let mut fields = steps.to_vec();
        fields.push(("do", act));
        let answer = script(&admin, (&id, which), &fields).await;
        assert_eq!(answer.status, StatusCode::OK, "{act}: {}", answer.text());
        answer.text()
    };
    let edited = async |act| edited_in("script", act).await;
    let moved = edited("up_1").await;
    assert!(moved.find("Second.").unwrap() < moved.find("First.").unwrap());
    assert!(!edited("remove_0").await.contains("First."));
    let three = edited("add_connect").await;
    assert!(three.contains("3. Hand over to a voice agent"), "{three}");
    assert!(edited("add_play").await.contains("choose an audio"));
    let three = edited("add_transfer").await;
    assert!(three.contains("3. Hand over to a number") && !three.contains("add_record"), "{three}");
    let three = edited_in("call-backs", "add_record").await;
    assert!(three.contains("3. Record a message") && three.contains("value=\"120\""), "{three}");
    assert_eq!(settings(&world, &id).await, before);
}

#[tokio::test]
async fn an_audio_is_uploaded_into_the_script_and_what_was_typed_stays() {
    let world = World::new();
    let id = world.loaded(1).await;
    let admin = Person::new(&world, Role::Admin).await;
    let path = format!("/campaigns/{id}/setup/script");
    let wav = wav();
    let typed: (&str, &[u8]) = ("step_0_say", b"Hello {{name}} of {{town}}.");
    let parts = [("version", &b"1"[..]), ("step_0_kind", b"say"), typed, ("do", b"upload")];
    let mut with_file = parts.to_vec();
    with_file.push(("file", &wav));
    let answer = admin.send(&path, &with_file).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    let page = answer.text();
    assert!(page.contains("2. Play an audio") && page.contains("list.csv</option>"), "{page}");
    assert!(page.contains("says</dt><dd><bdi>Hello Client 0 of . (en-US)"), "{page}");
    assert!(page.contains("No column is called <bdi>town</bdi>"), "{page}");
    let audio = world.get("/api/audio").await.json["items"][0]["id"].as_str().unwrap().to_owned();
    let steps = [
        ("step_0_kind", "say"),
        ("step_0_say", "Hello."),
        ("step_1_kind", "play"),
        ("step_1_play", &audio),
    ];
    let saved = script(&admin, (&id, "script"), &steps).await;
    assert_eq!(saved.status, StatusCode::SEE_OTHER, "{}", saved.text());
    let (_, now) = settings(&world, &id).await;
    assert_eq!(now["script"]["steps"][1], json!({"play": audio}));
    let mut with_page = parts.to_vec();
    with_page.push(("file", b"<html>"));
    let refused = admin.send(&path, &with_page).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
    let page = refused.text();
    assert!(page.contains("Is neither WAV nor MP3.") && page.contains("of {{town}}"), "{page}");
    let mut without = parts.to_vec();
    without.push(("file", b""));
    assert!(admin.send(&path, &without).await.text().contains("Choose a WAV or MP3 file first."));
}

#[tokio::test]
async fn a_caller_leaves_a_message_and_is_handed_over_as_the_form_says() {
    let world = World::new();
    let id = world.loaded(1).await;
    let admin = Person::new(&world, Role::Admin).await;
    let steps = [
        ("step_0_kind", "say"),
        ("step_0_say", "After the beep, please."),
        ("step_1_kind", "record"),
        ("step_1_seconds", "45"),
        ("step_2_kind", "transfer"),
        ("step_2_number", "(212) 555-0100"),
    ];
    let mut shown = steps.to_vec();
    shown.push(("do", "preview"));
    let page = script(&admin, (&id, "call-backs"), &shown).await.text();
    for words in [
        "records</dt><dd><bdi>a message of at most 45 seconds<",
        "hands over to</dt><dd><bdi>+12125550100<",
        "value=\"(212) 555-0100\"",
    ] {
        assert!(page.contains(words), "{words}: {page}");
    }
    let saved = script(&admin, (&id, "call-backs"), &steps).await;
    assert_eq!(saved.status, StatusCode::SEE_OTHER, "{}", saved.text());
    let wanted = json!([{"record": {"max_seconds": 45}}, {"transfer": "+12125550100"}]);
    let (_, now) = settings(&world, &id).await;
    assert_eq!(now["inbound"]["steps"].as_array().unwrap()[1..], *wanted.as_array().unwrap());
    let refused = script(&admin, (&id, "script"), &steps).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
    let page = refused.text();
    assert!(page.contains("Belongs into the inbound script"), "{page}");
    let page = script(&admin, (&id, "call-backs"), &steps[2..]).await.text();
    assert!(page.contains("nobody is recorded without being told"), "{page}");
}

#[tokio::test]
async fn the_script_is_heard_as_a_row_of_the_list_hears_it() {
    let world = World::new();
    let id = world.loaded(3).await;
    let admin = Person::new(&world, Role::Admin).await;
    let fields = [
        ("step_0_kind", "say"),
        ("step_0_say", "Hello {{name}}."),
        ("sample", "Client 2"),
        ("do", "preview"),
    ];
    let page = script(&admin, (&id, "call-backs"), &fields).await.text();
    assert!(page.contains("Hello Client 2. (en-US)"), "{page}");
    let (_, now) = settings(&world, &id).await;
    assert_eq!(now["inbound"], json!(null), "nothing was saved");
    assert_eq!(
        script(&admin, (&id, "call-backs"), &fields[..2]).await.status,
        StatusCode::SEE_OTHER
    );
    let (_, now) = settings(&world, &id).await;
    assert_eq!(now["inbound"]["steps"][0]["say"], "Hello {{name}}.");
    script(&admin, (&id, "call-backs"), &[]).await;
    assert_eq!(settings(&world, &id).await.1["inbound"], json!(null));
}

#[tokio::test]
async fn a_test_call_that_can_not_be_made_says_why_at_its_field() {
    let world = World::new();
    let id = world.loaded(1).await;
    world.post("/api/dnc", json!({"phone": "+12125550177"})).await;
    let operator = Person::new(&world, Role::Operator).await;
    let path = format!("/campaigns/{id}/setup/test");
    for (fields, words) in [
        (vec![("phone", "911")], "Is no phone number that could be dialled."),
        (vec![("phone", "212 555 0177")], "The number is on the Do-Not-Call list"),
        (vec![("phone", "212 555 0178"), ("sample", "Zoe")], "Nobody on the list has this name"),
    ] {
        let answer = operator.post(&path, &fields).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{words}");
        let page = answer.text();
        assert!(page.contains(words) && page.contains(&format!("value=\"{}\"", fields[0].1)));
    }
    let made = operator.post(&path, &[("phone", "212 555 0178")]).await;
    assert!(operator.follow(&made).await.contains("on its way"));
    world.answer_all().await;
    let page = operator.read(to(&made)).await;
    let list = operator.read("/calls/history").await;
    assert!(list.contains(">a test call</bdi>") && list.contains("data-label=\"Direction\">test<"));
    assert!(page.contains("answered") && !page.contains("id=\"test-call\" data-live"), "{page}");
}

#[tokio::test]
async fn a_test_call_that_is_refused_keeps_the_number() {
    let world = World::new();
    let id = world.loaded(1).await;
    world.post("/api/stop-all", json!({})).await;
    let operator = Person::new(&world, Role::Operator).await;
    let path = format!("/campaigns/{id}/setup/test");
    let fields = [("phone", "212 555 0178"), ("sample", "Client")];
    let page = operator.post(&path, &fields).await.text();
    assert!(page.contains("value=\"212 555 0178\"") && page.contains("value=\"Client\""), "{page}");
    assert!(page.contains("role=\"alert\""), "{page}");
}

#[tokio::test]
async fn nobody_lets_a_list_in_that_took_the_place_of_the_one_they_saw() {
    let world = World::new();
    let admin = Person::new(&world, Role::Admin).await;
    let id = begun(&admin, b"Name,Phone\nAda,2125550100\n").await;
    let seen = mark(&admin, &id).await;
    let path = format!("/campaigns/{id}/setup");
    let other: [(&str, &[u8]); 1] = [("file", b"Name,Phone\nBob,2125550101\nCy,2125550102\n")];
    admin.send(&format!("{path}/list"), &other).await;
    for act in ["report", "discard"] {
        let answer = admin.post(&format!("{path}/{act}"), &[("list", &*seen)]).await;
        let page = admin.follow(&answer).await;
        assert!(page.contains("another list took the place") && page.contains("Add 2 people"));
    }
    // Read differently it is another list too.
    let seen = mark(&admin, &id).await;
    let columns = [("phone", "Phone"), ("on_duplicate", "update")];
    admin.post(&format!("{path}/columns"), &columns).await;
    let stale = admin.post(&format!("{path}/report"), &[("list", &*seen)]).await;
    assert!(admin.follow(&stale).await.contains("another list took the place"));
    take_in(&admin, &id).await;
    assert_eq!(
        world.get(&format!("/api/campaigns/{id}/clients")).await.json["items"]
            .as_array()
            .unwrap()
            .len(),
        2
    );
}

#[tokio::test]
async fn the_last_page_says_what_the_preview_says() {
    let world = World::new();
    let id = world.loaded(3).await;
    world.post("/api/dnc", json!({"phone": "+12125550101"})).await;
    let viewer = Person::new(&world, Role::Viewer).await;
    let preview = world.get(&format!("/api/campaigns/{id}/preview")).await.json;
    assert_eq!((&preview["would_call"], &preview["would_skip"]), (&json!(2), &json!(1)));
    let page = viewer.read(&format!("/campaigns/{id}/setup/start")).await;
    assert!(page.contains("<dd>2<small>of 3 on the list"), "{page}");
    assert!(page.contains("<td>the number is on the Do-Not-Call list</td><td class=\"num\">1"));
    assert!(page.contains("today 15:00"), "{page}");
}

#[tokio::test]
async fn whoever_is_erased_is_in_no_list_that_waits() {
    let world = World::new();
    let admin = Person::new(&world, Role::Admin).await;
    let id = begun(&admin, b"Name,Phone\nAda,2125550100\n").await;
    world.loaded(1).await;
    let other = world.loaded(1).await;
    let client = world.client(&other).await;
    let path = format!("/api/clients/{client}/personal-data?reason=asked");
    assert_eq!(world.delete(&path).await.status, StatusCode::OK);
    let gone = admin.open(&format!("/campaigns/{id}/setup/columns")).await;
    assert!(admin.follow(&gone).await.contains("No list waits here any more"));
}

#[tokio::test]
async fn a_list_with_thousands_of_columns_and_a_long_script_make_no_large_page() {
    let world = World::new();
    let admin = Person::new(&world, Role::Admin).await;
    let mut list = "Phone".to_owned();
    for column in 0..1_900 {
        list.push_str(&format!(",{} <&> {column}", "Column".repeat(5)));
    }
    list.push('\n');
    for row in 0..9 {
        list.push_str(&format!(
            "212555010{row}{}\n",
            format!(",{}", "<&>".repeat(30)).repeat(1_900)
        ));
    }
    let id = begun(&admin, list.as_bytes()).await;
    let columns = admin.read(&format!("/campaigns/{id}/setup/columns")).await;
    assert!(columns.len() < super::LARGEST_PAGE, "{}", columns.len());
    assert!(columns.contains("value=\"Phone\" list=\"columns\""), "{columns}");
    let path = format!("/campaigns/{id}/setup/columns");
    let unknown = admin.post(&path, &[("phone", "Phone"), ("tags", "Colour")]).await;
    assert_eq!(unknown.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(unknown.text().contains("id=\"e-tags\">There is no column &#34;Colour&#34;."));
    admin.post(&path, &[("phone", "Phone")]).await;
    take_in(&admin, &id).await;
    let say = "Hello & goodbye. ".repeat(150);
    let steps: Vec<(String, &str)> = (0..10)
        .flat_map(|at| [(format!("step_{at}_kind"), "say"), (format!("step_{at}_say"), &*say)])
        .collect();
    let steps: Vec<(&str, &str)> = steps.iter().map(|(name, value)| (&**name, *value)).collect();
    let saved = script(&admin, (&id, "script"), &steps).await;
    assert_eq!(saved.status, StatusCode::SEE_OTHER, "{}", saved.text());
    for path in ["", "/changes", "/setup/script", "/setup/start", "/setup/list"] {
        let page = admin.read(&format!("/campaigns/{id}{path}")).await;
        assert!(page.len() < super::LARGEST_PAGE, "{path}: {}", page.len());
    }
}

#[tokio::test]
async fn calls_are_recorded_only_with_words_that_say_so() {
    let world = World::new();
    let id = world.loaded(1).await;
    let admin = Person::new(&world, Role::Admin).await;
    let send = async |notice: &str| {
        let fields = [
            ("step_0_kind", "say"),
            ("step_0_say", "Hello."),
            ("recording", "mono"),
            ("transcription", "on"),
            ("notice", notice),
        ];
        script(&admin, (&id, "script"), &fields).await
    };
    let refused = send("").await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(refused.text().contains("Is required where calls are recorded"), "{}", refused.text());
    assert_eq!(send("This call is recorded.").await.status, StatusCode::SEE_OTHER);
    let (_, settings) = settings(&world, &id).await;
    assert_eq!(
        (&settings["recording"], &settings["transcription"], &settings["script"]["notice"]),
        (&json!("mono"), &json!(true), &json!("This call is recorded."))
    );
    let page = admin.read(&format!("/campaigns/{id}/setup/script")).await;
    assert!(page.contains("This call is recorded.</textarea>"), "{page}");
}

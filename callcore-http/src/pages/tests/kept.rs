//! What somebody wrote when their session was over.

use axum::http::{StatusCode, header};
use callcore::actor::Role;

use super::{HOST, client_path, to};
use crate::pages::frame::encoded;
use crate::testing::World;

/// The fields of a page's form that can't be seen, as a browser sends them.
fn hidden(page: &str) -> String {
    let fields = page.split("<input type=\"hidden\" name=\"").skip(1);
    let fields = fields.map(|field| {
        let (name, rest) = field.split_once("\" value=\"").unwrap();
        let value = rest.split('"').next().unwrap();
        let value = value.replace("&#38;", "&").replace("&#34;", "\"").replace("&#60;", "<");
        format!("{}={}", encoded(name), encoded(&value))
    });
    fields.collect::<Vec<_>>().join("&")
}

#[tokio::test]
async fn what_somebody_wrote_outlives_their_session() {
    let world = World::new();
    let campaign = world.loaded(1).await;
    let path = client_path(&world, &campaign).await;
    world.user("ada", Role::Operator, Some("correct horse")).await;
    let send = async |to: &str, cookie: &str, body: &str| {
        let request = world.request("POST", to).anonymous().header("host", HOST);
        let request = request.header("origin", &format!("https://{HOST}"));
        let request = request.header("referer", &format!("https://{HOST}{path}"));
        let request = request.header("content-type", "application/x-www-form-urlencoded");
        request.header("cookie", cookie).body(body.as_bytes().to_vec()).send().await
    };
    let note = format!("{path}/note");
    let over = "callcore_session=over";
    let door = send(&note, over, "csrf=old&text=asks+for+%22Ms.%22+%3C%26%0D%0ASmith").await;
    assert_eq!(door.status, StatusCode::UNAUTHORIZED);
    let page = door.text();
    assert!(page.contains("not taken yet") && page.contains("name=\"password\""), "{page}");
    assert!(!page.contains("old"), "the old session's token goes: {page}");
    let wrong = send("/sign-in", "", &format!("{}&name=ada&password=wrong", hidden(&page))).await;
    assert_eq!(wrong.status, StatusCode::UNAUTHORIZED);
    let page = wrong.text();
    let right = format!("{}&name=ada&password=correct+horse", hidden(&page));
    let resumed = send("/sign-in", "", &right).await;
    assert_eq!(resumed.status, StatusCode::OK, "{}", resumed.text());
    let cookie = resumed.headers[header::SET_COOKIE].to_str().unwrap().split(';').next().unwrap();
    let page = resumed.text();
    let action = format!("action=\"{note}\"");
    assert!(page.contains(&action) && page.contains(&format!("href=\"{path}\"")), "{page}");
    let sent = send(&note, cookie, &hidden(&page)).await;
    assert_eq!((sent.status, to(&sent)), (StatusCode::SEE_OTHER, &*path));
    let page = world.request("GET", &path).anonymous().header("cookie", cookie).send().await.text();
    assert!(page.contains("asks for &#34;Ms.&#34; &#60;&#38;\nSmith"), "{page}");
}

#[tokio::test]
async fn nothing_waits_behind_the_door_that_our_own_page_did_not_send() {
    let world = World::new();
    let form = "application/x-www-form-urlencoded";
    let ours = format!("https://{HOST}");
    let passwords = "current=correct+horse&password=x&again=x";
    for (path, origin, cookie, media_type, body) in [
        ("/dnc", "https://evil.example", "callcore_session=over", form, "phone=%2B12125550100"),
        ("/dnc", &*ours, "", form, "phone=%2B12125550100"),
        ("/dnc", &*ours, "callcore_session=over", "text/plain", "phone=%2B12125550100"),
        ("/settings/password", &*ours, "callcore_session=over", form, passwords),
        ("/sign-out", &*ours, "callcore_session=over", form, ""),
    ] {
        let request = world.request("POST", path).anonymous().header("host", HOST);
        let request = request.header("origin", origin).header("cookie", cookie);
        let request = request.header("content-type", media_type);
        let answer = request.body(body.as_bytes().to_vec()).send().await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER, "{path} {origin} {cookie} {media_type}");
        assert!(to(&answer).starts_with("/sign-in"), "{}", to(&answer));
    }
    world.user("ada", Role::Admin, Some("correct horse")).await;
    let request = world.request("POST", "/sign-in").anonymous().header("host", HOST);
    let request = request.header("origin", &ours).header("content-type", form);
    let body = "name=ada&password=correct+horse&kept=%2F%2Fevil.example&kept-a=b";
    let answer = request.body(body.as_bytes().to_vec()).send().await;
    assert_eq!((answer.status, to(&answer)), (StatusCode::SEE_OTHER, "/dashboard"));
}

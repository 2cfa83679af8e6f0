//! What Twilio takes as a document, checked with a parser of its own.

use roxmltree::{Document, Node};
use url::Url;

use super::PUBLIC;

/// Which elements stand in which, as Twilio documents it.
const INSIDE: [(&str, &[&str]); 7] = [
    (
        "Response",
        &[
            "Say", "Play", "Pause", "Gather", "Hangup", "Redirect", "Reject", "Record", "Dial",
            "Connect", "Start",
        ],
    ),
    ("Gather", &["Say", "Play", "Pause"]),
    ("Dial", &["Number"]),
    ("Connect", &["Stream", "ConversationRelay"]),
    ("Stream", &["Parameter"]),
    ("ConversationRelay", &["Parameter"]),
    ("Start", &["Transcription"]),
];

/// The most bytes of one `Say` that every voice takes (error 13521).
const MAX_SAY: usize = 3_000;

/// Where a document sends Twilio.
#[derive(Debug, Default)]
pub(super) struct Heard {
    /// The path and query below the webhooks of its redirect.
    pub(super) redirect: Option<String>,
    /// Whether it goes on with an agent.
    pub(super) connects: bool,
}

/// Checks a document of a call whose hooks are below `at`: `calls/...` or `inbound`.
pub(super) fn check(xml: &str, at: &str) -> Heard {
    assert!(xml.len() <= 64 * 1024, "Twilio refuses {} bytes", xml.len());
    let document = Document::parse(xml).unwrap_or_else(|error| panic!("{error}: {xml}"));
    assert_eq!(document.root_element().tag_name().name(), "Response", "{xml}");
    let mut heard = Heard::default();
    for node in document.descendants().filter(Node::is_element) {
        let name = node.tag_name().name();
        let may = INSIDE.iter().find(|(parent, _)| *parent == name).map_or(&[][..], |it| it.1);
        for child in node.children().filter(Node::is_element) {
            let child = child.tag_name().name();
            assert!(may.contains(&child), "{child} in {name}: {xml}");
        }
        let text = node.text().unwrap_or_default();
        match name {
            "Say" => assert!(text.len() <= MAX_SAY, "{} bytes are said", text.len()),
            "Play" => assert!(text.starts_with(&format!("{PUBLIC}media/")), "{text} is played"),
            "Redirect" => heard.redirect = Some(ours(text, at)),
            "Number" => assert!(text.starts_with('+') && text[1..].parse::<u64>().is_ok()),
            "Connect" => heard.connects = true,
            "Stream" | "ConversationRelay" => {
                let url = node.attribute("url").unwrap_or_default();
                let scheme = Url::parse(url).map(|url| url.scheme().to_owned());
                assert_eq!(scheme.as_deref(), Ok("wss"), "{url}");
            }
            _ => {}
        }
        for attribute in ["action", "statusCallbackUrl", "recordingStatusCallback"] {
            node.attribute(attribute).map(|url| ours(url, at));
        }
    }
    heard
}

/// The path and query of a hook of this call.
fn ours(url: &str, at: &str) -> String {
    assert!(Url::parse(url).is_ok(), "{url} is not absolute");
    let path = url.strip_prefix(PUBLIC).and_then(|rest| rest.strip_prefix("webhooks/twilio/"));
    let path = path.unwrap_or_else(|| panic!("{url} leads elsewhere"));
    assert!(
        path.strip_prefix(at).is_some_and(|rest| rest.starts_with('/')),
        "{url} is not of {at}"
    );
    path.to_owned()
}

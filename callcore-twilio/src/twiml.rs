//! TwiML: what Twilio does in a call, as types that can only be rendered to well-formed XML.
//!
//! Texts come from clients' fields, so everything is escaped here and nowhere else, and characters
//! that XML can't hold are dropped: one of them would end the call with error 12100. Verbs and
//! attributes are those of <https://www.twilio.com/docs/voice/twiml>.
//!
//! ```
//! use callcore_twilio::twiml::{Response, Say, Verb};
//! let response = Response::new([Verb::Say(Say::new("Tom & Jerry", "en-US")), Verb::Hangup]);
//! assert_eq!(
//!     response.render()?,
//!     "<?xml version=\"1.0\" encoding=\"UTF-8\"?><Response>\
//!      <Say language=\"en-US\">Tom &amp; Jerry</Say><Hangup/></Response>"
//! );
//! # Ok::<(), callcore_twilio::twiml::TooLong>(())
//! ```

use std::fmt::Write;

use callcore::phone::PhoneNumber;

/// The most bytes that Twilio takes as a document (error 11750).
const MAX_BYTES: usize = 64 * 1024;

/// The most characters that Twilio takes as a document in a request to its API (error 32018).
pub(crate) const MAX_SENT: usize = 4_000;

/// A document, in the order it is carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response(Vec<Verb>);

/// The document is longer than Twilio takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the TwiML is longer than {MAX_BYTES} bytes")]
pub struct TooLong;

/// One thing to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verb {
    /// Speaks a text.
    Say(Say),
    /// Plays an audio file.
    Play(Play),
    /// Says nothing for some seconds.
    Pause {
        /// How long.
        seconds: u32,
    },
    /// Waits for keys while something is heard.
    Gather(Gather),
    /// Ends the call.
    Hangup,
    /// Goes on with the document at an absolute URL.
    Redirect {
        /// Where.
        url: String,
    },
    /// Refuses an inbound call, unbilled; only as the first verb.
    Reject,
    /// Records what the caller says.
    Record(Record),
    /// Connects another number.
    Dial(Dial),
    /// Hands the call to an agent over a web socket.
    Connect(Connect),
    /// Begins to send what is said, as text.
    Transcribe(Transcribe),
}

/// A text to speak.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Say {
    /// The words.
    pub text: String,
    /// Their language as a BCP 47 tag.
    pub language: String,
}

impl Say {
    /// A text in a language.
    #[must_use]
    pub fn new(text: impl Into<String>, language: impl Into<String>) -> Self {
        Self { text: text.into(), language: language.into() }
    }
}

/// An audio file to play.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Play {
    /// Where Twilio fetches it.
    pub url: String,
}

/// What may be heard while keys are waited for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Prompt {
    /// A text.
    Say(Say),
    /// An audio file.
    Play(Play),
    /// Silence.
    Pause {
        /// How long.
        seconds: u32,
    },
}

/// Waits for one key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gather {
    /// What is heard meanwhile; a key cuts it off.
    pub prompts: Vec<Prompt>,
    /// The absolute URL that is told the key and answers with what follows.
    pub action: String,
    /// Seconds to wait after the last prompt; without a key the next verb follows.
    pub timeout_seconds: u32,
}

/// Records what the caller says after a beep, until silence, a key or a hang-up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The absolute URL that is told, with the key that ended it, and answers with what follows.
    /// Twilio's own default is the current document, again and again. If nothing was said, the next
    /// verb follows instead.
    pub action: String,
    /// The absolute URL that is told once the recording can be fetched.
    pub status_url: String,
    /// The longest recording.
    pub max_seconds: u32,
}

/// Connects another number, for a transfer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dial {
    /// The number.
    pub to: PhoneNumber,
    /// The number the other side sees.
    pub caller_id: Option<PhoneNumber>,
    /// The absolute URL that is told how it went and answers with what follows.
    pub action: String,
    /// How long it may ring.
    pub ring_seconds: u32,
    /// How long it may last.
    pub talk_seconds: u32,
}

/// An agent over a web socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Connect {
    /// How the agent is spoken to.
    pub kind: ConnectKind,
    /// Its `wss://` URL.
    pub url: String,
    /// What it is told at the start.
    pub parameters: Vec<(String, String)>,
    /// The absolute URL that is told when the agent ends and answers with what follows.
    pub action: String,
}

/// How an agent is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConnectKind {
    /// Raw audio both ways.
    Stream,
    /// Text both ways; Twilio hears and speaks.
    ConversationRelay,
}

/// Sends what is said, as text, while it is said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transcribe {
    /// The absolute URL that is told.
    pub status_url: String,
    /// The language as a BCP 47 tag.
    pub language: String,
}

impl From<Prompt> for Verb {
    fn from(prompt: Prompt) -> Self {
        match prompt {
            Prompt::Say(say) => Self::Say(say),
            Prompt::Play(play) => Self::Play(play),
            Prompt::Pause { seconds } => Self::Pause { seconds },
        }
    }
}

impl Response {
    /// A document of these verbs.
    #[must_use]
    pub fn new(verbs: impl IntoIterator<Item = Verb>) -> Self {
        Self(verbs.into_iter().collect())
    }

    /// A document that does nothing: the call goes on as it was, or ends.
    #[must_use]
    pub const fn empty() -> Self {
        Self(Vec::new())
    }

    /// The document with something to do before all else.
    #[must_use]
    pub fn after(mut self, first: Verb) -> Self {
        self.0.insert(0, first);
        self
    }

    /// The document as XML.
    ///
    /// # Errors
    ///
    /// It is longer than the 64 kB that Twilio takes.
    pub fn render(&self) -> Result<String, TooLong> {
        let mut xml = Xml::default();
        xml.open("Response", &[]);
        self.0.iter().for_each(|verb| xml.verb(verb));
        xml.close("Response");
        if xml.0.len() > MAX_BYTES { Err(TooLong) } else { Ok(xml.0) }
    }
}

/// Writes XML. The only place where text becomes markup.
struct Xml(String);

impl Default for Xml {
    fn default() -> Self {
        Self("<?xml version=\"1.0\" encoding=\"UTF-8\"?>".to_owned())
    }
}

type Attribute<'a> = (&'a str, &'a str);

impl Xml {
    fn verb(&mut self, verb: &Verb) {
        match verb {
            Verb::Say(say) => self.say(say),
            Verb::Play(play) => self.leaf("Play", &[], &play.url),
            Verb::Pause { seconds } => self.pause(*seconds),
            Verb::Gather(gather) => self.gather(gather),
            Verb::Hangup => self.empty("Hangup", &[]),
            Verb::Redirect { url } => self.leaf("Redirect", &[("method", "POST")], url),
            Verb::Reject => self.empty("Reject", &[]),
            Verb::Record(record) => self.record(record),
            Verb::Dial(dial) => self.dial(dial),
            Verb::Connect(connect) => self.connect(connect),
            Verb::Transcribe(transcribe) => self.transcribe(transcribe),
        }
    }

    fn say(&mut self, say: &Say) {
        self.leaf("Say", &[("language", &say.language)], &say.text);
    }

    fn pause(&mut self, seconds: u32) {
        self.empty("Pause", &[("length", &seconds.to_string())]);
    }

    fn gather(&mut self, gather: &Gather) {
        let timeout = gather.timeout_seconds.to_string();
        self.open(
            "Gather",
            &[
                ("input", "dtmf"),
                ("action", &gather.action),
                ("method", "POST"),
                ("timeout", &timeout),
                ("numDigits", "1"),
                // `#` is a key like the others.
                ("finishOnKey", ""),
            ],
        );
        for prompt in &gather.prompts {
            match prompt {
                Prompt::Say(say) => self.say(say),
                Prompt::Play(play) => self.leaf("Play", &[], &play.url),
                Prompt::Pause { seconds } => self.pause(*seconds),
            }
        }
        self.close("Gather");
    }

    fn record(&mut self, record: &Record) {
        let max = record.max_seconds.to_string();
        self.empty(
            "Record",
            &[
                ("action", &record.action),
                ("method", "POST"),
                ("maxLength", &max),
                ("playBeep", "true"),
                ("recordingStatusCallback", &record.status_url),
                ("recordingStatusCallbackMethod", "POST"),
            ],
        );
    }

    fn dial(&mut self, dial: &Dial) {
        let (ring, talk) = (dial.ring_seconds.to_string(), dial.talk_seconds.to_string());
        let caller_id = dial.caller_id.map(|number| number.to_string());
        let mut attributes: Vec<Attribute<'_>> = vec![
            ("action", &dial.action),
            ("method", "POST"),
            ("timeout", &ring),
            ("timeLimit", &talk),
            ("answerOnBridge", "true"),
        ];
        attributes.extend(caller_id.as_deref().map(|number| ("callerId", number)));
        self.open("Dial", &attributes);
        self.leaf("Number", &[], &dial.to.to_string());
        self.close("Dial");
    }

    fn connect(&mut self, connect: &Connect) {
        self.open("Connect", &[("action", &connect.action), ("method", "POST")]);
        let name = match connect.kind {
            ConnectKind::Stream => "Stream",
            ConnectKind::ConversationRelay => "ConversationRelay",
        };
        self.open(name, &[("url", &connect.url)]);
        for (name, value) in &connect.parameters {
            self.empty("Parameter", &[("name", name), ("value", value)]);
        }
        self.close(name);
        self.close("Connect");
    }

    fn transcribe(&mut self, transcribe: &Transcribe) {
        self.open("Start", &[]);
        self.empty(
            "Transcription",
            &[
                ("statusCallbackUrl", &transcribe.status_url),
                ("languageCode", &transcribe.language),
                ("track", "both_tracks"),
            ],
        );
        self.close("Start");
    }

    fn open(&mut self, name: &str, attributes: &[Attribute<'_>]) {
        self.tag(name, attributes, ">");
    }

    fn empty(&mut self, name: &str, attributes: &[Attribute<'_>]) {
        self.tag(name, attributes, "/>");
    }

    fn leaf(&mut self, name: &str, attributes: &[Attribute<'_>], text: &str) {
        self.open(name, attributes);
        self.text(text);
        self.close(name);
    }

    fn close(&mut self, name: &str) {
        // Writing to a string can't fail.
        let _: std::fmt::Result = write!(self.0, "</{name}>");
    }

    fn tag(&mut self, name: &str, attributes: &[Attribute<'_>], end: &str) {
        self.0.push('<');
        self.0.push_str(name);
        for (attribute, value) in attributes {
            self.0.push(' ');
            self.0.push_str(attribute);
            self.0.push_str("=\"");
            self.text(value);
            self.0.push('"');
        }
        self.0.push_str(end);
    }

    /// One escape serves text and attributes: what either needs harms the other nowhere.
    fn text(&mut self, text: &str) {
        for character in text.chars().filter(|character| is_xml(*character)) {
            // It is too long already, and will be refused.
            if self.0.len() > MAX_BYTES {
                return;
            }
            match character {
                '&' => self.0.push_str("&amp;"),
                '<' => self.0.push_str("&lt;"),
                '>' => self.0.push_str("&gt;"),
                '"' => self.0.push_str("&quot;"),
                // Parsers turn these into spaces in attributes, and CR into LF everywhere.
                '\t' => self.0.push_str("&#9;"),
                '\n' => self.0.push_str("&#10;"),
                '\r' => self.0.push_str("&#13;"),
                other => self.0.push(other),
            }
        }
    }
}

/// Whether XML 1.0 can hold a character (its production 2, `Char`).
const fn is_xml(character: char) -> bool {
    matches!(character,
        '\t' | '\n' | '\r' | ' '..='\u{D7FF}' | '\u{E000}'..='\u{FFFD}' | '\u{10000}'..)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rendered(verbs: impl IntoIterator<Item = Verb>) -> String {
        Response::new(verbs).render().unwrap()
    }

    #[test]
    fn each_verb_is_what_twilio_documents() {
        let dial = Dial {
            to: "+12125550123".parse().unwrap(),
            caller_id: "+12125550100".parse().ok(),
            action: "https://c.example/a?b=1&c=2".to_owned(),
            ring_seconds: 30,
            talk_seconds: 600,
        };
        let xml = rendered([Verb::Dial(dial)]);
        assert!(
            xml.contains(
                "<Dial action=\"https://c.example/a?b=1&amp;c=2\" method=\"POST\" timeout=\"30\" \
                 timeLimit=\"600\" answerOnBridge=\"true\" callerId=\"+12125550100\">\
                 <Number>+12125550123</Number></Dial>"
            ),
            "{xml}"
        );
        let gather = Gather {
            prompts: vec![Prompt::Say(Say::new("Hi", "en-US")), Prompt::Pause { seconds: 2 }],
            action: "https://c.example/k".to_owned(),
            timeout_seconds: 5,
        };
        let xml = rendered([Verb::Gather(gather), Verb::Hangup]);
        assert!(xml.contains("numDigits=\"1\" finishOnKey=\"\"><Say"), "{xml}");
        assert!(xml.ends_with("<Pause length=\"2\"/></Gather><Hangup/></Response>"), "{xml}");
        let record = Record {
            action: "https://c.example/k?a=1&b=2".to_owned(),
            status_url: "https://c.example/r".to_owned(),
            max_seconds: 90,
        };
        let xml = rendered([Verb::Record(record)]);
        assert!(
            xml.contains(
                "<Record action=\"https://c.example/k?a=1&amp;b=2\" method=\"POST\" \
                 maxLength=\"90\" playBeep=\"true\" \
                 recordingStatusCallback=\"https://c.example/r\" \
                 recordingStatusCallbackMethod=\"POST\"/>"
            ),
            "{xml}"
        );
    }

    #[test]
    fn a_name_with_markup_stays_a_name() {
        let xml = rendered([Verb::Say(Say::new("</Say><Hangup/>\u{7}&amp;", "en\" x=\""))]);
        let document = roxmltree::Document::parse(&xml).unwrap();
        let say = document.root_element().first_element_child().unwrap();
        assert_eq!(say.text(), Some("</Say><Hangup/>&amp;"));
        assert_eq!(say.attribute("language"), Some("en\" x=\""));
        assert_eq!(document.root_element().children().count(), 1);
    }

    #[test]
    fn a_document_that_twilio_would_refuse_is_not_made() {
        let long = Verb::Say(Say::new("x".repeat(MAX_BYTES), "en-US"));
        assert_eq!(Response::new([long]).render(), Err(TooLong));
    }

    proptest! {
        #[test]
        fn whatever_the_texts_are_the_document_says_them(text in "\\PC*|[\\x00-\\xFF]*", key in ".*") {
            let connect = Connect {
                kind: ConnectKind::Stream,
                url: "wss://agent.example".to_owned(),
                parameters: vec![(key.clone(), text.clone())],
                action: "https://c.example".to_owned(),
            };
            let xml = rendered([Verb::Say(Say::new(text.clone(), "en-US")), Verb::Connect(connect)]);
            let document = roxmltree::Document::parse(&xml).unwrap();
            let kept = |text: &str| text.chars().filter(|c| is_xml(*c)).collect::<String>();
            let say = document.descendants().find(|node| node.has_tag_name("Say")).unwrap();
            prop_assert_eq!(say.text().unwrap_or_default(), kept(&text));
            let parameter =
                document.descendants().find(|node| node.has_tag_name("Parameter")).unwrap();
            prop_assert_eq!(parameter.attribute("value").unwrap(), kept(&text));
            prop_assert_eq!(parameter.attribute("name").unwrap(), kept(&key));
        }
    }
}

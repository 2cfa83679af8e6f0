//! Documents of every shape.

use callcore::phone::PhoneNumber;
use roxmltree::{Document, Node};

use super::{fields, first, parts, text};
use crate::twiml::{
    Connect, ConnectKind, Dial, Gather, Play, Prompt, Record, Response, Say, Transcribe, Verb,
};

/// A document, one verb a line: `say=Hello&language=en-US`, `play=URL`, `pause=3`,
/// `gather=URL&timeout=5` which takes the next `prompts=2` lines into it, `hangup=`,
/// `redirect=URL`, `reject=`, `record=URL&status=URL&max=60`, `dial=12125550123`,
/// `connect=URL&relay=&action=URL` whose other fields are parameters, `transcribe=URL`.
///
/// What a parser reads back is what was written, without the characters that XML can't hold.
///
/// # Panics
///
/// That does not hold.
pub fn twiml(input: &[u8]) {
    let lines: Vec<_> = parts(input).0.iter().map(|line| fields(line.as_bytes())).collect();
    let mut lines = lines.iter().map(|line| &line[..]);
    let (mut verbs, mut wanted) = (Vec::new(), Vec::new());
    while let Some(line) = lines.next() {
        let Some((verb, element)) = verb(line, &mut lines) else { continue };
        verbs.push(verb);
        wanted.push(element);
    }
    let whole = Element::new("Response", &[]).with(wanted);
    let Ok(xml) = Response::new(verbs).render() else {
        assert!(whole.most_bytes() > 64 * 1024, "a short document is refused");
        return;
    };
    assert!(xml.len() <= 64 * 1024, "Twilio refuses the document");
    let document = Document::parse(&xml).unwrap_or_else(|error| panic!("{error}: {xml}"));
    whole.same(document.root_element());
}

/// What a parser has to read.
struct Element {
    name: &'static str,
    attributes: Vec<(&'static str, String)>,
    text: String,
    children: Vec<Element>,
}

type Line = [(String, String)];

fn verb<'a>(line: &Line, rest: &mut impl Iterator<Item = &'a Line>) -> Option<(Verb, Element)> {
    if let Some((prompt, element)) = prompt(line) {
        return Some((prompt.into(), element));
    }
    let number =
        |name: &str, or: u32| first(line, name).and_then(|text| text.parse().ok()).unwrap_or(or);
    let (kind, of) = line.first().map(|(kind, _)| (&**kind, text(line, kind)))?;
    Some(match kind {
        "gather" => {
            let prompts = rest.take(number("prompts", 1).min(9) as usize).filter_map(prompt);
            let (prompts, children): (Vec<_>, Vec<_>) = prompts.unzip();
            let timeout_seconds = number("timeout", 5);
            let element = Element::new(
                "Gather",
                &[
                    ("input", "dtmf"),
                    ("action", &of),
                    ("method", "POST"),
                    ("timeout", &timeout_seconds.to_string()),
                    ("numDigits", "1"),
                    ("finishOnKey", ""),
                ],
            );
            let gather = Gather { prompts, action: of, timeout_seconds };
            (Verb::Gather(gather), element.with(children))
        }
        "hangup" => (Verb::Hangup, Element::new("Hangup", &[])),
        "redirect" => {
            let element = Element::new("Redirect", &[("method", "POST")]).saying(&of);
            (Verb::Redirect { url: of }, element)
        }
        "reject" => (Verb::Reject, Element::new("Reject", &[])),
        "record" => {
            let (status_url, max_seconds) = (text(line, "status"), number("max", 60));
            let element = Element::new(
                "Record",
                &[
                    ("action", &of),
                    ("method", "POST"),
                    ("maxLength", &max_seconds.to_string()),
                    ("playBeep", "true"),
                    ("recordingStatusCallback", &status_url),
                    ("recordingStatusCallbackMethod", "POST"),
                ],
            );
            (Verb::Record(Record { action: of, status_url, max_seconds }), element)
        }
        "dial" => dial(line, &of)?,
        "connect" => connect(line, of),
        "transcribe" => {
            let language = text(line, "language");
            let element = Element::new(
                "Transcription",
                &[
                    ("statusCallbackUrl", &of),
                    ("languageCode", &language),
                    ("track", "both_tracks"),
                ],
            );
            let element = Element::new("Start", &[]).with(vec![element]);
            (Verb::Transcribe(Transcribe { status_url: of, language }), element)
        }
        _ => return None,
    })
}

fn prompt(line: &Line) -> Option<(Prompt, Element)> {
    let (kind, of) = line.first().map(|(kind, _)| (&**kind, text(line, kind)))?;
    Some(match kind {
        "say" => {
            let language = text(line, "language");
            let element = Element::new("Say", &[("language", &language)]).saying(&of);
            (Prompt::Say(Say::new(of, language)), element)
        }
        "play" => {
            let element = Element::new("Play", &[]).saying(&of);
            (Prompt::Play(Play { url: of }), element)
        }
        "pause" => {
            let seconds = of.parse().unwrap_or(1);
            let element = Element::new("Pause", &[("length", &seconds.to_string())]);
            (Prompt::Pause { seconds }, element)
        }
        _ => return None,
    })
}

fn dial(line: &Line, to: &str) -> Option<(Verb, Element)> {
    let number = |digits: &str| PhoneNumber::from_digits(digits.parse().ok()?).ok();
    let to = number(to)?;
    let caller_id = first(line, "from").and_then(number);
    let action = text(line, "action");
    let mut element = Element::new(
        "Dial",
        &[
            ("action", &action),
            ("method", "POST"),
            ("timeout", "30"),
            ("timeLimit", "600"),
            ("answerOnBridge", "true"),
        ],
    );
    element.attributes.extend(caller_id.map(|from| ("callerId", from.to_string())));
    let element = element.with(vec![Element::new("Number", &[]).saying(&to.to_string())]);
    let dial = Dial { to, caller_id, action, ring_seconds: 30, talk_seconds: 600 };
    Some((Verb::Dial(dial), element))
}

fn connect(line: &Line, url: String) -> (Verb, Element) {
    let action = text(line, "action");
    let kind = match line.iter().any(|(name, _)| name == "relay") {
        true => ConnectKind::ConversationRelay,
        false => ConnectKind::Stream,
    };
    let name = match kind {
        ConnectKind::Stream => "Stream",
        ConnectKind::ConversationRelay => "ConversationRelay",
    };
    let parameters: Vec<(String, String)> = line[1..].to_vec();
    let children = parameters
        .iter()
        .map(|(name, value)| Element::new("Parameter", &[("name", name), ("value", value)]));
    let agent = Element::new(name, &[("url", &url)]).with(children.collect());
    let element = Element::new("Connect", &[("action", &action), ("method", "POST")]);
    (Verb::Connect(Connect { kind, url, parameters, action }), element.with(vec![agent]))
}

impl Element {
    fn new(name: &'static str, attributes: &[(&'static str, &str)]) -> Self {
        let attributes = attributes.iter().map(|(name, value)| (*name, kept(value)));
        let (text, children) = (String::new(), Vec::new());
        Self { name, attributes: attributes.collect(), text, children }
    }

    fn saying(self, text: &str) -> Self {
        Self { text: kept(text), ..self }
    }

    fn with(self, children: Vec<Self>) -> Self {
        Self { children, ..self }
    }

    fn same(&self, node: Node<'_, '_>) {
        assert_eq!((node.tag_name().name(), node.tag_name().namespace()), (self.name, None));
        let attributes = node.attributes().map(|it| (it.name(), it.value().to_owned()));
        assert_eq!(attributes.collect::<Vec<_>>(), self.attributes, "{}", self.name);
        // All that is no element is text: no comment, no instruction.
        let (elements, others): (Vec<_>, Vec<_>) = node.children().partition(Node::is_element);
        assert!(others.iter().all(Node::is_text), "{}", self.name);
        let text: String = others.iter().filter_map(Node::text).collect();
        assert_eq!(text, self.text, "{}", self.name);
        assert_eq!(elements.len(), self.children.len(), "{}", self.name);
        for (child, node) in self.children.iter().zip(elements) {
            child.same(node);
        }
    }

    /// More bytes than it takes: a character becomes six at most.
    fn most_bytes(&self) -> usize {
        let attributes =
            self.attributes.iter().map(|(name, value)| 10 + name.len() + 6 * value.len());
        let children = self.children.iter().map(Self::most_bytes);
        50 + 2 * self.name.len() + 6 * self.text.len() + attributes.chain(children).sum::<usize>()
    }
}

/// What XML 1.0 can hold of a text: neither control characters nor what is none.
fn kept(text: &str) -> String {
    let can_hold = |character: &char| match *character {
        '\t' | '\n' | '\r' => true,
        '\u{FFFE}' | '\u{FFFF}' => false,
        other => other >= ' ',
    };
    text.chars().filter(can_hold).collect()
}

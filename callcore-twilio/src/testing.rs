//! A fake of Twilio on the loopback, for tests of whatever dials through it.
//!
//! It takes calls, rings nobody, and plays what an account meets: people and machines that answer,
//! keys that are pressed, and every way in which a network loses an answer. Its dial log is the
//! truth about who would have been rung.
//!
//! ```no_run
//! # async fn run() -> std::io::Result<()> {
//! use callcore_twilio::testing::{FakeTwilio, Fate, Trouble};
//!
//! let fake = FakeTwilio::start().await?;
//! fake.fate("+12125550101", Fate::Person { presses: Some('9') });
//! fake.trouble(Trouble::LosesAnswer);
//! // ... dial through fake.url() as fake.account() with fake.token() ...
//! assert!(fake.dials().len() <= 1);
//! # Ok(())
//! # }
//! ```

pub mod fuzzing;
mod line;
mod server;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use callcore::runtime::SystemClock;
use callcore::time::Clock;
use chrono::{DateTime, Utc};

/// What the next requests to dial meet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Trouble {
    /// None: the call is taken.
    None,
    /// The call is taken and the answer never arrives.
    LosesAnswer,
    /// The request is read, and the connection breaks before anything is done.
    LosesRequest,
    /// The call is taken and the answer breaks off in its middle.
    Truncates,
    /// The call is taken and the answer is a web page.
    AnswersNonsense,
    /// The request is sent on, as a proxy does: 307 with the method kept.
    Redirects,
    /// Too many requests: 429.
    TooMany,
    /// A failure of the server after the call was taken: 500.
    FailsAfterwards,
    /// A failure of the server and no call: 503.
    FailsAtOnce,
    /// The call is taken; the answer comes only after nobody waits any more.
    IsSlow,
    /// The number is none: 21211.
    RefusesNumber,
    /// The account is suspended: 20003.
    RefusesAccount,
    /// A parameter is wrong: 21205.
    RefusesRequest,
}

impl Trouble {
    /// Every trouble there is.
    pub const ALL: [Self; 13] = [
        Self::None,
        Self::LosesAnswer,
        Self::LosesRequest,
        Self::Truncates,
        Self::AnswersNonsense,
        Self::Redirects,
        Self::TooMany,
        Self::FailsAfterwards,
        Self::FailsAtOnce,
        Self::IsSlow,
        Self::RefusesNumber,
        Self::RefusesAccount,
        Self::RefusesRequest,
    ];

    /// Whether a call is taken, whatever is answered.
    #[must_use]
    pub const fn takes_call(self) -> bool {
        matches!(
            self,
            Self::None
                | Self::LosesAnswer
                | Self::Truncates
                | Self::AnswersNonsense
                | Self::FailsAfterwards
                | Self::IsSlow
        )
    }
}

/// How a call to a number ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// A person answers, presses a key in the first step that waits for one, and hears the rest.
    Person {
        /// The key.
        presses: Option<char>,
    },
    /// A machine answers.
    Machine,
    /// The line is busy.
    Busy,
    /// Nobody answers.
    NoAnswer,
    /// The network can't connect it, for this SIP reason.
    Failed(u16),
    /// Nothing is ever told of it.
    Silent,
}

/// What somebody does who may leave a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Beep {
    /// They speak and fall silent.
    Speaks,
    /// They speak and press a key.
    Presses(char),
    /// They speak and hang up.
    HangsUp,
    /// They say nothing.
    IsSilent,
}

/// A call that the fake took.
#[derive(Debug, Clone)]
pub struct Dialled {
    /// Twilio's id for it.
    pub sid: String,
    /// The form as it was sent.
    pub form: Vec<(String, String)>,
    /// The number dialled.
    pub to: String,
    /// When.
    pub at: DateTime<Utc>,
    /// Where the call stands, in Twilio's words.
    pub status: String,
    /// Seconds from answer to end.
    pub duration: u32,
    /// What answered.
    pub answered_by: Option<&'static str>,
    /// What was heard, in order; audio by its URL.
    pub heard: Vec<String>,
    /// The URLs that were called for it, and what they answered.
    pub requests: Vec<(String, u16)>,
}

impl Dialled {
    /// A field of the form.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&str> {
        let found = self.form.iter().find(|(field, _)| field == name);
        found.map(|(_, value)| &**value)
    }

    /// Whether it has ended.
    #[must_use]
    pub fn is_over(&self) -> bool {
        !["queued", "ringing", "in-progress"].contains(&&*self.status)
    }

    /// Our id for the call, as its URL has it.
    #[must_use]
    pub fn call(&self) -> Option<&str> {
        let (_, rest) = self.field("Url")?.split_once("/calls/")?;
        rest.split('/').next()
    }
}

/// The fake.
#[derive(Debug, Clone)]
pub struct FakeTwilio {
    state: Arc<Mutex<State>>,
    address: SocketAddr,
}

#[derive(Debug)]
struct State {
    calls: Vec<Dialled>,
    fates: BTreeMap<String, Fate>,
    usual: Fate,
    beep: Beep,
    troubles: Vec<Trouble>,
    always: Trouble,
    /// So many questions about calls are answered as if they were not known yet.
    blind: u32,
    token: String,
    /// Whether calls live by themselves as soon as they are taken.
    lives: bool,
    deleted: Vec<String>,
    /// Where recordings are sent on to.
    media: Option<String>,
    /// Where calls to its number go: the voice URL, its fallback, the status callback.
    addresses: [Option<String>; 3],
    next: u64,
}

impl FakeTwilio {
    /// The account's id.
    pub const ACCOUNT: &str = "AC00000000000000000000000000000000";

    /// Starts a fake on a free port of the loopback.
    ///
    /// # Errors
    ///
    /// No port can be had.
    pub async fn start() -> std::io::Result<Self> {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        let state = State {
            calls: Vec::new(),
            fates: BTreeMap::new(),
            usual: Fate::Person { presses: None },
            beep: Beep::Speaks,
            troubles: Vec::new(),
            always: Trouble::None,
            blind: 0,
            token: "fake-token".to_owned(),
            lives: true,
            deleted: Vec::new(),
            media: None,
            addresses: [None, None, None],
            next: 0,
        };
        let fake = Self { state: Arc::new(Mutex::new(state)), address: listener.local_addr()? };
        tokio::spawn(server::serve(listener, fake.clone()));
        Ok(fake)
    }

    /// The base URL of its API.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The auth token that opens its API and signs its webhooks.
    #[must_use]
    pub fn token(&self) -> String {
        self.lock().token.clone()
    }

    /// How calls to a number end.
    pub fn fate(&self, number: &str, fate: Fate) {
        self.lock().fates.insert(number.to_owned(), fate);
    }

    /// How calls end to numbers of which nothing else is said.
    pub fn usual_fate(&self, fate: Fate) {
        self.lock().usual = fate;
    }

    /// What people do who may leave a message.
    pub fn after_the_beep(&self, beep: Beep) {
        self.lock().beep = beep;
    }

    /// What the next request to dial meets; those after it meet what [`always`](Self::always) says.
    pub fn trouble(&self, trouble: Trouble) {
        self.lock().troubles.push(trouble);
    }

    /// What every request to dial meets.
    pub fn always(&self, trouble: Trouble) {
        self.lock().always = trouble;
    }

    /// The next so many questions about calls are answered as if they were not known yet, as an
    /// eventually consistent API does.
    pub fn blind(&self, questions: u32) {
        self.lock().blind = questions;
    }

    /// Whether calls live by themselves: ring, are answered, play, end. Else
    /// [`live`](Self::live) has each do so.
    pub fn live_by_itself(&self, lives: bool) {
        self.lock().lives = lives;
    }

    /// Every call that was taken, oldest first: who would have been rung.
    #[must_use]
    pub fn dials(&self) -> Vec<Dialled> {
        self.lock().calls.clone()
    }

    /// The recordings that were deleted.
    #[must_use]
    pub fn deleted(&self) -> Vec<String> {
        self.lock().deleted.clone()
    }

    /// A call that was answered by somebody and goes on, under this id, as if it had been dialled.
    pub fn goes_on(&self, sid: &str, to: &str) {
        self.lock().calls.push(Dialled {
            sid: sid.to_owned(),
            form: Vec::new(),
            to: to.to_owned(),
            at: SystemClock.now(),
            status: "in-progress".to_owned(),
            duration: 0,
            answered_by: None,
            heard: Vec::new(),
            requests: Vec::new(),
        });
    }

    /// Where calls to its number go, as its console has it: the voice URL, its fallback, the status
    /// callback.
    pub fn number_leads_to(&self, addresses: [Option<String>; 3]) {
        self.lock().addresses = addresses;
    }

    /// Recordings are sent on to below this URL; the fake itself serves `/media/`.
    pub fn media_moves_to(&self, url: &str) {
        self.lock().media = Some(url.to_owned());
    }

    /// Tells a URL something about a call, signed; the body of a good answer.
    pub async fn told(
        &self,
        sid: &str,
        url: &str,
        fields: &[(&'static str, &str)],
    ) -> Option<String> {
        line::told(self, sid, url, fields).await
    }

    /// Lets a call ring, and tells so; it is not answered yet.
    pub async fn ring(&self, sid: &str) {
        line::ring(self, sid).await;
    }

    /// Lets a call live from ring to end: its webhooks are sent, and what they answer is played. One
    /// that was hung up before stays so.
    pub async fn live(&self, sid: &str) {
        line::live(self, sid).await;
    }

    /// Somebody rings one of the account's numbers, whose webhooks go to `public_url`, presses a key
    /// and hangs up. Returns what they heard.
    pub async fn ring_in(
        &self,
        public_url: &str,
        from: &str,
        to: &str,
        presses: Option<char>,
    ) -> Vec<String> {
        line::ring_in(self, public_url, from, to, presses).await
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change<T>(&self, sid: &str, change: impl FnOnce(&mut Dialled) -> T) -> Option<T> {
        self.lock().calls.iter_mut().find(|call| call.sid == sid).map(change)
    }

    fn sid(&self, prefix: &str) -> String {
        let mut state = self.lock();
        state.next += 1;
        format!("{prefix}{:032x}", state.next)
    }
}

//! What all pages share: who looks at them, in which zone, the frame around them, and how trouble
//! is told.

use askama::Template;
use axum::extract::{FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::Next;
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum_extra::extract::CookieJar;
use axum_extra::extract::cookie::{Cookie, SameSite};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use callcore::actor::{Actor, Role};
use callcore::call::CallStatus;
use callcore::campaign::FieldError;
use callcore::port::By;
use callcore::time::Zone;
use chrono::{DateTime, Utc};

use super::assets::Assets;
use super::locale::Locale;
use super::when::When;
use super::words;
use crate::auth::{Principal, authenticate, session_secret};
use crate::problem::Problem;
use crate::state::ApiState;

/// The cookie in which the script tells the viewer's zone.
const ZONE_COOKIE: &str = "callcore_zone";

/// The cookie that carries what was done over to the page that says so.
const FLASH_COOKIE: &str = "callcore_flash";

/// What the address of the door says to somebody whose form was not taken: it has no value.
pub(super) const UNSENT: &str = "unsent";

/// The header of the script's own requests for what changed.
const LIVE_HEADER: &str = "x-callcore-live";

/// A handler's answer: a page, or trouble that becomes one.
pub(super) type Answer = Result<Response, Trouble>;

/// Somebody who looks at a page.
#[derive(Debug, Clone)]
pub(super) struct Visit {
    pub(super) principal: Principal,
    /// The zone whose wall clock the viewer has before their eyes.
    pub(super) zone: Zone,
    /// The instant of the visit, on the campaign clock.
    pub(super) now: DateTime<Utc>,
    flash: Option<Said>,
    back: Option<String>,
}

impl FromRequestParts<ApiState> for Visit {
    type Rejection = Trouble;

    async fn from_request_parts(parts: &mut Parts, _: &ApiState) -> Result<Self, Trouble> {
        let visit = parts.extensions.get::<Self>().cloned();
        // Only a route outside of the frame has none.
        visit.ok_or_else(|| Problem::not_found().into())
    }
}

impl Visit {
    fn new(state: &ApiState, headers: &HeaderMap, principal: Principal) -> Self {
        let jar = CookieJar::from_headers(headers);
        let is_live = headers.contains_key(LIVE_HEADER);
        Self {
            zone: viewer_zone(&jar).unwrap_or_else(|| state.zone().clone()),
            now: state.now(),
            back: back_of(headers),
            flash: jar.get(FLASH_COOKIE).filter(|_| !is_live).and_then(read_flash),
            principal,
        }
    }

    pub(super) fn when(&self, at: DateTime<Utc>) -> When {
        When::new(at, self.now, &self.zone)
    }

    /// The page of ours that the viewer comes from.
    pub(super) fn came_from(&self) -> Option<&str> {
        self.back.as_deref()
    }

    pub(super) fn by(&self) -> By<'_> {
        By::new(&self.principal.actor, self.now)
    }

    pub(super) fn require(&self, role: Role) -> Result<(), Trouble> {
        Ok(self.principal.require(role)?)
    }

    /// Whether the viewer may change what concerns calls and clients.
    pub(super) fn is_operator(&self) -> bool {
        self.principal.role >= Role::Operator
    }

    /// The frame of a page.
    pub(super) fn shell(
        &self,
        state: &ApiState,
        title: impl Into<String>,
        at: &'static str,
    ) -> Shell {
        let Assets { css, js, icon } = Assets::here();
        Shell {
            title: title.into(),
            section: at,
            user: match &self.principal.actor {
                Actor::User(name) | Actor::Token(name) => name.clone(),
                Actor::System | Actor::Client | Actor::Agent => "callcore".to_owned(),
            },
            role: self.principal.role.as_str(),
            operator: self.principal.role >= Role::Operator,
            admin: self.principal.role >= Role::Admin,
            csrf: self.principal.csrf_token().to_owned(),
            zone: self.zone.name().to_owned(),
            banner: state.banner().map(str::to_owned),
            clock: self.when(self.now),
            flash: self.flash.as_ref().filter(|said| said.done).map(|said| said.words.clone()),
            trouble: self.flash.as_ref().filter(|said| !said.done).map(|said| said.words.clone()),
            live: false,
            at: None,
            css,
            js,
            icon,
        }
    }
}

/// What the page before has to say on this one: what was done, or why nothing was.
#[derive(Debug, Clone)]
struct Said {
    words: String,
    done: bool,
}

/// What stands around every page's own content.
#[derive(Debug)]
pub(super) struct Shell {
    pub(super) title: String,
    section: &'static str,
    pub(super) user: String,
    pub(super) role: &'static str,
    pub(super) operator: bool,
    pub(super) admin: bool,
    pub(super) csrf: String,
    pub(super) zone: String,
    /// What every page says at its top: on a simulated carrier, that it is one.
    pub(super) banner: Option<String>,
    /// What the campaign clock shows.
    pub(super) clock: When,
    pub(super) flash: Option<String>,
    pub(super) trouble: Option<String>,
    /// Whether the page keeps itself up to date.
    pub(super) live: bool,
    /// Where the page is, if it answers a form that was sent to another address: reloading and
    /// keeping up to date ask there.
    pub(super) at: Option<String>,
    pub(super) css: &'static str,
    pub(super) js: &'static str,
    pub(super) icon: &'static str,
}

/// An entry of the navigation.
#[derive(Debug)]
pub(super) struct NavItem {
    pub(super) href: &'static str,
    pub(super) label: &'static str,
    pub(super) current: bool,
}

impl Shell {
    /// The pages this person may open.
    pub(super) fn nav(&self) -> Vec<NavItem> {
        let pages = [
            ("/dashboard", "Dashboard", Role::Viewer),
            ("/campaigns", "Campaigns", Role::Viewer),
            ("/calls/upcoming", "Upcoming", Role::Viewer),
            ("/calls/history", "History", Role::Viewer),
            ("/dnc", "Do not call", Role::Viewer),
            ("/audit", "Audit", Role::Admin),
            ("/settings", "Settings", Role::Viewer),
        ];
        let mine = pages.into_iter().filter(|(_, _, role)| *role == Role::Viewer || self.admin);
        mine.map(|(href, label, _)| NavItem { href, label, current: href == self.section })
            .collect()
    }

    /// The frame of a page that keeps itself up to date.
    pub(super) const fn live(mut self) -> Self {
        self.live = true;
        self
    }

    /// The frame of a page that answers a form, and has an address of its own.
    pub(super) fn at(mut self, path: impl Into<String>) -> Self {
        self.at = Some(path.into());
        self
    }

    pub(super) fn with_trouble(mut self, trouble: impl Into<String>) -> Self {
        self.trouble = Some(trouble.into());
        self
    }
}

/// Something that went wrong; the frame shows it as a page, or on the page it is told on.
#[derive(Debug, Clone)]
pub(super) struct Trouble {
    problem: Box<Problem>,
    told_on: Option<String>,
}

impl<E: Into<Problem>> From<E> for Trouble {
    fn from(error: E) -> Self {
        Self { problem: Box::new(error.into()), told_on: None }
    }
}

impl Trouble {
    /// The trouble as a sentence.
    pub(super) fn sentence(&self) -> String {
        sentence(&self.problem)
    }

    pub(super) fn status(&self) -> StatusCode {
        self.problem.status()
    }

    pub(super) fn retry_after(&self) -> Option<u64> {
        self.problem.retry_after()
    }

    /// The same, told on a page of ours that the browser is sent back to.
    pub(super) fn told_on(mut self, path: impl Into<String>) -> Self {
        self.told_on = Some(path.into());
        self
    }
}

impl IntoResponse for Trouble {
    fn into_response(self) -> Response {
        let mut response = self.status().into_response();
        response.extensions_mut().insert(self);
        response
    }
}

fn sentence(problem: &Problem) -> String {
    let known = match problem.code() {
        "not_found" => {
            "There is no such thing here. It may have been deleted, or the address is wrong."
        }
        "unavailable" => {
            "The database or the carrier can't be reached right now. Nothing was changed; try again in a moment."
        }
        "internal" => "Something went wrong on the server. The log says what.",
        "no_clients" => "This campaign has nobody to call yet: upload a CSV first.",
        "already_scheduled" => "This person already has a call to come.",
        "on_dnc" => "The number is on the Do-Not-Call list, so it is not called.",
        "csrf" => {
            "The form was made before you signed in. Load the page again and repeat what you did."
        }
        "foreign_origin" => "The request did not come from these pages, so nothing was done.",
        "forbidden" => "Your role does not allow this. Ask an admin.",
        "too_many_attempts" => {
            "There were too many attempts to sign in. Wait a quarter of an hour, or ask an admin for a link."
        }
        "method_not_allowed" => {
            "This address only takes what a form sends. Open the page with the form, and send it again."
        }
        "too_large" => "That is more than the server takes at once.",
        _ => "",
    };
    if !known.is_empty() {
        return known.to_owned();
    }
    let words: Vec<String> = if problem.errors().is_empty() {
        vec![plainly(problem.detail())]
    } else {
        let errors = problem.errors().iter();
        let told = |error: &FieldError| match &*error.field {
            "file" | "mapping" => error.message.clone(),
            field => format!("{}: {}", words::field(field), error.message),
        };
        errors.map(told).collect()
    };
    let mut chars = words.join("; ");
    if let Some(first) = chars.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    chars.push('.');
    chars
}

/// A detail for programs, as people say it.
fn plainly(detail: &str) -> String {
    let status = detail.strip_prefix("the call is ").and_then(CallStatus::parse);
    match (status, detail) {
        (Some(status), _) => format!("the call is {}", words::stands(status)),
        (None, "the campaign is draft") => "the campaign is still a draft".to_owned(),
        (None, detail) => detail.to_owned(),
    }
}

/// The layer around every page but the door: finds out who looks, sends strangers to the door, and
/// makes pages of trouble.
pub(super) async fn frame(State(state): State<ApiState>, request: Request, next: Next) -> Response {
    let (mut parts, body) = request.into_parts();
    let principal = match authenticate(&state, &parts).await {
        Ok(principal) => principal,
        Err(problem) if problem.status() == StatusCode::UNAUTHORIZED => {
            return super::door::turned_away(&state, parts, body).await;
        }
        Err(problem) => return super::door::closed(&state, &problem.into()),
    };
    let visit = Visit::new(&state, &parts.headers, principal.clone());
    let locale = Locale::of(&parts.headers);
    parts.extensions.insert(principal);
    parts.extensions.insert(visit.clone());
    let page = async {
        let mut response = next.run(Request::from_parts(parts, body)).await;
        if let Some(trouble) = trouble_in(&mut response) {
            response = match &trouble.told_on {
                Some(path) => sent(path, &trouble.sentence(), false),
                None => trouble_page(&state, &visit, &trouble),
            };
        }
        response
    };
    let mut response = locale.within(page).await;
    if visit.flash.is_some() && !response.status().is_redirection() {
        set_cookie(&mut response, flash_cookie(String::new(), true));
    }
    response
}

/// What a browser gets for a path that leads nowhere, or takes only forms; none for programs.
pub(crate) async fn nowhere(
    state: &ApiState,
    parts: &Parts,
    problem: &Problem,
) -> Option<Response> {
    let accept = parts.headers.get(header::ACCEPT)?.to_str().ok()?;
    if !accept.contains("text/html") {
        return None;
    }
    let Ok(principal) = authenticate(state, parts).await else {
        // Who signs in is not led to an address that only takes forms.
        return Some(match problem.status() {
            StatusCode::METHOD_NOT_ALLOWED => Redirect::to("/sign-in").into_response(),
            _ => to_the_door(parts),
        });
    };
    let visit = Visit::new(state, &parts.headers, principal);
    let trouble = problem.clone().into();
    Some(trouble_page(state, &visit, &trouble))
}

/// The trouble an answer is about. Extractors that pages share with the API answer with a problem
/// document: what it says is for programs.
fn trouble_in(response: &mut Response) -> Option<Trouble> {
    if let Some(trouble) = response.extensions_mut().remove::<Trouble>() {
        return Some(trouble);
    }
    let media_type = response.headers().get(header::CONTENT_TYPE)?;
    if media_type != "application/problem+json" {
        return None;
    }
    Some(match response.status() {
        StatusCode::NOT_FOUND => Problem::not_found().into(),
        status => Problem::new(status, "malformed", "the request could not be read").into(),
    })
}

pub(super) fn to_the_door(parts: &Parts) -> Response {
    let reads = parts.method == axum::http::Method::GET;
    let wanted = match reads {
        true => parts.uri.path_and_query().map(ToString::to_string),
        // A form can't be sent again from the door: it leads back to where the form was.
        false => back_of(&parts.headers),
    };
    let wanted = wanted.filter(|path| path != "/" && !path.starts_with("/sign-in"));
    let next = wanted.map(|path| format!("next={}", encoded(&path)));
    // Whose session ended while they wrote has to hear that it was in vain.
    let left = parts.uri.path().ends_with("/sign-out");
    let unsent = !reads && !left && session_secret(&parts.headers).is_some();
    let unsent = unsent.then(|| UNSENT.to_owned());
    let query: Vec<String> = next.into_iter().chain(unsent).collect();
    match query.is_empty() {
        true => Redirect::to("/sign-in").into_response(),
        false => Redirect::to(&format!("/sign-in?{}", query.join("&"))).into_response(),
    }
}

/// The page somebody came from, if it is one of ours: only its path is believed.
pub(super) fn back_of(headers: &HeaderMap) -> Option<String> {
    let referer = headers.get(header::REFERER)?.to_str().ok()?;
    let (_, rest) = referer.split_once("://")?;
    let (host, path) = rest.split_at(rest.find('/')?);
    let ours = headers.get(header::HOST)?.to_str().ok()? == host;
    (ours && is_local(path)).then(|| path.to_owned())
}

/// Whether a path stays on this server. Browsers drop tabs and line breaks before they read an
/// address: `/<tab>/elsewhere` leads elsewhere.
pub(super) fn is_local(path: &str) -> bool {
    let strange = |c: char| c == '\\' || c.is_control();
    path.starts_with('/') && !path.starts_with("//") && !path.contains(strange)
}

fn viewer_zone(jar: &CookieJar) -> Option<Zone> {
    let value = jar.get(ZONE_COOKIE)?.value();
    // The only sign that is encoded in a zone's name is the slash.
    value.replace("%2F", "/").replace("%2f", "/").parse().ok()
}

/// What the flash of something that was not done begins with.
const NOT_DONE: char = '!';

fn read_flash(cookie: &Cookie<'_>) -> Option<Said> {
    let value = cookie.value();
    let words = value.strip_prefix(NOT_DONE);
    let bytes = URL_SAFE_NO_PAD.decode(words.unwrap_or(value)).ok()?;
    let said = Said { words: String::from_utf8(bytes).ok()?, done: words.is_none() };
    (!said.words.is_empty()).then_some(said)
}

fn flash_cookie(value: String, ends: bool) -> Cookie<'static> {
    let mut cookie = Cookie::build((FLASH_COOKIE, value))
        .path("/")
        .http_only(true)
        .same_site(SameSite::Lax)
        .build();
    if ends {
        cookie.make_removal();
    }
    cookie
}

pub(super) fn set_cookie(response: &mut Response, cookie: Cookie<'_>) {
    if let Ok(value) = cookie.to_string().parse() {
        response.headers_mut().append(header::SET_COOKIE, value);
    }
}

/// Sends the browser to a page that says what was done.
pub(super) fn done(to: &str, said: impl AsRef<str>) -> Response {
    sent(to, said.as_ref(), true)
}

/// Sends the browser to a page that says something: what was done, or why nothing was.
fn sent(to: &str, words: &str, done: bool) -> Response {
    let mut response = Redirect::to(to).into_response();
    let mut value = URL_SAFE_NO_PAD.encode(words);
    if !done {
        value.insert(0, NOT_DONE);
    }
    set_cookie(&mut response, flash_cookie(value, false));
    response
}

/// A page.
pub(super) fn page(template: &impl Template) -> Response {
    page_with(StatusCode::OK, template)
}

/// A page under a status.
pub(super) fn page_with(status: StatusCode, template: &impl Template) -> Response {
    match template.render() {
        Ok(html) => (status, Html(html)).into_response(),
        Err(error) => {
            tracing::error!(%error, "a page could not be rendered");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

#[derive(Template)]
#[template(path = "trouble.html")]
struct TroublePage {
    shell: Shell,
    back: String,
    back_label: &'static str,
}

fn trouble_page(state: &ApiState, visit: &Visit, trouble: &Trouble) -> Response {
    let title = match trouble.status() {
        StatusCode::NOT_FOUND => "Not found",
        StatusCode::FORBIDDEN => "Not allowed",
        status if status.is_server_error() => "Something went wrong",
        _ => "That was not done",
    };
    let (back, back_label) = match visit.came_from() {
        Some(path) => (path.to_owned(), "Back"),
        None => ("/dashboard".to_owned(), "To the dashboard"),
    };
    let shell = visit.shell(state, title, "").with_trouble(trouble.sentence());
    page_with(trouble.status(), &TroublePage { shell, back, back_label })
}

/// Text as a part of a URL's query.
pub(super) fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

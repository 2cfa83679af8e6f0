//! The shapes of the JSON answers. They are the contract; the domain's types may change under them.

mod access;
mod account;
mod audio;
mod call;
mod campaign;
mod client;
mod dnc;
mod import;
mod mail;
mod numbers;
mod preview;
mod results;
mod why;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use callcore::port::{Effect, Page};
use chrono::{DateTime, SecondsFormat, Utc};
use serde::Serialize;
use serde_json::{Value, json};

pub(crate) use access::{AuditDto, TokenDto, UserDto};
pub(crate) use account::{AccountDto, SpendDto, StoppedAllDto};
pub(crate) use audio::AudioDto;
pub(crate) use call::{CallDetail, CallDto, ResultDto, TimelineCall, TimelineDto};
pub(crate) use campaign::CampaignDto;
pub(crate) use client::ClientDto;
pub(crate) use dnc::{DncAddedDto, DncDto, DncImportDto, ErasedDto};
pub(crate) use import::{ImportDto, UndoneDto};
pub(crate) use mail::{MailDto, MailedNoticeDto, notice};
pub(crate) use numbers::{AnalyticsDto, NumbersDto};
pub(crate) use preview::{HeardByDto, PreviewDto, message, rendered};
pub(crate) use results::ResultsDto;
pub(crate) use why::WhyDto;

/// An instant as the contract writes it: RFC 3339 in UTC, with as much of the second as there is.
pub(crate) fn instant(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::AutoSi, true)
}

/// What a change did, as its answer says it; `carrier` is the kind of carrier calls go through.
pub(crate) fn effect(effect: &Effect, carrier: &'static str) -> Value {
    match effect {
        Effect::Campaign(view) => json!(CampaignDto::from(&**view)),
        Effect::Account(view) => json!(AccountDto::from(&**view)),
        Effect::Stopped(stopped) => json!(StoppedAllDto::from(&**stopped)),
        Effect::Paused(views) => {
            let paused: Vec<CampaignDto> = views.iter().map(CampaignDto::from).collect();
            json!({"paused": paused})
        }
        Effect::Call(view) => json!(CallDto::brief(view, carrier)),
        Effect::Result(view) => json!(ResultDto::from(&**view)),
        Effect::Audio(audio) => json!(AudioDto::from(&**audio)),
        Effect::Calls(acted) => json!(ResultsDto::of(acted, carrier)),
        Effect::Client(detail) => json!(ClientDto::new(&detail.view, &detail.columns)),
        Effect::Import(import) => json!(ImportDto::from(&**import)),
        Effect::Undone(undone) => json!(UndoneDto::from(&**undone)),
        Effect::DncImport(import) => json!(DncImportDto::from(&**import)),
        Effect::Erased(erased) => json!(ErasedDto::from(erased)),
        Effect::DncAdded(added) => json!(DncAddedDto::from(added)),
        Effect::Mail(mail) => json!(MailDto::from(&**mail)),
        Effect::User(view) => json!(UserDto::from(&**view)),
        Effect::Token(token) => json!(TokenDto::from(&**token)),
        Effect::CampaignDeleted | Effect::DncRemoved | Effect::AudioRemoved | Effect::Read => {
            Value::Null
        }
    }
}

/// A part of a list.
#[derive(Debug, Serialize)]
pub(crate) struct ListDto<T> {
    items: Vec<T>,
    next_cursor: Option<String>,
}

impl<T> ListDto<T> {
    pub(crate) fn of<R>(page: &Page<R>, show: impl Fn(&R) -> T) -> Self {
        Self {
            items: page.items.iter().map(show).collect(),
            next_cursor: page.next.as_ref().map(|cursor| cursor.to_string()),
        }
    }
}

/// A JSON answer.
pub(crate) fn json(status: StatusCode, body: &impl Serialize) -> Response {
    json_text(status, json!(body).to_string())
}

/// An answer with a version of settings as its entity tag.
pub(crate) fn tagged(mut response: Response, settings_version: u32) -> Response {
    if let Ok(tag) = HeaderValue::from_str(&format!("\"{settings_version}\"")) {
        response.headers_mut().insert(header::ETAG, tag);
    }
    response
}

/// A JSON answer that is text already.
pub(crate) fn json_text(status: StatusCode, body: String) -> Response {
    if body.is_empty() {
        return status.into_response();
    }
    (status, [(header::CONTENT_TYPE, "application/json")], body).into_response()
}

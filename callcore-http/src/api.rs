//! The JSON API: one operation a file.

pub(crate) mod audio;
pub(crate) mod audit;
pub(crate) mod calls;
pub(crate) mod campaigns;
pub(crate) mod clients;
pub(crate) mod cron;
pub(crate) mod dashboard;
pub(crate) mod dnc;
pub(crate) mod events;
pub(crate) mod imports;
pub(crate) mod invitations;
pub(crate) mod mails;
pub(crate) mod me;
pub(crate) mod notices;
pub(crate) mod settings;
pub(crate) mod tokens;
pub(crate) mod users;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::from_fn_with_state;
use axum::routing::{delete, get, patch, post};
use callcore::actor::Role;

use crate::auth;
use crate::state::ApiState;

/// One operation of the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Route {
    /// The method, in capitals.
    pub method: &'static str,
    /// The path, with its places in braces.
    pub path: &'static str,
    /// The least role it takes; none where something else than a person's role lets in, such as a
    /// call's own token.
    pub role: Option<Role>,
}

/// Makes the router and the list of what it serves from one table, so that they can't drift apart.
macro_rules! routes {
    ($($method:ident $path:literal $role:ident $handler:expr;)*) => {
        /// Every operation of the API.
        pub const ROUTES: &[Route] = &[$(
            Route { method: verb(stringify!($method)), path: $path, role: routes!(@role $role) },
        )*];

        /// The handlers a person's role lets in, or else those with another key.
        fn handlers(by_role: bool) -> Router<ApiState> {
            let mut router = Router::new();
            $(
                let role: Option<Role> = routes!(@role $role);
                if role.is_some() == by_role {
                    router = router.route($path, $method($handler));
                }
            )*
            router
        }
    };
    (@role None) => { None };
    (@role $role:ident) => { Some(Role::$role) };
}

routes! {
    get "/api/campaigns" Viewer campaigns::list::handle;
    post "/api/campaigns" Admin campaigns::create::handle;
    get "/api/campaigns/{id}" Viewer campaigns::read::handle;
    patch "/api/campaigns/{id}" Admin campaigns::change::handle;
    delete "/api/campaigns/{id}" Admin campaigns::delete::handle;
    post "/api/campaigns/{id}/start" Operator campaigns::run::start;
    post "/api/campaigns/{id}/pause" Operator campaigns::run::pause;
    post "/api/campaigns/{id}/resume" Operator campaigns::run::resume;
    post "/api/campaigns/{id}/stop" Operator campaigns::run::stop;
    post "/api/campaigns/{id}/test-call" Operator campaigns::test_call::handle;
    post "/api/campaigns/{id}/import" Operator imports::upload::handle;
    get "/api/campaigns/{id}/preview" Viewer campaigns::preview::handle;
    get "/api/campaigns/{id}/analytics" Viewer campaigns::analytics::handle;
    get "/api/campaigns/{id}/export" Viewer campaigns::export::handle;
    get "/api/campaigns/{id}/imports" Viewer imports::list::handle;
    get "/api/campaigns/{id}/clients" Viewer clients::list::handle;
    post "/api/campaigns/{id}/clients" Operator clients::add::handle;

    get "/api/clients/{id}" Viewer clients::read::handle;
    patch "/api/clients/{id}" Operator clients::change::handle;
    get "/api/clients/{id}/history" Viewer clients::history::handle;
    get "/api/clients/{id}/explain" Viewer clients::explain::handle;
    post "/api/clients/{id}/call-now" Operator clients::call_now::handle;
    post "/api/clients/{id}/dnc" Operator clients::dnc::handle;
    delete "/api/clients/{id}/personal-data" Admin clients::erase::handle;

    get "/api/imports/{id}" Viewer imports::read::handle;
    get "/api/imports/{id}/rejects.csv" Viewer imports::rejects::handle;
    post "/api/imports/{id}/undo" Operator imports::undo::handle;

    get "/api/calls/history" Viewer calls::history::handle;
    get "/api/calls/export" Viewer calls::export::filtered;
    post "/api/calls/export" Viewer calls::export::chosen;
    get "/api/calls/upcoming" Viewer calls::upcoming::handle;
    post "/api/calls/bulk" Operator calls::bulk::handle;
    get "/api/calls/{id}" Viewer calls::read::handle;
    patch "/api/calls/{id}/notes" Operator calls::notes::handle;
    patch "/api/calls/{id}/review" Operator calls::review::handle;
    get "/api/calls/{id}/transcript.txt" Viewer calls::transcript::handle;
    get "/api/calls/{id}/recording" Viewer calls::recording::handle;
    post "/api/calls/{id}/call-now" Operator calls::call_now::handle;
    post "/api/calls/{id}/skip" Operator calls::skip::handle;
    post "/api/calls/{id}/reschedule" Operator calls::reschedule::handle;
    post "/api/calls/{id}/retry" Operator calls::retry::handle;
    post "/api/calls/{id}/result" None calls::result::handle;

    get "/api/dnc" Viewer dnc::list::handle;
    post "/api/dnc" Operator dnc::add::handle;
    post "/api/dnc/import" Operator dnc::import::handle;
    get "/api/dnc/imports/{id}" Viewer dnc::read_import::handle;
    delete "/api/dnc/{phone}" Admin dnc::remove::handle;

    get "/api/audio" Viewer audio::list::handle;
    post "/api/audio" Operator audio::upload::handle;
    get "/api/audio/{id}" Viewer audio::listen::handle;
    delete "/api/audio/{id}" Admin audio::remove::handle;

    get "/api/dashboard" Viewer dashboard::handle;
    get "/api/events" Viewer events::handle;

    get "/api/users" Admin users::list::handle;
    post "/api/users" Admin users::invite::handle;
    get "/api/users/{id}" Admin users::read::handle;
    patch "/api/users/{id}" Admin users::change::handle;
    post "/api/me/password" Viewer me::password::handle;
    post "/api/invitations/accept" None invitations::accept::handle;

    get "/api/tokens" Admin tokens::list::handle;
    post "/api/tokens" Admin tokens::create::handle;
    delete "/api/tokens/{id}" Admin tokens::revoke::handle;

    get "/api/audit" Admin audit::list::handle;
    get "/api/audit/export" Admin audit::export::handle;

    get "/api/notices" Viewer notices::handle;
    get "/api/mails" Viewer mails::handle;

    get "/api/cron/tick" None cron::tick::handle;
    post "/api/cron/tick" None cron::tick::handle;
    get "/api/cron/daily-summary" None cron::daily_summary::handle;
    post "/api/cron/daily-summary" None cron::daily_summary::handle;

    get "/api/settings" Viewer settings::read::handle;
    patch "/api/settings" Admin settings::change::handle;
    post "/api/stop-all" Operator settings::stop_all::handle;
    post "/api/resume-all" Admin settings::resume_all::handle;
    post "/api/campaigns/pause-all" Operator campaigns::pause_all::handle;
}

const fn verb(method: &str) -> &'static str {
    match method.as_bytes() {
        b"get" => "GET",
        b"post" => "POST",
        b"patch" => "PATCH",
        b"delete" => "DELETE",
        _ => panic!("the table has a method without a verb"),
    }
}

/// Whoever has no role at all asks for one of `ROUTES` in vain: the guard stands before those with a
/// role, the others look for their own key.
pub(crate) fn routes(state: &ApiState) -> Router<ApiState> {
    handlers(true)
        .route_layer(from_fn_with_state(state.clone(), auth::guard))
        .merge(handlers(false))
        // Each handler has a limit of its own, said in words.
        .layer(DefaultBodyLimit::disable())
}

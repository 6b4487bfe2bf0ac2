//! The dashboard: pages that people read, made of what the admin API answers.
//!
//! | page | shows |
//! |---|---|
//! | `GET /_warm/` | every pool: stock, outcomes, latencies, shards, cost; what happened last |
//! | `GET /_warm/pools/{pool}` | one pool with its shards; forms to look up an id and to send the warm containers away |
//! | `GET /_warm/config` | the configuration in force; a form that checks a change, shows what it would do, and applies it |
//! | `GET /_warm/login` | a form for the admin token |
//!
//! What holds:
//! - a page asks the admin API, in this Worker and by the same code ([`ask`]): it cannot show other numbers;
//! - whoever has not signed in gets the form to do so and the two assets, and learns nothing else;
//! - a form that changes something, or tells of an id, is heeded only with the session's own token in it and from this very origin;
//! - whatever comes from a document or a form is escaped by the templates ([`templates`]); no page has a script or a style of
//!   its own, and the policy that is sent with each forbids them.
//!
//! Attempts to sign in are not counted here, for isolates share no memory: a token from `openssl rand -hex 32` cannot be guessed,
//! and a rate limit on `/_warm/login` is a rule of the platform's firewall.

mod ask;
mod config;
mod pages;
mod respond;
mod session;
mod templates;

use wasm_bindgen::JsValue;
use web_sys::{Request, Response};
use worker::Env;

use self::ask::Api;
use self::session::Visitor;
use crate::core::gateway::dashboard::{Asset, Page};

pub(super) use self::session::is_signed_in;

/// The longest form, in bytes: one that carries a configuration, each byte of which may be escaped.
const MAX_FORM_BYTES: usize = 3 * crate::config::limits::MAX_CONFIG_BYTES + 4096;

/// Answers a request for a page.
pub(super) async fn handle(request: &Request, env: &Env, page: Page) -> Result<Response, JsValue> {
    let token = super::admin::token(env);
    match page {
        Page::Asset(Asset::Style) => {
            return respond::asset("text/css; charset=utf-8", include_str!("assets/dashboard.css"));
        }
        Page::Asset(Asset::Script) => {
            return respond::asset("text/javascript; charset=utf-8", include_str!("assets/dashboard.js"));
        }
        _ if token.is_empty() => return respond::page(403, templates::signing::closed()),
        Page::SignInForm => return session::form(request, &token).await,
        Page::SignIn => return session::sign_in(request, &token).await,
        _ => {}
    }
    let Some(visitor) = Visitor::of(request, &token).await? else { return session::refuse(request) };
    let is_get = ["GET", "HEAD"].contains(&request.method().as_str());
    let form = if is_get { None } else { Some(visitor.form(request).await?) };
    let form = match form {
        Some(Ok(form)) => form,
        Some(Err(problem)) => return respond::page(problem.status(), templates::problem(&visitor, problem.as_str())),
        None => Default::default(),
    };
    let api = Api { request, env };
    match page {
        Page::SignOut => session::sign_out(request),
        Page::Overview => pages::overview(&api, &visitor).await,
        Page::Pool(name) => pages::pool(&api, &visitor, &name).await,
        Page::LookUp(name) => pages::look_up(&api, &visitor, &name, form.field("id")).await,
        Page::ShutdownPrewarmed(name) => pages::shutdown_prewarmed(&api, &visitor, &name).await,
        Page::Config => config::show(&api, &visitor).await,
        Page::CheckConfig => config::check(&api, &visitor, &form).await,
        Page::ApplyConfig => config::apply(&api, &visitor, &form).await,
        Page::DropConfig => config::drop_override(&api, &visitor, &form).await,
        Page::RollBack => config::roll_back(&api, &visitor, &form).await,
        // Answered above.
        Page::Asset(_) | Page::SignInForm | Page::SignIn => session::refuse(request),
    }
}

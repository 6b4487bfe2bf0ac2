//! The pages of pools: asked for, and made.

use futures::future::try_join;
use wasm_bindgen::JsValue;
use web_sys::Response;

use super::ask::{Api, Told, segment};
use super::session::Visitor;
use super::{respond, templates};
use crate::core::coordinator::ConfigSource;
use crate::core::gateway::Target;
use crate::core::gateway::dashboard::Form;
use crate::core::gateway::dashboard::view::{Overview, PoolView, events};
use crate::edge::client::isolate;
use crate::edge::js;

/// How many events the overview shows, and how many a pool's page.
const EVENTS: (u32, u32) = (25, 50);

pub async fn overview(api: &Api<'_>, visitor: &Visitor) -> Result<Response, JsValue> {
    let newest = format!("/_warm/v1/events?limit={}", EVENTS.0);
    let (pools, happened) = try_join(api.get("/_warm/v1/pools"), api.get(&newest)).await?;
    if !pools.is_ok() {
        return respond::page(pools.status, templates::problem(visitor, pools.problem()));
    }
    let (version, source) = isolate::version(api.env);
    let page = templates::overview::Page {
        overview: Overview::of(&pools.body),
        events: events(&happened.body),
        now: js::now().0,
        version: version.version,
        source: match source {
            ConfigSource::Bundled => "bundled",
            ConfigSource::Var => "var",
            ConfigSource::Admin => "admin",
        },
    };
    respond::page(200, page.render(visitor))
}

pub async fn pool(api: &Api<'_>, visitor: &Visitor, name: &str) -> Result<Response, JsValue> {
    let url = api.request.url();
    let query = Target::parse(&url).and_then(|target| target.query()).unwrap_or_default();
    let stopped = Form::parse(query).field("stopped").parse().ok();
    show(api, visitor, name, stopped.map_or(Said::Nothing, Said::Stopped)).await
}

pub async fn look_up(api: &Api<'_>, visitor: &Visitor, name: &str, id: &str) -> Result<Response, JsValue> {
    let found = api.get(&format!("/_warm/v1/pools/{}/ids/{}", segment(name), segment(id))).await?;
    show(api, visitor, name, Said::LookedUp { id, found: &found }).await
}

pub async fn shutdown_prewarmed(api: &Api<'_>, visitor: &Visitor, name: &str) -> Result<Response, JsValue> {
    let path = format!("/_warm/v1/pools/{}/shutdown-prewarmed", segment(name));
    let told = api.ask("POST", &path, None, None).await?;
    if !told.is_ok() {
        return show(api, visitor, name, Said::Failed(&told)).await;
    }
    let stopped = told.body.get("stopped").and_then(serde_json::Value::as_u64).unwrap_or_default();
    respond::see_other(&format!("/_warm/pools/{}?stopped={stopped}", segment(name)), None)
}

/// What a pool's page says besides, about what was asked of it.
pub enum Said<'a> {
    Nothing,
    /// So many warm containers were told to stop.
    Stopped(u64),
    LookedUp {
        id: &'a str,
        found: &'a Told,
    },
    Failed(&'a Told),
}

async fn show(api: &Api<'_>, visitor: &Visitor, name: &str, said: Said<'_>) -> Result<Response, JsValue> {
    let path = format!("/_warm/v1/pools/{}", segment(name));
    let newest = format!("/_warm/v1/events?pool={}&limit={}", segment(name), EVENTS.1);
    let (pool, happened) = try_join(api.get(&path), api.get(&newest)).await?;
    if !pool.is_ok() {
        return respond::page(pool.status, templates::problem(visitor, pool.problem()));
    }
    let page = templates::pool::Page {
        pool: PoolView::of(&pool.body),
        events: events(&happened.body),
        now: js::now().0,
        said,
    };
    respond::page(200, page.render(visitor))
}

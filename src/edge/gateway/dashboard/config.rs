//! The configuration's page: shown, checked, applied, dropped, rolled back.

use futures::future::try_join;
use serde_json::Value;
use wasm_bindgen::JsValue;
use web_sys::Response;

use super::ask::{Api, Told};
use super::session::Visitor;
use super::templates::config::{Notice, Page};
use super::{respond, templates};
use crate::config::parse_json;
use crate::core::gateway::Target;
use crate::core::gateway::dashboard::Form;
use crate::core::gateway::dashboard::view::{changes, mistakes, plan, revisions};
use crate::edge::js;

const PATH: &str = "/_warm/v1/config";

pub async fn show(api: &Api<'_>, visitor: &Visitor) -> Result<Response, JsValue> {
    let url = api.request.url();
    let query = Target::parse(&url).and_then(|target| target.query()).unwrap_or_default();
    let notice = Notice::of_word(Form::parse(query).field("done"));
    render(api, visitor, Asked { notice, ..Asked::default() }).await
}

pub async fn check(api: &Api<'_>, visitor: &Visitor, form: &Form) -> Result<Response, JsValue> {
    let text = form.field("config");
    let told = api.ask("POST", &format!("{PATH}/validate"), Some(text), None).await?;
    render(api, visitor, Asked { text: Some(text), checked: Some(&told), ..Asked::default() }).await
}

pub async fn apply(api: &Api<'_>, visitor: &Visitor, form: &Form) -> Result<Response, JsValue> {
    let text = form.field("config");
    let told = api.ask("PUT", PATH, Some(text), Some(form.field("version"))).await?;
    done(api, visitor, &told, Some(text), "applied").await
}

pub async fn drop_override(api: &Api<'_>, visitor: &Visitor, form: &Form) -> Result<Response, JsValue> {
    let told = api.ask("DELETE", PATH, None, Some(form.field("version"))).await?;
    done(api, visitor, &told, None, "dropped").await
}

pub async fn roll_back(api: &Api<'_>, visitor: &Visitor, form: &Form) -> Result<Response, JsValue> {
    let to: u64 = form.field("to").parse().unwrap_or_default();
    let body = serde_json::json!({ "version": to }).to_string();
    let told = api.ask("POST", &format!("{PATH}/rollback"), Some(&body), Some(form.field("version"))).await?;
    done(api, visitor, &told, None, "rolled-back").await
}

async fn done(
    api: &Api<'_>,
    visitor: &Visitor,
    told: &Told,
    text: Option<&str>,
    word: &str,
) -> Result<Response, JsValue> {
    if told.is_ok() {
        return respond::see_other(&format!("/_warm/config?done={word}"), None);
    }
    render(api, visitor, Asked { text, refused: Some(told), ..Asked::default() }).await
}

/// What was asked of the configuration.
#[derive(Default)]
struct Asked<'a> {
    /// The text that came with it.
    text: Option<&'a str>,
    /// What the check of it said.
    checked: Option<&'a Told>,
    /// Why it was not done.
    refused: Option<&'a Told>,
    notice: Option<Notice>,
}

async fn render(api: &Api<'_>, visitor: &Visitor, asked: Asked<'_>) -> Result<Response, JsValue> {
    let (config, history) = try_join(api.get(PATH), api.get("/_warm/v1/config/history")).await?;
    if !config.is_ok() {
        return respond::page(config.status, templates::problem(visitor, config.problem()));
    }
    let in_force = config.body.get("config").unwrap_or(&Value::Null);
    let bad = asked.refused.or(asked.checked.filter(|checked| !checked.is_ok()));
    let good = asked.checked.filter(|checked| checked.is_ok());
    let differences = good.and_then(|_| {
        // As the coordinator has it: with every key written out, under its one name.
        let wanted = parse_json(asked.text?).ok()?.to_document();
        Some(changes(in_force, &wanted))
    });
    let page = Page {
        version: config.body.get("version").and_then(Value::as_u64).unwrap_or_default(),
        source: config.body.get("source").and_then(Value::as_str).unwrap_or_default(),
        text: asked.text.map_or_else(|| format!("{in_force:#}"), str::to_owned),
        mistakes: bad.map(|told| mistakes(&told.body)).unwrap_or_default(),
        is_stale: bad.is_some_and(|told| told.code() == "stale_version"),
        differences,
        plan: good.and_then(|told| plan(&told.body)),
        revisions: revisions(&history.body),
        notice: asked.notice,
        now: js::now().0,
    };
    respond::page(bad.map_or(200, |told| told.status), page.render(visitor))
}

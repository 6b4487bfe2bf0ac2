//! The promise of the templates: what others wrote is text, wherever it stands.

use serde_json::{Value, json};

use super::super::ask::Told;
use super::super::pages::Said;
use super::super::session::Visitor;
use super::{config, overview, pool, problem, signing};
use crate::core::gateway::dashboard::view::{Change, Overview, PoolView, events, mistakes, plan, revisions};

/// Closes whatever it may stand in.
const HOSTILE: &str = r#"</title></textarea></script>--><img src=x onerror="alert(1)">'"&amp;"#;

fn visitor() -> Visitor {
    Visitor { form_token: "f00d".to_owned() }
}

/// Every text that a pool's document can have is hostile.
fn hostile_pool() -> Value {
    json!({
        "name": HOSTILE, "warm": 1, "assigned": 1, "starting": 0, "draining": 0, "moving": 0, "waiting": 1,
        "config": { "warmTarget": 2 }, "outcomes": { "warm": 1 }, "reasons": { HOSTILE: 1 }, "refusals": { HOSTILE: 1 },
        "startsFailed": { HOSTILE: 1 }, "lastErrors": { HOSTILE: { "message": HOSTILE, "at": 5, "shard": 0 } },
        "cost": { "instanceType": HOSTILE, "perHour": 1 }, "shards": [{ "shard": 0, "warm": 1 }], "missing": [1],
    })
}

fn hostile_events() -> Value {
    json!({ "events": [{ "at": 5, "pool": HOSTILE, "shard": 0, "kind": HOSTILE, "container": HOSTILE, "session": HOSTILE,
                         "outcome": HOSTILE, "reason": HOSTILE, "message": HOSTILE }] })
}

#[test]
fn nothing_that_others_wrote_is_markup() {
    let (one, happened) = (hostile_pool(), hostile_events());
    let all = json!({ "pools": [one] });
    let overview = overview::Page {
        overview: Overview::of(&all),
        events: events(&happened),
        now: 10,
        version: 1,
        source: HOSTILE,
    };
    let found = Told { status: 200, body: json!({ "container": HOSTILE, "shard": 0, "reason": HOSTILE }) };
    let failed = Told { status: 500, body: json!({ "error": { "code": HOSTILE, "message": HOSTILE } }) };
    let of_pool = |said| pool::Page { pool: PoolView::of(&one), events: events(&happened), now: 10, said };
    let refused = json!({ "error": { "errors": [{ "path": HOSTILE, "message": HOSTILE }] },
        "plan": { "pools": [{ "pool": HOSTILE, "change": HOSTILE }] },
        "versions": [{ "version": 1, "at": 1, "by": HOSTILE, "action": HOSTILE }, { "version": 2, "by": HOSTILE }] });
    let difference = Change { path: HOSTILE.to_owned(), from: Some(HOSTILE.to_owned()), to: Some(HOSTILE.to_owned()) };
    let configuration = config::Page {
        version: 1,
        source: HOSTILE,
        text: HOSTILE.to_owned(),
        mistakes: mistakes(&refused),
        is_stale: false,
        differences: Some(vec![difference]),
        plan: plan(&refused),
        revisions: revisions(&refused),
        notice: None,
        now: 10,
    };
    for (name, page) in [
        ("overview", overview.render(&visitor())),
        ("looked up", of_pool(Said::LookedUp { id: HOSTILE, found: &found }).render(&visitor())),
        ("not found", of_pool(Said::LookedUp { id: HOSTILE, found: &failed }).render(&visitor())),
        ("failed", of_pool(Said::Failed(&failed)).render(&visitor())),
        ("configuration", configuration.render(&visitor())),
        ("problem", problem(&visitor(), HOSTILE)),
        ("sign in", signing::form(HOSTILE, Some(HOSTILE))),
    ] {
        let html = page.into_string();
        assert!(html.contains("&lt;img src=x onerror=&quot;"), "{name} does not show it");
        assert!(!html.contains("<img"), "{name} has it as markup");
        // The only ends of these are the pages' own.
        for end in ["</title>", "</script>", "</textarea>"] {
            let begins = html.matches(&end.replace("</", "<").replace('>', "")).count();
            assert_eq!(html.matches(end).count(), begins, "{name}: {end}");
        }
    }
}

#[test]
fn what_the_policy_forbids_is_on_no_page() {
    let all = json!({ "pools": [hostile_pool()] });
    let page = overview::Page { overview: Overview::of(&all), events: None, now: 0, version: 1, source: "var" };
    let html = page.render(&visitor()).into_string();
    for forbidden in [" style=", "<style", "<script>", " onclick=", "http://", "https://"] {
        assert!(!html.contains(forbidden), "{forbidden}");
    }
}

#[test]
fn every_form_that_is_sent_carries_the_token_of_the_session() {
    let one = hostile_pool();
    let pool = pool::Page { pool: PoolView::of(&one), events: None, now: 0, said: Said::Nothing };
    let html = pool.render(&visitor()).into_string();
    let forms = html.matches("method=\"post\"").count();
    assert_eq!(forms, 3, "sign out, look up, shut down");
    assert_eq!(html.matches(r#"<input type="hidden" name="csrf" value="f00d">"#).count(), forms);
}

#[test]
fn what_is_missing_is_not_known_rather_than_none() {
    let one = json!({ "name": "p", "warm": 0, "config": { "warmTarget": 0 } });
    let pool = pool::Page { pool: PoolView::of(&one), events: None, now: 0, said: Said::Nothing };
    let html = pool.render(&visitor()).into_string();
    assert!(html.contains(r#"<b data-n="warm">0</b>"#) && html.contains(r#"<b data-n="state-assigned">not known</b>"#));
    assert!(html.contains("What happened is not known"));
}

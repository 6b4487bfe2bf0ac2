//! What happened, newest first.

use maud::{Markup, html};

use crate::core::gateway::dashboard::view::{Event, format};

/// The timeline. `with_pool` where it is about more pools than one.
pub fn timeline(events: Option<&[Event<'_>]>, now: u64, with_pool: bool) -> Markup {
    html! {
        section.events aria-labelledby="events-title" {
            h2 #events-title { "Events" }
            div #events data-live {
                @match events {
                    None => { p.unknown { "What happened is not known: this Worker keeps no events, or its coordinator does not answer." } }
                    Some([]) => { p.unknown { "Nothing yet." } }
                    Some(events) => { ol.timeline { @for event in events { (line(event, now, with_pool)) } } }
                }
            }
        }
    }
}

fn line(event: &Event<'_>, now: u64, with_pool: bool) -> Markup {
    html! {
        li {
            span.when data-at=(event.at) title={ (format::time_of_day(event.at)) " UTC" } { (format::ago(event.at, now)) }
            span.kind.bad[event.is_bad] { (event.kind) }
            span.what {
                @if let Some(pool) = event.pool.filter(|_| with_pool) { span.detail { (pool) } }
                @if let Some(shard) = event.shard { span.detail { "shard " (shard) } }
                @for (name, value) in &event.details { span.detail { (name) " " code { (value) } } }
                @if let Some(message) = event.message { span.message { (message) } }
            }
        }
    }
}

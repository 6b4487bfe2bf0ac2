//! One pool: its blocks, its shards one by one, and what can be asked of it.

use maud::{Markup, html};

use super::{Section, csrf, events, page, pool_parts};
use crate::core::gateway::dashboard::view::{Event, PoolView, ShardView, format};
use crate::edge::gateway::dashboard::ask::{Told, segment};
use crate::edge::gateway::dashboard::pages::Said;
use crate::edge::gateway::dashboard::session::Visitor;

pub struct Page<'d> {
    pub pool: PoolView<'d>,
    pub events: Option<Vec<Event<'d>>>,
    pub now: u64,
    pub said: Said<'d>,
}

impl Page<'_> {
    pub fn render(&self, visitor: &Visitor) -> Markup {
        let pool = &self.pool;
        let content = html! {
            p.crumbs { a href="/_warm/" { "Pools" } }
            div.title {
                h1 { (pool.name) }
                div #status data-live role="status" { (pool_parts::status(&pool.status)) }
                div #limits data-live { (pool_parts::limits(pool)) }
            }
            (self.notice())
            section #pool.pool data-live data-pool=(pool.name) aria-labelledby="numbers-title" {
                h2 #numbers-title.hidden { "In numbers" }
                (pool_parts::blocks(pool))
            }
            div.actions {
                (self.look_up(visitor))
                (self.shutdown(visitor))
            }
            (self.errors())
            section aria-labelledby="shards-title" {
                h2 #shards-title { "Shards" }
                div.scroll tabindex="0" role="group" aria-labelledby="shards-title" {
                    table #shards.grid data-live { (shard_table(&pool.shards)) }
                }
            }
            (events::timeline(self.events.as_deref(), self.now, false))
        };
        let path = format!("/_warm/pools/{}", segment(pool.name));
        page(visitor, pool.name, Section::Pools, Some(&path), content)
    }

    fn notice(&self) -> Markup {
        html! {
            @match &self.said {
                Said::Stopped(1) => { p.notice role="status" { "1 warm container was told to stop." } }
                Said::Stopped(count) => { p.notice role="status" { (format::count(*count)) " warm containers were told to stop." } }
                Said::Failed(told) => { p.notice.bad role="alert" { (told.problem()) } }
                Said::Nothing | Said::LookedUp { .. } => {}
            }
        }
    }

    fn look_up(&self, visitor: &Visitor) -> Markup {
        let id = if let Said::LookedUp { id, .. } = &self.said { id } else { "" };
        html! {
            section.action #look-up aria-labelledby="look-up-title" {
                h2 #look-up-title { "Look up an id" }
                form.line method="post" action={ "/_warm/pools/" (segment(self.pool.name)) "/look-up#look-up" } {
                    (csrf(visitor))
                    label.hidden for="id" { "Id" }
                    input #id type="text" name="id" value=(id) required maxlength="256" autocomplete="off" spellcheck="false"
                        placeholder="session, user or job";
                    button type="submit" { "Look up" }
                }
                @if let Said::LookedUp { id, found } = &self.said { (found_of(id, found)) }
                p.hint { "Gives the id no container, and does not show in addresses or logs." }
            }
        }
    }

    fn shutdown(&self, visitor: &Visitor) -> Markup {
        html! {
            section.action aria-labelledby="shutdown-title" {
                h2 #shutdown-title { "Replace the warm containers" }
                details {
                    summary { "Shut down what is warm…" }
                    form method="post" action={ "/_warm/pools/" (segment(self.pool.name)) "/shutdown-prewarmed" } {
                        (csrf(visitor))
                        p { "All warm containers of " strong { (self.pool.name) } " stop, and new ones start in their place. Containers with an id stay." }
                        button.danger type="submit" { "Shut them down" }
                    }
                }
                p.hint { "After a change that running containers cannot notice, such as data that they load when they start." }
            }
        }
    }

    fn errors(&self) -> Markup {
        html! {
            div #errors data-live {
                @if !self.pool.last_errors.is_empty() {
                    section aria-labelledby="errors-title" {
                        h2 #errors-title { "Last failures of starts" }
                        ul.errors {
                            @for error in &self.pool.last_errors {
                                li {
                                    span.kind.bad { (error.class) }
                                    span.weak {
                                        @if let Some(at) = error.at {
                                            span data-at=(at) title={ (format::time_of_day(at)) " UTC" } { (format::ago(at, self.now)) } " "
                                        }
                                        @if let Some(shard) = error.shard { "shard " (shard) }
                                    }
                                    code.message { (error.message) }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn found_of(id: &str, found: &Told) -> Markup {
    let text =
        |key: &str| found.body.get(key).map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned));
    html! {
        div #found role="status" {
            @if found.is_ok() {
                dl.found {
                    div { dt { "Id" } dd { code { (id) } } }
                    @for (key, name) in [("container", "Container"), ("shard", "Shard"), ("reason", "Why this one")] {
                        @if let Some(value) = text(key) { div { dt { (name) } dd { code { (value) } } } }
                    }
                }
            } @else if found.code() == "no_container" {
                p.notice { code { (id) } " has no container." }
            } @else {
                p.notice.bad { (found.problem()) }
            }
        }
    }
}

fn shard_table(shards: &[ShardView]) -> Markup {
    html! {
        thead {
            tr {
                th scope="col" { "shard" }
                @for name in ["assigned", "warm", "target", "starting", "draining", "moving", "limit", "waiting"] {
                    th.n scope="col" { (name) }
                }
                th scope="col" { "state" }
            }
        }
        tbody {
            @for shard in shards {
                tr data-shard=(shard.index) {
                    th scope="row" { (shard.index) }
                    @match shard.states {
                        Some([starting, warm, assigned, draining, moving]) => {
                            td.n data-n="assigned" { (format::count(assigned)) }
                            td.n data-n="warm" { (format::count(warm)) }
                            td.n { (format::maybe(shard.warm_target)) }
                            td.n { (format::count(starting)) }
                            td.n { (format::count(draining)) }
                            td.n { (format::count(moving)) }
                            td.n { (shard.limit.map_or_else(|| "none".to_owned(), format::count)) }
                            td.n { (format::maybe(shard.waiting)) }
                        }
                        None => { @for _ in 0..8 { td.n.weak { "–" } } }
                    }
                    @match shard.trouble() {
                        Some(trouble) => { td { span.kind.bad { (trouble) } } }
                        None => { td.weak { "fine" } }
                    }
                }
            }
        }
    }
}

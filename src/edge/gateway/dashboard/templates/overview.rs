//! The first page: every pool, and what happened last.

use maud::{Markup, html};

use super::{Section, events, page, pool_parts};
use crate::core::gateway::dashboard::view::{Event, Overview, format};
use crate::edge::gateway::dashboard::session::Visitor;

pub struct Page<'d> {
    pub overview: Overview<'d>,
    pub events: Option<Vec<Event<'d>>>,
    pub now: u64,
    /// The configuration that this isolate works by.
    pub version: u64,
    pub source: &'d str,
}

impl Page<'_> {
    pub fn render(&self, visitor: &Visitor) -> Markup {
        let content = html! {
            h1 { "Pools" }
            p #headline.headline role="status" data-live { (self.overview.headline) }
            (self.figures())
            div #pools data-live {
                @for pool in &self.overview.pools {
                    @let title = format!("pool-{}", pool.name);
                    section.pool data-pool=(pool.name) aria-labelledby=(title) {
                        div.title {
                            h2 id=(title) { a href={ "/_warm/pools/" (pool.name) } { (pool.name) } }
                            (pool_parts::status(&pool.status))
                            (pool_parts::limits(pool))
                        }
                        (pool_parts::blocks(pool))
                    }
                }
            }
            (events::timeline(self.events.as_deref(), self.now, true))
        };
        page(visitor, "Pools", Section::Pools, Some("/_warm/"), content)
    }

    fn figures(&self) -> Markup {
        let overview = &self.overview;
        let cost = overview.per_hour();
        let warm = format!("{} of {}", format::maybe(overview.count("warm")), format::maybe(overview.warm_target()));
        html! {
            dl #figures.figures data-live {
                (figure("Containers", &format::maybe(overview.containers())))
                (figure("Warm", &warm))
                (figure("Assigned", &format::maybe(overview.count("assigned"))))
                (figure("Waiting callers", &format::maybe(overview.waiting())))
                (figure("Cost an hour", &cost.map_or_else(|| format::UNKNOWN.to_owned(), |(all, _)| format::dollars(all))))
                (figure("of it idle", &cost.map_or_else(|| format::UNKNOWN.to_owned(), |(_, idle)| format::dollars(idle))))
                (figure("Configuration", &format!("{} ({})", self.version, self.source)))
            }
        }
    }
}

fn figure(name: &str, value: &str) -> Markup {
    html! { div { dt { (name) } dd.unknown[value == format::UNKNOWN] { (value) } } }
}

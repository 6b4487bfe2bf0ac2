//! The blocks that tell of a pool, on the overview and on its own page.

use maud::{Markup, html};

use super::charts;
use crate::core::gateway::dashboard::view::{Cost, Counted, PoolView, Status, format, strip};

/// How it is: a mark and words, so that colour is not all there is.
pub fn status(status: &Status) -> Markup {
    let (class, mark, text) = match status {
        Status::Good(text) => ("good", "●", text),
        Status::Busy(text) => ("busy", "◐", text),
        Status::Trouble(text) => ("trouble", "▲", text),
    };
    html! { p class={ "chip " (class) } { span aria-hidden="true" { (mark) } " " (text) } }
}

/// What it may have, and how many callers wait.
pub fn limits(pool: &PoolView<'_>) -> Markup {
    html! {
        p.limits {
            @match pool.max_instances {
                Some(most) => { "at most " (format::count(most)) }
                None => { "no limit of its own" }
            }
            @if let Some(waiting @ 1..) = pool.waiting { ", " strong data-n="waiting" { (format::count(waiting)) } " waiting" }
        }
    }
}

/// All blocks.
pub fn blocks(pool: &PoolView<'_>) -> Markup {
    html! {
        div.blocks {
            (containers(pool))
            (outcomes(pool))
            (why(pool))
            (latencies(pool))
            (shards(pool))
            (cost(pool))
        }
    }
}

fn containers(pool: &PoolView<'_>) -> Markup {
    let (warm, target) = (pool.count("warm"), pool.warm_target);
    html! {
        div.block {
            h3 { "Stock" }
            p.big {
                b data-n="warm" { (format::maybe(warm)) } " of " b data-n="warm-target" { (format::maybe(target)) } " warm"
            }
            (charts::share(warm.unwrap_or_default(), target.unwrap_or_default(), "warm"))
            h3 { "Containers" }
            (charts::states(&pool.states, pool.max_instances))
            ul.legend {
                @for state in &pool.states {
                    li {
                        span class={ "swatch fill-" (state.name) } {}
                        (state.name) " " b data-n={ "state-" (state.name) } { (format::maybe(state.count)) }
                    }
                }
            }
        }
    }
}

fn outcomes(pool: &PoolView<'_>) -> Markup {
    let all = pool.acquired();
    html! {
        div.block {
            h3 { "Ids got a container" }
            @if pool.outcomes.is_empty() { (unknown()) } @else {
                table.counts {
                    @for Counted { name, count } in &pool.outcomes {
                        tr {
                            th scope="row" { (name) }
                            td.n data-n={ "outcome-" (name) } { (format::count(*count)) }
                            td.n.weak { (format::percent(*count, all)) }
                            td.graph { (charts::share(*count, all, name)) }
                        }
                    }
                }
            }
        }
    }
}

fn why(pool: &PoolView<'_>) -> Markup {
    let is_calm = pool.reasons.is_empty() && pool.refusals.is_empty() && pool.starts_failed.is_empty();
    html! {
        div.block {
            h3 { "Why cold or replaced" }
            @if is_calm { p.weak { "None cold or replaced, nobody refused, no start failed." } } @else {
                table.counts {
                    (rows("reason", "", &pool.reasons))
                    (rows("refusal", "refused: ", &pool.refusals))
                    (rows("failed", "start failed: ", &pool.starts_failed))
                }
            }
            p.weak {
                "Starts: " b data-n="starts-ready" { (format::maybe(pool.starts_ready)) } " ready, "
                b data-n="starts-retried" { (format::maybe(pool.starts_retried)) } " retried"
            }
        }
    }
}

fn rows(kind: &str, prefix: &str, counts: &[Counted<'_>]) -> Markup {
    html! {
        @for Counted { name, count } in counts {
            tr {
                th scope="row" { (prefix) (name) }
                td.n data-n={ (kind) "-" (name) } { (format::count(*count)) }
            }
        }
    }
}

fn latencies(pool: &PoolView<'_>) -> Markup {
    let time = |seconds: Option<f64>| seconds.map_or_else(|| "–".to_owned(), format::seconds);
    html! {
        div.block {
            h3 { "How long it took" }
            @if pool.latencies.is_empty() { (unknown()) } @else {
                table.counts {
                    thead { tr { td {} th.n scope="col" { "p50" } th.n scope="col" { "p95" } th.n scope="col" { "p99" } td {} } }
                    tbody {
                        @for latency in &pool.latencies {
                            tr data-latency=(latency.name) {
                                th scope="row" { (latency.name) }
                                td.n { (time(latency.p50)) }
                                td.n { (time(latency.p95)) }
                                td.n { (time(latency.p99)) }
                                td.graph { (charts::histogram(&latency.buckets)) }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn shards(pool: &PoolView<'_>) -> Markup {
    let strip = strip(&pool.shards);
    html! {
        div.block {
            h3 { "Shards" }
            @if pool.shards.is_empty() { (unknown()) } @else {
                (charts::shards(&strip))
                p.weak {
                    span.swatch.fill-assigned {} "assigned  " span.swatch.fill-warm {} "warm; full height is "
                    (format::count(strip.top))
                }
                p.weak { (strip.summary) }
            }
        }
    }
}

fn cost(pool: &PoolView<'_>) -> Markup {
    let dollars = |sum: Option<f64>| sum.map_or_else(|| format::UNKNOWN.to_owned(), format::dollars);
    html! {
        div.block {
            h3 { "Cost" @if let Some(kind) = &pool.instance_type { " (" (kind) ")" } }
            @match pool.cost {
                None => { (unknown()) }
                Some(Cost { per_hour, idle_per_hour, so_far, idle_so_far }) => {
                    table.counts {
                        thead { tr { td {} th.n scope="col" { "all" } th.n scope="col" { "idle" } } }
                        tbody {
                            tr {
                                th scope="row" { "an hour, now" }
                                td.n data-n="cost-hour" { (dollars(per_hour)) }
                                td.n data-n="cost-hour-idle" { (dollars(idle_per_hour)) }
                            }
                            tr { th scope="row" { "so far" } td.n { (dollars(so_far)) } td.n { (dollars(idle_so_far)) } }
                        }
                    }
                    p.weak { "Memory and disk. CPU is billed by use, which cannot be seen from here." }
                }
            }
        }
    }
}

fn unknown() -> Markup {
    html! { p.unknown { (format::UNKNOWN) } }
}

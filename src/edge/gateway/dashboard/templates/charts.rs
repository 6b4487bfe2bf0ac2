//! Bars, as SVG. Each has a text that says the same.

use maud::{Markup, html};

use crate::core::gateway::dashboard::view::{State, Strip};

/// How wide the bars of shares are, in units of their own: they stretch.
const WIDTH: u64 = 1000;

/// The containers of a pool by state, side by side; the whole is `of`, or as many as there are.
pub fn states(states: &[State], of: Option<u64>) -> Markup {
    let sum: u64 = states.iter().filter_map(|state| state.count).sum();
    let whole = of.unwrap_or(sum).max(sum).max(1);
    let words: Vec<String> =
        states.iter().filter_map(|state| Some(format!("{} {}", state.count?, state.name))).collect();
    let mut x = 0;
    let parts = states.iter().map(|state| {
        let width = state.count.unwrap_or_default() * WIDTH / whole;
        let at = x;
        x += width;
        (state.name, at, width)
    });
    html! {
        svg.bar viewBox={ "0 0 " (WIDTH) " 10" } preserveAspectRatio="none" role="img" aria-label=(words.join(", ")) {
            rect.ground width=(WIDTH) height="10" {}
            @for (name, at, width) in parts {
                @if width > 0 { rect class={ "fill-" (name) } x=(at) width=(width) height="10" {} }
            }
        }
    }
}

/// A part of a whole, as a bar.
pub fn share(part: u64, whole: u64, fill: &str) -> Markup {
    let width = part.saturating_mul(WIDTH) / whole.max(1);
    let width = if part > 0 { width.max(6) } else { 0 };
    html! {
        svg.share viewBox={ "0 0 " (WIDTH) " 10" } preserveAspectRatio="none" aria-hidden="true" {
            rect.ground width=(WIDTH) height="10" {}
            rect class={ "fill-" (fill) } width=(width.min(WIDTH)) height="10" {}
        }
    }
}

/// Shards side by side: load beside stock.
pub fn shards(strip: &Strip) -> Markup {
    let full = Strip::FULL;
    let width = strip.bars.len() * 12;
    // Few are wide enough to see, and many find room.
    let shown = strip.bars.len() * (280 / strip.bars.len().max(1)).clamp(6, 26);
    html! {
        svg.strip width=(shown) height=(full) viewBox={ "0 0 " (width) " " (full) } preserveAspectRatio="none" role="img"
            aria-label=(strip.summary) {
            @for (at, (index, bars)) in strip.bars.iter().enumerate() {
                g {
                    title { "shard " (index) }
                    rect.ground x=(at * 12) width="10" height=(full) {}
                    @match bars {
                        Some((load, stock)) => {
                            rect.fill-assigned x=(at * 12) y=(full - load) width="5" height=(load) {}
                            rect.fill-warm x=(at * 12 + 5) y=(full - stock) width="5" height=(stock) {}
                        }
                        None => { rect.fill-silent x=(at * 12) width="10" height=(full) {} }
                    }
                }
            }
        }
    }
}

/// How often something took how long: one bar a bucket.
pub fn histogram(buckets: &[u64]) -> Markup {
    let most = buckets.iter().copied().max().unwrap_or_default().max(1);
    let width = buckets.len() * 5;
    html! {
        svg.histogram height="14" preserveAspectRatio="none" viewBox={ "0 0 " (width) " 14" } aria-hidden="true" {
            @for (at, count) in buckets.iter().enumerate() {
                @let height = if *count == 0 { 1 } else { (count * 14 / most).max(2) };
                rect class=(if *count == 0 { "ground" } else { "fill-plain" }) x=(at * 5) y=(14 - height) width="4" height=(height) {}
            }
        }
    }
}

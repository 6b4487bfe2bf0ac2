//! What pages look like in HTML. Everything that is put in between is escaped by `maud`, in text and in attributes; there is no
//! `PreEscaped` here, no `style` attribute and no script: bars are SVG, whose sizes are attributes.
//!
//! `data-live` marks what `dashboard.js` brings up to date; `data-n` names a number, for tests.

pub mod charts;
pub mod config;
pub mod events;
pub mod overview;
pub mod pool;
pub mod pool_parts;
pub mod signing;

use maud::{DOCTYPE, Markup, html};

use super::session::Visitor;

/// Which entry of the navigation a page belongs to.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Section {
    Pools,
    Config,
    Other,
}

/// A page for somebody who has signed in. With `live`, which is its own address, it is kept up to date.
pub fn page(visitor: &Visitor, title: &str, section: Section, live: Option<&str>, content: Markup) -> Markup {
    let entry = |of: Section, href: &str, text: &str| {
        let current = (of == section).then_some("page");
        html! { li { a href=(href) aria-current=[current] { (text) } } }
    };
    html! {
        (head(title))
        body data-every=[live.map(|_| "5")] data-page=[live] {
            a.skip href="#main" { "Skip to the content" }
            header.top {
                a.brand href="/_warm/" { "cf-warm-pools" }
                nav aria-label="Pages" {
                    ul {
                        (entry(Section::Pools, "/_warm/", "Pools"))
                        (entry(Section::Config, "/_warm/config", "Configuration"))
                    }
                }
                @if let Some(live) = live {
                    p #freshness.freshness { a href=(live) { "Reload" } }
                }
                form.out method="post" action="/_warm/logout" {
                    (csrf(visitor))
                    button.quiet type="submit" { "Sign out" }
                }
            }
            main #main tabindex="-1" { (content) }
        }
    }
}

/// What proves to the Worker that a form is its own.
pub fn csrf(visitor: &Visitor) -> Markup {
    html! { input type="hidden" name="csrf" value=(visitor.form_token); }
}

/// The page of a request that could not be answered.
pub fn problem(visitor: &Visitor, message: &str) -> Markup {
    let content = html! {
        h1 { "This did not work" }
        p.notice.bad role="alert" { (message) }
        p { a href="/_warm/" { "To the pools" } }
    };
    page(visitor, "This did not work", Section::Other, None, content)
}

fn head(title: &str) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en";
        head {
            meta charset="utf-8";
            meta name="viewport" content="width=device-width, initial-scale=1";
            meta name="color-scheme" content="light dark";
            title { (title) " · cf-warm-pools" }
            link rel="icon" href="data:,";
            link rel="stylesheet" href="/_warm/assets/dashboard.css";
            script src="/_warm/assets/dashboard.js" defer {}
        }
    }
}

#[cfg(test)]
mod tests;

//! The configuration: as it is, what a change would do, and what it was before.

use maud::{Markup, html};

use super::{Section, csrf, page};
use crate::core::gateway::dashboard::view::{Change, Mistake, PoolPlan, Revision, format};
use crate::edge::gateway::dashboard::session::Visitor;

pub struct Page<'d> {
    /// The one in force.
    pub version: u64,
    pub source: &'d str,
    /// What stands in the field.
    pub text: String,
    /// What is wrong with it, or why it was not put in force.
    pub mistakes: Vec<Mistake<'d>>,
    /// Whether another has come in force since the page was made.
    pub is_stale: bool,
    /// What it would change; none when it has not been checked, or is wrong.
    pub differences: Option<Vec<Change>>,
    /// What that does to containers; none when not known.
    pub plan: Option<Vec<PoolPlan<'d>>>,
    /// What was in force; none when not known.
    pub revisions: Option<Vec<Revision<'d>>>,
    pub notice: Option<Notice>,
    pub now: u64,
}

/// What was done.
#[derive(Clone, Copy)]
pub enum Notice {
    Applied,
    Dropped,
    RolledBack,
}

impl Notice {
    /// By the word in the page's address.
    pub fn of_word(word: &str) -> Option<Self> {
        match word {
            "applied" => Some(Self::Applied),
            "dropped" => Some(Self::Dropped),
            "rolled-back" => Some(Self::RolledBack),
            _ => None,
        }
    }

    const fn as_str(self) -> &'static str {
        match self {
            Self::Applied => "The configuration is in force.",
            Self::Dropped => "What was deployed is in force again.",
            Self::RolledBack => "The former configuration is in force again.",
        }
    }
}

impl Page<'_> {
    pub fn render(&self, visitor: &Visitor) -> Markup {
        let content = html! {
            h1 { "Configuration" }
            @if let Some(notice) = self.notice { p.notice role="status" { (notice.as_str()) } }
            p {
                "In force: version " b data-n="version" { (self.version) } ", " b data-n="source" { (self.source) } ". "
                @match self.source {
                    "admin" => { "It was put in force here or by the admin API, and stays until it is dropped." }
                    "var" => { "It is the variable " code { "POOLS_CONFIG" } "." }
                    _ => { "It is the one that was deployed." }
                }
            }
            (self.problems())
            (self.check_result(visitor))
            (self.edit(visitor))
            (self.drop_form(visitor))
            (self.history(visitor))
        };
        page(visitor, "Configuration", Section::Config, None, content)
    }

    fn problems(&self) -> Markup {
        html! {
            @if self.is_stale {
                p.notice.bad role="alert" {
                    "Nothing was changed: another configuration has come in force meanwhile. Check yours again, to see what it would change now."
                }
            } @else if !self.mistakes.is_empty() {
                div.notice.bad role="alert" {
                    p { "Nothing was changed." }
                    ul {
                        @for mistake in &self.mistakes {
                            li { @if !mistake.path.is_empty() { code { (mistake.path) } ": " } (mistake.message) }
                        }
                    }
                }
            }
        }
    }

    fn check_result(&self, visitor: &Visitor) -> Markup {
        let Some(differences) = &self.differences else { return html! {} };
        html! {
            section #change.change aria-labelledby="change-title" {
                h2 #change-title { "What would change" }
                @if differences.is_empty() { p role="status" { "Nothing: this is what is in force." } } @else {
                    div.scroll tabindex="0" role="group" aria-labelledby="change-title" {
                        table.grid.diff {
                            thead { tr { th scope="col" { "key" } th scope="col" { "now" } th scope="col" { "then" } } }
                            tbody {
                                @for Change { path, from, to } in differences {
                                    tr {
                                        th scope="row" { code { (path) } }
                                        td { @if let Some(from) = from { del { (from) } } @else { span.weak { "not there" } } }
                                        td { @if let Some(to) = to { ins { (to) } } @else { span.weak { "gone" } } }
                                    }
                                }
                            }
                        }
                    }
                    (self.effects())
                    form method="post" action="/_warm/config/apply" {
                        (csrf(visitor))
                        input type="hidden" name="version" value=(self.version);
                        input type="hidden" name="config" value=(self.text);
                        button type="submit" { "Put it in force" }
                    }
                }
            }
        }
    }

    fn effects(&self) -> Markup {
        html! {
            @match &self.plan {
                None => { p.unknown { "What this does to containers is not known." } }
                Some(pools) => {
                    ul.effects {
                        @for PoolPlan { pool, change, effects } in pools {
                            li { strong { (pool) } " " (change) @if !effects.is_empty() { ": " (effects.join(", ")) } }
                        }
                    }
                }
            }
        }
    }

    fn edit(&self, visitor: &Visitor) -> Markup {
        html! {
            section aria-labelledby="edit-title" {
                h2 #edit-title { "Change it" }
                form.stack method="post" action="/_warm/config/check#main" {
                    (csrf(visitor))
                    label for="config" { "As JSON, in the shape of " code { "config/pools.toml" } }
                    textarea #config name="config" rows="24" spellcheck="false" autocomplete="off" required { "\n" (self.text) }
                    button type="submit" { "Check, and show what would change" }
                }
            }
        }
    }

    fn drop_form(&self, visitor: &Visitor) -> Markup {
        html! {
            @if self.source == "admin" {
                section aria-labelledby="drop-title" {
                    h2 #drop-title { "Drop it" }
                    details {
                        summary { "Go back to what was deployed…" }
                        form method="post" action="/_warm/config/drop" {
                            (csrf(visitor))
                            input type="hidden" name="version" value=(self.version);
                            p { "The configuration of the newest deploy comes in force, in place of this one." }
                            button.danger type="submit" { "Drop this configuration" }
                        }
                    }
                }
            }
        }
    }

    fn history(&self, visitor: &Visitor) -> Markup {
        html! {
            section aria-labelledby="history-title" {
                h2 #history-title { "What was in force" }
                @match &self.revisions {
                    None => { p.unknown { "Not known." } }
                    Some(revisions) => {
                        div.scroll tabindex="0" role="group" aria-labelledby="history-title" {
                            table.grid {
                                thead {
                                    tr {
                                        th.n scope="col" { "version" }
                                        @for name in ["since", "by", "how"] { th scope="col" { (name) } }
                                        td {}
                                    }
                                }
                                tbody { @for revision in revisions { (self.revision(visitor, revision)) } }
                            }
                        }
                    }
                }
            }
        }
    }

    fn revision(&self, visitor: &Visitor, revision: &Revision<'_>) -> Markup {
        let Revision { version, at, by, action } = revision;
        html! {
            tr {
                th.n scope="row" { (version) }
                td { @if let Some(at) = at { span data-at=(at) title={ (format::time_of_day(*at)) " UTC" } { (format::ago(*at, self.now)) } } }
                td { (by) }
                td { (action) }
                td {
                    @if *version == self.version { "in force" } @else {
                        form method="post" action="/_warm/config/rollback" {
                            (csrf(visitor))
                            input type="hidden" name="version" value=(self.version);
                            input type="hidden" name="to" value=(version);
                            button.quiet type="submit" aria-label={ "Roll back to version " (version) } { "Roll back" }
                        }
                    }
                }
            }
        }
    }
}

//! Before signing in.

use maud::{Markup, html};

use super::head;

/// The form for the token. `next` is where it leads.
pub fn form(next: &str, problem: Option<&str>) -> Markup {
    let described = problem.map(|_| "problem");
    outside(
        "Sign in",
        html! {
            h1 { "Sign in" }
            @if let Some(problem) = problem {
                p #problem.notice.bad role="alert" { (problem) }
            }
            form.stack method="post" action="/_warm/login" {
                input type="hidden" name="next" value=(next);
                label for="token" { "Admin token" }
                input #token type="password" name="token" required autocomplete="current-password" autofocus
                    aria-describedby=[described];
                button type="submit" { "Sign in" }
            }
            p.hint { "The value of the Worker's secret " code { "ADMIN_TOKEN" } ". You stay signed in for 12 hours." }
        },
    )
}

/// While the Worker has no token.
pub fn closed() -> Markup {
    outside(
        "Closed",
        html! {
            h1 { "Closed" }
            p { "The dashboard and the admin API open with a token, and this Worker has none. Set one:" }
            pre { code { "openssl rand -hex 32 | npx wrangler secret put ADMIN_TOKEN" } }
        },
    )
}

fn outside(title: &str, content: Markup) -> Markup {
    html! {
        (head(title))
        body.outside {
            main #main {
                p.brand { "cf-warm-pools" }
                (content)
            }
        }
    }
}

//! The pages of the dashboard: what a method and a path ask for.

use crate::core::gateway::admin::{Miss, only, segments};

/// What is asked for. Names are decoded, and not yet checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Page {
    /// `GET /_warm/assets/…`: open to everybody, and the same for everybody.
    Asset(Asset),
    /// `GET /_warm/login`: open to everybody.
    SignInForm,
    /// `POST /_warm/login`
    SignIn,
    /// `POST /_warm/logout`
    SignOut,
    /// `GET /_warm/`
    Overview,
    /// `GET /_warm/pools/{pool}`
    Pool(String),
    /// `POST /_warm/pools/{pool}/look-up`: changes nothing; a `POST` because an id belongs in no address.
    LookUp(String),
    /// `POST /_warm/pools/{pool}/shutdown-prewarmed`
    ShutdownPrewarmed(String),
    /// `GET /_warm/config`
    Config,
    /// `POST /_warm/config/check`: changes nothing.
    CheckConfig,
    /// `POST /_warm/config/apply`
    ApplyConfig,
    /// `POST /_warm/config/drop`
    DropConfig,
    /// `POST /_warm/config/rollback`
    RollBack,
}

/// A file that pages refer to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asset {
    /// `dashboard.css`
    Style,
    /// `dashboard.js`
    Script,
}

/// The page that a request of `method` (upper case) to `path` (as sent, under `/_warm`) asks for. `HEAD` asks for what `GET` does.
///
/// # Errors
///
/// [`Miss::NotFound`] when the path is none of the dashboard's, though it may be the admin API's.
pub fn page(method: &str, path: &str) -> Result<Page, Miss> {
    let method = if method == "HEAD" { "GET" } else { method };
    if path == "/_warm" {
        return only(method, "GET", Page::Overview);
    }
    let segments = segments(path)?;
    let segments: Vec<&str> = segments.iter().map(AsRef::as_ref).collect();
    match segments.as_slice() {
        [""] => only(method, "GET", Page::Overview),
        ["assets", "dashboard.css"] => only(method, "GET", Page::Asset(Asset::Style)),
        ["assets", "dashboard.js"] => only(method, "GET", Page::Asset(Asset::Script)),
        ["login"] => match method {
            "GET" => Ok(Page::SignInForm),
            "POST" => Ok(Page::SignIn),
            _ => Err(Miss::MethodNotAllowed("GET, HEAD, POST")),
        },
        ["logout"] => only(method, "POST", Page::SignOut),
        ["pools", name] => only(method, "GET", Page::Pool((*name).to_owned())),
        ["pools", name, "look-up"] => only(method, "POST", Page::LookUp((*name).to_owned())),
        ["pools", name, "shutdown-prewarmed"] => only(method, "POST", Page::ShutdownPrewarmed((*name).to_owned())),
        ["config"] => only(method, "GET", Page::Config),
        ["config", "check"] => only(method, "POST", Page::CheckConfig),
        ["config", "apply"] => only(method, "POST", Page::ApplyConfig),
        ["config", "drop"] => only(method, "POST", Page::DropConfig),
        ["config", "rollback"] => only(method, "POST", Page::RollBack),
        _ => Err(Miss::NotFound),
    }
}

/// Where to go after signing in: the path that was asked for, if it is a page; else the overview. Never out of the dashboard.
pub fn destination(asked: &str) -> &str {
    // A header takes no other characters.
    let is_sendable = asked.bytes().all(|byte| byte.is_ascii_graphic());
    match page("GET", asked) {
        Ok(Page::Pool(_) | Page::Config) if is_sendable => asked,
        _ => "/_warm/",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_page_has_its_path_and_method() {
        let s = str::to_owned;
        for (method, path, expected) in [
            ("GET", "/_warm", Ok(Page::Overview)),
            ("GET", "/_warm/", Ok(Page::Overview)),
            ("HEAD", "/_warm/", Ok(Page::Overview)),
            ("POST", "/_warm/", Err(Miss::MethodNotAllowed("GET, HEAD"))),
            ("GET", "/_warm/login", Ok(Page::SignInForm)),
            ("POST", "/_warm/login", Ok(Page::SignIn)),
            ("PUT", "/_warm/login", Err(Miss::MethodNotAllowed("GET, HEAD, POST"))),
            ("GET", "/_warm/logout", Err(Miss::MethodNotAllowed("POST"))),
            ("GET", "/_warm/pools/a%2Fb", Ok(Page::Pool(s("a/b")))),
            ("GET", "/_warm/pools/%ff", Err(Miss::BadEncoding)),
            ("POST", "/_warm/pools/p/look-up", Ok(Page::LookUp(s("p")))),
            ("GET", "/_warm/pools/p/look-up", Err(Miss::MethodNotAllowed("POST"))),
            ("POST", "/_warm/config/apply", Ok(Page::ApplyConfig)),
            ("GET", "/_warm/assets/dashboard.js", Ok(Page::Asset(Asset::Script))),
            ("GET", "/_warm/v1/pools", Err(Miss::NotFound)),
            ("GET", "/_warm/healthz", Err(Miss::NotFound)),
            ("GET", "/_warm/metrics", Err(Miss::NotFound)),
        ] {
            assert_eq!(page(method, path), expected, "{method} {path}");
        }
    }

    #[test]
    fn signing_in_leads_to_no_other_site() {
        assert_eq!(destination("/_warm/pools/python"), "/_warm/pools/python");
        assert_eq!(destination("/_warm/config"), "/_warm/config");
        for elsewhere in [
            "",
            "/_warm/pools/a\nb",
            "//evil.example/_warm/",
            "https://evil.example",
            "/_warm/logout",
            "/_warm/../x",
            "/_warm/login",
            "/other",
        ] {
            assert_eq!(destination(elsewhere), "/_warm/", "{elsewhere}");
        }
    }
}

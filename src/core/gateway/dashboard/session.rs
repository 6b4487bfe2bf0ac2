//! Being signed in: a cookie that says until when, signed with a key that only the Worker has.
//!
//! A session is known by no list: it is whatever bears the signature of the admin token over its end and its nonce. So a change
//! of the token ends all of them, and signing out only takes the cookie away. What a form sends back to prove that it is the
//! dashboard's own is another signature over the same two.

use crate::config::resolved::Millis;
use crate::core::gateway::token_matches;

/// How long a session lasts.
pub const LIFETIME: Millis = Millis::from_secs(12 * 3600);

/// Who may read along between the browser and here, as far as the URL tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Channel {
    /// Nobody: HTTPS.
    Secure,
    /// Nobody: it does not leave the machine.
    Loopback,
    /// Anybody. Nobody signs in here.
    Open,
}

impl Channel {
    /// The channel of a request for an absolute `url` with this host.
    pub fn of(url: &str, host: &str) -> Self {
        if url.starts_with("https:") {
            return Self::Secure;
        }
        match host {
            "localhost" | "[::1]" => Self::Loopback,
            host if host.ends_with(".localhost") => Self::Loopback,
            host if is_loopback_v4(host) => Self::Loopback,
            _ => Self::Open,
        }
    }

    /// The cookie's name. A browser takes `__Host-` from nobody but this very host, over HTTPS; elsewhere it refuses the cookie.
    pub const fn cookie(self) -> &'static str {
        match self {
            Self::Secure => "__Host-warm",
            Self::Loopback | Self::Open => "warm",
        }
    }

    /// The header that keeps `value` in the browser for `lifetime`, or with none takes it away.
    pub fn set_cookie(self, value: &str, lifetime: Millis) -> String {
        let secure = if self == Self::Secure { "; Secure" } else { "" };
        let (name, age) = (self.cookie(), lifetime.0 / 1000);
        format!("{name}={value}; Path=/; Max-Age={age}; HttpOnly; SameSite=Strict{secure}")
    }
}

fn is_loopback_v4(host: &str) -> bool {
    host.parse::<std::net::Ipv4Addr>().is_ok_and(|address| address.is_loopback())
}

/// A session, whether or not anybody signed it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// Until when, in ms since 1970.
    pub ends_at: Millis,
    nonce: String,
}

impl Session {
    /// A session from `now` on. `nonce` is drawn at random: hex digits.
    pub fn begin(now: Millis, nonce: String) -> Self {
        Self { ends_at: now + LIFETIME, nonce }
    }

    /// What its signature is over.
    pub fn claim(&self) -> String {
        format!("cf-warm-pools session {}.{}", self.ends_at.0, self.nonce)
    }

    /// What the signature is over that its forms carry.
    pub fn form_claim(&self) -> String {
        format!("cf-warm-pools form {}.{}", self.ends_at.0, self.nonce)
    }

    /// The cookie's value.
    pub fn cookie(&self, signature: &str) -> String {
        format!("{}.{}.{signature}", self.ends_at.0, self.nonce)
    }

    /// The session and the signature in a `Cookie` header; none when there is none or it is over. The signature is not checked.
    pub fn read(header: &str, channel: Channel, now: Millis) -> Option<(Self, &str)> {
        let pairs = header.split(';').filter_map(|pair| pair.trim().split_once('='));
        let value = pairs.into_iter().find_map(|(name, value)| (name == channel.cookie()).then_some(value))?;
        let mut parts = value.splitn(3, '.');
        let (ends_at, nonce, signature) = (parts.next()?, parts.next()?, parts.next()?);
        let session = Self { ends_at: Millis(ends_at.parse().ok()?), nonce: nonce.to_owned() };
        // One that ends later than any that begins now is nobody's.
        (now < session.ends_at && session.ends_at <= now + LIFETIME).then_some((session, signature))
    }
}

/// Whether a signature is the expected one; takes as long for a wrong one.
pub fn signature_matches(given: &str, expected: &str) -> bool {
    token_matches(given, expected)
}

/// The origin of an absolute URL: `https://a.example:8443`.
pub fn origin(url: &str) -> &str {
    let host = url.find("://").map_or(0, |at| at + 3);
    let end = url.get(host..).and_then(|rest| rest.find(['/', '?', '#'])).map_or(url.len(), |at| host + at);
    url.get(..end).unwrap_or(url)
}

/// Whether a form was sent by a page of this very origin, by what the browser says: `sec-fetch-site`, and, where it does not
/// send that, `origin`. A browser that says nothing is not believed.
pub fn is_same_origin(origin_here: &str, fetch_site: Option<&str>, origin: Option<&str>) -> bool {
    match fetch_site {
        Some(site) => site == "same-origin",
        None => origin == Some(origin_here),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session() -> Session {
        Session::begin(Millis(1_000), "ab12".to_owned())
    }

    #[test]
    fn a_session_is_read_from_its_cookie_until_it_ends() {
        let cookie = format!("theme=dark; __Host-warm={}; x", session().cookie("f00d"));
        let read = |now| Session::read(&cookie, Channel::Secure, Millis(now));
        assert_eq!(read(1_000), Some((session(), "f00d")));
        assert_eq!(read(1_000 + LIFETIME.0 - 1), Some((session(), "f00d")));
        assert_eq!(read(1_000 + LIFETIME.0), None);
        assert_eq!(read(999), None, "longer than any session lasts");
        assert_eq!(Session::read(&cookie, Channel::Loopback, Millis(1_000)), None, "another name");
        for bad in ["", "__Host-warm", "__Host-warm=", "__Host-warm=1.2", "__Host-warm=x.y.z", "__Host-warm=-1.y.z"] {
            assert_eq!(Session::read(bad, Channel::Secure, Millis(1_000)), None, "{bad}");
        }
    }

    #[test]
    fn what_is_signed_differs_between_sessions_and_between_cookie_and_form() {
        let other = Session::begin(Millis(1_000), "ab13".to_owned());
        let claims = [session().claim(), session().form_claim(), other.claim(), other.form_claim()];
        for (at, claim) in claims.iter().enumerate() {
            assert!(!claims[at + 1..].contains(claim), "{claim}");
        }
    }

    #[test]
    fn the_cookie_is_kept_from_scripts_and_from_other_sites() {
        let secure = Channel::Secure.set_cookie("v", LIFETIME);
        assert_eq!(secure, "__Host-warm=v; Path=/; Max-Age=43200; HttpOnly; SameSite=Strict; Secure");
        let local = Channel::Loopback.set_cookie("", Millis(0));
        assert_eq!(local, "warm=; Path=/; Max-Age=0; HttpOnly; SameSite=Strict");
    }

    #[test]
    fn plain_http_is_for_this_machine_alone() {
        for (url, host, channel) in [
            ("https://a.example/", "a.example", Channel::Secure),
            ("http://localhost:8787/", "localhost", Channel::Loopback),
            ("http://127.0.0.1/", "127.0.0.1", Channel::Loopback),
            ("http://127.0.0.2/", "127.0.0.2", Channel::Loopback),
            ("http://[::1]/", "[::1]", Channel::Loopback),
            ("http://a.example/", "a.example", Channel::Open),
            ("http://localhost.example/", "localhost.example", Channel::Open),
            ("http://127.0.0.1.example/", "127.0.0.1.example", Channel::Open),
        ] {
            assert_eq!(Channel::of(url, host), channel, "{url}");
        }
    }

    #[test]
    fn an_origin_ends_where_the_path_begins() {
        for url in ["https://a.example:8443/_warm/", "https://a.example:8443", "https://a.example:8443?x=/"] {
            assert_eq!(origin(url), "https://a.example:8443", "{url}");
        }
    }

    #[test]
    fn a_form_of_another_site_is_told_by_what_the_browser_says() {
        let here = "https://a.example";
        for (site, origin, expected) in [
            (Some("same-origin"), None, true),
            (Some("same-origin"), Some("https://b.example"), true),
            (Some("same-site"), Some(here), false),
            (Some("cross-site"), Some(here), false),
            (Some("none"), None, false),
            (None, Some(here), true),
            (None, Some("https://b.example"), false),
            (None, Some("null"), false),
            (None, None, false),
        ] {
            assert_eq!(is_same_origin(here, site, origin), expected, "{site:?} {origin:?}");
        }
    }
}

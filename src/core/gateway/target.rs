//! The parts of a request's URL that a route looks at.
//!
//! The URL is the one the runtime hands over, already parsed and serialised by the rules of the WHATWG: the host is in
//! lower case, `.` and `..` segments (percent-encoded ones too) are gone, `\` has become `/`. Nothing more is done to
//! it here. Above all, nothing is decoded before a route is matched: `/%70ython` does not match `/python`, and `a%2Fb`
//! is one segment.

use crate::config::resolved::{Config, Route};

/// Where a request goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target<'u> {
    authority: &'u str,
    path: &'u str,
    query: Option<&'u str>,
}

impl<'u> Target<'u> {
    /// The parts of an absolute URL with a host; none when it has no such shape.
    pub fn parse(url: &'u str) -> Option<Self> {
        let (_scheme, rest) = url.split_once("://")?;
        let rest = rest.split_once('#').map_or(rest, |(before, _fragment)| before);
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, tail) = rest.split_at_checked(end)?;
        let authority = authority.rsplit_once('@').map_or(authority, |(_user, host)| host);
        if authority.is_empty() {
            return None;
        }
        let (path, query) = match tail.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (tail, None),
        };
        Some(Self { authority, path: if path.is_empty() { "/" } else { path }, query })
    }

    /// The host, without the port.
    pub fn host(&self) -> &'u str {
        match self.authority.rsplit_once(':') {
            // The colons of an IPv6 address stand within brackets.
            Some((host, port)) if !port.contains(']') => host,
            Some(_) | None => self.authority,
        }
    }

    /// The path, starting with `/`, as sent.
    pub fn path(&self) -> &'u str {
        self.path
    }

    /// The query without its `?`, as sent.
    pub fn query(&self) -> Option<&'u str> {
        self.query
    }

    /// Whether the path belongs to the admin API, which no route can take over.
    pub fn is_admin(&self) -> bool {
        self.path.strip_prefix("/_warm").is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }

    /// The first route that matches.
    pub fn route<'c>(&self, config: &'c Config) -> Option<&'c Route> {
        let host = self.host();
        config.routes.iter().find(|route| route.matches(host, self.path))
    }

    /// The URL as a container gets it by `route`: with the matched prefix removed where the route says so, and always
    /// `http:`, for that is what containers speak inside the platform. Host, port and query stay.
    pub fn forwarded(&self, route: &Route) -> String {
        let path = if route.strip_prefix { self.without_prefix(route) } else { self.path };
        let slash = if path.starts_with('/') { "" } else { "/" };
        let (mark, query) = self.query.map_or(("", ""), |query| ("?", query));
        ["http://", self.authority, slash, path, mark, query].concat()
    }

    fn without_prefix(&self, route: &Route) -> &'u str {
        let stem = route.path.as_deref().and_then(|pattern| pattern.strip_suffix("/*"));
        stem.and_then(|stem| self.path.strip_prefix(stem)).unwrap_or(self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::resolved::{IdSource, PoolName};

    fn route(host: Option<&str>, path: Option<&str>, strip_prefix: bool, pool: &str) -> Route {
        Route {
            pool: PoolName::try_from(pool.to_owned()).unwrap(),
            host: host.map(str::to_owned),
            path: path.map(str::to_owned),
            strip_prefix,
            id: IdSource::Header("x-session-id".to_owned()),
            default_id: None,
        }
    }

    #[test]
    fn a_url_falls_into_its_parts() {
        for (url, host, path, query) in [
            ("https://example.com/", "example.com", "/", None),
            ("https://example.com:8443/a/b?c=/d?e#f?g", "example.com", "/a/b", Some("c=/d?e")),
            ("http://[::1]:8787/a", "[::1]", "/a", None),
            ("http://[::1]/a", "[::1]", "/a", None),
            ("https://example.com?x", "example.com", "/", Some("x")),
            ("https://example.com#/a", "example.com", "/", None),
            ("https://user:pass@example.com:1/a", "example.com", "/a", None),
            ("https://example.com/a%3F%2Fb", "example.com", "/a%3F%2Fb", None),
            ("https://example.com/?", "example.com", "/", Some("")),
        ] {
            let target = Target::parse(url).unwrap();
            assert_eq!((target.host(), target.path(), target.query()), (host, path, query), "{url}");
        }
        for bad in ["", "/a", "data:text/plain,a", "https:///a", "https://"] {
            assert_eq!(Target::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn the_first_route_that_matches_wins() {
        let config = Config {
            routes: vec![
                route(Some("*.example.com"), Some("/a/*"), false, "first"),
                route(None, Some("/a/*"), false, "second"),
                route(None, None, false, "rest"),
            ],
            ..Config::default()
        };
        let pool = |url| Target::parse(url).unwrap().route(&config).unwrap().pool.to_string();
        assert_eq!(pool("https://x.example.com:99/a/b"), "first");
        assert_eq!(pool("https://example.com/a/b"), "second");
        assert_eq!(pool("https://x.example.com/%61/b"), "rest", "an encoded letter is another path");
        let none = Config::default();
        assert_eq!(Target::parse("https://example.com/").unwrap().route(&none), None);
    }

    #[test]
    fn the_prefix_goes_only_when_the_route_says_so() {
        let forwarded = |url, path, strip| Target::parse(url).unwrap().forwarded(&route(None, path, strip, "p"));
        for (url, path, strip, expected) in [
            ("https://e.com/py/a?b=c", Some("/py/*"), true, "http://e.com/a?b=c"),
            ("https://e.com/py", Some("/py/*"), true, "http://e.com/"),
            ("https://e.com/py/", Some("/py/*"), true, "http://e.com/"),
            ("https://e.com/py?b", Some("/py/*"), true, "http://e.com/?b"),
            ("https://e.com/py//evil.com/x", Some("/py/*"), true, "http://e.com//evil.com/x"),
            ("https://e.com/py/a", Some("/py/*"), false, "http://e.com/py/a"),
            ("https://e.com/a", Some("/*"), true, "http://e.com/a"),
            ("http://e.com:8787/py/a%2Fb?", Some("/py/*"), true, "http://e.com:8787/a%2Fb?"),
        ] {
            assert_eq!(forwarded(url, path, strip), expected, "{url}");
        }
    }

    #[test]
    fn the_admin_paths_are_told_by_their_first_segment() {
        let admin = |path: &str| Target::parse(&format!("https://e.com{path}")).unwrap().is_admin();
        for path in ["/_warm", "/_warm/", "/_warm/v1/pools"] {
            assert!(admin(path), "{path}");
        }
        for path in ["/", "/_warmer", "/a/_warm", "/%5Fwarm"] {
            assert!(!admin(path), "{path}");
        }
    }
}

//! Which requests a route matches, and when one route leaves nothing for another.
//!
//! The set of a pattern is infinite in each part that is not exact, so a finite list of earlier routes covers a later
//! one only if a single one of them does: take a request with a fresh host label and a fresh last segment, and see
//! which pattern matches it. So [`Pattern::covers`], tried on each earlier route, is complete. The tests use exactly
//! that request as a witness.

/// The part of a route that is matched: none matches everything. The host is in lower case, exact or `*.example.com`;
/// the path exact, or a prefix that ends in `/*`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pattern<'a> {
    pub host: Option<&'a str>,
    pub path: Option<&'a str>,
}

impl Pattern<'_> {
    /// Whether a request for `host` (any case, no port) and `path` (as sent, without the query) is matched.
    pub(super) fn matches(self, host: &str, path: &str) -> bool {
        self.host.is_none_or(|pattern| host_matches(pattern, host))
            && self.path.is_none_or(|pattern| path_matches(pattern, path))
    }

    /// Whether every request that `other` matches is matched by this one too.
    pub(super) fn covers(self, other: Pattern<'_>) -> bool {
        let host = match (self.host, other.host) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(ours), Some(theirs)) => host_covers(ours, theirs),
        };
        let path = match (self.path, other.path) {
            (None | Some("/*"), _) => true,
            (Some(_), None) => false,
            (Some(ours), Some(theirs)) => path_covers(ours, theirs),
        };
        host && path
    }
}

/// `*.example.com` matches hosts below `example.com`, at any depth, and not `example.com` itself.
fn host_matches(pattern: &str, host: &str) -> bool {
    match pattern.strip_prefix('*') {
        // `.example.com`, with something before it.
        Some(suffix) => {
            let start = host.len().saturating_sub(suffix.len());
            start > 0 && host.get(start..).is_some_and(|end| end.eq_ignore_ascii_case(suffix))
        }
        None => host.eq_ignore_ascii_case(pattern),
    }
}

fn host_covers(ours: &str, theirs: &str) -> bool {
    match (ours.strip_prefix('*'), theirs.strip_prefix('*')) {
        (Some(ours), Some(theirs)) => theirs.ends_with(ours),
        (Some(_), None) => host_matches(ours, theirs),
        (None, Some(_)) => false,
        (None, None) => ours == theirs,
    }
}

/// `/python/*` matches `/python` and all that starts with `/python/`.
fn path_matches(pattern: &str, path: &str) -> bool {
    match pattern.strip_suffix("/*") {
        Some(stem) => path.strip_prefix(stem).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')),
        None => path == pattern,
    }
}

fn path_covers(ours: &str, theirs: &str) -> bool {
    match (ours.strip_suffix("/*"), theirs.strip_suffix("/*")) {
        (Some(_), Some(theirs)) => path_matches(ours, theirs),
        (Some(_), None) => path_matches(ours, theirs),
        (None, Some(_)) => false,
        (None, None) => ours == theirs,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::sample::select;

    use super::*;

    fn pattern<'a>(host: &'a str, path: &'a str) -> Pattern<'a> {
        let given = |part: &'a str| if part.is_empty() { None } else { Some(part) };
        Pattern { host: given(host), path: given(path) }
    }

    #[test]
    fn hosts_and_paths_match_as_documented() {
        for (host, path, request_host, request_path, matched) in [
            ("", "", "x.dev", "/anything", true),
            ("", "/python/*", "x.dev", "/python", true),
            ("", "/python/*", "x.dev", "/python/", true),
            ("", "/python/*", "x.dev", "/python/a/b", true),
            ("", "/python/*", "x.dev", "/pythonic", false),
            ("", "/python", "x.dev", "/python/", false),
            ("", "/python", "x.dev", "/Python", false),
            ("", "/*", "x.dev", "/", true),
            ("py.example.com", "", "PY.example.com", "/", true),
            ("py.example.com", "", "a.py.example.com", "/", false),
            ("*.example.com", "", "a.example.com", "/", true),
            ("*.example.com", "", "a.b.Example.com", "/", true),
            ("*.example.com", "", "example.com", "/", false),
            ("*.example.com", "", ".example.com", "/", false),
            ("*.example.com", "", "evilexample.com", "/", false),
            ("*.example.com", "/a", "x.example.com", "/b", false),
        ] {
            assert_eq!(
                pattern(host, path).matches(request_host, request_path),
                matched,
                "{host} {path} {request_host} {request_path}"
            );
        }
    }

    #[test]
    fn a_route_covers_what_it_leaves_nothing_of() {
        for (ours, theirs, covered) in [
            (("", ""), ("a.com", "/x"), true),
            (("", "/*"), ("", ""), true),
            (("", "/x/*"), ("", "/x"), true),
            (("", "/x/*"), ("", "/x/y/*"), true),
            (("", "/x/*"), ("", "/xy/*"), false),
            (("", "/x"), ("", "/x/*"), false),
            (("a.com", ""), ("", ""), false),
            (("a.com", ""), ("a.com", "/x"), true),
            (("*.a.com", ""), ("b.a.com", ""), true),
            (("*.a.com", ""), ("*.b.a.com", ""), true),
            (("*.a.com", ""), ("a.com", ""), false),
            (("*.a.com", ""), ("*.xa.com", ""), false),
            (("*.a.com", "/x/*"), ("b.a.com", "/*"), false),
        ] {
            assert_eq!(pattern(ours.0, ours.1).covers(pattern(theirs.0, theirs.1)), covered, "{ours:?} {theirs:?}");
        }
    }

    /// A request that `pattern` matches, and any other pattern of these tests only if it covers `pattern`.
    fn witness(pattern: Pattern<'_>) -> (String, String) {
        let host = match pattern.host {
            None => "fresh.invalid".to_owned(),
            Some(host) => host.replacen('*', "fresh", 1),
        };
        let path = match pattern.path {
            None => "/fresh".to_owned(),
            Some(path) => path.strip_suffix("/*").map_or(path.to_owned(), |stem| format!("{stem}/fresh")),
        };
        (host, path)
    }

    fn hosts() -> impl Strategy<Value = &'static str> {
        select(vec!["", "a.com", "*.com", "*.a.com", "b.a.com", "*.b.a.com", "c.b.a.com", "xa.com", "*.xa.com"])
    }

    fn paths() -> impl Strategy<Value = &'static str> {
        select(vec!["", "/", "/*", "/x", "/x/", "/x/*", "/x/y", "/x/y/*", "/xy/*", "/x/y/z", "/y/*"])
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4096))]

        #[test]
        fn covering_is_exactly_leaving_nothing(earlier in prop::collection::vec((hosts(), paths()), 1..4), host in hosts(), path in paths()) {
            let later = pattern(host, path);
            let (request_host, request_path) = witness(later);
            prop_assert!(later.matches(&request_host, &request_path));
            let taken = earlier.iter().any(|(host, path)| pattern(host, path).matches(&request_host, &request_path));
            let covered = earlier.iter().any(|(host, path)| pattern(host, path).covers(later));
            prop_assert_eq!(covered, taken);
        }
    }
}

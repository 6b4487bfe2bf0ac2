//! Who a request is for.
//!
//! | source | read as |
//! |---|---|
//! | header | as sent |
//! | cookie | the first of that name, percent-decoded |
//! | query | the first of that name, percent-decoded, `+` is a space |
//! | segment | percent-decoded after the path was split, so `a%2Fb` is one segment |
//!
//! An empty value counts as none. What does not decode to UTF-8 is refused, not repaired: repaired, two different ids
//! could become one. The runtime repairs all the same, before anything here sees it (measured: of a header in Latin-1 each letter beyond
//! ASCII becomes U+FFFD), so that what has that character is refused too.

use percent_encoding::percent_decode_str;

use super::target::Target;
use crate::config::resolved::{IdSource, Route};
use crate::core::id::{SessionId, SessionIdError};

/// The id of a request to `target` by `route`; `header` looks a request header up.
///
/// # Errors
///
/// When the request has no id and the route no default, or when it has something that is no id.
pub fn session_id(
    route: &Route,
    target: &Target<'_>,
    header: impl FnOnce(&str) -> Option<String>,
) -> Result<SessionId, IdProblem> {
    let found = match &route.id {
        IdSource::Header(name) => header(name).map(Ok),
        IdSource::Cookie(name) => header("cookie").and_then(|cookies| cookie(&cookies, name)),
        IdSource::Query(name) => target.query().and_then(|query| parameter(query, name)),
        IdSource::Segment(index) => segment(target.path(), *index),
    };
    let text = match found {
        Some(Ok(text)) if !text.contains(char::REPLACEMENT_CHARACTER) => text,
        Some(Ok(_) | Err(NotUtf8)) => return Err(IdProblem::NotUtf8(route.id.clone())),
        None => String::new(),
    };
    let text = match (text.is_empty(), &route.default_id) {
        (false, _) => text,
        (true, Some(default)) => default.clone(),
        (true, None) => return Err(IdProblem::Missing(route.id.clone())),
    };
    SessionId::try_from(text).map_err(|error| IdProblem::Bad(route.id.clone(), error))
}

/// Why a request has no id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdProblem {
    /// It carries none.
    #[error("this route needs an id in {}; the request has none", place(.0))]
    Missing(IdSource),
    /// It is not text.
    #[error("the id in {} is not {}UTF-8", place(.0), if matches!(.0, IdSource::Header(_)) { "" } else { "percent-encoded " })]
    NotUtf8(IdSource),
    /// It is none.
    #[error("the id in {} cannot be used", place(.0))]
    Bad(IdSource, #[source] SessionIdError),
}

fn place(source: &IdSource) -> String {
    match source {
        IdSource::Header(name) => format!("the header `{name}`"),
        IdSource::Cookie(name) => format!("the cookie `{name}`"),
        IdSource::Query(name) => format!("the query parameter `{name}`"),
        IdSource::Segment(index) => format!("segment {index} of the path (counted from 0)"),
    }
}

struct NotUtf8;

type Found = Option<Result<String, NotUtf8>>;

fn decode(text: &str) -> Result<String, NotUtf8> {
    percent_decode_str(text).decode_utf8().map(String::from).map_err(|_| NotUtf8)
}

/// A `Cookie` header is `name=value; name=value`, a value perhaps in quotes: RFC 6265, 4.2.1. (A library for cookies would
/// also parse what only servers send, dates included, at 30 kB of the Worker.)
fn cookie(header: &str, name: &str) -> Found {
    let pairs = header.split(';').filter_map(|pair| pair.split_once('='));
    let value = pairs.map(|(key, value)| (key.trim(), value.trim())).find(|(key, _)| *key == name)?.1;
    let quoted = value.strip_prefix('"').and_then(|value| value.strip_suffix('"'));
    Some(decode(quoted.unwrap_or(value)))
}

fn parameter(query: &str, name: &str) -> Found {
    let spaces = |text: &str| decode(&text.replace('+', " "));
    query.split('&').find_map(|pair| {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        let key = spaces(key).ok()?;
        (key == name).then(|| spaces(value))
    })
}

fn segment(path: &str, index: u32) -> Found {
    path.split('/').skip(1).nth(usize::try_from(index).ok()?).map(decode)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::resolved::PoolName;

    fn route(id: IdSource, default_id: Option<&str>) -> Route {
        Route {
            pool: PoolName::try_from("p".to_owned()).unwrap(),
            host: None,
            path: None,
            strip_prefix: false,
            id,
            default_id: default_id.map(str::to_owned),
        }
    }

    fn id_of(source: &IdSource, url: &str, header: Option<&str>) -> Result<String, IdProblem> {
        let target = Target::parse(url).unwrap();
        session_id(&route(source.clone(), None), &target, |_| header.map(str::to_owned)).map(String::from)
    }

    #[test]
    fn each_source_is_read_as_documented() {
        let header = IdSource::Header("x-session-id".to_owned());
        let cookie = IdSource::Cookie("sid".to_owned());
        let query = IdSource::Query("user id".to_owned());
        let segment = IdSource::Segment(1);
        for (source, url, sent, expected) in [
            (&header, "https://e.com/", Some("alice"), "alice"),
            (&header, "https://e.com/", Some("a%20b"), "a%20b"),
            (&cookie, "https://e.com/", Some("a=1; sid=alice%3B; sid=bob"), "alice;"),
            (&cookie, "https://e.com/", Some("sid=\"alice\""), "alice"),
            (&cookie, "https://e.com/", Some("broken; =x; sid = a=b ;y=z"), "a=b"),
            (&query, "https://e.com/?x=1&user+id=a%20b+c&user%20id=d", None, "a b c"),
            (&query, "https://e.com/?user%20id=%C3%A4", None, "ä"),
            (&segment, "https://e.com/py/a%2Fb/c", None, "a/b"),
        ] {
            assert_eq!(id_of(source, url, sent).as_deref(), Ok(expected), "{source:?} {url}");
        }
    }

    #[test]
    fn what_is_not_there_or_empty_is_missing() {
        for (source, url, sent) in [
            (IdSource::Header("x".to_owned()), "https://e.com/", None),
            (IdSource::Header("x".to_owned()), "https://e.com/", Some("")),
            (IdSource::Cookie("sid".to_owned()), "https://e.com/", Some("xsid=1; sid=")),
            (IdSource::Query("id".to_owned()), "https://e.com/?id&idx=1", None),
            (IdSource::Query("id".to_owned()), "https://e.com/", None),
            (IdSource::Segment(1), "https://e.com/py", None),
            (IdSource::Segment(1), "https://e.com/py//b", None),
        ] {
            assert_eq!(id_of(&source, url, sent), Err(IdProblem::Missing(source.clone())), "{source:?}");
        }
    }

    #[test]
    fn a_default_serves_those_without_an_id_and_nobody_else() {
        let route = route(IdSource::Query("id".to_owned()), Some("shared"));
        let id = |url: &str| session_id(&route, &Target::parse(url).unwrap(), |_| None).map(String::from);
        assert_eq!(id("https://e.com/").as_deref(), Ok("shared"));
        assert_eq!(id("https://e.com/?id=").as_deref(), Ok("shared"));
        assert_eq!(id("https://e.com/?id=me").as_deref(), Ok("me"));
        assert!(matches!(id("https://e.com/?id=%0A"), Err(IdProblem::Bad(..))));
    }

    #[test]
    fn what_is_no_id_is_refused_and_not_repaired() {
        let query = IdSource::Query("id".to_owned());
        assert_eq!(id_of(&query, "https://e.com/?id=%ff", None), Err(IdProblem::NotUtf8(query.clone())));
        for (source, sent) in
            [(IdSource::Header("x".to_owned()), "Jos\u{fffd}"), (IdSource::Cookie("c".to_owned()), "c=\u{fffd}")]
        {
            assert_eq!(id_of(&source, "https://e.com/", Some(sent)), Err(IdProblem::NotUtf8(source.clone())));
        }
        let long = "x".repeat(257);
        let header = IdSource::Header("x-session-id".to_owned());
        let error = id_of(&header, "https://e.com/", Some(&long)).unwrap_err();
        assert_eq!(error, IdProblem::Bad(header, SessionIdError::TooLong(257)));
        assert_eq!(error.to_string(), "the id in the header `x-session-id` cannot be used");
        assert!(std::error::Error::source(&error).is_some());
    }
}

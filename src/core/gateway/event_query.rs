//! Which events a request of the admin API asks for.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

use crate::config::resolved::PoolName;
use crate::core::journal::Query;

/// How many events are told where the request does not say.
const DEFAULT_LIMIT: usize = 100;
/// The most that may be asked for at once.
const MAX_LIMIT: usize = 500;
/// The highest number that an event can have: JSON's readers know no higher ones exactly.
const MAX_SEQ: u64 = (1 << 53) - 1;

/// Reads the query of a request's URL, as sent, without its `?`. A stream that was cut off goes on after `last_event_id`, whatever
/// the query says.
///
/// # Errors
///
/// What is wrong, and what is allowed, for people.
pub fn event_query(query: Option<&str>, last_event_id: Option<&str>) -> Result<Query, String> {
    let mut read = Query { pool: None, since: None, limit: DEFAULT_LIMIT };
    let mut seen = Vec::new();
    for pair in query.unwrap_or_default().split('&').filter(|pair| !pair.is_empty()) {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        let (key, value) = (decoded(key)?, decoded(value)?);
        match key.as_ref() {
            "pool" => {
                let pool = PoolName::try_from(value.clone().into_owned());
                read.pool = Some(pool.map_err(|error| format!("`pool` is the name of a pool: {error}"))?);
            }
            "since" => read.since = Some(seq("`since`", &value)?),
            "limit" => {
                let digits = Some(&value).filter(|value| value.bytes().all(|byte| byte.is_ascii_digit()));
                let limit = digits.and_then(|value| value.parse().ok()).filter(|limit| (1..=MAX_LIMIT).contains(limit));
                read.limit =
                    limit.ok_or_else(|| format!("`limit` is a number from 1 to {MAX_LIMIT}, not {value:?}"))?;
            }
            other => return Err(format!("there is no {other:?}; there are `pool`, `since` and `limit`")),
        }
        if seen.contains(&key) {
            return Err(format!("`{key}` is there twice"));
        }
        seen.push(key);
    }
    if let Some(id) = last_event_id {
        read.since = Some(seq("the header `Last-Event-ID`", id)?);
    }
    Ok(read)
}

fn seq(what: &str, value: &str) -> Result<u64, String> {
    let seq = value.parse().ok().filter(|&seq| seq <= MAX_SEQ && value.bytes().all(|byte| byte.is_ascii_digit()));
    seq.ok_or_else(|| format!("{what} is the `seq` of an event, a number from 0 to {MAX_SEQ}, not {value:?}"))
}

fn decoded(text: &str) -> Result<Cow<'_, str>, String> {
    let text = percent_decode_str(text).decode_utf8();
    text.map_err(|_| "the query is not percent-encoded UTF-8".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for_is_read() {
        let query = |pool: Option<&str>, since, limit| {
            Ok(Query { pool: pool.map(|pool| pool.to_owned().try_into().unwrap()), since, limit })
        };
        for (text, id, expected) in [
            (None, None, query(None, None, 100)),
            (Some(""), None, query(None, None, 100)),
            (Some("pool=python&since=0&limit=1"), None, query(Some("python"), Some(0), 1)),
            (Some("limit=500&&pool=py%74hon"), None, query(Some("python"), None, 500)),
            (Some("since=9007199254740991"), None, query(None, Some(MAX_SEQ), 100)),
            (Some("since=3"), Some("7"), query(None, Some(7), 100)),
        ] {
            assert_eq!(event_query(text, id), expected, "{text:?}");
        }
    }

    #[test]
    fn what_is_not_allowed_is_told_with_what_is() {
        for (text, part) in [
            ("limit=0", "from 1 to 500"),
            ("limit=501", "from 1 to 500"),
            ("limit=", "from 1 to 500"),
            ("limit=1e2", "from 1 to 500"),
            ("limit=+1", "from 1 to 500"),
            ("since=-1", "from 0 to"),
            ("since=+1", "from 0 to"),
            ("since=9007199254740992", "from 0 to"),
            ("since=now", "from 0 to"),
            ("pool=", "name of a pool"),
            ("pool=Not%20a%20Pool", "name of a pool"),
            ("limt=3", "`pool`, `since` and `limit`"),
            ("limit=1&limit=2", "twice"),
            ("pool=%ff", "UTF-8"),
        ] {
            let error = event_query(Some(text), None).unwrap_err();
            assert!(error.contains(part), "{text}: {error}");
        }
        let error = event_query(None, Some("x")).unwrap_err();
        assert!(error.contains("Last-Event-ID"), "{error}");
    }
}

//! What a request of the admin API says beside its body when it changes the configuration: over which version, and who asks.

use serde_json::Value;

/// The most characters of the name of who asks.
pub const MAX_ACTOR_LEN: usize = 100;
/// How many entries of the audit log are shown when the request does not say, and at most.
const DEFAULT_LIMIT: u32 = 100;
const MAX_LIMIT: u32 = 1_000;

/// The versions of which one must be in force, by the header `If-Match`; none: whichever is.
///
/// # Errors
///
/// When that is not what the header may be. A condition that is not understood must not count as none.
pub fn expected_versions(if_match: Option<&str>) -> Result<Option<Vec<u64>>, &'static str> {
    const ALLOWED: &str = "If-Match is the ETag of a configuration, such as \"12\" with its quotes, several of them with commas between, or *";
    let Some(text) = if_match else { return Ok(None) };
    if text.trim() == "*" {
        // Some version always is in force.
        return Ok(None);
    }
    let mut versions = Vec::new();
    for tag in text.split(',').map(str::trim) {
        // Whoever compresses an answer on its way makes its ETag a weak one.
        let quoted = tag.strip_prefix("W/").unwrap_or(tag);
        let opaque = quoted.strip_prefix('"').and_then(|tag| tag.strip_suffix('"')).ok_or(ALLOWED)?;
        // What is no version is that of no configuration.
        versions.extend(opaque.parse::<u64>());
    }
    Ok(Some(versions))
}

/// Who asks: what the request claims (`x-warm-actor`), else whom Cloudflare Access has let in, else `admin`.
///
/// # Errors
///
/// When the claim is none that can be written down: another name in its place would be a wrong one.
pub fn actor(claimed: Option<&str>, let_in: Option<&str>) -> Result<String, String> {
    let claimed = claimed.map(str::trim).filter(|name| !name.is_empty());
    if let Some(name) = claimed {
        if name.chars().count() > MAX_ACTOR_LEN || name.chars().any(char::is_control) {
            return Err(format!(
                "x-warm-actor says who makes the change, in at most {MAX_ACTOR_LEN} printable characters"
            ));
        }
        return Ok(name.to_owned());
    }
    let let_in: String = let_in.unwrap_or_default().chars().filter(|c| !c.is_control()).take(MAX_ACTOR_LEN).collect();
    Ok(if let_in.is_empty() { "admin".to_owned() } else { let_in })
}

/// The version that the body of a request wants to go back to, `{"version": 12}`; none when it says anything else, for a key that is
/// not heeded might be what the caller relies on.
pub fn version_to_restore(body: &str) -> Option<u64> {
    let body: Value = serde_json::from_str(body).ok()?;
    let fields = body.as_object().filter(|fields| fields.len() == 1)?;
    let version = fields.get("version")?;
    // In JSON 12.0 is the same number. Versions stay below 2^53, so that they are exact.
    let whole = |number: &f64| number.fract() == 0.0 && (0.0..9_007_199_254_740_992.0).contains(number);
    version.as_u64().or_else(|| version.as_f64().filter(whole).map(|number| number as u64))
}

/// How many entries of the audit log are asked for, by the query of a URL.
///
/// # Errors
///
/// When it is no number from 1 to 1,000.
pub fn audit_limit(query: Option<&str>) -> Result<u32, String> {
    let pairs = query.unwrap_or_default().split('&');
    let Some(limit) = pairs.filter_map(|pair| pair.split_once('=')).find(|(key, _)| *key == "limit") else {
        return Ok(DEFAULT_LIMIT);
    };
    let digits = Some(limit.1).filter(|limit| limit.bytes().all(|byte| byte.is_ascii_digit()));
    let limit = digits.and_then(|limit| limit.parse().ok()).filter(|limit| (1..=MAX_LIMIT).contains(limit));
    limit.ok_or_else(|| format!("limit is a whole number from 1 to {MAX_LIMIT}; without it, it is {DEFAULT_LIMIT}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_to_go_back_to_is_a_whole_number_however_it_is_written() {
        for (body, expected) in [
            (r#"{"version":12}"#, Some(12)),
            (r#"{"version":12.0}"#, Some(12)),
            (r#"{"version":1.2e1}"#, Some(12)),
            (r#"{"version":12.5}"#, None),
            (r#"{"version":-1}"#, None),
            (r#"{"version":1e300}"#, None),
            (r#"{"version":"12"}"#, None),
            (r#"{"version":12,"force":true}"#, None),
            (r"{}", None),
            (r"12", None),
            ("", None),
        ] {
            assert_eq!(version_to_restore(body), expected, "{body}");
        }
    }

    #[test]
    fn a_condition_is_heeded_or_refused_and_never_overlooked() {
        for (header, expected) in [
            (None, None),
            (Some("*"), None),
            (Some("\"12\""), Some(vec![12])),
            (Some("W/\"12\""), Some(vec![12])),
            (Some(" \"1\" , \"2\" "), Some(vec![1, 2])),
            (Some("\"another\""), Some(vec![])),
            (Some("\"-1\", \"99999999999999999999\""), Some(vec![])),
        ] {
            assert_eq!(expected_versions(header), Ok(expected), "{header:?}");
        }
        for header in ["", "12", "\"12", "12\"", "\"1\",", "*, \"1\"", "w/\"1\"", "\""] {
            assert!(expected_versions(Some(header)).is_err(), "{header}");
        }
    }

    #[test]
    fn who_asks_is_who_says_so_else_whom_access_let_in_else_admin() {
        let told = |claimed, let_in| actor(claimed, let_in).unwrap();
        assert_eq!(told(Some(" Ada Lovelace "), Some("a@example.com")), "Ada Lovelace");
        assert_eq!(told(Some(" "), Some("a@example.com")), "a@example.com");
        assert_eq!(told(None, None), "admin");
        assert_eq!(told(None, Some(&"x".repeat(300))).len(), MAX_ACTOR_LEN);
        assert!(actor(Some(&"ä".repeat(MAX_ACTOR_LEN)), None).is_ok());
        for bad in ["x".repeat(MAX_ACTOR_LEN + 1), "a\u{7}b".to_owned(), "a\nb".to_owned()] {
            assert!(actor(Some(&bad), Some("a@example.com")).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn the_audit_log_is_shown_up_to_a_limit() {
        for (query, expected) in [(None, 100), (Some(""), 100), (Some("x=1&limit=7"), 7), (Some("limit=1000"), 1_000)] {
            assert_eq!(audit_limit(query), Ok(expected), "{query:?}");
        }
        for query in ["limit=", "limit=0", "limit=1001", "limit=-1", "limit=x", "limit=1.5"] {
            assert!(audit_limit(Some(query)).is_err(), "{query}");
        }
    }
}

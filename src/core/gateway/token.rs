//! The token of the admin API.

use subtle::ConstantTimeEq;

/// The longest token, in bytes; a longer one matches nothing.
pub const MAX_TOKEN_LEN: usize = 512;

/// The token in the value of an `Authorization` header; none when it is not of the scheme `Bearer`.
pub fn bearer(authorization: &str) -> Option<&str> {
    let (scheme, token) = authorization.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim_matches(' '))
}

/// Whether `given` is `expected`. Takes as long for a wrong token as for the right one, whatever the lengths; an empty
/// `expected` matches nothing.
pub fn token_matches(given: &str, expected: &str) -> bool {
    let (Some(given_padded), Some(expected_padded)) = (padded(given), padded(expected)) else { return false };
    let same_length = (given.len() as u64).ct_eq(&(expected.len() as u64));
    let same_bytes = given_padded.ct_eq(&expected_padded);
    bool::from(same_length & same_bytes) && !expected.is_empty()
}

fn padded(token: &str) -> Option<[u8; MAX_TOKEN_LEN]> {
    let mut bytes = [0; MAX_TOKEN_LEN];
    bytes.get_mut(..token.len())?.copy_from_slice(token.as_bytes());
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_very_token_matches() {
        assert!(token_matches("secret", "secret"));
        let long = "x".repeat(MAX_TOKEN_LEN);
        assert!(token_matches(&long, &long));
        for (given, expected) in [
            ("", ""),
            ("", "secret"),
            ("secre", "secret"),
            ("secret\0", "secret"),
            ("secret", "secret\0"),
            ("Secret", "secret"),
            ("secret", ""),
        ] {
            assert!(!token_matches(given, expected), "{given:?} {expected:?}");
        }
        let too_long = "x".repeat(MAX_TOKEN_LEN + 1);
        assert!(!token_matches(&too_long, &too_long));
    }

    #[test]
    fn a_bearer_token_is_read_in_any_case_of_the_scheme() {
        assert_eq!(bearer("Bearer abc"), Some("abc"));
        assert_eq!(bearer("bearer  abc "), Some("abc"));
        for other in ["", "abc", "Basic abc", "Bearerabc"] {
            assert_eq!(bearer(other), None, "{other}");
        }
    }
}

//! Durations as people write them: `"500ms"`, `"10s"`, `"5m"`, `"1h"`, or a number of milliseconds.
//!
//! One number and one unit, so that a JSON schema pattern says exactly what is read here. What is rendered is read back
//! as the same duration.

use super::resolved::Millis;

/// What a duration looks like, for error messages.
pub(super) const FORMS: &str = "\"500ms\", \"10s\", \"5m\", \"1h\", or a number of milliseconds";

const UNITS: [(&str, u64); 4] = [("ms", 1), ("s", 1000), ("m", 60_000), ("h", 3_600_000)];

/// Reads a duration with a unit. None when it is not one, or when it does not fit.
pub(super) fn parse(text: &str) -> Option<Millis> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at_checked(digits)?;
    let (_, scale) = UNITS.into_iter().find(|(name, _)| *name == unit)?;
    number.parse::<u64>().ok()?.checked_mul(scale).map(Millis)
}

/// Renders with the largest unit that divides it.
pub(super) fn render(duration: Millis) -> String {
    let (unit, scale) =
        UNITS.into_iter().rev().find(|(_, scale)| duration.0.is_multiple_of(*scale)).unwrap_or(("ms", 1));
    if duration.0 == 0 { "0ms".to_owned() } else { format!("{}{unit}", duration.0 / scale) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_unit_is_read() {
        for (text, ms) in [("500ms", 500), ("10s", 10_000), ("5m", 300_000), ("1h", 3_600_000), ("0s", 0)] {
            assert_eq!(parse(text), Some(Millis(ms)), "{text}");
        }
    }

    #[test]
    fn nothing_else_is_read() {
        for text in [
            "",
            "10",
            "s",
            "-1s",
            "1.5s",
            "1 s",
            "1S",
            "1d",
            "10s ",
            "1h30m",
            "99999999999999999999s",
            "18446744073709551615h",
            "１s",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_rendered_is_read_back(ms in 0..=u64::MAX) {
            prop_assert_eq!(parse(&render(Millis(ms))), Some(Millis(ms)));
        }

        #[test]
        fn round_numbers_are_rendered_short(seconds in 1..=59u64, minutes in 1..=59u64) {
            prop_assert_eq!(render(Millis(seconds * 1000)), format!("{seconds}s"));
            prop_assert_eq!(render(Millis(minutes * 60_000)), format!("{minutes}m"));
        }
    }
}

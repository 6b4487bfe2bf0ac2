//! Numbers as people read them.

/// What stands where a document says nothing.
pub const UNKNOWN: &str = "not known";

/// A count, with its thousands apart: `12,345`.
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A count, or that it is not known.
pub fn maybe(number: Option<u64>) -> String {
    number.map_or_else(|| UNKNOWN.to_owned(), count)
}

/// A duration in seconds, in two or three digits: `4.2 ms`, `250 ms`, `1.25 s`, `12.3 s`.
pub fn seconds(seconds: f64) -> String {
    let ms = seconds * 1000.0;
    match seconds {
        _ if ms < 10.0 => decimals(ms, 1) + " ms",
        _ if ms < 1000.0 => decimals(ms, 0) + " ms",
        _ if seconds < 10.0 => decimals(seconds, 2) + " s",
        _ if seconds < 100.0 => decimals(seconds, 1) + " s",
        _ => decimals(seconds, 0) + " s",
    }
}

/// A sum of dollars: cents from a dollar on, else four decimals.
pub fn dollars(sum: f64) -> String {
    match sum {
        _ if sum == 0.0 => "$0".to_owned(),
        _ if sum < 0.0001 => "under $0.0001".to_owned(),
        _ if sum < 1.0 => format!("${}", decimals(sum, 4)),
        _ => format!("${}", decimals(sum, 2)),
    }
}

/// A part of a whole, in per cent; nothing of nothing.
pub fn percent(part: u64, whole: u64) -> String {
    match part as f64 * 100.0 / whole.max(1) as f64 {
        share if share > 0.0 && share < 1.0 => "under 1 %".to_owned(),
        share => decimals(share, 0) + " %",
    }
}

/// How long ago `at` was, in ms since 1970: `now`, `12 s ago`, `3 min ago`, `5 h ago`, `2 d ago`.
pub fn ago(at: u64, now: u64) -> String {
    let seconds = now.saturating_sub(at) / 1000;
    match seconds {
        0 => "now".to_owned(),
        1..=119 => format!("{seconds} s ago"),
        120..=7_199 => format!("{} min ago", seconds / 60),
        7_200..=172_799 => format!("{} h ago", seconds / 3_600),
        _ => format!("{} d ago", seconds / 86_400),
    }
}

/// The time of day, in UTC: `09:05:07`.
pub fn time_of_day(at: u64) -> String {
    let seconds = at / 1000 % 86_400;
    format!("{:02}:{:02}:{:02}", seconds / 3_600, seconds / 60 % 60, seconds % 60)
}

// Of a fixed number of decimals, without the code that the formatting of floats brings along.
fn decimals(number: f64, decimals: u32) -> String {
    let scale = 10_u64.pow(decimals);
    let scaled = (number * scale as f64 + 0.5) as u64;
    match decimals {
        0 => count(scaled),
        _ => format!("{}.{:0width$}", count(scaled / scale), scaled % scale, width = decimals as usize),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        assert_eq!([0, 999, 1_000, 1_234_567].map(count), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!(
            [0.0, 0.0042, 0.25, 1.25, 12.34, 90.0, 100.4].map(seconds),
            ["0.0 ms", "4.2 ms", "250 ms", "1.25 s", "12.3 s", "90.0 s", "100 s"]
        );
        assert_eq!(
            [0.0, 0.000_01, 0.012_34, 3.456, 1234.0].map(dollars),
            ["$0", "under $0.0001", "$0.0123", "$3.46", "$1,234.00"]
        );
        assert_eq!(
            [(0, 0), (1, 3), (1, 1000), (5, 5)].map(|(a, b)| percent(a, b)),
            ["0 %", "33 %", "under 1 %", "100 %"]
        );
    }

    #[test]
    fn times_read_well() {
        let day = 86_400_000;
        assert_eq!(
            [0, 12_000, 180_000, 3 * 3_600_000, 3 * day].map(|age| ago(10 * day, 10 * day + age)),
            ["now", "12 s ago", "3 min ago", "3 h ago", "3 d ago"]
        );
        assert_eq!(ago(5_000, 0), "now", "a clock that is behind");
        assert_eq!(time_of_day(20 * day + (9 * 3_600 + 5 * 60 + 7) * 1000), "09:05:07");
    }
}

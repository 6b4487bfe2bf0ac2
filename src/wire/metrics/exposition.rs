//! Prometheus' text format, 0.0.4: families of samples.
//!
//! A family's samples stand together under its `HELP` and `TYPE`, and one without samples is left out. Label values may be any
//! text. Written here because it is so little: measured in a wasm beside `serde_json`, this comes to 1 KiB gzipped, the encoder of
//! the crate `prometheus` 0.14 without its default features to 21, and that of `prometheus-client` 0.26 to 31.

use std::fmt::{Display, Write as _};

/// The `content-type` of the text.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// What a family is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Goes up and down.
    Gauge,
    /// Only goes up, but for restarts; its name ends in `_total`.
    Counter,
    /// Counts by upper bounds; samples are of its name with `_bucket`, `_sum` and `_count`.
    Histogram,
}

impl Kind {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Gauge => "gauge",
            Self::Counter => "counter",
            Self::Histogram => "histogram",
        }
    }
}

/// The text as far as it is written.
#[derive(Debug, Default)]
pub struct Exposition {
    text: String,
}

impl Exposition {
    /// Begins a family. `help` is one line.
    pub fn family(&mut self, name: &'static str, kind: Kind, help: &'static str) -> Family<'_> {
        Family { text: &mut self.text, name, kind, help, begun: false }
    }

    /// The whole text.
    pub fn into_text(self) -> String {
        self.text
    }
}

/// A family that is being written.
#[derive(Debug)]
pub struct Family<'e> {
    text: &'e mut String,
    name: &'static str,
    kind: Kind,
    help: &'static str,
    begun: bool,
}

impl Family<'_> {
    /// One sample; `value` prints as a number does in JSON.
    pub fn sample(&mut self, labels: &[(&str, &str)], value: &dyn Display) {
        self.suffixed("", labels, value);
    }

    /// One sample of a name that goes on: `_bucket`, `_sum`, `_count`.
    pub fn suffixed(&mut self, suffix: &str, labels: &[(&str, &str)], value: &dyn Display) {
        let Self { text, name, kind, help, begun } = self;
        // Writing to a string does not fail.
        if !*begun {
            *begun = true;
            let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {}", kind.as_str());
        }
        let _ = write!(text, "{name}{suffix}");
        for (n, (label, value)) in labels.iter().enumerate() {
            text.push(if n == 0 { '{' } else { ',' });
            text.push_str(label);
            text.push_str("=\"");
            escape(text, value);
            text.push('"');
        }
        text.push_str(if labels.is_empty() { " " } else { "} " });
        let _ = writeln!(text, "{value}");
    }
}

fn escape(text: &mut String, value: &str) {
    for character in value.chars() {
        match character {
            '\\' => text.push_str("\\\\"),
            '"' => text.push_str("\\\""),
            '\n' => text.push_str("\\n"),
            other => text.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_is_as_the_format_says() {
        let mut exposition = Exposition::default();
        let mut family = exposition.family("a_total", Kind::Counter, "How many.");
        family.sample(&[], &3);
        family.sample(&[("x", "ä \\ \" \n"), ("y", "")], &0.5);
        exposition.family("none", Kind::Gauge, "Without samples.");
        let mut family = exposition.family("b_seconds", Kind::Histogram, "How long.");
        family.suffixed("_count", &[("x", "1")], &7);
        let lines: Vec<String> = exposition.into_text().lines().map(str::to_owned).collect();
        assert_eq!(
            lines,
            [
                "# HELP a_total How many.",
                "# TYPE a_total counter",
                "a_total 3",
                r#"a_total{x="ä \\ \" \n",y=""} 0.5"#,
                "# HELP b_seconds How long.",
                "# TYPE b_seconds histogram",
                r#"b_seconds_count{x="1"} 7"#,
            ]
        );
    }
}

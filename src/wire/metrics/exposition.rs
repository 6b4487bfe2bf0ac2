//! Families of samples, and their text in Prometheus' format 0.0.4.
//!
//! A family without samples is left out. The text is the crate `prometheus`'s: of it only the encoder is used, for nothing is
//! counted here.

use prometheus::TextEncoder;
use prometheus::proto::{Bucket, Counter, Gauge, Histogram, LabelPair, Metric, MetricFamily, MetricType};

/// The `content-type` of the text.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// What a family is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Goes up and down.
    Gauge,
    /// Only goes up, but for restarts; its name ends in `_total`.
    Counter,
    /// Counts by upper bounds.
    Histogram,
}

/// The families as far as they are made.
#[derive(Debug, Default)]
pub struct Exposition {
    families: Vec<MetricFamily>,
}

impl Exposition {
    /// Adds the samples of a family. `help` is one line.
    pub fn family(&mut self, name: &str, kind: Kind, help: &str, samples: Vec<Metric>) {
        if samples.is_empty() {
            return;
        }
        let mut family = MetricFamily::default();
        family.set_name(name.to_owned());
        family.set_help(help.to_owned());
        family.set_field_type(match kind {
            Kind::Gauge => MetricType::GAUGE,
            Kind::Counter => MetricType::COUNTER,
            Kind::Histogram => MetricType::HISTOGRAM,
        });
        family.set_metric(samples);
        self.families.push(family);
    }

    /// The whole text.
    ///
    /// # Errors
    ///
    /// None in practice: every family has a name and samples.
    pub fn into_text(self) -> prometheus::Result<String> {
        TextEncoder::new().encode_to_string(&self.families)
    }
}

/// Label names and values; values may be any text.
pub type Labels<'l> = &'l [(&'l str, &'l str)];

/// A sample of a [`Kind::Gauge`].
pub fn gauge(labels: Labels<'_>, value: f64) -> Metric {
    let mut gauge = Gauge::default();
    gauge.set_value(value);
    let mut metric = labelled(labels);
    metric.set_gauge(gauge);
    metric
}

/// A sample of a [`Kind::Counter`].
pub fn counter(labels: Labels<'_>, value: f64) -> Metric {
    let mut counter = Counter::default();
    counter.set_value(value);
    let mut metric = labelled(labels);
    metric.set_counter(counter);
    metric
}

/// A sample of a [`Kind::Histogram`], from how many fell into each bucket. The last of `counts` has no bound.
pub fn histogram(labels: Labels<'_>, bounds: &[f64], counts: &[u64], sum: f64) -> Metric {
    let mut histogram = Histogram::default();
    let mut cumulative = 0;
    let buckets = bounds.iter().zip(counts).map(|(&bound, count)| {
        cumulative += count;
        let mut bucket = Bucket::default();
        bucket.set_upper_bound(bound);
        bucket.set_cumulative_count(cumulative);
        bucket
    });
    histogram.set_bucket(buckets.collect());
    histogram.set_sample_count(counts.iter().sum());
    histogram.set_sample_sum(sum);
    let mut metric = labelled(labels);
    metric.set_histogram(histogram);
    metric
}

fn labelled(labels: Labels<'_>) -> Metric {
    let pair = |&(name, value): &(&str, &str)| {
        let mut pair = LabelPair::default();
        pair.set_name(name.to_owned());
        pair.set_value(value.to_owned());
        pair
    };
    Metric::from_label(labels.iter().map(pair).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_is_as_the_format_says() {
        let mut exposition = Exposition::default();
        let labels: Labels<'_> = &[("x", "ä \\ \" \n"), ("y", "")];
        exposition.family("a_total", Kind::Counter, "How many.", vec![counter(&[], 3.0), counter(labels, 0.5)]);
        exposition.family("none", Kind::Gauge, "Without samples.", Vec::new());
        let histogram = histogram(&[("x", "1")], &[0.5, 1.0], &[2, 0, 5], 9.25);
        exposition.family("b_seconds", Kind::Histogram, "How long.", vec![histogram]);
        let lines: Vec<String> = exposition.into_text().unwrap().lines().map(str::to_owned).collect();
        assert_eq!(
            lines,
            [
                "# HELP a_total How many.",
                "# TYPE a_total counter",
                "a_total 3",
                r#"a_total{x="ä \\ \" \n",y=""} 0.5"#,
                "# HELP b_seconds How long.",
                "# TYPE b_seconds histogram",
                r#"b_seconds_bucket{x="1",le="0.5"} 2"#,
                r#"b_seconds_bucket{x="1",le="1"} 2"#,
                r#"b_seconds_bucket{x="1",le="+Inf"} 7"#,
                r#"b_seconds_sum{x="1"} 9.25"#,
                r#"b_seconds_count{x="1"} 7"#,
            ]
        );
    }
}

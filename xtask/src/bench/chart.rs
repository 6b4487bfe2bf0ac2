//! One SVG for a question: a bar for the median of each series, and a line from the first to the third quartile.

use std::path::Path;

use anyhow::{Context, Result};
use plotters::prelude::*;

use super::samples::{Question, Summary};

const WIDTH: u32 = 760;
const BAR: u32 = 34;
const MARGIN: u32 = 96;
const OURS: RGBColor = RGBColor(0x1f, 0x77, 0xb4);
const OTHERS: RGBColor = RGBColor(0x9a, 0x9a, 0x9a);

/// Draws it.
///
/// # Errors
///
/// When a series is empty, or the file cannot be written.
pub fn draw(file: &Path, title: &str, unit: &str, question: &Question) -> Result<()> {
    let bars: Vec<(&str, Summary)> =
        question.iter().map(|(name, samples)| Ok((name.as_str(), samples.summary()?))).collect::<Result<_>>()?;
    let rows = u32::try_from(bars.len()).context("too many series")?;
    let longest = bars.iter().map(|(_, summary)| summary.high).fold(0.0, f64::max) * 1.08;
    let area = SVGBackend::new(file, (WIDTH, rows * BAR + MARGIN)).into_drawing_area();
    let drawn = || -> std::result::Result<(), Box<dyn std::error::Error>> {
        area.fill(&WHITE)?;
        let mut chart = ChartBuilder::on(&area)
            .caption(title, ("sans-serif", 16))
            .margin(8)
            .x_label_area_size(36)
            .y_label_area_size(150)
            .build_cartesian_2d(0.0..longest, (0..bars.len().saturating_sub(1)).into_segmented())?;
        let name = |row: &SegmentValue<usize>| match row {
            SegmentValue::CenterOf(row) => {
                bars.iter().rev().nth(*row).map_or_else(String::new, |(name, _)| (*name).to_owned())
            }
            SegmentValue::Exact(_) | SegmentValue::Last => String::new(),
        };
        chart
            .configure_mesh()
            .disable_y_mesh()
            .light_line_style(TRANSPARENT)
            .x_desc(unit)
            .y_labels(bars.len())
            .y_label_formatter(&name)
            .draw()?;
        for (row, (name, summary)) in bars.iter().rev().enumerate() {
            let color = if name.starts_with("ours") || name.starts_with("agent") { OURS } else { OTHERS };
            let corners = [(0.0, SegmentValue::Exact(row)), (summary.median, SegmentValue::Exact(row + 1))];
            let mut bar = Rectangle::new(corners, color.filled());
            bar.set_margin(6, 6, 0, 0);
            let middle = SegmentValue::CenterOf(row);
            let spread =
                PathElement::new(vec![(summary.low, middle.clone()), (summary.high, middle)], BLACK.stroke_width(2));
            chart.draw_series([bar])?;
            chart.draw_series([spread])?;
        }
        area.present()?;
        Ok(())
    };
    drawn().map_err(|error| anyhow::anyhow!("cannot draw {}: {error}", file.display()))
}

//! Bars for two directions side by side.
//!
//! Not here: what is plotted.

use anyhow::{Context, Result};
use plotters::chart::{ChartBuilder, SeriesLabelPosition};
use plotters::prelude::{
    BLACK, Color, IntoDrawingArea, IntoFont, IntoSegmentedCoord, PathElement, RGBColor, Rectangle,
    SVGBackend, SegmentValue, WHITE,
};

use super::{directory, progress};

/// One row: the bars of both directions.
#[derive(Clone, Debug)]
pub struct Bars {
    /// The name of the row.
    pub name: String,
    /// Inbound and outbound.
    pub values: [f64; 2],
}

const SERIES: [(&str, RGBColor); 2] = [
    ("inbound", RGBColor(31, 119, 180)),
    ("outbound", RGBColor(255, 127, 14)),
];
const WIDTH: u32 = 860;
const ROW_HEIGHT: u32 = 48;

/// Leaves a plot among the reports. The first bars are the reference, which lines mark.
///
/// # Errors
/// When it cannot be drawn.
pub fn save(file: &str, bars: &[Bars]) -> Result<()> {
    let path = directory()?.join(file);
    let reference = bars.first().context("bars to draw")?;
    let largest = bars.iter().flat_map(|bars| bars.values).fold(0.0, f64::max);
    let rows = u32::try_from(bars.len())?;
    let area = SVGBackend::new(&path, (WIDTH, ROW_HEIGHT * rows + 120)).into_drawing_area();
    area.fill(&WHITE)?;
    // The first on top.
    let row_of = |nth: u32| rows - 1 - nth;
    let end_of = |row: u32| match row + 1 {
        end if end < rows => SegmentValue::Exact(end),
        _ => SegmentValue::Last,
    };
    let mut chart = ChartBuilder::on(&area)
        .caption("CPU time per request and copy", ("sans-serif", 20))
        .margin(12)
        .x_label_area_size(44)
        .y_label_area_size(210)
        .build_cartesian_2d(0.0..largest * 1.1, (0..rows - 1).into_segmented())?;
    let name = |row: &SegmentValue<u32>| match row {
        SegmentValue::CenterOf(row) if *row < rows => bars
            .get(row_of(*row) as usize)
            .map_or_else(String::new, |bars| bars.name.clone()),
        _ => String::new(),
    };
    chart
        .configure_mesh()
        .disable_y_mesh()
        .light_line_style(WHITE)
        .x_desc("µs; lines: native stats logger")
        .y_labels(bars.len())
        .y_label_formatter(&name)
        .label_style(("sans-serif", 14).into_font())
        .draw()?;
    for (side, (label, color)) in SERIES.into_iter().enumerate() {
        let rectangles = (0..rows).zip(bars).map(|(nth, bars)| {
            let row = row_of(nth);
            bar(bars.values[side], side, row, end_of(row))
        });
        chart
            .draw_series(rectangles)?
            .label(label)
            .legend(move |(x, y)| Rectangle::new([(x, y - 5), (x + 14, y + 5)], color.filled()));
        let at = reference.values[side];
        let line = [(at, SegmentValue::Exact(0)), (at, SegmentValue::Last)];
        chart.draw_series([PathElement::new(line, color.stroke_width(2))])?;
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperRight)
        .border_style(BLACK)
        .background_style(WHITE)
        .label_font(("sans-serif", 14))
        .draw()?;
    area.present()?;
    progress(&format!("written: {}", path.display()));
    Ok(())
}

/// One bar in its row: half of the row, inbound above.
fn bar(
    value: f64,
    side: usize,
    row: u32,
    end: SegmentValue<u32>,
) -> Rectangle<(f64, SegmentValue<u32>)> {
    let (_, color) = SERIES[side];
    let mut rectangle = Rectangle::new(
        [(0.0, SegmentValue::Exact(row)), (value, end)],
        color.filled(),
    );
    let half = ROW_HEIGHT / 2 + 2;
    let (above, below) = if side == 0 { (6, half) } else { (half, 6) };
    rectangle.set_margin(above, below, 0, 0);
    rectangle
}

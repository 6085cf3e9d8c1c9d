//! Plots the cost of connect() as the model predicts it next to the measured one.

use plotters::prelude::*;
use std::path::Path;

/// Number of connects averaged in one point of a curve.
const POINT: usize = 250;

/// Averages over neighbouring connects.
fn curve(values: &[f64]) -> Vec<(f64, f64)> {
    let mean = |part: &[f64]| part.iter().sum::<f64>() / part.len() as f64;
    let points = values.chunks(POINT).enumerate();
    points
        .map(|(n, part)| ((n * POINT + part.len() / 2) as f64, mean(part)))
        .collect()
}

fn most(curve: &[(f64, f64)]) -> f64 {
    curve.iter().map(|p| p.1).fold(0.0, f64::max)
}

/// Draws both curves over the number of connections held.
pub(crate) fn draw(
    file: &Path,
    kernel: &str,
    examined: &[u32],
    nanoseconds: &[f64],
) -> Result<(), Box<dyn std::error::Error>> {
    let ports: Vec<f64> = examined.iter().map(|&n| f64::from(n)).collect();
    let micros: Vec<f64> = nanoseconds.iter().map(|n| n / 1e3).collect();
    let (ports, micros) = (curve(&ports), curve(&micros));
    let held = examined.len() as f64;
    let root = SVGBackend::new(file, (860, 440)).into_drawing_area();
    root.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(&root)
        .caption(
            format!("Cost of connect() as the range fills ({kernel})"),
            ("sans-serif", 18),
        )
        .margin(12)
        .x_label_area_size(40)
        .y_label_area_size(60)
        .right_y_label_area_size(60)
        .build_cartesian_2d(0.0..held, 0.0..most(&ports) * 1.1)?
        .set_secondary_coord(0.0..held, 0.0..most(&micros) * 1.1);
    chart
        .configure_mesh()
        .x_desc("connections held to one destination")
        .y_desc("ports examined, as the model predicts")
        .draw()?;
    chart
        .configure_secondary_axes()
        .y_desc("microseconds, as measured")
        .draw()?;
    chart
        .draw_series(LineSeries::new(ports, &BLUE))?
        .label("ports examined (left)")
        .legend(|(x, y)| PathElement::new([(x, y), (x + 16, y)], BLUE));
    chart
        .draw_secondary_series(LineSeries::new(micros, &RED))?
        .label("microseconds (right)")
        .legend(|(x, y)| PathElement::new([(x, y), (x + 16, y)], RED));
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperLeft)
        .background_style(WHITE)
        .border_style(BLACK)
        .draw()?;
    root.present()?;
    Ok(())
}

/// The correlation of two series, from -1 to 1.
pub(crate) fn correlation(examined: &[u32], nanoseconds: &[f64]) -> f64 {
    let ports: Vec<f64> = examined.iter().map(|&n| f64::from(n)).collect();
    let (a, b) = (curve(&ports), curve(nanoseconds));
    let mean = |c: &[(f64, f64)]| c.iter().map(|p| p.1).sum::<f64>() / c.len() as f64;
    let (ma, mb) = (mean(&a), mean(&b));
    let (mut ab, mut aa, mut bb) = (0.0, 0.0, 0.0);
    for ((_, x), (_, y)) in a.iter().zip(&b) {
        ab += (x - ma) * (y - mb);
        aa += (x - ma) * (x - ma);
        bb += (y - mb) * (y - mb);
    }
    ab / (aa * bb).sqrt()
}

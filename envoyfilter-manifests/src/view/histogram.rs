//! A workload's durations as bars, with a table of the same figures.

use maud::{Markup, html};

use super::figures;
use super::traffic::{BucketBound, CallTraffic};

const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 150.0;
/// The room below the bars, for bounds.
const AXIS: f64 = 22.0;

/// How many requests per second took how long: the upper bound of each bucket, and the requests in it alone.
fn bars(traffic: &CallTraffic) -> Vec<(BucketBound, f64)> {
    let mut below = 0.0;
    let mut bars = Vec::new();
    for (bound, requests) in &traffic.buckets {
        bars.push((*bound, (requests - below).max(0.0)));
        below = *requests;
    }
    // Empty buckets at both ends say nothing.
    while bars.last().is_some_and(|(_, requests)| *requests <= 0.0) {
        bars.pop();
    }
    let empty = bars
        .iter()
        .take_while(|(_, requests)| *requests <= 0.0)
        .count();
    bars.split_off(empty.saturating_sub(1).min(bars.len()))
}

/// The histogram; nothing where there were no requests.
pub fn drawn(traffic: &CallTraffic) -> Markup {
    let bars = bars(traffic);
    let most = bars
        .iter()
        .map(|(_, requests)| *requests)
        .fold(0.0, f64::max);
    if most <= 0.0 {
        return html! { p.quiet { "No request finished in this time." } };
    }
    let step = WIDTH / f64::from(u32::try_from(bars.len()).unwrap_or(u32::MAX));
    let place = |at: u32| f64::from(at) * step;
    html! {
        svg.histogram viewBox=(format!("0 -16 {WIDTH} {}", HEIGHT + AXIS + 16.0)) role="img"
            aria-label="Requests per second by duration" {
            @for (at, (bound, requests)) in (0..).zip(&bars) {
                @let height = (HEIGHT * requests / most).max(if *requests > 0.0 { 2.0 } else { 0.0 });
                g {
                    title { (bound_name(*bound)) ": " (figures::requests(*requests)) }
                    rect.bar x=(format!("{:.1}", place(at) + 2.0)) y=(format!("{:.1}", HEIGHT - height))
                        width=(format!("{:.1}", step - 4.0)) height=(format!("{height:.1}")) rx="2" {}
                    @if *requests > 0.0 {
                        text.value x=(format!("{:.1}", place(at) + step / 2.0)) y=(format!("{:.1}", HEIGHT - height - 4.0)) {
                            (figures::percent(Some(100.0 * requests / total(&bars))))
                        }
                    }
                    text.bound x=(format!("{:.1}", place(at) + step / 2.0)) y=(HEIGHT + 15.0) { (bound_name(*bound)) }
                }
            }
            path.axis d=(format!("M0 {HEIGHT}H{WIDTH}")) {}
        }
    }
}

fn total(bars: &[(BucketBound, f64)]) -> f64 {
    bars.iter().map(|(_, requests)| requests).sum()
}

fn bound_name(bound: BucketBound) -> String {
    if bound == BucketBound::INFINITE {
        return "more".to_owned();
    }
    format!("≤ {}", figures::duration(Some(bound.0)))
}

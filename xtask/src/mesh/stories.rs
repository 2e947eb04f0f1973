//! The stories.

mod ambient;
mod autoscaling;
mod canary;
mod high_availability;
mod telemetry;

use anyhow::Result;

use super::report::StoryReport;
use super::{RunningMesh, Story};

/// Runs a story to its end, or to the first step that fails.
pub fn play(story: Story, mesh: &RunningMesh, report: &mut StoryReport) -> Result<()> {
    match story {
        Story::Telemetry => telemetry::play(mesh, report),
        Story::Ambient => ambient::play(mesh, report),
        Story::Canary => canary::play(mesh, report),
        Story::Autoscaling => autoscaling::play(mesh, report),
        Story::HighAvailability => high_availability::play(mesh, report),
    }
}

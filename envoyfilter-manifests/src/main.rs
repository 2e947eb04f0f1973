//! The `mixerless` command.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{Args, CommandFactory, Parser, Subcommand};
use envoyfilter_manifests::check::{self, Output};
use envoyfilter_manifests::installation::Installation;
use envoyfilter_manifests::output::OutputPlan;
use envoyfilter_manifests::settings::Settings;
use envoyfilter_manifests::warnings::warnings;
use envoyfilter_manifests::{chart, help_files, manifests, module, push, view};

/// Istio's metrics from a Wasm module: attach it to a mesh, push it, check its metrics
#[derive(Parser)]
#[command(name = "mixerless", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Write the resources of a mesh, and the configuration of the readers of its metrics
    Manifests(Box<ManifestsOptions>),
    /// Push the module to an OCI registry; prints settings for `manifests`
    Push(push::PushOptions),
    /// Write the module that is inside this program to a file
    Module(module::ModuleOptions),
    /// Find faults in proxies' metrics. Exit status: 0 none that fails, 1 such a fault, 2 not checked
    Check(check::CheckOptions),
    /// Show who calls whom: a live page on this machine, or a picture of it
    View(view::ViewOptions),
    /// Write an image of this program
    #[command(hide = true)]
    Image(push::LayoutOptions),
    /// Write the completions of shells, and man pages
    #[command(hide = true)]
    HelpFiles(help_files::HelpFilesOptions),
}

#[derive(Args)]
struct ManifestsOptions {
    /// Write files below this directory instead of to standard output
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    #[command(flatten)]
    replacing: ReplaceOptions,
    /// With --out: write a Helm chart of what is applied to the cluster, with these settings as its values
    #[arg(long, requires = "out")]
    chart: bool,
    /// Print only what is below this directory, for example istio; may be given again
    #[arg(long, value_name = "DIR", conflicts_with = "out")]
    only: Vec<String>,
    /// Read settings from a YAML file: a line each, named as these flags; flags win
    #[arg(long = "settings", value_name = "FILE")]
    settings_file: Option<PathBuf>,
    #[command(flatten)]
    settings: Settings,
}

/// What happens to files that are there already.
#[derive(Args)]
struct ReplaceOptions {
    /// With --out: write nothing, say what would change
    #[arg(long, requires = "out")]
    dry_run: bool,
    /// With --out: write nothing, print what would change as a unified diff
    #[arg(long, requires = "out", conflicts_with = "dry_run")]
    diff: bool,
    /// With --out: overwrite and remove files, too, that were edited since the last run
    #[arg(long, requires = "out")]
    force: bool,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    run(cli.command).unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::from(2)
    })
}

fn run(command: Command) -> Result<ExitCode> {
    match command {
        Command::Manifests(options) => write_manifests(*options)?,
        Command::Push(options) => println!("{}", asynchronously(push::push(&options))?),
        Command::Module(options) => module::write(&options)?,
        Command::Image(options) => push::write_layout(&options)?,
        Command::HelpFiles(options) => help_files::write(Cli::command(), &options)?,
        Command::View(options) => asynchronously(view::view(&options))?,
        Command::Check(options) => {
            let report = asynchronously(check::check(&options))?;
            match options.output {
                Output::Text => print!("{report}"),
                Output::Json => println!("{}", serde_json::to_string_pretty(&report)?),
            }
            return Ok(report.verdict.exit_code());
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn write_manifests(options: ManifestsOptions) -> Result<()> {
    let settings = match &options.settings_file {
        Some(file) => options.settings.with_file(file)?,
        None => options.settings,
    };
    let installation = Installation::new(&settings)?;
    for warning in warnings(&installation) {
        eprintln!("warning: {warning}");
    }
    let bundle = if options.chart {
        chart::chart(&settings)?
    } else {
        manifests::generate(&installation)?.only(&options.only)?
    };
    let Some(directory) = &options.out else {
        print!("{}", bundle.stream());
        return Ok(());
    };
    let plan = OutputPlan::new(&bundle, directory)?;
    if options.replacing.diff {
        print!("{}", plan.diff());
        return Ok(());
    }
    let allowed = plan.allow(options.replacing.force);
    if allowed.is_ok() && !options.replacing.dry_run {
        plan.apply()?;
    }
    print!("{plan}");
    allowed
}

fn asynchronously<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.context("cannot start")?.block_on(work)
}

//! `cargo xtask`: the project's own commands.
//!
//! Here: the command line, and the function for each task. Not here: the work, which is in one module
//! per noun.

mod apt;
mod cargo;
mod check;
mod demo;
mod dist;
mod envoy;
mod envoy_version;
mod fuzz;
mod gungraun;
mod mesh;
mod module;
mod packages;
mod parsers;
mod paths;
mod process;
mod setup;
mod stages;
mod steps;
mod stop;
mod targets;
mod test;
mod toolchain;
mod wheel;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

use crate::envoy::Choice;
use crate::module::Verbosity;
use crate::toolchain::Toolchain;

/// Set up, build, try and test mixerless.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct CommandLine {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Find or install what building and testing need
    Setup(EnvoyChoices),
    /// Build the module: target/dist/mixerless.wasm, and libmixerless.so for Envoy's dynamic modules
    Build {
        /// Print only errors
        #[arg(long, short)]
        quiet: bool,
    },
    /// Build the files of a release for this architecture: an archive, checksums, and lists of what is in it
    Dist {
        /// Then follow the documentation with nothing but the archive
        #[arg(long)]
        check: bool,
    },
    /// Prove that stats-core builds without std, on other targets, with and without each feature
    NoStd,
    /// Try random metrics, whose pages another parser must be able to read, and random bytes for all that
    /// reads what others write
    Fuzz(fuzz::FuzzOptions),
    /// Run everything that a change must pass, end to end on real Envoys
    Test {
        #[command(flatten)]
        envoys: EnvoyChoices,
        /// Arguments for `cargo test`
        #[arg(last = true, value_name = "ARGS")]
        test_args: Vec<String>,
    },
    /// Run the end-to-end tests on every supported Envoy
    Matrix {
        /// Arguments for `cargo test`
        #[arg(last = true, value_name = "ARGS")]
        test_args: Vec<String>,
    },
    /// Send mixed traffic through two sidecars for a while, and change their configurations all the time
    Soak {
        /// For how long
        #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..))]
        minutes: u32,
        /// In which of its forms Envoy loads the module
        #[arg(long, default_value = "wasm", value_parser = ["wasm", "native"])]
        host: String,
    },
    /// Show the module at work between real Envoys
    Demo(demo::DemoOptions),
    /// Render the Helm chart and the kustomization with Helm and Kustomize, and compare them with the files
    Packages,
    /// Play the mesh's stories under real control planes, in namespaces of this machine
    Mesh(mesh::MeshOptions),
}

#[derive(clap::Args)]
struct EnvoyChoices {
    /// Which Envoy: newest, oldest, all, or a version. Can be repeated.
    /// Without it: newest and oldest
    #[arg(long = "envoy", value_name = "VERSION")]
    choices: Vec<Choice>,
}

fn main() -> ExitCode {
    match run(CommandLine::parse().task) {
        Ok(()) => ExitCode::SUCCESS,
        // Not `fn main() -> Result`: that would print a backtrace where RUST_BACKTRACE is set.
        Err(error) => {
            eprintln!("\nerror: {error}");
            for cause in error.chain().skip(1) {
                eprintln!("  because: {cause}");
            }
            ExitCode::FAILURE
        }
    }
}

fn run(task: Task) -> Result<()> {
    match task {
        Task::Setup(envoys) => setup::run_for_tests(&envoy::choose(&envoys.choices)?),
        Task::Build { quiet: false } => {
            let built = module::build_all(&Toolchain::ensure()?, Verbosity::Normal)?;
            built.iter().for_each(module::Module::print);
            Ok(())
        }
        Task::Build { quiet: true } => {
            module::build_all(&Toolchain::ensure_silently()?, Verbosity::Quiet)?;
            Ok(())
        }
        Task::Dist { check } => dist::run(check),
        Task::Fuzz(options) => fuzz::run(&options),
        Task::NoStd => targets::check(&Toolchain::ensure()?),
        Task::Test { envoys, test_args } => test::everything(&envoys.choices, &test_args),
        Task::Matrix { test_args } => test::matrix(&test_args),
        Task::Soak { minutes, host } => test::soak(minutes, &host),
        Task::Demo(options) => demo::run(&options),
        Task::Packages => packages::run(),
        Task::Mesh(options) => mesh::run(&options),
    }
}

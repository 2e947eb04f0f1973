//! How many instructions the core takes, and the native module with it, counted by callgrind: the same on each run of one binary, so
//! that a change shows however small it is. Fails above the limits in `bench/src/budget.rs`.

use std::process::{Command, ExitCode};

fn main() -> ExitCode {
    let runner = option_env!("GUNGRAUN_RUNNER").unwrap_or("gungraun-runner");
    for tool in [runner, "valgrind"] {
        if Command::new(tool).arg("--version").output().is_err() {
            eprintln!("error: cannot start {tool}; run `cargo xtask setup`, which installs it");
            return ExitCode::FAILURE;
        }
    }
    counted::run();
    ExitCode::SUCCESS
}

/// In a module, because gungraun writes a `main` of its own.
mod counted {
    #![expect(
        clippy::expect_used,
        reason = "without its subject there is nothing to count"
    )]

    use bench::dynamic::DynamicModule;
    use bench::scenarios::{
        self, BY_AUTHORITY, Core, EVERY_OPTION, EVERY_OPTION_WITHOUT_CEL, INBOUND, ONE_CACHED_PEER,
        OUTBOUND, STATS_ALONE, Scenario,
    };
    use bench::{budget, peers};
    use gungraun::prelude::*;
    use gungraun::{Callgrind, EventKind};
    use stats_core::config::{Config, ConfigError};
    use stats_core::label_set;
    use stats_core::registry::{Counter, DEFAULT_BOUNDS, Family, Histogram, Registry};

    /// Counts, and ends with success only where all limits hold.
    pub fn run() {
        main();
    }

    main!(library_benchmark_groups = core, native, metrics);

    library_benchmark_group!(name = core, benchmarks = [request, parse, expose]);

    library_benchmark_group!(name = native, benchmarks = [native_request]);

    library_benchmark_group!(name = metrics, benchmarks = [held, known, new, observed]);

    // What a benchmark returns is dropped uncounted.
    #[library_benchmark]
    #[bench::inbound(args = (INBOUND), setup = warm, config = at_most(budget::INBOUND_INSTRUCTIONS))]
    #[bench::outbound(args = (OUTBOUND), setup = warm, config = at_most(budget::OUTBOUND_INSTRUCTIONS))]
    #[bench::stats_alone(args = (STATS_ALONE), setup = warm, config = at_most(budget::STATS_ALONE_INSTRUCTIONS))]
    #[bench::every_option(args = (EVERY_OPTION), setup = warm, config = at_most(budget::EVERY_OPTION_INSTRUCTIONS))]
    #[bench::new_series(args = (), setup = before_new_series, config = at_most(budget::NEW_SERIES_INSTRUCTIONS))]
    #[bench::new_peer(args = (), setup = before_new_peer, config = at_most(budget::NEW_PEER_INSTRUCTIONS))]
    fn request(mut core: Box<Core>) -> Box<Core> {
        core.request();
        core
    }

    // The library as Envoy loads it, with all that it is called for from a request's beginning to its end.
    #[library_benchmark]
    #[bench::inbound(args = (INBOUND), setup = loaded, config = at_most(budget::NATIVE_INBOUND_INSTRUCTIONS))]
    #[bench::outbound(args = (OUTBOUND), setup = loaded, config = at_most(budget::NATIVE_OUTBOUND_INSTRUCTIONS))]
    #[bench::stats_alone(args = (STATS_ALONE), setup = loaded, config = at_most(budget::NATIVE_STATS_ALONE_INSTRUCTIONS))]
    #[bench::every_option(args = (EVERY_OPTION_WITHOUT_CEL), setup = loaded, config = at_most(budget::NATIVE_EVERY_OPTION_INSTRUCTIONS))]
    #[bench::new_series(args = (BY_AUTHORITY), setup = loaded_before_new_series, config = at_most(budget::NATIVE_NEW_SERIES_INSTRUCTIONS))]
    fn native_request(mut module: DynamicModule) -> DynamicModule {
        module.request();
        module
    }

    #[library_benchmark]
    #[bench::configuration(args = (scenarios::CONFIGURATION.to_owned()), config = at_most(budget::CONFIGURATION_INSTRUCTIONS))]
    #[bench::large_configuration(args = (scenarios::large_configuration()), config = at_most(budget::LARGE_CONFIGURATION_INSTRUCTIONS))]
    fn parse(json: String) -> (String, Result<(Config, Vec<String>), ConfigError>) {
        let parsed = Config::parse(json.as_bytes());
        (json, parsed)
    }

    #[library_benchmark]
    #[bench::page(args = (1_000), setup = page, config = at_most(budget::EXPOSITION_INSTRUCTIONS))]
    fn expose(registry: Registry) -> (Registry, String) {
        let text = registry.exposition();
        (registry, text)
    }

    /// How often each call of the metrics library is made.
    const CALLS: u16 = 1_000;

    label_set! {
        #[derive(Clone, Copy)]
        struct Route<'a> {
            path: &'a str,
            code: u16,
        }
    }

    type Routes = Family<Route<'static>, Counter>;

    /// A route for each number, and a family without series.
    fn routes() -> (Routes, Vec<String>) {
        let family = Routes::builder("http_requests_total", "").register(&Registry::new());
        let paths = (0..CALLS).map(|number| format!("/api/v1/items/{number}"));
        (family.expect("it is registered once"), paths.collect())
    }

    fn known_routes() -> (Routes, Vec<String>) {
        let (family, mut paths) = routes();
        paths.truncate(1);
        family.get_or_create(&route(&paths, 0));
        (family, paths)
    }

    fn route(paths: &[String], call: u16) -> Route<'_> {
        let path = &paths[usize::from(call) % paths.len()];
        Route { path, code: 200 }
    }

    #[library_benchmark]
    #[bench::handle(args = (Counter::default()), config = at_most(budget::HELD_HANDLE_INSTRUCTIONS))]
    fn held(counter: Counter) -> Counter {
        for _ in 0..CALLS {
            std::hint::black_box(&counter).inc();
        }
        counter
    }

    #[library_benchmark]
    #[bench::labels(args = (), setup = known_routes, config = at_most(budget::KNOWN_LABELS_INSTRUCTIONS))]
    fn known((family, paths): (Routes, Vec<String>)) -> (Routes, Vec<String>) {
        for call in 0..CALLS {
            family.with(std::hint::black_box(&route(&paths, call)), Counter::inc);
        }
        (family, paths)
    }

    #[library_benchmark]
    #[bench::labels(args = (), setup = routes, config = at_most(budget::NEW_LABELS_INSTRUCTIONS))]
    fn new((family, paths): (Routes, Vec<String>)) -> (Routes, Vec<String>) {
        for call in 0..CALLS {
            family.with(std::hint::black_box(&route(&paths, call)), Counter::inc);
        }
        (family, paths)
    }

    #[library_benchmark]
    #[bench::value(args = (Histogram::new(DEFAULT_BOUNDS)), config = at_most(budget::OBSERVE_INSTRUCTIONS))]
    fn observed(histogram: Histogram) -> Histogram {
        for call in 0..CALLS {
            histogram.observe(std::hint::black_box(f64::from(call) / 100.0));
        }
        histogram
    }

    fn at_most(instructions: u64) -> LibraryBenchmarkConfig {
        // Caches are the machine's, and not counted.
        let mut callgrind = Callgrind::with_args(["--cache-sim=no"]);
        callgrind.hard_limits([(EventKind::Ir, instructions)]);
        let mut config = LibraryBenchmarkConfig::default();
        config.tool(callgrind);
        config
    }

    fn warm(scenario: Scenario) -> Box<Core> {
        Box::new(scenario.in_core().expect("the scenario works"))
    }

    fn loaded(scenario: Scenario) -> DynamicModule {
        DynamicModule::start(&scenario).expect("the library can be loaded")
    }

    fn loaded_before_new_series(scenario: Scenario) -> DynamicModule {
        let mut module = loaded(scenario);
        module.proxy.set_authority(1);
        module
    }

    fn before_new_series() -> Box<Core> {
        let mut core = warm(BY_AUTHORITY);
        core.proxy.set_authority(1);
        core
    }

    fn before_new_peer() -> Box<Core> {
        let mut core = warm(ONE_CACHED_PEER);
        // The first time, a peer also makes new series.
        for peer in [1, 0] {
            core.proxy.set_peer(&peers::headers(peer));
            core.request();
        }
        core.proxy.set_peer(&peers::headers(1));
        core
    }

    fn page(series: u64) -> Registry {
        scenarios::registry(series).expect("the registry takes the series")
    }
}

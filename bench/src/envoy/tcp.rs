//! What the network filter costs a TCP connection: time of one with very much data, and CPU time of one
//! with very little.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::Instant;

use anyhow::{Result, ensure};
use harness::envoy_config::{
    WasmPlugin, cluster, lb_endpoint, socket_address, stats_config, tcp_proxy,
};
use harness::{Envoy, ProxyNode, SidecarDirection, install};
use serde_json::{Value, json};
use stats_core::labels::LABELS;
use stats_core::labels::metrics::TcpMetric;

use super::testbed::cpu_time;
use super::testbed::setup::options;
use super::variant::{BARE, COMBINED, NATIVE, native_value};
use crate::report::{Report, lower_quartile, median, progress, range};

/// Rounds; one more does not count.
const ROUNDS: usize = 60;
const BULK_MIB: u16 = 128;
const BULK_BYTES: usize = (BULK_MIB as usize) << 20;
const SHORT_CONNECTIONS: u32 = 100;
const SHORT_BYTES: usize = 100;

/// What is measured, in this order.
const VARIANTS: [&str; 3] = [BARE, COMBINED, NATIVE];

/// The part of a bare proxy's throughput that one with the module is to have.
const GOAL: f64 = 0.95;

/// Measures and reports.
///
/// # Errors
/// When the Envoy does not start, or a byte is lost.
pub async fn run(report: &mut Report) -> Result<()> {
    progress("tcp: some minutes");
    let server = server()?;
    let envoy = Envoy::start(&bootstrap(server)?, &options()).await?;
    let mut addresses = Vec::new();
    for name in VARIANTS {
        addresses.push(envoy.listener(name).await?);
    }
    let [mut throughput, mut bulk_cpu, mut short_cpu] = [(); 3].map(|()| VARIANTS.map(|_| vec![]));
    for round in 0..=ROUNDS {
        for turn in 0..VARIANTS.len() {
            // Each is the first of a round as often as the others.
            let at = (turn + round) % VARIANTS.len();
            let before = cpu_time(envoy.pid())?;
            let began = Instant::now();
            exchange(addresses[at], BULK_BYTES)?;
            let bulk = began.elapsed().as_secs_f64();
            let between = cpu_time(envoy.pid())?;
            for _ in 0..SHORT_CONNECTIONS {
                exchange(addresses[at], SHORT_BYTES)?;
            }
            let short = cpu_time(envoy.pid())?.saturating_sub(between);
            if round > 0 {
                throughput[at].push(f64::from(BULK_MIB) / bulk);
                bulk_cpu[at].push(between.saturating_sub(before).as_secs_f64());
                short_cpu[at].push(short.as_secs_f64() * 1e6 / f64::from(SHORT_CONNECTIONS));
            }
        }
    }
    add(report, &throughput, &bulk_cpu, &short_cpu);
    Ok(())
}

type Figures = [Vec<f64>; VARIANTS.len()];

fn add(report: &mut Report, throughput: &Figures, bulk_cpu: &Figures, short_cpu: &Figures) {
    report.heading("TCP");
    report.text(&format!(
        "One connection of {BULK_MIB} MiB from the client, and {SHORT_CONNECTIONS} one after the other of {SHORT_BYTES} bytes, in \
         {ROUNDS} rounds in turns. `{NATIVE}` has the four metrics of TCP with 23 labels in the TCP proxy's access log. \
         Ratios are to the bare TCP proxy in the same round: median, and range. CPU time of a short connection is without the \
         bare proxy's, lower quartiles."
    ));
    let relative = |figures: &Figures, at: usize| -> Vec<f64> {
        let pairs = figures[at].iter().zip(&figures[0]);
        pairs.map(|(with, bare)| with / bare).collect()
    };
    let with_range = |ratios: &[f64]| format!("{:.3} ({})", median(ratios), range(ratios));
    let bare = lower_quartile(&short_cpu[0]);
    let rows: Vec<Vec<String>> = VARIANTS
        .iter()
        .enumerate()
        .map(|(at, name)| {
            let connection = lower_quartile(&short_cpu[at]);
            vec![
                (*name).to_owned(),
                format!("{:.0} MiB/s", median(&throughput[at])),
                with_range(&relative(throughput, at)),
                with_range(&relative(bulk_cpu, at)),
                match at {
                    0 => format!("{connection:.1} (whole)"),
                    _ => format!("{:.1}", connection - bare),
                },
            ]
        })
        .collect();
    let header = [
        "",
        "throughput",
        "throughput, ratio",
        "CPU of the stream, ratio",
        "µs per short connection",
    ];
    report.table(&header, &rows);
    let ratio = median(&relative(throughput, 1));
    let verdict = if ratio >= GOAL { "kept" } else { "missed" };
    report.text(&format!(
        "Goal: the throughput of a stream is at least {GOAL} of the bare TCP proxy's: {verdict}, {ratio:.3}."
    ));
}

/// One connection, through which that many bytes go before it is closed from both sides.
fn exchange(to: SocketAddr, bytes: usize) -> Result<()> {
    let mut stream = TcpStream::connect(to)?;
    let piece = vec![7; bytes.min(64 * 1024)];
    let mut rest = bytes;
    while rest > 0 {
        let some = piece.get(..rest.min(piece.len())).unwrap_or(&piece);
        stream.write_all(some)?;
        rest -= some.len();
    }
    stream.shutdown(Shutdown::Write)?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    ensure!(answer == bytes.to_string(), "{answer} of {bytes} bytes");
    Ok(())
}

/// A server that answers with how many bytes it has read. It lasts as long as the process.
fn server() -> Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let address = listener.local_addr()?;
    thread::spawn(move || {
        let mut buffer = vec![0; 256 * 1024];
        for mut stream in listener.incoming().flatten() {
            let mut bytes = 0;
            while let Ok(some @ 1..) = stream.read(&mut buffer) {
                bytes += some;
            }
            // A client that is gone notices by itself.
            let _ = write!(stream, "{bytes}");
        }
    });
    Ok(address)
}

fn bootstrap(server: SocketAddr) -> Result<Value> {
    let module = install::module()?;
    let plugin = WasmPlugin::new("bench.tcp", "", &module, r#"{"direction": "inbound"}"#);
    let local = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let listener = |name: &str| {
        let mut proxy = tcp_proxy("bench", "server");
        let mut filters = Vec::new();
        match name {
            COMBINED => filters.push(plugin.network_filter()),
            NATIVE => proxy["typed_config"]["access_log"] = json!([native_logger()]),
            _ => {}
        }
        filters.push(proxy);
        json!({
            "name": name,
            "address": socket_address(local),
            "traffic_direction": "INBOUND",
            "filter_chains": [{ "filters": filters }],
        })
    };
    let endpoint = lb_endpoint(&socket_address(server));
    Ok(json!({
        "node": ProxyNode::podinfo().to_json(),
        "stats_config": stats_config(&[]),
        "static_resources": {
            "listeners": VARIANTS.map(listener),
            "clusters": [cluster("server", &[endpoint])],
        },
    }))
}

/// Envoy's own logger with the four metrics of TCP, at the end of a connection.
fn native_logger() -> Value {
    let labels = LABELS.get(..TcpMetric::LABELS).unwrap_or_default();
    let value = |label: &str| match label {
        "request_protocol" => "tcp",
        "destination_service" => "podinfo",
        label => native_value(SidecarDirection::Inbound, label),
    };
    let tag = |label: &&str| json!({ "name": label, "value_format": value(label) });
    let tags: Vec<Value> = labels.iter().map(tag).collect();
    let counters = TcpMetric::ALL.map(|metric| {
        let mut counter = json!({ "stat": { "name": metric.name(), "tags": tags } });
        match metric {
            TcpMetric::SentBytesTotal => counter["value_format"] = "%BYTES_SENT%".into(),
            TcpMetric::ReceivedBytesTotal => counter["value_format"] = "%BYTES_RECEIVED%".into(),
            TcpMetric::ConnectionsOpenedTotal | TcpMetric::ConnectionsClosedTotal => {
                counter["value_fixed"] = 1.into();
            }
        }
        counter
    });
    json!({
        "name": "envoy.access_loggers.stats",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.access_loggers.stats.v3.Config",
            "stat_prefix": "native",
            "counters": counters,
        },
    })
}

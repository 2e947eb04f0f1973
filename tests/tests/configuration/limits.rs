//! `max_series` and `max_peer_cache_size`, `disable_host_header_fallback`: the bounds on what a client can cause.

use harness::client::AUTHORITY;
use harness::{Client, Sidecar, SidecarBuilder, eventually};
use serde_json::json;

use crate::expected::{assert_counted, inbound, outbound};
use crate::fixture::{self, REQUESTS, client, get, sum, to_host};
use crate::peer;

#[tokio::test]
async fn requests_beyond_the_most_series_are_counted_in_one_more() {
    let (_app, sidecar) = fixture::inbound(json!({ "max_series": 3 }), &[]).await;
    let mut client = client(&sidecar).await;

    for _ in 0..2 {
        for code in 400..420 {
            client.get(&format!("/status/{code}")).await.unwrap();
        }
    }

    let page = sidecar.page_after(40).await.unwrap();
    for code in 400..420 {
        let code = code.to_string();
        let service = if *code < *"403" {
            "podinfo.test.svc.cluster.local"
        } else {
            "overflow"
        };
        let labels = [
            ("response_code", &*code),
            ("destination_service", service),
            ("destination_workload", "podinfo"),
            ("reporter", "destination"),
        ];
        assert_eq!(sum(&page, REQUESTS, &labels), "2", "{code}");
    }
    assert_eq!(page.series(REQUESTS).len(), 20);
}

/// A client uses the label sets up with hosts; then a caller that was known before fails.
#[tokio::test]
async fn a_503_of_a_known_caller_is_a_503_although_a_client_forged_hosts() {
    let sidecar = SidecarBuilder::inbound().without_service();
    let (_app, sidecar) = fixture::start(sidecar, json!({ "max_series": 10 }), &[]).await;
    let mut client = client(&sidecar).await;
    let cart = |path: &str| {
        let mut request = peer::request_of("cart", peer::workload("shop", "cart"));
        *request.uri_mut() = format!("http://{AUTHORITY}{path}").parse().unwrap();
        request
    };

    client.send(cart("/version")).await.unwrap();
    for host in 0..50 {
        let host = format!("host-{host}.example");
        client.send(to_host(&host)).await.unwrap();
    }
    for _ in 0..50 {
        client.send(cart("/status/503")).await.unwrap();
    }

    let page = sidecar.page_after(101).await.unwrap();
    let failed = [
        ("response_code", "503"),
        ("destination_workload", "podinfo"),
    ];
    assert_eq!(sum(&page, REQUESTS, &failed), "50");
    assert_eq!(sum(&page, REQUESTS, &[("response_code", "200")]), "51");
    assert_eq!(page.series(REQUESTS).len(), 12);
}

#[tokio::test]
async fn what_is_dropped_takes_no_room_and_is_dropped_beyond_the_limit_too() {
    let config = json!({
        "max_series": 10,
        "metrics": [
            { "dimensions": { "path": "request.path" } },
            { "drop": true, "match": "request.path.startsWith('/internal')" },
        ],
    });
    let (_app, sidecar) = fixture::inbound(config, &["path"]).await;
    let mut client = client(&sidecar).await;

    for id in 0..110 {
        client.get(&format!("/internal/{id}")).await.unwrap();
    }
    for id in 0..30 {
        client.get(&format!("/shown/{id}")).await.unwrap();
        client.get(&format!("/internal/again/{id}")).await.unwrap();
    }

    let page = sidecar.page_after(30).await.unwrap();
    assert_eq!(sum(&page, REQUESTS, &[]), "30");
    for id in 0..10 {
        let path = format!("/shown/{id}");
        assert_eq!(sum(&page, REQUESTS, &[("path", &path)]), "1", "{path}");
    }
    assert_eq!(sum(&page, REQUESTS, &[("path", "overflow")]), "20");
}

#[tokio::test]
async fn a_custom_label_without_bounds_has_the_same_bound() {
    let config = json!({
        "max_series": 5,
        "metrics": [{ "dimensions": { "path": "request.path" } }],
    });
    let (_app, sidecar) = fixture::inbound(config, &["path"]).await;
    let mut client = client(&sidecar).await;

    for id in 0..50 {
        client.get(&format!("/{id}")).await.unwrap();
    }

    let page = sidecar.page_after(50).await.unwrap();
    assert!(
        page.series(REQUESTS).len() <= 6,
        "{}",
        page.series(REQUESTS).len()
    );
    assert_eq!(sum(&page, REQUESTS, &[]), "50");
    assert_eq!(sum(&page, REQUESTS, &[("path", "/0")]), "1");
    assert_eq!(sum(&page, REQUESTS, &[("path", "overflow")]), "45");
}

#[tokio::test]
async fn the_limit_is_one_for_all_workers_and_configurations() {
    const LIMIT: usize = 150;
    let config = |number: usize| {
        json!({
            "max_series": LIMIT,
            "max_peer_cache_size": number,
            "new_series_cpu_percent": 100,
        })
    };
    let (_app, sidecar) = SidecarBuilder::inbound()
        .without_service()
        .concurrency(2)
        .plugin_config(config(1))
        .discovered_plugin_config()
        .start_with_app()
        .await
        .unwrap();
    let mut clients = Vec::new();
    for _ in 0..4 {
        clients.push(client(&sidecar).await);
    }

    let mut sent = 0;
    for number in 1..=4 {
        if number > 1 {
            sidecar.reconfigure(config(number)).unwrap();
        }
        reloaded(&sidecar, number).await;
        for host in 0..80 {
            for client in &mut clients {
                let host = format!("host-{number}-{host}.example");
                client.send(to_host(&host)).await.unwrap();
                sent += 1;
            }
        }
    }

    let page = sidecar.page_after(sent).await.unwrap();
    assert_eq!(sum(&page, REQUESTS, &[]), sent.to_string());
    let overflow = page.sum(REQUESTS, &[("destination_service", "overflow")]);
    assert!(overflow > 0.0);
    // One for the overflow; and what two workers met at once counts twice.
    let series = page.series(REQUESTS).len();
    assert!((LIMIT - 10..=LIMIT + 1).contains(&series), "{series}");
}

/// Waits until Envoy has taken that many configurations of the module.
async fn reloaded(sidecar: &Sidecar, times: usize) {
    eventually("the configuration is in use", async || {
        let stats = sidecar
            .envoy
            .admin_get("/stats?filter=config_reload$")
            .await?;
        let stats = stats.text();
        let counts = stats.lines().filter_map(|line| line.rsplit(": ").next());
        let reloads: usize = counts.filter_map(|count| count.parse::<usize>().ok()).sum();
        Ok((reloads >= times).then_some(()))
    })
    .await
    .unwrap();
}

/// A client that asks for more hosts than there may be label sets, and two scrapes.
#[tokio::test]
async fn at_the_default_limit_the_page_and_the_memory_are_bounded() {
    const MAX_PAGE_BYTES: usize = 60_000_000;
    const MAX_GROWTH_BYTES: usize = 100_000_000;
    let sidecar = SidecarBuilder::inbound().without_service();
    let (_app, sidecar) =
        fixture::start(sidecar, json!({ "new_series_cpu_percent": 100 }), &[]).await;
    let mut client = client(&sidecar).await;
    client.get("/version").await.unwrap();
    sidecar.page_after(1).await.unwrap();
    let before = resident_bytes(&sidecar);

    for host in 0..1_200 {
        let host = format!("host-{host}.example");
        client.send(to_host(&host)).await.unwrap();
    }

    let page = sidecar.page_after(1_201).await.unwrap();
    assert_eq!(page.series(REQUESTS).len(), 1_001);
    assert_eq!(
        sum(&page, REQUESTS, &[("destination_service", "overflow")]),
        "201"
    );
    let mut scraper = Client::http1(sidecar.metrics).await.unwrap();
    for _ in 0..2 {
        let page = scraper.get("/stats/prometheus").await.unwrap().body.len();
        assert!(page <= MAX_PAGE_BYTES, "{page} bytes");
    }
    let growth = resident_bytes(&sidecar) - before;
    assert!(growth <= MAX_GROWTH_BYTES, "{growth} bytes");
}

/// The memory that Envoy has.
fn resident_bytes(sidecar: &Sidecar) -> usize {
    let status = format!("/proc/{}/status", sidecar.envoy.pid());
    let status = std::fs::read_to_string(status).unwrap();
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = resident.unwrap().trim().trim_end_matches(" kB");
    kilobytes.parse::<usize>().unwrap() * 1024
}

#[tokio::test]
async fn peers_are_known_also_without_a_cache_and_with_a_small_one() {
    for size in [0, 1] {
        let config = json!({ "max_peer_cache_size": size });
        let (_app, sidecar) = fixture::inbound(config, &[]).await;
        let mut client = client(&sidecar).await;

        for name in ["cart", "ledger", "cart", "ledger"] {
            let request = peer::request_of(name, peer::workload("shop", name));
            client.send(request).await.unwrap();
        }

        let expected = ["cart", "ledger"].map(|name| (inbound(&peer::source("shop", name)), 2));
        assert_counted(&sidecar.page_after(4).await.unwrap(), &expected);
    }
}

#[tokio::test]
async fn without_the_fallback_a_host_header_names_no_service() {
    let config = json!({ "disable_host_header_fallback": true });
    let unnamed = [("destination_service_namespace", "unknown")];
    let host = [
        ("destination_service", "unknown"),
        ("destination_service_name", "unknown"),
    ];
    let local = [
        ("destination_service", "podinfo"),
        ("destination_service_name", "podinfo"),
    ];
    for (sidecar, expected) in [
        (SidecarBuilder::inbound(), inbound(&local)),
        (
            SidecarBuilder::outbound(),
            outbound(&[unnamed.as_slice(), &host].concat()),
        ),
    ] {
        let sidecar = sidecar.without_service();
        let (_app, sidecar) = fixture::start(sidecar, config.clone(), &[]).await;

        get(&sidecar, "/version").await;

        assert_counted(&sidecar.page_after(1).await.unwrap(), &[(expected, 1)]);
    }
}

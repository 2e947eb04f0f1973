//! Each request is counted once, with all its labels, however it is completed.

use bytes::Bytes;
use harness::client::request;
use harness::{Client, Mesh, Roles, Sidecar, SidecarBuilder, Upstream, eventually};
use http_body_util::Full;
use hyper::header::CONTENT_TYPE;
use hyper::{Method, Request};

use crate::expected::{assert_counted, inbound, outbound};
use crate::peer::{self, ID};

#[tokio::test]
async fn a_request_without_a_peer_is_counted_once() {
    let (_app, sidecar) = SidecarBuilder::inbound().start_with_app().await.unwrap();

    client(&sidecar).await.get("/version").await.unwrap();

    assert_counted(&sidecar.page_after(1).await.unwrap(), &[(inbound(&[]), 1)]);
}

#[tokio::test]
async fn a_server_without_a_sidecar_is_an_unknown_destination() {
    let (_app, sidecar) = SidecarBuilder::outbound().start_with_app().await.unwrap();

    client(&sidecar).await.get("/version").await.unwrap();

    assert_counted(&sidecar.page_after(1).await.unwrap(), &[(outbound(&[]), 1)]);
}

#[tokio::test]
async fn each_status_is_a_series_of_its_own() {
    let (_app, sidecar) = SidecarBuilder::inbound().start_with_app().await.unwrap();
    let mut client = client(&sidecar).await;

    for path in ["/status/503", "/status/404", "/status/503", "/status/204"] {
        client.get(path).await.unwrap();
    }

    let status = |code| inbound(&[("response_code", code)]);
    let expected = [(status("204"), 1), (status("404"), 1), (status("503"), 2)];
    assert_counted(&sidecar.page_after(4).await.unwrap(), &expected);
}

#[tokio::test]
async fn a_request_that_is_logged_while_it_is_open_is_counted_once_at_its_end() {
    for roles in [Roles::Combined, Roles::Logger] {
        let sidecar = SidecarBuilder::inbound()
            .roles(roles)
            .access_log("%ACCESS_LOG_TYPE%")
            .logs_open_requests();
        let (_app, sidecar) = sidecar.start_with_app().await.unwrap();
        let mut from_cart = peer::request_of("cart-1", peer::workload("shop", "cart"));
        *from_cart.uri_mut() = "http://podinfo:9898/delay/300".parse().unwrap();

        let response = client(&sidecar).await.send(from_cart).await.unwrap();

        assert!(response.headers.contains_key(ID), "the exchange went on");
        let of_cart = inbound(&peer::source("shop", "cart"));
        assert_counted(&sidecar.page_after(1).await.unwrap(), &[(of_cart, 1)]);
        let logged = eventually("the request's end is logged", async || {
            let logged = sidecar.access_log()?;
            let finished = logged.iter().any(|line| line == "DownstreamEnd");
            Ok(finished.then_some(logged))
        });
        let logged = logged.await.unwrap();
        for kind in ["DownstreamStart", "DownstreamPeriodic"] {
            assert!(logged.iter().any(|line| line == kind), "{logged:?}");
        }
    }
}

#[tokio::test]
async fn without_a_service_in_the_clusters_metadata_the_host_is_the_service() {
    let sidecar = SidecarBuilder::inbound().without_service();
    let (_app, sidecar) = sidecar.start_with_app().await.unwrap();

    client(&sidecar).await.get("/version").await.unwrap();

    let named = inbound(&[
        ("destination_service", "podinfo:9898"),
        ("destination_service_name", "podinfo:9898"),
    ]);
    assert_counted(&sidecar.page_after(1).await.unwrap(), &[(named, 1)]);
}

#[tokio::test]
async fn a_missing_route_is_counted_once_as_nr() {
    let sidecar = SidecarBuilder::outbound().start().await.unwrap();

    let answer = client(&sidecar)
        .await
        .send(to_host("elsewhere.example"))
        .await
        .unwrap();

    assert_eq!(answer.status, 404);
    let no_route = outbound(&[
        ("destination_service", "elsewhere.example"),
        ("destination_service_name", "elsewhere.example"),
        ("destination_service_namespace", "unknown"),
        ("response_flags", "NR"),
        ("response_code", "404"),
    ]);
    assert_counted(&sidecar.page_after(1).await.unwrap(), &[(no_route, 1)]);
}

#[tokio::test]
async fn an_upstream_that_refuses_is_counted_once_as_uf() {
    assert_unavailable(Upstream::Refusing, "UF").await;
}

#[tokio::test]
async fn a_service_without_hosts_is_counted_once_as_uh() {
    assert_unavailable(Upstream::NoEndpoint, "UH").await;
}

/// Asserts that in both directions a request to that upstream is answered with 503 and counted once, with that flag.
async fn assert_unavailable(upstream: Upstream, flag: &str) {
    let failed = [("response_flags", flag), ("response_code", "503")];
    for (sidecar, labels) in [
        (SidecarBuilder::outbound(), outbound(&failed)),
        (SidecarBuilder::inbound(), inbound(&failed)),
    ] {
        let sidecar = sidecar.upstream(upstream).start().await.unwrap();

        let answer = client(&sidecar).await.get("/version").await.unwrap();

        assert_eq!(answer.status, 503);
        assert_counted(&sidecar.page_after(1).await.unwrap(), &[(labels, 1)]);
    }
}

#[tokio::test]
async fn a_failure_behind_the_servers_sidecar_carries_the_flag_only_there() {
    let mesh = Mesh::builder()
        .inbound(|sidecar| sidecar.upstream(Upstream::Refusing))
        .start()
        .await
        .unwrap();

    assert_eq!(mesh.get("/version").await.unwrap().status, 503);

    let inbound = mesh.inbound.page_after(1).await.unwrap();
    let outbound = mesh.outbound.page_after(1).await.unwrap();
    for (page, flags) in [(inbound, "UF"), (outbound, "-")] {
        let series = page.series("istio_requests_total");
        assert_eq!(series.len(), 1);
        assert!(
            series[0].has(&[("response_flags", flags), ("response_code", "503")]),
            "{series:?}"
        );
        // The sidecar injects its metadata also into a response of its own.
        assert_eq!(
            series[0].label("destination_workload"),
            Some("podinfo"),
            "{series:?}"
        );
    }
}

#[tokio::test]
async fn a_request_that_the_client_gives_up_is_counted_once_as_dc_on_both_sides() {
    for roles in [Roles::Combined, Roles::Logger] {
        let mesh = Mesh::builder()
            .mtls(false)
            .both(|sidecar| sidecar.roles(roles))
            .start()
            .await
            .unwrap();
        let mut client = mesh.client().await.unwrap();

        let call = tokio::spawn(async move { client.get("/hang").await });
        mesh.app.reached("/hang").await.unwrap();
        call.abort();

        let gone = [("response_flags", "DC"), ("response_code", "0")];
        let podinfo = [
            ("source_workload", "podinfo"),
            ("source_workload_namespace", "test"),
        ];
        let inbound_page = mesh.inbound.page_after(1).await.unwrap();
        let series = inbound_page.series("istio_requests_total");
        assert_eq!(series.len(), 1);
        assert!(
            series[0].has(&gone) && series[0].has(&podinfo),
            "{series:?}"
        );
        // Without a response there is no metadata of the other side.
        assert_counted(
            &mesh.outbound.page_after(1).await.unwrap(),
            &[(outbound(&gone), 1)],
        );
    }
}

#[tokio::test]
async fn a_grpc_call_is_counted_once_with_the_status_of_its_trailers_or_headers() {
    let mesh = Mesh::builder().start().await.unwrap();
    let mut client = Client::http2(mesh.outbound.traffic).await.unwrap();

    let trailers = ["0", "5", "14"].map(|status| (format!("/grpc/trailers/{status}"), status));
    let headers = ["7", "13"].map(|status| (format!("/grpc/headers/{status}"), status));
    let statuses: Vec<_> = trailers.into_iter().chain(headers).collect();
    for (path, _) in &statuses {
        client.send(grpc(path, "application/grpc")).await.unwrap();
    }

    for (sidecar, reporter) in [(&mesh.inbound, "destination"), (&mesh.outbound, "source")] {
        let page = sidecar.page_after(5).await.unwrap();
        assert_eq!(page.series("istio_requests_total").len(), 5, "{reporter}");
        for (path, status) in &statuses {
            let call = [
                ("reporter", reporter),
                ("request_protocol", "grpc"),
                ("grpc_response_status", status),
                ("response_code", "200"),
                ("response_flags", "-"),
                ("destination_workload", "podinfo"),
            ];
            assert_eq!(
                page.sum("istio_requests_total", &call).to_string(),
                "1",
                "{path} at {reporter}"
            );
        }
    }
}

#[tokio::test]
async fn only_grpcs_own_content_types_are_grpc() {
    let (_app, sidecar) = SidecarBuilder::inbound().start_with_app().await.unwrap();
    let mut client = Client::http2(sidecar.traffic).await.unwrap();

    for content_type in ["application/grpc", "application/grpc+proto"] {
        client
            .send(grpc("/grpc/trailers/0", content_type))
            .await
            .unwrap();
    }
    for content_type in [
        "application/grpc-web",
        "application/grpcx",
        "application/json",
    ] {
        client
            .send(grpc("/grpc/trailers/0", content_type))
            .await
            .unwrap();
    }

    let expected = [
        (
            inbound(&[("request_protocol", "grpc"), ("grpc_response_status", "0")]),
            2,
        ),
        (inbound(&[]), 3),
    ];
    assert_counted(&sidecar.page_after(5).await.unwrap(), &expected);
}

/// As Envoy's own gRPC statistics and Istio's native filter have it: 200 without a status is 2, UNKNOWN.
#[tokio::test]
async fn a_grpc_call_that_was_not_answered_in_grpc_is_counted_once_with_the_status_of_its_code() {
    let (_app, sidecar) = SidecarBuilder::inbound().start_with_app().await.unwrap();

    let mut client = Client::http2(sidecar.traffic).await.unwrap();
    client
        .send(grpc("/version", "application/grpc"))
        .await
        .unwrap();

    let unknown = inbound(&[("request_protocol", "grpc"), ("grpc_response_status", "2")]);
    assert_counted(&sidecar.page_after(1).await.unwrap(), &[(unknown, 1)]);
}

#[tokio::test]
async fn a_grpc_call_that_the_client_cancels_is_counted_once_without_a_status() {
    let (app, sidecar) = SidecarBuilder::inbound().start_with_app().await.unwrap();
    let mut client = Client::http2(sidecar.traffic).await.unwrap();

    // The connection stays: only the stream is reset.
    tokio::select! {
        answer = client.send(grpc("/hang", "application/grpc")) => panic!("{answer:?}"),
        arrived = app.reached("/hang") => drop(arrived.unwrap()),
    }

    let gone = inbound(&[
        ("request_protocol", "grpc"),
        ("response_flags", "DR"),
        ("response_code", "0"),
        ("grpc_response_status", ""),
    ]);
    assert_counted(&sidecar.page_after(1).await.unwrap(), &[(gone, 1)]);
}

#[tokio::test]
async fn a_grpc_call_to_a_dead_upstream_is_counted_once_with_envoys_own_status() {
    let sidecar = SidecarBuilder::outbound()
        .upstream(Upstream::Refusing)
        .start()
        .await
        .unwrap();

    let mut client = Client::http2(sidecar.traffic).await.unwrap();
    client
        .send(grpc("/version", "application/grpc"))
        .await
        .unwrap();

    let unavailable = outbound(&[
        ("request_protocol", "grpc"),
        ("response_flags", "UF"),
        ("response_code", "200"),
        ("grpc_response_status", "14"),
    ]);
    assert_counted(&sidecar.page_after(1).await.unwrap(), &[(unavailable, 1)]);
}

async fn client(sidecar: &Sidecar) -> Client {
    Client::http1(sidecar.traffic).await.unwrap()
}

fn to_host(host: &str) -> Request<Full<Bytes>> {
    Request::get(format!("http://{host}/version"))
        .body(Full::default())
        .unwrap()
}

fn grpc(path: &str, content_type: &str) -> Request<Full<Bytes>> {
    let mut call = request(Method::POST, path).unwrap();
    call.headers_mut()
        .insert(CONTENT_TYPE, content_type.parse().unwrap());
    call
}

//! One filter or two, or an access logger: the same series.

use harness::client::request;
use harness::{Client, Mesh, Page, Roles};
use hyper::Method;
use hyper::header::CONTENT_TYPE;

use crate::expected::{Counted, counted};

#[tokio::test]
async fn two_filters_make_the_same_series_as_one() {
    let one = counts_of(Roles::Combined).await;
    let two = counts_of(Roles::Split).await;

    assert_eq!(one.len(), 6);
    assert_eq!(two, one);
}

#[tokio::test]
async fn an_access_logger_makes_the_same_series_as_a_filter() {
    let filter = counts_of(Roles::Combined).await;
    let logger = counts_of(Roles::Logger).await;

    assert_eq!(logger, filter);
}

/// The requests of either side after some of each kind.
async fn counts_of(roles: Roles) -> Vec<Counted> {
    let mesh = Mesh::builder()
        .both(|sidecar| sidecar.roles(roles))
        .start()
        .await
        .unwrap();

    for path in ["/version", "/version", "/status/503"] {
        let response = mesh.get(path).await.unwrap();
        assert!(
            !response.headers.contains_key("x-envoy-peer-metadata"),
            "{roles:?}"
        );
    }
    let mut client = Client::http2(mesh.outbound.traffic).await.unwrap();
    let mut call = request(Method::POST, "/grpc/trailers/5").unwrap();
    call.headers_mut()
        .insert(CONTENT_TYPE, "application/grpc".parse().unwrap());
    client.send(call).await.unwrap();
    for request in mesh.app.requests() {
        assert!(
            !request.headers.contains_key("x-envoy-peer-metadata"),
            "{roles:?}"
        );
    }

    let mut counts = counts(&mesh.inbound.page_after(4).await.unwrap());
    counts.extend(self::counts(&mesh.outbound.page_after(4).await.unwrap()));
    counts
}

fn counts(page: &Page) -> Vec<Counted> {
    let mut counts = counted(page, "istio_requests_total");
    counts.sort();
    counts
}

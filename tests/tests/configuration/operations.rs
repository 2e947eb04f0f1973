//! `request_operations`: a bounded label from methods and paths.

use harness::client::request;
use hyper::Method;
use serde_json::{Value, json};

use crate::fixture::{self, REQUESTS, client, sum};

const LABEL: &str = "request_operation";

#[tokio::test]
async fn the_first_template_that_fits_names_the_operation() {
    let (_app, sidecar) = fixture::inbound(templates(), &[LABEL]).await;
    let mut client = client(&sidecar).await;

    let requests = [
        (Method::GET, "/reviews/top"),
        (Method::GET, "/reviews/7"),
        (Method::GET, "/reviews/8?page=2"),
        (Method::PUT, "/reviews/7"),
        (Method::GET, "/static/a/b.css"),
        (Method::POST, "/static/c"),
        (Method::GET, "/"),
        (Method::GET, "/reviews/7/comments"),
        (Method::GET, "/reviews"),
    ];
    for (method, path) in requests.clone() {
        client.send(request(method, path).unwrap()).await.unwrap();
    }

    let page = sidecar.page_after(9).await.unwrap();
    for (operation, count) in [
        ("GET /reviews/top", "1"),
        ("GET /reviews/{id}", "2"),
        ("/static/**", "2"),
        ("unknown", "4"),
    ] {
        assert_eq!(
            sum(&page, REQUESTS, &[(LABEL, operation)]),
            count,
            "{operation}"
        );
    }
    assert_eq!(sum(&page, REQUESTS, &[]), requests.len().to_string());
}

#[tokio::test]
async fn any_number_of_paths_are_as_many_series_as_templates() {
    let (_app, sidecar) = fixture::inbound(templates(), &[LABEL]).await;
    let mut client = client(&sidecar).await;

    for id in 0..200 {
        for path in ["reviews", "static", "nothing"] {
            client.get(&format!("/{path}/{id}")).await.unwrap();
        }
    }

    let page = sidecar.page_after(600).await.unwrap();
    assert_eq!(page.series(REQUESTS).len(), 3);
    for operation in ["GET /reviews/{id}", "/static/**", "unknown"] {
        assert_eq!(
            sum(&page, REQUESTS, &[(LABEL, operation)]),
            "200",
            "{operation}"
        );
    }
}

#[tokio::test]
async fn a_request_that_envoy_answers_itself_has_its_operation_too() {
    let sidecar = harness::SidecarBuilder::outbound()
        .plugin_config(templates())
        .labels(&[LABEL])
        .upstream(harness::Upstream::Refusing)
        .start()
        .await
        .unwrap();

    fixture::get(&sidecar, "/reviews/7").await;

    let page = sidecar.page_after(1).await.unwrap();
    let labels = [(LABEL, "GET /reviews/{id}"), ("response_flags", "UF")];
    assert_eq!(sum(&page, REQUESTS, &labels), "1");
}

fn templates() -> Value {
    json!({ "request_operations": ["GET /reviews/top", "GET /reviews/{id}", "/static/**"] })
}

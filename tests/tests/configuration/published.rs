//! The peer that the exchange received, published as filter state for other parts of Envoy; and additional labels, which
//! are part of it.

use harness::client::request;
use harness::{Mesh, ProxyNode, Roles, SidecarBuilder};
use hyper::Method;
use serde_json::{Value, json};

use crate::fixture::{self, REQUESTS, access_log, client, get, only};
use crate::peer::{self, METADATA};

/// The source workload in an access log.
const CALLER: &str = "%CEL(filter_state['wasm.downstream_peer'].workload)% \
    %CEL(filter_state['wasm.downstream_peer'].namespace)%";

#[tokio::test]
async fn an_access_log_names_the_caller() {
    let config = json!({ "publish_peer": true });
    let sidecar = SidecarBuilder::inbound().access_log(CALLER);
    let (_app, sidecar) = fixture::start(sidecar, config, &[]).await;
    let mut client = client(&sidecar).await;

    let cart = peer::request_of("cart-1", peer::workload("shop", "cart"));
    client.send(cart).await.unwrap();
    client.get("/version").await.unwrap();

    assert_eq!(access_log(&sidecar, 2).await, ["cart shop", "- -"]);
}

#[tokio::test]
async fn an_access_log_names_the_called() {
    let called = "%CEL(filter_state['wasm.upstream_peer'].workload)% \
        %CEL(filter_state['wasm.upstream_peer'].type)%";
    let mesh = Mesh::builder().outbound(|sidecar| {
        sidecar
            .plugin_config(json!({ "publish_peer": true }))
            .access_log(called)
    });
    let mesh = mesh.start().await.unwrap();

    mesh.get("/version").await.unwrap();

    assert_eq!(access_log(&mesh.outbound, 1).await, ["podinfo deployment"]);
}

#[tokio::test]
async fn one_filter_publishes_only_when_asked_to_and_an_exchange_of_its_own_always() {
    for (roles, line) in [(Roles::Combined, "- -"), (Roles::Split, "cart shop")] {
        let sidecar = SidecarBuilder::inbound().roles(roles).access_log(CALLER);
        let (_app, sidecar) = fixture::start(sidecar, json!({}), &[]).await;

        let cart = peer::request_of("cart-1", peer::workload("shop", "cart"));
        client(&sidecar).await.send(cart).await.unwrap();

        assert_eq!(access_log(&sidecar, 1).await, [line], "{roles:?}");
    }
}

#[tokio::test]
async fn another_filter_decides_by_the_caller() {
    let config = json!({ "publish_peer": true });
    let sidecar = SidecarBuilder::inbound().http_filter_behind(deny("mallory"));
    let (app, sidecar) = fixture::start(sidecar, config, &[]).await;
    let mut client = client(&sidecar).await;

    for (name, status) in [("cart", 200), ("mallory", 403), ("ledger", 200)] {
        let request = peer::request_of(name, peer::workload("shop", name));
        assert_eq!(client.send(request).await.unwrap().status, status, "{name}");
    }
    assert_eq!(client.get("/version").await.unwrap().status, 200);

    assert_eq!(app.requests().len(), 3);
}

#[tokio::test]
async fn an_additional_label_travels_from_sidecar_to_sidecar() {
    let config = json!({
        "additional_labels": ["team", "example.com/tier", "absent"],
        "publish_peer": true,
        "metrics": [{ "dimensions": {
            "source_team": "filter_state['wasm.downstream_peer'].labels.team",
            "source_tier": "filter_state['wasm.downstream_peer'].labels['example.com/tier']",
        } }],
    });
    let mesh = Mesh::builder()
        .outbound(|sidecar| {
            let node = ProxyNode::podinfo()
                .label("team", "checkout")
                .label("example.com/tier", "gold")
                .label("secret", "not for peers");
            sidecar.node(node)
        })
        .both(|sidecar| {
            sidecar
                .plugin_config(&config)
                .labels(&["source_team", "source_tier"])
        })
        .start()
        .await
        .unwrap();

    mesh.get("/version").await.unwrap();

    let page = mesh.inbound.page_after(1).await.unwrap();
    let series = only(&page, REQUESTS);
    assert_eq!(series.label("source_team"), Some("checkout"));
    assert_eq!(series.label("source_tier"), Some("gold"));
}

#[tokio::test]
async fn an_additional_label_is_sent_and_no_other() {
    let node = ProxyNode::podinfo()
        .label("team", "checkout")
        .label("secret", "x");
    let sidecar = SidecarBuilder::outbound().node(node);
    let config = json!({ "additional_labels": ["team", "absent"] });
    let (app, sidecar) = fixture::start(sidecar, config, &[]).await;

    get(&sidecar, "/version").await;

    let said = peer::decode(&app.requests()[0].headers[METADATA]);
    let labels: Vec<_> = said
        .iter()
        .filter(|(name, _)| name.starts_with("LABELS."))
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    let expected = [
        ("LABELS.app", "podinfo"),
        ("LABELS.service.istio.io/canonical-name", "podinfo"),
        ("LABELS.service.istio.io/canonical-revision", "latest"),
        ("LABELS.team", "checkout"),
    ];
    assert_eq!(labels, expected);
}

#[tokio::test]
async fn what_is_published_is_of_this_request_and_not_of_an_earlier_one() {
    let config = json!({
        "publish_peer": true,
        "metrics": [{ "dimensions": { "caller": "filter_state['wasm.downstream_peer'].workload" } }],
    });
    let (_app, sidecar) = fixture::inbound(config, &["caller"]).await;
    let mut client = client(&sidecar).await;

    for name in ["cart", "ledger", "cart"] {
        let request = peer::request_of(name, peer::workload("shop", name));
        client.send(request).await.unwrap();
    }
    client
        .send(request(Method::GET, "/version").unwrap())
        .await
        .unwrap();

    let page = sidecar.page_after(4).await.unwrap();
    for (caller, count) in [("cart", "2"), ("ledger", "1"), ("unknown", "1")] {
        let labels = [("caller", caller), ("source_workload", caller)];
        assert_eq!(fixture::sum(&page, REQUESTS, &labels), count, "{caller}");
    }
}

/// Envoy's own role-based access control, which refuses a caller of that name.
fn deny(workload: &str) -> Value {
    let text = |text: &str| json!({ "const_expr": { "string_value": text } });
    let call = |function: &str, args: [Value; 2]| json!({ "call_expr": { "function": function, "args": args } });
    let state = json!({ "ident_expr": { "name": "filter_state" } });
    let peer = call("_[_]", [state, text("wasm.downstream_peer")]);
    let name = json!({ "select_expr": { "operand": peer, "field": "workload" } });
    json!({
        "name": "envoy.filters.http.rbac",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC",
            "rules": {
                "action": "DENY",
                "policies": { "caller": {
                    "permissions": [{ "any": true }],
                    "principals": [{ "any": true }],
                    "condition": call("_==_", [name, text(workload)]),
                } },
            },
        },
    })
}

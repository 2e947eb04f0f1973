//! One Envoy with an inbound and an outbound listener, as in a pod: the same VM, the same plugin name and the same
//! configuration on both.

use harness::{App, Client, Roles, Sidecar, SidecarBuilder, Upstream};
use serde_json::json;

use crate::expected::{assert_counted, inbound, outbound};
use crate::peer::{self, ID, METADATA};

#[tokio::test]
async fn inbound_requests_report_as_destination_and_outbound_ones_as_source() {
    for roles in [Roles::Combined, Roles::Split] {
        for inbound_first in [true, false] {
            let (_app, sidecar) = pod(roles).await;
            let mut listeners = [sidecar.traffic, sidecar.other_traffic.unwrap()];
            if !inbound_first {
                listeners.reverse();
            }

            for listener in [listeners[0], listeners[1], listeners[1], listeners[0]] {
                let mut client = Client::http1(listener).await.unwrap();
                client.get("/version").await.unwrap();
            }

            let page = sidecar.page_after(4).await.unwrap();
            assert_counted(&page, &[(inbound(&[]), 2), (outbound(&[]), 2)]);
        }
    }
}

#[tokio::test]
async fn each_direction_has_its_own_side_of_the_exchange() {
    let (app, sidecar) = pod(Roles::Combined).await;
    let mut from_outside = Client::http1(sidecar.traffic).await.unwrap();
    let mut from_inside = Client::http1(sidecar.other_traffic.unwrap()).await.unwrap();

    let cart = peer::request_of("cart-1", peer::workload("shop", "cart"));
    let answer = from_outside.send(cart).await.unwrap();
    from_inside.get("/version").await.unwrap();

    assert!(answer.headers.contains_key(ID) && answer.headers.contains_key(METADATA));
    let requests = app.requests();
    let introduced = requests
        .iter()
        .map(|request| request.headers.contains_key(ID) && request.headers.contains_key(METADATA));
    assert_eq!(introduced.collect::<Vec<_>>(), [false, true]);
    let expected = [
        (inbound(&peer::source("shop", "cart")), 1),
        (outbound(&[]), 1),
    ];
    assert_counted(&sidecar.page_after(2).await.unwrap(), &expected);
}

/// One application as the upstream of both listeners, so that it receives the requests of both.
async fn pod(roles: Roles) -> (App, Sidecar) {
    let app = App::start().await.unwrap();
    let side = |sidecar: SidecarBuilder| {
        sidecar
            .roles(roles)
            .plugin_config(json!({}))
            .upstream(Upstream::At(app.address()))
    };
    let sidecar = side(SidecarBuilder::inbound()).and(side(SidecarBuilder::outbound()));
    let sidecar = sidecar.start().await.unwrap();
    (app, sidecar)
}

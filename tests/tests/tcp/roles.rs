//! Which filters there are, and on which side.

use harness::sidecar::REQUEST_COUNTS;
use harness::{Roles, SidecarBuilder, TcpApp};

use crate::fixture::{COUNTERS, exchange, page_after, pair, sums};

/// Begins with what opens an exchange, but goes on with something else.
const REQUEST: &[u8] = b"\x3d\x23\x04\x67\xff\xff\xff\xffand more";

#[tokio::test]
async fn a_side_without_the_filter_is_not_disturbed_by_the_other() {
    let without = |sidecar: SidecarBuilder| sidecar.roles(Roles::None);
    for inbound_has_it in [true, false] {
        let app = TcpApp::start(b"hello").await.unwrap();
        let pair = pair(&app);
        let mesh = if inbound_has_it {
            pair.outbound(without).start().await.unwrap()
        } else {
            pair.inbound(without).start().await.unwrap()
        };

        let answer = exchange(mesh.outbound.traffic, REQUEST).await;

        assert_eq!(answer, [b"hello", REQUEST].concat());
        let (with, without) = if inbound_has_it {
            (&mesh.inbound, &mesh.outbound)
        } else {
            (&mesh.outbound, &mesh.inbound)
        };
        assert_eq!(
            sums(&page_after(with, 1).await, &[]),
            ["1", "1", "21", "16"]
        );
        let page = without.page().await.unwrap();
        assert_eq!(sums(&page, &[]), ["0", "0", "0", "0"]);
    }
}

#[tokio::test]
async fn two_filters_count_a_connection_once() {
    let app = TcpApp::start(b"").await.unwrap();
    let split = |sidecar: SidecarBuilder| sidecar.roles(Roles::Split);
    let mesh = pair(&app).both(split).start().await.unwrap();

    exchange(mesh.outbound.traffic, b"abc").await;

    for sidecar in [&mesh.inbound, &mesh.outbound] {
        let page = page_after(sidecar, 1).await;
        assert_eq!(sums(&page, &[]), ["1", "1", "3", "3"]);
        for name in COUNTERS {
            assert_eq!(page.series(name).len(), 1, "{name}");
        }
        for name in REQUEST_COUNTS {
            assert_eq!(
                page.series(name).len(),
                0,
                "a connection is no request: {name}"
            );
        }
    }
}

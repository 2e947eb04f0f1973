//! More new label sets than the worker has time for wait for their series, and none of their counts is
//! lost.

use anyhow::Result;
use harness::{Page, Sidecar, SidecarBuilder, eventually};
use serde_json::json;

use crate::fixture::{self, REQUESTS, client, sum, to_host};

/// Takes some seconds to define, where a twentieth of a second's worth is defined at once.
const HOSTS: usize = 200;

#[tokio::test]
async fn label_sets_wait_for_their_series_and_no_count_is_lost() {
    let sidecar = SidecarBuilder::inbound().without_service();
    let config = json!({ "new_series_cpu_percent": 20 });
    let (_app, sidecar) = fixture::start(sidecar, config, &[]).await;
    let mut client = client(&sidecar).await;
    let host = |number: usize| format!("host-{number}.example");

    for _ in 0..2 {
        for number in 0..HOSTS {
            client.send(to_host(&host(number))).await.unwrap();
        }
    }

    assert!(pending(&sidecar).await.unwrap() > 0, "some had to wait");
    eventually("no label set waits", async || {
        Ok((pending(&sidecar).await? == 0).then_some(()))
    })
    .await
    .unwrap();
    let sent = u32::try_from(2 * HOSTS).unwrap();
    let page = sidecar.page_after(sent).await.unwrap();
    for number in 0..HOSTS {
        let host = host(number);
        let labels = [("destination_service", &*host)];
        for counter in harness::sidecar::REQUEST_COUNTS {
            assert_eq!(sum(&page, counter, &labels), "2", "{counter} of {host}");
        }
    }
    assert_eq!(sum(&page, REQUESTS, &[]), sent.to_string());
}

/// How many label sets wait. Not from the whole page, which is large.
async fn pending(sidecar: &Sidecar) -> Result<u32> {
    let path = "/stats/prometheus?usedonly&filter=pending_label_sets";
    let page = Page::parse(&sidecar.envoy.admin_get(path).await?.text())?;
    let waiting = page.sum("istio_pending_label_sets", &[]);
    Ok(waiting.to_string().parse()?)
}

//! Nothing is lost and nothing is counted twice, on several threads.

use harness::Mesh;
use harness::sidecar::REQUEST_COUNTS;
use tokio::task::JoinSet;

const CLIENTS: u32 = 8;
const REQUESTS_EACH: u32 = 2_500;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_thousand_requests_on_two_threads_are_twenty_thousand_on_both_pages() {
    let mesh = Mesh::builder()
        .both(|sidecar| sidecar.concurrency(2))
        .start()
        .await
        .unwrap();

    let mut clients = JoinSet::new();
    for _ in 0..CLIENTS {
        let mut client = mesh.client().await.unwrap();
        clients.spawn(async move {
            for _ in 0..REQUESTS_EACH {
                assert_eq!(client.get("/version").await.unwrap().status, 200);
            }
        });
    }
    clients.join_all().await;

    let sent = CLIENTS * REQUESTS_EACH;
    for sidecar in [&mesh.inbound, &mesh.outbound] {
        let page = sidecar.page_after(sent).await.unwrap();
        for name in REQUEST_COUNTS {
            assert_eq!(page.series(name).len(), 1, "{name}");
            assert_eq!(page.sum(name, &[]).to_string(), sent.to_string(), "{name}");
        }
    }
}

//! The main job, with either side native: the pages are those of two sides in WebAssembly, label for label.

use harness::golden::{file, readable};
use harness::{Mesh, ModuleHost, Page};

#[tokio::test]
async fn a_native_server_and_a_client_in_webassembly_make_the_golden_pages() {
    make_the_golden_pages(ModuleHost::Wasm, ModuleHost::Native).await;
}

#[tokio::test]
async fn a_native_client_and_a_server_in_webassembly_make_the_golden_pages() {
    make_the_golden_pages(ModuleHost::Native, ModuleHost::Wasm).await;
}

/// Neither of the two bootstraps has any rule that cuts labels out of names.
#[tokio::test]
async fn two_native_sides_make_the_golden_pages_without_stats_tags() {
    make_the_golden_pages(ModuleHost::Native, ModuleHost::Native).await;
}

async fn make_the_golden_pages(client: ModuleHost, server: ModuleHost) {
    let mesh = Mesh::builder()
        .outbound(|sidecar| sidecar.host(client))
        .inbound(|sidecar| sidecar.host(server))
        .start()
        .await
        .unwrap();
    let mut client = mesh.client().await.unwrap();
    for _ in 0..10 {
        assert_eq!(client.get("/version").await.unwrap().status, 200);
    }
    assert_golden(
        "demo.destination.prom",
        &mesh.inbound.page_after(10).await.unwrap(),
    );
    assert_golden(
        "demo.source.prom",
        &mesh.outbound.page_after(10).await.unwrap(),
    );
}

fn assert_golden(name: &str, page: &Page) {
    let golden = std::fs::read_to_string(file(name)).unwrap();
    similar(name, &readable(page), &golden);
}

/// Equal line by line, so that a difference is one line and not two pages.
#[track_caller]
fn similar(name: &str, page: &str, golden: &str) {
    for (page, golden) in page.lines().zip(golden.lines()) {
        assert_eq!(page, golden, "{name}");
    }
    assert_eq!(
        page.lines().count(),
        golden.lines().count(),
        "lines of {name}"
    );
}

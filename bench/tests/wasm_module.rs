//! The metrics library's example module, run by a host: in `bench`, which has an engine.

#![allow(clippy::unwrap_used, reason = "all of this is test")]

use std::path::Path;

use wasmtime::{Engine, Instance, Module, Store};

#[test]
fn a_module_counts_for_its_host() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/dist/metrics-example.wasm");
    assert!(
        path.exists(),
        "there is no {}; `cargo xtask no-std` builds it",
        path.display()
    );
    let engine = Engine::default();
    let module = Module::from_file(&engine, &path).unwrap();
    // It asks for nothing.
    let mut store = Store::new(&engine, ());
    let instance = Instance::new(&mut store, &module, &[]).unwrap();
    let count = instance
        .get_typed_func::<u32, ()>(&mut store, "count")
        .unwrap();
    for code in [200, 200, 503, 404, 418] {
        count.call(&mut store, code).unwrap();
    }
    let length = instance
        .get_typed_func::<(), u32>(&mut store, "write_page")
        .unwrap();
    let length = length.call(&mut store, ()).unwrap() as usize;
    let page = instance
        .get_typed_func::<(), u32>(&mut store, "page")
        .unwrap();
    let page = page.call(&mut store, ()).unwrap() as usize;
    let memory = instance.get_memory(&mut store, "memory").unwrap();
    let page = &memory.data(&store)[page..page + length];
    assert_eq!(
        std::str::from_utf8(page).unwrap(),
        "# HELP events_total Events of the host.\n# TYPE events_total counter\n\
         events_total{code=\"0\"} 2\nevents_total{code=\"200\"} 2\nevents_total{code=\"503\"} 1\n"
    );
}

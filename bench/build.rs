//! Has tests and benchmarks export Envoy's functions, for the native module finds them by name in the process that
//! loaded it.

fn main() {
    for targets in ["tests", "benches"] {
        println!(
            "cargo::rustc-link-arg-{targets}=-Wl,--export-dynamic-symbol=envoy_dynamic_module_callback_*"
        );
    }
    println!("cargo::rerun-if-changed=build.rs");
}

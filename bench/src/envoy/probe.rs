//! Modules that make chosen calls into the proxy and nothing else: they measure what remains of a
//! module's cost without its own code.
//!
//! They are written as WebAssembly text, one instruction for each thing that they do. Not here:
//! which calls our module makes; see [`steady`](super::steady).

use anyhow::Result;
use stats_core::host::HeaderMap;

/// A call into the proxy.
#[derive(Clone, Copy, Debug)]
pub enum ProbeCall {
    /// Reads a header.
    Read(HeaderMap, &'static str),
    /// Reads all headers.
    ReadAll(HeaderMap),
    /// Sets a header.
    Write(HeaderMap, &'static str, &'static str),
    /// Removes a header.
    Remove(HeaderMap, &'static str),
    /// Reads an attribute by its path, segments separated by NUL.
    Attribute(&'static str),
    /// Evaluates an expression.
    Evaluate(&'static str),
    /// Records a counter.
    Count,
    /// Records a histogram.
    Observe,
}

/// Which calls a module makes, by callback.
#[derive(Clone, Debug, Default)]
pub struct Probe {
    /// When the request's headers have arrived.
    pub on_request_headers: Vec<ProbeCall>,
    /// When the response's headers have arrived.
    pub on_response_headers: Vec<ProbeCall>,
    /// When the request is logged.
    pub on_log: Vec<ProbeCall>,
}

/// What all probes have: the callbacks that our module exports, and room for what the proxy hands
/// over, which is given out anew with each request.
const FRAME: &str = r#"
  (memory (export "memory") 4)
  (global $next (mut i32) (i32.const 131072))
  (func (export "proxy_abi_version_0_2_1"))
  (func (export "proxy_on_memory_allocate") (param $size i32) (result i32)
    (local $at i32)
    (local.set $at (global.get $next))
    (global.set $next (i32.add (local.get $at) (local.get $size)))
    (local.get $at))
  (func (export "proxy_on_context_create") (param i32 i32))
  (func (export "proxy_on_tick") (param i32))
  (func (export "mixerless_allocations") (result i32) (i32.const 0))
"#;

const IMPORTS: &str = r#"
  (import "env" "proxy_get_header_map_value" (func $read (param i32 i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_get_header_map_pairs" (func $read_all (param i32 i32 i32) (result i32)))
  (import "env" "proxy_replace_header_map_value" (func $write (param i32 i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_remove_header_map_value" (func $remove (param i32 i32 i32) (result i32)))
  (import "env" "proxy_get_property" (func $attribute (param i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_call_foreign_function" (func $call (param i32 i32 i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_define_metric" (func $define (param i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_record_metric" (func $record (param i32 i64) (result i32)))
"#;

/// Where the proxy writes the result of a call. The first word is not used: for an address of zero the
/// proxy returns no result.
const ANSWER: &str = "(i32.const 4) (i32.const 8)";
/// Where the ids of the two metrics are.
const METRICS: [usize; 2] = [12, 16];
/// Where the expressions' tokens are, one after the other.
const TOKENS: usize = 20;
/// Where texts begin.
const TEXTS: usize = 1024;

impl Probe {
    /// The compiled module.
    ///
    /// # Errors
    /// When the text is wrong.
    pub fn module(&self) -> Result<Vec<u8>> {
        Ok(wat::parse_str(self.text())?)
    }

    fn text(&self) -> String {
        let mut module = WatText::default();
        let request = module.calls(&self.on_request_headers);
        let response = module.calls(&self.on_response_headers);
        let log = module.calls(&self.on_log);
        let configure = module.configure();
        let data = &module.data;
        format!(
            "(module {IMPORTS} {FRAME}
               (func (export \"proxy_on_configure\") (param i32 i32) (result i32)
                 {configure} (i32.const 1))
               (func (export \"proxy_on_request_headers\") (param i32 i32 i32) (result i32)
                 (global.set $next (i32.const 131072)) {request} (i32.const 0))
               (func (export \"proxy_on_response_headers\") (param i32 i32 i32) (result i32)
                 {response} (i32.const 0))
               (func (export \"proxy_on_log\") (param i32) {log})
               (data (i32.const {TEXTS}) \"{data}\"))"
        )
    }
}

/// A module's text as it grows.
#[derive(Default)]
struct WatText {
    data: String,
    size: usize,
    expressions: Vec<&'static str>,
}

impl WatText {
    fn calls(&mut self, calls: &[ProbeCall]) -> String {
        calls.iter().map(|call| self.call(*call)).collect()
    }

    fn call(&mut self, call: ProbeCall) -> String {
        match call {
            ProbeCall::Read(map, name) => {
                let name = self.place(name);
                format!(
                    "(drop (call $read (i32.const {}) {name} {ANSWER}))\n",
                    number(map)
                )
            }
            ProbeCall::ReadAll(map) => {
                let map = number(map);
                format!("(drop (call $read_all (i32.const {map}) {ANSWER}))\n")
            }
            ProbeCall::Write(map, name, value) => {
                let (name, value) = (self.place(name), self.place(value));
                format!(
                    "(drop (call $write (i32.const {}) {name} {value}))\n",
                    number(map)
                )
            }
            ProbeCall::Remove(map, name) => {
                let name = self.place(name);
                format!("(drop (call $remove (i32.const {}) {name}))\n", number(map))
            }
            ProbeCall::Attribute(path) => {
                let path = self.place(path);
                format!("(drop (call $attribute {path} {ANSWER}))\n")
            }
            ProbeCall::Evaluate(expression) => {
                let token = TOKENS + 4 * self.expressions.len();
                self.expressions.push(expression);
                let function = self.place("expr_evaluate");
                format!(
                    "(drop (call $call {function} (i32.const {token}) (i32.const 4) {ANSWER}))\n"
                )
            }
            ProbeCall::Count => record(METRICS[0]),
            ProbeCall::Observe => record(METRICS[1]),
        }
    }

    fn configure(&mut self) -> String {
        let metrics = [
            (METRICS[0], 0, "bench_probe_total"),
            (METRICS[1], 2, "bench_probe"),
        ];
        let metrics = metrics.map(|(at, kind, name)| {
            let name = self.place(name);
            format!("(drop (call $define (i32.const {kind}) {name} (i32.const {at})))\n")
        });
        let expressions = std::mem::take(&mut self.expressions).into_iter();
        let expressions = expressions.enumerate().map(|(nth, expression)| {
            let (function, expression) = (self.place("expr_create"), self.place(expression));
            let token = TOKENS + 4 * nth;
            format!(
                "(drop (call $call {function} {expression} {ANSWER}))
                 (i32.store (i32.const {token}) (i32.load (i32.load (i32.const 4))))\n"
            )
        });
        metrics.into_iter().chain(expressions).collect()
    }

    /// Address and size of a text.
    fn place(&mut self, text: &str) -> String {
        let at = TEXTS + self.size;
        self.size += text.len();
        self.data
            .extend(text.bytes().map(|byte| format!("\\{byte:02x}")));
        format!("(i32.const {at}) (i32.const {})", text.len())
    }
}

fn record(metric: usize) -> String {
    format!("(drop (call $record (i32.load (i32.const {metric})) (i64.const 1)))\n")
}

fn number(map: HeaderMap) -> u32 {
    match map {
        HeaderMap::Request => 0,
        HeaderMap::Response => 2,
    }
}

//! The Envoy dynamic module: stats-core bound to Envoy's own ABI, which the proxy calls without a virtual
//! machine between. Beside [the module for WebAssembly](../../filter), and like it: nothing in this crate
//! decides anything.
//!
//! A library runs with all rights of the proxy. So all code that is not safe is in [`abi`] and [`hooks`], a panic ends in
//! [`guard`], and a plugin that panicked once only lets traffic pass.
//!
//! What only this host has stays in this crate: metrics that a cluster holds, threads that share a
//! configuration, and how a module learns of the proxy around it.

#![deny(unsafe_code)]

#[allow(unsafe_code, reason = "the calls into Envoy")]
mod abi;
mod bootstrap;
mod cel;
mod filter;
mod guard;
#[allow(unsafe_code, reason = "the calls from Envoy")]
mod hooks;
mod host;
mod loading;
mod logger;
mod proxy;
mod series;
mod services;
mod store;
mod worker;

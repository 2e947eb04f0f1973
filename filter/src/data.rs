//! The callbacks for the bytes of TCP connections. The proxy enters the module for each chunk; only the
//! first ones matter, and nothing is asked about the others.

use stats_core::host::End;

use crate::{CONTINUE, Contexts, of};

/// Keep the chunk until more comes.
const PAUSE: u32 = 1;

/// Bytes have come from the client.
#[unsafe(no_mangle)]
extern "C" fn proxy_on_downstream_data(context: u32, size: usize, end_of_stream: u32) -> u32 {
    on_data(context, End::Downstream, size, end_of_stream != 0)
}

/// Bytes have come from the server.
#[unsafe(no_mangle)]
extern "C" fn proxy_on_upstream_data(context: u32, size: usize, end_of_stream: u32) -> u32 {
    on_data(context, End::Upstream, size, end_of_stream != 0)
}

#[inline]
fn on_data(context: u32, from: End, size: usize, is_last: bool) -> u32 {
    let mut action = CONTINUE;
    Contexts::enter(|contexts, proxy| {
        let Some(open) = contexts.connections.find(context) else {
            return;
        };
        if open.connection.passes(from) {
            return;
        }
        if let Some(Some(loaded)) = of(&mut contexts.plugins, open.root) {
            let (tcp, mut host) = loaded.for_connections(proxy);
            if tcp.on_chunk(&mut host, &mut open.connection, from, size, is_last) {
                action = PAUSE;
            }
        }
    });
    action
}

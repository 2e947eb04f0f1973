//! Memory that the proxy writes to. What it hands over is small and dead by the end of a callback,
//! so it comes from one buffer that is used again from the start by the next callback: reading a
//! header costs no allocation.

use std::cell::RefCell;
use std::slice;

/// More than a request's worth; what does not fit is allocated for the one callback.
const BUFFER_BYTES: usize = 32 * 1024;
/// A multiple of what anything read from here could want.
const ALIGNMENT: usize = 8;

struct Memory {
    buffer: Box<[u8]>,
    used: usize,
    /// What did not fit in the buffer.
    large: Vec<Box<[u8]>>,
}

thread_local! {
    static MEMORY: RefCell<Memory> = RefCell::new(Memory {
        buffer: vec![0; BUFFER_BYTES].into_boxed_slice(),
        used: 0,
        large: Vec::new(),
    });
}

/// Starts over: nothing that was handed over before is looked at any more.
pub fn reuse() {
    MEMORY.with_borrow_mut(|memory| {
        memory.used = 0;
        memory.large.clear();
    });
}

/// Room for so many bytes, until the next [`reuse`].
pub fn allocate(size: usize) -> *mut u8 {
    MEMORY.with_borrow_mut(|memory| {
        let start = memory.used;
        if let Some(room) = memory
            .buffer
            .get_mut(start..)
            .and_then(|free| free.get_mut(..size))
        {
            // Never an empty slice at the very end: the host takes a null or outside pointer for a
            // failure.
            memory.used = start + size.max(1).next_multiple_of(ALIGNMENT);
            return room.as_mut_ptr();
        }
        memory.large.push(vec![0; size.max(1)].into_boxed_slice());
        memory
            .large
            .last_mut()
            .map_or(std::ptr::null_mut(), |large| large.as_mut_ptr())
    })
}

/// What the host wrote to room that [`allocate`] gave it.
pub fn written<'a>(value: *const u8, size: usize) -> &'a [u8] {
    if value.is_null() || size == 0 {
        return &[];
    }
    // SAFETY: the host states where it wrote how much, in room from `allocate` that stays in place
    // until the next callback begins; no reference outlives its callback.
    unsafe { slice::from_raw_parts(value, size) }
}

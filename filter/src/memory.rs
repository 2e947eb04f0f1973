//! Memory that the proxy writes to. What it hands over is small and dead by the end of a callback,
//! so it comes from one buffer that is used again from the start by the next callback: reading a
//! header costs no allocation. That nothing else does either can be measured: the allocator counts.

use std::alloc::{GlobalAlloc, Layout, System, alloc, dealloc};
use std::cell::RefCell;
use std::ptr;
use std::slice;
use std::sync::atomic::{AtomicU32, Ordering};

/// More than a request's worth; what does not fit is allocated for the one callback.
const BUFFER_BYTES: usize = 32 * 1024;

/// Held by pointer alone: what was handed out stays valid while more is.
struct Memory {
    /// The buffer, or null where there is none yet.
    buffer: *mut u8,
    used: usize,
    /// What did not fit in the buffer.
    large: Vec<(*mut u8, Layout)>,
}

thread_local! {
    static MEMORY: RefCell<Memory> = const {
        RefCell::new(Memory { buffer: ptr::null_mut(), used: 0, large: Vec::new() })
    };
}

/// Starts over.
///
/// # Safety
/// Nothing that [`written`] gave out before may be looked at any more.
pub unsafe fn reuse() {
    MEMORY.with_borrow_mut(|memory| {
        memory.used = 0;
        if memory.large.is_empty() {
            return;
        }
        for (pointer, layout) in memory.large.drain(..) {
            // SAFETY: allocated with this layout, and the caller promises that it is not looked at any more.
            unsafe { dealloc(pointer, layout) };
        }
    });
}

/// Room for so many bytes, until the next [`reuse`]; null where there is none.
pub fn allocate(size: usize) -> *mut u8 {
    MEMORY.with_borrow_mut(|memory| {
        if memory.buffer.is_null() {
            memory.buffer = allocated(BUFFER_BYTES).map_or(ptr::null_mut(), |(buffer, _)| buffer);
        }
        // At least a byte: the host takes a null or outside pointer for a failure.
        let size = size.max(1);
        let end = memory.used.saturating_add(size);
        if end <= BUFFER_BYTES && !memory.buffer.is_null() {
            // SAFETY: within the buffer, by the comparison.
            let room = unsafe { memory.buffer.add(memory.used) };
            memory.used = end;
            return room;
        }
        let Some((pointer, layout)) = allocated(size) else {
            return ptr::null_mut();
        };
        memory.large.push((pointer, layout));
        pointer
    })
}

/// What the host wrote to room that [`allocate`] gave it.
///
/// # Safety
/// The host must have written `size` bytes at `value`, and they must not be looked at after the
/// next [`reuse`].
pub unsafe fn written<'a>(value: *const u8, size: usize) -> &'a [u8] {
    if value.is_null() || size == 0 {
        return &[];
    }
    // SAFETY: the caller's promise.
    unsafe { slice::from_raw_parts(value, size) }
}

fn allocated(size: usize) -> Option<(*mut u8, Layout)> {
    let layout = Layout::array::<u8>(size).ok()?;
    // SAFETY: never of size zero: `allocate` sees to it.
    let pointer = unsafe { alloc(layout) };
    (!pointer.is_null()).then_some((pointer, layout))
}

/// The system's allocator, and how often it was asked for memory.
struct Counting {
    asked: AtomicU32,
}

#[global_allocator]
static ALLOCATOR: Counting = Counting {
    asked: AtomicU32::new(0),
};

/// How often the module has asked for memory, so far. It may wrap around.
pub fn allocations() -> u32 {
    ALLOCATOR.asked.load(Ordering::Relaxed)
}

impl Counting {
    fn count(&self) {
        self.asked.fetch_add(1, Ordering::Relaxed);
    }
}

// SAFETY: forwards to the system's allocator as it was called.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        self.count();
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        self.count();
        // SAFETY: the caller's promise.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        self.count();
        // SAFETY: the caller's promise.
        unsafe { System.realloc(pointer, layout, size) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Fills room as the host does, and reads it back.
    fn handed_over(size: usize, byte: u8) -> &'static [u8] {
        let room = allocate(size);
        assert!(!room.is_null());
        // SAFETY: the room has this size, and no test looks at it after its `reuse`.
        unsafe {
            ptr::write_bytes(room, byte, size);
            written(room, size)
        }
    }

    #[test]
    fn what_is_handed_over_stays_until_the_next_callback() {
        let small: Vec<_> = (0..200).map(|n| handed_over(300, n)).collect();
        let large = handed_over(3 * BUFFER_BYTES, 7);
        for (n, bytes) in (0..).zip(&small) {
            assert!(bytes.len() == 300 && bytes.iter().all(|&byte| byte == n));
        }
        assert!(large.iter().all(|&byte| byte == 7));
        // SAFETY: nothing is looked at any more.
        unsafe { reuse() };
        let first = handed_over(1, 1).as_ptr();
        // SAFETY: as before.
        unsafe { reuse() };
        assert_eq!(
            handed_over(1, 2).as_ptr(),
            first,
            "the buffer is used again"
        );
    }

    #[test]
    fn nothing_has_a_place_too() {
        assert!(!allocate(0).is_null());
        assert!(handed_over(BUFFER_BYTES - 1, 0).len() == BUFFER_BYTES - 1);
        assert!(!allocate(0).is_null());
        assert!(handed_over(0, 0).is_empty());
    }

    #[test]
    fn the_allocator_counts() {
        let before = allocations();
        drop(std::hint::black_box(Box::new(1)));
        // Tests beside this one allocate too.
        assert!(allocations() > before);
    }
}

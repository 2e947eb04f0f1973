//! The kernel's coarse clock, which is a few milliseconds behind and a quarter of the price: a request looks
//! at it several times.

use std::ffi::c_long;
use std::time::Duration;

/// `struct timespec`.
#[repr(C)]
struct TimeSpec {
    seconds: i64,
    nanoseconds: c_long,
}

/// `CLOCK_MONOTONIC_COARSE` of Linux.
const MONOTONIC_COARSE: i32 = 6;

unsafe extern "C" {
    fn clock_gettime(clock: i32, time: *mut TimeSpec) -> i32;
}

/// The time since some fixed point.
#[inline]
pub fn coarse() -> Duration {
    let mut time = TimeSpec {
        seconds: 0,
        nanoseconds: 0,
    };
    // SAFETY: the time is a local.
    unsafe { clock_gettime(MONOTONIC_COARSE, &raw mut time) };
    let seconds = u64::try_from(time.seconds).unwrap_or_default();
    Duration::from_secs(seconds)
        + Duration::from_nanos(u64::try_from(time.nanoseconds).unwrap_or_default())
}

//! The numbers that metrics hold, and the cell that each lies in.
//!
//! Where the target has 64-bit atomics, a cell is one, and handles go to other threads. Where it has
//! none (`thumbv*`), a cell is a [`Cell`](core::cell::Cell), and handles stay on their thread.

use core::fmt::{self, Write};
#[cfg(target_has_atomic = "64")]
use core::sync::atomic::Ordering::Relaxed;

/// Counts references to what several handles share.
#[cfg(target_has_atomic = "64")]
pub(super) type Shared<T> = alloc::sync::Arc<T>;
/// Counts references to what several handles share.
#[cfg(not(target_has_atomic = "64"))]
pub(super) type Shared<T> = alloc::rc::Rc<T>;

/// 64 bits that handles share.
#[cfg(target_has_atomic = "64")]
pub(super) type SharedBits = core::sync::atomic::AtomicU64;
/// 64 bits that handles share.
#[cfg(not(target_has_atomic = "64"))]
pub(super) type SharedBits = core::cell::Cell<u64>;

/// What a cell can do. No order between cells is promised: each stands for itself.
pub trait Bits {
    /// A cell with these bits.
    fn of(bits: u64) -> Self;
    /// The bits.
    fn bits(&self) -> u64;
    /// Replaces the bits.
    fn set_bits(&self, bits: u64);
    /// Adds to the bits as an integer, and wraps.
    fn add_bits(&self, value: u64);
    /// Replaces the bits where they are still `current`; else says what they are. May fail for nothing.
    ///
    /// # Errors
    /// Where they are no longer so.
    fn exchange_bits(&self, current: u64, new: u64) -> Result<u64, u64>;
    /// Replaces the bits by what becomes of them, and loses no change that another thread makes
    /// meanwhile.
    #[inline]
    fn change_bits(&self, change: impl Fn(u64) -> u64) {
        let mut bits = self.bits();
        while let Err(other) = self.exchange_bits(bits, change(bits)) {
            bits = other;
        }
    }
}

#[cfg(target_has_atomic = "64")]
impl Bits for core::sync::atomic::AtomicU64 {
    fn of(bits: u64) -> Self {
        Self::new(bits)
    }

    #[inline]
    fn bits(&self) -> u64 {
        self.load(Relaxed)
    }

    #[inline]
    fn set_bits(&self, bits: u64) {
        self.store(bits, Relaxed);
    }

    #[inline]
    fn add_bits(&self, value: u64) {
        self.fetch_add(value, Relaxed);
    }

    #[inline]
    fn exchange_bits(&self, current: u64, new: u64) -> Result<u64, u64> {
        self.compare_exchange_weak(current, new, Relaxed, Relaxed)
    }
}

#[cfg(not(target_has_atomic = "64"))]
impl Bits for core::cell::Cell<u64> {
    fn of(bits: u64) -> Self {
        Self::new(bits)
    }

    fn bits(&self) -> u64 {
        self.get()
    }

    fn set_bits(&self, bits: u64) {
        self.set(bits);
    }

    fn add_bits(&self, value: u64) {
        self.set(self.get().wrapping_add(value));
    }

    fn exchange_bits(&self, _: u64, new: u64) -> Result<u64, u64> {
        Ok(self.replace(new))
    }
}

/// A type that counters and gauges can hold: `u64`, `i64` and `f64`.
pub trait Number: Copy + fmt::Debug + PartialOrd + Send + Sync + sealed::Sealed + 'static {
    /// Zero.
    const ZERO: Self;
    /// One.
    const ONE: Self;
    /// The number in a cell.
    fn get(cell: &impl Bits) -> Self;
    /// Puts the number into a cell.
    fn set(self, cell: &impl Bits);
    /// Adds the number to that of a cell.
    fn add(self, cell: &impl Bits);
    /// Subtracts the number from that of a cell.
    fn subtract(self, cell: &impl Bits);
    /// Writes the number as Prometheus does.
    ///
    /// # Errors
    /// Where `out` fails.
    fn write(self, out: &mut dyn Write) -> fmt::Result;
}

/// Numbers that a counter can hold: those that are not negative by nature, and `f64`.
pub trait Countable: Number {}

/// Numbers that a gauge can hold: those that have a sign.
pub trait Settable: Number {}

impl Countable for u64 {}
impl Countable for f64 {}
impl Settable for i64 {}
impl Settable for f64 {}

mod sealed {
    pub trait Sealed {}
    impl Sealed for u64 {}
    impl Sealed for i64 {}
    impl Sealed for f64 {}
}

impl Number for u64 {
    const ZERO: Self = 0;
    const ONE: Self = 1;

    #[inline]
    fn get(cell: &impl Bits) -> Self {
        cell.bits()
    }

    #[inline]
    fn set(self, cell: &impl Bits) {
        cell.set_bits(self);
    }

    #[inline]
    fn add(self, cell: &impl Bits) {
        cell.add_bits(self);
    }

    #[inline]
    fn subtract(self, cell: &impl Bits) {
        cell.add_bits(self.wrapping_neg());
    }

    fn write(self, out: &mut dyn Write) -> fmt::Result {
        out.write_str(Digits::new(self).as_str())
    }
}

impl Number for i64 {
    const ZERO: Self = 0;
    const ONE: Self = 1;

    #[inline]
    fn get(cell: &impl Bits) -> Self {
        cell.bits().cast_signed()
    }

    #[inline]
    fn set(self, cell: &impl Bits) {
        cell.set_bits(self.cast_unsigned());
    }

    #[inline]
    fn add(self, cell: &impl Bits) {
        cell.add_bits(self.cast_unsigned());
    }

    #[inline]
    fn subtract(self, cell: &impl Bits) {
        cell.add_bits(self.cast_unsigned().wrapping_neg());
    }

    fn write(self, out: &mut dyn Write) -> fmt::Result {
        if self < 0 {
            out.write_char('-')?;
        }
        self.unsigned_abs().write(out)
    }
}

impl Number for f64 {
    const ZERO: Self = 0.0;
    const ONE: Self = 1.0;

    #[inline]
    fn get(cell: &impl Bits) -> Self {
        Self::from_bits(cell.bits())
    }

    #[inline]
    fn set(self, cell: &impl Bits) {
        cell.set_bits(self.to_bits());
    }

    #[inline]
    fn add(self, cell: &impl Bits) {
        cell.change_bits(|bits| (Self::from_bits(bits) + self).to_bits());
    }

    #[inline]
    fn subtract(self, cell: &impl Bits) {
        (-self).add(cell);
    }

    fn write(self, out: &mut dyn Write) -> fmt::Result {
        match self {
            Self::INFINITY => out.write_str("+Inf"),
            Self::NEG_INFINITY => out.write_str("-Inf"),
            // The debug form turns to exponents where digits would run to hundreds.
            other if other.abs() >= 1e16 || (other != 0.0 && other.abs() < 1e-5) => {
                write!(out, "{other:?}")
            }
            other => write!(out, "{other}"),
        }
    }
}

/// The decimal digits of an integer, without an allocation and without the machinery of `format!`.
pub(super) struct Digits {
    bytes: [u8; 20],
    start: usize,
}

impl Digits {
    pub(super) fn new(number: u64) -> Self {
        let mut bytes = [b'0'; 20];
        let mut start = bytes.len();
        let mut rest = number;
        for (at, byte) in bytes.iter_mut().enumerate().rev() {
            *byte = b'0' + (rest % 10) as u8;
            start = at;
            rest /= 10;
            if rest == 0 {
                break;
            }
        }
        Self { bytes, start }
    }

    pub(super) fn as_str(&self) -> &str {
        let digits = self.bytes.get(self.start..).unwrap_or_default();
        core::str::from_utf8(digits).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::{String, ToString};
    use proptest::prelude::*;

    fn written(number: impl Number) -> String {
        let mut text = String::new();
        number.write(&mut text).unwrap();
        text
    }

    #[test]
    fn numbers_look_as_prometheus_writes_them() {
        for (number, text) in [
            (0.5, "0.5"),
            (3_600_000.0, "3600000"),
            (1e300, "1e300"),
            (-1e-300, "-1e-300"),
            (0.0, "0"),
            (f64::INFINITY, "+Inf"),
            (f64::NEG_INFINITY, "-Inf"),
            (f64::NAN, "NaN"),
        ] {
            assert_eq!(written(number), text);
        }
        assert_eq!(written(i64::MIN), i64::MIN.to_string());
        assert_eq!(written(u64::MAX), u64::MAX.to_string());
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(integer: u64, signed: i64, float: f64) {
            prop_assert_eq!(written(integer).parse(), Ok(integer));
            prop_assert_eq!(written(signed).parse(), Ok(signed));
            let read: f64 = written(float).parse().unwrap();
            prop_assert!(read.to_bits() == float.to_bits() || (read.is_nan() && float.is_nan()));
        }
    }
}

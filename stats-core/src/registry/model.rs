//! The atomics in all orders that threads can run in, by loom: on its own cells, which stand in for the
//! target's.

use alloc::vec::Vec;

use loom::sync::Arc;
use loom::sync::atomic::{AtomicU64, Ordering::Relaxed};
use loom::thread;

use super::histogram::{Buckets, Observations};
use super::number::{Bits, Number};

impl Bits for AtomicU64 {
    fn of(bits: u64) -> Self {
        Self::new(bits)
    }

    fn bits(&self) -> u64 {
        self.load(Relaxed)
    }

    fn set_bits(&self, bits: u64) {
        self.store(bits, Relaxed);
    }

    fn add_bits(&self, value: u64) {
        self.fetch_add(value, Relaxed);
    }

    fn exchange_bits(&self, current: u64, new: u64) -> Result<u64, u64> {
        self.compare_exchange_weak(current, new, Relaxed, Relaxed)
    }
}

#[test]
fn no_addition_is_lost() {
    loom::model(|| {
        let float = Arc::new(AtomicU64::of(0));
        let integer = Arc::new(AtomicU64::of(0));
        let work = |value: f64, float: &AtomicU64, integer: &AtomicU64| {
            value.add(float);
            3_i64.add(integer);
            1_i64.subtract(integer);
        };
        let thread = {
            let (float, integer) = (float.clone(), integer.clone());
            thread::spawn(move || work(0.5, &float, &integer))
        };
        work(3.0, &float, &integer);
        thread.join().unwrap();
        assert!((f64::get(&*float) - 3.5).abs() < 1e-9);
        assert_eq!(i64::get(&*integer), 4);
    });
}

#[test]
fn a_page_written_meanwhile_is_one_that_could_have_been() {
    loom::model(|| {
        let observations = Arc::new(Observations::<AtomicU64>::new(Buckets::from([1.0])));
        let observer = {
            let observations = observations.clone();
            thread::spawn(move || {
                observations.observe(0.5);
                observations.observe(2.0);
            })
        };
        let seen: Vec<_> = observations.cumulated().map(|(_, count)| count).collect();
        // The buckets are cumulative whatever of them is there already, and nothing is there twice.
        assert!(seen.is_sorted() && seen[0] <= 1 && seen[1] <= 2, "{seen:?}");
        observer.join().unwrap();
        let all: Vec<_> = observations.cumulated().map(|(_, count)| count).collect();
        assert_eq!(all, [1, 2]);
        assert!((observations.sum() - 2.5).abs() < 1e-9);
    });
}

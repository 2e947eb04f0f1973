//! A program without std, as on a microcontroller: `cargo run -p stats-core --example no_std` runs it
//! on this machine, and `cargo xtask no-std` compiles it for one that has no operating system.

#![no_std]
#![cfg_attr(target_os = "none", no_main)]

extern crate alloc;
// The machine that shows the page has std; the program does not use it.
#[cfg(not(target_os = "none"))]
extern crate std;

use core::cell::Cell;
use core::fmt::{self, Write};
use core::time::Duration;

use stats_core::registry::{
    Clock, Counter, Family, Format, Gauge, Histogram, Registry, RegistryError,
};
use stats_core::{label_set, label_value};

label_value! {
    /// What a button was asked for.
    #[derive(Clone, Copy)]
    enum Press {
        Short = "short",
        Long = "long",
    }
}

label_set! {
    /// What presses are counted by.
    #[derive(Clone, Copy)]
    struct Button {
        number: u8,
        press: Press,
    }
}

/// A timer of the hardware: here, one that a loop drives.
struct Ticks(Cell<u32>);

impl Clock for Ticks {
    fn now(&self) -> Duration {
        Duration::from_millis(u64::from(self.0.get()))
    }
}

/// What the program counts.
struct Metrics {
    registry: Registry,
    presses: Family<Button, Counter>,
    loops: Histogram,
    temperature: Gauge<f64>,
}

impl Metrics {
    fn new() -> Result<Self, RegistryError> {
        let registry = Registry::new();
        let presses = Family::<Button, Counter>::builder("presses_total", "Buttons pressed.");
        let temperature = Family::<(), Gauge<f64>>::builder("temperature_celsius", "Of the chip.")
            .unit("celsius")
            .register(&registry)?;
        Ok(Self {
            presses: presses.register(&registry)?,
            loops: registry.histogram(
                "loop_seconds",
                "A turn of the loop.",
                &[],
                &[0.001, 0.01],
            )?,
            temperature: temperature.get_or_create(&()),
            registry,
        })
    }

    /// A turn of the program's loop.
    fn turn(&self, clock: &Ticks) {
        let timer = self.loops.start_timer(clock);
        let press = if clock.0.get().is_multiple_of(2) {
            Press::Short
        } else {
            Press::Long
        };
        self.presses
            .with(&Button { number: 1, press }, Counter::inc);
        self.temperature.set(36.5);
        clock.0.set(clock.0.get() + 5);
        timer.stop();
    }
}

/// Writes the page to `line`, whose buffer it does not need to fit in.
fn run(line: &mut impl Write) -> fmt::Result {
    let metrics = Metrics::new().map_err(|_| fmt::Error)?;
    let clock = Ticks(Cell::new(0));
    for _ in 0..3 {
        metrics.turn(&clock);
    }
    metrics.registry.expose(Format::Text, line)
}

#[cfg(not(target_os = "none"))]
fn main() -> fmt::Result {
    let mut page = alloc::string::String::new();
    run(&mut page)?;
    std::print!("{page}");
    Ok(())
}

/// What a board has instead of a `main`, a heap and a serial line; a real one takes them from crates.
#[cfg(target_os = "none")]
mod board {
    use core::alloc::{GlobalAlloc, Layout};
    use core::cell::{Cell, UnsafeCell};
    use core::fmt;

    /// Writes to nowhere.
    struct Line;

    impl fmt::Write for Line {
        fn write_str(&mut self, _: &str) -> fmt::Result {
            Ok(())
        }
    }

    #[unsafe(no_mangle)]
    extern "C" fn _start() -> ! {
        let _ = super::run(&mut Line);
        loop {}
    }

    /// Hands out what is left of an arena, and takes nothing back.
    struct Heap {
        arena: UnsafeCell<[u8; SIZE]>,
        used: Cell<usize>,
    }

    const SIZE: usize = 16 * 1024;

    // SAFETY: the board has one core, and nothing here runs in an interrupt.
    unsafe impl Sync for Heap {}

    // SAFETY: each piece lies in the arena, aligned, and behind all that were handed out before.
    unsafe impl GlobalAlloc for Heap {
        unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
            let arena = self.arena.get().cast::<u8>();
            let start = arena.addr() + self.used.get();
            let aligned = start.next_multiple_of(layout.align()) - arena.addr();
            let used = aligned + layout.size();
            if used > SIZE {
                return core::ptr::null_mut();
            }
            self.used.set(used);
            arena.wrapping_add(aligned)
        }

        unsafe fn dealloc(&self, _: *mut u8, _: Layout) {}
    }

    #[global_allocator]
    static HEAP: Heap = Heap {
        arena: UnsafeCell::new([0; SIZE]),
        used: Cell::new(0),
    };

    #[panic_handler]
    fn panic(_: &core::panic::PanicInfo) -> ! {
        loop {}
    }
}

//! What is changed seldom and by one at a time: a mutex with the feature `std`, else a cell that keeps
//! its owner on one thread. Safe code has no lock without `std`.
//!
//! Nobody calls code of a user's while a lock is held, so that none can be taken twice.

#[cfg(feature = "std")]
type Inner<T> = std::sync::Mutex<T>;
#[cfg(not(feature = "std"))]
type Inner<T> = core::cell::RefCell<T>;

/// Counts references to what families and registries share: from all threads, or from one.
#[cfg(feature = "std")]
pub(super) type Joint<T> = alloc::sync::Arc<T>;
/// Counts references to what families and registries share: from all threads, or from one.
#[cfg(not(feature = "std"))]
pub(super) type Joint<T> = alloc::rc::Rc<T>;

#[derive(Debug, Default)]
pub(super) struct Lock<T>(Inner<T>);

impl<T> Lock<T> {
    pub(super) fn new(value: T) -> Self {
        Self(Inner::new(value))
    }

    #[cfg(feature = "std")]
    pub(super) fn with<R>(&self, work: impl FnOnce(&mut T) -> R) -> R {
        // A panic elsewhere leaves nothing half done: each piece of work ends with its one change.
        let mut value = self
            .0
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        work(&mut value)
    }

    #[cfg(not(feature = "std"))]
    pub(super) fn with<R>(&self, work: impl FnOnce(&mut T) -> R) -> R {
        work(&mut self.0.borrow_mut())
    }
}

/// Can go to other threads, where metrics can at all.
#[cfg(feature = "std")]
pub trait Shareable: Send + Sync {}
#[cfg(feature = "std")]
impl<T: Send + Sync> Shareable for T {}

/// Can go to other threads, where metrics can at all: not without `std`.
#[cfg(not(feature = "std"))]
pub trait Shareable {}
#[cfg(not(feature = "std"))]
impl<T> Shareable for T {}

//! The only file that names an atomic: everything else imports from here, so that loom can take their place.
//!
//! Build with `RUSTFLAGS="--cfg pilotlight_loom"` to run the models of `tests/loom.rs` over the real structures.

#[cfg(pilotlight_loom)]
pub(crate) use loom::sync::{
    Mutex, MutexGuard,
    atomic::{AtomicI64, AtomicU8, AtomicU32, AtomicU64, Ordering, fence},
};
#[cfg(not(pilotlight_loom))]
pub(crate) use std::sync::{
    Mutex, MutexGuard,
    atomic::{AtomicI64, AtomicU8, AtomicU32, AtomicU64, Ordering, fence},
};

use std::sync::PoisonError;

/// Locks a mutex; a thread that panicked while holding it does not take the others down with it.
///
/// Every critical section of this crate leaves its data valid at each step, so a poisoned lock guards usable state.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A full fence that directly follows a read-modify-write: on x86-64 the locked instruction already was one.
pub(crate) fn fence_after_rmw() {
    if cfg!(all(target_arch = "x86_64", not(pilotlight_loom))) {
        std::sync::atomic::compiler_fence(Ordering::SeqCst);
    } else {
        fence(Ordering::SeqCst);
    }
}

//! The only file that names an atomic: everything else imports from here, so that loom can take their place.
//!
//! Build with `RUSTFLAGS="--cfg pilotlight_loom"` to run the models of `tests/loom.rs` over the real structures.

#[cfg(pilotlight_loom)]
pub(crate) use loom::sync::{
    Mutex, MutexGuard,
    atomic::{AtomicBool, AtomicI64, AtomicU8, AtomicU16, AtomicU32, AtomicU64, Ordering, fence},
};
#[cfg(not(any(test, pilotlight_loom)))]
pub(crate) use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU8, AtomicU16, AtomicU32, AtomicU64};
#[cfg(not(pilotlight_loom))]
pub(crate) use std::sync::{
    Mutex, MutexGuard,
    atomic::{Ordering, fence},
};

#[cfg(all(test, not(pilotlight_loom)))]
pub(crate) use self::counted::{AtomicBool, AtomicI64, AtomicU8, AtomicU16, AtomicU32, AtomicU64, read_modify_writes};

#[cfg(all(test, not(pilotlight_loom)))]
mod counted;

use std::sync::{PoisonError, TryLockError};

/// Locks a mutex; a thread that panicked while holding it does not take the others down with it.
///
/// Every critical section of this crate leaves its data valid at each step, so a poisoned lock guards usable state.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    #[cfg(test)]
    LOCKS.set(LOCKS.get() + 1);
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
thread_local! {
    static LOCKS: std::cell::Cell<u64> = const { std::cell::Cell::new(0) };
}

/// How often this thread has called [`lock`].
#[cfg(all(test, not(pilotlight_loom)))]
pub(crate) fn locks_taken() -> u64 {
    LOCKS.get()
}

/// Locks a mutex unless somebody holds it.
pub(crate) fn try_lock<T>(mutex: &Mutex<T>) -> Option<MutexGuard<'_, T>> {
    match mutex.try_lock() {
        Ok(guard) => Some(guard),
        Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
        Err(TryLockError::WouldBlock) => None,
    }
}

/// A full fence that directly follows a read-modify-write: on x86-64 the locked instruction already was one.
pub(crate) fn fence_after_rmw() {
    if cfg!(all(target_arch = "x86_64", not(pilotlight_loom))) {
        std::sync::atomic::compiler_fence(Ordering::SeqCst);
    } else {
        fence(Ordering::SeqCst);
    }
}

/// What a thread does that has lost a compare-exchange on a word all threads at one function want: it stands back for as long as the
/// others take for a call or two, and twice as long each time it loses again. They have the function's cache line to themselves
/// meanwhile; threads that tried again at once would spend their time passing it to and fro.
///
/// Lock-freedom is not lost: the pause is bounded, and who lost did so because another got on.
#[derive(Debug)]
pub(crate) struct Backoff {
    spins: u32,
}

impl Backoff {
    /// Measured on two cores: half as many leave the line contended, and twice as many gain little at one function and cost where threads
    /// meet at one of many.
    const FIRST: u32 = 32;
    const MOST: u32 = 128;

    pub(crate) fn new() -> Self {
        Self { spins: Self::FIRST }
    }

    #[cold]
    pub(crate) fn stand_back(&mut self) {
        // Loom explores every order by itself.
        if cfg!(not(pilotlight_loom)) {
            (0..self.spins).for_each(|_| std::hint::spin_loop());
        }
        self.spins = (2 * self.spins).min(Self::MOST);
    }
}

/// An `f64` in an atomic word: loads and stores only.
#[derive(Debug, Default)]
pub(crate) struct AtomicF64(AtomicU64);

impl AtomicF64 {
    pub(crate) fn new(value: f64) -> Self {
        Self(AtomicU64::new(value.to_bits()))
    }

    pub(crate) fn load(&self) -> f64 {
        f64::from_bits(self.0.load(Ordering::Relaxed))
    }

    pub(crate) fn store(&self, value: f64) {
        self.0.store(value.to_bits(), Ordering::Relaxed);
    }
}

/// A number kept in half the space of [`AtomicF64`], to seven digits.
#[derive(Debug, Default)]
pub(crate) struct AtomicF32(AtomicU32);

impl AtomicF32 {
    pub(crate) fn load(&self) -> f64 {
        f64::from(f32::from_bits(self.0.load(Ordering::Relaxed)))
    }

    #[expect(clippy::cast_possible_truncation, reason = "seven digits are what it promises")]
    pub(crate) fn store(&self, value: f64) {
        self.0.store((value as f32).to_bits(), Ordering::Relaxed);
    }
}

//! What is to be done when: one timer a function (its earliest deadline, end of keep-alive or moment its policy asked for), one a visit to
//! free instances that has to be gone on with, one a destroy to repeat, and one for the policy's reviews.
//!
//! Cost: arming is a comparison with the function's own word unless the new time is earlier, so an Idle arms at most once per keep-alive
//! window. Otherwise it is one step of a heap under a lock that is held for nothing longer: O(log n), n being functions with a timer.

use super::agenda::{Agenda, Due};
use crate::ids::{FunctionId, SlotId};
use crate::nanos::Nanos;
use crate::sync::{AtomicU64, Mutex, Ordering, fence, lock};

#[derive(Debug)]
pub(super) struct Timers {
    agenda: Mutex<Agenda>,
    /// The earliest entry's time, for `next` without the lock.
    earliest: AtomicU64,
}

impl Timers {
    pub(super) fn new() -> Self {
        Self { agenda: Mutex::new(Agenda::default()), earliest: AtomicU64::new(u64::MAX) }
    }

    /// Sets a function's timer to `at`, unless it fires earlier anyway. `armed`: the function's own word.
    pub(super) fn arm(&self, function: FunctionId, armed: &AtomicU64, at: Nanos) {
        if at.0 >= armed.load(Ordering::Relaxed) {
            return;
        }
        let mut agenda = lock(&self.agenda);
        if at.0 < armed.load(Ordering::Relaxed) {
            armed.store(at.0, Ordering::Relaxed);
            self.add(&mut agenda, at, Due::Function(function));
        }
    }

    /// Schedules the next step of a visit. The function's timer stays as it is: whoever frees an instance meanwhile, which the visit
    /// does not see, sees it disarmed and sets it, or it fires before.
    pub(super) fn go_on(&self, function: FunctionId, at: Nanos) {
        self.add(&mut lock(&self.agenda), at, Due::GoOn(function));
    }

    /// Schedules another attempt at a destroy.
    pub(super) fn repeat_destroy(&self, slot: SlotId, at: Nanos) {
        self.add(&mut lock(&self.agenda), at, Due::Destroy(slot));
    }

    /// Schedules the policy's next look at the ledger.
    pub(super) fn review(&self, at: Nanos) {
        self.add(&mut lock(&self.agenda), at, Due::Review);
    }

    /// Schedules the next step of a pass over busy instances.
    pub(super) fn leases(&self, at: Nanos) {
        self.add(&mut lock(&self.agenda), at, Due::Leases);
    }

    /// Takes one thing that is due, disarming its function's timer.
    pub(super) fn pop<'a>(&self, now: Nanos, armed: impl Fn(FunctionId) -> &'a AtomicU64) -> Option<Due> {
        let mut agenda = lock(&self.agenda);
        agenda.first().filter(|&(at, _)| at <= now)?;
        let (_, due) = agenda.pop()?;
        if let Due::Function(id) = due {
            armed(id).store(u64::MAX, Ordering::Relaxed);
        }
        self.publish(&agenda);
        drop(agenda);
        // Disarmed before its instances are looked at: the other half is in `Engine::release`.
        fence(Ordering::SeqCst);
        Some(due)
    }

    /// When the next entry comes up.
    pub(super) fn next(&self) -> Option<Nanos> {
        let earliest = self.earliest.load(Ordering::Relaxed);
        (earliest != u64::MAX).then_some(Nanos(earliest))
    }

    fn add(&self, agenda: &mut Agenda, at: Nanos, due: Due) {
        agenda.add(at, due);
        self.publish(agenda);
    }

    fn publish(&self, agenda: &Agenda) {
        let earliest = agenda.first().map_or(u64::MAX, |(at, _)| at.0);
        self.earliest.store(earliest, Ordering::Relaxed);
    }
}

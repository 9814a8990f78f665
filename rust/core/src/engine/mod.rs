//! The engine: tables, pools and policy put together. One file a subject, each an `impl Engine`.

mod assign;
mod drain;
mod idle;
mod snapshot;
mod start;
mod sweep;
mod timers;

use std::collections::{BTreeMap, VecDeque};

pub use assign::Assign;
pub use idle::Idle;
pub use snapshot::{FunctionTotals, Live, Snapshot};

use self::timers::Timers;
use crate::config::EngineConfig;
use crate::error::EngineError;
use crate::ids::{FunctionId, SlotId};
use crate::ledger::{Account, Counter};
use crate::nanos::Nanos;
use crate::sync::{AtomicU8, AtomicU64, Mutex, Ordering};
use crate::table::{Function, FunctionRef, FunctionSpec, FunctionTable, Slot, SlotTable, State, Word};

/// The scaler's mind. See the crate's documentation for the contract with its host.
#[derive(Debug)]
pub struct Engine {
    config: EngineConfig,
    functions: FunctionTable,
    slots: SlotTable,
    timers: Timers,
    /// Memory size → functions that wait for a slot of that size and would take over another's cancelled start, oldest first.
    seekers: Mutex<BTreeMap<u32, VecDeque<FunctionId>>>,
    /// Requests waiting, over all functions.
    waiting: AtomicU64,
    /// Smoothed duration of CreateSlot in ns, over all functions: creating is the platform's work, not the function's.
    create_ns: AtomicU64,
    live: LiveCount,
    /// A [`Phase`].
    phase: AtomicU8,
}

/// Slots that exist, and the most there ever were.
#[derive(Debug, Default)]
struct LiveCount {
    slots: AtomicU64,
    memory_mb: AtomicU64,
    peak_slots: AtomicU64,
    peak_memory_mb: AtomicU64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
enum Phase {
    Running = 0,
    /// No new requests; what ends is retired.
    Draining = 1,
}

impl Engine {
    /// Creates an engine without functions or slots.
    #[must_use]
    pub fn new(config: EngineConfig) -> Self {
        Self {
            functions: FunctionTable::new(config.max_functions),
            slots: SlotTable::new(),
            timers: Timers::new(),
            seekers: Mutex::new(BTreeMap::new()),
            waiting: AtomicU64::new(0),
            create_ns: AtomicU64::new(0),
            live: LiveCount::default(),
            phase: AtomicU8::new(Phase::Running as u8),
            config,
        }
    }

    /// Finds the function, or registers it.
    ///
    /// # Errors
    ///
    /// [`EngineError::TooManyFunctions`], [`EngineError::TooManyVersions`].
    pub fn function(&self, wanted: &FunctionRef<'_>) -> Result<FunctionId, EngineError> {
        self.functions.find_or_create(wanted)
    }

    /// Has a function of this key ever been registered?
    #[must_use]
    pub fn knows_key(&self, key: &str) -> bool {
        self.functions.knows_key(key)
    }

    /// What a function was registered with; `None` for an id that is not of this engine.
    #[must_use]
    pub fn spec(&self, function: FunctionId) -> Option<&FunctionSpec> {
        self.functions.find(function).map(|function| &function.spec)
    }

    /// The function that holds a live slot.
    #[must_use]
    pub fn function_of(&self, slot: SlotId) -> Option<FunctionId> {
        let (slot, _) = self.slots.find(slot)?;
        Some(FunctionId(slot.function.load(Ordering::Relaxed)))
    }

    /// The text of the policy in force.
    #[must_use]
    pub fn policy(&self) -> &str {
        &self.config.policy.text
    }

    fn draining(&self) -> bool {
        self.phase.load(Ordering::Relaxed) == Phase::Draining as u8
    }

    /// The slot of a host's report, if it is in one of the states the report fits.
    fn reported(&self, id: SlotId, states: &[State]) -> Result<(&Slot, Word), EngineError> {
        self.slots.find(id).filter(|(_, word)| states.contains(&word.state())).ok_or(EngineError::SlotNotFound(id))
    }

    fn holder(&self, slot: &Slot) -> (FunctionId, &Function) {
        let id = FunctionId(slot.function.load(Ordering::Relaxed));
        (id, self.functions.at(id))
    }

    /// Ends the slot's present state in the ledger.
    fn book(function: &Function, slot: &Slot, account: Account, now: Nanos) {
        function.ledger.book_slot(account, slot.restart_clock(now));
    }

    fn slot_appeared(&self, memory_mb: u32) {
        let slots = self.live.slots.fetch_add(1, Ordering::Relaxed) + 1;
        self.live.peak_slots.fetch_max(slots, Ordering::Relaxed);
        let memory = self.live.memory_mb.fetch_add(u64::from(memory_mb), Ordering::Relaxed) + u64::from(memory_mb);
        self.live.peak_memory_mb.fetch_max(memory, Ordering::Relaxed);
    }

    /// Forgets a slot that has just become vacant.
    fn slot_vanished(&self, index: u32, function: &Function) {
        function.ledger.count(Counter::Destroyed);
        self.live.slots.fetch_sub(1, Ordering::Relaxed);
        self.live.memory_mb.fetch_sub(u64::from(function.spec.memory_mb), Ordering::Relaxed);
        self.slots.release(index);
    }
}

/// Smooths a duration: an exponentially weighted mean that moves a quarter of the way to each new value; 0 means none yet.
fn smooth(mean: &AtomicU64, observed: Nanos) {
    let before = mean.load(Ordering::Relaxed);
    let after = if before == 0 { observed.0 } else { before - before / 4 + observed.0 / 4 };
    // A racing observation may be lost: it is one sample of a mean.
    mean.store(after, Ordering::Relaxed);
}

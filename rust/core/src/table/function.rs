//! One function: what names it, what looks after it, and everything that is kept about it.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use papaya::Equivalent;

use super::trouble::Trouble;
use crate::command::Bound;
use crate::ids::FunctionId;
use crate::ledger::FunctionLedger;
use crate::policy::{FunctionPolicy, Policy};
use crate::pool::{Descent, Pool, Waiters};
use crate::sync::{AtomicU32, AtomicU64, Mutex, Ordering};

/// What makes two functions the same: every field. A redeployment that changes one is a new function; instances of the old one
/// are no longer asked for and their keep-alive runs out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FunctionRef<'a> {
    /// The platform's name of the function (wire: `Meta.key`).
    pub key: &'a str,
    /// Language runtime, passed through to Init.
    pub runtime: &'a str,
    /// Longest execution in seconds, passed through to Init.
    pub timeout_s: u32,
    /// Memory of its slots in MB.
    pub memory_mb: u32,
}

/// The owned form of [`FunctionRef`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FunctionSpec {
    /// See [`FunctionRef::key`].
    pub key: Box<str>,
    /// See [`FunctionRef::runtime`].
    pub runtime: Box<str>,
    /// See [`FunctionRef::timeout_s`].
    pub timeout_s: u32,
    /// See [`FunctionRef::memory_mb`].
    pub memory_mb: u32,
}

impl From<&FunctionRef<'_>> for FunctionSpec {
    fn from(wanted: &FunctionRef<'_>) -> Self {
        let FunctionRef { key, runtime, timeout_s, memory_mb } = *wanted;
        Self { key: key.into(), runtime: runtime.into(), timeout_s, memory_mb }
    }
}

/// Of the key alone, which every request pays for: versions of one key are few.
impl Hash for FunctionRef<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.key.hash(state);
    }
}

/// Like [`FunctionRef`]'s.
impl Hash for FunctionSpec {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.key.hash(state);
    }
}

impl Equivalent<Arc<FunctionSpec>> for FunctionRef<'_> {
    fn equivalent(&self, spec: &Arc<FunctionSpec>) -> bool {
        *spec.key == *self.key && spec.memory_mb == self.memory_mb && spec.timeout_s == self.timeout_s && *spec.runtime == *self.runtime
    }
}

/// Which function a place belongs to, and what looks after it.
#[derive(Debug)]
pub(crate) struct Identity {
    pub(crate) spec: Arc<FunctionSpec>,
    pub(crate) policy: Box<dyn FunctionPolicy>,
}

impl Identity {
    pub(super) fn new(wanted: &FunctionRef<'_>, policy: &dyn Policy) -> Self {
        let spec = Arc::new(FunctionSpec::from(wanted));
        Self { policy: policy.function(&spec), spec }
    }
}

/// A place in the function table: everything the engine keeps about one function, laid out by who writes it:
///
/// | bytes | what | written by |
/// |---|---|---|
/// | 0–63 | identity, memory, generation, duration of Init | starts, one word |
/// | 64–127 | hand-off word, stack, timer; counts that starts and failures move | every warm Assign and Idle |
/// | 128– | the ledger, the part behind the lock | whatever is not warm |
///
/// No two functions share a line, nor a pair of lines that the processor fetches together.
#[derive(Debug)]
#[repr(C, align(128))]
pub(crate) struct Function {
    /// The first function that has had the place. Those of later generations are in the table.
    pub(super) first: Identity,
    /// The first function's key once more, beside what else an Idle reads.
    pub(super) key: Box<str>,
    /// Memory of the present function's slots in MB.
    pub(super) memory_mb: AtomicU32,
    /// Uses of the place: even while a function has it, odd while it is vacant.
    pub(super) generation: AtomicU32,
    pub(crate) index: u32,
    /// Smoothed duration of its Inits in ns; 0: none seen.
    pub(crate) init_ns: AtomicU64,
    /// Free instances and the hand-off word, which counts the demand too.
    pub(crate) pool: Pool,
    /// When the timer of this function fires; `u64::MAX`: not armed.
    pub(crate) armed: AtomicU64,
    /// Instances whose last request failed.
    pub(crate) failing: AtomicU32,
    /// Slots that are booked on it, whatever their state.
    pub(crate) slots: AtomicU32,
    /// When a request last waited for it or one of its slots was gone, in ns; `u64::MAX` before the first.
    pub(crate) used: AtomicU64,
    pub(crate) ledger: FunctionLedger,
    /// What only waiting, starting and retiring touch.
    pub(crate) cold: Mutex<Cold>,
}

/// The part of a function behind its lock. No warm Assign or Idle takes it.
#[derive(Debug, Default)]
pub(crate) struct Cold {
    pub(crate) waiters: Waiters,
    /// Starts whose CreateSlot is in flight.
    pub(crate) creating: u32,
    /// Starts whose Init is in flight.
    pub(crate) initialising: u32,
    /// The function stands in the queue for slots that others no longer need.
    pub(crate) seeks_spare: bool,
    /// Instances to have whatever the demand, as the policy last said.
    pub(crate) target: u32,
    /// Place in the queue of those whose starts wait.
    pub(crate) ticket: Option<u64>,
    /// What a start did not get since the function was last swept.
    pub(crate) shortage: Option<Bound>,
    /// It stands in the queue of those whose starts the platform's throttle holds.
    pub(crate) held: bool,
    /// It wanted a start since its last sweep began, which is why it stands there.
    pub(crate) asked_for_turn: bool,
    /// A visit to the free instances that is to be gone on with: the timers know of it.
    pub(crate) descent: Option<Box<Descent>>,
    /// What has gone wrong with it lately.
    pub(crate) trouble: Option<Box<Trouble>>,
}

impl Cold {
    /// What has gone wrong, to add to it.
    pub(crate) fn trouble(&mut self) -> &mut Trouble {
        self.trouble.get_or_insert_default()
    }

    /// Nothing is under way that would come back to the function. (Slots are counted elsewhere.)
    pub(super) fn is_at_rest(&self) -> bool {
        self.waiters.len() == 0 && self.starting() == 0 && self.ticket.is_none() && !self.held && self.descent.is_none()
    }

    /// Forgets the function, but not what its waiters were called: a name of one is not another's.
    pub(super) fn renew(&mut self) {
        *self = Self { waiters: std::mem::take(&mut self.waiters), ..Self::default() };
    }

    /// Starts in flight.
    pub(crate) fn starting(&self) -> u32 {
        self.creating + self.initialising
    }

    /// A request waits for a slot that is still being created, or may not be or has no room to be: another function's would serve it sooner.
    pub(crate) fn wants_spare(&self) -> bool {
        (self.creating > 0 || self.ticket.is_some() || self.held) && self.waiters.len() > self.initialising
    }
}

impl Function {
    /// Instances that execute a request or are free. Under threads a measure: an instance that becomes free meanwhile may be missed but is
    /// not counted twice, because it leaves the demand before it counts as free.
    pub(crate) fn instances(&self, cold: &Cold) -> u32 {
        let (balance, demand) = self.pool.balance_and_demand();
        demand.saturating_sub(cold.waiters.len()) + u32::try_from(balance).unwrap_or(0)
    }

    pub(super) fn new(first: Identity, index: u32) -> Self {
        Self {
            key: first.spec.key.clone(),
            memory_mb: AtomicU32::new(first.spec.memory_mb),
            first,
            generation: AtomicU32::new(0),
            index,
            pool: Pool::new(),
            ledger: FunctionLedger::default(),
            armed: AtomicU64::new(u64::MAX),
            failing: AtomicU32::new(0),
            init_ns: AtomicU64::new(0),
            cold: Mutex::new(Cold::default()),
            slots: AtomicU32::new(0),
            used: AtomicU64::new(u64::MAX),
        }
    }

    #[inline]
    pub(crate) fn memory_mb(&self) -> u32 {
        self.memory_mb.load(Ordering::Relaxed)
    }

    /// The name of the function that has the place now.
    #[inline]
    pub(crate) fn id(&self) -> FunctionId {
        FunctionId { index: self.index, generation: self.generation.load(Ordering::Acquire) }
    }

    pub(crate) fn is_vacant(&self) -> bool {
        self.generation.load(Ordering::Acquire) % 2 == 1
    }

    /// May it be given up, as far as is seen without its lock?
    pub(super) fn seems_at_rest(&self) -> bool {
        self.slots.load(Ordering::Acquire) == 0 && self.pool.balance_and_demand() == (0, 0) && !self.is_vacant()
    }
}

#[cfg(all(test, not(pilotlight_loom)))]
mod tests {
    use std::mem::offset_of;

    use super::Function;

    #[test]
    fn what_warm_requests_write_is_one_cache_line_and_what_they_only_read_another() {
        assert_eq!(offset_of!(Function, first), 0);
        assert!(offset_of!(Function, generation) < 64 && offset_of!(Function, init_ns) < 64);
        assert_eq!(offset_of!(Function, pool), 64);
        assert_eq!(offset_of!(Function, ledger), 128);
        assert_eq!((align_of::<Function>(), size_of::<Function>()), (128, 640));
    }
}

//! The function table: found by key through a lock-free map, created once, never moved, never removed.

use std::sync::OnceLock;

use super::chunked::Chunked;
use crate::command::Bound;
use crate::error::EngineError;
use crate::ids::FunctionId;
use crate::ledger::FunctionLedger;
use crate::policy::{FunctionPolicy, Policy};
use crate::pool::{Descent, Pool, Waiters};
use crate::sync::{AtomicU32, AtomicU64, Mutex, Ordering, lock};

/// What makes two functions the same: every field. A redeployment that changes one is a new function; instances of the old one
/// are no longer asked for and their keep-alive runs out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
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

impl FunctionSpec {
    fn matches(&self, other: &FunctionRef<'_>) -> bool {
        *self.key == *other.key && self.memory_mb == other.memory_mb && self.timeout_s == other.timeout_s && *self.runtime == *other.runtime
    }
}

/// Everything the engine keeps about one function, laid out by who writes it:
///
/// | bytes | what | written by |
/// |---|---|---|
/// | 0–63 | policy, spec, duration of Init | starts, one word |
/// | 64–127 | hand-off word, stack, timer | every warm Assign and Idle |
/// | 128– | the ledger, the part behind the lock | whatever is not warm |
///
/// No two functions share a line, nor a pair of lines that the processor fetches together.
#[derive(Debug)]
#[repr(C, align(128))]
pub(crate) struct Function {
    /// What is decided for it, and what was learnt of it.
    pub(crate) policy: Box<dyn FunctionPolicy>,
    pub(crate) spec: FunctionSpec,
    /// Smoothed duration of its Inits in ns; 0: none seen.
    pub(crate) init_ns: AtomicU64,
    /// Free instances and the hand-off word, which counts the demand too.
    pub(crate) pool: Pool,
    /// When the timer of this function fires; `u64::MAX`: not armed.
    pub(crate) armed: AtomicU64,
    pub(crate) ledger: FunctionLedger,
    /// What only waiting, starting and retiring touch.
    pub(crate) cold: Mutex<Cold>,
    /// The function with the same key that this one replaced.
    older: Option<FunctionId>,
    /// Functions with this key up to this one.
    version: u32,
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
    /// A visit to the free instances that is to be gone on with: the timers know of it.
    pub(crate) descent: Option<Box<Descent>>,
}

impl Cold {
    /// Starts in flight.
    pub(crate) fn starting(&self) -> u32 {
        self.creating + self.initialising
    }

    /// A request waits for a slot that is still being created, or has no room to be: another function's would serve it sooner.
    pub(crate) fn wants_spare(&self) -> bool {
        (self.creating > 0 || self.ticket.is_some()) && self.waiters.len() > self.initialising
    }
}

/// Versions of one key that are told apart: a look-up walks them from the newest.
const MOST_VERSIONS: u32 = 64;

/// All functions of an engine.
#[derive(Debug)]
pub(crate) struct FunctionTable {
    /// Key → the newest function of that key.
    by_key: papaya::HashMap<Box<str>, FunctionId, foldhash::fast::RandomState>,
    functions: Chunked<OnceLock<Box<Function>>>,
    /// Functions below this index exist. Written under `creation`.
    len: AtomicU32,
    creation: Mutex<()>,
    limit: u32,
}

impl FunctionTable {
    pub(crate) fn new(limit: u32) -> Self {
        Self {
            by_key: papaya::HashMap::with_hasher(foldhash::fast::RandomState::default()),
            functions: Chunked::new(),
            len: AtomicU32::new(0),
            creation: Mutex::new(()),
            limit,
        }
    }

    /// The function's entry. Ids come from this table, so it exists.
    pub(crate) fn at(&self, id: FunctionId) -> &Function {
        self.find(id).expect("function ids come from this table")
    }

    /// The entry of an id from outside.
    pub(crate) fn find(&self, id: FunctionId) -> Option<&Function> {
        self.functions.get(id.0)?.get().map(AsRef::as_ref)
    }

    /// Is there, or was there ever, a function of this key?
    pub(crate) fn knows_key(&self, key: &str) -> bool {
        self.by_key.pin().contains_key(key)
    }

    /// Finds the function or creates it.
    ///
    /// # Errors
    ///
    /// [`EngineError::TooManyFunctions`], [`EngineError::TooManyVersions`].
    pub(crate) fn find_or_create(&self, wanted: &FunctionRef<'_>, policy: &dyn Policy) -> Result<FunctionId, EngineError> {
        if let Some(id) = self.lookup(wanted) {
            return Ok(id);
        }
        let creation = lock(&self.creation);
        // Another thread may have created it between the look and the lock.
        if let Some(id) = self.lookup(wanted) {
            return Ok(id);
        }
        let index = self.len.load(Ordering::Relaxed);
        if index >= self.limit {
            return Err(EngineError::TooManyFunctions { limit: self.limit });
        }
        let id = FunctionId(index);
        let map = self.by_key.pin();
        let older = map.get(wanted.key).copied();
        let version = older.map_or(1, |older| self.at(older).version + 1);
        if version > MOST_VERSIONS {
            return Err(EngineError::TooManyVersions { limit: MOST_VERSIONS });
        }
        self.functions.get_or_grow(index).get_or_init(|| Box::new(Function::new(wanted, older, version, policy)));
        // Release: whoever reads the new length, or finds the id in the map, finds the entry filled.
        self.len.store(index + 1, Ordering::Release);
        map.insert(wanted.key.into(), id);
        drop(creation);
        Ok(id)
    }

    fn lookup(&self, wanted: &FunctionRef<'_>) -> Option<FunctionId> {
        let mut candidate = self.by_key.pin().get(wanted.key).copied();
        while let Some(id) = candidate {
            let function = self.at(id);
            if function.spec.matches(wanted) {
                return Some(id);
            }
            candidate = function.older;
        }
        None
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (FunctionId, &Function)> {
        let len = self.len.load(Ordering::Acquire);
        (0..len).map(|index| (FunctionId(index), self.at(FunctionId(index))))
    }
}

impl Function {
    /// Instances that execute a request or are free. Under threads a measure: an instance that becomes free meanwhile may be missed but is
    /// not counted twice, because it leaves the demand before it counts as free.
    pub(crate) fn instances(&self, cold: &Cold) -> u32 {
        let (balance, demand) = self.pool.balance_and_demand();
        demand.saturating_sub(cold.waiters.len()) + u32::try_from(balance).unwrap_or(0)
    }

    fn new(wanted: &FunctionRef<'_>, older: Option<FunctionId>, version: u32, policy: &dyn Policy) -> Self {
        let spec = FunctionSpec {
            key: wanted.key.into(),
            runtime: wanted.runtime.into(),
            timeout_s: wanted.timeout_s,
            memory_mb: wanted.memory_mb,
        };
        Self {
            policy: policy.function(&spec),
            spec,
            older,
            version,
            pool: Pool::new(),
            ledger: FunctionLedger::default(),
            armed: AtomicU64::new(u64::MAX),
            init_ns: AtomicU64::new(0),
            cold: Mutex::new(Cold::default()),
        }
    }
}

#[cfg(all(test, not(pilotlight_loom)))]
mod tests {
    use std::mem::offset_of;

    use super::{Function, FunctionRef, FunctionTable};
    use crate::error::EngineError;
    use crate::nanos::Nanos;
    use crate::policy::Fixed;

    const POLICY: Fixed = Fixed { keep_alive: Nanos::ZERO };
    const A: FunctionRef<'_> = FunctionRef { key: "a", runtime: "go", timeout_s: 60, memory_mb: 128 };

    #[test]
    fn what_warm_requests_write_is_one_cache_line_and_what_they_only_read_another() {
        assert_eq!(offset_of!(Function, policy), 0);
        assert_eq!(offset_of!(Function, pool), 64);
        assert_eq!(offset_of!(Function, ledger), 128);
        assert_eq!((align_of::<Function>(), size_of::<Function>()), (128, 640));
    }

    #[test]
    fn a_changed_field_makes_another_function_and_both_stay_known() {
        let table = FunctionTable::new(10);
        let old = table.find_or_create(&A, &POLICY).unwrap();
        let new = table.find_or_create(&FunctionRef { memory_mb: 256, ..A }, &POLICY).unwrap();
        assert_ne!(old, new);
        assert_eq!(table.find_or_create(&A, &POLICY), Ok(old));
        assert_eq!(table.iter().count(), 2);
        assert!(table.knows_key("a"));
        assert!(!table.knows_key("b"));
    }

    #[test]
    fn a_key_that_keeps_changing_is_refused_after_64_versions() {
        let table = FunctionTable::new(1000);
        let known = (0..1000).filter(|&timeout_s| table.find_or_create(&FunctionRef { timeout_s, ..A }, &POLICY).is_ok()).count();
        assert_eq!(known, 64);
        assert!(table.find_or_create(&FunctionRef { key: "b", ..A }, &POLICY).is_ok());
    }

    #[test]
    fn a_full_table_refuses_new_functions_and_keeps_the_old() {
        let table = FunctionTable::new(1);
        let id = table.find_or_create(&A, &POLICY).unwrap();
        let refused = table.find_or_create(&FunctionRef { key: "b", ..A }, &POLICY);
        assert_eq!(refused, Err(EngineError::TooManyFunctions { limit: 1 }));
        assert_eq!(table.find_or_create(&A, &POLICY), Ok(id));
    }
}

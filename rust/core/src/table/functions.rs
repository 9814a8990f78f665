//! The function table: found by all of what names a function through a lock-free map, in places
//! that never move.
//!
//! # Places that are given up
//!
//! Once there are as many functions as there may be, those at rest give their places up to new
//! ones, the least recently used first: functions without a slot, a start or a request that waits.
//! So do versions of one key.
//!
//! A place that is given up becomes vacant under its function's lock, in which it is seen to be at
//! rest and its generation moves on; what its function booked goes to the account of those given
//! up. Its memory is not released, since others may be looking at it: the words in it serve the
//! next function. Only who the place belongs to and what looks after it cannot be stored over while
//! others read. So a place's first function has these in the place, and the functions of later
//! generations have theirs in a lock-free map.
//!
//! A name tells its generation, and whoever comes with an old one is told so: under the function's
//! lock, or after having taken an instance, which a function at rest does not have. That one was
//! the next function's then, and is given back.
//!
//! # Cost
//!
//! A look-up is one in a lock-free map. A request for a function in a place that was given up
//! before makes four more of them, and counts references. Giving up looks at every function, once
//! for a sixteenth of the places.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use super::chunked::Chunked;
use super::function::{Function, FunctionRef, FunctionSpec, Identity};
use crate::error::EngineError;
use crate::ids::FunctionId;
use crate::ledger::Reading;
use crate::policy::{FunctionPolicy, Policy};
use crate::sync::{AtomicU32, AtomicU64, Mutex, MutexGuard, Ordering, lock, try_lock};

/// Versions of one key that are told apart.
const MOST_VERSIONS: u32 = 64;
/// Of all places, this share is given up at once.
const GIVEN_UP_AT_ONCE: u32 = 16;

type Map<K, V> = papaya::HashMap<K, V, foldhash::fast::RandomState>;

/// All functions of an engine.
#[derive(Debug)]
pub(crate) struct FunctionTable {
    by_spec: Map<Arc<FunctionSpec>, FunctionId>,
    functions: Chunked<OnceLock<Box<Function>>>,
    /// Functions of places that were given up before, by place.
    renewed: Map<u32, Arc<Identity>>,
    /// Places below this index exist. Written under `creation`.
    len: AtomicU32,
    creation: Mutex<Creation>,
    /// What functions that were given up had booked. Held while a reader adds up all accounts.
    given_up: Mutex<Reading>,
    given_up_count: AtomicU64,
    refused: AtomicU64,
    limit: u32,
}

#[derive(Debug, Default)]
struct Creation {
    /// Places of the functions of one key, the oldest first.
    versions: HashMap<Box<str>, Vec<u32>, foldhash::fast::RandomState>,
    vacant: Vec<u32>,
}

impl FunctionTable {
    pub(crate) fn new(limit: u32) -> Self {
        let map = foldhash::fast::RandomState::default;
        Self {
            by_spec: papaya::HashMap::with_hasher(map()),
            functions: Chunked::new(),
            renewed: papaya::HashMap::with_hasher(map()),
            len: AtomicU32::new(0),
            creation: Mutex::new(Creation::default()),
            given_up: Mutex::new(Reading::default()),
            given_up_count: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            limit,
        }
    }

    /// The place of an index that comes from this table.
    pub(crate) fn at(&self, index: u32) -> &Function {
        self.place(index).expect("places come from this table")
    }

    /// The place of an index from outside.
    pub(crate) fn place(&self, index: u32) -> Option<&Function> {
        self.functions.get(index)?.get().map(AsRef::as_ref)
    }

    /// The function of a name from outside, if it was not given up.
    pub(crate) fn find(&self, id: FunctionId) -> Option<&Function> {
        self.place(id.index).filter(|function| function.id() == id)
    }

    /// Asks what looks after a function.
    #[inline]
    pub(crate) fn ask<T>(&self, function: &Function, question: impl FnOnce(&dyn FunctionPolicy) -> T) -> T {
        if function.generation.load(Ordering::Acquire) == 0 {
            return question(&*function.first.policy);
        }
        let identity = self.renewed(function);
        question(identity.as_ref().map_or(&*function.first.policy, |identity| &*identity.policy))
    }

    pub(crate) fn spec(&self, function: &Function) -> Arc<FunctionSpec> {
        self.renewed(function).map_or_else(|| Arc::clone(&function.first.spec), |identity| Arc::clone(&identity.spec))
    }

    #[inline]
    pub(crate) fn is_of_key(&self, function: &Function, key: &str) -> bool {
        if function.generation.load(Ordering::Acquire) == 0 {
            return *function.key == *key;
        }
        self.renewed(function).is_some_and(|identity| *identity.spec.key == *key)
    }

    /// The identity of a function that does not have it in its place.
    #[cold]
    fn renewed(&self, function: &Function) -> Option<Arc<Identity>> {
        self.renewed.pin().get(&function.index).cloned()
    }

    /// Is a function of this key known?
    pub(crate) fn knows_key(&self, key: &str) -> bool {
        lock(&self.creation).versions.contains_key(key)
    }

    /// Finds the function or creates it.
    ///
    /// # Errors
    ///
    /// [`EngineError::TooManyFunctions`], [`EngineError::TooManyVersions`].
    pub(crate) fn find_or_create(&self, wanted: &FunctionRef<'_>, policy: &dyn Policy) -> Result<FunctionId, EngineError> {
        if let Some(&id) = self.by_spec.pin().get(wanted) {
            return Ok(id);
        }
        let mut creation = lock(&self.creation);
        // Another thread may have created it between the look and the lock.
        if let Some(&id) = self.by_spec.pin().get(wanted) {
            return Ok(id);
        }
        if let Err(error) = self.make_room(wanted, &mut creation) {
            self.refused.fetch_add(1, Ordering::Relaxed);
            return Err(error);
        }
        let identity = Identity::new(wanted, policy);
        let spec = Arc::clone(&identity.spec);
        let index = creation.vacant.pop().unwrap_or_else(|| self.len.load(Ordering::Relaxed));
        if let Some(function) = self.place(index) {
            function.memory_mb.store(spec.memory_mb, Ordering::Relaxed);
            self.renewed.pin().insert(index, Arc::new(identity));
            // Release: whoever reads the new generation finds the identity.
            function.generation.fetch_add(1, Ordering::Release);
        } else {
            self.functions.get_or_grow(index).get_or_init(|| Box::new(Function::new(identity, index)));
            // Release: whoever reads the new length, or finds the id in the map, finds the entry
            // filled.
            self.len.store(index + 1, Ordering::Release);
        }
        let id = self.at(index).id();
        creation.versions.entry(spec.key.clone()).or_default().push(index);
        self.by_spec.pin().insert(spec, id);
        Ok(id)
    }

    /// Sees to it that there is a place, and that the key may have one more version.
    fn make_room(&self, wanted: &FunctionRef<'_>, creation: &mut MutexGuard<'_, Creation>) -> Result<(), EngineError> {
        let versions = creation.versions.get(wanted.key).filter(|versions| versions.len() >= MOST_VERSIONS as usize);
        if let Some(versions) = versions {
            let versions = versions.clone();
            if self.give_up_of(versions.into_iter(), 1, creation) == 0 {
                return Err(EngineError::TooManyVersions { limit: MOST_VERSIONS });
            }
        }
        let full = creation.vacant.is_empty() && self.len.load(Ordering::Relaxed) >= self.limit;
        if full && self.give_up_of(0..self.limit, (self.limit / GIVEN_UP_AT_ONCE).max(1), creation) == 0 {
            return Err(EngineError::TooManyFunctions { limit: self.limit });
        }
        Ok(())
    }

    /// Gives up at most so many of the functions in these places, the least recently used first;
    /// returns how many.
    fn give_up_of(&self, places: impl Iterator<Item = u32>, most: u32, creation: &mut Creation) -> u32 {
        let at_rest = |&index: &u32| self.at(index).seems_at_rest();
        let mut order: Vec<_> = places.filter(at_rest).map(|index| (self.at(index).used.load(Ordering::Relaxed), index)).collect();
        order.sort_unstable();
        let mut given_up = 0;
        for (_, index) in order {
            if given_up < most && self.give_up(self.at(index), creation) {
                given_up += 1;
            }
        }
        given_up
    }

    /// Makes a place vacant, if its function is at rest.
    ///
    /// # Ordering
    ///
    /// Requests join the function under the lock and only if the generation is theirs, so none is
    /// there and none comes. A slot leaves the count, with release, when all of it is booked.
    fn give_up(&self, function: &Function, creation: &mut Creation) -> bool {
        let mut given_up = lock(&self.given_up);
        let Some(mut cold) = try_lock(&function.cold) else { return false };
        if !cold.is_at_rest() || !function.seems_at_rest() {
            return false;
        }
        let spec = self.spec(function);
        self.by_spec.pin().remove(&spec);
        let versions = creation.versions.get_mut(&spec.key).expect("each function is a version of its key");
        versions.retain(|&version| version != function.index);
        if versions.is_empty() {
            creation.versions.remove(&spec.key);
        }
        given_up.add_all(&function.ledger.take(), spec.memory_mb);
        function.generation.fetch_add(1, Ordering::Release);
        cold.renew();
        function.init_ns.store(0, Ordering::Relaxed);
        function.used.store(u64::MAX, Ordering::Relaxed);
        self.renewed.pin().remove(&function.index);
        creation.vacant.push(function.index);
        self.given_up_count.fetch_add(1, Ordering::Relaxed);
        true
    }

    /// How many places there are.
    pub(crate) fn places(&self) -> usize {
        self.len.load(Ordering::Acquire) as usize
    }

    /// Functions that there are.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Function> {
        let len = self.len.load(Ordering::Acquire);
        (0..len).map(|index| self.at(index)).filter(|function| !function.is_vacant())
    }

    /// What functions that were given up had booked. None is given up while the guard is held.
    pub(crate) fn given_up(&self) -> MutexGuard<'_, Reading> {
        lock(&self.given_up)
    }

    /// How many functions were given up, and how many were refused.
    pub(crate) fn turnover(&self) -> (u64, u64) {
        (self.given_up_count.load(Ordering::Relaxed), self.refused.load(Ordering::Relaxed))
    }
}

#[cfg(all(test, not(pilotlight_loom)))]
mod tests {
    use super::{FunctionRef, FunctionTable};
    use crate::error::EngineError;
    use crate::nanos::Nanos;
    use crate::policy::Fixed;
    use crate::sync::Ordering;

    const POLICY: Fixed = Fixed { keep_alive: Nanos::ZERO };
    const A: FunctionRef<'_> = FunctionRef { key: "a", runtime: "go", timeout_s: 60, memory_mb: 128 };

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
    fn a_key_that_keeps_changing_keeps_its_newest_64_versions() {
        let table = FunctionTable::new(1000);
        let version = |timeout_s| FunctionRef { timeout_s, ..A };
        let ids: Vec<_> = (0..1000).map(|timeout_s| table.find_or_create(&version(timeout_s), &POLICY).unwrap()).collect();
        assert_eq!(ids.iter().filter(|&&id| table.find(id).is_some()).count(), 64);
        assert_eq!(table.places(), 64);
        assert!(table.knows_key("a"));
    }

    #[test]
    fn a_place_that_was_given_up_belongs_to_its_next_function_alone() {
        let table = FunctionTable::new(1);
        let mut last = table.find_or_create(&A, &POLICY).unwrap();
        for number in 0..100 {
            let (key, memory_mb) = (number.to_string(), 200 + number);
            let id = table.find_or_create(&FunctionRef { key: &key, memory_mb, ..A }, &POLICY).unwrap();
            assert!(table.find(last).is_none(), "the name of the one before is unknown");
            let function = table.find(id).unwrap();
            assert!(table.is_of_key(function, &key) && !table.is_of_key(function, "a"));
            assert_eq!((function.memory_mb(), table.spec(function).memory_mb), (memory_mb, memory_mb));
            assert!(table.knows_key(&key) && !table.knows_key("a"));
            assert_eq!(table.find_or_create(&FunctionRef { key: &key, memory_mb, ..A }, &POLICY), Ok(id));
            last = id;
        }
        assert_eq!((table.places(), table.turnover()), (1, (100, 0)));
    }

    #[test]
    fn a_table_full_of_functions_in_use_refuses_new_ones_and_keeps_the_old() {
        let table = FunctionTable::new(1);
        let id = table.find_or_create(&A, &POLICY).unwrap();
        table.find(id).unwrap().slots.fetch_add(1, Ordering::Relaxed);
        let refused = table.find_or_create(&FunctionRef { key: "b", ..A }, &POLICY);
        assert_eq!(refused, Err(EngineError::TooManyFunctions { limit: 1 }));
        assert_eq!(table.find_or_create(&A, &POLICY), Ok(id));
        assert_eq!(table.turnover(), (0, 1));
    }
}

//! The slot table: one cache line a slot, one packed word for its state.
//!
//! # The state word
//!
//! | bits  | field      | meaning |
//! |-------|------------|---------|
//! | 0–2   | state      | [`State`]; bits 3–5 are free |
//! | 6–7   | failures   | requests in a row that have failed on this instance, at most three |
//! | 8–31  | epoch      | requests this slot was given, after 2²⁴ − 1 from 1 again: makes a compare-exchange by a late Idle fail |
//! | 32–63 | generation | uses of this place in the table, modulo 2³² |
//!
//! # Ordering
//!
//! The word changes by compare-exchange, acquire and release: who wins a transition owns the slot's other fields until its next one.
//! Out of the states in which a slot already has one owner (free and taken off its stack, vacant and allocated) that owner stores the
//! word, with release. The other fields are published by the word, or by the hand-off word when the slot becomes free; those of the account
//! (holder, clock) are read by anyone at any time and say how themselves.

use crossbeam_utils::CachePadded;

use super::chunked::Chunked;
use super::clock::{Began, SlotClock, Span, is_busy, measured};
use crate::ids::{RequestTag, SlotId};
use crate::ledger::{Account, SlotTime};
use crate::nanos::Nanos;
use crate::sync::{AtomicF64, AtomicU32, AtomicU64, Mutex, Ordering, lock};

/// What a place in the slot table is up to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum State {
    /// No slot here.
    Vacant = 0,
    /// CreateSlot was issued.
    Creating = 1,
    /// Init was issued.
    Initialising = 2,
    /// An instance that serves nobody.
    Idle = 3,
    /// An instance that serves a request.
    Busy = 4,
    /// DestroySlot was issued.
    Retiring = 5,
    /// CreateSlot got no answer: the platform may hold a slot whose name we do not know.
    Abandoned = 6,
    /// DestroySlot failed; it will be issued again.
    Leaked = 7,
}

impl State {
    /// Every state, in the order of its number.
    const ALL: [Self; 8] =
        [Self::Vacant, Self::Creating, Self::Initialising, Self::Idle, Self::Busy, Self::Retiring, Self::Abandoned, Self::Leaked];

    /// How time in this state is booked; `None` where there is no slot.
    pub(crate) fn account(self) -> Option<Account> {
        match self {
            Self::Vacant => None,
            Self::Creating | Self::Initialising => Some(Account::Starting),
            Self::Idle => Some(Account::Idle),
            Self::Busy => Some(Account::Busy),
            Self::Retiring => Some(Account::Retiring),
            Self::Abandoned | Self::Leaked => Some(Account::Leaked),
        }
    }
}

/// An instance on which so many requests in a row have failed is replaced (`engine::failing`).
pub(crate) const FAILURES: u64 = 3;

/// After this epoch comes the first again.
const LAST_EPOCH: u64 = (1 << 24) - 1;

/// A value of the state word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Word(u64);

impl Word {
    /// The bits that stay for as long as a slot is there.
    const FAILED: u64 = 0xc0;

    pub(crate) fn state(self) -> State {
        State::ALL[(self.0 & 0x7) as usize]
    }

    pub(crate) fn generation(self) -> u32 {
        (self.0 >> 32) as u32
    }

    fn epoch(self) -> u64 {
        self.0 >> 8 & LAST_EPOCH
    }

    /// Requests in a row that have failed on this instance; [`FAILURES`] stands for more as well.
    pub(crate) fn failures(self) -> u64 {
        (self.0 & Self::FAILED) >> 6
    }

    /// Has its last request failed?
    pub(crate) fn is_failing(self) -> bool {
        self.failures() > 0
    }

    /// With one more failure in a row.
    pub(crate) fn failed_once_more(self) -> Self {
        Self(self.0 & !Self::FAILED | (self.failures() + 1).min(FAILURES) << 6)
    }

    /// Without a failure.
    pub(crate) fn did_well(self) -> Self {
        Self(self.0 & !Self::FAILED)
    }

    /// The word after a transition. A slot that becomes busy enters a new epoch, one that becomes vacant a new generation.
    fn with(self, state: State) -> Self {
        let bits = match state {
            State::Busy => (self.0 & (0xffff_ffff_0000_0000 | Self::FAILED)) | (self.epoch() % LAST_EPOCH + 1) << 8,
            State::Vacant => (u64::from(self.generation().wrapping_add(1))) << 32,
            _ => self.0 & (!0xff | Self::FAILED),
        };
        Self(bits | state as u64)
    }
}

/// One slot. Fields other than the word belong to whoever made the word's last transition.
#[derive(Debug, Default)]
#[repr(align(64))]
pub(crate) struct Slot {
    word: AtomicU64,
    /// Below this one on its function's stack of free instances (index + 1; 0 = bottom).
    pub(crate) next: AtomicU32,
    /// The place of the function that holds the slot; its memory is the slot's size.
    function: AtomicU32,
    /// Busy: tag of the request it serves. Leaked or repeating its destroy: failed destroys so far.
    pub(crate) owner: AtomicU64,
    /// What its time went to.
    pub(crate) clock: SlotClock,
    /// Idle: when its keep-alive is over. A sweep may move it to another instance of the function (`engine::overdue`).
    pub(crate) due: AtomicU64,
    /// Idle, under a memory limit: what keeping it is worth (`engine::evict`).
    pub(crate) worth: AtomicF64,
}

impl Slot {
    pub(crate) fn word(&self) -> Word {
        Word(self.word.load(Ordering::Acquire))
    }

    /// Moves the slot from exactly `from` to `state`; the loser of a race gets nothing and must change nothing.
    pub(crate) fn transition(&self, from: Word, state: State) -> bool {
        self.transition_from(from, from, state)
    }

    /// [`Slot::transition`] with other failures: `after` is `from` with them.
    pub(crate) fn transition_from(&self, from: Word, after: Word, state: State) -> bool {
        self.word.compare_exchange(from.0, after.with(state).0, Ordering::AcqRel, Ordering::Relaxed).is_ok()
    }

    /// Moves a slot that only the caller can move, a free one it has taken or a vacant place it was given: no other transition can
    /// be under way, so this one needs no compare-exchange.
    pub(crate) fn move_own(&self, from: Word, state: State) {
        debug_assert_eq!(self.word(), from, "a slot of one's own moves by one's own hand only");
        self.word.store(from.with(state).0, Ordering::Release);
    }

    /// Gives a free instance that the caller has taken to a request.
    ///
    /// The second result: requests to be booked as given now, because the epoch that counted them begins anew.
    pub(crate) fn serve(&self, request: RequestTag, now: Nanos) -> (Word, Option<u64>) {
        self.clock.turn_busy(now);
        self.owner.store(request.0, Ordering::Relaxed);
        let free = self.word();
        assert!(free.state() == State::Idle, "a taken instance belongs to its taker");
        self.move_own(free, State::Busy);
        (free, (free.epoch() == LAST_EPOCH).then_some(LAST_EPOCH))
    }

    /// Ends what the slot's clock measures at a transition the caller has just made, or may make alone, and measures something else.
    pub(crate) fn close(&self, span: Span, now: Nanos) -> Closed {
        let instance = (self.clock.began().span() == Span::Instance).then(|| self.word());
        Closed {
            given: instance.map_or(0, Word::epoch),
            was_failing: instance.is_some_and(Word::is_failing),
            time: self.clock.begin(span, now),
        }
    }

    /// When its present account began: a start, an instance.
    pub(crate) fn began(&self) -> Nanos {
        Nanos(self.clock.began().at())
    }

    /// Since when the instance of this word has been busy; `None`: it is so no longer.
    pub(crate) fn busy_since(&self, word: Word) -> Option<Nanos> {
        let turned = self.clock.turned();
        (word.state() == State::Busy && self.word() == word).then_some(turned)
    }

    /// The place of the function that holds it.
    pub(crate) fn holder(&self) -> u32 {
        self.function.load(Ordering::Acquire)
    }

    /// Who has just allocated the slot, or found it between functions, gives it to one.
    pub(crate) fn give(&self, place: u32) {
        self.function.store(place, Ordering::Release);
    }

    /// What is to be added to what its function's ledger has booked, as of `now`, and the function. `None`: there is no slot.
    ///
    /// # Ordering
    ///
    /// One after the other, all acquire: the clock's beginning, the epoch, the clock's other half, the beginning once more, until it has
    /// not changed, and no other slot has the place. A request that is over by the clock is so by the epoch read before, and one that the clock does not know to be over
    /// counts as going on: never more have ended than did.
    pub(crate) fn account(&self, now: Nanos) -> Option<(u32, SlotAccount)> {
        loop {
            let began = self.clock.began();
            let (function, word, busy) = (self.holder(), self.word(), self.clock.busy());
            if self.clock.began() == began && self.word().generation() == word.generation() {
                return SlotAccount::of(began, word, busy, now).map(|account| (function, account));
            }
        }
    }
}

/// What a slot's clock has ceased to measure.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Closed {
    /// Requests that an instance was given; they are over.
    pub(crate) given: u64,
    /// It was an instance whose last request failed.
    pub(crate) was_failing: bool,
    pub(crate) time: SlotTime,
}

/// What a slot counted and measured for its function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SlotAccount {
    /// Requests that were given the instance.
    pub(crate) given: u64,
    /// Those of them that no longer have it.
    pub(crate) ended: u64,
    pub(crate) time: SlotTime,
}

impl SlotAccount {
    fn of(began: Began, word: Word, busy: i64, now: Nanos) -> Option<Self> {
        let given = match began.span() {
            Span::Nothing => return None,
            Span::Instance => word.epoch(),
            _ => 0,
        };
        Some(Self { given, ended: given.saturating_sub(u64::from(is_busy(busy))), time: measured(began, busy, now) })
    }
}

/// All slots of an engine, live ones counted, vacant places reused.
#[derive(Debug)]
pub(crate) struct SlotTable {
    slots: Chunked<Slot>,
    places: CachePadded<Mutex<Places>>,
}

#[derive(Debug, Default)]
struct Places {
    /// Vacated indices; the last one is reused first, which keeps runs reproducible and the table dense.
    vacant: Vec<u32>,
    /// Indices below this have been used.
    used: u32,
}

impl SlotTable {
    pub(crate) fn new() -> Self {
        Self { slots: Chunked::new(), places: CachePadded::new(Mutex::new(Places::default())) }
    }

    /// Takes a vacant place; its state is still `Vacant`.
    pub(crate) fn allocate(&self) -> (u32, &Slot) {
        let index = {
            let mut places = lock(&self.places);
            places.vacant.pop().unwrap_or_else(|| {
                places.used = places.used.checked_add(1).expect("2^32 slots exceed any platform");
                places.used - 1
            })
        };
        (index, self.slots.get_or_grow(index))
    }

    /// Gives back a place whose word is `Vacant` again.
    pub(crate) fn release(&self, index: u32) {
        lock(&self.places).vacant.push(index);
    }

    /// The slot at an index that was allocated before.
    pub(crate) fn at(&self, index: u32) -> &Slot {
        self.slots.get(index).expect("indices come from allocate()")
    }

    /// The slot of an id from outside, with its word, if that generation is still there.
    pub(crate) fn find(&self, id: SlotId) -> Option<(&Slot, Word)> {
        let slot = self.slots.get(id.index)?;
        let word = slot.word();
        (word.generation() == id.generation && word.state() != State::Vacant).then_some((slot, word))
    }

    /// Every place that was ever used, vacant ones included.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, &Slot)> {
        self.iter_from(0)
    }

    /// [`SlotTable::iter`] from an index on.
    pub(crate) fn iter_from(&self, first: u32) -> impl Iterator<Item = (u32, &Slot)> {
        let used = lock(&self.places).used;
        (first..used).filter_map(|index| Some((index, self.slots.get(index)?)))
    }
}

#[cfg(all(test, not(pilotlight_loom)))]
mod tests {
    use super::{LAST_EPOCH, Slot, SlotTable, Span, State, Word};
    use crate::ids::{RequestTag, SlotId};
    use crate::nanos::Nanos;

    #[test]
    fn a_slot_fills_one_cache_line() {
        assert_eq!(size_of::<Slot>(), 64);
    }

    #[test]
    fn busy_enters_a_new_epoch_and_vacant_a_new_generation() {
        let idle = Word(0).with(State::Idle);
        let busy = idle.with(State::Busy);
        assert_ne!(busy, busy.with(State::Idle).with(State::Busy));
        assert_eq!(busy.state(), State::Busy);
        assert_eq!(busy.generation(), 0);
        assert_eq!(busy.with(State::Vacant).generation(), 1);
        let last = Word(u64::from(u32::MAX) << 32 | 0xffff_ff03);
        assert_eq!((last.with(State::Busy).generation(), last.with(State::Busy).epoch()), (u32::MAX, 1));
        assert_eq!(last.with(State::Vacant), Word(0));
    }

    #[test]
    fn requests_are_counted_past_the_last_epoch() {
        let slot = Slot::default();
        slot.give(7);
        slot.close(Span::Instance, Nanos(10));
        slot.move_own(Word(0), State::Idle);
        slot.word.fetch_add((LAST_EPOCH - 1) << 8, super::Ordering::Relaxed);
        let mut booked = 0;
        for request in 0..3 {
            booked += slot.serve(RequestTag(request), Nanos(20)).1.unwrap_or(0);
            let (holder, busy) = slot.account(Nanos(25)).unwrap();
            assert_eq!((holder, booked + busy.given, booked + busy.ended), (7, LAST_EPOCH + request, LAST_EPOCH + request - 1));
            assert!(slot.transition(slot.word(), State::Idle));
            slot.clock.turn_free(Nanos(20));
            assert_eq!(booked + slot.account(Nanos(25)).unwrap().1.ended, LAST_EPOCH + request);
        }
        assert_eq!(booked + slot.close(Span::Retiring, Nanos(30)).given, LAST_EPOCH + 2);
    }

    #[test]
    fn a_place_is_reused_under_another_generation() {
        let table = SlotTable::new();
        let (index, slot) = table.allocate();
        let first = slot.word();
        assert!(slot.transition(first, State::Creating));
        assert!(!slot.transition(first, State::Creating), "a word that moved on accepts no stale transition");
        assert!(slot.transition(slot.word(), State::Vacant));
        table.release(index);
        assert_eq!(table.allocate().0, index);
        assert_eq!(slot.word().generation(), 1);
    }

    #[test]
    fn an_id_names_a_slot_of_its_generation_while_there_is_one() {
        let table = SlotTable::new();
        let (index, slot) = table.allocate();
        let [first, second] = [0, 1].map(|generation| SlotId { index, generation });
        let known = || [first, second].map(|id| table.find(id).is_some());
        assert_eq!(known(), [false, false]);
        slot.move_own(slot.word(), State::Creating);
        assert_eq!(known(), [true, false]);
        slot.move_own(slot.word(), State::Vacant);
        assert_eq!(known(), [false, false]);
        slot.move_own(slot.word(), State::Creating);
        assert_eq!(known(), [false, true]);
    }
}

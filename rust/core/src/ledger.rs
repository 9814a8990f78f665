//! The one account of cost: seconds waited by cause, slot time by state, and how often everything happened.
//!
//! Each function has a ledger of counters that only its own events touch; [`Totals`] is a copy of one, or the sum of many, at a moment.
//! What warm requests move is not in it: each instance counts its requests and splits its time into busy and free by itself
//! (`table::clock`), and that is booked here, in nanoseconds per function (a slot's memory is its function's), when the instance ends.
//! Until then it is added when the ledger is read. Scores, "wasted memory" and money are views computed from it elsewhere.
//!
//! # Ordering
//!
//! At rest a copy is exact. Under threads two numbers of it may be an event apart, and what an instance booked between the looks at
//! the ledger and at the instance is missing. Nothing is ever there twice: see [`FunctionLedger`]. Time that still runs is what the
//! reader's clock makes it: a report that comes with an earlier moment than a copy had takes back the difference.

use crate::nanos::Nanos;
use crate::sync::{AtomicU64, Ordering};
use crate::table::SlotAccount;

/// How slot time is booked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Account {
    /// From CreateSlot's issue until Init is done.
    Starting,
    /// A free instance.
    Idle,
    /// Serving a request.
    Busy,
    /// From DestroySlot's issue until it is confirmed.
    Retiring,
    /// The platform may still hold it and we could not get rid of it: its create got no answer, or its destroy failed.
    Leaked,
}

impl Account {
    /// Every account, in the order of [`Totals::slot_ns`].
    pub const ALL: [Self; 5] = [Self::Starting, Self::Idle, Self::Busy, Self::Retiring, Self::Leaked];

    /// Name in reports.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        ["starting", "idle", "busy", "retiring", "leaked"][self as usize]
    }
}

/// Why a request waited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WaitCause {
    /// It got an instance that had just been started.
    ColdStart,
    /// It got an instance that another request had used.
    Handoff,
    /// It got none: deadline, failed starts, cancelled, shutdown.
    Failed,
}

impl WaitCause {
    /// Every cause, in the order of [`Totals::wait_ns`].
    pub const ALL: [Self; 3] = [Self::ColdStart, Self::Handoff, Self::Failed];

    /// Name in reports.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        ["cold_start", "handoff", "failed"][self as usize]
    }
}

/// What the ledger counts. One line a counter: its name in reports is its name here.
macro_rules! counters {
    ($($(#[$meta:meta])* $variant:ident => $name:literal,)+) => {
        /// Something that is counted.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Counter { $($(#[$meta])* $variant,)+ }

        impl Counter {
            /// Every counter, in the order of [`Totals::counts`].
            pub const ALL: &[Self] = &[$(Self::$variant,)+];

            /// Name in reports.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name,)+ }
            }
        }
    };
}

counters! {
    /// Requests that found a free instance.
    WarmStarts => "warm_starts",
    /// Requests that found none and waited.
    Queued => "queued",
    /// Waiting requests served by a fresh instance.
    ColdStarts => "cold_starts",
    /// Waiting requests served by a freed instance.
    Handoffs => "handoffs",
    /// Waiting requests whose deadline passed.
    Expired => "expired",
    /// Waiting requests whose client went away.
    Cancelled => "cancelled",
    /// Waiting requests given up because starts failed.
    StartsExhausted => "starts_exhausted",
    /// Waiting requests answered by the shutdown.
    ShutOut => "shut_out",
    /// Idles that freed an instance.
    Idles => "idles",
    /// Idles of a request that no longer held the instance.
    IdleDuplicates => "idle_duplicates",
    /// Assigned instances whose reply could not be delivered.
    Abandoned => "abandoned",
    /// CreateSlot commands issued.
    Starts => "starts",
    /// Starts that no waiting request asked for: the policy wanted an instance ready ahead of demand.
    StartsAhead => "starts_ahead",
    /// Requests that were let wait without a start of their own: what they would wait was worth less than a start.
    HeldBack => "held_back",
    /// CreateSlot and Init commands that failed.
    StartsFailed => "starts_failed",
    /// CreateSlot and Init commands that the platform answered with Throttle; none of them counts as failed.
    StartsThrottled => "starts_throttled",
    /// Starts given up before Init because nobody needed them.
    StartsCancelled => "starts_cancelled",
    /// Slots taken over from another function's cancelled start.
    SlotsReused => "slots_reused",
    /// Free instances retired.
    Retired => "retired",
    /// Instances destroyed because request after request failed on them.
    Replaced => "replaced",
    /// Busy instances destroyed because no Idle came for a multiple of their function's timeout.
    LeasesExpired => "leases_expired",
    /// Free instances given up because memory was short.
    Evicted => "evicted",
    /// Slots whose end was confirmed.
    Destroyed => "destroyed",
    /// CreateSlot commands that certainly made no slot.
    NeverCreated => "never_created",
    /// CreateSlot commands that may have made a slot, and whose answer nobody waits for any more.
    WrittenOff => "written_off",
    /// DestroySlot commands that failed.
    DestroyFailures => "destroy_failures",
}

const COUNTERS: usize = Counter::ALL.len();

/// Time by [`Account`], in ns.
pub(crate) type SlotTime = [u64; Account::ALL.len()];

/// One function's account, except for what its slots still keep themselves (`table::SlotAccount`).
///
/// # Ordering
///
/// Nothing is in a [`Reading`] twice. An instance's account is closed before it is booked, with release, and what is booked is
/// read, with acquire, before the slots are: it may be missed in both places and is not found in both. Requests that were given an
/// instance but were no warm starts, or no longer have it but sent no Idle, are counted here before their slot counts them, and read
/// after the slots: none is taken for what it is not.
#[derive(Debug)]
#[repr(align(64))]
pub(crate) struct FunctionLedger {
    /// By [`Counter`]; [`Counter::WarmStarts`] and [`Counter::Idles`] follow from the others and stay 0 here.
    counts: [AtomicU64; COUNTERS],
    /// Requests that instances were given to, as far as it is booked. All of them are over.
    given: AtomicU64,
    /// Requests whose instance was destroyed under them.
    cut_short: AtomicU64,
    /// By [`Account`].
    slot: [Wide; Account::ALL.len()],
    wait: [Wide; WaitCause::ALL.len()],
}

impl Default for FunctionLedger {
    fn default() -> Self {
        let zero = || AtomicU64::new(0);
        Self {
            counts: std::array::from_fn(|_| zero()),
            given: zero(),
            cut_short: zero(),
            slot: std::array::from_fn(|_| Wide::default()),
            wait: std::array::from_fn(|_| Wide::default()),
        }
    }
}

impl FunctionLedger {
    /// Takes all that is booked away.
    pub(crate) fn take(&self) -> Self {
        let take = |word: &AtomicU64| AtomicU64::new(word.swap(0, Ordering::AcqRel));
        let wide = |sum: &Wide| Wide { low: take(&sum.low), high: take(&sum.high) };
        Self {
            counts: self.counts.each_ref().map(take),
            given: take(&self.given),
            cut_short: take(&self.cut_short),
            slot: self.slot.each_ref().map(wide),
            wait: self.wait.each_ref().map(wide),
        }
    }

    pub(crate) fn count(&self, counter: Counter) {
        debug_assert!(!matches!(counter, Counter::WarmStarts | Counter::Idles), "these follow from the others");
        self.counts[counter as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a request whose instance is destroyed under it.
    pub(crate) fn count_cut_short(&self) {
        self.cut_short.fetch_add(1, Ordering::Relaxed);
    }

    /// Books requests that were given an instance and are over, after the slot has ceased to count them.
    pub(crate) fn book_given(&self, requests: u64) {
        self.given.fetch_add(requests, Ordering::Release);
    }

    /// Books what a slot has ceased to measure.
    pub(crate) fn book_slot(&self, time: &SlotTime) {
        for (sum, &time) in self.slot.iter().zip(time) {
            if time > 0 {
                sum.add(time);
            }
        }
    }

    pub(crate) fn book_wait(&self, cause: WaitCause, time: Nanos) {
        self.wait[cause as usize].add(time.0);
    }
}

/// The account being added up: of one function, or of all.
#[derive(Clone, Debug, Default)]
pub(crate) struct Reading {
    totals: Totals,
    given: u64,
    ended: u64,
    cut_short: u64,
}

impl Reading {
    /// First: what a function's slots have booked.
    pub(crate) fn add_booked(&mut self, ledger: &FunctionLedger, memory_mb: u32) {
        let given = ledger.given.load(Ordering::Acquire);
        self.given += given;
        self.ended += given;
        self.totals.add_time(std::array::from_fn(|account| ledger.slot[account].read()), memory_mb);
    }

    /// Then: what its slots still keep.
    pub(crate) fn add_slot(&mut self, slot: &SlotAccount, memory_mb: u32) {
        self.given += slot.given;
        self.ended += slot.ended;
        self.totals.add_time(slot.time.map(u128::from), memory_mb);
    }

    /// At last: everything else of it.
    pub(crate) fn add_events(&mut self, ledger: &FunctionLedger) {
        add_each(&mut self.totals.counts, &ledger.counts.each_ref().map(|count| count.load(Ordering::Relaxed)));
        add_each(&mut self.totals.wait_ns, &ledger.wait.each_ref().map(Wide::read));
        self.cut_short += ledger.cut_short.load(Ordering::Relaxed);
    }

    /// All of a function that has no slots.
    pub(crate) fn add_all(&mut self, ledger: &FunctionLedger, memory_mb: u32) {
        self.add_booked(ledger, memory_mb);
        self.add_events(ledger);
    }

    pub(crate) fn totals(mut self) -> Totals {
        let [cold_starts, handoffs, abandoned] =
            [Counter::ColdStarts, Counter::Handoffs, Counter::Abandoned].map(|counter| self.totals.count(counter));
        self.totals.counts[Counter::WarmStarts as usize] = self.given.saturating_sub(cold_starts + handoffs);
        self.totals.counts[Counter::Idles as usize] = self.ended.saturating_sub(abandoned + self.cut_short);
        self.totals
    }
}

/// A sum of nanoseconds that cannot overflow: 2⁶⁴ ns are 584 instance-years, which a thousand instances reach in seven months.
#[derive(Debug, Default)]
struct Wide {
    low: AtomicU64,
    high: AtomicU64,
}

impl Wide {
    fn add(&self, amount: u64) {
        let before = self.low.fetch_add(amount, Ordering::Release);
        if before.checked_add(amount).is_none() {
            self.high.fetch_add(1, Ordering::Release);
        }
    }

    /// The high word first: between the two of an addition too little is read and not too much.
    fn read(&self) -> u128 {
        let high = self.high.load(Ordering::Acquire);
        u128::from(high) << 64 | u128::from(self.low.load(Ordering::Acquire))
    }
}

/// A copy of a ledger. Exact integers: two equal runs have equal totals.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// By [`Counter`].
    pub counts: [u64; COUNTERS],
    /// Slot time in ns by [`Account`].
    pub slot_ns: [u128; Account::ALL.len()],
    /// Slot time weighted with memory, in MB·ns, by [`Account`].
    pub slot_mb_ns: [u128; Account::ALL.len()],
    /// Seconds waited, in ns, by [`WaitCause`].
    pub wait_ns: [u128; WaitCause::ALL.len()],
}

impl Totals {
    /// One counter.
    #[must_use]
    pub fn count(&self, counter: Counter) -> u64 {
        self.counts[counter as usize]
    }

    /// Requests that asked for an instance.
    #[must_use]
    pub fn assigns(&self) -> u64 {
        self.count(Counter::WarmStarts) + self.count(Counter::Queued)
    }

    /// Requests that were answered with an error.
    #[must_use]
    pub fn failed(&self) -> u64 {
        [Counter::Expired, Counter::Cancelled, Counter::StartsExhausted, Counter::ShutOut].map(|counter| self.count(counter)).iter().sum()
    }

    /// Memory-time of one account in GB·s.
    #[must_use]
    pub fn gb_s(&self, account: Account) -> f64 {
        self.slot_mb_ns[account as usize] as f64 / 1024.0 / 1e9
    }

    /// Seconds waited for one cause.
    #[must_use]
    pub fn wait_s(&self, cause: WaitCause) -> f64 {
        self.wait_ns[cause as usize] as f64 / 1e9
    }

    fn add_time(&mut self, slot_ns: [u128; Account::ALL.len()], memory_mb: u32) {
        add_each(&mut self.slot_ns, &slot_ns);
        add_each(&mut self.slot_mb_ns, &slot_ns.map(|time| time * u128::from(memory_mb)));
    }
}

fn add_each<T: Copy + std::ops::AddAssign>(sums: &mut [T], amounts: &[T]) {
    for (sum, &amount) in sums.iter_mut().zip(amounts) {
        *sum += amount;
    }
}

#[cfg(all(test, not(pilotlight_loom)))]
mod tests {
    use super::{Account, Counter, FunctionLedger, Reading, Totals, WaitCause};
    use crate::nanos::Nanos;
    use crate::table::SlotAccount;

    fn booked(ledger: &FunctionLedger, memory_mb: u32) -> Totals {
        let mut reading = Reading::default();
        reading.add_booked(ledger, memory_mb);
        reading.add_events(ledger);
        reading.totals()
    }

    #[test]
    fn sums_of_time_carry_past_64_bits() {
        let ledger = FunctionLedger::default();
        for _ in 0..2 {
            ledger.book_slot(&[u64::MAX; 5]);
            for cause in WaitCause::ALL {
                ledger.book_wait(cause, Nanos::MAX);
            }
        }
        let totals = booked(&ledger, 1);
        assert_eq!(totals.slot_ns, [2 * u128::from(u64::MAX); 5]);
        assert_eq!(totals.wait_ns, [2 * u128::from(u64::MAX); 3]);
    }

    #[test]
    fn memory_time_is_slot_time_by_memory() {
        let ledger = FunctionLedger::default();
        ledger.book_slot(&[0, Nanos::from_secs(3).0, 0, 0, 0]);
        let totals = booked(&ledger, 512);
        assert!((totals.gb_s(Account::Idle) - 1.5).abs() < 1e-12);
    }

    #[test]
    fn warm_starts_and_idles_follow_from_what_slots_count_and_what_is_no_such_thing() {
        let ledger = FunctionLedger::default();
        ledger.book_given(5);
        for counter in [Counter::Queued, Counter::ColdStarts, Counter::Queued, Counter::Handoffs, Counter::Abandoned] {
            ledger.count(counter);
        }
        ledger.count_cut_short();
        let mut reading = Reading::default();
        reading.add_booked(&ledger, 128);
        reading.add_slot(&SlotAccount { given: 3, ended: 2, time: [0, 7, 9, 0, 0] }, 128);
        reading.add_events(&ledger);
        let totals = reading.totals();
        assert_eq!((totals.assigns(), totals.count(Counter::WarmStarts), totals.count(Counter::Idles)), (8, 6, 5));
        assert_eq!(totals.slot_mb_ns, [0, 7 * 128, 9 * 128, 0, 0]);
    }
}

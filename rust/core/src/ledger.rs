//! The one account of cost: seconds waited by cause, slot time by state, and how often everything happened.
//!
//! Each function has a ledger of relaxed counters that only its own events touch; [`Totals`] is a copy of one, or the sum of many, at a
//! moment. Slot time is booked when a slot changes state, in nanoseconds per function (a slot's memory is its function's), and the
//! states still open are added when the ledger is read. Scores, "wasted memory" and money are views computed from it elsewhere.
//!
//! # Ordering
//!
//! Counters are relaxed: under threads a copy is a snapshot in which each counter is exact but two may be an event apart.

use crate::nanos::Nanos;
use crate::sync::{AtomicU64, Ordering};

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
    /// Starts given up before Init because nobody needed them.
    StartsCancelled => "starts_cancelled",
    /// Slots taken over from another function's cancelled start.
    SlotsReused => "slots_reused",
    /// Free instances retired.
    Retired => "retired",
    /// Free instances given up because memory was short.
    Evicted => "evicted",
    /// Slots whose end was confirmed.
    Destroyed => "destroyed",
    /// DestroySlot commands that failed.
    DestroyFailures => "destroy_failures",
}

const COUNTERS: usize = Counter::ALL.len();

/// One function's account.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct FunctionLedger {
    warm: WarmLedger,
    /// By [`Counter`]; those of [`WarmLedger`] stay 0 here.
    counts: [AtomicU64; COUNTERS],
    /// By [`Account`]; of those of [`WarmLedger`] only the high words are used.
    slot: [Wide; Account::ALL.len()],
    wait: [Wide; WaitCause::ALL.len()],
}

/// What every warm request moves: it shares a cache line with the function's hand-off word (`table::Function`).
#[derive(Debug)]
#[repr(C)]
pub(crate) struct WarmLedger {
    warm_starts: AtomicU64,
    idles: AtomicU64,
    /// Low words of the time in these accounts.
    idle_ns: AtomicU64,
    busy_ns: AtomicU64,
}

impl Default for FunctionLedger {
    fn default() -> Self {
        let zero = || AtomicU64::new(0);
        Self {
            warm: WarmLedger { warm_starts: zero(), idles: zero(), idle_ns: zero(), busy_ns: zero() },
            counts: std::array::from_fn(|_| zero()),
            slot: std::array::from_fn(|_| Wide::default()),
            wait: std::array::from_fn(|_| Wide::default()),
        }
    }
}

impl FunctionLedger {
    pub(crate) fn count(&self, counter: Counter) {
        self.counter(counter).fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn book_slot(&self, account: Account, time: Nanos) {
        let (low, high) = self.account(account);
        add_wide(low, high, time.0);
    }

    pub(crate) fn book_wait(&self, cause: WaitCause, time: Nanos) {
        let Wide { low, high } = &self.wait[cause as usize];
        add_wide(low, high, time.0);
    }

    pub(crate) fn totals(&self, memory_mb: u32) -> Totals {
        let slot_ns = Account::ALL.map(|account| {
            let (low, high) = self.account(account);
            read_wide(low, high)
        });
        Totals {
            counts: std::array::from_fn(|counter| self.counter(Counter::ALL[counter]).load(Ordering::Relaxed)),
            slot_ns,
            slot_mb_ns: slot_ns.map(|time| time * u128::from(memory_mb)),
            wait_ns: std::array::from_fn(|cause| read_wide(&self.wait[cause].low, &self.wait[cause].high)),
        }
    }

    fn counter(&self, counter: Counter) -> &AtomicU64 {
        match counter {
            Counter::WarmStarts => &self.warm.warm_starts,
            Counter::Idles => &self.warm.idles,
            other => &self.counts[other as usize],
        }
    }

    /// Low and high word.
    fn account(&self, account: Account) -> (&AtomicU64, &AtomicU64) {
        let Wide { low, high } = &self.slot[account as usize];
        match account {
            Account::Idle => (&self.warm.idle_ns, high),
            Account::Busy => (&self.warm.busy_ns, high),
            _ => (low, high),
        }
    }
}

/// A sum of nanoseconds that cannot overflow: 2⁶⁴ ns are 584 instance-years, which a thousand instances reach in seven months.
#[derive(Debug, Default)]
struct Wide {
    low: AtomicU64,
    high: AtomicU64,
}

fn add_wide(low: &AtomicU64, high: &AtomicU64, amount: u64) {
    let before = low.fetch_add(amount, Ordering::Relaxed);
    if before.checked_add(amount).is_none() {
        high.fetch_add(1, Ordering::Relaxed);
    }
}

fn read_wide(low: &AtomicU64, high: &AtomicU64) -> u128 {
    u128::from(high.load(Ordering::Relaxed)) << 64 | u128::from(low.load(Ordering::Relaxed))
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

    pub(crate) fn add(&mut self, other: &Self) {
        add_each(&mut self.counts, &other.counts);
        add_each(&mut self.slot_ns, &other.slot_ns);
        add_each(&mut self.slot_mb_ns, &other.slot_mb_ns);
        add_each(&mut self.wait_ns, &other.wait_ns);
    }

    pub(crate) fn add_open(&mut self, account: Account, time: Nanos, memory_mb: u32) {
        self.slot_ns[account as usize] += u128::from(time.0);
        self.slot_mb_ns[account as usize] += u128::from(time.0) * u128::from(memory_mb);
    }
}

fn add_each<T: Copy + std::ops::AddAssign>(sums: &mut [T], amounts: &[T]) {
    for (sum, &amount) in sums.iter_mut().zip(amounts) {
        *sum += amount;
    }
}

#[cfg(all(test, not(pilotlight_loom)))]
mod tests {
    use super::{Account, Counter, FunctionLedger, WaitCause, WarmLedger};
    use crate::nanos::Nanos;

    #[test]
    fn sums_of_time_carry_past_64_bits() {
        let ledger = FunctionLedger::default();
        for _ in 0..2 {
            for account in Account::ALL {
                ledger.book_slot(account, Nanos::MAX);
            }
            for cause in WaitCause::ALL {
                ledger.book_wait(cause, Nanos::MAX);
            }
        }
        let totals = ledger.totals(1);
        assert_eq!(totals.slot_ns, [2 * u128::from(u64::MAX); 5]);
        assert_eq!(totals.wait_ns, [2 * u128::from(u64::MAX); 3]);
    }

    #[test]
    fn what_a_warm_request_moves_is_half_a_cache_line() {
        assert_eq!((size_of::<WarmLedger>(), std::mem::offset_of!(FunctionLedger, warm)), (32, 0));
    }

    #[test]
    fn memory_time_is_slot_time_by_memory() {
        let ledger = FunctionLedger::default();
        ledger.book_slot(Account::Idle, Nanos::from_secs(3));
        ledger.count(Counter::WarmStarts);
        let totals = ledger.totals(512);
        assert!((totals.gb_s(Account::Idle) - 1.5).abs() < 1e-12);
        assert_eq!(totals.assigns(), 1);
    }
}

//! The level-gap policy, Pilotlight's own: every demand level is kept, started and pre-warmed by what its own idle gaps cost.
//!
//! * **Keep** an instance for the window that is cheapest for the gaps of its level ([`window`]); what a miss would cost is a start, or
//!   only the wait for a busy instance where the others can carry the load ([`shortage`]).
//! * **Start** one more when the wait it saves is worth more than it holds ([`shortage`]), or would have been lately ([`regret`]).
//! * **Pre-warm** what ends its gaps at a time of its own, while that pays ([`forecast`]).
//!
//! No lock and no allocation on the warm path, except a lock of the function's own when a gap longer than a cold start ends and when a
//! window is found anew.
//!
//! # Memory
//!
//! A function takes under 4 KiB in all, the engine's own part included, while it never had more than 56 requests at once. Beyond,
//! it takes 190 bytes for each group of levels (two for each doubling) and 4 bytes for each level, and at most 270 KB.

mod explain;
mod forecast;
mod regret;
mod shortage;
mod window;

use std::sync::{Arc, OnceLock};

use self::forecast::{Forecast, Prices};
use self::regret::Regret;
use self::shortage::{Service, lengthened, worth_having};
use super::price::{Objective, Price};
use super::profile::{Classifier, Profiles};
use super::{Costs, Facts, FreeInstance, FunctionPolicy, Load, Policy, Queue, Start, Target};
use crate::demand::{BINS, GROUPS, GapCounts, LeftAt, Rates, bin_of, group_of, group_start};
use crate::nanos::Nanos;
use crate::sync::{AtomicBool, AtomicF32, AtomicF64, AtomicI64, AtomicU32, AtomicU64, Mutex, Ordering, lock};
use crate::table::FunctionSpec;

/// A start costs `m·c` GB·s, as much as `m·c / lambda` seconds of waiting: a request is let wait for a busy instance while no more than
/// that is foreseen, and at most so many times as long, because what is foreseen is a guess.
const AT_MOST: f64 = 1.5;
/// The share of the arrivals that is counted on to go on while a queue is worked off.
const GOING_ON: f64 = 0.25;
/// Levels that may be pre-warmed.
const FORESEEN: usize = 1;
/// Windows are found anew when their gaps have grown by one in so many, or what they depend on has changed by so much.
const REPLAN_GAPS: f64 = 16.0;
const REPLAN_CHANGE: f64 = 0.15;
/// The load is looked at with every so many gaps: to compute it takes as long as all the rest.
const LOAD_LOOKED_AT: u32 = 8;
/// Gaps that the neighbouring groups count as, and those of all functions.
const NEIGHBOURS: f64 = 4.0;
const CROWD: f64 = 1.0;
/// Each group tells the crowd its first gaps only: they are what newcomers resemble, and later ones would make functions contend.
const TOLD: u16 = 16;

/// Keeps, starts and pre-warms every demand level by what its own idle gaps cost; `docs/level-gap.md` derives it.
#[derive(Debug)]
pub struct LevelGap {
    shared: Arc<Shared>,
}

/// What all functions of the policy have in common.
#[derive(Debug)]
struct Shared {
    price: Price,
    profiles: Profiles,
    /// Gaps by bin, of all functions.
    crowd: [AtomicU32; BINS],
    /// Gaps of all functions that have begun and not ended.
    crowd_open: AtomicI64,
}

impl LevelGap {
    /// `objective` sets what a second of waiting is worth, `profiles` for whom it is worth more or less.
    #[must_use]
    pub fn new(objective: Objective, profiles: Profiles) -> Self {
        let crowd = std::array::from_fn(|_| AtomicU32::new(0));
        let crowd_open = AtomicI64::new(0);
        Self { shared: Arc::new(Shared { price: Price::new(objective), profiles, crowd, crowd_open }) }
    }
}

impl Policy for LevelGap {
    fn function(&self, spec: &FunctionSpec) -> Box<dyn FunctionPolicy> {
        Box::new(Function {
            shared: Arc::clone(&self.shared),
            class: Classifier::new(self.shared.profiles.names_vip(&spec.key)),
            memory_gb: f64::from(spec.memory_mb) / 1024.0,
            left: LeftAt::new(),
            groups: std::array::from_fn(|_| OnceLock::new()),
            rates: Rates::new(),
            start_s: AtomicF64::new(0.0),
            forecasts: std::array::from_fn(|_| Mutex::new(Forecast::default())),
            regret: Mutex::new(Regret::default()),
        })
    }

    fn review_every(&self) -> Option<Nanos> {
        self.shared.price.review_every()
    }

    fn review(&self, costs: &Costs) {
        self.shared.price.review(costs);
    }

    fn waited(&self, wait: Nanos) {
        self.shared.price.waited(wait);
    }
}

#[derive(Debug)]
struct Function {
    shared: Arc<Shared>,
    class: Classifier,
    memory_gb: f64,
    left: LeftAt,
    groups: [OnceLock<Box<[Group; GROUPS_A_CHUNK]>>; GROUPS / GROUPS_A_CHUNK],
    rates: Rates,
    /// What a start takes, in seconds, as of when a window was last found.
    start_s: AtomicF64,
    forecasts: [Mutex<Forecast>; FORESEEN],
    regret: Mutex<Regret>,
}

/// Groups are made this many at a time, when demand first reaches one of them.
const GROUPS_A_CHUNK: usize = 4;

/// A group of levels: its gaps, and the window found for them.
#[derive(Debug)]
struct Group {
    gaps: GapCounts,
    plan: Planned,
}

/// In place of a window that was not found yet.
const UNPLANNED: u64 = u64::MAX;

/// A window and what it was found for.
#[derive(Debug)]
struct Planned {
    /// A thread is finding a new one; the others go on with the old.
    busy: AtomicBool,
    /// In ns.
    keep_ns: AtomicU64,
    /// The price and load it was found for; a price of 0: none was found yet.
    lambda: AtomicF32,
    load: AtomicF32,
    /// It is found anew with more new gaps than this.
    enough: AtomicU32,
}

/// Why a window is what it is.
struct Evidence {
    own: f64,
    neighbours: f64,
    crowd: f64,
    miss: f64,
    window: window::Window,
}

impl FunctionPolicy for Function {
    fn demand_rose(&self, now: Nanos, level: u32) {
        self.rates.arrived(now);
        let Some(gap) = self.left.gap(level, now) else { return };
        let group = self.group(group_of(level));
        group.gaps.add(gap);
        if group.gaps.tell_end() {
            self.shared.crowd[bin_of(gap)].fetch_add(1, Ordering::Relaxed);
            self.shared.crowd_open.fetch_sub(1, Ordering::Relaxed);
        }
        if let Some(forecast) = self.forecasts.get(level as usize - 1) {
            let prices = self.prices();
            if gap.as_secs_f64() > prices.start_s {
                let mut forecast = lock(forecast);
                if prices.reward_foresight() {
                    forecast.learn(now, gap, group.plan.keep_s().max(prices.start_s), &prices);
                } else {
                    forecast.skip();
                }
            }
        }
    }

    fn demand_fell(&self, now: Nanos, level: u32, execution: Option<Nanos>) {
        self.left.leave(level, now);
        let group = self.group(group_of(level));
        if group.gaps.tell_beginning(TOLD) {
            self.shared.crowd_open.fetch_add(1, Ordering::Relaxed);
        }
        if let Some(time) = execution {
            self.rates.executed(time);
        }
    }

    fn keep_alive(&self, free: &FreeInstance) -> Nanos {
        let index = group_of(free.level);
        let group = self.group(index);
        let plan = &group.plan;
        if self.is_stale(group, free.facts.now) && !plan.busy.swap(true, Ordering::Acquire) {
            self.start_s.store(free.facts.cold_start.as_secs_f64());
            self.classify(&free.facts);
            let counts = group.gaps.take_in();
            let evidence = self.evidence(index, &counts, &free.facts);
            plan.keep_ns.store(Nanos::from_secs_f64(evidence.window.keep_s).0.min(UNPLANNED - 1), Ordering::Relaxed);
            plan.lambda.store(self.lambda());
            plan.load.store(self.load(free.facts.now));
            plan.enough.store(enough(&counts), Ordering::Relaxed);
            plan.busy.store(false, Ordering::Release);
        }
        let keep = plan.keep_ns.load(Ordering::Relaxed);
        // Another thread is just finding the first window: until then, as long as a start takes.
        if keep == UNPLANNED { free.facts.cold_start } else { Nanos(keep) }
    }

    fn start(&self, queue: &Queue) -> Start {
        let Queue { facts, waiting, starting, busy, uncovered_since, hypothetical } = *queue;
        let serving = busy + starting;
        // The account pays for one start: when a further one is thought of, that was the one refused.
        let regretted = !hypothetical && self.regrets(queue);
        if waiting <= starting {
            return Start::Enough;
        }
        if serving == 0 {
            return Start::Now;
        }
        if facts.cold_start == Nanos::ZERO {
            // Nothing is known of what a start takes: each further one wants twice the queue.
            let wanted = 1u32.checked_shl(serving).unwrap_or(u32::MAX);
            // A start in flight asks again when it ends; without one nobody would.
            return if starting == 0 || waiting >= wanted { Start::Now } else { Start::Enough };
        }
        if regretted {
            return Start::Now;
        }
        let (start_s, lambda) = (facts.cold_start.as_secs_f64(), self.lambda());
        let patience_s = self.memory_gb * start_s / lambda;
        if let Some(execution_s) = self.rates.service_s() {
            let uncovered = waiting - starting;
            if f64::from(uncovered) * execution_s / f64::from(serving) > patience_s {
                return Start::Now;
            }
            let arrivals = GOING_ON * self.rates.lately(facts.now);
            let service = Service { instances: f64::from(serving), execution_s, arrivals };
            if lambda * service.saved_by_one_more(uncovered, start_s) > self.memory_gb * start_s {
                return Start::Now;
            }
        }
        let limit = uncovered_since + Nanos::from_secs_f64(AT_MOST * patience_s);
        if facts.now >= limit { Start::Now } else { Start::Later(limit) }
    }

    fn started(&self) {
        lock(&self.regret).started();
    }

    fn target(&self, load: &Load) -> Target {
        let now = load.facts.now;
        let mut target = Target::NONE;
        for (level, forecast) in (1..).zip(&self.forecasts) {
            if load.demand >= level {
                continue;
            }
            let Some(gap) = self.left.gap(level, now) else { continue };
            let mut forecast = lock(forecast);
            if !forecast.pays() {
                continue;
            }
            let prices = Prices { start_s: load.facts.cold_start.as_secs_f64(), ..self.prices() };
            let (since_s, gap_s) = (forecast.since_onset_s(now), gap.as_secs_f64());
            let from_s = forecast.fell_s(gap, now) + gap_s.min(self.kept_s(level)).max(prices.start_s);
            let Some(plan) = forecast.plan(from_s, &prices) else { continue };
            let (start_at, until) = (plan.ready_s - prices.start_s, plan.until_s);
            let in_s = |moment: f64| now + Nanos::from_secs_f64(moment - since_s);
            if since_s < start_at {
                target.again = target.again.min(in_s(start_at));
            } else if since_s < until {
                target = Target { instances: target.instances.max(level), again: target.again.min(in_s(until)) };
            }
        }
        target
    }

    fn explain(&self, facts: &Facts) -> Vec<String> {
        self.account(facts)
    }
}

impl Function {
    fn group(&self, index: usize) -> &Group {
        let chunk = self.groups[index / GROUPS_A_CHUNK].get_or_init(|| Box::new(std::array::from_fn(|_| Group::new())));
        &chunk[index % GROUPS_A_CHUNK]
    }

    fn known_group(&self, index: usize) -> Option<&Group> {
        Some(&self.groups.get(index / GROUPS_A_CHUNK)?.get()?[index % GROUPS_A_CHUNK])
    }

    /// GB·s that a second of waiting is worth for this function.
    fn lambda(&self) -> f64 {
        self.shared.price.lambda() * self.shared.profiles.weight(self.class.class())
    }

    fn classify(&self, facts: &Facts) {
        let start_share = self.rates.service_s().map(|time| facts.cold_start.as_secs_f64() / time);
        self.class.look(start_share, self.forecasts.iter().any(|forecast| lock(forecast).pays()));
    }

    /// Requests that execute on average under the present load.
    fn load(&self, now: Nanos) -> f64 {
        self.rates.service_s().map_or(0.0, |time| time * self.rates.sustained(now))
    }

    /// Has what a group's window was found for changed enough to find it anew?
    fn is_stale(&self, group: &Group, now: Nanos) -> bool {
        let (plan, fresh) = (&group.plan, group.gaps.fresh());
        let (lambda, old_lambda) = (self.lambda(), plan.lambda.load());
        if fresh > plan.enough.load(Ordering::Relaxed) || (lambda - old_lambda).abs() > REPLAN_CHANGE * old_lambda {
            return true;
        }
        if !fresh.is_multiple_of(LOAD_LOOKED_AT) {
            return false;
        }
        let (load, old_load) = (self.load(now), plan.load.load());
        (load - old_load).abs() > REPLAN_CHANGE * (old_load + REPLAN_CHANGE)
    }

    fn prices(&self) -> Prices {
        Prices { start_s: self.start_s.load(), memory_gb: self.memory_gb, lambda: self.lambda() }
    }

    /// The window of a level, in seconds; 0 if none was found yet.
    fn kept_s(&self, level: u32) -> f64 {
        self.known_group(group_of(level)).map_or(0.0, |group| group.plan.keep_s())
    }

    /// Finds a group's window, and why.
    fn evidence(&self, index: usize, counts: &[u32; BINS], facts: &Facts) -> Evidence {
        let miss = self.miss(group_start(index), facts);
        let mut weights = counts.map(f64::from);
        let own = f64::from(counts.iter().sum::<u32>());
        let [below, above] =
            [index.wrapping_sub(1), index + 1].map(|near| self.known_group(near).map_or([0; BINS], |group| group.gaps.counts()));
        let neighbours = add(&mut weights, &std::array::from_fn(|bin| below[bin] + above[bin]), NEIGHBOURS);
        let mut everyone: [u32; BINS] = std::array::from_fn(|bin| self.shared.crowd[bin].load(Ordering::Relaxed));
        // A gap still open may yet end, but most that are open at any moment are long ones.
        let open = self.shared.crowd_open.load(Ordering::Relaxed).max(0);
        everyone[BINS - 1] = everyone[BINS - 1].saturating_add(u32::try_from(open).unwrap_or(u32::MAX));
        let crowd = add(&mut weights, &everyone, CROWD);
        let window = window::cheapest(&window::smoothed(&weights), self.memory_gb, miss);
        Evidence { own, neighbours, crowd, miss, window }
    }

    /// GB·s that it costs when a level returns and its instance is gone.
    fn miss(&self, level: u32, facts: &Facts) -> f64 {
        let (start_s, lambda) = (facts.cold_start.as_secs_f64(), self.lambda());
        let alone = (self.memory_gb + lambda) * start_s;
        let Some(execution_s) = self.rates.service_s().filter(|_| level > 1) else { return alone };
        let service = Service { instances: f64::from(level - 1), execution_s, arrivals: self.rates.sustained(facts.now) };
        let started = self.memory_gb * start_s + lambda * service.waited_for_a_start(start_s);
        let lengthened = lengthened(self.rates.variation());
        if level > worth_having(service.arrivals * execution_s, lengthened, self.memory_gb, lambda) + 1 {
            started.min(lambda * lengthened * service.waited_by_one_too_many())
        } else {
            started
        }
    }
}

/// New gaps after which a window found for these is to be found anew.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "counts are bounded")]
fn enough(counts: &[u32; BINS]) -> u32 {
    (f64::from(counts.iter().sum::<u32>()) / REPLAN_GAPS) as u32
}

/// Adds the sum of histograms to `weights`, scaled down to at most `most`; returns the weight added.
fn add(weights: &mut [f64; BINS], sum: &[u32; BINS], most: f64) -> f64 {
    let total = sum.iter().map(|&count| u64::from(count)).sum::<u64>() as f64;
    if total <= 0.0 {
        return 0.0;
    }
    let weight = total.min(most);
    let share = weight / total;
    for (bin, &count) in weights.iter_mut().zip(sum) {
        *bin += f64::from(count) * share;
    }
    weight
}

impl Group {
    fn new() -> Self {
        Self { gaps: GapCounts::new(), plan: Planned::new() }
    }
}

impl Planned {
    fn new() -> Self {
        let zero = AtomicF32::default;
        Self { busy: AtomicBool::new(false), keep_ns: AtomicU64::new(UNPLANNED), lambda: zero(), load: zero(), enough: AtomicU32::new(0) }
    }

    fn keep_s(&self) -> f64 {
        let keep = self.keep_ns.load(Ordering::Relaxed);
        if keep == UNPLANNED { 0.0 } else { Nanos(keep).as_secs_f64() }
    }
}

#[cfg(all(test, not(pilotlight_loom)))]
mod tests {
    use super::{FORESEEN, Function, GROUPS_A_CHUNK, Group};
    use crate::demand::group_of;

    #[test]
    fn a_function_that_ran_56_requests_at_once_takes_less_than_4_kib() {
        let chunks = group_of(56) / GROUPS_A_CHUNK + 1;
        // Levels come in chunks of 8, 16 and 32; a forecast holds up to sixteen gaps.
        let (levels, forecasts) = (56 * size_of::<u32>(), FORESEEN * 16 * size_of::<f64>());
        let own = size_of::<Function>() + chunks * GROUPS_A_CHUNK * size_of::<Group>() + levels + forecasts;
        let all = own + size_of::<crate::table::Function>();
        assert!(all <= 4096, "{all} bytes, {own} of them the policy's");
    }
}

//! The level-gap policy, Pilotlight's own: every demand level is kept, started and pre-warmed by what its own idle gaps cost.
//!
//! * **Keep** an instance for the window that is cheapest for the gaps of its level ([`keep`], [`window`]); what a miss would cost is a
//!   start, or only the wait for a busy instance where the others can carry the load ([`shortage`]).
//! * **Start** one more when the wait it saves is worth more than it holds ([`shortage`]), or would have been lately ([`regret`]).
//! * **Pre-warm** what ends its gaps at a time of its own, while that pays ([`forecast`], [`plan`]).
//! * **Count** on busy instances only as far as they come back ([`survival`]), and where most do not,
//!   have others on their way ([`stock`]).
//!
//! No lock and no allocation on the warm path, except a lock of the function's own when a gap longer than a cold start ends.
//!
//! # Memory
//!
//! A function takes under 4 KiB in all, the engine's own part included, while it never had more than 56 requests at once. Beyond,
//! it takes 190 bytes for each group of levels (two for each doubling) and 4 bytes for each level, and at most 270 KB.

mod crowd;
mod explain;
mod forecast;
mod groups;
mod keep;
mod plan;
mod regret;
mod shortage;
mod stock;
mod survival;
mod window;

use std::sync::Arc;

use self::crowd::Crowd;
use self::forecast::Foreseen;
use self::groups::Groups;
use self::plan::Prices;
use self::regret::Regret;
use self::shortage::Service;
use super::price::{Objective, Price};
use super::profile::{Classifier, Profiles};
use super::{Costs, Facts, FreeInstance, FunctionPolicy, Load, Policy, Queue, Start, Target};
use crate::demand::{LeftAt, Rates, group_of};
use crate::nanos::Nanos;
use crate::sync::{AtomicF64, lock};
use crate::table::FunctionSpec;

/// A start costs `m·c` GB·s, as much as `m·c / lambda` seconds of waiting: a request is let wait for a busy instance while no more than
/// that is foreseen, and at most so many times as long, because what is foreseen is a guess.
const AT_MOST: f64 = 1.5;
/// The share of the arrivals that is counted on to go on while a queue is worked off.
const GOING_ON: f64 = 0.25;
/// Far more than rounding adds up to.
const ROUNDING: f64 = 1e-9;
/// Levels that may be pre-warmed.
const FORESEEN: usize = 1;

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
    crowd: Crowd,
}

impl LevelGap {
    /// `objective` sets what a second of waiting is worth, `profiles` for whom it is worth more or less.
    #[must_use]
    pub fn new(objective: Objective, profiles: Profiles) -> Self {
        Self { shared: Arc::new(Shared { price: Price::new(objective), profiles, crowd: Crowd::new() }) }
    }
}

impl Policy for LevelGap {
    fn function(&self, spec: &FunctionSpec) -> Box<dyn FunctionPolicy> {
        Box::new(Function {
            shared: Arc::clone(&self.shared),
            class: Classifier::new(self.shared.profiles.names_vip(&spec.key)),
            memory_gb: f64::from(spec.memory_mb) / 1024.0,
            left: LeftAt::new(),
            groups: Groups::new(),
            rates: Rates::new(),
            start_s: AtomicF64::new(0.0),
            forecasts: std::array::from_fn(|_| Foreseen::default()),
            regret: Regret::default(),
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
    groups: Groups,
    rates: Rates,
    /// What a start takes, in seconds, as of when a window was last found.
    start_s: AtomicF64,
    forecasts: [Foreseen; FORESEEN],
    regret: Regret,
}

impl FunctionPolicy for Function {
    fn demand_rose(&self, now: Nanos, level: u32) {
        self.rates.arrived(now);
        let Some(gap) = self.left.gap(level, now) else { return };
        let group = self.groups.at(group_of(level));
        group.gaps.add(gap);
        if group.gaps.tell_end() {
            self.shared.crowd.end(gap);
        }
        if let Some(foreseen) = self.forecasts.get(level as usize - 1) {
            let start_s = self.start_s.load();
            if gap.as_secs_f64() > start_s {
                foreseen.learn(now, gap, group.plan.keep_s().max(start_s), &self.prices());
            }
        }
    }

    fn demand_fell(&self, now: Nanos, level: u32, execution: Option<Nanos>) {
        self.left.leave(level, now);
        let group = self.groups.at(group_of(level));
        if group.gaps.tell_beginning(Crowd::TOLD) {
            self.shared.crowd.begin();
        }
        if let Some(time) = execution {
            self.rates.executed(time);
            if self.rates.remembered() <= Crowd::EXECUTIONS {
                self.shared.crowd.executed();
            }
        }
    }

    fn instance_lost(&self) {
        self.rates.lost();
        if self.rates.remembered() <= Crowd::EXECUTIONS {
            self.shared.crowd.lost();
        }
    }

    fn keep_alive(&self, free: &FreeInstance) -> Nanos {
        self.kept(free.level, |level| self.window(level, &free.facts))
    }

    fn start(&self, queue: &Queue) -> Start {
        let Queue { facts, waiting, starting, busy, uncovered_since, hypothetical } = *queue;
        let (serving, survival) = (busy + starting, self.survival());
        let (start_s, lately) = (facts.cold_start.as_secs_f64(), self.rates.lately(facts.now));
        // A start is only put off, and not saved, if the present requests or those of a start's time
        // cost an instance.
        let cost = self.memory_gb * start_s * survival.of_all(f64::from(busy + waiting) + lately * start_s);
        // The account pays for one start: when a further one is thought of, that was the one refused.
        let regretted = !hypothetical && self.regrets(queue, cost, survival);
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
        let lambda = self.lambda();
        let patience_s = cost / lambda;
        if let Some(execution_s) = self.rates.service_s() {
            let (uncovered, instances) = (waiting - starting, survival.share() * f64::from(serving));
            // If no instance comes back, a start is waited for after all.
            let foreseen_s = f64::from(uncovered) * execution_s / instances + survival.of_none(f64::from(serving)) * start_s;
            if foreseen_s > patience_s {
                return Start::Now;
            }
            let service = Service { instances, execution_s, arrivals: GOING_ON * lately };
            // At most this, and often far too little: how many will have left until then takes longer to say.
            let at_most = (1.0 + ROUNDING) * service.saved_at_once(f64::from(uncovered));
            if lambda * at_most > cost && lambda * service.saved_by_one_more(uncovered, start_s) > cost {
                return Start::Now;
            }
        }
        let limit = uncovered_since + Nanos::from_secs_f64(AT_MOST * patience_s);
        if facts.now >= limit { Start::Now } else { Start::Later(limit) }
    }

    fn started(&self) {
        self.regret.started();
    }

    fn target(&self, load: &Load) -> Target {
        let now = load.facts.now;
        let mut target = Target::NONE;
        for (level, foreseen) in (1..).zip(&self.forecasts) {
            if load.demand >= level || !foreseen.pays() {
                continue;
            }
            let Some(gap) = self.left.gap(level, now) else { continue };
            let mut forecast = lock(&foreseen.forecast);
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
        if let Some(stock) = self.stock(load) {
            target = Target { instances: target.instances.max(stock.instances), again: target.again.min(stock.again) };
        }
        target
    }

    fn explain(&self, facts: &Facts) -> Vec<String> {
        self.account(facts)
    }
}

impl Function {
    /// GB·s that a second of waiting is worth for this function.
    fn lambda(&self) -> f64 {
        self.shared.price.lambda() * self.shared.profiles.weight(self.class.class())
    }

    fn classify(&self, facts: &Facts) {
        let start_share = self.rates.service_s().map(|time| facts.cold_start.as_secs_f64() / time);
        self.class.look(start_share, self.forecasts.iter().any(Foreseen::pays));
    }

    /// Instances that the present load keeps busy on average, each counted as far as it survives.
    fn load(&self, now: Nanos) -> f64 {
        self.rates.service_s().map_or(0.0, |time| time * self.rates.sustained(now) / self.survival().share())
    }

    fn prices(&self) -> Prices {
        Prices { start_s: self.start_s.load(), memory_gb: self.memory_gb, lambda: self.lambda() }
    }

    /// The window of a level, in seconds; 0 if none was found yet.
    fn kept_s(&self, level: u32) -> f64 {
        self.groups.find(group_of(level)).map_or(0.0, |group| group.plan.keep_s())
    }
}

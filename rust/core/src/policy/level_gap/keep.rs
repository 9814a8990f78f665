//! What is kept for how long: when a group's window is found anew, and from what evidence.

use super::Function;
use super::groups::Group;
use super::shortage::{Service, lengthened, worth_having};
use super::window::{self, Window};
use crate::demand::{BINS, GapCounts, every_bin, group_of, group_start};
use crate::nanos::Nanos;
use crate::policy::Facts;
use crate::sync::Ordering;

/// Windows are found anew when their gaps have grown by one in so many, or what they depend on has changed by so much.
const REPLAN_GAPS: u32 = 16;
const REPLAN_CHANGE: f64 = 0.15;
/// The load is looked at with every so many gaps: to compute it takes as long as all the rest.
const LOAD_LOOKED_AT: u32 = 8;
/// Gaps that the neighbouring groups count as, and those of all functions.
const NEIGHBOURS: f64 = 4.0;
pub(super) const CROWD: f64 = 1.0;

/// Why a window is what it is.
pub(super) struct Evidence {
    /// Gaps of its own.
    pub(super) own: u32,
    /// What those of the neighbouring groups count as, and those of all functions.
    pub(super) neighbours: f64,
    pub(super) crowd: f64,
    /// GB·s that it costs when the level returns and its instance is gone.
    pub(super) miss: f64,
    pub(super) window: Window,
}

impl Function {
    /// The window of a level; it is found anew if need be.
    pub(super) fn window(&self, level: u32, facts: &Facts) -> Nanos {
        let index = group_of(level);
        let group = self.groups.at(index);
        if self.is_stale(group, facts.now) && !group.plan.busy.swap(true, Ordering::Acquire) {
            self.find_window(index, facts);
            group.plan.busy.store(false, Ordering::Release);
        }
        // Where no window was found yet: as long as a start takes.
        group.plan.keep().unwrap_or(facts.cold_start)
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

    /// Finds a group's window anew. The caller has made the group's plan busy.
    #[inline(never)]
    fn find_window(&self, index: usize, facts: &Facts) {
        let Group { gaps, plan } = self.groups.at(index);
        self.start_s.store(facts.cold_start.as_secs_f64());
        self.classify(facts);
        let evidence = self.evidence(index, facts);
        gaps.take_in();
        plan.set_keep(Nanos::from_secs_f64(evidence.window.keep_s));
        plan.lambda.store(self.lambda());
        plan.load.store(self.load(facts.now));
        plan.enough.store(evidence.own / REPLAN_GAPS, Ordering::Relaxed);
    }

    /// What a group's window is to be, by its own counts and what others say.
    pub(super) fn evidence(&self, index: usize, facts: &Facts) -> Evidence {
        let (mut weights, mut smoothed) = ([0.0; BINS], [0.0; BINS]);
        let (weights, smoothed) = (&mut weights[..every_bin()], &mut smoothed[..every_bin()]);
        let own = &self.groups.at(index).gaps;
        let beside = [index.wrapping_sub(1), index + 1].map(|near| self.groups.find(near).map(|group| &group.gaps));
        let neighbours = weigh(weights, own, beside);
        let crowd = self.shared.crowd.add_to(weights, CROWD);
        window::smooth(weights, smoothed);
        let miss = self.miss(group_start(index), facts);
        let window = window::cheapest(smoothed, self.memory_gb, miss);
        Evidence { own: own.total(), neighbours, crowd, miss, window }
    }

    /// GB·s that it costs when a level returns and its instance is gone.
    fn miss(&self, level: u32, facts: &Facts) -> f64 {
        let (start_s, lambda) = (facts.cold_start.as_secs_f64(), self.lambda());
        let alone = (self.memory_gb + lambda) * start_s;
        let Some(execution_s) = self.rates.service_s().filter(|_| level > 1) else { return alone };
        let (instances, arrivals) = (self.survival().share() * f64::from(level - 1), self.rates.sustained(facts.now));
        let service = Service { instances, execution_s, arrivals };
        let started = self.memory_gb * start_s + lambda * service.waited_for_a_start(start_s);
        let lengthened = lengthened(self.rates.variation());
        if level > worth_having(self.load(facts.now), lengthened, self.memory_gb, lambda) + 1 {
            started.min(lambda * lengthened * service.waited_by_one_too_many())
        } else {
            started
        }
    }
}

/// Sets `weights` to a group's own counts and those of the groups beside it, scaled down to at most [`NEIGHBOURS`] in all; returns what
/// they count as.
fn weigh(weights: &mut [f64], own: &GapCounts, beside: [Option<&GapCounts>; 2]) -> f64 {
    let total = beside.iter().flatten().map(|gaps| gaps.total()).sum::<u32>();
    let neighbours = f64::from(total).min(NEIGHBOURS);
    let share = neighbours / f64::from(total.max(1));
    let own = own.counts();
    let [below, above] = beside.map(|gaps| gaps.map_or([0; BINS], GapCounts::counts));
    for (weight, ((own, below), above)) in weights.iter_mut().zip(own.iter().zip(&below).zip(&above)) {
        *weight = f64::from(*own) + f64::from(i32::from(*below) + i32::from(*above)) * share;
    }
    neighbours
}

//! Stock: instances ready ahead of the requests that will use them up.
//!
//! Where most executions take their instance along, instances are used up like spare parts, and
//! none that is busy will serve again. Each request then waits for a start of its own, unless one
//! was made ahead. That is no question of gaps: in the time a start takes so many instances are
//! used up, and as many have to be on their way.
//!
//! What is on its way when the requests stop is wasted. So it begins with one once the requests
//! have gone on for a start's time, and may double with every further one: at any time about as
//! many have been of use as may be wasted.

use super::Function;
use crate::nanos::Nanos;
use crate::policy::{Load, Target};

/// Stock is kept where more executions than this cost their instance.
const MANY: f64 = 0.5;
/// Requests are taken to come as fast as lately until none has come for so many times as long as
/// between two.
const SILENCE: f64 = 3.0;
/// An instance more than wanted that is there or on its way is kept up to here: the rate is measured,
/// and would start one and cancel it again and again.
const SLACK: f64 = 0.5;

impl Function {
    /// The instances to have because present requests, and those of a start's time, use them up;
    /// `None` where most survive, and while it would not pay.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "whole instances; the cast saturates")]
    pub(super) fn stock(&self, load: &Load) -> Option<Target> {
        let (lost, facts) = (self.survival().lost(), &load.facts);
        // An execution that ended came after an Init: what a start takes is the function's own.
        if lost <= MANY || self.rates.service_s().is_none() {
            return None;
        }
        let (spell, start_s) = (self.rates.spell(facts.now), facts.cold_start.as_secs_f64());
        // As long as the requests have gone on, they are expected to go on.
        if self.lambda() * spell.lasted_s <= self.memory_gb * start_s {
            return None;
        }
        let rate = self.rates.lately(facts.now).min(SILENCE / spell.silent_s);
        let ahead = (lost * rate * start_s).min((spell.lasted_s / start_s - 1.0).exp2());
        if ahead < 1.0 {
            return None;
        }
        let again_s = (SILENCE / rate - spell.silent_s).max(0.5 * spell.silent_s);
        let wanted = ahead + lost * f64::from(load.demand);
        let instances = load.instances.clamp(wanted as u32, (wanted + SLACK) as u32);
        Some(Target { instances, again: facts.now + Nanos::from_secs_f64(again_s) })
    }
}

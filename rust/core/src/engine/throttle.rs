//! Rate control after the platform said that it is asked too much: starts are spaced, and functions
//! take turns.
//!
//! The first Throttle makes everybody pause for 100 ms, after which there is one start an interval.
//! Another Throttle doubles the interval, up to 30 s, or adds a quarter if starts went well since
//! the one before. A start that goes well halves it while it is above 100 ms and takes a tenth off
//! below; so does each interval in which nobody wants a start. Under a millisecond there is no
//! interval any more. So starts a second fall for as long as the platform throttles, and settle
//! near its rate where it has one.
//!
//! Functions whose starts are held stand in a queue. Its first may start when the interval is over,
//! and goes to the back if it wants another one. Only the first has its timer set for it.
//!
//! Cost: one load a start while nothing is throttled, else a short lock.

use std::collections::VecDeque;

use super::Engine;
use crate::ids::FunctionId;
use crate::nanos::Nanos;
use crate::sync::{AtomicBool, Mutex, Ordering, lock};
use crate::table::{Cold, Function};

const FIRST: Nanos = Nanos::from_millis(100);
const LONGEST: Nanos = Nanos::from_secs(30);
const SHORTEST: Nanos = Nanos::from_millis(1);

/// Which call of a start the platform throttled, or let go well.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Stage {
    #[default]
    Create,
    Init,
}

#[derive(Debug, Default)]
pub(super) struct Throttle {
    active: AtomicBool,
    rate: Mutex<Rate>,
}

#[derive(Debug, Default)]
struct Rate {
    interval: Nanos,
    /// No start before.
    until: Nanos,
    /// A Throttle of a start made by this moment answers the rate that was before it: the interval
    /// does not grow for it.
    grown: Nanos,
    /// What was throttled last: only more of that going well is good news.
    stage: Stage,
    /// A start went well since the last Throttle.
    went_well: bool,
    /// Functions whose starts are held; the first is next.
    held: VecDeque<FunctionId>,
}

impl Rate {
    /// Time that passes without anybody who waits for a start shortens the interval.
    fn decay(&mut self, now: Nanos) {
        let mut quiet = now.since(self.until);
        while self.held.is_empty() && quiet >= self.interval && self.interval >= SHORTEST {
            quiet = quiet - self.interval;
            self.interval = Nanos(self.interval.0 / 2);
        }
    }

    /// The platform throttled a start that was made at `made`.
    fn refused(&mut self, now: Nanos, made: Nanos, stage: Stage, active: bool) {
        if !active {
            self.interval = FIRST;
        } else if made > self.grown {
            let interval = self.interval.0;
            let longer = if self.went_well { interval + interval / 4 } else { 2 * interval };
            self.interval = Nanos(longer).clamp(SHORTEST, LONGEST);
        } else {
            return;
        }
        (self.until, self.grown, self.stage, self.went_well) = (now + self.interval, now, stage, false);
    }

    fn went_well(&mut self, now: Nanos, stage: Stage) {
        if stage == self.stage {
            let interval = self.interval.0;
            self.interval = Nanos(if self.interval > FIRST { interval / 2 } else { interval / 10 * 9 });
            self.until = self.until.min(now + self.interval);
            self.went_well = true;
        }
    }
}

impl Throttle {
    pub(super) fn is_active(&self) -> bool {
        self.active.load(Ordering::Relaxed)
    }
}

impl Engine {
    /// Must the function's next start wait for its turn? Then it stands in the queue.
    pub(super) fn is_throttled(&self, now: Nanos, (id, function): (FunctionId, &Function), cold: &mut Cold) -> bool {
        if !self.throttle.is_active() {
            cold.held = false;
            return false;
        }
        let mut rate = lock(&self.throttle.rate);
        rate.decay(now);
        if rate.interval < SHORTEST {
            self.end_throttle(now, &mut rate);
            cold.held = false;
            return false;
        }
        cold.asked_for_turn = true;
        let first = rate.held.front().is_none_or(|&first| first == id);
        if first && now >= rate.until {
            if std::mem::take(&mut cold.held) {
                rate.held.pop_front();
            }
            return false;
        }
        if !std::mem::replace(&mut cold.held, true) {
            rate.held.push_back(id);
        }
        if first {
            self.arm(id, function, rate.until);
        }
        true
    }

    /// A start is made: the next one comes an interval later.
    pub(super) fn space_starts(&self, now: Nanos) {
        if self.throttle.is_active() {
            let mut rate = lock(&self.throttle.rate);
            rate.until = now + rate.interval;
            self.serve_first(now, &rate);
        }
    }

    /// Lets a function leave the queue that has had no wish for a start since `asked_for_turn` was
    /// last taken back. Its sweep calls this.
    pub(super) fn settle_turn(&self, now: Nanos, id: FunctionId, cold: &mut Cold) {
        if cold.held && !cold.asked_for_turn {
            cold.held = false;
            let mut rate = lock(&self.throttle.rate);
            rate.held.retain(|&other| other != id);
            self.serve_first(now, &rate);
        }
    }

    /// The platform throttled a start that was made at `made`.
    pub(super) fn throttle(&self, now: Nanos, made: Nanos, stage: Stage) {
        let mut rate = lock(&self.throttle.rate);
        rate.refused(now, made, stage, self.throttle.active.swap(true, Ordering::Relaxed));
    }

    /// A call of a start went well.
    pub(super) fn relax_throttle(&self, now: Nanos, stage: Stage) {
        if self.throttle.is_active() {
            let mut rate = lock(&self.throttle.rate);
            rate.went_well(now, stage);
            if rate.interval < SHORTEST {
                self.end_throttle(now, &mut rate);
            } else {
                self.serve_first(now, &rate);
            }
        }
    }

    fn serve_first(&self, now: Nanos, rate: &Rate) {
        if let Some(&first) = rate.held.front() {
            self.arm(first, self.functions.at(first.index), rate.until.max(now));
        }
    }

    /// Everybody who was held may start.
    fn end_throttle(&self, now: Nanos, rate: &mut Rate) {
        self.throttle.active.store(false, Ordering::Relaxed);
        for id in std::mem::take(&mut rate.held) {
            self.arm(id, self.functions.at(id.index), now);
        }
    }
}

#[cfg(all(test, not(pilotlight_loom)))]
mod tests {
    use super::{Rate, SHORTEST, Stage};
    use crate::nanos::Nanos;

    const CREATE: Stage = Stage::Create;

    #[test]
    fn the_interval_doubles_to_thirty_seconds_and_falls_with_starts_that_go_well_or_with_time() {
        let (mut rate, mut now) = (Rate::default(), Nanos::from_secs(1));
        let mut intervals = Vec::new();
        for number in 0..11 {
            // Several answers to one rate are one Throttle.
            rate.refused(now, now, CREATE, number > 0);
            rate.refused(now, Nanos::ZERO, CREATE, true);
            intervals.push(rate.interval.as_secs_f64());
            now = rate.until;
        }
        assert_eq!(intervals, [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 30.0, 30.0]);
        for _ in 0..60 {
            rate.went_well(now, Stage::Init);
        }
        assert_eq!(rate.interval, Nanos::from_secs(30), "an Init that goes well says nothing of CreateSlots");
        let mut well = 0;
        while rate.interval >= SHORTEST {
            rate.went_well(now, CREATE);
            well += 1;
        }
        assert!(well < 60, "{well}");
        rate.refused(now, now, CREATE, false);
        rate.decay(now + Nanos::from_secs(1));
        assert!(rate.interval < SHORTEST);
    }

    #[test]
    fn a_platform_that_makes_ten_slots_a_second_is_asked_for_little_more() {
        let (mut rate, mut now, mut asked, mut made) = (Rate::default(), Nanos::ZERO, 0, 0);
        let mut next_made = Nanos::ZERO;
        rate.refused(now, now, CREATE, false);
        while now < Nanos::from_secs(100) {
            now = rate.until.max(now + Nanos::from_millis(1));
            rate.until = now + rate.interval;
            asked += 1;
            if now >= next_made {
                made += 1;
                next_made = now + Nanos::from_millis(100);
                rate.went_well(now, CREATE);
            } else {
                rate.refused(now, now, CREATE, true);
            }
        }
        assert!(made > 600, "{made} of 1,000 made");
        assert!(3 * asked < 7 * made, "{asked} asked for {made} made");
    }
}

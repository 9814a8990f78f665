//! Rate control after the platform said that it is asked too much: multiplicative decrease and increase of the rate of starts.
//!
//! The first Throttle makes everybody pause for 100 ms, after which there is one start an interval. Another Throttle doubles the interval,
//! up to 30 s, or adds a quarter if slots were created since the one before. A slot that is created halves it while it is above 100 ms and
//! takes a tenth off below. Under a millisecond there is no interval any more. So starts a second fall for as long as the platform
//! throttles, and settle near its rate where it has one.
//!
//! Cost: one load a start while nothing is throttled, else a short lock.

use crate::nanos::Nanos;
use crate::sync::{AtomicBool, Mutex, Ordering, lock};

const FIRST: Nanos = Nanos::from_millis(100);
const LONGEST: Nanos = Nanos::from_secs(30);
const SHORTEST: Nanos = Nanos::from_millis(1);

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
    /// A Throttle before this moment answers a start that was made at the rate before: the interval does not grow again for it.
    grown_until: Nanos,
    /// A slot was created since the last Throttle.
    created: bool,
}

impl Throttle {
    /// When the next start may be made; `None`: now.
    pub(super) fn held_until(&self, now: Nanos) -> Option<Nanos> {
        if !self.is_active() {
            return None;
        }
        Some(lock(&self.rate).until).filter(|&until| until > now)
    }

    /// A start is made while it is active.
    pub(super) fn started(&self, now: Nanos) {
        let mut rate = lock(&self.rate);
        rate.until = now + rate.interval;
    }

    /// The platform answered a start with Throttle.
    pub(super) fn refused(&self, now: Nanos) {
        let mut rate = lock(&self.rate);
        if !self.is_active() {
            self.active.store(true, Ordering::Relaxed);
            rate.interval = FIRST;
        } else if now >= rate.grown_until {
            let interval = rate.interval.0;
            rate.interval = Nanos(if rate.created { interval + interval / 4 } else { 2 * interval }).min(LONGEST);
        } else {
            return;
        }
        rate.until = now + rate.interval;
        rate.grown_until = rate.until;
        rate.created = false;
    }

    /// The platform made a slot.
    pub(super) fn succeeded(&self, now: Nanos) {
        if !self.is_active() {
            return;
        }
        let mut rate = lock(&self.rate);
        let interval = rate.interval.0;
        rate.interval = Nanos(if rate.interval > FIRST { interval / 2 } else { interval / 10 * 9 });
        rate.created = true;
        rate.until = rate.until.min(now + rate.interval);
        if rate.interval < SHORTEST {
            self.active.store(false, Ordering::Relaxed);
        }
    }

    pub(super) fn is_active(&self) -> bool {
        self.active.load(Ordering::Relaxed)
    }
}

#[cfg(all(test, not(pilotlight_loom)))]
mod tests {
    use super::Throttle;
    use crate::nanos::Nanos;

    #[test]
    fn starts_fall_to_one_in_thirty_seconds_and_recover_within_as_many() {
        let (throttle, mut now) = (Throttle::default(), Nanos::from_secs(1));
        assert_eq!(throttle.held_until(now), None);
        let mut pauses = Vec::new();
        for _ in 0..11 {
            // Several at once are one Throttle.
            throttle.refused(now);
            throttle.refused(now);
            let next = throttle.held_until(now).unwrap();
            pauses.push(next.since(now).as_secs_f64());
            now = next;
            throttle.started(now);
        }
        assert_eq!(pauses, [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 30.0, 30.0]);
        let began = now;
        while let Some(next) = throttle.held_until(now) {
            throttle.succeeded(now);
            now = next.min(throttle.held_until(now).unwrap_or(now));
            throttle.started(now);
        }
        assert!(now.since(began) < Nanos::from_secs(40), "{now:?}");
    }

    #[test]
    fn a_platform_that_makes_ten_slots_a_second_is_asked_for_little_more() {
        let (throttle, mut now, mut asked, mut made) = (Throttle::default(), Nanos::ZERO, 0, 0);
        let mut next_made = Nanos::ZERO;
        throttle.refused(now);
        while now < Nanos::from_secs(100) {
            now = throttle.held_until(now).unwrap_or(now + Nanos::from_millis(1));
            throttle.started(now);
            asked += 1;
            if now >= next_made {
                made += 1;
                next_made = now + Nanos::from_millis(100);
                throttle.succeeded(now);
            } else {
                throttle.refused(now);
            }
        }
        assert!(made > 600, "{made} of 1,000 made");
        assert!(3 * asked < 7 * made, "{asked} asked for {made} made");
    }
}

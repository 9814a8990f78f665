//! The rules for what goes wrong, again: starts that fail, a platform that throttles, clients that gave up, instances that fail.

use pilotlight_core::{Ending, StartFailure};

use super::{Did, Reference, State};

const SECOND: u64 = 1_000_000_000;
/// The test host's `start_attempts`.
const ATTEMPTS: u32 = 2;
/// Failed requests in a row after which an instance may be replaced.
const FAILURES: u32 = 3;

/// What has gone wrong with a function.
#[derive(Clone, Debug, Default)]
pub(super) struct Trouble {
    failed_starts: u32,
    /// Pause between starts once too many have failed, and when the next may be made.
    starts: (u64, u64),
    /// Requests that left unserved while a start for them was under way, when the last of them did, and how long after the one before.
    unserved: (usize, u64, u64),
    /// A start is being finished for a client that is expected back.
    expects: bool,
    /// When a start was last made while the platform throttled.
    throttled_start: Option<u64>,
    /// Pause between replacements where all instances fail, and when the next may be made.
    replacements: (u64, u64),
}

/// A pause that grows with an attempt made now, and its end.
fn attempted((pause, _): (u64, u64), now: u64) -> (u64, u64) {
    let pause = (2 * pause).clamp(SECOND, 30 * SECOND);
    (pause, now + pause)
}

impl Trouble {
    pub(super) fn finishes_start(&mut self, now: u64, took: u64) -> bool {
        let again = self.unserved.0 >= 2 && now - self.unserved.1 <= took.max(60 * SECOND);
        self.unserved.0 -= usize::from(again);
        self.expects |= again;
        again
    }
}

/// One start an interval once the platform has throttled.
#[derive(Clone, Debug, Default)]
pub(super) struct Throttle {
    /// Interval; none: no throttle.
    interval: Option<u64>,
    until: u64,
    grown_until: u64,
    /// A slot was created since the last Throttle.
    created: bool,
}

impl Throttle {
    fn refused(&mut self, now: u64) {
        match self.interval {
            Some(_) if now < self.grown_until => return,
            Some(interval) if self.created => self.interval = Some((interval + interval / 4).min(30 * SECOND)),
            Some(interval) => self.interval = Some((2 * interval).min(30 * SECOND)),
            None => self.interval = Some(SECOND / 10),
        }
        self.created = false;
        self.until = now + self.interval.unwrap();
        self.grown_until = self.until;
    }

    pub(super) fn succeeded(&mut self, now: u64) {
        let Some(interval) = self.interval else { return };
        let shorter = if interval > SECOND / 10 { interval / 2 } else { interval / 10 * 9 };
        self.created = true;
        self.until = self.until.min(now + shorter);
        self.interval = Some(shorter).filter(|&interval| interval >= SECOND / 1000);
    }

    fn held_until(&self, now: u64) -> Option<u64> {
        self.interval.map(|_| self.until).filter(|&until| until > now)
    }
}

impl Reference {
    /// A start is made.
    pub(super) fn note_start(&mut self, f: usize) {
        if let Some(interval) = self.throttle.interval {
            self.throttle.until = self.now + interval;
            self.functions[f].trouble.throttled_start = Some(self.now);
        }
        if self.breaker_is_open(f) {
            self.functions[f].trouble.starts = attempted(self.functions[f].trouble.starts, self.now);
        }
    }

    /// A start succeeded; returns until when its instance is kept at least.
    pub(super) fn start_succeeded(&mut self, slot: usize) -> u64 {
        let trouble = &mut self.functions[self.slots[slot].function].trouble;
        (trouble.failed_starts, trouble.starts) = (0, (0, 0));
        if trouble.replacements != (0, 0) {
            self.slots[slot].failed = 1;
        }
        let (_, last, every) = trouble.unserved;
        if std::mem::take(&mut trouble.expects) { last + 2 * every } else { 0 }
    }

    pub(super) fn start_failed(&mut self, f: usize, failure: StartFailure) {
        if failure == StartFailure::Throttled {
            self.throttle.refused(self.now);
            self.start_wanted(f);
            self.meet_target(f);
            return;
        }
        self.functions[f].trouble.failed_starts += 1;
        if self.functions[f].trouble.failed_starts == ATTEMPTS {
            self.functions[f].trouble.starts = (SECOND, self.now + SECOND);
        }
        if self.breaker_is_open(f) {
            self.refuse_uncovered(f);
        }
        self.start_wanted(f);
    }

    /// Have too many starts in a row failed?
    fn breaker_is_open(&self, f: usize) -> bool {
        self.functions[f].trouble.failed_starts >= ATTEMPTS
    }

    pub(super) fn paused(&self, f: usize) -> bool {
        self.breaker_is_open(f) && self.functions[f].trouble.starts.1 > self.now
    }

    pub(super) fn holds_starts(&mut self, f: usize) -> bool {
        let paced = self.paused(f).then_some(self.functions[f].trouble.starts.1);
        let turn = self.functions[f].trouble.throttled_start.map_or(0, |at| 1 + 1_000_000 / (1 + (self.now - at) / 1_000_000));
        let until = paced.max(self.throttle.held_until(self.now).map(|until| until + turn));
        if let Some(at) = until {
            self.arm(f, at);
        }
        until.is_some()
    }

    /// Requests that wait for more than there is a start in flight or a busy instance for.
    pub(super) fn uncovered(&self, f: usize) -> usize {
        let busy = self.slots.iter().filter(|slot| slot.function == f && matches!(slot.state, State::Busy { .. })).count();
        self.functions[f].waiters.len().saturating_sub(self.functions[f].creating + self.functions[f].initialising + busy)
    }

    pub(super) fn refuse_uncovered(&mut self, f: usize) {
        for _ in 0..self.uncovered(f) {
            let (request, _) = self.functions[f].waiters.pop_front().unwrap();
            self.did.push(Did::Refuse(request, "start failed"));
            self.reconsider_room(f);
        }
    }

    pub(super) fn left_unserved(&mut self, f: usize) {
        let function = &mut self.functions[f];
        if function.waiters.len() < function.creating + function.initialising {
            let (count, last, _) = function.trouble.unserved;
            let every = self.now - last;
            function.trouble.unserved = (if every > 60 * SECOND { 1 } else { count + 1 }, self.now, every);
        }
    }

    /// A request ends; `true`: its instance is to go.
    pub(super) fn ends_badly(&mut self, slot: usize, ending: Ending) -> bool {
        let f = self.slots[slot].function;
        match ending {
            Ending::Destroy => true,
            Ending::Good => {
                if std::mem::take(&mut self.slots[slot].failed) > 0 {
                    self.functions[f].trouble.replacements = (0, 0);
                }
                false
            }
            Ending::Failed => {
                let failed = self.slots[slot].failed + 1;
                self.slots[slot].failed = failed.min(FAILURES);
                if failed < FAILURES || self.draining || self.makes_way(slot) {
                    return false;
                }
                let there = |slot: &&super::Slot| slot.function == f && matches!(slot.state, State::Free { .. } | State::Busy { .. });
                let other_is_well = self.slots.iter().filter(there).any(|slot| slot.failed == 0);
                let trouble = &mut self.functions[f].trouble;
                if !other_is_well && trouble.replacements.1 > self.now {
                    return false;
                }
                if !other_is_well {
                    trouble.replacements = attempted(trouble.replacements, self.now);
                }
                true
            }
        }
    }
}

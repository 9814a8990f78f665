//! The rules for what goes wrong, again: starts that fail, a platform that throttles, clients that
//! gave up, instances that fail.

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
    /// Requests that left unserved while a start for them was under way, when the last of them did,
    /// and how long after the one before.
    unserved: (usize, u64, u64),
    /// A start is being finished for a client that is expected back.
    expects: bool,
    /// It stands in the queue of those whose starts are throttled, and wanted a start since its
    /// last look began.
    pub(super) held: bool,
    pub(super) asked: bool,
    /// Pause between replacements where all instances fail, and when the next may be made.
    replacements: (u64, u64),
}

/// A pause that grows with an attempt made now, after each half minute without one has halved it,
/// and its end, one of so many.
fn attempted((pause, until): (u64, u64), now: u64, among: u64) -> (u64, u64) {
    let quiet = now.saturating_sub(until) / (30 * SECOND);
    let pause = (2 * (pause >> quiet.min(63))).clamp(SECOND, 30 * SECOND);
    (pause, now + pause / among.max(1))
}

impl Trouble {
    pub(super) fn finishes_start(&mut self, now: u64, took: u64) -> bool {
        let again = self.unserved.0 >= 2 && now - self.unserved.1 <= took.max(3600 * SECOND);
        self.unserved.0 -= usize::from(again);
        self.expects |= again;
        again
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    Create,
    Init,
}

/// One start an interval once the platform has throttled.
#[derive(Clone, Debug, Default)]
pub(super) struct Throttle {
    /// Interval and what was throttled last; none: no throttle.
    interval: Option<(u64, Stage)>,
    until: u64,
    grown: u64,
    went_well: bool,
    /// Functions whose starts are held.
    held: Vec<usize>,
}

impl Throttle {
    fn refused(&mut self, now: u64, made: u64, stage: Stage) {
        let interval = match self.interval {
            Some(_) if made <= self.grown => return,
            Some((interval, _)) if self.went_well => interval + interval / 4,
            Some((interval, _)) => 2 * interval,
            None => SECOND / 10,
        };
        let interval = interval.clamp(SECOND / 1000, 30 * SECOND);
        *self = Self { interval: Some((interval, stage)), until: now + interval, grown: now, went_well: false, held: self.held.clone() };
    }

    fn decay(&mut self, now: u64) {
        let mut quiet = now.saturating_sub(self.until);
        while let Some((interval, stage)) = self.interval
            && self.held.is_empty()
            && quiet >= interval
            && interval >= SECOND / 1000
        {
            quiet -= interval;
            self.interval = Some((interval / 2, stage));
        }
    }
}

impl Reference {
    /// A start is made.
    pub(super) fn note_start(&mut self, f: usize) {
        if self.breaker_is_open(f) {
            self.functions[f].trouble.starts = attempted(self.functions[f].trouble.starts, self.now, 1);
        }
        if let Some((interval, _)) = self.throttle.interval {
            self.throttle.until = self.now + interval;
            self.serve_first();
        }
    }

    /// The first of those held is looked at when the interval is over; all of them, once there is
    /// none.
    fn serve_first(&mut self) {
        if self.throttle.interval.is_some_and(|(interval, _)| interval < SECOND / 1000) {
            self.throttle.interval = None;
            for f in std::mem::take(&mut self.throttle.held) {
                self.arm(f, self.now);
            }
        }
        if let Some(&first) = self.throttle.held.first() {
            self.arm(first, self.throttle.until.max(self.now));
        }
    }

    /// A call of a start went well.
    pub(super) fn relax_throttle(&mut self, stage: Stage) {
        let Some((interval, throttled)) = self.throttle.interval else { return };
        if throttled == stage {
            let shorter = if interval > SECOND / 10 { interval / 2 } else { interval / 10 * 9 };
            self.throttle.interval = Some((shorter, throttled));
            self.throttle.until = self.throttle.until.min(self.now + shorter);
            self.throttle.went_well = true;
        }
        self.serve_first();
    }

    fn is_throttled(&mut self, f: usize) -> bool {
        if self.throttle.interval.is_some() {
            self.throttle.decay(self.now);
            if self.throttle.interval.is_some_and(|(interval, _)| interval < SECOND / 1000) {
                self.serve_first();
            }
        }
        if self.throttle.interval.is_none() {
            self.functions[f].trouble.held = false;
            return false;
        }
        self.functions[f].trouble.asked = true;
        let first = self.throttle.held.first().is_none_or(|&first| first == f);
        if first && self.now >= self.throttle.until {
            if std::mem::take(&mut self.functions[f].trouble.held) {
                self.throttle.held.remove(0);
            }
            return false;
        }
        if !std::mem::replace(&mut self.functions[f].trouble.held, true) {
            self.throttle.held.push(f);
        }
        if first {
            self.arm(f, self.throttle.until);
        }
        true
    }

    /// A function that has had no wish for a start leaves the queue.
    pub(super) fn settle_turn(&mut self, f: usize) {
        if self.functions[f].trouble.held && !self.functions[f].trouble.asked {
            self.functions[f].trouble.held = false;
            self.throttle.held.retain(|&other| other != f);
            self.serve_first();
        }
    }

    /// A start succeeded; returns until when its instance is kept at least.
    pub(super) fn start_succeeded(&mut self, slot: usize) -> u64 {
        let trouble = &mut self.functions[self.slots[slot].function].trouble;
        (trouble.failed_starts, trouble.starts) = (0, (0, 0));
        let (_, last, every) = trouble.unserved;
        if std::mem::take(&mut trouble.expects) { last + every / 4 * 5 } else { 0 }
    }

    pub(super) fn start_failed(&mut self, slot: usize, failure: StartFailure, stage: Stage) {
        let f = self.slots[slot].function;
        if failure == StartFailure::Throttled {
            self.throttle.refused(self.now, self.slots[slot].began, stage);
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
        if self.breaker_is_open(f) && self.functions[f].creating + self.functions[f].initialising > 0 {
            return true;
        }
        if self.paused(f) {
            self.arm(f, self.functions[f].trouble.starts.1);
            return true;
        }
        self.is_throttled(f)
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
            function.trouble.unserved = (if every > 3600 * SECOND { 1 } else { count + 1 }, self.now, every);
        }
    }

    /// A request ends; `true`: its instance is to go.
    pub(super) fn ends_badly(&mut self, slot: usize, ending: Ending) -> bool {
        let f = self.slots[slot].function;
        match ending {
            Ending::Destroy => true,
            Ending::Good => {
                self.slots[slot].failed = 0;
                false
            }
            Ending::Failed => {
                let failed = self.slots[slot].failed + 1;
                self.slots[slot].failed = failed.min(FAILURES);
                if failed < FAILURES || self.draining || self.makes_way(slot) {
                    return false;
                }
                let there = |slot: &&super::Slot| slot.function == f && matches!(slot.state, State::Free { .. } | State::Busy { .. });
                let all: Vec<_> = self.slots.iter().filter(there).collect();
                // This one is failing too.
                let (count, others_fail) = (all.len(), all.iter().filter(|other| other.failed > 0).count() > 1);
                if count > 1 && !others_fail {
                    return true;
                }
                let trouble = &mut self.functions[f].trouble;
                if trouble.replacements.1 > self.now {
                    return false;
                }
                trouble.replacements = attempted(trouble.replacements, self.now, count as u64);
                true
            }
        }
    }
}

//! A small world for the engine: requests at given seconds, slots that take 100 ms to create and 200 ms to initialise.
#![allow(dead_code, unreachable_pub, reason = "each test binary uses its own part")]

use std::collections::{BTreeMap, HashMap};

use pilotlight_core::{Assign, Command, Counter, EngineConfig, Nanos, SlotId, Totals, WaiterId};

use crate::support::Host;

pub const CREATE_MS: u64 = 100;
pub const INIT_MS: u64 = 200;

pub struct Play {
    pub host: Host,
    /// By moment, then in the order they were scheduled.
    events: BTreeMap<(Nanos, u64), Event>,
    scheduled: u64,
    /// Waiting requests: their key, number and execution time.
    waiting: HashMap<WaiterId, (String, u64, Nanos)>,
    requests: u64,
}

enum Event {
    Created(SlotId),
    Ready(SlotId),
    Destroyed(SlotId),
    End(SlotId, String, u64),
}

impl Play {
    pub fn new(policy: &str) -> Self {
        Self::with(policy, |_| ())
    }

    pub fn with(policy: &str, adjust: impl FnOnce(&mut EngineConfig)) -> Self {
        Self { host: Host::with(policy, adjust), events: BTreeMap::new(), scheduled: 0, waiting: HashMap::new(), requests: 0 }
    }

    /// A request that arrives at a second and executes for so many; returns whether it found a free instance.
    pub fn call(&mut self, at: f64, key: &str, executes: f64) -> bool {
        self.call_of(at, key, executes, crate::support::MB)
    }

    pub fn call_of(&mut self, at: f64, key: &str, executes: f64, memory_mb: u32) -> bool {
        self.until(at);
        self.requests += 1;
        let (request, executes) = (self.requests, Nanos::from_secs_f64(executes));
        let assign = self.host.assign_of(key, request, memory_mb);
        match assign {
            Assign::Warm(slot) => self.schedule(executes, Event::End(slot, key.into(), request)),
            Assign::Waiting(waiter) => drop(self.waiting.insert(waiter, (key.into(), request, executes))),
        }
        self.carry_out();
        matches!(assign, Assign::Warm(_))
    }

    /// Lets time pass.
    pub fn until(&mut self, at: f64) {
        let end = Nanos::from_secs_f64(at);
        loop {
            let event = self.events.first_key_value().map(|(&(at, _), _)| at);
            let wakeup = self.host.engine.next_wakeup();
            match [event, wakeup].into_iter().flatten().min() {
                Some(next) if next <= end => self.step(next.max(self.host.now), event.is_some_and(|event| event == next)),
                _ => break,
            }
        }
        self.host.now = end;
    }

    pub fn totals(&self) -> Totals {
        self.host.totals()
    }

    pub fn count(&self, counter: Counter) -> u64 {
        self.totals().count(counter)
    }

    /// Slots there are.
    pub fn slots(&self) -> u64 {
        self.host.engine.live_slots()
    }

    fn step(&mut self, now: Nanos, event: bool) {
        self.host.now = now;
        if !event {
            self.host.tick_at(now);
        } else if let Some((_, event)) = self.events.pop_first() {
            match event {
                Event::Created(slot) => self.host.created(slot),
                Event::Ready(slot) => self.host.ready(slot),
                Event::Destroyed(slot) => self.host.destroyed(slot),
                Event::End(slot, key, request) => drop(self.host.idle(slot, &key, request)),
            }
        }
        self.carry_out();
    }

    fn carry_out(&mut self) {
        for command in self.host.take() {
            match command {
                Command::CreateSlot { slot, .. } => self.schedule(Nanos::from_millis(CREATE_MS), Event::Created(slot)),
                Command::Init { slot, .. } => self.schedule(Nanos::from_millis(INIT_MS), Event::Ready(slot)),
                Command::DestroySlot { slot, .. } => self.schedule(Nanos::ZERO, Event::Destroyed(slot)),
                Command::Wake { waiter, result } => {
                    let (key, request, executes) = self.waiting.remove(&waiter).expect("one answer a request");
                    self.schedule(executes, Event::End(result.expect("nothing fails here"), key, request));
                }
            }
        }
    }

    fn schedule(&mut self, after: Nanos, event: Event) {
        self.scheduled += 1;
        self.events.insert((self.host.now + after, self.scheduled), event);
    }
}

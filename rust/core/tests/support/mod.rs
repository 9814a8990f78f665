//! A host for tests: one clock, one buffer of commands, short calls.
#![allow(dead_code, unreachable_pub, reason = "each test binary uses its own part")]

use pilotlight_core::policy::PolicySpec;
use pilotlight_core::{
    Assign, Command, Ending, Engine, EngineConfig, FunctionId, FunctionRef, Idle, Nanos, RequestTag, SlotId, Snapshot, Totals, WaiterId,
};

pub const MB: u32 = 128;

pub fn function(key: &str, memory_mb: u32) -> FunctionRef<'_> {
    FunctionRef { key, runtime: "go", timeout_s: 60, memory_mb }
}

pub fn tag(request: u64) -> RequestTag {
    RequestTag(request)
}

pub fn ending(bad: bool) -> Ending {
    if bad { Ending::Destroy } else { Ending::Good }
}

pub trait Waiting {
    fn waiting(self) -> WaiterId;
}

impl Waiting for Assign {
    fn waiting(self) -> WaiterId {
        match self {
            Assign::Waiting(waiter) => waiter,
            Assign::Warm(slot) => panic!("expected to wait, got {slot:?}"),
        }
    }
}

pub struct Host {
    pub engine: Engine,
    pub now: Nanos,
    pub out: Vec<Command>,
    last_waiter: Option<WaiterId>,
}

impl Host {
    pub fn new(policy: &str) -> Self {
        Self::with(policy, |_| ())
    }

    pub fn with(policy: &str, adjust: impl FnOnce(&mut EngineConfig)) -> Self {
        let mut config = EngineConfig::new(PolicySpec::parse(policy).unwrap());
        config.start_attempts = 2;
        adjust(&mut config);
        Self { engine: Engine::new(config), now: Nanos::ZERO, out: Vec::new(), last_waiter: None }
    }

    pub fn advance(&mut self, millis: u64) {
        self.now = self.now + Nanos::from_millis(millis);
    }

    pub fn take(&mut self) -> Vec<Command> {
        std::mem::take(&mut self.out)
    }

    pub fn function(&self, key: &str) -> FunctionId {
        self.engine.function(&function(key, MB)).unwrap()
    }

    pub fn assign(&mut self, key: &str, request: u64) -> Assign {
        self.assign_with(key, request, MB, Nanos::MAX)
    }

    pub fn assign_of(&mut self, key: &str, request: u64, memory_mb: u32) -> Assign {
        self.assign_with(key, request, memory_mb, Nanos::MAX)
    }

    pub fn assign_until(&mut self, key: &str, request: u64, deadline: Nanos) -> Assign {
        self.assign_with(key, request, MB, deadline)
    }

    fn assign_with(&mut self, key: &str, request: u64, memory_mb: u32, deadline: Nanos) -> Assign {
        let id = self.engine.function(&function(key, memory_mb)).unwrap();
        let assign = self.engine.handle_assign(self.now, id, tag(request), deadline, &mut self.out).unwrap();
        if let Assign::Waiting(waiter) = assign {
            self.last_waiter = Some(waiter);
        }
        assign
    }

    pub fn last_waiter(&self) -> WaiterId {
        self.last_waiter.unwrap()
    }

    /// The only command outstanding, which must be a CreateSlot.
    pub fn one_create(&mut self) -> SlotId {
        match self.take()[..] {
            [Command::CreateSlot { slot, .. }] => slot,
            ref other => panic!("expected one CreateSlot, got {other:?}"),
        }
    }

    pub fn created(&mut self, slot: SlotId) {
        self.engine.handle_slot_created(self.now, slot, Nanos::from_millis(100), &mut self.out).unwrap();
    }

    pub fn ready(&mut self, slot: SlotId) {
        self.engine.handle_instance_ready(self.now, slot, Nanos::from_millis(200), &mut self.out).unwrap();
    }

    pub fn destroyed(&mut self, slot: SlotId) {
        self.engine.handle_slot_destroyed(self.now, slot).unwrap();
    }

    pub fn idle(&mut self, slot: SlotId, key: &str, request: u64) -> Idle {
        self.engine.handle_idle(self.now, slot, key, tag(request), Ending::Good, &mut self.out)
    }

    pub fn bad_idle(&mut self, slot: SlotId, key: &str, request: u64) -> Idle {
        self.engine.handle_idle(self.now, slot, key, tag(request), Ending::Destroy, &mut self.out)
    }

    /// Starts an instance that is busy with `request`.
    pub fn instance(&mut self, key: &str, request: u64) -> SlotId {
        self.assign(key, request).waiting();
        let slot = self.one_create();
        self.created(slot);
        self.ready(slot);
        self.take();
        slot
    }

    pub fn tick_at(&mut self, now: Nanos) {
        self.now = now;
        self.engine.handle_tick(now, &mut self.out);
    }

    pub fn snapshot(&self) -> Snapshot {
        self.engine.snapshot(self.now)
    }

    pub fn totals(&self) -> Totals {
        self.snapshot().totals
    }
}

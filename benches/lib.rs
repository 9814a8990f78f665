//! What the benchmarks share: an engine with warm instances.

use pilotlight_core::policy::PolicySpec;
use pilotlight_core::{Assign, Command, Engine, EngineConfig, FunctionId, FunctionRef, Nanos, RequestTag};

/// Builds an engine with `functions` functions of one free instance each.
///
/// # Panics
///
/// If `policy` does not parse.
#[must_use]
pub fn warm_engine(policy: &str, functions: u32) -> (Engine, Vec<FunctionId>) {
    let engine = Engine::new(EngineConfig::new(PolicySpec::parse(policy).expect("a valid policy")));
    let mut out = Vec::new();
    let ids = (0..functions)
        .map(|number| {
            let key = format!("function-{number}");
            let wanted = FunctionRef { key: &key, runtime: "go", timeout_s: 60, memory_mb: 128 };
            let id = engine.function(&wanted).expect("below the limit");
            let tag = RequestTag(0);
            let Ok(Assign::Waiting(_)) = engine.handle_assign(Nanos(1), id, tag, Nanos::MAX, &mut out) else {
                unreachable!("nothing is free yet")
            };
            let Some(Command::CreateSlot { slot, .. }) = out.pop() else { unreachable!("a waiter gets a start") };
            engine.handle_slot_created(Nanos(2), slot, Nanos(1), &mut out).expect("it is being created");
            engine.handle_instance_ready(Nanos(3), slot, Nanos(1), &mut out).expect("it is being initialised");
            engine.handle_idle(Nanos(4), slot, &key, tag, false, &mut out);
            out.clear();
            id
        })
        .collect();
    (engine, ids)
}

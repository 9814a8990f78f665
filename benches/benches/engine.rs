//! The warm pair: an Assign that finds a free instance, and its Idle.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use pilotlight_benches::warm_engine;
use pilotlight_core::{Assign, FunctionRef, Nanos, RequestTag};

fn warm_pair(c: &mut Criterion) {
    let mut group = c.benchmark_group("warm_pair");
    for policy in ["fixed", "break_even", "level_gap"] {
        let (engine, _) = warm_engine(policy, 1);
        let wanted = FunctionRef { key: "function-0", runtime: "go", timeout_s: 60, memory_mb: 128 };
        let mut out = Vec::new();
        let mut request = 0;
        group.bench_function(policy, |bencher| {
            bencher.iter(|| {
                request += 1;
                let (now, tag) = (Nanos(request * 1000), RequestTag(request));
                let function = engine.function(black_box(&wanted)).expect("known");
                let Ok(Assign::Warm(slot)) = engine.handle_assign(now, function, tag, Nanos::MAX, &mut out) else {
                    unreachable!("one is free")
                };
                engine.handle_idle(now, slot, wanted.key, tag, false, &mut out)
            });
        });
    }
    group.finish();
}

criterion_group!(benches, warm_pair);
criterion_main!(benches);

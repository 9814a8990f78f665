//! A simulated run: a hundred thousand requests of fifty functions, skewed, seeded by a counter.

use std::ops::ControlFlow;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use pilotlight_benches::mix;
use pilotlight_core::Nanos;
use pilotlight_core::policy::PolicySpec;
use pilotlight_sim::{Chunk, FunctionModel, Options, SimError, simulate};

const REQUESTS: u64 = 100_000;
const FUNCTIONS: u32 = 50;

fn run(c: &mut Criterion) {
    let arrival_ns: Vec<u64> = (0..REQUESTS).map(|row| row * 10_000_000 + mix(row) % 10_000_000).collect();
    // The square of a uniform number favours the first functions.
    let function: Vec<u32> = (0..REQUESTS)
        .map(|row| {
            u32::try_from((mix(row ^ 0xf00) % 1000).pow(2) * u64::from(FUNCTIONS) / 1_000_000).expect("below the number of functions")
        })
        .collect();
    let duration_ns: Vec<u64> = (0..REQUESTS).map(|row| 1_000_000 * (10 + mix(row ^ 0xd00) % 500)).collect();
    let bad = vec![false; arrival_ns.len()];
    let chunk = Chunk { arrival_ns: &arrival_ns, function: &function, duration_ns: &duration_ns, bad: &bad };
    let functions: Vec<_> = (0..FUNCTIONS)
        .map(|number| FunctionModel {
            key: number.to_string(),
            memory_mb: 128 << (number % 4),
            create: Nanos::from_millis(105),
            init: Nanos::from_millis(500),
        })
        .collect();
    let mut group = c.benchmark_group("simulate");
    group.throughput(Throughput::Elements(REQUESTS)).sample_size(20);
    for policy in ["fixed:keep_alive=300s", "fixed:keep_alive=1s", "break_even", "level_gap"] {
        group.bench_function(policy, |bencher| {
            bencher.iter_batched(
                || Options {
                    policy: PolicySpec::parse(policy).expect("a valid policy"),
                    tail: Nanos::from_secs(300),
                    create_failure: 0.0,
                    init_failure: 0.0,
                    seed: 0,
                    starts: None,
                    per_request: false,
                    explain: None,
                    series: None,
                },
                |options| {
                    let chunks: [Result<_, SimError>; 1] = [Ok(chunk)];
                    simulate(chunks, &functions, options, &mut |_| ControlFlow::Continue(())).expect("a valid trace")
                },
                BatchSize::SmallInput,
            );
        });
    }
    group.finish();
}

criterion_group!(benches, run);
criterion_main!(benches);

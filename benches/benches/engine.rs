//! The warm pair, an Assign that finds a free instance and its Idle: by policy, by threads, by functions, and beside a storm of cold starts.

use std::hint::black_box;
use std::sync::Barrier;
use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use pilotlight_benches::{Warm, pick};

const POLICIES: [&str; 3] = ["fixed", "break_even", "level_gap"];
const THREADS: u32 = 2;

fn by_policy(c: &mut Criterion) {
    let mut group = c.benchmark_group("warm_pair");
    for policy in POLICIES {
        let warm = Warm::new(policy, 1, 1);
        let mut request = 0;
        group.bench_function(policy, |bencher| {
            bencher.iter(|| {
                request += 1;
                warm.pair(black_box(0), request);
            });
        });
    }
    group.finish();
}

/// Time of `pairs` warm pairs on each of two threads at once. `function`: whom a thread's request is for.
fn on_threads(warm: &Warm, pairs: u64, function: impl Fn(u32, u64) -> usize + Sync) -> Duration {
    let barrier = Barrier::new(THREADS as usize);
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS)
            .map(|thread| {
                let (barrier, function) = (&barrier, &function);
                scope.spawn(move || {
                    barrier.wait();
                    let started = Instant::now();
                    for round in 1..=pairs {
                        warm.pair(function(thread, round), u64::from(THREADS) * round + u64::from(thread));
                    }
                    started.elapsed()
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().expect("it does not panic")).max().unwrap_or_default()
    })
}

/// One figure is the time in which each thread makes a pair: as long as a thread alone takes if they do not hinder each other.
fn by_threads(c: &mut Criterion) {
    let mut group = c.benchmark_group("two_threads");
    for policy in POLICIES {
        let (apart, together) = (Warm::new(policy, THREADS, 1), Warm::new(policy, 1, 2 * THREADS));
        group.bench_function(BenchmarkId::new("different_functions", policy), |bencher| {
            bencher.iter_custom(|pairs| on_threads(&apart, pairs, |thread, _| thread as usize));
        });
        group.bench_function(BenchmarkId::new("one_function", policy), |bencher| {
            bencher.iter_custom(|pairs| on_threads(&together, pairs, |_, _| 0));
        });
        // Nine requests in ten are for the first of a hundred functions.
        let skewed = Warm::new(policy, 100, 2 * THREADS);
        group.bench_function(BenchmarkId::new("hot_key", policy), |bencher| {
            bencher.iter_custom(|pairs| {
                on_threads(&skewed, pairs, |thread, round| {
                    let draw = 2 * round + u64::from(thread);
                    if pick(draw, 10) > 0 { 0 } else { pick(draw ^ 1 << 40, 100) }
                })
            });
        });
    }
    group.finish();
}

fn by_functions(c: &mut Criterion) {
    let mut group = c.benchmark_group("functions");
    for policy in ["fixed", "level_gap"] {
        for functions in [1, 100, 10_000, 100_000] {
            let warm = Warm::new(policy, functions, 1);
            let mut request = 0;
            group.bench_function(BenchmarkId::new(policy, functions), |bencher| {
                bencher.iter(|| {
                    request += 1;
                    warm.pair(pick(request, functions), request);
                });
            });
        }
    }
    group.finish();
}

/// Pairs of one function, alone and while another thread keeps asking for instances of 500 others that have none.
fn beside_a_storm(c: &mut Criterion) {
    let mut group = c.benchmark_group("storm");
    group.sample_size(10);
    for policy in ["fixed", "level_gap"] {
        let warm = Warm::new(policy, 1, 1);
        let mut request = 0;
        group.bench_function(BenchmarkId::new("quiet", policy), |bencher| {
            bencher.iter(|| {
                request += 1;
                warm.pair(black_box(0), request);
            });
        });
        let warm = Warm::new(policy, 1, 1);
        let mut request = 0;
        group.bench_function(BenchmarkId::new("stormy", policy), |bencher| {
            bencher.iter_custom(|pairs| {
                warm.while_storming(500, || {
                    let started = Instant::now();
                    for _ in 0..pairs {
                        request += 1;
                        warm.pair(black_box(0), request);
                    }
                    started.elapsed()
                })
            });
        });
    }
    group.finish();
}

criterion_group!(benches, by_policy, by_threads, by_functions, beside_a_storm);
criterion_main!(benches);

//! The longest step of a tick: a hundred thousand free instances of one function whose keep-alive is over.

use std::time::{Duration, Instant};

use criterion::{Criterion, criterion_group, criterion_main};
use pilotlight_benches::Warm;
use pilotlight_core::{Command, Nanos};

const INSTANCES: u32 = 100_000;

/// The longest and the sum of the ticks that retire every instance.
fn ticks() -> (Duration, Duration) {
    let warm = Warm::new("fixed:keep_alive=1s", 1, INSTANCES);
    let (mut longest, mut sum) = (Duration::ZERO, Duration::ZERO);
    let mut out: Vec<Command> = Vec::new();
    let now = Nanos::from_secs(3600);
    while warm.engine.next_wakeup().is_some_and(|at| at <= now) {
        let started = Instant::now();
        warm.engine.handle_tick(now, &mut out);
        let took = started.elapsed();
        longest = longest.max(took);
        sum += took;
        for command in out.drain(..) {
            let Command::DestroySlot { slot, .. } = command else { unreachable!("nothing else is due") };
            warm.engine.handle_slot_destroyed(now, slot).expect("it was asked for");
        }
    }
    assert_eq!(warm.engine.live_slots(), 0);
    (longest, sum)
}

fn sweep(c: &mut Criterion) {
    let mut group = c.benchmark_group("sweep_100k_overdue");
    group.sample_size(10);
    group.bench_function("longest_tick", |bencher| bencher.iter_custom(|rounds| (0..rounds).map(|_| ticks().0).sum()));
    group.bench_function("all_ticks", |bencher| bencher.iter_custom(|rounds| (0..rounds).map(|_| ticks().1).sum()));
    group.finish();
}

criterion_group!(benches, sweep);
criterion_main!(benches);

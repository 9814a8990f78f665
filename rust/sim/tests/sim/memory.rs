//! A limit on memory, in whole runs: whoever can be served is.

use pilotlight_core::Nanos;
use pilotlight_sim::FunctionModel;

use super::{options, rows, run};

const S: u64 = 1_000_000_000;
const FAILED: u8 = 3;

fn function(key: &str, memory_mb: u32) -> FunctionModel {
    FunctionModel { key: key.to_owned(), memory_mb, create: Nanos(S / 10), init: Nanos(S / 10) }
}

#[test]
fn a_target_that_can_never_be_met_is_in_nobodys_way() {
    // Three of 400 MB are wanted always and two fit; the 200 MB beside them are for whoever asks.
    let requests = [(S, 0, S, false), (21 * S, 1, S, false)];
    let report = run(&requests, &[function("a", 400), function("b", 100)], options("floor:instances=3,memory=1000MB", 600 * S));
    assert_eq!(rows(&report)[1].0, S / 5, "b waits for its own start only");
}

#[test]
fn an_instance_that_its_target_no_longer_holds_makes_room() {
    // a's one instance is pre-warmed for a timer that has stopped; b's request waits until it is not wanted any more.
    let mut requests: Vec<_> = (0..12).map(|tick| (30 * S * tick, 0, S / 20, false)).collect();
    requests.push((30 * S * 12 + S / 100, 1, S, false));
    let report = run(&requests, &[function("a", 600), function("b", 500)], options("level_gap:lambda=50,memory=1000MB", 3600 * S));
    let (wait, outcome) = rows(&report)[12];
    assert!(outcome != FAILED && wait < 30 * S, "{wait}");
}

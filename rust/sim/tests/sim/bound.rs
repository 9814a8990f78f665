//! The clairvoyant bound: by hand, by trying every plan, and by demand levels.

use pilotlight_core::Nanos;
use pilotlight_sim::{FunctionModel, clairvoyant};
use proptest::prelude::*;

use super::{Request, bound, chunks};

/// 1 GB, a start of 150.
fn function(key: &str) -> FunctionModel {
    FunctionModel { key: key.to_owned(), memory_mb: 1024, create: Nanos(100), init: Nanos(50) }
}

/// The bound of one function of 1 GB in GB·ns without the execution.
fn held(requests: &[Request]) -> u64 {
    let bound = bound(requests, &[function("f")]);
    let nanos = (bound.slot_gb_s - bound.busy_gb_s) * 1e9;
    assert!((nanos - nanos.round()).abs() < 1e-3, "{nanos} is no whole number");
    Nanos::from_secs_f64(nanos / 1e9).0
}

#[test]
fn a_lone_request_costs_its_start_and_its_execution() {
    let bound = bound(&[(5, 0, 1000, false)], &[function("f"), function("g")]);
    assert!((bound.slot_gb_s - 1150e-9).abs() < 1e-15);
    assert!((bound.busy_gb_s - 1000e-9).abs() < 1e-15);
    assert_eq!(bound.per_function, [bound.slot_gb_s, 0.0]);
}

#[test]
fn a_gap_costs_itself_or_a_start_whichever_is_less() {
    let gap = |gap: u64| held(&[(0, 0, 1000, false), (1000 + gap, 0, 1000, false)]);
    assert_eq!([gap(0), gap(149), gap(150), gap(151), gap(9999)], [150, 299, 300, 300, 300]);
}

#[test]
fn requests_that_overlap_need_an_instance_each() {
    assert_eq!(held(&[(0, 0, 1000, false), (999, 0, 1000, false)]), 300);
}

#[test]
fn the_instance_freed_last_is_used_first() {
    // Free at 100 and 200; wanted at 210 and 260: gaps of 10 and 160, of which the second is let go.
    assert_eq!(held(&[(0, 0, 100, false), (0, 0, 200, false), (210, 0, 100, false), (260, 0, 100, false)]), 300 + 10 + 150);
}

#[test]
fn bad_result_leaves_no_instance() {
    assert_eq!(held(&[(0, 0, 100, true), (110, 0, 100, false)]), 300);
    // The other instance, free since 90, is still there for the first to come.
    assert_eq!(held(&[(0, 0, 90, false), (0, 0, 100, true), (110, 0, 100, false), (120, 0, 100, false)]), 300 + 20 + 150);
}

#[test]
fn a_trace_that_does_not_fit_is_refused() {
    let error = clairvoyant(chunks(&[(0, 0, 1, false), (0, 3, 1, false)], 1), &[function("f")]).unwrap_err();
    assert_eq!(error.to_string(), "row 1 is of function 3, but the function table has 1 rows");
}

fn requests(bad: f64, most: usize) -> impl Strategy<Value = Vec<Request>> {
    prop::collection::vec((0_u64..120, 0_u64..250, prop::bool::weighted(bad)), 1..=most).prop_map(|requests| {
        let mut now = 0;
        requests
            .into_iter()
            .map(|(gap, duration, bad)| {
                now += gap;
                (now, 0, duration, bad)
            })
            .collect()
    })
}

/// The least cost over every way of giving each request a new instance or one that an earlier request has left.
fn cheapest(requests: &[Request], next: usize, taken: &mut Vec<bool>) -> u64 {
    let Some(&(arrival, ..)) = requests.get(next) else { return 0 };
    let mut least = 150 + cheapest(requests, next + 1, taken);
    for earlier in 0..next {
        let (began, _, duration, bad) = requests[earlier];
        if !bad && !taken[earlier] && began + duration <= arrival {
            taken[earlier] = true;
            least = least.min(arrival - (began + duration) + cheapest(requests, next + 1, taken));
            taken[earlier] = false;
        }
    }
    least
}

/// Charges `min(gap, start)` for each idle gap of each demand level: level k is wanted while at least k requests execute.
fn by_levels(requests: &[Request]) -> u64 {
    let mut ends = Vec::new();
    let (mut cost, mut freed): (u64, Vec<Option<u64>>) = (0, Vec::new());
    for &(arrival, _, duration, _) in requests {
        ends.sort_unstable();
        while ends.first().is_some_and(|&end| end <= arrival) {
            let level = ends.len() - 1;
            freed[level] = Some(ends.remove(0));
        }
        let level = ends.len();
        freed.resize(freed.len().max(level + 1), None);
        cost += freed[level].map_or(150, |freed| (arrival - freed).min(150));
        ends.push(arrival + duration);
    }
    cost
}

proptest! {
    #[test]
    fn no_plan_is_cheaper_and_one_is_as_cheap(requests in requests(0.2, 9)) {
        prop_assert_eq!(held(&requests), cheapest(&requests, 0, &mut vec![false; requests.len()]));
    }

    #[test]
    fn chunks_may_be_cut_anywhere(requests in requests(0.2, 60), length in 1_usize..60) {
        prop_assert_eq!(clairvoyant(chunks(&requests, length), &[function("f")]).unwrap(), bound(&requests, &[function("f")]));
    }

    #[test]
    fn without_bad_results_each_gap_of_each_demand_level_costs_the_less_of_gap_and_start(requests in requests(0.0, 60)) {
        prop_assert_eq!(held(&requests), by_levels(&requests));
    }
}

//! Claims that hold for every run.

use pilotlight_core::{Account, Counter, Nanos, Totals};
use pilotlight_sim::{FunctionModel, Options};
use proptest::prelude::*;

use super::{Request, bound, options, rows, run, run_in_chunks};

const POLICIES: [&str; 8] = [
    "fixed:keep_alive=0s",
    "fixed:keep_alive=100ns",
    "fixed:keep_alive=700ns,surplus=keep",
    "fixed:keep_alive=300ns,handoff=none",
    "fixed:keep_alive=300ns,handoff=none,surplus=keep",
    "break_even:lambda=0.5",
    "break_even:lambda=3,scale=0.5,surplus=keep",
    "fixed",
];
/// Longer than any keep-alive above and any backlog of the traces below: everything ends.
const LONG_TAIL: u64 = 400_000_000_000;

/// Three functions, two of them of one memory; one CreateSlot for all.
fn functions() -> impl Strategy<Value = Vec<FunctionModel>> {
    (0_u64..200, [0_u64..300, 0_u64..300, 0_u64..300]).prop_map(|(create, inits)| {
        let model = |(row, init)| FunctionModel {
            key: format!("f{row}"),
            memory_mb: if row == 2 { 1024 } else { 256 },
            create: Nanos(create),
            init: Nanos(init),
        };
        inits.into_iter().enumerate().map(model).collect()
    })
}

fn requests(bad: f64) -> impl Strategy<Value = Vec<Request>> {
    let request = (0_u64..150, 0_u32..3, 1_u64..600, prop::bool::weighted(bad));
    prop::collection::vec(request, 1..80).prop_map(|requests| {
        let mut now = 0;
        requests
            .into_iter()
            .map(|(gap, function, duration, bad)| {
                now += gap;
                (now, function, duration, bad)
            })
            .collect()
    })
}

fn policy() -> impl Strategy<Value = &'static str> {
    prop::sample::select(&POLICIES[..])
}

proptest! {
    #[test]
    fn same_arguments_give_the_same_report(
        requests in requests(0.1), functions in functions(), policy in policy(), seed: u64, tail in 0_u64..2_000
    ) {
        let play = || {
            run(&requests, &functions, Options { create_failure: 0.2, init_failure: 0.2, seed, ..options(policy, tail) })
        };
        prop_assert_eq!(play(), play());
    }

    /// Requests may be under way, or wait, across any number of chunks.
    #[test]
    fn chunks_may_be_cut_anywhere(
        requests in requests(0.1), functions in functions(), policy in policy(), seed: u64, length in 1_usize..80
    ) {
        let play = |length| {
            let failing = Options { create_failure: 0.2, init_failure: 0.2, seed, explain: Some(1), ..options(policy, 2_000) };
            run_in_chunks(&requests, length, &functions, failing)
        };
        prop_assert_eq!(play(length), play(requests.len()));
    }

    #[test]
    fn every_request_has_one_outcome_and_every_nanosecond_one_account(
        requests in requests(0.1), functions in functions(), policy in policy(), failure in prop::sample::select(vec![0.0, 0.3]), seed: u64
    ) {
        let failing = Options { create_failure: failure, init_failure: failure, seed, ..options(policy, LONG_TAIL) };
        let report = run(&requests, &functions, failing);
        let totals = &report.snapshot.totals;
        prop_assert_eq!(report.unfinished(), 0);

        let rows = rows(&report);
        let by_outcome = [0, 1, 2, 3].map(|outcome| rows.iter().filter(|row| row.1 == outcome).count() as u64);
        let counted = [Counter::WarmStarts, Counter::ColdStarts, Counter::Handoffs].map(|counter| totals.count(counter));
        prop_assert_eq!(by_outcome, [counted[0], counted[1], counted[2], totals.failed()]);
        prop_assert_eq!(report.waits.count() + totals.failed(), requests.len() as u64);
        prop_assert_eq!(rows.iter().map(|row| u128::from(row.0)).sum::<u128>(), totals.wait_ns.iter().sum::<u128>());

        let executed = requests.iter().zip(&rows).filter(|(_, row)| row.1 != 3).map(|(request, _)| u128::from(request.2)).sum::<u128>();
        prop_assert_eq!(totals.slot_ns[Account::Busy as usize], executed);
        let ended = totals.count(Counter::Destroyed) + totals.count(Counter::NeverCreated);
        prop_assert_eq!(totals.count(Counter::Starts), ended, "all slots are gone in the end");
        prop_assert_eq!(report.snapshot.live.slots, [0; Account::ALL.len()]);
        prop_assert_eq!(sum(&report.functions), (totals.slot_ns, totals.slot_mb_ns, totals.wait_ns, totals.counts));
    }

    /// A run is a plan in which nobody waits for the trace of the moments at which its requests got their instances.
    #[test]
    fn no_run_beats_the_bound_of_the_requests_as_it_served_them(
        requests in requests(0.1), functions in functions(), policy in policy()
    ) {
        let report = run(&requests, &functions, options(policy, LONG_TAIL));
        let mut served: Vec<_> = requests.iter().zip(rows(&report)).map(|(&(at, f, took, bad), (wait, _))| (at + wait, f, took, bad)).collect();
        served.sort_by_key(|request| request.0);
        let bound = bound(&served, &functions);
        let cost = gb_s(report.snapshot.totals.slot_mb_ns.iter().sum());
        prop_assert!(cost >= bound.slot_gb_s, "{cost} beats {}", bound.slot_gb_s);
        prop_assert_eq!(gb_s(report.snapshot.totals.slot_mb_ns[Account::Busy as usize]).to_bits(), bound.busy_gb_s.to_bits());
    }

    /// With instant starts nobody waits, and the least cost is the execution alone.
    #[test]
    fn instances_that_start_at_once_make_nobody_wait(requests in requests(0.1), functions in functions(), policy in policy()) {
        let functions: Vec<_> =
            functions.into_iter().map(|function| FunctionModel { create: Nanos::ZERO, init: Nanos::ZERO, ..function }).collect();
        let report = run(&requests, &functions, options(policy, LONG_TAIL));
        let bound = bound(&requests, &functions);
        prop_assert_eq!(report.waits.max_ns(), 0);
        prop_assert!(gb_s(report.snapshot.totals.slot_mb_ns.iter().sum()) >= bound.slot_gb_s);
        prop_assert_eq!(bound.slot_gb_s.to_bits(), bound.busy_gb_s.to_bits());
    }
}

/// In the same steps as the crate, so that rounding keeps the order.
fn gb_s(mb_ns: u128) -> f64 {
    mb_ns as f64 / 1024.0 / 1e9
}

type Sums = ([u128; Account::ALL.len()], [u128; Account::ALL.len()], [u128; 3], [u64; Counter::ALL.len()]);

fn sum(functions: &[Totals]) -> Sums {
    (
        std::array::from_fn(|account| functions.iter().map(|totals| totals.slot_ns[account]).sum()),
        std::array::from_fn(|account| functions.iter().map(|totals| totals.slot_mb_ns[account]).sum()),
        std::array::from_fn(|cause| functions.iter().map(|totals| totals.wait_ns[cause]).sum()),
        std::array::from_fn(|counter| functions.iter().map(|totals| totals.counts[counter]).sum()),
    )
}

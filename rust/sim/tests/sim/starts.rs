//! Starts that differ, and what requests waited for.

use pilotlight_core::{Counter, Nanos, WaitCause};
use pilotlight_sim::{FunctionModel, Options, Report, SimError, StartRows, StartTable};

use crate::{Request, options, run};

fn function(key: &str) -> FunctionModel {
    FunctionModel { key: key.to_owned(), memory_mb: 1024, create: Nanos(100), init: Nanos(50) }
}

fn table(stages: &[&str], create_stages: usize, rows: &[&[u64]], functions: &[(u32, u32)]) -> StartTable {
    let stages = stages.iter().map(|&stage| stage.to_owned()).collect();
    let functions = functions.iter().map(|&(first, count)| StartRows { first, count }).collect();
    StartTable::new(stages, create_stages, rows.concat(), functions).unwrap()
}

fn with(starts: StartTable, policy: &str) -> Options {
    Options { starts: Some(starts), ..options(policy, 1_000_000) }
}

fn stage_waits(report: &Report, function: usize) -> Vec<u128> {
    (0..=report.stage_waits.stages.len()).map(|stage| report.stage_waits.wait_ns(function, stage)).collect()
}

fn cold_waits(report: &Report) -> Vec<u64> {
    report.requests.as_ref().unwrap().wait_ns.clone()
}

#[test]
fn a_wait_is_split_by_the_stages_of_the_start_that_ended_it() {
    let starts = table(&["schedule", "sandbox", "code", "init"], 2, &[&[10, 20, 30, 40]], &[(0, 1)]);
    let report = run(&[(0, 0, 5, false)], &[function("f")], with(starts, "fixed:keep_alive=0s"));
    assert_eq!(cold_waits(&report), [100]);
    assert_eq!(stage_waits(&report, 0), [10, 20, 30, 40, 0]);
}

#[test]
fn everybody_who_has_a_start_of_its_own_waits_for_all_of_it() {
    // The first request's start is in its second stage when the second request comes and gets a start of its own.
    let starts = table(&["sandbox", "init"], 1, &[&[20, 80]], &[(0, 1)]);
    let report = run(&[(0, 0, 1_000, false), (25, 0, 1_000, false)], &[function("f")], with(starts, "fixed:keep_alive=1s"));
    assert_eq!(cold_waits(&report), [100, 100]);
    assert_eq!(stage_waits(&report, 0), [40, 160, 0]);
}

#[test]
fn who_gets_a_start_that_began_before_it_came_waits_for_the_rest_of_it() {
    let starts = table(&["sandbox", "init"], 1, &[&[20, 80]], &[(0, 1)]);
    // The first request runs from 100 to 110 and hands over to the second, which came at 50; the start of the second, ready at 150,
    // serves the third, which came at 120.
    let requests = [(0, 0, 10, false), (50, 0, 1_000, false), (120, 0, 1_000, false)];
    let report = run(&requests, &[function("f")], with(starts, "fixed:keep_alive=1s"));
    assert_eq!(cold_waits(&report), [100, 60, 30]);
    assert_eq!(stage_waits(&report, 0), [20, 80 + 30, 0]);
}

#[test]
fn a_constant_table_is_the_function_table() {
    let functions = [function("f"), FunctionModel { init: Nanos(70), ..function("g") }];
    let requests: Vec<Request> = (0..400_u32).map(|n| (u64::from(n * n % 977) + u64::from(n) * 40, n % 2, 90, n % 17 == 0)).collect();
    let mut requests = requests;
    requests.sort_unstable();
    let without = run(&requests, &functions, options("break_even", 5_000));
    let constant = Options { starts: Some(StartTable::constant(&functions)), ..options("break_even", 5_000) };
    assert_eq!(without, run(&requests, &functions, constant));
    assert_eq!(without.stage_waits.stages, ["create", "init"]);
}

#[test]
fn stage_waits_add_up_to_the_ledgers_cold_waits() {
    let functions = [function("f"), function("g"), function("h")];
    let rows: Vec<Vec<u64>> = (0..50_u64).map(|n| vec![n * 7 % 31, n * n % 53, 3 * n]).collect();
    let rows: Vec<&[u64]> = rows.iter().map(Vec::as_slice).collect();
    let mut requests: Vec<Request> = (0..2_000_u32).map(|n| (u64::from(n) * 13 + u64::from(n * n % 401), n % 3, 60, n % 29 == 0)).collect();
    requests.sort_unstable();
    for policy in ["fixed:keep_alive=0s", "break_even", "level_gap", "lru:memory=4GB"] {
        let starts = table(&["sandbox", "code", "init"], 1, &rows, &[(0, 50), (10, 5), (49, 1)]);
        let options = Options { create_failure: 0.05, init_failure: 0.05, ..with(starts, policy) };
        let report = run(&requests, &functions, options);
        for (index, totals) in report.functions.iter().enumerate() {
            let stages: u128 = stage_waits(&report, index).iter().sum();
            assert_eq!(stages, totals.wait_ns[WaitCause::ColdStart as usize], "{policy}, function {index}");
        }
        assert!(report.functions.iter().any(|totals| totals.count(Counter::ColdStarts) > 20), "{policy}");
    }
}

#[test]
fn starts_are_drawn_by_seed_function_and_number_alone() {
    let rows: Vec<Vec<u64>> = (0..1_000_u64).map(|n| vec![10 + n, 500]).collect();
    let rows: Vec<&[u64]> = rows.iter().map(Vec::as_slice).collect();
    let waits = |seed: u64, others: bool| -> Vec<u64> {
        let starts = table(&["create", "init"], 1, &rows, &[(0, 1_000), (0, 1_000)]);
        let mut requests: Vec<Request> = (0..200).map(|n| (n * 10_000, 0, 5, false)).collect();
        if others {
            requests.extend((0..150).map(|n| (n * 7_777, 1, 5, false)));
            requests.sort_unstable();
        }
        let options = Options { seed, ..with(starts, "fixed:keep_alive=0s") };
        let report = run(&requests, &[function("f"), function("g")], options);
        let all = cold_waits(&report);
        requests.iter().zip(all).filter(|(request, _)| request.1 == 0).map(|(_, wait)| wait).collect()
    };
    assert_eq!(waits(3, false), waits(3, false));
    assert_eq!(waits(3, false), waits(3, true));
    assert_ne!(waits(3, false), waits(4, false));
    let drawn = waits(3, false);
    let mean = drawn.iter().sum::<u64>() / 200;
    assert!((900..1_120).contains(&mean), "{mean} for 510 + 0..1000");
    assert!(drawn.iter().any(|&wait| wait < 600) && drawn.iter().any(|&wait| wait > 1_400));
}

#[test]
fn what_is_no_start_table_is_refused() {
    let stages = || vec!["create".to_owned(), "init".to_owned()];
    let one = |first, count| vec![StartRows { first, count }];
    for (made, text) in [
        (StartTable::new(stages(), 3, vec![1, 2], one(0, 1)), "3 of 2 stages are CreateSlot's"),
        (StartTable::new(vec![], 0, vec![], vec![]), "0 of 0 stages are CreateSlot's"),
        (StartTable::new(stages(), 1, vec![1, 2, 3], one(0, 1)), "3 durations do not make rows of 2 stages"),
        (StartTable::new(stages(), 1, vec![1, 2], one(0, 0)), "function 0 has 0 rows from 0 on, of 1"),
        (StartTable::new(stages(), 1, vec![1, 2], one(1, 1)), "function 0 has 1 rows from 1 on, of 1"),
        (StartTable::new(stages(), 1, vec![u64::MAX, 2], one(0, 1)), "the stages of a start add up to more than 64 bits"),
    ] {
        let error = made.unwrap_err();
        assert!(error.to_string().starts_with(&format!("start table: {text}")), "{error}");
        assert!(matches!(error, SimError::StartTable { .. }));
    }
}

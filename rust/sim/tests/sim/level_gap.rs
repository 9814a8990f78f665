//! What the level-gap policy claims, on loads made for the claim.

use pilotlight_core::{Account, Counter, Nanos, Totals, WaitCause};
use pilotlight_sim::{FunctionModel, Report};

use super::{Request, options, run};

const MS: u64 = 1_000_000;
const S: u64 = 1000 * MS;

fn function(memory_mb: u32, init: u64) -> FunctionModel {
    FunctionModel { key: "f".to_owned(), memory_mb, create: Nanos(100 * MS), init: Nanos(init) }
}

fn play(requests: &[Request], function: FunctionModel, policy: &str) -> Report {
    run(requests, &[function], options(policy, 60 * S))
}

fn wait_s(totals: &Totals) -> f64 {
    WaitCause::ALL.iter().map(|&cause| totals.wait_s(cause)).sum()
}

/// GB·s beyond executions, plus waiting at a price.
fn cost(report: &Report, lambda: f64) -> f64 {
    let totals = &report.snapshot.totals;
    let slots: f64 = Account::ALL.iter().map(|&account| totals.gb_s(account)).sum();
    slots - totals.gb_s(Account::Busy) + lambda * wait_s(totals)
}

/// GB·s of all slots.
fn slot_gb_s(report: &Report) -> f64 {
    Account::ALL.iter().map(|&account| report.snapshot.totals.gb_s(account)).sum()
}

/// 300 requests so far apart, of ten so many with a bad result.
fn losing(bad_of_ten: u64, apart: u64, execution: u64) -> Vec<Request> {
    (0..300).map(|n| (n * apart, 0, execution, n * 7 % 10 < bad_of_ten)).collect()
}

/// Every 30 s, a little early or late.
fn timer(ticks: u64) -> Vec<Request> {
    (0..ticks).map(|tick| (30 * S * tick + tick * 7 % 11 * MS, 0, 50 * MS, false)).collect()
}

#[test]
fn a_timer_is_met_by_a_pre_warmed_instance() {
    let report = play(&timer(200), function(512, 400 * MS), "level_gap:lambda=5");
    let totals = &report.snapshot.totals;
    assert!(totals.count(Counter::StartsAhead) > 180, "{}", totals.count(Counter::StartsAhead));
    assert!(totals.count(Counter::WarmStarts) > 190, "{}", totals.count(Counter::WarmStarts));
    // Kept all the time it would idle for 3,000 GB·s; started on demand it would wait for 100 s.
    assert!(cost(&report, 5.0) < 0.3 * cost(&play(&timer(200), function(512, 400 * MS), "break_even:lambda=5"), 5.0));
}

#[test]
fn a_timer_that_stops_keeping_time_is_no_longer_pre_warmed() {
    let random = |n: u64| n.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32;
    let mut at = 30 * S * 50;
    let tail = (0..300).map(|n| {
        at += 5 * S + random(n) % (90 * S / 1000) * 1000;
        (at, 0, 50 * MS, false)
    });
    let requests: Vec<Request> = timer(50).into_iter().chain(tail).collect();
    let report = play(&requests, function(512, 400 * MS), "level_gap:lambda=5");
    let ahead = report.snapshot.totals.count(Counter::StartsAhead);
    assert!(ahead < 80, "{ahead} starts ahead, about 45 of them for the timer");
}

#[test]
fn a_request_waits_for_a_busy_instance_when_a_start_would_cost_more() {
    // One request, then pairs of short ones, of a function whose start takes ten seconds and 4 GB.
    let pairs = (0..500).map(|n| (11 * S + n / 2 * 100 * MS + n % 2 * MS, 0, 20 * MS, false));
    let requests: Vec<Request> = std::iter::once((0, 0, 20 * MS, false)).chain(pairs).collect();
    let report = play(&requests, function(4096, 10 * S), "level_gap:lambda=1");
    let totals = &report.snapshot.totals;
    assert!(totals.count(Counter::Starts) <= 2, "{}", totals.count(Counter::Starts));
    assert!(totals.count(Counter::HeldBack) > 150, "{}", totals.count(Counter::HeldBack));
}

#[test]
fn the_first_burst_of_an_unknown_function_does_not_get_a_start_for_each_request() {
    let requests: Vec<Request> = (0..200).map(|n| (n * 50 * MS, 0, 20 * MS, false)).collect();
    let report = play(&requests, function(4096, 10 * S), "level_gap:lambda=1");
    assert!(report.snapshot.totals.count(Counter::Starts) <= 9, "{}", report.snapshot.totals.count(Counter::Starts));
}

#[test]
fn a_long_queue_is_worth_more_starts() {
    // One request teaches that they run for a second; then a hundred come at once.
    let requests: Vec<Request> = (0..101).map(|n| (if n == 0 { 0 } else { 10 * S }, 0, S, false)).collect();
    let report = play(&requests, function(512, 400 * MS), "level_gap:lambda=1");
    assert!(wait_s(&report.snapshot.totals) < 500.0, "one instance would let them wait for 5,000 s");
}

#[test]
fn an_important_function_waits_less() {
    let requests: Vec<Request> = (0..400).map(|n| (n * n % 7 * S + n * 5 * S, 0, 100 * MS, false)).collect();
    let mut requests = requests;
    requests.sort_unstable();
    let plain = play(&requests, function(512, 900 * MS), "level_gap:lambda=0.5");
    let vip = play(&requests, function(512, 900 * MS), "level_gap:lambda=0.5,vip=f,vip_weight=10");
    assert!(wait_s(&vip.snapshot.totals) < 0.5 * wait_s(&plain.snapshot.totals));
}

#[test]
fn a_goal_for_p99_is_met_for_less_than_the_price_that_surely_meets_it() {
    // Gaps from two to seven seconds: kept through, or not, by the price.
    let requests: Vec<Request> = (0..20_000)
        .scan(0, |at, n: u64| {
            *at += 2 * S + n.wrapping_mul(0x9E37_79B9_7F4A_7C15) % (5 * S);
            Some((*at, 0, 100 * MS, false))
        })
        .collect();
    let goal = play(&requests, function(512, 900 * MS), "level_gap:lambda=p99<200ms");
    let sure = play(&requests, function(512, 900 * MS), "level_gap:lambda=10000");
    let waits = &goal.requests.as_ref().unwrap().wait_ns;
    let settled = &waits[waits.len() / 2..];
    let slow = settled.iter().filter(|&&wait| wait > 200 * MS).count() as f64 / settled.len() as f64;
    assert!(slow < 0.02, "{slow}");
    let idle = |report: &Report| report.snapshot.totals.gb_s(Account::Idle);
    assert!(idle(&goal) <= idle(&sure), "{} against {}", idle(&goal), idle(&sure));
}

#[test]
fn the_reasons_are_written_down_on_request() {
    let report =
        run(&timer(20), &[function(512, 400 * MS)], pilotlight_sim::Options { explain: Some(0), ..options("level_gap:lambda=5", 60 * S) });
    let explanation = report.explanation.unwrap();
    assert!(explanation.decisions.iter().any(|(_, text)| text.contains("starts an instance")));
    let (_, last) = explanation.accounts.last().unwrap();
    assert!(last.iter().any(|line| line.contains("of its own")), "{last:?}");
    assert!(last.iter().any(|line| line.contains("foreseen")), "{last:?}");
}

#[test]
fn a_timer_whose_instances_end_bad_is_pre_warmed_all_the_same() {
    let requests: Vec<Request> = timer(100).into_iter().map(|(at, function, time, _)| (at, function, time, true)).collect();
    let report = play(&requests, function(512, 400 * MS), "level_gap:lambda=5");
    assert!(report.snapshot.totals.count(Counter::WarmStarts) > 90, "{}", report.snapshot.totals.count(Counter::WarmStarts));
}

#[test]
fn a_function_whose_init_takes_no_time_gets_its_starts() {
    let report = play(&[(0, 0, 1000 * S, false), (2 * S, 0, S, false)], function(512, 0), "level_gap:lambda=1");
    assert!(wait_s(&report.snapshot.totals) < 1.0, "the second waits for a start, not for the first");
}

#[test]
fn a_function_that_always_runs_a_little_short_gets_one_instance_more() {
    // Two instances just carry the load. Nobody in their queue waits long and it is never worth a start by itself, but it does not go away.
    let gaps = (0..8_000_u64).map(|n| (n.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32) % 152 * MS);
    let arrivals = gaps.scan(0, |at, gap| {
        *at += gap;
        Some(*at)
    });
    let requests: Vec<Request> = arrivals.map(|at| (at, 0, 150 * MS, false)).collect();
    let report = play(&requests, function(1024, 2600 * MS), "level_gap:lambda=1");
    assert!(wait_s(&report.snapshot.totals) < 300.0, "{} s, with two instances 1,600", wait_s(&report.snapshot.totals));
}

#[test]
fn instances_that_do_not_come_back_are_not_waited_for() {
    let loads = [
        (200 * MS, 500 * MS, 512, 2 * S),
        (200 * MS, 500 * MS, 128, 10 * S),
        (1000 * MS, 500 * MS, 512, 2 * S),
        (1000 * MS, 50 * MS, 4096, 2 * S),
        (20 * MS, 50 * MS, 512, 2 * S),
        (20 * MS, 500 * MS, 256, 200 * MS),
        (5000 * MS, 3 * S, 512, 10 * S),
        (200 * MS, 5 * S, 512, 2 * S),
    ];
    for (apart, execution, memory_mb, init) in loads {
        for bad_of_ten in [10, 9, 7, 5] {
            let requests = losing(bad_of_ten, apart, execution);
            for lambda in ["1", "contest"] {
                let [own, plain] = ["level_gap", "break_even"]
                    .map(|policy| play(&requests, function(memory_mb, init), &format!("{policy}:lambda={lambda}")));
                let (waited, allowed) = (wait_s(&own.snapshot.totals), 1.2 * wait_s(&plain.snapshot.totals));
                let load = format!("{bad_of_ten} of 10 bad, {apart} apart, {execution} long, {memory_mb} MB, {init}, lambda {lambda}");
                assert!(waited <= allowed, "{load}: {waited} s, allowed are {allowed}");
                let [starts, fewest] = [&own, &plain].map(|report| report.snapshot.totals.count(Counter::Starts));
                assert!(starts <= fewest + fewest / 4, "{load}: {starts} starts, break_even {fewest}");
                let [held, least] = [&own, &plain].map(slot_gb_s);
                assert!(held <= 1.25 * least, "{load}: {held} GB·s, break_even {least}");
            }
        }
    }
}

#[test]
fn where_every_request_uses_an_instance_up_the_next_ones_are_on_their_way() {
    let [own, plain] =
        ["level_gap:lambda=1", "break_even:lambda=1"].map(|policy| play(&losing(10, 200 * MS, 500 * MS), function(512, 2 * S), policy));
    assert!(wait_s(&own.snapshot.totals) < 0.3 * wait_s(&plain.snapshot.totals), "{} s", wait_s(&own.snapshot.totals));
    assert!(own.snapshot.totals.count(Counter::Starts) <= 315, "{}", own.snapshot.totals.count(Counter::Starts));
    assert!(slot_gb_s(&own) < 1.06 * slot_gb_s(&plain), "{} of {} GB·s", slot_gb_s(&own), slot_gb_s(&plain));
}

#[test]
fn what_was_on_its_way_when_requests_stop_is_not_more_than_they_save() {
    for (length, apart, memory_mb, init) in [(5, 200, 512, 2 * S), (10, 20, 2048, 500 * MS), (30, 200, 2048, 500 * MS)] {
        let burst = |n: u64| (0..length * 1000 / apart).map(move |m| (n * 90 * S + m * apart * MS, 0, 500 * MS, true));
        let requests: Vec<Request> = (0..20).flat_map(burst).collect();
        let [own, plain] = ["level_gap:lambda=1", "break_even:lambda=1"].map(|policy| play(&requests, function(memory_mb, init), policy));
        let load = format!("{length} s of a request each {apart} ms, {memory_mb} MB, {init}");
        let (costs, allowed) = (cost(&own, 1.0), 1.05 * cost(&plain, 1.0));
        assert!(costs <= allowed, "{load}: {costs} GB·s, allowed are {allowed}");
        let starts = own.snapshot.totals.count(Counter::Starts);
        assert!(starts as f64 <= 1.1 * requests.len() as f64, "{load}: {starts} starts for {} requests", requests.len());
    }
}

#[test]
fn an_instance_that_survives_takes_the_place_of_one_that_was_lost() {
    // One request a second loses its instance; every twenty seconds one runs beside it that does not. Level 2 is not wanted again for
    // long, but level 1 is, and has no instance.
    let second = |n: u64| [(n * S, 0, 300 * MS, true)].into_iter().chain((n % 20 == 19).then_some((n * S, 0, 100 * MS, false)));
    let requests: Vec<Request> = (0..400).flat_map(second).collect();
    let report = play(&requests, function(512, 400 * MS), "level_gap:lambda=1");
    assert!(report.snapshot.totals.count(Counter::WarmStarts) >= 18, "{}", report.snapshot.totals.count(Counter::WarmStarts));
}

#[test]
fn a_function_whose_instances_survive_again_is_trusted_again() {
    let bad_until = |end: u64| (0..1500).map(move |n| (n * 200 * MS, 0, 500 * MS, n < end)).collect::<Vec<Request>>();
    let [recovered, sound] = [200, 0].map(|end| play(&bad_until(end), function(512, 2 * S), "level_gap:lambda=1"));
    let [starts, fewest] = [&recovered, &sound].map(|report| report.snapshot.totals.count(Counter::Starts));
    assert!(starts < 200 + 60, "{starts} starts, of a function that was never bad {fewest}");
}

#[test]
fn losses_of_other_functions_are_forgotten_with_evidence_of_its_own() {
    // Nine functions whose every result is bad, and one beside them whose results are good.
    let requests: Vec<Request> = (0..6_000).map(|n| (n * 20 * MS, (n % 10) as u32, 500 * MS, n % 10 > 0)).collect();
    let functions: Vec<_> = (0..10).map(|n| FunctionModel { key: format!("f{n}"), ..function(512, 2 * S) }).collect();
    let report = run(&requests, &functions, options("level_gap:lambda=1", 60 * S));
    let starts = report.functions[0].count(Counter::Starts);
    let alone: Vec<Request> = requests.iter().filter(|&&(_, function, ..)| function == 0).copied().collect();
    let fewest = play(&alone, function(512, 2 * S), "level_gap:lambda=1").snapshot.totals.count(Counter::Starts);
    assert!(starts <= 2 * fewest + 5, "{starts} starts, alone {fewest}");
}

#[test]
fn the_share_that_survives_is_explained_where_some_do_not() {
    for (bad_of_ten, told) in [(10, true), (0, false)] {
        let options = pilotlight_sim::Options { explain: Some(0), ..options("level_gap:lambda=1", 60 * S) };
        let report = run(&losing(bad_of_ten, 200 * MS, 500 * MS), &[function(512, 2 * S)], options);
        let accounts = report.explanation.unwrap().accounts;
        assert_eq!(accounts.last().unwrap().1.iter().any(|line| line.contains("survived by their instance")), told);
    }
}

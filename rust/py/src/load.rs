//! Load on a scaler over gRPC, and the instant platform behind it, for `pilotlight bench`.

use std::num::NonZeroUsize;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use pilotlight_core::policy::PolicySpec;
use pilotlight_load::{EngineLoad, Latencies, LoadConfig, LoadReport, Loop, Mix, Platform, Progress, Spacing, Storm, Usage, Window};
use pyo3::exceptions::PyKeyboardInterrupt;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::errors::{LoadError, policy_error};

/// Between two calls of the progress callback.
const PROGRESS_PAUSE: Duration = Duration::from_millis(100);

/// Puts load on a scaler over gRPC, without the GIL.
#[pyfunction]
#[pyo3(signature = (
    target, *, duration_ns, warm_up_ns, grace_ns, connections = 1, threads = 1, streams = None, rate = None, poisson = true,
    functions = 1, skew = 0.0, cold_share = 0.0, prewarm = 1, hold_ns = 0, storm = None, seed = 0, pid = None, progress = None,
))]
#[expect(clippy::too_many_arguments, reason = "settings, all by keyword")]
#[expect(clippy::needless_pass_by_value, reason = "arguments arrive by value")]
pub(crate) fn load_grpc(
    py: Python<'_>,
    target: String,
    duration_ns: u64,
    warm_up_ns: u64,
    grace_ns: u64,
    connections: usize,
    threads: usize,
    streams: Option<usize>,
    rate: Option<f64>,
    poisson: bool,
    functions: usize,
    skew: f64,
    cold_share: f64,
    prewarm: usize,
    hold_ns: u64,
    storm: Option<(u64, u64, u64)>,
    seed: u64,
    pid: Option<u32>,
    progress: Option<Py<PyAny>>,
) -> PyResult<Bound<'_, PyDict>> {
    let spacing = if poisson { Spacing::Poisson } else { Spacing::Constant };
    let arrivals = match (streams, rate) {
        (Some(streams), None) => Loop::Closed { streams },
        (None, Some(rate)) => Loop::Open { rate, spacing },
        _ => return Err(LoadError::new_err("exactly one of streams (a closed loop) and rate (an open one) is needed")),
    };
    let config = LoadConfig {
        target,
        connections,
        threads,
        arrivals,
        mix: Mix { functions, skew, cold_share, prewarm, hold: Duration::from_nanos(hold_ns) },
        warm_up: Duration::from_nanos(warm_up_ns),
        duration: Duration::from_nanos(duration_ns),
        grace: Duration::from_nanos(grace_ns),
        storm: storm.map(|(requests, functions, ns)| Storm { requests, functions, duration: Duration::from_nanos(ns) }),
        seed,
        pid,
    };
    let mut told = Instant::now();
    let mut stop = None;
    let result = py.detach(|| {
        pilotlight_load::run(&config, &mut |now| {
            if told.elapsed() >= PROGRESS_PAUSE && stop.is_none() {
                stop = Python::attach(|py| tell(py, progress.as_ref(), now)).err();
                told = Instant::now();
            }
            stop.is_none()
        })
    });
    match (stop, result) {
        (Some(error), _) => Err(error),
        (None, Ok(report)) => as_dict(py, &report),
        (None, Err(pilotlight_load::LoadError::Interrupted)) => Err(PyKeyboardInterrupt::new_err(())),
        (None, Err(error)) => Err(LoadError::new_err(error.to_string())),
    }
}

/// Tells the caller how far the run is; an error, also a pressed Ctrl-C, ends it.
fn tell(py: Python<'_>, progress: Option<&Py<PyAny>>, now: Progress) -> PyResult<()> {
    py.check_signals()?;
    let Some(progress) = progress else { return Ok(()) };
    match now {
        Progress::Prewarm(ready) => progress.call1(py, ("prewarm", ready, 0.0)).map(drop),
        Progress::Load { calls, share } => progress.call1(py, ("load", calls, share)).map(drop),
    }
}

fn as_dict<'py>(py: Python<'py>, report: &LoadReport) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    dict.set_item("duration_s", report.duration.as_secs_f64())?;
    dict.set_item("calls", report.calls)?;
    dict.set_item("measured", window(py, &report.recording.measured)?)?;
    dict.set_item("beside_storm", window(py, &report.recording.beside_storm)?)?;
    dict.set_item("storm", window(py, &report.recording.storm)?)?;
    dict.set_item("lag", latencies(py, &report.recording.lag)?)?;
    dict.set_item("target", report.target.map(|usage| usages(py, usage)).transpose()?)?;
    dict.set_item("client", usages(py, report.client)?)?;
    Ok(dict)
}

fn window<'py>(py: Python<'py>, window: &Window) -> PyResult<Bound<'py, PyDict>> {
    let mut all = window.assign.clone();
    all += &window.idle;
    all += &window.cold;
    let dict = PyDict::new(py);
    for (name, histogram) in [("all", &all), ("assign", &window.assign), ("idle", &window.idle), ("cold", &window.cold)] {
        dict.set_item(name, latencies(py, histogram)?)?;
    }
    dict.set_item("failures", window.failures.clone())?;
    Ok(dict)
}

fn latencies<'py>(py: Python<'py>, histogram: &Latencies) -> PyResult<Bound<'py, PyDict>> {
    // Of nothing there are no latencies: a zero would be the best there is.
    let us = |ns: u64| (!histogram.is_empty()).then(|| ns as f64 / 1e3);
    let dict = PyDict::new(py);
    dict.set_item("count", histogram.len())?;
    dict.set_item("mean_us", (!histogram.is_empty()).then(|| histogram.mean() / 1e3))?;
    for (name, quantile) in [("p50_us", 0.5), ("p90_us", 0.9), ("p99_us", 0.99), ("p99_9_us", 0.999), ("p99_99_us", 0.9999)] {
        dict.set_item(name, us(histogram.value_at_quantile(quantile)))?;
    }
    dict.set_item("max_us", us(histogram.max()))?;
    Ok(dict)
}

fn usages(py: Python<'_>, [begin, end]: [Usage; 2]) -> PyResult<Bound<'_, PyDict>> {
    let mb = |kib: u64| kib as f64 / 1024.0;
    let dict = PyDict::new(py);
    dict.set_item("cpu_s", end.cpu.saturating_sub(begin.cpu).as_secs_f64())?;
    dict.set_item("rss_mb_before", mb(begin.rss_kib))?;
    dict.set_item("rss_mb", mb(end.rss_kib))?;
    Ok(dict)
}

/// Runs warm pairs on the engine, without the GIL.
#[pyfunction]
#[pyo3(signature = (*, policy, duration_ns, threads = NonZeroUsize::MIN, functions = NonZeroUsize::MIN, shared = false, skew = 0.0, seed = 0))]
#[expect(clippy::too_many_arguments, reason = "settings, all by keyword")]
pub(crate) fn load_engine<'py>(
    py: Python<'py>,
    policy: &str,
    duration_ns: u64,
    threads: NonZeroUsize,
    functions: NonZeroUsize,
    shared: bool,
    skew: f64,
    seed: u64,
) -> PyResult<Bound<'py, PyDict>> {
    let policy = PolicySpec::parse(policy).map_err(|error| policy_error(py, &error))?;
    let duration = Duration::from_nanos(duration_ns);
    let load = EngineLoad { policy, threads: threads.get(), functions: functions.get(), shared, skew, duration, seed };
    let report = py.detach(|| pilotlight_load::warm_pairs(load));
    let dict = PyDict::new(py);
    dict.set_item("pairs", report.pairs)?;
    dict.set_item("waited", report.waited)?;
    dict.set_item("warm_up_pairs", report.warm_up)?;
    dict.set_item("warm_pair_ns", report.pair_ns())?;
    Ok(dict)
}

/// A platform that answers at once, or after given times.
#[pyclass(frozen, module = "pilotlight._core")]
pub(crate) struct InstantPlatform {
    #[pyo3(get)]
    address: String,
    /// None once it is closed.
    platform: Mutex<Option<Platform>>,
}

#[pymethods]
impl InstantPlatform {
    #[new]
    #[pyo3(signature = (address = "127.0.0.1:0", *, create_ns = 0, init_ns = 0))]
    fn new(address: &str, create_ns: u64, init_ns: u64) -> PyResult<Self> {
        let platform = Platform::start(address, Duration::from_nanos(create_ns), Duration::from_nanos(init_ns))
            .map_err(|error| LoadError::new_err(error.to_string()))?;
        Ok(Self { address: platform.address().to_string(), platform: Mutex::new(Some(platform)) })
    }

    /// Counts answered calls.
    fn counts<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let platform = self.platform.lock().expect("nothing panics under it");
        let counts = platform.as_ref().map(Platform::counts).unwrap_or_default();
        let dict = PyDict::new(py);
        dict.set_item("created", counts.created)?;
        dict.set_item("initialised", counts.initialised)?;
        dict.set_item("destroyed", counts.destroyed)?;
        Ok(dict)
    }

    /// Ends it; connections are cut.
    fn close(&self, py: Python<'_>) {
        let platform = self.platform.lock().expect("nothing panics under it").take();
        py.detach(|| drop(platform));
    }
}

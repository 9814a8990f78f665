//! Warm instances before the load, and the proof that the target is a Scaler.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use bytes::Bytes;
use pilotlight_grpc::Failure;
use prost::Message;
use tokio::task::{JoinSet, LocalSet};

use crate::client::Channel;
use crate::config::LoadConfig;
use crate::error::LoadError;
use crate::mix::Function;
use crate::pair::{assign, idle};
use crate::wire::Assignment;

/// Instances asked for at once.
const BATCH: usize = 512;
/// How long one batch may take.
const LIMIT: Duration = Duration::from_secs(30);
/// Sets these requests' numbers apart from the load's.
const FIRST_NUMBER: u64 = 1 << 62;

/// Makes `prewarm` instances of each function, each busy while the others of its batch start; `progress` may end it.
pub(crate) fn prewarm(
    config: &LoadConfig,
    functions: &[Function],
    progress: &mut dyn FnMut(u64) -> Result<(), LoadError>,
) -> Result<(), LoadError> {
    let runtime = crate::worker::runtime()?;
    let tasks = LocalSet::new();
    let channel = tasks.block_on(&runtime, Channel::connect(&config.target, |_| ()))?;
    let began = Instant::now();
    // Without warm instances one request still shows whether the target is a Scaler.
    let wanted: Vec<&Function> = match config.mix.prewarm {
        0 => vec![&functions[0]],
        count => functions.iter().flat_map(|function| std::iter::repeat_n(function, count)).collect(),
    };
    let mut ready = 0;
    for batch in wanted.chunks(BATCH.max(config.mix.prewarm)) {
        progress(ready)?;
        let late = || LoadError::Prewarm {
            target: config.target.clone(),
            ready,
            wanted: wanted.len() as u64,
            seconds: began.elapsed().as_secs_f64(),
        };
        let calls = round(&channel, batch, FIRST_NUMBER + ready);
        let outcome = tasks.block_on(&runtime, async { tokio::time::timeout(LIMIT, calls).await });
        outcome.map_err(|_| late())?.map_err(|(method, failure)| refused(&config.target, method, failure))?;
        ready += batch.len() as u64;
    }
    Ok(())
}

/// Holds one instance for each entry of a batch at once, then frees them.
async fn round(channel: &Channel, batch: &[&Function], first_number: u64) -> Result<(), (&'static str, Failure)> {
    let mut assigns = JoinSet::new();
    for (number, &function) in (first_number..).zip(batch) {
        let (channel, function) = (channel.clone(), function.clone());
        assigns.spawn_local(async move { assign(&channel, &function, number).await });
    }
    let mut assignments = Vec::with_capacity(batch.len());
    while let Some(joined) = assigns.join_next().await {
        assignments.push(joined.expect("a call does not panic").map_err(|failure| ("Assign", failure))?);
    }
    exclusive(&assignments).map_err(|failure| ("Assign", failure))?;
    let mut idles = JoinSet::new();
    for assignment in assignments {
        let channel = channel.clone();
        idles.spawn_local(async move { idle(&channel, assignment).await });
    }
    while let Some(joined) = idles.join_next().await {
        joined.expect("a call does not panic").map_err(|failure| ("Idle", failure))?;
    }
    Ok(())
}

/// Checks that nobody got an instance that another request holds.
fn exclusive(assignments: &[Bytes]) -> Result<(), Failure> {
    let mut held = HashSet::new();
    for encoded in assignments {
        let assignment = Assignment::decode(encoded.clone()).expect("it was decoded before");
        if !held.insert((assignment.meta_key, assignment.instance_id.clone())) {
            let id = String::from_utf8_lossy(&assignment.instance_id).into_owned();
            return Err(Failure::new("WRONG_REPLY", format!("instance {id:?} serves two requests at once")));
        }
    }
    Ok(())
}

fn refused(target: &str, method: &'static str, failure: Failure) -> LoadError {
    let hint = match failure.status {
        "UNIMPLEMENTED" => "; is it a Scaler (service serverless.simulator.Scaler)?",
        "UNAVAILABLE" | "DEADLINE_EXCEEDED" | "InternalError" => "; does the scaler find its platform?",
        _ => "",
    };
    LoadError::Refused { target: target.to_owned(), method, status: failure.status.to_owned(), message: failure.message, hint }
}

//! Warm instances before the load, and the proof that the target is a Scaler.

use std::collections::HashSet;
use std::time::Duration;

use bytes::Bytes;
use pilotlight_grpc::Failure;
use prost::Message;
use tokio::task::{JoinSet, LocalSet};
use tokio::time::timeout;

use crate::client::Channel;
use crate::config::LoadConfig;
use crate::error::LoadError;
use crate::mix::Function;
use crate::pair::{assign, idle};
use crate::wire::Assignment;

/// Instances asked for at once.
const BATCH: usize = 512;
/// How long nothing may come. A busy machine may take longer over a batch; one that has lost a request never answers it.
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
    // Without warm instances one request still shows whether the target is a Scaler.
    let wanted: Vec<&Function> = match config.mix.prewarm {
        0 => vec![&functions[0]],
        count => functions.iter().flat_map(|function| std::iter::repeat_n(function, count)).collect(),
    };
    let mut ready = 0;
    for batch in wanted.chunks(BATCH.max(config.mix.prewarm)) {
        progress(ready)?;
        let outcome = tasks.block_on(&runtime, round(&channel, batch, FIRST_NUMBER + ready));
        outcome.map_err(|ended| match ended {
            Ended::Refused(method, failure) => refused(&config.target, method, failure),
            Ended::Silent { method, answered, of } => LoadError::Prewarm {
                target: config.target.clone(),
                method,
                answered,
                of,
                ready,
                wanted: wanted.len() as u64,
                seconds: LIMIT.as_secs(),
            },
        })?;
        ready += batch.len() as u64;
    }
    Ok(())
}

/// Why a batch is not warm.
enum Ended {
    Refused(&'static str, Failure),
    /// This many calls were answered, and then none.
    Silent {
        method: &'static str,
        answered: usize,
        of: usize,
    },
}

/// Holds one instance for each entry of a batch at once, then frees them.
async fn round(channel: &Channel, batch: &[&Function], first_number: u64) -> Result<(), Ended> {
    let mut assigns = JoinSet::new();
    for (number, &function) in (first_number..).zip(batch) {
        let (channel, function) = (channel.clone(), function.clone());
        assigns.spawn_local(async move { assign(&channel, &function, number).await });
    }
    let assignments = answers("Assign", assigns).await?;
    exclusive(&assignments).map_err(|failure| Ended::Refused("Assign", failure))?;
    let mut idles = JoinSet::new();
    for assignment in assignments {
        let channel = channel.clone();
        idles.spawn_local(async move { idle(&channel, assignment).await });
    }
    answers("Idle", idles).await.map(drop)
}

/// Waits for the answers to some calls.
async fn answers<T: 'static>(method: &'static str, mut calls: JoinSet<Result<T, Failure>>) -> Result<Vec<T>, Ended> {
    let of = calls.len();
    let mut answers = Vec::with_capacity(of);
    loop {
        let Ok(joined) = timeout(LIMIT, calls.join_next()).await else {
            return Err(Ended::Silent { method, answered: answers.len(), of });
        };
        let Some(joined) = joined else { return Ok(answers) };
        answers.push(joined.expect("a call does not panic").map_err(|failure| Ended::Refused(method, failure))?);
    }
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

#[cfg(test)]
mod tests {
    use tokio::time::sleep;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn slow_answers_are_waited_for_and_silence_is_not() {
        let mut calls = JoinSet::new();
        for number in 1..=5 {
            calls.spawn(async move {
                sleep(LIMIT * number / 2).await;
                Ok(number)
            });
        }
        assert_eq!(answers("Assign", calls).await.ok(), Some(vec![1, 2, 3, 4, 5]));
        let mut calls = JoinSet::new();
        calls.spawn(async { Ok(()) });
        calls.spawn(std::future::pending());
        let ended = answers("Assign", calls).await;
        assert!(matches!(ended, Err(Ended::Silent { method: "Assign", answered: 1, of: 2 })));
    }
}

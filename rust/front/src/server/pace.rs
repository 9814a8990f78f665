//! Requests that waited are answered one at a time, in turn with the calls that are there.
//!
//! A client that is let in at last calls again at once. Were all answered that can be, a crowd of them would have a thread to itself
//! until it is through, and every warm call would stand behind it. As many are answered in the same time this way.

use std::sync::Arc;

use tokio::sync::Mutex;
use tokio::task::yield_now;

/// The pace of one thread's answers to requests that waited.
#[derive(Clone, Debug, Default)]
pub(super) struct Pace {
    turn: Arc<Mutex<()>>,
}

impl Pace {
    /// Gives an answer when its turn has come: first come, first served, and after each the thread looks at everything else.
    pub(super) async fn in_turn(&self, answer: impl FnOnce()) {
        let _turn = self.turn.lock().await;
        answer();
        yield_now().await;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use tokio::task::yield_now;

    use super::Pace;

    #[tokio::test]
    async fn whatever_else_is_ready_comes_between_two_answers() {
        let (pace, log) = (Pace::default(), Arc::new(Mutex::new(Vec::new())));
        let mut tasks: Vec<_> = (0..10)
            .map(|number| {
                let (pace, log) = (pace.clone(), Arc::clone(&log));
                tokio::spawn(async move { pace.in_turn(|| log.lock().unwrap().push(Some(number))).await })
            })
            .collect();
        let calls = Arc::clone(&log);
        tasks.push(tokio::spawn(async move {
            for _ in 0..100 {
                calls.lock().unwrap().push(None);
                yield_now().await;
            }
        }));
        for task in tasks {
            task.await.unwrap();
        }
        let log = log.lock().unwrap();
        assert_eq!(log.iter().flatten().copied().collect::<Vec<_>>(), (0..10).collect::<Vec<_>>(), "in their order");
        assert!(log.windows(2).all(|pair| pair.iter().any(Option::is_none)), "{log:?}");
    }
}

//! Requests that waited are answered a few at a time, in turn with the calls that are there.
//!
//! A client that is let in at last calls again at once. Were all answered that can be, a crowd of them would have a thread to itself
//! until it is through, and every warm call would stand behind it.

use std::sync::Arc;

use tokio::sync::Semaphore;
use tokio::task::yield_now;

/// Answers between two looks at everything else: they share a write, and where most requests wait they are most of the work.
const AT_ONCE: usize = 8;

/// The way of one thread's answers to requests that waited.
#[derive(Clone, Debug)]
pub(super) struct Answers {
    turns: Arc<Semaphore>,
}

impl Answers {
    pub(super) fn new() -> Self {
        Self { turns: Arc::new(Semaphore::new(AT_ONCE)) }
    }

    /// Gives an answer when its turn has come, first come, first served.
    pub(super) async fn in_turn(&self, answer: impl FnOnce()) {
        let _turn = self.turns.acquire().await;
        answer();
        yield_now().await;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use tokio::task::yield_now;

    use super::{AT_ONCE, Answers};

    #[tokio::test]
    async fn whatever_else_is_ready_comes_between_a_few_answers() {
        let (answers, log) = (Answers::new(), Arc::new(Mutex::new(Vec::new())));
        let mut tasks: Vec<_> = (0..100)
            .map(|number| {
                let (answers, log) = (answers.clone(), Arc::clone(&log));
                tokio::spawn(async move { answers.in_turn(|| log.lock().unwrap().push(Some(number))).await })
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
        assert_eq!(log.iter().flatten().copied().collect::<Vec<_>>(), (0..100).collect::<Vec<_>>(), "in their order");
        assert!(log.windows(AT_ONCE + 1).all(|entries| entries.iter().any(Option::is_none)), "{log:?}");
    }
}

//! What was decided for one function, and why: kept on request, for a person to read.

use pilotlight_core::{Command, Engine, FunctionId, Nanos, SlotId};

use crate::report::Outcome;

/// Decisions written down before the rest are only counted.
const MOST_DECISIONS: usize = 10_000;
/// The policy's own account is written down again when the run has become so much longer.
const NEXT_ACCOUNT: f64 = 2.0;
/// When it is first written down.
const FIRST_ACCOUNT: Nanos = Nanos::from_secs(60);

/// The decisions for one function.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Explanation {
    /// When, and what was done for what reason; in order.
    pub decisions: Vec<(Nanos, String)>,
    /// Decisions that were not written down any more.
    pub left_out: u64,
    /// The policy's account of why it decides as it does, at moments that grow apart, and at the end.
    pub accounts: Vec<(Nanos, Vec<String>)>,
}

/// Writes the explanation while the run goes on.
#[derive(Debug)]
pub(crate) struct Diary {
    function: FunctionId,
    explanation: Explanation,
    next_account: Nanos,
}

impl Diary {
    pub(crate) fn new(function: FunctionId) -> Self {
        Self { function, explanation: Explanation::default(), next_account: FIRST_ACCOUNT }
    }

    /// Notes a command of the engine's, if it is for this function. `woken`: how requests woken now got their instance.
    pub(crate) fn note(&mut self, now: Nanos, command: &Command, engine: &Engine, woken: Outcome) {
        let own = |function: FunctionId| function == self.function;
        let holds = |slot: SlotId| engine.function_of(slot).is_some_and(own);
        let text = match command {
            Command::CreateSlot { function, .. } if own(*function) => "starts an instance".to_owned(),
            Command::Init { function, .. } if own(*function) => "the slot is there: Init".to_owned(),
            Command::DestroySlot { slot, reason } if holds(*slot) => format!("gives a slot back: {}", reason.as_str()),
            Command::Wake { waiter, result } if waiter.function_index() == self.function.index() => match (result, woken) {
                (Ok(_), Outcome::ColdStart) => "a waiting request gets the new instance".to_owned(),
                (Ok(_), _) => "a waiting request gets an instance that was just freed".to_owned(),
                (Err(error), _) => format!("a waiting request gets none: {error}"),
            },
            _ => return,
        };
        if self.explanation.decisions.len() < MOST_DECISIONS {
            self.explanation.decisions.push((now, text));
        } else {
            self.explanation.left_out += 1;
        }
        if now >= self.next_account {
            self.next_account = Nanos::from_secs_f64(now.as_secs_f64() * NEXT_ACCOUNT);
            self.account(now, engine);
        }
    }

    pub(crate) fn finish(mut self, end: Nanos, engine: &Engine) -> Explanation {
        self.account(end, engine);
        self.explanation
    }

    fn account(&mut self, now: Nanos, engine: &Engine) {
        if let Some(lines) = engine.explain(now, self.function) {
            self.explanation.accounts.push((now, lines));
        }
    }
}

//! How long starts take, stage by stage: draws for every start, and what requests waited for.
//!
//! A [`StartTable`] lists for each function the starts it may have, all equally likely; a constant start is a list of one. Whatever law
//! starts follow, and however their stages depend on each other, somebody else turned it into such a list.
//!
//! The n-th start that a function asks for is drawn from a source of chance of that function, at place n: it takes as long whatever the
//! policy did for other functions, and whatever else was drawn.

use pilotlight_core::{FunctionId, Nanos, SlotId};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::error::SimError;
use crate::trace::FunctionModel;

/// The starts that each function may have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StartTable {
    stages: Vec<String>,
    create_stages: usize,
    rows_ns: Vec<u64>,
    functions: Vec<StartRows>,
}

/// Which rows of a start table are one function's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StartRows {
    /// The first of them.
    pub first: u32,
    /// How many there are, at least one.
    pub count: u32,
}

impl StartTable {
    /// Makes a table.
    ///
    /// `stages`: what a start consists of, in order, of which the first `create_stages` are CreateSlot's and the others Init's. `rows_ns`:
    /// starts one after the other, each with the duration of every stage in ns. `functions`: for each function, which of them it may have.
    ///
    /// # Errors
    ///
    /// [`SimError::StartTable`]: the table is not one.
    pub fn new(stages: Vec<String>, create_stages: usize, rows_ns: Vec<u64>, functions: Vec<StartRows>) -> Result<Self, SimError> {
        let wrong = |problem: String| Err(SimError::StartTable { problem });
        if stages.is_empty() || create_stages > stages.len() {
            return wrong(format!(
                "{create_stages} of {} stages are CreateSlot's: there must be a stage, and as many as that",
                stages.len()
            ));
        }
        if !rows_ns.len().is_multiple_of(stages.len()) {
            return wrong(format!("{} durations do not make rows of {} stages", rows_ns.len(), stages.len()));
        }
        let rows = rows_ns.len() / stages.len();
        for (function, own) in functions.iter().enumerate() {
            if own.count == 0 || own.first as usize + own.count as usize > rows {
                let StartRows { first, count } = own;
                return wrong(format!(
                    "function {function} has {count} rows from {first} on, of {rows}: it needs one, and no more than there are"
                ));
            }
        }
        if rows_ns.chunks_exact(stages.len()).any(|row| row.iter().try_fold(0_u64, |sum, &ns| sum.checked_add(ns)).is_none()) {
            return wrong("the stages of a start add up to more than 64 bits of nanoseconds".to_owned());
        }
        Ok(Self { stages, create_stages, rows_ns, functions })
    }

    /// Takes each function's create and init time, always the same.
    #[must_use]
    pub fn constant(functions: &[FunctionModel]) -> Self {
        let rows = (0..u32::MAX).zip(functions).map(|(first, _)| StartRows { first, count: 1 });
        Self {
            stages: vec!["create".to_owned(), "init".to_owned()],
            create_stages: 1,
            rows_ns: functions.iter().flat_map(|function| [function.create.0, function.init.0]).collect(),
            functions: rows.collect(),
        }
    }

    /// Number of functions.
    pub(crate) fn functions(&self) -> usize {
        self.functions.len()
    }

    fn row(&self, row: u32) -> &[u64] {
        let begin = row as usize * self.stages.len();
        &self.rows_ns[begin..begin + self.stages.len()]
    }

    fn create_ns(&self, row: u32) -> &[u64] {
        &self.row(row)[..self.create_stages]
    }

    fn init_ns(&self, row: u32) -> &[u64] {
        &self.row(row)[self.create_stages..]
    }
}

/// Seconds that requests waited for cold starts, by the stage that the start which served them was in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StageWaits {
    /// The stages, in order.
    pub stages: Vec<String>,
    /// By function and stage, in ns; after a function's stages what it waited while that start was in none of them.
    ns: Vec<u128>,
}

impl StageWaits {
    /// Waiting of a function's requests while their start was in the stage of this index, or in none if the index is the stages' number.
    #[must_use]
    pub fn wait_ns(&self, function: usize, stage: usize) -> u128 {
        self.ns[function * (self.stages.len() + 1) + stage]
    }
}

/// A slot's start: which rows its steps were drawn from, and when they began.
#[derive(Clone, Copy, Debug, Default)]
struct Start {
    function: u32,
    create_row: u32,
    create_began: Nanos,
    init_row: u32,
    init_began: Nanos,
}

/// Draws starts and books who waited for them.
#[derive(Debug)]
pub(crate) struct Starts {
    table: StartTable,
    random: ChaCha8Rng,
    /// By function: draws made for it.
    drawn: Vec<u64>,
    /// By slot index.
    slots: Vec<Start>,
    waits: StageWaits,
}

impl Starts {
    pub(crate) fn new(table: StartTable, seed: u64) -> Self {
        let functions = table.functions();
        let waits = StageWaits { stages: table.stages.clone(), ns: vec![0; functions * (table.stages.len() + 1)] };
        Self { table, random: ChaCha8Rng::seed_from_u64(seed), drawn: vec![0; functions], slots: Vec::new(), waits }
    }

    /// Draws a start for a function that asks for a slot, and returns how long CreateSlot takes.
    pub(crate) fn create(&mut self, now: Nanos, slot: SlotId, function: FunctionId) -> Nanos {
        let row = self.draw(function.index());
        if self.slots.len() <= slot.index() {
            self.slots.resize(slot.index() + 1, Start::default());
        }
        let function = u32::try_from(function.index()).expect("function tables are limited");
        self.slots[slot.index()] = Start { function, create_row: row, create_began: now, init_row: row, init_began: Nanos::MAX };
        self.created(slot)
    }

    /// How long the slot's CreateSlot took.
    pub(crate) fn created(&self, slot: SlotId) -> Nanos {
        sum(self.table.create_ns(self.slots[slot.index()].create_row))
    }

    /// Begins an Init and returns how long it takes. A slot that was created for another function gets a start of this one's.
    pub(crate) fn init(&mut self, now: Nanos, slot: SlotId, function: FunctionId) -> Nanos {
        if self.slots[slot.index()].function as usize != function.index() {
            self.slots[slot.index()].init_row = self.draw(function.index());
        }
        self.slots[slot.index()].init_began = now;
        self.initialised(slot)
    }

    /// How long the slot's Init took.
    pub(crate) fn initialised(&self, slot: SlotId) -> Nanos {
        sum(self.table.init_ns(self.slots[slot.index()].init_row))
    }

    /// Books the wait of a request from its arrival until now, when it got the freshly started instance in the slot.
    pub(crate) fn book(&mut self, slot: SlotId, function: usize, arrival: Nanos, now: Nanos) {
        let start = &self.slots[slot.index()];
        let width = self.table.stages.len() + 1;
        let booked = &mut self.waits.ns[function * width..(function + 1) * width];
        let create = intervals(start.create_began, self.table.create_ns(start.create_row));
        let init = intervals(start.init_began, self.table.init_ns(start.init_row));
        let mut left = now.since(arrival).0;
        for (stage, (begin, end)) in create.chain(init).enumerate() {
            let waited = end.min(now).since(begin.max(arrival)).0;
            booked[stage] += u128::from(waited);
            left -= waited;
        }
        booked[width - 1] += u128::from(left);
    }

    pub(crate) fn finish(self) -> StageWaits {
        self.waits
    }

    /// Draws the function's next start and returns its row.
    fn draw(&mut self, function: usize) -> u32 {
        let StartRows { first, count } = self.table.functions[function];
        let number = self.drawn[function];
        self.drawn[function] += 1;
        if count == 1 {
            return first;
        }
        // The first stream is that of failures.
        self.random.set_stream(function as u64 + 1);
        self.random.set_word_pos(2 * u128::from(number));
        let drawn = (u128::from(self.random.next_u64()) * u128::from(count)) >> 64;
        first + u32::try_from(drawn).expect("less than the count")
    }
}

/// Lays stages out one after the other.
fn intervals(mut at: Nanos, stages_ns: &[u64]) -> impl Iterator<Item = (Nanos, Nanos)> {
    stages_ns.iter().map(move |&ns| {
        let begin = at;
        at = begin + Nanos(ns);
        (begin, at)
    })
}

fn sum(stages_ns: &[u64]) -> Nanos {
    Nanos(stages_ns.iter().sum())
}

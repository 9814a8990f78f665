//! Why requests found no free instance.
//!
//! A function's demand is its requests that execute or wait. Where it rises higher than ever before, there never was an instance that
//! could have been kept; only a start ahead of demand would have helped. Otherwise there was one, and it was let go.

/// Why a request found no free instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shortage {
    /// It is its function's first request.
    First,
    /// More of its function's requests execute or wait than ever before.
    NewPeak,
    /// An instance for this demand had been there, and was let go.
    LetGo,
}

impl Shortage {
    /// Every reason, in the order of [`Report::shortages`](crate::Report::shortages).
    pub const ALL: [Self; 3] = [Self::First, Self::NewPeak, Self::LetGo];

    /// Name in reports.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        ["first_request", "new_peak", "let_go"][self as usize]
    }
}

/// Requests of one function that execute or wait.
#[derive(Clone, Copy, Debug, Default)]
struct Demand {
    now: u32,
    most: u32,
}

/// Counts queued requests by why they found nothing.
#[derive(Debug)]
pub(crate) struct Shortages {
    demand: Vec<Demand>,
    counts: [u64; Shortage::ALL.len()],
}

impl Shortages {
    pub(crate) fn new(functions: usize) -> Self {
        Self { demand: vec![Demand::default(); functions], counts: [0; Shortage::ALL.len()] }
    }

    /// A request arrived; `queued`: it found no free instance.
    pub(crate) fn arrived(&mut self, function: usize, queued: bool) {
        let demand = &mut self.demand[function];
        demand.now += 1;
        let shortage = match demand.now {
            now if now <= demand.most => Shortage::LetGo,
            1 => Shortage::First,
            _ => Shortage::NewPeak,
        };
        demand.most = demand.most.max(demand.now);
        if queued {
            self.counts[shortage as usize] += 1;
        }
    }

    /// A request ended, or was told that it gets no instance.
    pub(crate) fn left(&mut self, function: usize) {
        self.demand[function].now -= 1;
    }

    pub(crate) fn counts(&self) -> [u64; Shortage::ALL.len()] {
        self.counts
    }
}

#[cfg(test)]
mod tests {
    use super::Shortages;

    #[test]
    fn demand_seen_before_means_that_an_instance_was_let_go() {
        let mut shortages = Shortages::new(1);
        shortages.arrived(0, true);
        shortages.arrived(0, true);
        shortages.left(0);
        shortages.arrived(0, false);
        shortages.left(0);
        shortages.left(0);
        shortages.arrived(0, true);
        assert_eq!(shortages.counts(), [1, 1, 1], "first, new peak, let go");
    }
}

//! The policy's account of a function: what it has measured, and what follows from it.

use super::plan::Prices;
use super::shortage::{lengthened, worth_having};
use super::{Function, lock};
use crate::demand::{GROUPS, group_start};
use crate::policy::{Facts, Load};

impl Function {
    /// Lines of text for a person, as of `facts.now`.
    pub(super) fn account(&self, facts: &Facts) -> Vec<String> {
        let class = self.class.class();
        let weight = self.shared.profiles.weight(class);
        let mut lines = vec![format!("{}; this function is {class}, which multiplies it by {weight}", self.shared.price)];
        let execution = self.rates.service_s().map_or("not known yet".to_owned(), |time| format!("{time:.3} s"));
        lines.push(format!(
            "a start takes {:.3} s and costs {:.3} GB·s; requests run {execution}, {:.2} a second come; instances worth having all the time: {}",
            facts.cold_start.as_secs_f64(),
            self.memory_gb * facts.cold_start.as_secs_f64(),
            self.rates.lately(facts.now),
            worth_having(self.load(facts.now), lengthened(self.rates.variation()), self.memory_gb, self.lambda()),
        ));
        let fatal = self.survival().lost();
        if fatal > 0.0 {
            lines.push(format!(
                "{:.1} % of executions are survived by their instance: busy ones are counted on for no more",
                100.0 * (1.0 - fatal)
            ));
        }
        if let Some(stock) = self.stock(&Load { facts: *facts, demand: 0, instances: 0 }) {
            lines
                .push(format!("most requests use an instance up: {} more than they need are to be there or on their way", stock.instances));
        }
        let regretted = self.regret.saved();
        if regretted > 0.0 {
            lines.push(format!(
                "one instance more would lately have saved {regretted:.3} GB·s: one is started once that is what a start costs"
            ));
        }
        for index in 0..GROUPS {
            if self.groups.find(index).is_none() {
                continue;
            }
            let evidence = self.evidence(index, facts);
            if evidence.own == 0 {
                continue;
            }
            let (first, last) = (group_start(index), group_start(index + 1) - 1);
            let levels = if first == last { format!("level {first}") } else { format!("levels {first} to {last}") };
            lines.push(format!(
                "{levels}: kept for {:.3} s, which costs {:.4} GB·s a gap against {:.4} if let go at once; gaps counted: {} of its own, \
                 {:.0} from the neighbouring levels, {:.0} from other functions",
                evidence.window.keep_s, evidence.window.cost, evidence.miss, evidence.own, evidence.neighbours, evidence.crowd,
            ));
        }
        for (level, foreseen) in (1..).zip(&self.forecasts) {
            let mut forecast = lock(&foreseen.forecast);
            let prices = Prices { start_s: facts.cold_start.as_secs_f64(), ..self.prices() };
            if let Some(plan) = forecast.plan(self.kept_s(level).max(prices.start_s), &prices) {
                let verdict = if foreseen.pays() { "pre-warmed" } else { "not pre-warmed" };
                lines.push(format!(
                    "level {level} is foreseen {:.3} to {:.3} s after its last long gap ended; foreseeing it would have saved {:.3} GB·s lately: {verdict}",
                    plan.ready_s,
                    plan.until_s,
                    forecast.gain(),
                ));
            }
        }
        lines
    }
}

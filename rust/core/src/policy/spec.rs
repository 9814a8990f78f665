//! Policy specifications: `name:parameter=value,…`, the one text by which every host chooses a policy.

use std::ops::RangeInclusive;

use super::catalogue::{POLICIES, ParameterInfo, PolicyInfo, SHARED};
use super::{
    BreakEven, Fixed, Floor, GreedyDual, Harmonics, Hpa, HybridHistogram, IceBreaker, Knative, LevelGap, Lru, Lsth, Objective, Policy,
    Profiles, SeasonalQuantile,
};
use crate::error::PolicyError;
use crate::nanos::Nanos;

/// Who serves a waiting request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Handoff {
    /// Whatever becomes free first serves the oldest waiter.
    #[default]
    Oldest,
    /// Every request waits for its own start. For comparison only: the behaviour of the contest's sample scaler.
    None,
}

/// What becomes of a created slot whose request was served meanwhile.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Surplus {
    /// It serves another function of the same memory that waits for a slot, or is given back.
    #[default]
    Cancel,
    /// Its start finishes and it stays as a free instance.
    Keep,
}

/// A chosen policy with the engine's choices that come with it.
#[derive(Debug)]
pub struct PolicySpec {
    /// The text it was parsed from.
    pub text: String,
    /// Keep-alive and start rule.
    pub policy: Box<dyn Policy>,
    /// Who serves a waiting request.
    pub handoff: Handoff,
    /// What becomes of surplus starts.
    pub surplus: Surplus,
    /// Most memory of all slots together in MB.
    pub memory_limit_mb: Option<u64>,
}

impl PolicySpec {
    /// Parses `name` or `name:parameter=value,parameter=value`.
    ///
    /// # Errors
    ///
    /// [`PolicyError`] names the part that is wrong and what is allowed in its place.
    pub fn parse(text: &str) -> Result<Self, PolicyError> {
        parse(text).map_err(|problem| PolicyError { specification: text.to_owned(), problem })
    }
}

fn parse(text: &str) -> Result<PolicySpec, String> {
    let (name, rest) = text.split_once(':').unwrap_or((text, ""));
    let info = POLICIES.iter().find(|info| info.name == name.trim()).ok_or_else(|| {
        let names: Vec<_> = POLICIES.iter().map(|info| info.name).collect();
        format!("no policy is called `{name}`; there are {}", names.join(", "))
    })?;
    let given = Given::parse(rest, info)?;
    let policy = policy(info.name, &given)?;
    let handoff = if given.choice("handoff")? == "none" { Handoff::None } else { Handoff::Oldest };
    let surplus = if given.choice("surplus")? == "keep" { Surplus::Keep } else { Surplus::Cancel };
    let memory_limit_mb = given.memory("memory")?;
    if memory_limit_mb.is_some() && handoff == Handoff::None {
        return Err("memory= needs handoff=oldest: a request bound to its own start cannot wait for room".to_owned());
    }
    Ok(PolicySpec { text: text.to_owned(), policy, handoff, surplus, memory_limit_mb })
}

fn policy(name: &str, given: &Given<'_>) -> Result<Box<dyn Policy>, String> {
    Ok(match name {
        "fixed" => Box::new(Fixed { keep_alive: given.duration("keep_alive")? }),
        "break_even" => Box::new(BreakEven::new(given.objective("lambda")?, given.number("scale")?)),
        "level_gap" => {
            let profiles = Profiles::new(given.value("vip").1, given.number("vip_weight")?, given.number("cheap_weight")?);
            Box::new(LevelGap::new(given.objective("lambda")?, profiles))
        }
        "floor" => Box::new(Floor { instances: given.count("instances", 0..=MOST)?, keep_alive: given.duration("keep_alive")? }),
        "hybrid_histogram" => Box::new(HybridHistogram {
            bin: given.span("bin")?,
            bins: given.count("bins", 1..=MOST)?,
            head: given.share("head")?,
            tail: given.share("tail")?,
            margin: given.share("margin")?,
            variation: given.number("variation")?,
            out_of_bounds: given.share("out_of_bounds")?,
            forecast_margin: given.share("forecast_margin")?,
        }),
        "lsth" => Box::new(Lsth {
            gamma: given.share("gamma")?,
            long: given.span("long")?,
            short: given.span("short")?,
            bin: given.span("bin")?,
            bins: given.count("bins", 1..=MOST)?,
            head: given.share("head")?,
            tail: given.share("tail")?,
            margin: given.share("margin")?,
        }),
        "greedy_dual" => Box::new(GreedyDual::default()),
        "lru" => Box::new(Lru),
        "icebreaker" => Box::new(IceBreaker {
            bin: given.span("bin")?,
            samples: given.count("samples", 1..=MOST)?,
            count: given.count("count", 0..=MOST)?,
            harmonics: if given.choice("harmonics")? == "strongest" { Harmonics::Strongest } else { Harmonics::Lowest },
        }),
        "knative" => Box::new(Knative {
            stable: given.span("stable")?,
            panic: given.share("panic")?,
            threshold: given.number("threshold")?,
            utilisation: given.positive("utilisation")?,
            tick: given.span("tick")?,
            up: given.at_least_one("up")?,
            down: given.at_least_one("down")?,
            grace: given.duration("grace")?,
        }),
        "hpa" => Box::new(Hpa {
            target: given.positive("target")?,
            tolerance: given.number("tolerance")?,
            sync: given.span("sync")?,
            stabilise: given.duration("stabilise")?,
            up: given.number("up")?,
            up_instances: given.count("up_instances", 0..=MOST)?,
        }),
        "seasonal_quantile" => Box::new(SeasonalQuantile {
            bin: given.span("bin")?,
            bins: given.bins_of("season", "bin")?,
            seasons: given.count("seasons", 1..=60)?,
            quantile: given.share("quantile")?,
            lead: if given.value("lead").1 == "start" { None } else { Some(given.duration("lead")?) },
        }),
        other => unreachable!("`{other}` is listed but has no constructor"),
    })
}

/// No count is larger: each stands for memory of every function.
const MOST: u32 = 10_000;

/// The parameters of one policy with the values given for them.
struct Given<'a> {
    values: Vec<(&'static ParameterInfo, &'a str)>,
}

impl<'a> Given<'a> {
    fn parse(rest: &'a str, info: &'static PolicyInfo) -> Result<Self, String> {
        let mut values: Vec<_> = info.parameters.iter().chain(SHARED).map(|parameter| (parameter, None)).collect();
        for part in rest.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            let (name, value) = part.split_once('=').ok_or_else(|| format!("`{part}` is not of the form parameter=value"))?;
            let known = values.iter().map(|(parameter, _)| parameter.name).collect::<Vec<_>>().join(", ");
            let place = values
                .iter_mut()
                .find(|(parameter, _)| parameter.name == name.trim())
                .ok_or_else(|| format!("`{name}` is no parameter of {}; it takes {known}", info.name))?;
            if place.1.replace(value.trim()).is_some() {
                return Err(format!("`{name}` is given twice"));
            }
        }
        Ok(Self { values: values.into_iter().map(|(parameter, value)| (parameter, value.unwrap_or(parameter.default))).collect() })
    }

    fn value(&self, name: &str) -> (&'static ParameterInfo, &'a str) {
        *self.values.iter().find(|(parameter, _)| parameter.name == name).expect("asked for a listed parameter")
    }

    fn duration(&self, name: &str) -> Result<Nanos, String> {
        let (_, value) = self.value(name);
        parse_duration(value)
            .ok_or_else(|| format!("{name}=`{value}` is no duration; write a number and ns, us, ms, s, m or h, as in 300s"))
    }

    fn number(&self, name: &str) -> Result<f64, String> {
        let (_, value) = self.value(name);
        let number = value.parse().ok().filter(|number: &f64| number.is_finite() && *number >= 0.0);
        number.ok_or_else(|| format!("{name}=`{value}` is not a number of zero or more"))
    }

    /// A duration that is not zero.
    fn span(&self, name: &str) -> Result<Nanos, String> {
        let duration = self.duration(name)?;
        if duration > Nanos::ZERO { Ok(duration) } else { Err(format!("{name}=`{}` must be more than zero", self.value(name).1)) }
    }

    fn positive(&self, name: &str) -> Result<f64, String> {
        let number = self.number(name)?;
        if number > 0.0 { Ok(number) } else { Err(format!("{name}=`{}` must be more than zero", self.value(name).1)) }
    }

    fn at_least_one(&self, name: &str) -> Result<f64, String> {
        let number = self.number(name)?;
        if number >= 1.0 { Ok(number) } else { Err(format!("{name}=`{}` must be 1 or more", self.value(name).1)) }
    }

    fn share(&self, name: &str) -> Result<f64, String> {
        let (_, value) = self.value(name);
        let share = value.parse().ok().filter(|share: &f64| (0.0..=1.0).contains(share));
        share.ok_or_else(|| format!("{name}=`{value}` is not a share from 0 to 1"))
    }

    fn count(&self, name: &str, allowed: RangeInclusive<u32>) -> Result<u32, String> {
        let (_, value) = self.value(name);
        let count = value.parse().ok().filter(|count| allowed.contains(count));
        count.ok_or_else(|| format!("{name}=`{value}` is not a whole number from {} to {}", allowed.start(), allowed.end()))
    }

    /// How many of one duration are in another.
    fn bins_of(&self, whole: &str, part: &str) -> Result<u32, String> {
        let bins = self.span(whole)?.0 / self.span(part)?.0;
        let bins = u32::try_from(bins).ok().filter(|bins| (1..=MOST).contains(bins));
        bins.ok_or_else(|| format!("{whole}=`{}` must be 1 to {MOST} times {part}=`{}`", self.value(whole).1, self.value(part).1))
    }

    /// A size in MB, or none.
    fn memory(&self, name: &str) -> Result<Option<u64>, String> {
        let (_, value) = self.value(name);
        let size = |text: &str| match text.strip_suffix("GB") {
            Some(number) => number.trim().parse::<u64>().ok()?.checked_mul(1024),
            None => text.strip_suffix("MB")?.trim().parse().ok(),
        };
        if value == "none" {
            return Ok(None);
        }
        let size = size(value).filter(|&size| size > 0);
        size.map(Some).ok_or_else(|| format!("{name}=`{value}` is not a size; write a whole number and MB or GB, as in 64GB, or none"))
    }

    fn objective(&self, name: &str) -> Result<Objective, String> {
        let (_, value) = self.value(name);
        Objective::parse(value, parse_duration)
            .ok_or_else(|| format!("{name}=`{value}` is not a number, a quotient such as 0.002/0.0005, contest, or p99<500ms"))
    }

    fn choice(&self, name: &str) -> Result<&'a str, String> {
        let (parameter, value) = self.value(name);
        let allowed = parameter.unit.split('|').any(|choice| choice == value);
        allowed.then_some(value).ok_or_else(|| format!("{name}=`{value}` is not one of {}", parameter.unit))
    }
}

fn parse_duration(text: &str) -> Option<Nanos> {
    let digits = text.find(|c: char| c.is_ascii_alphabetic())?;
    let (number, unit) = text.split_at(digits);
    let seconds = match unit {
        "ns" => 1e-9,
        "us" => 1e-6,
        "ms" => 1e-3,
        "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        _ => return None,
    };
    let number: f64 = number.trim().parse().ok()?;
    (number.is_finite() && number >= 0.0).then(|| Nanos::from_secs_f64(number * seconds))
}

#[cfg(all(test, not(pilotlight_loom)))]
mod tests {
    use super::{Handoff, POLICIES, PolicySpec, Surplus, parse_duration};
    use crate::nanos::Nanos;
    use crate::policy::{Facts, FreeInstance};
    use crate::table::FunctionSpec;

    fn keep_alive(spec: &PolicySpec) -> Nanos {
        let facts = Facts { now: Nanos::ZERO, memory_mb: 1024, cold_start: Nanos::from_secs(1) };
        let function = FunctionSpec { key: "f".into(), runtime: "".into(), timeout_s: 0, memory_mb: 1024 };
        spec.policy.function(&function).keep_alive(&FreeInstance { facts, level: 1 })
    }

    #[test]
    fn every_listed_policy_parses_by_its_name_alone() {
        for info in POLICIES {
            let spec = PolicySpec::parse(info.name).unwrap();
            assert_eq!((spec.handoff, spec.surplus), (Handoff::Oldest, Surplus::Cancel));
        }
    }

    #[test]
    fn parameters_reach_the_policy() {
        let spec = PolicySpec::parse("fixed:keep_alive=1.5s, handoff=none,surplus=keep").unwrap();
        assert_eq!(keep_alive(&spec), Nanos::from_millis(1500));
        assert_eq!((spec.handoff, spec.surplus), (Handoff::None, Surplus::Keep));
        let spec = PolicySpec::parse("break_even:lambda=3,scale=0.5").unwrap();
        assert_eq!(keep_alive(&spec), Nanos::from_secs(2));
    }

    #[test]
    fn errors_name_the_part_and_the_remedy() {
        for (text, expected) in [
            ("fixed:ttl=3s", "policy `fixed:ttl=3s`: `ttl` is no parameter of fixed; it takes keep_alive, handoff, surplus, memory"),
            ("fixed:keep_alive", "policy `fixed:keep_alive`: `keep_alive` is not of the form parameter=value"),
            ("fixed:surplus=maybe", "policy `fixed:surplus=maybe`: surplus=`maybe` is not one of cancel|keep"),
            ("break_even:scale=-1", "policy `break_even:scale=-1`: scale=`-1` is not a number of zero or more"),
            ("lru:memory=64", "policy `lru:memory=64`: memory=`64` is not a size; write a whole number and MB or GB, as in 64GB, or none"),
            ("lsth:gamma=2", "policy `lsth:gamma=2`: gamma=`2` is not a share from 0 to 1"),
            ("icebreaker:samples=0", "policy `icebreaker:samples=0`: samples=`0` is not a whole number from 1 to 10000"),
            ("knative:tick=0s", "policy `knative:tick=0s`: tick=`0s` must be more than zero"),
            ("seasonal_quantile:season=1s", "policy `seasonal_quantile:season=1s`: season=`1s` must be 1 to 10000 times bin=`60s`"),
            ("fixed:handoff=none,handoff=none", "policy `fixed:handoff=none,handoff=none`: `handoff` is given twice"),
        ] {
            assert_eq!(PolicySpec::parse(text).unwrap_err().to_string(), expected);
        }
        let unknown = PolicySpec::parse("ttl").unwrap_err().problem;
        assert!(unknown.starts_with("no policy is called `ttl`; there are fixed, break_even, "), "{unknown}");
        assert!(PolicySpec::parse("fixed:keep_alive=5").unwrap_err().problem.contains("no duration"));
    }

    #[test]
    fn memory_is_counted_in_mb() {
        for (text, limit) in [("lru", None), ("lru:memory=none", None), ("lru:memory=64GB", Some(65_536)), ("lru:memory=512MB", Some(512))]
        {
            assert_eq!(PolicySpec::parse(text).unwrap().memory_limit_mb, limit, "{text}");
        }
    }

    #[test]
    fn durations_take_the_usual_units() {
        for (text, nanos) in [("7ns", 7), ("2us", 2_000), ("250ms", 250_000_000), ("0s", 0), ("2m", 120_000_000_000)] {
            assert_eq!(parse_duration(text), Some(Nanos(nanos)), "{text}");
        }
        for text in ["", "5", "s", "-1s", "1d", "NaNs", "infs"] {
            assert_eq!(parse_duration(text), None, "{text}");
        }
    }
}

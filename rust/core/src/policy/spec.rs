//! Policy specifications: `name:parameter=value,…`, the one text by which every host chooses a policy.

use super::{BreakEven, Fixed, Policy};
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
}

/// A policy as users see it.
#[derive(Clone, Copy, Debug)]
pub struct PolicyInfo {
    /// Name in a specification.
    pub name: &'static str,
    /// What it does, in one line.
    pub summary: &'static str,
    /// Where it comes from.
    pub source: &'static str,
    /// Its own parameters; those of [`SHARED`] apply to every policy.
    pub parameters: &'static [ParameterInfo],
}

/// A parameter of a policy as users see it.
#[derive(Clone, Copy, Debug)]
pub struct ParameterInfo {
    /// Name in a specification.
    pub name: &'static str,
    /// Value when it is not given, as it would be written.
    pub default: &'static str,
    /// Unit or choices.
    pub unit: &'static str,
    /// What it means.
    pub summary: &'static str,
}

/// Parameters that every policy takes.
pub const SHARED: &[ParameterInfo] = &[
    ParameterInfo {
        name: "handoff",
        default: "oldest",
        unit: "oldest|none",
        summary: "whether a freed instance serves the oldest waiting request, or every request waits for its own start",
    },
    ParameterInfo {
        name: "surplus",
        default: "cancel",
        unit: "cancel|keep",
        summary: "whether a start that nobody needs any more is given up before Init, or finishes as a free instance",
    },
];

/// Every policy there is.
pub const POLICIES: &[PolicyInfo] = &[
    PolicyInfo {
        name: "fixed",
        summary: "keep every free instance for the same time",
        source: "the contest's sample scaler (300 s); AWS Lambda, Azure Functions and OpenWhisk use 5 to 20 minutes",
        parameters: &[ParameterInfo { name: "keep_alive", default: "300s", unit: "duration", summary: "how long a free instance is kept" }],
    },
    PolicyInfo {
        name: "break_even",
        summary: "keep a free instance until holding it has cost as much as a cold start would: scale * c * (1 + lambda / m)",
        source: "ski rental: Karlin et al., Competitive snoopy caching, Algorithmica 3, 1988",
        parameters: &[
            ParameterInfo {
                name: "lambda",
                default: "1",
                unit: "GB·s per s",
                summary: "memory-time that one second of a request's waiting is worth",
            },
            ParameterInfo { name: "scale", default: "1", unit: "factor", summary: "multiplies the window" },
        ],
    },
];

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
    let policy: Box<dyn Policy> = match info.name {
        "fixed" => Box::new(Fixed { keep_alive: given.duration("keep_alive")? }),
        "break_even" => Box::new(BreakEven { lambda: given.number("lambda")?, scale: given.number("scale")? }),
        other => unreachable!("`{other}` is listed but has no constructor"),
    };
    let handoff = if given.choice("handoff")? == "none" { Handoff::None } else { Handoff::Oldest };
    let surplus = if given.choice("surplus")? == "keep" { Surplus::Keep } else { Surplus::Cancel };
    Ok(PolicySpec { text: text.to_owned(), policy, handoff, surplus })
}

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

#[cfg(test)]
mod tests {
    use super::{Handoff, POLICIES, PolicySpec, Surplus, parse_duration};
    use crate::nanos::Nanos;
    use crate::policy::FreeInstance;

    const INSTANCE: FreeInstance = FreeInstance { memory_mb: 1024, cold_start: Nanos::from_secs(1) };

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
        assert_eq!(spec.policy.keep_alive(&INSTANCE), Nanos::from_millis(1500));
        assert_eq!((spec.handoff, spec.surplus), (Handoff::None, Surplus::Keep));
        let spec = PolicySpec::parse("break_even:lambda=3,scale=0.5").unwrap();
        assert_eq!(spec.policy.keep_alive(&INSTANCE), Nanos::from_secs(2));
    }

    #[test]
    fn errors_name_the_part_and_the_remedy() {
        for (text, expected) in [
            ("lru", "policy `lru`: no policy is called `lru`; there are fixed, break_even"),
            ("fixed:ttl=3s", "policy `fixed:ttl=3s`: `ttl` is no parameter of fixed; it takes keep_alive, handoff, surplus"),
            ("fixed:keep_alive", "policy `fixed:keep_alive`: `keep_alive` is not of the form parameter=value"),
            ("fixed:surplus=maybe", "policy `fixed:surplus=maybe`: surplus=`maybe` is not one of cancel|keep"),
            ("break_even:scale=-1", "policy `break_even:scale=-1`: scale=`-1` is not a number of zero or more"),
            ("fixed:handoff=none,handoff=none", "policy `fixed:handoff=none,handoff=none`: `handoff` is given twice"),
        ] {
            assert_eq!(PolicySpec::parse(text).unwrap_err().to_string(), expected);
        }
        assert!(PolicySpec::parse("fixed:keep_alive=5").unwrap_err().problem.contains("no duration"));
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

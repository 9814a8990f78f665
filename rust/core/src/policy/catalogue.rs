//! The policies there are, as users see them: names, parameters with their defaults, where they come from.

use std::fmt;

/// A policy as users see it.
#[derive(Clone, Copy, Debug)]
pub struct PolicyInfo {
    /// Name in a specification.
    pub name: &'static str,
    /// What it does, in one line.
    pub summary: &'static str,
    /// Where it comes from.
    pub source: &'static str,
    /// How close to the source it is.
    pub grade: Grade,
    /// Its own parameters; those of [`SHARED`] apply to every policy.
    pub parameters: &'static [ParameterInfo],
}

/// How close a policy is to what its source describes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grade {
    /// The mechanism itself, running.
    Real,
    /// The same principle by a mechanism of our own.
    Kin,
    /// A cost with cited figures, for simulations.
    Model,
}

impl Grade {
    /// What the grade says, in a few words.
    #[must_use]
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::Real => "the source's mechanism runs, deviations are listed",
            Self::Kin => "the source's principle by a mechanism of our own",
            Self::Model => "the source's figures in simulations, nothing runs",
        }
    }
}

impl fmt::Display for Grade {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Real => "REAL",
            Self::Kin => "KIN",
            Self::Model => "MODEL",
        })
    }
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

const fn parameter(name: &'static str, default: &'static str, unit: &'static str, summary: &'static str) -> ParameterInfo {
    ParameterInfo { name, default, unit, summary }
}

/// Parameters that every policy takes.
pub const SHARED: &[ParameterInfo] = &[
    parameter(
        "handoff",
        "oldest",
        "oldest|none",
        "whether a freed instance serves the oldest waiting request, or every request waits for its own start",
    ),
    parameter(
        "surplus",
        "cancel",
        "cancel|keep",
        "whether a start that nobody needs any more is given up before Init, or finishes as a free instance",
    ),
    parameter(
        "memory",
        "none",
        "size|none",
        "most memory of all slots together, as in 64GB or 512MB: free instances give way to starts, the least valuable first",
    ),
];

/// The price of waiting, the same parameter in every policy that weighs it.
const LAMBDA: ParameterInfo = parameter(
    "lambda",
    "1",
    "GB·s per s|A/B|contest|p99<DURATION",
    "memory-time that one second of a request's waiting is worth; or the goal it is to be found by",
);
const BIN: ParameterInfo = parameter("bin", "60s", "duration", "width of a histogram's bins");
const BINS: ParameterInfo = parameter("bins", "240", "count", "bins of a histogram; idle times beyond them are out of bounds");
const HEAD: ParameterInfo = parameter("head", "0.05", "share", "quantile of the idle times before which no instance is needed");
const TAIL: ParameterInfo = parameter("tail", "0.99", "share", "quantile of the idle times until which one is kept");
const MARGIN: ParameterInfo = parameter("margin", "0.1", "share", "by which the head is shortened and the tail lengthened");

/// Every policy there is.
pub const POLICIES: &[PolicyInfo] = &[
    PolicyInfo {
        name: "fixed",
        summary: "keep every free instance for the same time",
        source: "the contest's sample scaler (300 s); AWS Lambda, Azure Functions and OpenWhisk use 5 to 20 minutes",
        grade: Grade::Real,
        parameters: &[parameter("keep_alive", "300s", "duration", "how long a free instance is kept")],
    },
    PolicyInfo {
        name: "break_even",
        summary: "keep a free instance until holding it has cost as much as a cold start would: scale * c * (1 + lambda / m)",
        source: "ski rental: Karlin et al., Competitive snoopy caching, Algorithmica 3, 1988",
        grade: Grade::Real,
        parameters: &[LAMBDA, parameter("scale", "1", "factor", "multiplies the window")],
    },
    PolicyInfo {
        name: "level_gap",
        summary: "keep, start and pre-warm each demand level by what its own idle gaps cost",
        source: "Pilotlight's own; docs/level-gap.md derives it",
        grade: Grade::Real,
        parameters: &[
            LAMBDA,
            parameter("vip", "", "KEY|KEY|…", "beginnings of the keys of important functions"),
            parameter("vip_weight", "3", "factor", "how much more their waiting is worth"),
            parameter(
                "cheap_weight",
                "1",
                "factor",
                "how much more waiting is worth for functions whose start takes less than 5 % of an execution",
            ),
        ],
    },
    PolicyInfo {
        name: "floor",
        summary: "hold so many instances always, keep free ones beyond them for the same time",
        source: "AWS Lambda, Configuring provisioned concurrency for a function",
        grade: Grade::Real,
        parameters: &[
            parameter("instances", "1", "count", "instances of every function that are always there, from its first request on"),
            parameter("keep_alive", "300s", "duration", "how long free instances beyond them are kept"),
        ],
    },
    PolicyInfo {
        name: "hybrid_histogram",
        summary: "let an idle function's instance go and pre-warm one by a histogram of its idle times",
        source: "Shahrad et al., Serverless in the Wild, USENIX ATC 2020, §4.2",
        grade: Grade::Real,
        parameters: &[
            BIN,
            BINS,
            HEAD,
            TAIL,
            MARGIN,
            parameter("variation", "2", "factor", "coefficient of variation of the bins from which on a histogram is representative"),
            parameter("out_of_bounds", "0.5", "share", "idle times beyond the histogram from which on a forecast takes its place"),
            parameter("forecast_margin", "0.15", "share", "of a forecast idle time by which an instance is there earlier and later"),
        ],
    },
    PolicyInfo {
        name: "lsth",
        summary: "like hybrid_histogram, by a blend of a long and a short histogram of idle times",
        source: "Yang et al., INFless, ASPLOS 2022, long-short-term histogram",
        grade: Grade::Real,
        parameters: &[
            parameter("gamma", "0.5", "share", "weight of the long histogram"),
            parameter("long", "24h", "duration", "how far the long histogram looks back"),
            parameter("short", "1h", "duration", "how far the short histogram looks back"),
            BIN,
            BINS,
            HEAD,
            TAIL,
            MARGIN,
        ],
    },
    PolicyInfo {
        name: "greedy_dual",
        summary: "keep instances until memory is short, then give up the one of least clock + calls * cold start / memory",
        source: "Fuerst and Sharma, FaasCache, ASPLOS 2021, §4",
        grade: Grade::Real,
        parameters: &[],
    },
    PolicyInfo {
        name: "lru",
        summary: "keep instances until memory is short, then give up the one used least recently",
        source: "baseline of Fuerst and Sharma, FaasCache, ASPLOS 2021, §4",
        grade: Grade::Real,
        parameters: &[],
    },
    PolicyInfo {
        name: "icebreaker",
        summary: "hold as many instances as a Fourier forecast of the function's concurrency says for the minute",
        source: "Roy et al., IceBreaker, ASPLOS 2022, invocation prediction",
        grade: Grade::Real,
        parameters: &[
            parameter("bin", "60s", "duration", "what one sample of concurrency covers, and one forecast"),
            parameter("samples", "60", "count", "samples that a forecast is made from"),
            parameter("count", "10", "count", "harmonics that are kept"),
            parameter("harmonics", "lowest", "lowest|strongest", "which ones"),
        ],
    },
    PolicyInfo {
        name: "knative",
        summary: "as many instances as the mean concurrency of a long window asks for, of a short one in a panic",
        source: "Knative Serving, pod autoscaler, defaults of config-autoscaler",
        grade: Grade::Real,
        parameters: &[
            parameter("stable", "60s", "duration", "the long window"),
            parameter("panic", "0.1", "share", "the short window, as a share of the long one"),
            parameter("threshold", "2", "factor", "panic begins when the short window asks for so many times the instances there are"),
            parameter("utilisation", "0.7", "share", "of an instance's time that requests are to fill"),
            parameter("tick", "2s", "duration", "how often it decides"),
            parameter("up", "1000", "factor", "most by which a decision multiplies the instances"),
            parameter("down", "2", "factor", "most by which it divides them"),
            parameter("grace", "30s", "duration", "how long the last instance outlives the decision to have none"),
        ],
    },
    PolicyInfo {
        name: "hpa",
        summary: "change the number of instances in proportion to how busy they are, at least one",
        source: "Kubernetes, Horizontal Pod Autoscaling, algorithm details and default behaviour",
        grade: Grade::Real,
        parameters: &[
            parameter("target", "0.5", "share", "of the instances' time that requests are to fill"),
            parameter("tolerance", "0.1", "share", "relative difference from the target that is let be"),
            parameter("sync", "15s", "duration", "how often it decides"),
            parameter("stabilise", "300s", "duration", "how long a larger wish keeps it from scaling down"),
            parameter("up", "1", "factor", "most instances that a sync adds, as a share of those there are…"),
            parameter("up_instances", "4", "count", "…or as a number, whichever is more"),
        ],
    },
    PolicyInfo {
        name: "seasonal_quantile",
        summary: "hold what the same minute of past days asked for, a start's time ahead, or what demand asks for now",
        source: "Alibaba Cloud, AHPA overview; its forecast is closed",
        grade: Grade::Kin,
        parameters: &[
            parameter("season", "24h", "duration", "after how long the load repeats"),
            parameter("bin", "60s", "duration", "length of time that has one peak of demand"),
            parameter("seasons", "7", "count", "seasons remembered"),
            parameter("quantile", "0.95", "share", "of the peaks of past seasons that is held"),
            parameter("lead", "start", "duration|start", "how far ahead instances are there; start: as long as a start takes"),
        ],
    },
];

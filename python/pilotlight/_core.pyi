"""The compiled core: the engine behind its wire format, and the simulator.

Times are integer nanoseconds (`*_ns`) on the caller's monotonic clock: the core reads no clock. Memory is in MB
(`memory_mb`); GB = MB / 1024. A slot is named by an opaque integer, an instance on the wire by a string.
"""

from collections.abc import Callable, Iterable
from typing import Any, Final, Literal, TypeAlias, final

import numpy as np
from numpy.typing import NDArray

from pilotlight.starts.table import StartTable

__all__ = [
    "Command",
    "ConfigError",
    "ContestPlatform",
    "Courier",
    "CreateSlot",
    "DestroySlot",
    "Draining",
    "GrpcClient",
    "Init",
    "InstanceNotFound",
    "InstantPlatform",
    "InvalidRequest",
    "LateOutcome",
    "LeftCall",
    "LoadError",
    "NativeServer",
    "Outcome",
    "Overloaded",
    "PilotlightError",
    "RefusedReport",
    "Scaler",
    "SimReport",
    "SlotNotFound",
    "Wake",
    "__version__",
    "clairvoyant",
    "load_engine",
    "load_grpc",
    "policies",
    "simulate",
]

__version__: Final[str]

class PilotlightError(Exception):
    """Base of every error Pilotlight raises."""

class InvalidRequest(PilotlightError):
    """The request's bytes or fields are not usable; the text names the field."""

class InstanceNotFound(PilotlightError):
    """An Idle names an instance that this scaler never handed out, or no longer has."""

class SlotNotFound(PilotlightError):
    """A host's report names a slot that is not known or not in a state that the report fits; nothing changed."""

class Overloaded(PilotlightError):
    """A configured limit (functions, waiting requests) is reached; retry later."""

class Draining(PilotlightError):
    """The scaler is shutting down and takes no new requests."""

class LoadError(PilotlightError):
    """A target cannot be measured; the text says why and what to look at."""

class ConfigError(PilotlightError, ValueError):
    """A policy specification or a setting is wrong; the text names it, its value and what is allowed."""

@final
class CreateSlot:
    """Command: ask the platform for a slot of `memory_mb`; answer with `slot_created` or `start_failed`."""

    __match_args__ = ("slot", "memory_mb", "key")
    @property
    def slot(self) -> int: ...
    @property
    def memory_mb(self) -> int: ...
    @property
    def key(self) -> str:
        """The function that asked; the slot may end up with another one of the same memory."""

@final
class Init:
    """Command: make the slot an instance of the function; answer with `instance_ready` or `start_failed`."""

    __match_args__ = ("slot", "instance_id", "key", "runtime", "timeout_s", "memory_mb")
    @property
    def slot(self) -> int: ...
    @property
    def instance_id(self) -> str: ...
    @property
    def key(self) -> str: ...
    @property
    def runtime(self) -> str: ...
    @property
    def timeout_s(self) -> int: ...
    @property
    def memory_mb(self) -> int: ...

@final
class DestroySlot:
    """Command: give the slot back; answer with `slot_destroyed` or `destroy_failed`."""

    __match_args__ = ("slot", "reason")
    @property
    def slot(self) -> int: ...
    @property
    def reason(self) -> str: ...

@final
class Wake:
    """Command: answer a waiting Assign. Exactly one of `reply` and `error` is set."""

    __match_args__ = ("waiter", "reply", "error")
    @property
    def waiter(self) -> int: ...
    @property
    def reply(self) -> bytes | None:
        """An encoded AssignReply."""
    @property
    def error(self) -> tuple[Literal["deadline", "start_failed", "shutting_down"], str] | None:
        """What went wrong, and the text for the client."""

Command: TypeAlias = CreateSlot | Init | DestroySlot | Wake

_Unusable: TypeAlias = Literal["unknown_instance", "other_function", "not_initialised", "already_assigned"]
_Told: TypeAlias = tuple[str, bytes | None, str]
"""What came of a call: gRPC's status, `NOT_SENT`, `NO_TURN` or `UNANSWERED`; with OK the reply; a text."""

@final
class Outcome:
    """What an Assign or Idle led to when more than a reply is to be done."""

    @property
    def reply(self) -> bytes | None:
        """The encoded reply to send now; None: the request waits for a Wake of `waiter`."""
    @property
    def waiter(self) -> int | None: ...
    @property
    def commands(self) -> list[Command]: ...

@final
class Scaler:
    """One engine behind the wire format. Thread-safe; every method may be called from any thread.

    Args:
        policy: policy specification, e.g. ``"fixed:keep_alive=5s"`` (see `policies`); ``"level_gap"`` if not given.
        boot_id: 32 random bits that mark this process's instance ids, so that ids of an earlier process are unknown.
        assign_deadline_ns: longest that a request may wait; a client's earlier deadline counts.
        start_attempts: starts of a function that may fail in a row before those who wait get an error and further
            starts are paced; at least 1.
        max_functions: distinct functions (all Meta fields count); those at rest give way to new ones, which are refused
            when none is.
        max_waiting: requests waiting at once, over all functions, before new ones are refused; of one function, four
            times as many as may still come.
        lease_factor: multiple of its function's timeout, 1 or more, after which a busy instance is destroyed; None:
            never.
        max_slots: slots at once; further starts wait for room, and one function has at most four times what is left.
        max_memory_mb: memory of all slots, likewise.
        max_starts_per_second: CreateSlots issued a second, of which a second's may come at once; others wait.

    Raises:
        ConfigError: `policy` does not parse, a number is out of its range, or `handoff=none` is beside one of the last
            three.
    """

    def __new__(
        cls,
        *,
        policy: str = ...,
        boot_id: int = ...,
        assign_deadline_ns: int = ...,
        start_attempts: int = ...,
        max_functions: int = ...,
        max_waiting: int = ...,
        lease_factor: float | None = None,
        max_slots: int | None = None,
        max_memory_mb: int | None = None,
        max_starts_per_second: int | None = None,
    ) -> Scaler: ...
    def assign(self, now_ns: int, request: bytes, deadline_ns: int | None = None) -> bytes | Outcome:
        """Serve an encoded AssignRequest.

        Args:
            now_ns: the caller's clock.
            request: serverless.simulator.AssignRequest.
            deadline_ns: moment (same clock) after which the client no longer waits.

        Returns:
            The encoded AssignReply when an instance was free (the warm path); otherwise an Outcome.

        Raises:
            InvalidRequest: not an AssignRequest, or meta_data, its key or its memory is missing.
            Overloaded: a limit is reached.
            Draining: `drain` was called.
        """
    def idle(self, now_ns: int, request: bytes) -> bytes | Outcome:
        """Serve an encoded IdleRequest; like `assign`, the common case returns the reply's bytes alone.

        Raises:
            InvalidRequest: not an IdleRequest, or the assignment is missing.
            InstanceNotFound: the instance is unknown.
        """
    def cancel(self, now_ns: int, waiter: int) -> bool:
        """Forget a waiting request whose client has gone; False: it was already woken (see `abandon`)."""
    def abandon(self, now_ns: int, reply: bytes) -> list[Command]:
        """Take back the instance of an AssignReply that could not be delivered."""
    def slot_created(self, now_ns: int, slot: int, create_ns: int) -> list[Command]:
        """Report that CreateSlot succeeded after `create_ns`, also after a report that it failed with `may_exist`."""
    def instance_ready(self, now_ns: int, slot: int, init_ns: int) -> list[Command]: ...
    def start_failed(
        self,
        now_ns: int,
        slot: int,
        stage: Literal["create", "init"],
        reason: str,
        may_exist: bool = False,
        throttled: bool = False,
    ) -> list[Command]:
        """Report that CreateSlot or Init failed.

        Args:
            now_ns: the caller's clock.
            slot: the engine's name of the slot.
            stage: the call that failed.
            reason: what happened, for those who waited for it.
            may_exist: of CreateSlot: no answer says what became of the slot, so the platform may hold it. It stays in
                the ledger as leaked until `slot_created` (it is then destroyed) or another `start_failed`: without
                `may_exist` there never was a slot, with it nobody waits for the answer any more, and the slot is
                written off.
            throttled: the platform is asked too much. All starts pause, and this one is made again.
        """
    def slot_destroyed(self, now_ns: int, slot: int) -> list[Command]:
        """Report that DestroySlot succeeded or that the platform no longer knows the slot."""
    def destroy_failed(self, now_ns: int, slot: int) -> list[Command]:
        """Report that DestroySlot failed; `tick` issues it again with growing pauses."""
    def tick(self, now_ns: int) -> list[Command]:
        """Do what is due: deadlines, retirements, repeated destroys. Call again while `next_wakeup_ns` is past."""
    def next_wakeup_ns(self) -> int | None:
        """When `tick` has something to do next; None: nothing is scheduled."""
    def drain(self, now_ns: int) -> list[Command]:
        """Refuse new requests, answer waiting ones with an error, retire free instances; busy ones go when they end."""
    def abandon_busy(self, now_ns: int) -> list[Command]:
        """After the grace of a drain: destroy busy instances too."""
    @property
    def live_slots(self) -> int:
        """Slots the ledger knows: issued and not confirmed destroyed, refused or written off."""
    def slots(self, most: int) -> list[int]:
        """Name the slots that `live_slots` counts, at most so many of them."""
    @property
    def functions_refused(self) -> int:
        """Requests refused because all functions, or all versions of theirs, were in use."""
    def snapshot(self, now_ns: int, per_function: bool = False) -> dict[str, Any]:
        """Copy the ledger: see docs/ledger.md for every key. `per_function` adds a list under "functions"."""

@final
class GrpcClient:
    """Unary calls to one gRPC server without TLS, made by a thread that never takes the GIL; it connects once made.

    A call leads to one final outcome, and to `UNANSWERED` before that when it was sent, has no answer within its time
    and is awaited longer. `fileno` says when there are some to take.

    Args:
        address: ``host:port``.
        keepalive_ns: pause between pings; 0: none.
        concurrency: calls in flight at once, those left out that are awaited longer than their time.

    Raises:
        OSError: the system gives no thread or no descriptor.
    """

    def __new__(cls, address: str, *, keepalive_ns: int, concurrency: int) -> GrpcClient: ...
    def fileno(self) -> int:
        """Return a descriptor that is readable when there are outcomes to take; only to be polled."""
    def call(self, ticket: int, path: str, message: bytes, *, urgent: bool, within_ns: int, awaited_ns: int) -> None:
        """Make a call; returns at once.

        Args:
            ticket: the caller's name for it.
            path: ``/package.Service/Method``.
            message: the encoded request.
            urgent: whether it takes its turn before all that are not.
            within_ns: time for it to be sent, over a connection that is up, and answered.
            awaited_ns: time after which it is given up and cancelled on the wire.
        """
    @property
    def answers(self) -> bool:
        """Whether the server answers.

        There is a connection, and of the calls that were answered or should have been, the last one was.
        """
    def take(self) -> list[tuple[int, _Told]]:
        """Take the outcomes that have come, each with its ticket."""
    def close(self) -> None:
        """End the connection; calls under way lead to nothing any more."""

@final
class LeftCall:
    """A command that a courier leaves to its host: its call did not end well."""

    @property
    def command(self) -> Command:
        """The command."""
    @property
    def outcome(self) -> _Told:
        """What came of the call."""
    @property
    def begun_ns(self) -> int:
        """When it was begun, by the host's clock."""

@final
class LateOutcome:
    """The final outcome of a CreateSlot that a courier left as UNANSWERED."""

    @property
    def slot(self) -> int:
        """The engine's name of the slot."""
    @property
    def outcome(self) -> _Told:
        """What came of the call."""

@final
class RefusedReport:
    """A report of a courier's that the engine refused."""

    @property
    def reason(self) -> str:
        """The engine's text."""

@final
class Courier:
    """Carries out a scaler's CreateSlot, Init and DestroySlot without Python, as long as all goes well.

    From then on the scaler's methods return no other command than Wake. What does not go well is left to be taken. It
    is also a mapping of slots to the platform's names of them, in which its host claims those of slots it creates.

    Args:
        scaler: whose commands; it takes one courier in its life.
        client: of the service `serverless.simulator.Platform`.
        now_ns: what the clock of the scaler's callers reads now; it must be the system's monotonic clock.
        create_ns: time for a CreateSlot to be answered; likewise `init_ns` and `destroy_ns`.
        create_awaited_ns: how long its answer is awaited in all.

    Raises:
        OSError: the system gives no descriptor.
        ValueError: the scaler has a courier.
    """

    BOUNDS_S: Final[list[float]]
    """Upper bounds of the durations that `calls` counts together, in seconds."""

    def __new__(
        cls,
        scaler: Scaler,
        client: GrpcClient,
        *,
        now_ns: int,
        create_ns: int,
        init_ns: int,
        destroy_ns: int,
        create_awaited_ns: int,
    ) -> Courier: ...
    def fileno(self) -> int:
        """Return a descriptor that is readable when something was left; only to be polled."""
    def take(self) -> list[Wake | LeftCall | LateOutcome | RefusedReport]:
        """Take what was left, in its order."""
    def leave_slots(self) -> None:
        """Drop every later DestroySlot."""
    def calls(self) -> list[tuple[int, list[int], float]]:
        """Return for CreateSlot, Init and DestroySlot: calls now; good ones ended, by duration; seconds they took.

        The last count is of those longer than every bound.
        """
    def claim(self, slot: int, name: str, *, takes_over: bool) -> bool:
        """Note the platform's name of a slot; False: another slot has it.

        `takes_over`: one that was named over an earlier connection is taken to be gone.
        """
    def __getitem__(self, slot: int, /) -> str: ...
    def __delitem__(self, slot: int, /) -> None: ...
    def __contains__(self, slot: int, /) -> bool: ...

@final
class NativeServer:
    """The Scaler service over HTTP/2, answered by threads that never take the GIL; it listens once made.

    What its calls want of a platform, and no courier carries out, waits in `take_commands`; `fileno` says when.
    Requests that wait on it get their answers directly: the commands of `scaler`'s own methods hold no Wake for them.

    Args:
        scaler: the engine.
        now_ns: what the clock of the scaler's callers reads now; it must be the system's monotonic clock.
        address: ``host:port``; port 0 lets the system choose.
        threads: that serve connections; at least 1.
        keepalive_ns: silence before a client is pinged; 0: never.
        max_connections: open at once; further ones are closed as they come.
        max_calls: open at once on one connection, and over all connections calls that are read or answered in pieces.
        descriptors: encoded FileDescriptorProtos, for reflection.
        authorization: what Assign and Idle must carry under this name of their metadata; None: nothing.

    Raises:
        OSError: the address cannot be listened on.
        RuntimeError: the system gives no thread.
        ValueError: a descriptor is none.
    """

    def __new__(
        cls,
        scaler: Scaler,
        *,
        now_ns: int,
        address: str,
        threads: int,
        keepalive_ns: int,
        max_connections: int,
        max_calls: int,
        descriptors: list[bytes],
        authorization: bytes | None = None,
    ) -> NativeServer: ...
    @property
    def port(self) -> int:
        """The port that was bound."""
    def fileno(self) -> int:
        """Return a descriptor that is readable when there are commands to take; only to be polled."""
    def take_commands(self) -> list[Command]:
        """Take the commands that calls have led to, in their order."""
    def begin_shutdown(self) -> None:
        """Turn health NOT_SERVING; calls are answered as before."""
    def set_platform_health(self, serving: bool) -> None:
        """Say what health answers for the platform; before `begin_shutdown`."""
    def close(self, grace_ns: int) -> None:
        """Accept nothing more, give open calls this long to end, then end them; blocks until all threads have ended."""

@final
class SimReport:
    """What a simulation measured. Columns are NumPy arrays; times in ns, memory-time in GB·s."""

    @property
    def ledger(self) -> dict[str, Any]:
        """The same keys as `Scaler.snapshot`."""
    @property
    def functions(self) -> dict[str, NDArray[Any]]:
        """One row a function, in the order of the function table.

        The ledger's counts, `wait_s`, of it `{cause}_wait_s`, and `{state}_gb_s`.
        """
    @property
    def requests(self) -> dict[str, NDArray[Any]] | None:
        """Rows a request: `wait_ns` uint64, `outcome` uint8 (0 warm, 1 cold start, 2 hand-off, 3 failed), or None."""
    @property
    def stage_wait_s(self) -> dict[str, NDArray[np.float64]]:
        """Seconds waited for cold starts by the stage that the start was in, and `queued`; one row a function."""
    @property
    def wait_quantiles_ns(self) -> dict[str, int]:
        """`p50`, `p95`, `p99`, `max` over all answered requests (three significant digits)."""
    @property
    def explanation(self) -> dict[str, Any] | None:
        """Of the function asked for: `decisions` [(ns, text)], `left_out` int, `accounts` [(ns, [text])]; or None."""
    @property
    def waits(self) -> dict[str, NDArray[np.uint64]]:
        """How many answered requests waited longer than a time: `longer`, and the time `wait_ns`, ascending."""
    @property
    def series(self) -> dict[str, NDArray[Any]] | None:
        """The run over time, one row a span, or None.

        `end_ns` uint64, all others float64: the ledger's counts, `assigns`, `failed` and `wait_s` of the span, and the
        mean number and memory of slots, `{state}_slots` and `{state}_gb`.
        """
    @property
    def shortages(self) -> dict[str, int] | None:
        """With the series: requests that found no free instance, by why: `first_request`, `new_peak`, `let_go`."""
    @property
    def unfinished_wait_ns(self) -> int:
        """How long the requests that still waited when the run ended had waited, summed; the ledger has them not."""
    @property
    def peak_instances(self) -> int: ...
    @property
    def peak_memory_mb(self) -> int: ...
    @property
    def end_ns(self) -> int: ...
    @property
    def events(self) -> int: ...

_RequestColumns: TypeAlias = tuple[NDArray[np.uint64], NDArray[np.uint32], NDArray[np.uint64], NDArray[np.bool_]]
"""`arrival_ns`, `function`, `duration_ns` and `bad` of consecutive requests, each shape (n,)."""

def simulate(
    *,
    arrival_ns: NDArray[np.uint64] | None = None,
    function: NDArray[np.uint32] | None = None,
    duration_ns: NDArray[np.uint64] | None = None,
    bad: NDArray[np.bool_] | None = None,
    blocks: Iterable[_RequestColumns] | None = None,
    keys: list[str],
    memory_mb: NDArray[np.uint64],
    create_ns: NDArray[np.uint64],
    init_ns: NDArray[np.uint64],
    policy: str,
    tail_ns: int,
    starts: StartTable | None = None,
    create_failure: float = 0.0,
    init_failure: float = 0.0,
    seed: int = 0,
    per_request: bool = False,
    explain: int | None = None,
    series_ns: int | None = None,
    progress: Callable[[int], None] | None = None,
) -> SimReport:
    """Run the engine over a trace in virtual time, without the GIL.

    Requests come as columns, which are read in place, or as blocks of such columns, of which memory holds one beside
    what is under way: the next one is asked for when one is played. How they are cut into blocks changes nothing.

    Args:
        arrival_ns: shape (n,), ascending.
        function: shape (n,), index into the function table.
        duration_ns: shape (n,), execution time.
        bad: shape (n,), the request ends with `need_destroy`.
        blocks: instead of these four, tuples of them; what the iterator raises ends the run.
        keys: function table: keys; `memory_mb`, `create_ns`, `init_ns` have the same length.
        policy: as for `Scaler`.
        tail_ns: the run ends this long after the last arrival.
        starts: of which a row of the function's is drawn for each start; None: every start takes what the columns say.
        create_failure: probability that a CreateSlot fails (after its full duration).
        init_failure: probability that an Init fails.
        seed: of the failures and of the starts drawn.
        per_request: keep the per-request columns.
        explain: row of the function whose decisions are to be written down with their reasons.
        series_ns: keep the run over time, in spans this long; each costs a pass over functions and slots.
        progress: called after every 65,536 requests, at most every 100 ms of run time, with the number of requests
            played; an exception it raises ends the run.

    Raises:
        ConfigError: the policy does not parse.
        ValueError: columns disagree in length, are unsorted, or index past the function table, or the table of starts
            does not fit; the text names the row.
    """

def clairvoyant(
    *,
    arrival_ns: NDArray[np.uint64] | None = None,
    function: NDArray[np.uint32] | None = None,
    duration_ns: NDArray[np.uint64] | None = None,
    bad: NDArray[np.bool_] | None = None,
    blocks: Iterable[_RequestColumns] | None = None,
    memory_mb: NDArray[np.uint64],
    create_ns: NDArray[np.uint64],
    init_ns: NDArray[np.uint64],
) -> dict[str, Any]:
    """Return the least memory-time with which nobody waits, the future known; requests are as in `simulate`.

    Returns:
        `slot_gb_s` float, `busy_gb_s` float, `functions`: NDArray[float64] of `slot_gb_s` a function.
    """

def policies() -> list[dict[str, Any]]:
    """List the policies.

    Returns:
        One dict a policy: `name`, `summary`, `source`, `grade` (REAL, KIN or MODEL: how close it is to its source),
        `grade_meaning` (the same in words), `parameters` (list of `name`, `default`, `unit`, `summary`; those that
        every policy takes come last).
    """

@final
class ContestPlatform:
    """The contest's platform service on a thread of its own, with the books of its slots. It listens once made.

    All times are trace time, by a clock that agrees with the caller's.

    Args:
        address: where it listens; port 0 takes a free one.
        now_ns: what the caller's clock reads.
        speed: trace time per wall time.
        create_ns: how long CreateSlot takes, whatever the memory.
        seed: of the slots' ids.

    Raises:
        LoadError: the address cannot be bound.
    """

    def __new__(
        cls, address: str = "127.0.0.1:0", *, now_ns: int, speed: float, create_ns: int, seed: int
    ) -> ContestPlatform: ...
    @property
    def port(self) -> int:
        """The port that was bound."""
    def set_functions(self, functions: dict[str, tuple[int, int]]) -> None:
        """Set what slots may be initialised for from now on: of each function's key, the memory in MB and the start."""
    def account(self, now_ns: int) -> tuple[int, int, int, int, int, int]:
        """Return what the slots came to, up to a moment: the fields of `replay.statistics.SlotAccount`."""
    def begin_execution(self, instance_id: str, key: str) -> tuple[_Unusable | None, str]:
        """Begin the execution of a function's request on an instance.

        Returns:
            None and the id of its slot, or why it may not run there, and the same for people.
        """
    def end_execution(self, slot_id: str) -> None:
        """End the execution on a slot; nothing if the slot was destroyed meanwhile."""
    def close(self) -> None:
        """End it; connections are cut, and its books stay as they are. Nothing if it is closed."""

@final
class InstantPlatform:
    """A platform service on a thread of its own that answers at once or after given times, keeps and refuses nothing.

    Args:
        address: where it listens; port 0 takes a free one.
        create_ns: how long CreateSlot takes, exact to a millisecond.
        init_ns: how long Init takes.

    Raises:
        LoadError: the address cannot be bound.
    """

    def __new__(cls, address: str = "127.0.0.1:0", *, create_ns: int = 0, init_ns: int = 0) -> InstantPlatform: ...
    @property
    def address(self) -> str:
        """``host:port`` with the port that was bound."""
    def counts(self) -> dict[Literal["created", "initialised", "destroyed"], int]:
        """Count the calls answered; all zero once it is closed."""
    def close(self) -> None:
        """End it; connections are cut."""

def load_grpc(
    target: str,
    *,
    duration_ns: int,
    warm_up_ns: int,
    grace_ns: int,
    connections: int = 1,
    threads: int = 1,
    streams: int | None = None,
    rate: float | None = None,
    poisson: bool = True,
    functions: int = 1,
    skew: float = 0.0,
    cold_share: float = 0.0,
    prewarm: int = 1,
    hold_ns: int = 0,
    storm: tuple[int, int, int] | None = None,
    seed: int = 0,
    pid: int | None = None,
    progress: Callable[[Literal["prewarm", "load"], int, float], None] | None = None,
) -> dict[str, Any]:
    """Put load on a scaler over gRPC, without the GIL, and measure every call.

    Args:
        target: ``host:port`` of the scaler.
        duration_ns: the measured time.
        warm_up_ns: load before it.
        grace_ns: how long calls may go on after it; then they count as unfinished.
        connections: HTTP/2 connections.
        threads: client threads, at most `connections`.
        streams: a closed loop of so many callers a connection.
        rate: an open loop of so many RPCs a second, by a schedule; latency counts from the scheduled moment.
        poisson: an open loop's gaps are exponentially distributed, else constant.
        functions: functions called again and again.
        skew: exponent of Zipf's law over them; 0 calls all equally often.
        cold_share: share of the requests that call a function never called before.
        prewarm: instances a function made before the load.
        hold_ns: between an Assign's reply and its Idle; whole milliseconds.
        storm: requests, functions and nanoseconds of a storm of cold starts in the second half of the measured time.
        seed: of functions and arrivals.
        pid: the scaler's process, to measure its CPU time and memory.
        progress: called at most every 100 ms with the phase, what is done (instances, or calls) and the share of the
            load's time that has passed; an exception it raises ends the run.

    Returns:
        `duration_s` and `calls` (answered within it; both end where a storm begins); of `measured`, `beside_storm` and
        `storm` each: `all`, `assign`, `idle`, `cold` (latencies: `count`, `mean_us`, `p50_us`, `p90_us`, `p99_us`,
        `p99_9_us`, `p99_99_us`, `max_us`, all but `count` None when there were no calls; unfinished calls count with
        the time they took so far) and `failures` (name to count); `lag`, latencies of the client's own lateness in an
        open loop; `target` (None without `pid`) and `client`: `cpu_s` and, in MB before and after, `rss_mb_before` and
        `rss_mb`.

    Raises:
        LoadError: a setting is out of range, the target is no scaler or goes away.
    """

def load_engine(
    *,
    policy: str,
    duration_ns: int,
    threads: int = ...,
    functions: int = ...,
    shared: bool = False,
    skew: float = 0.0,
    seed: int = 0,
) -> dict[str, float]:
    """Run warm pairs (an Assign that finds a free instance, and its Idle) on an engine of its own, without the GIL.

    Args:
        policy: as for `Scaler`.
        duration_ns: how long.
        threads: threads that call at once; 1 if not given.
        functions: functions a thread; 1 if not given.
        shared: all threads call the same functions.
        skew: exponent of Zipf's law over the functions.
        seed: of the picks.

    Returns:
        `pairs` of all threads, how many of them `waited` for a start, `warm_pair_ns`, a thread's time a pair, and
        `warm_up_pairs`, pairs a function and thread before anything was measured (1,000 are wanted, 3 s allowed).

    Raises:
        ConfigError: the policy does not parse.
    """

"""Every setting of `pilotlight serve`: its default, range, unit and meaning, in one model.

The command's flags, the environment's names, the TOML keys and docs/configuration.md are all made from `ServeConfig`,
so nothing is written twice. Strongest source first: flags, environment `PILOTLIGHT_*`, the TOML file of `--config`,
defaults.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import AfterValidator, Field, ValidationError
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from pilotlight.errors import ConfigError
from pilotlight.setting_values import Address, Duration, Memory, OptionalAddress, allowed

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from pydantic_core import ErrorDetails

ENV_PREFIX = "PILOTLIGHT_"


def _checked_lease_factor(factor: float) -> float:
    if 0 < factor < 1:
        raise ValueError("a lease would end before the function's timeout; write 1 or more, or 0 for no leases")
    return factor


class ServeConfig(BaseSettings):
    """The settings of `pilotlight serve`; durations are seconds once read."""

    model_config = SettingsConfigDict(env_prefix=ENV_PREFIX, extra="forbid", frozen=True, validate_default=False)

    address: Address = Field("0.0.0.0:9001", description="Where the scaler listens; port 0 lets the system choose one.")
    front: Literal["grpcio", "native"] = Field(
        "grpcio",
        description=(
            "What answers calls: `grpcio`, the gRPC library for Python; `native`, this program's own threads outside "
            "Python, several times faster, without TLS and interceptors."
        ),
    )
    grpcio_mode: Literal["auto", "completion_queue", "aio"] = Field(
        "auto",
        description=(
            "How grpcio is driven: `completion_queue` directly, past its Python layers, which is several times faster "
            "but not a public API; `aio` by its public API; `auto` directly where this grpcio version was tested and "
            "no interceptors are set."
        ),
    )
    grpcio_interceptors: str = Field(
        "",
        description=(
            "`module:function` that returns a list of `grpc.aio.ServerInterceptor`; every call passes them, on the "
            "public API."
        ),
    )
    tls_certificate: str = Field("", description="PEM file of the server's certificate chain; empty serves plain text.")
    tls_key: str = Field("", description="PEM file of the certificate's private key.")
    tls_client_ca: str = Field(
        "", description="PEM file of the authorities whose client certificates are accepted, and then required."
    )
    auth_token_file: str = Field(
        "",
        description=(
            "File that holds the token which Assign and Idle must carry as metadata `authorization: Bearer TOKEN`; "
            "empty asks for none."
        ),
    )
    native_threads: int = Field(2, ge=1, le=256, description="`native`: threads that serve connections.")
    native_connections: int = Field(
        16_384,
        ge=1,
        le=1_000_000,
        description="`native`: connections open at once before further ones are closed as they come.",
    )
    max_streams: int = Field(
        6000,
        ge=6,
        le=1_000_000,
        description=(
            "Calls open at once on one connection; a client keeps further ones back. Five of six may be requests that "
            "wait, so that the Idle which frees an instance gets through. With grpcio each costs up to 20 KiB and its "
            "metadata."
        ),
    )
    platform: Literal["grpc", "sim"] = Field(
        "grpc",
        description=(
            "Where slots come from: `grpc` calls the platform service at `platform_address`; `sim` sleeps in this "
            "process."
        ),
    )
    platform_address: Address = Field(
        "127.0.0.1:50051", description="The platform service that `platform = grpc` calls."
    )
    platform_create_timeout: Duration = Field(
        5.0,
        gt=0,
        le=600,
        description=(
            "How long CreateSlot may take, with its retries, before the start counts as failed. A call without an "
            "answer is awaited ten times as long, and a minute at least, so that a slot created late is destroyed, not "
            "lost."
        ),
    )
    platform_init_timeout: Duration = Field(
        300.0,
        gt=0,
        le=3600,
        description="How long Init may take, with its retries; at least the slowest function's start.",
    )
    platform_destroy_timeout: Duration = Field(
        5.0,
        gt=0,
        le=600,
        description="How long DestroySlot may take, with its retries, before it is issued again later.",
    )
    platform_retries: int = Field(
        3,
        ge=0,
        le=20,
        description=(
            "How often an Init or a DestroySlot is repeated that ended with UNAVAILABLE. What the platform "
            "throttles is not repeated: all starts pause."
        ),
    )
    platform_concurrency: int = Field(
        4096,
        ge=1,
        le=1_000_000,
        description=(
            "Platform calls in flight at once; an Init counts as long as the function's start takes, a CreateSlot for "
            "`platform_create_timeout` at most."
        ),
    )
    platform_keepalive: Duration = Field(
        0.0,
        ge=0,
        le=7200,
        description=(
            "Pause between HTTP/2 pings to the platform; 0 sends none. Many servers close connections that ping more "
            "often than every five minutes."
        ),
    )
    sim_create_time: Duration = Field(0.105, ge=0, le=600, description="`sim`: how long CreateSlot takes.")
    sim_init_time: Duration = Field(0.1, ge=0, le=3600, description="`sim`: how long Init takes.")
    sim_create_failure: float = Field(0.0, ge=0, le=1, description="`sim`: share of CreateSlot calls that fail.")
    sim_init_failure: float = Field(0.0, ge=0, le=1, description="`sim`: share of Init calls that fail.")
    sim_seed: int = Field(0, ge=0, description="`sim`: seed of the failures.")
    policy: str = Field(
        "level_gap",
        min_length=1,
        description=(
            "What to keep, start ahead and retire; `pilotlight policies` lists the choices, docs/serve.md explains "
            "their price `lambda`."
        ),
    )
    assign_deadline: Duration = Field(
        600.0,
        gt=0,
        le=86400,
        description="Longest that a request may wait for an instance; a client's earlier deadline counts.",
    )
    start_attempts: int = Field(
        3,
        ge=1,
        le=100,
        description=(
            "Starts of a function that may fail in a row before those who wait for one get an error. Until one "
            "succeeds, new requests that would wait for a start get it at once, and starts are made 1 s, 2 s … 30 s "
            "apart."
        ),
    )
    lease_factor: Annotated[float, AfterValidator(_checked_lease_factor)] = Field(
        3.0,
        ge=0,
        le=1000,
        description=(
            "A busy instance is destroyed after this multiple of its function's timeout: its request may have ended "
            "without an Idle. 0: never. Functions without a timeout have no lease."
        ),
    )
    max_functions: int = Field(
        100_000,
        ge=1,
        le=10_000_000,
        description=(
            "Distinct functions known at once. Those without a slot and without a request give way to new ones, the "
            "least recently used first; when all are in use, requests for new ones are refused."
        ),
    )
    max_waiting: int = Field(
        100_000,
        ge=1,
        le=10_000_000,
        description=(
            "Requests waiting at once, over all functions, before new ones are refused. One function may have four "
            "times as many as may still come, so that one that hangs leaves places to the others."
        ),
    )
    max_slots: int = Field(
        0,
        ge=0,
        le=4_000_000_000,
        description=(
            "Slots at once, whatever their state; starts beyond them wait for room, and free instances give way to "
            "them. One function has at most four times what is left. 0 sets no limit."
        ),
    )
    max_memory: Memory = Field(
        0,
        ge=0,
        le=1024 * 1_000_000,
        description=(
            "Memory of all slots together, likewise; where the policy's `memory` is smaller, that one holds. 0 sets no "
            "limit."
        ),
    )
    max_starts_per_second: int = Field(
        0,
        ge=0,
        le=1_000_000_000,
        description=(
            "CreateSlots issued a second; as many as come in a second may be issued at once, others wait and functions "
            "take turns. 0 sets no limit."
        ),
    )
    drain_timeout: Duration = Field(
        20.0,
        ge=0,
        le=3600,
        description=(
            "After a signal to end: how long running requests and unanswered platform calls may take to end before "
            "their slots go, or are given up."
        ),
    )
    drain_leave_slots: bool = Field(
        False,
        description=(
            "Leave every slot on the platform at shutdown instead of destroying it; the log says how many were left, "
            "and names some."
        ),
    )
    grpc_keepalive: Duration = Field(
        60.0,
        ge=0,
        le=7200,
        description="Pause between HTTP/2 pings to silent clients, which finds dead ones; 0 sends none.",
    )
    metrics_address: OptionalAddress = Field(
        "127.0.0.1:9464",
        description="Where Prometheus scrapes `/metrics`; empty serves none; port 0 lets the system choose one.",
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="The least level that is logged."
    )
    log_format: Literal["text", "json"] = Field("text", description="`text` for people, `json` for one object a line.")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Take values from the constructor alone: `load` merges the sources itself, to name the right one in errors."""
        del settings_cls, env_settings, dotenv_settings, file_secret_settings
        return (init_settings,)


def load(flags: Mapping[str, object] | None = None, config_file: Path | None = None) -> ServeConfig:
    """Merge flags, environment, file and defaults into one configuration.

    Args:
        flags: field name → value as given on the command line.
        config_file: a TOML file of `ServeConfig`'s keys.

    Raises:
        ConfigError: a file that cannot be read, an unknown key, or a value that does not fit; the text names the
            source.
    """
    origins: dict[str, str] = {}
    merged: dict[str, object] = {}
    sources: list[tuple[str, Mapping[str, object]]] = [
        (f"{config_file}: ", _file_values(config_file)),
        ("environment ", EnvSettingsSource(ServeConfig)()),
        ("flag ", flags or {}),
    ]
    for origin, values in sources:
        for name, value in values.items():
            merged[name] = value
            origins[name] = origin
    try:
        return ServeConfig(**merged)  # type: ignore[arg-type]
    except ValidationError as error:
        raise ConfigError("; ".join(_explain(detail, merged, origins) for detail in error.errors())) from None


def _file_values(path: Path | None) -> dict[str, object]:
    if path is None:
        return {}
    try:
        path.open("rb").close()
        return TomlConfigSettingsSource(ServeConfig, toml_file=path)()
    except OSError as error:
        raise ConfigError(f"{path}: cannot read the configuration file: {error.strerror}") from None
    except ValueError as error:  # tomllib's and tomli's own errors, and bytes that are not UTF-8
        raise ConfigError(f"{path}: not a TOML file: {error}") from None


def _explain(detail: ErrorDetails, given: Mapping[str, object], origins: Mapping[str, str]) -> str:
    """Say one validation error the way the user wrote the setting."""
    name = str(detail["loc"][0])
    origin = origins[name]
    written = {"flag ": flag_name(name), "environment ": f"{ENV_PREFIX}{name.upper()}"}.get(origin, name)
    if detail["type"] == "extra_forbidden":
        return f"{origin}{written}: unknown key; docs/configuration.md lists every setting"
    reason = detail["msg"].removeprefix("Value error, ")
    takes = allowed(ServeConfig.model_fields[name])
    return f"{origin}{written} = {given[name]!r}: {reason[:1].lower()}{reason[1:]} ({takes})"


def flag_name(name: str) -> str:
    """Return a field's command-line flag."""
    return "--" + name.replace("_", "-")

//! What the engine asks of its host. Commands are plain data; carrying them out, and reporting back, is the host's whole duty.

use std::fmt;

use crate::ids::{FunctionId, SlotId, WaiterId};

/// One thing for the host to do. The answer that each command wants is named with it; without it the engine waits for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// Ask the platform for a slot. Answer: `handle_slot_created` or `handle_create_failed`.
    CreateSlot {
        /// The name to report back with.
        slot: SlotId,
        /// The function that asked. The slot may end up serving another one of the same memory.
        function: FunctionId,
        /// Size of the slot in MB.
        memory_mb: u32,
    },
    /// Make the slot an instance of the function. Answer: `handle_instance_ready` or `handle_init_failed`.
    Init {
        /// A slot whose creation was reported.
        slot: SlotId,
        /// The function to initialise, not necessarily the one in `CreateSlot`.
        function: FunctionId,
    },
    /// Give the slot back to the platform. Answer: `handle_slot_destroyed` or `handle_destroy_failed`.
    DestroySlot {
        /// The slot. An Init may still be in flight on it; its answer no longer matters.
        slot: SlotId,
        /// Why, for logs and the platform.
        reason: DestroyReason,
    },
    /// Answer a waiting request. No report is wanted; an undeliverable instance comes back by `handle_abandon`.
    Wake {
        /// The waiter named by `handle_assign`.
        waiter: WaiterId,
        /// The instance it got, or why it got none.
        result: Result<SlotId, WakeError>,
    },
}

/// Why a slot is given back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DestroyReason {
    /// Its instance was free for as long as the policy wanted to keep it.
    KeepAliveOver,
    /// The request it served said `need_destroy`.
    NeedDestroy,
    /// Request after request failed on it.
    Failing,
    /// The request it was given to had it for longer than its lease.
    LeaseExpired,
    /// Nobody needed the start any more, and no other function of the same memory did.
    Surplus,
    /// Its Init failed.
    InitFailed,
    /// Its start had been given up before: the answer came late, or was not what had been asked for.
    StartGivenUp,
    /// Another start needed what it took, and no free instance was worth less, or it had been started ahead of that one.
    MemoryPressure,
    /// The scaler shuts down.
    Draining,
    /// An earlier attempt to destroy it failed.
    Repeated,
}

impl DestroyReason {
    /// The reason in words, as sent to the platform.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::KeepAliveOver => "keep-alive over",
            Self::NeedDestroy => "bad instance",
            Self::Failing => "instance keeps failing",
            Self::LeaseExpired => "no Idle within the lease",
            Self::Surplus => "start no longer needed",
            Self::InitFailed => "init failed",
            Self::StartGivenUp => "start given up",
            Self::MemoryPressure => "room is short",
            Self::Draining => "scaler is draining",
            Self::Repeated => "earlier destroy failed",
        }
    }
}

/// Why a waiting request gets no instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum WakeError {
    /// Its deadline passed first.
    #[error("no instance became free before the request's deadline")]
    DeadlineExceeded,
    /// Its deadline passed while a start for it waited under a limit.
    #[error("{0}")]
    NoRoom(Shortage),
    /// Starts failed as often as the configuration lets a request wait for.
    #[error("starting an instance failed")]
    StartFailed,
    /// The scaler shuts down.
    #[error("the scaler is shutting down")]
    Draining,
}

/// What a limit bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Bound {
    /// Memory of all slots, in MB.
    Memory,
    /// Slots.
    Slots,
    /// Starts a second.
    Starts,
}

/// A limit that kept a start from being issued.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Shortage {
    /// What it bounds.
    pub bound: Bound,
    /// Its value.
    pub limit: u64,
    /// What sets it.
    pub setting: &'static str,
}

impl fmt::Display for Shortage {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { bound, limit, setting } = self;
        let what = match bound {
            Bound::Memory => "MB of all slots",
            Bound::Slots => "slots",
            Bound::Starts => "starts a second",
        };
        write!(formatter, "the limit of {limit} {what} left no room for an instance before the request's deadline (raise {setting})")
    }
}

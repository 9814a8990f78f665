//! Atomics that count what is dear of them: read-modify-writes, by thread. They take the others' place in unit tests (`engine::cost`), and
//! have no method that does not count, but for loads and stores.

use std::cell::Cell;
use std::sync::atomic::Ordering;

thread_local! {
    static READ_MODIFY_WRITES: Cell<u64> = const { Cell::new(0) };
}

/// How many read-modify-writes this thread has made on the crate's atomics.
pub(crate) fn read_modify_writes() -> u64 {
    READ_MODIFY_WRITES.get()
}

macro_rules! counted {
    ($name:ident of $value:ty: $($method:ident($($argument:ident: $type:ty),+) -> $result:ty),+) => {
        #[derive(Debug, Default)]
        #[repr(transparent)]
        pub(crate) struct $name(std::sync::atomic::$name);

        impl $name {
            pub(crate) const fn new(value: $value) -> Self {
                Self(std::sync::atomic::$name::new(value))
            }

            #[allow(dead_code, reason = "not every type is used in every way")]
            pub(crate) fn load(&self, order: Ordering) -> $value {
                self.0.load(order)
            }

            #[allow(dead_code, reason = "as above")]
            pub(crate) fn store(&self, value: $value, order: Ordering) {
                self.0.store(value, order);
            }

            $(
                #[allow(dead_code, reason = "not every type is used in every way")]
                pub(crate) fn $method(&self, $($argument: $type),+) -> $result {
                    READ_MODIFY_WRITES.set(READ_MODIFY_WRITES.get() + 1);
                    self.0.$method($($argument),+)
                }
            )+
        }
    };
}

macro_rules! counted_integers {
    ($($name:ident of $value:ty),+) => {$(
        counted! { $name of $value:
            fetch_add(by: $value, order: Ordering) -> $value,
            fetch_sub(by: $value, order: Ordering) -> $value,
            fetch_max(other: $value, order: Ordering) -> $value,
            swap(next: $value, order: Ordering) -> $value,
            compare_exchange(from: $value, to: $value, won: Ordering, lost: Ordering) -> Result<$value, $value>,
            compare_exchange_weak(from: $value, to: $value, won: Ordering, lost: Ordering) -> Result<$value, $value>
        }
    )+};
}

counted_integers! { AtomicI64 of i64, AtomicU8 of u8, AtomicU16 of u16, AtomicU32 of u32, AtomicU64 of u64 }
counted! { AtomicBool of bool: swap(next: bool, order: Ordering) -> bool }

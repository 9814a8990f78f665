//! The contest platform's rules: what may be done with a slot, and what slots cost.
//!
//! Plain state, no I/O and no clock. Memory is accounted from the moment a slot's creation began until it was destroyed, whatever happens
//! between.

use std::collections::HashMap;

use super::ids::Ids;
use crate::wire::Status;

/// What the platform knows about a function. Times are trace time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Function {
    /// Memory of the slots it runs in.
    pub memory_mb: u64,
    /// How long its own start takes.
    pub init_ns: u64,
}

/// What all slots came to, up to some moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SlotAccount {
    /// Their memory-time.
    pub held_mb_ns: u128,
    /// Slots not destroyed, those being created included.
    pub live: u64,
    /// Slots ever asked for.
    pub created: u64,
    /// Slots destroyed while a request was executing on them.
    pub destroyed_busy: u64,
    /// Calls of CreateSlot and Init that were carried out and answered.
    pub answered: u64,
    /// How much later than due they were answered, all together.
    pub late_ns: u128,
}

/// Why a request may not run on the instance that it was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unusable {
    /// No slot was given that name.
    UnknownInstance,
    /// It is of another function.
    OtherFunction,
    /// Its Init has not ended.
    NotInitialised,
    /// It is executing another request.
    AlreadyAssigned,
}

/// A call that breaks a rule: the reply's status and its text.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Refused(pub(super) Status, pub(super) String);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Creating,
    Created,
    Initialising,
    Ready,
}

#[derive(Debug)]
struct Slot {
    memory_mb: u64,
    state: State,
    /// The function that Init named; empty before.
    key: String,
    /// The scaler's name for it since Init; empty before.
    instance_id: String,
    busy: bool,
}

/// All live slots, by id and by instance.
#[derive(Debug)]
pub(super) struct SlotTable {
    functions: HashMap<String, Function>,
    slots: HashMap<String, Slot>,
    /// Slot ids by the scaler's names.
    instances: HashMap<String, String>,
    ids: Ids,
    live_mb: u64,
    changed_ns: u64,
    account: SlotAccount,
}

impl SlotTable {
    /// Holds nothing; the same seed gives the same ids.
    pub(super) fn new(seed: u64) -> Self {
        Self {
            functions: HashMap::new(),
            slots: HashMap::new(),
            instances: HashMap::new(),
            ids: Ids::new(seed),
            live_mb: 0,
            changed_ns: 0,
            account: SlotAccount::default(),
        }
    }

    /// Sets the functions that slots may be initialised for from now on.
    pub(super) fn set_functions(&mut self, functions: HashMap<String, Function>) {
        self.functions = functions;
    }

    /// Tells what the slots came to, up to a moment.
    pub(super) fn account(&self, now_ns: u64) -> SlotAccount {
        SlotAccount { held_mb_ns: self.held(now_ns), ..self.account }
    }

    /// Reserves a slot and returns its id; it costs from now on.
    pub(super) fn begin_create(&mut self, memory_mb: u64, now_ns: u64) -> Result<String, Refused> {
        let Some(live_mb) = self.live_mb.checked_add(memory_mb).filter(|_| memory_mb > 0) else {
            let text = format!("resource_config.memory_in_megabytes is {memory_mb}; it must be positive, and possible");
            return Err(Refused(Status::InvalidArgument, text));
        };
        let id = self.ids.next();
        self.change(live_mb, now_ns);
        let slot = Slot { memory_mb, state: State::Creating, key: String::new(), instance_id: String::new(), busy: false };
        self.slots.insert(id.clone(), slot);
        self.account.created += 1;
        self.account.live += 1;
        Ok(id)
    }

    /// Makes a slot usable; nothing if it was destroyed meanwhile.
    pub(super) fn end_create(&mut self, id: &str) {
        self.advance(id, State::Created);
    }

    /// Gives a slot to a function, for good, and returns how long the function's start takes.
    pub(super) fn begin_init(&mut self, id: &str, instance_id: &str, key: &str) -> Result<u64, Refused> {
        let slot = self.slots.get_mut(id).filter(|slot| slot.state != State::Creating);
        let Some(slot) = slot else { return Err(not_found(id)) };
        let invalid = |text| Err(Refused(Status::InvalidArgument, text));
        if slot.state != State::Created {
            return invalid(format!("slot {id} is already allocated"));
        }
        let Some(function) = self.functions.get(key) else {
            return Err(Refused(Status::NotFound, format!("function {key:?} is not in the data set")));
        };
        if slot.memory_mb != function.memory_mb {
            return invalid(format!("slot {id} has {} MB, function {key:?} needs {} MB", slot.memory_mb, function.memory_mb));
        }
        if instance_id.is_empty() {
            return invalid("instance_id is missing".to_owned());
        }
        if self.instances.contains_key(instance_id) {
            return invalid(format!("instance_id {instance_id:?} is taken"));
        }
        (slot.state, slot.key, slot.instance_id) = (State::Initialising, key.to_owned(), instance_id.to_owned());
        self.instances.insert(instance_id.to_owned(), id.to_owned());
        Ok(function.init_ns)
    }

    /// Makes an instance ready; nothing if its slot was destroyed meanwhile.
    pub(super) fn end_init(&mut self, id: &str) {
        self.advance(id, State::Ready);
    }

    /// Takes a slot back; it costs until now.
    pub(super) fn destroy(&mut self, id: &str, now_ns: u64) -> Result<(), Refused> {
        let Some(slot) = self.slots.remove(id) else { return Err(not_found(id)) };
        self.instances.remove(&slot.instance_id);
        self.change(self.live_mb - slot.memory_mb, now_ns);
        self.account.live -= 1;
        self.account.destroyed_busy += u64::from(slot.busy);
        Ok(())
    }

    /// Begins an execution on an instance and returns the id of its slot.
    pub(super) fn begin_execution(&mut self, instance_id: &str, key: &str) -> Result<String, (Unusable, String)> {
        let id = self.instances.get(instance_id);
        let Some((id, slot)) = id.and_then(|id| Some((id, self.slots.get_mut(id)?))) else {
            return Err((Unusable::UnknownInstance, format!("the platform has no instance {instance_id:?}")));
        };
        if slot.key != key {
            let text = format!("instance {instance_id:?} is of function {:?}, not of {key:?}", slot.key);
            return Err((Unusable::OtherFunction, text));
        }
        if slot.state != State::Ready {
            return Err((Unusable::NotInitialised, format!("Init of instance {instance_id:?} has not ended")));
        }
        if slot.busy {
            return Err((Unusable::AlreadyAssigned, format!("instance {instance_id:?} is executing another request")));
        }
        slot.busy = true;
        Ok(id.clone())
    }

    /// Ends the execution on a slot; nothing if the slot was destroyed meanwhile.
    pub(super) fn end_execution(&mut self, id: &str) {
        if let Some(slot) = self.slots.get_mut(id) {
            slot.busy = false;
        }
    }

    /// Notes how much later than due a call was answered.
    pub(super) fn answered(&mut self, late_ns: u64) {
        self.account.answered += 1;
        self.account.late_ns += u128::from(late_ns);
    }

    fn advance(&mut self, id: &str, state: State) {
        if let Some(slot) = self.slots.get_mut(id) {
            slot.state = state;
        }
    }

    fn change(&mut self, live_mb: u64, now_ns: u64) {
        self.account.held_mb_ns = self.held(now_ns);
        self.changed_ns = self.changed_ns.max(now_ns);
        self.live_mb = live_mb;
    }

    /// Whoever asks may have read the clock just before the last change.
    fn held(&self, now_ns: u64) -> u128 {
        self.account.held_mb_ns + u128::from(self.live_mb) * u128::from(now_ns.saturating_sub(self.changed_ns))
    }
}

fn not_found(id: &str) -> Refused {
    Refused(Status::NotFound, format!("slot {id} not found"))
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::{Function, Refused, SlotTable, Unusable};
    use crate::wire::Status;

    fn table() -> SlotTable {
        let mut table = SlotTable::new(1);
        let functions = [("small", 128, 5), ("alike", 128, 7), ("large", 512, 5)];
        let named = |(key, memory_mb, init_ns): (&str, _, _)| (key.to_owned(), Function { memory_mb, init_ns });
        table.set_functions(HashMap::from(functions.map(named)));
        table
    }

    fn created(table: &mut SlotTable, memory_mb: u64) -> String {
        let id = table.begin_create(memory_mb, 0).expect("a slot");
        table.end_create(&id);
        id
    }

    fn ready(table: &mut SlotTable, instance_id: &str) -> String {
        let id = created(table, 128);
        table.begin_init(&id, instance_id, "small").expect("an instance");
        table.end_init(&id);
        id
    }

    fn invalid(text: String) -> Refused {
        Refused(Status::InvalidArgument, text)
    }

    #[test]
    fn created_slot_serves_any_function_of_its_memory() {
        let mut table = table();
        for (key, init_ns) in [("small", 5), ("alike", 7)] {
            let id = created(&mut table, 128);
            assert_eq!(table.begin_init(&id, key, key), Ok(init_ns));
            table.end_init(&id);
            assert_eq!(table.begin_execution(key, key), Ok(id));
        }
    }

    #[test]
    fn slot_is_initialised_once() {
        let mut table = table();
        let id = created(&mut table, 128);
        table.begin_init(&id, "first", "small").expect("an instance");
        for _ in 0..2 {
            assert_eq!(table.begin_init(&id, "second", "small"), Err(invalid(format!("slot {id} is already allocated"))));
            table.end_init(&id);
        }
        assert_eq!(table.begin_execution("second", "small").expect_err("nobody").0, Unusable::UnknownInstance);
    }

    #[test]
    fn slot_of_other_memory_is_refused_and_stays_usable() {
        let mut table = table();
        let id = created(&mut table, 128);
        let text = format!("slot {id} has 128 MB, function \"large\" needs 512 MB");
        assert_eq!(table.begin_init(&id, "i", "large"), Err(invalid(text)));
        assert_eq!(table.begin_init(&id, "i", "small"), Ok(5));
    }

    #[test]
    fn init_names_a_finished_slot_a_function_and_a_new_instance() {
        let mut table = table();
        ready(&mut table, "taken");
        let (creating, id) = (table.begin_create(128, 0).expect("a slot"), created(&mut table, 128));
        let cases = [
            ("nowhere", "i", "small", Status::NotFound),
            (&creating, "i", "small", Status::NotFound),
            (&id, "i", "nobody", Status::NotFound),
            (&id, "", "small", Status::InvalidArgument),
            (&id, "taken", "small", Status::InvalidArgument),
        ];
        for (slot, instance, key, status) in cases {
            assert_eq!(table.begin_init(slot, instance, key).expect_err("refused").0, status, "{slot} {instance} {key}");
        }
    }

    #[test]
    fn slot_is_destroyed_in_any_state_and_only_once() {
        let mut table = table();
        let creating = table.begin_create(128, 0).expect("a slot");
        let (fresh, initialising) = (created(&mut table, 128), created(&mut table, 128));
        table.begin_init(&initialising, "starts", "small").expect("an instance");
        for id in [creating, fresh, initialising, ready(&mut table, "i")] {
            assert_eq!(table.destroy(&id, 0), Ok(()));
            assert_eq!(table.destroy(&id, 0), Err(Refused(Status::NotFound, format!("slot {id} not found"))));
            // A call that was under way ends without effect.
            table.end_create(&id);
            table.end_init(&id);
            table.end_execution(&id);
        }
        assert_eq!(table.begin_execution("i", "small").expect_err("gone").0, Unusable::UnknownInstance);
        let account = table.account(0);
        assert_eq!((account.live, account.created, account.destroyed_busy), (0, 4, 0));
    }

    #[test]
    fn slot_without_memory_or_with_more_than_can_be_counted_is_refused() {
        let mut table = table();
        created(&mut table, 128);
        for memory_mb in [0, u64::MAX] {
            assert_eq!(table.begin_create(memory_mb, 0).expect_err("refused").0, Status::InvalidArgument);
        }
        assert_eq!(table.account(0).live, 1);
    }

    #[test]
    fn slot_costs_from_the_start_of_its_creation_to_its_end() {
        let mut table = table();
        let (first, second) = (table.begin_create(128, 10).expect("a slot"), table.begin_create(512, 20).expect("a slot"));
        assert_eq!(table.account(30).held_mb_ns, 128 * 20 + 512 * 10);
        table.destroy(&first, 40).expect("destroyed");
        table.destroy(&second, 45).expect("destroyed");
        let account = table.account(1000);
        assert_eq!(account.held_mb_ns, 128 * 30 + 512 * 25);
        assert_eq!((account.live, account.created), (0, 2));
    }

    #[test]
    fn cost_never_falls_for_a_clock_that_was_read_a_moment_ago() {
        let mut table = table();
        let id = table.begin_create(128, 10).expect("a slot");
        assert_eq!(table.account(5).held_mb_ns, 0);
        table.destroy(&id, 5).expect("destroyed");
        assert_eq!(table.account(100).held_mb_ns, 0);
    }

    #[test]
    fn instance_executes_one_request_of_its_function_at_a_time() {
        let mut table = table();
        let id = created(&mut table, 128);
        table.begin_init(&id, "i", "small").expect("an instance");
        let refused = |table: &mut SlotTable, key| table.begin_execution("i", key).expect_err("unusable").0;
        assert_eq!(refused(&mut table, "alike"), Unusable::OtherFunction);
        assert_eq!(refused(&mut table, "small"), Unusable::NotInitialised);
        table.end_init(&id);
        assert_eq!(table.begin_execution("i", "small"), Ok(id.clone()));
        assert_eq!(refused(&mut table, "small"), Unusable::AlreadyAssigned);
        table.end_execution(&id);
        assert_eq!(table.begin_execution("i", "small"), Ok(id));
    }

    #[test]
    fn slot_destroyed_under_a_request_is_noted_and_its_name_may_be_taken_again() {
        let mut table = table();
        let first = ready(&mut table, "i");
        table.begin_execution("i", "small").expect("an execution");
        table.destroy(&first, 0).expect("destroyed");
        assert_eq!(table.account(0).destroyed_busy, 1);
        ready(&mut table, "i");
        table.begin_execution("i", "small").expect("another execution");
        // The first request ends; the second one goes on.
        table.end_execution(&first);
        assert_eq!(table.begin_execution("i", "small").expect_err("busy").0, Unusable::AlreadyAssigned);
    }
}

//! The shard's tasks: a slab of futures and the queues of those that are ready.
//!
//! There are two queues: one for most tasks, and one for those that stand behind the others: the
//! shard polls few of them a turn, so that a crowd of them keeps nobody waiting.
//!
//! Pure bookkeeping: nothing here polls or drops a future, because both run code that may come
//! back to this table. [`Tasks::next`] hands the future out, the shard polls it, and
//! [`Tasks::put_back`] or [`Tasks::remove`] ends the turn. A task that is woken while it runs is
//! queued again.

use std::{collections::VecDeque, pin::Pin};

use super::waker::{TASKS_MAX, TaskId, next_generation};

/// A task's future.
pub(super) type Boxed = Pin<Box<dyn Future<Output = ()>>>;

/// What there is to poll.
pub(super) enum Turn {
    /// A spawned task. Its future is out of the table until it is put back.
    Task(TaskId, Boxed),
    /// The future that `block_on` holds itself.
    Main(TaskId),
}

pub(super) struct Tasks {
    shard: u16,
    first_generation: u32,
    slots: Vec<Slot>,
    free: Vec<u32>,
    ready: VecDeque<TaskId>,
    ready_behind: VecDeque<TaskId>,
    live: usize,
}

struct Slot {
    generation: u32,
    /// The task is in a ready queue.
    queued: bool,
    /// It stands behind the others.
    behind: bool,
    body: Body,
}

enum Body {
    Free,
    Idle(Boxed),
    /// Out of the table, being polled.
    Running,
    Main,
}

/// Tasks polled between two looks at the ring, at most …
const POLLS_PER_TURN: usize = 64;
/// … and of those that stand behind the others: with a handful a turn is over soon.
const BEHIND_PER_TURN: usize = 1;

impl Tasks {
    pub(super) fn new(shard: u16, first_generation: u32) -> Self {
        Self {
            shard,
            first_generation,
            slots: Vec::new(),
            free: Vec::new(),
            ready: VecDeque::new(),
            ready_behind: VecDeque::new(),
            live: 0,
        }
    }

    /// Tasks that have not ended, the main one apart.
    pub(super) fn len(&self) -> usize {
        self.live
    }

    /// How many are ready, those behind the others with them.
    pub(super) fn ready(&self) -> usize {
        self.ready.len() + self.ready_behind.len()
    }

    /// How many are to be polled before the ring is looked at again.
    pub(super) fn for_a_turn(&self) -> usize {
        self.ready.len().min(POLLS_PER_TURN) + self.ready_behind.len().min(BEHIND_PER_TURN)
    }

    /// Puts one of the ready tasks before the others: a simulation's choice.
    pub(super) fn bring_forward(&mut self, index: usize) {
        if let Some(chosen) = index.checked_sub(self.ready.len()) {
            self.ready.extend(self.ready_behind.remove(chosen));
        }
        let index = index.min(self.ready.len().saturating_sub(1));
        if index > 0 {
            self.ready.swap(0, index);
        }
    }

    /// Adds a task, ready to be polled. The future comes back if the table is full.
    pub(super) fn insert(&mut self, future: Boxed, behind: bool) -> Result<(), Boxed> {
        let Some(slot) = self.take_slot() else {
            return Err(future);
        };
        self.live += 1;
        self.slots[slot as usize].behind = behind;
        self.fill(slot, Body::Idle(future));
        Ok(())
    }

    /// Adds the task whose future `block_on` keeps.
    pub(super) fn insert_main(&mut self) {
        let slot = self
            .take_slot()
            .expect("invariant: main is a shard's first task");
        self.fill(slot, Body::Main);
    }

    fn take_slot(&mut self) -> Option<u32> {
        if let Some(slot) = self.free.pop() {
            return Some(slot);
        }
        if self.slots.len() == TASKS_MAX {
            return None;
        }
        let slot = u32::try_from(self.slots.len()).ok()?;
        let generation = self.first_generation;
        self.slots.push(Slot {
            generation,
            queued: false,
            behind: false,
            body: Body::Free,
        });
        Some(slot)
    }

    fn fill(&mut self, slot: u32, body: Body) {
        self.slots[slot as usize].body = body;
        let id = TaskId::new(self.shard, slot, self.slots[slot as usize].generation);
        self.wake(id);
    }

    fn slot(&mut self, id: TaskId) -> Option<&mut Slot> {
        let slot = self.slots.get_mut(id.slot() as usize)?;
        (slot.generation == id.generation()).then_some(slot)
    }

    /// Queues a task, unless it has ended or is queued already.
    pub(super) fn wake(&mut self, id: TaskId) {
        let Some(slot) = self.slot(id) else { return };
        if !slot.queued && !matches!(slot.body, Body::Free) {
            slot.queued = true;
            let queue = match slot.behind {
                true => &mut self.ready_behind,
                false => &mut self.ready,
            };
            queue.push_back(id);
        }
    }

    /// A task no longer stands behind the others.
    pub(super) fn come_forward(&mut self, id: TaskId) {
        if let Some(slot) = self.slot(id) {
            slot.behind = false;
        }
    }

    pub(super) fn wake_all(&mut self) {
        let ids: Vec<_> = (0u32..)
            .zip(&self.slots)
            .map(|(slot, entry)| TaskId::new(self.shard, slot, entry.generation))
            .collect();
        ids.into_iter().for_each(|id| self.wake(id));
    }

    /// The next ready task.
    pub(super) fn next(&mut self) -> Option<Turn> {
        loop {
            let id = self
                .ready
                .pop_front()
                .or_else(|| self.ready_behind.pop_front())?;
            // A word of a task that ended in the meantime finds a later generation.
            let Some(slot) = self.slot(id) else { continue };
            slot.queued = false;
            match std::mem::replace(&mut slot.body, Body::Running) {
                Body::Idle(future) => return Some(Turn::Task(id, future)),
                Body::Main => {
                    slot.body = Body::Main;
                    return Some(Turn::Main(id));
                }
                body @ (Body::Free | Body::Running) => slot.body = body,
            }
        }
    }

    /// Ends a turn: the task goes on.
    pub(super) fn put_back(&mut self, id: TaskId, future: Boxed) {
        let slot = self
            .slot(id)
            .expect("invariant: a running task keeps its slot");
        slot.body = Body::Idle(future);
    }

    /// Ends a turn: the task has ended.
    pub(super) fn remove(&mut self, id: TaskId) {
        let slot = self
            .slot(id)
            .expect("invariant: a running task keeps its slot");
        slot.generation = next_generation(slot.generation);
        slot.queued = false;
        slot.body = Body::Free;
        self.free.push(id.slot());
        self.live -= 1;
    }

    /// Any task that is left: for a shard that ends. The caller drops the future.
    pub(super) fn take_any(&mut self) -> Option<Boxed> {
        let is_idle = |slot: &Slot| matches!(slot.body, Body::Idle(_));
        // From the end, so that the search stays short while the table is emptied.
        while self.slots.last().is_some_and(|slot| !is_idle(slot)) {
            let generation = self.slots.pop().map_or(0, |slot| slot.generation);
            self.first_generation = self.first_generation.max(generation);
        }
        let slot = self.slots.last_mut()?;
        match std::mem::replace(&mut slot.body, Body::Free) {
            Body::Idle(future) => {
                self.live -= 1;
                Some(future)
            }
            _ => None,
        }
    }

    /// The highest generation that any slot has had; for a shard that has ended.
    pub(super) fn last_generation(&self) -> u32 {
        self.slots
            .iter()
            .map(|slot| slot.generation)
            .fold(self.first_generation, u32::max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Tasks {
        Tasks::new(3, 1)
    }

    fn insert(tasks: &mut Tasks) {
        assert!(tasks.insert(Box::pin(async {}), false).is_ok());
    }

    fn next(tasks: &mut Tasks) -> Option<(TaskId, Boxed)> {
        match tasks.next()? {
            Turn::Task(id, future) => Some((id, future)),
            Turn::Main(_) => panic!("no main here"),
        }
    }

    #[test]
    fn a_task_is_queued_once_however_often_it_is_woken() {
        let mut tasks = table();
        insert(&mut tasks);
        let (id, future) = next(&mut tasks).unwrap();
        tasks.put_back(id, future);
        for _ in 0..5 {
            tasks.wake(id);
        }
        assert_eq!(tasks.ready(), 1);
    }

    #[test]
    fn a_wake_up_during_the_poll_is_kept() {
        let mut tasks = table();
        insert(&mut tasks);
        let (id, future) = next(&mut tasks).unwrap();
        tasks.wake(id);
        tasks.put_back(id, future);
        assert_eq!(next(&mut tasks).unwrap().0, id);
    }

    #[test]
    fn those_behind_are_polled_last_and_few_at_a_time() {
        let mut tasks = table();
        for _ in 0..100 {
            assert!(tasks.insert(Box::pin(async {}), true).is_ok());
        }
        insert(&mut tasks);
        assert_eq!(
            (tasks.ready(), tasks.for_a_turn()),
            (101, 1 + BEHIND_PER_TURN)
        );
        let slots: Vec<u32> = (0..3)
            .map(|_| {
                let (id, future) = next(&mut tasks).unwrap();
                tasks.come_forward(id);
                tasks.put_back(id, future);
                tasks.wake(id);
                id.slot()
            })
            .collect();
        assert_eq!(
            slots,
            [100, 100, 100],
            "whoever is ready again isn't behind"
        );
    }

    #[test]
    fn a_choice_may_fall_on_anybody() {
        let mut tasks = table();
        insert(&mut tasks);
        for _ in 0..2 {
            assert!(tasks.insert(Box::pin(async {}), true).is_ok());
        }
        tasks.bring_forward(2);
        assert_eq!(next(&mut tasks).unwrap().0.slot(), 2);
        tasks.bring_forward(0);
        assert_eq!(next(&mut tasks).unwrap().0.slot(), 0);
        assert_eq!(next(&mut tasks).unwrap().0.slot(), 1);
    }

    #[test]
    fn the_word_of_an_ended_task_is_nobodys() {
        let mut tasks = table();
        insert(&mut tasks);
        let (id, _future) = next(&mut tasks).unwrap();
        tasks.wake(id);
        tasks.remove(id);
        insert(&mut tasks);
        let (later, future) = next(&mut tasks).unwrap();
        assert_eq!(later.slot(), id.slot());
        assert_ne!(later, id);
        tasks.put_back(later, future);
        tasks.wake(id);
        assert_eq!(tasks.ready(), 0);
        assert_eq!(tasks.len(), 1);
    }

    #[test]
    fn an_emptied_table_knows_its_highest_generation() {
        let mut tasks = table();
        for _ in 0..10 {
            insert(&mut tasks);
            let (id, _future) = next(&mut tasks).unwrap();
            tasks.remove(id);
        }
        insert(&mut tasks);
        insert(&mut tasks);
        while tasks.take_any().is_some() {}
        assert_eq!(tasks.len(), 0);
        assert!(tasks.last_generation() >= 11);
    }
}

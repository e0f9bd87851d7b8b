//! The shard's tasks: a slab of futures and the queue of those that are ready.
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
    live: usize,
}

struct Slot {
    generation: u32,
    /// The task is in the ready queue.
    queued: bool,
    body: Body,
}

enum Body {
    Free,
    Idle(Boxed),
    /// Out of the table, being polled.
    Running,
    Main,
}

impl Tasks {
    pub(super) fn new(shard: u16, first_generation: u32) -> Self {
        Self {
            shard,
            first_generation,
            slots: Vec::new(),
            free: Vec::new(),
            ready: VecDeque::new(),
            live: 0,
        }
    }

    /// Tasks that have not ended, the main one apart.
    pub(super) fn len(&self) -> usize {
        self.live
    }

    pub(super) fn ready(&self) -> usize {
        self.ready.len()
    }

    /// Puts one of the ready tasks before the others: a simulation's choice.
    pub(super) fn bring_forward(&mut self, index: usize) {
        if index < self.ready.len() {
            self.ready.swap(0, index);
        }
    }

    /// Adds a task, ready to be polled. The future comes back if the table is full.
    pub(super) fn insert(&mut self, future: Boxed) -> Result<(), Boxed> {
        let Some(slot) = self.take_slot() else {
            return Err(future);
        };
        self.live += 1;
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
            self.ready.push_back(id);
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
            let id = self.ready.pop_front()?;
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
        assert!(tasks.insert(Box::pin(async {})).is_ok());
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

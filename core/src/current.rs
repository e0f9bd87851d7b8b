//! A value that one thread replaces and others read, without a lock and without a message: each
//! new value is hung behind the last one, once, and a reader walks to the end of the chain. What
//! every reader has walked past is freed.

use std::cell::RefCell;
use std::sync::{Arc, OnceLock};

/// A value, and its successor once there is one.
#[derive(Debug)]
struct Link<T> {
    value: T,
    next: OnceLock<Arc<Self>>,
}

fn link<T>(value: T) -> Arc<Link<T>> {
    Arc::new(Link {
        value,
        next: OnceLock::new(),
    })
}

/// Replaces the value. There is one.
#[derive(Debug)]
pub struct Writer<T> {
    last: Arc<Link<T>>,
}

/// Reads it. Each thread has one of its own.
#[derive(Debug)]
pub struct Reader<T> {
    last: RefCell<Arc<Link<T>>>,
}

impl<T: Clone> Writer<T> {
    /// With a first value.
    pub fn new(value: T) -> Self {
        Self { last: link(value) }
    }

    /// A reader, for any thread.
    #[must_use]
    pub fn reader(&self) -> Reader<T> {
        Reader {
            last: RefCell::new(Arc::clone(&self.last)),
        }
    }

    /// Replaces it: readers see the new value from their next look on.
    pub fn replace(&mut self, value: T) {
        let new = link(value);
        // Set once: there is one writer, and it stands at the end of the chain.
        let _ = self.last.next.set(Arc::clone(&new));
        self.last = new;
    }
}

impl<T: Clone> Reader<T> {
    /// The value as of now.
    pub fn get(&self) -> T {
        let mut last = self.last.borrow_mut();
        while let Some(next) = last.next.get().map(Arc::clone) {
            *last = next;
        }
        last.value.clone()
    }
}

impl<T> Clone for Reader<T> {
    fn clone(&self) -> Self {
        Self {
            last: RefCell::new(Arc::clone(&self.last.borrow())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readers_see_the_last_value_and_old_ones_are_freed() {
        let first = Arc::new(1);
        let mut writer = Writer::new(Arc::clone(&first));
        let (one, other) = (writer.reader(), writer.reader());
        let late = one.clone();
        for value in 2..=4 {
            writer.replace(Arc::new(value));
        }
        assert_eq!(
            (*one.get(), *other.get(), *writer.reader().get()),
            (4, 4, 4)
        );
        assert_eq!(Arc::strong_count(&first), 2, "one reader hasn't looked");
        assert_eq!(*late.get(), 4);
        assert_eq!(Arc::strong_count(&first), 1);
    }

    #[test]
    fn a_reader_on_another_thread_sees_what_was_replaced_before() {
        let mut writer = Writer::new(0);
        let reader = writer.reader();
        writer.replace(7);
        let seen = std::thread::scope(|scope| scope.spawn(move || reader.get()).join().unwrap());
        assert_eq!(seen, 7);
    }
}

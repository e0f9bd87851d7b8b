//! What the threads of one server are called, where a process runs several: the log says it in each line.
//!
//! A thread has the label of the one that started it.

use std::cell::Cell;

thread_local! {
    static LABEL: Cell<Option<&'static str>> = const { Cell::new(None) };
}

/// The label of this thread; a process that runs one server has none.
#[must_use]
pub fn label() -> Option<&'static str> {
    LABEL.get()
}

/// Labels this thread, and those that it starts from now on.
pub fn set_label(label: Option<&'static str>) {
    LABEL.set(label);
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;
    use crate::rt::{Pool, ShardConfig, block_on, start_shard};

    #[test]
    fn threads_have_the_label_of_who_started_them() {
        set_label(Some("backend1"));
        let pool = Pool::new("disk", 1, 1).unwrap();
        let (tell, told) = mpsc::channel();
        let shard = start_shard(ShardConfig::default(), move || async move {
            let own = Pool::new("hash", 1, 1).unwrap();
            tell.send((label(), own.run(label).await.unwrap())).unwrap();
        });
        set_label(None);
        assert_eq!(told.recv().unwrap(), (Some("backend1"), Some("backend1")));
        shard.unwrap().join().unwrap();
        assert_eq!(
            block_on(ShardConfig::default(), pool.run(label))
                .unwrap()
                .unwrap(),
            Some("backend1")
        );
        assert_eq!(label(), None);
    }
}

//! Waiting for the first of two things, and giving way to others.
//!
//! [`Select`] is written out because an async function keeps its arguments twice, once as they were
//! given and once pinned: a session waits inside several of them, and would double with each.

use std::{
    future::poll_fn,
    pin::Pin,
    task::{Context, Poll},
};

use super::shard;

/// Which of two futures was done first.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Either<A, B> {
    /// The first one.
    Left(A),
    /// The second one.
    Right(B),
}

/// Waits for whichever is done first and drops the other. `first` is polled first, and wins a tie.
pub fn select<A: Future, B: Future>(first: A, second: B) -> Select<A, B> {
    Select { first, second }
}

/// What [`select`] gives.
#[derive(Debug)]
#[must_use = "it does nothing unless awaited"]
pub struct Select<A, B> {
    first: A,
    second: B,
}

impl<A: Future, B: Future> Future for Select<A, B> {
    type Output = Either<A::Output, B::Output>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        // SAFETY: both fields are pinned with the whole. Nothing moves out of them: they are
        // private, this is the only place that reaches them, there is no `Drop`, and `Select` is
        // `Unpin` only where both are.
        let (first, second) = unsafe {
            let this = self.get_unchecked_mut();
            (
                Pin::new_unchecked(&mut this.first),
                Pin::new_unchecked(&mut this.second),
            )
        };
        match first.poll(context) {
            Poll::Ready(output) => Poll::Ready(Either::Left(output)),
            Poll::Pending => second.poll(context).map(Either::Right),
        }
    }
}

/// Waits for all of them; gives what they gave, in their order. Each is polled whenever one has
/// something to do: it is made for a few.
pub async fn join_all<T>(futures: Vec<Pin<Box<dyn Future<Output = T> + '_>>>) -> Vec<T> {
    let mut futures: Vec<_> = futures.into_iter().map(Some).collect();
    let mut outputs: Vec<Option<T>> = futures.iter().map(|_| None).collect();
    poll_fn(|context| {
        for (future, output) in futures.iter_mut().zip(&mut outputs) {
            if let Some(running) = future
                && let Poll::Ready(done) = running.as_mut().poll(context)
            {
                *output = Some(done);
                *future = None;
            }
        }
        if futures.iter().all(Option::is_none) {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    })
    .await;
    outputs.into_iter().flatten().collect()
}

/// Lets every other ready task have its turn first.
pub async fn yield_now() {
    let mut given_way = false;
    poll_fn(|context| {
        if given_way {
            return Poll::Ready(());
        }
        given_way = true;
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// Goes on if the running task may do another system call in this poll, and gives way if not: a
/// peer that always has bytes ready must not keep the shard for itself.
pub async fn allowance() {
    poll_fn(|context| {
        if shard::with(|shard| shard.spend(1)) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

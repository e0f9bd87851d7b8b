//! Waiting for the first of two things, and giving way to others.

use std::{future::poll_fn, pin::pin, task::Poll};

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
pub async fn select<A: Future, B: Future>(first: A, second: B) -> Either<A::Output, B::Output> {
    let mut first = pin!(first);
    let mut second = pin!(second);
    poll_fn(|context| {
        if let Poll::Ready(output) = first.as_mut().poll(context) {
            return Poll::Ready(Either::Left(output));
        }
        second.as_mut().poll(context).map(Either::Right)
    })
    .await
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

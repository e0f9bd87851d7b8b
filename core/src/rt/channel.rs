//! Messages to a task, from any thread: bounded channels and oneshots.
//!
//! A message goes into a lock-free queue; then the receiving task's word is taken out of its
//! `WakeCell` and woken. No lock, and nothing but the message is ever waited for.

use std::{
    error, fmt,
    future::poll_fn,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    task::{Context, Poll},
};

use crossbeam_queue::ArrayQueue;

use super::waker::WakeCell;

struct Shared<T> {
    messages: ArrayQueue<T>,
    receiver: WakeCell,
    senders: AtomicUsize,
    closed: AtomicBool,
}

/// A channel that holds at most `capacity` messages (at least one).
#[must_use]
pub fn channel<T: Send>(capacity: usize) -> (Sender<T>, Receiver<T>) {
    let shared = Arc::new(Shared {
        messages: ArrayQueue::new(capacity.max(1)),
        receiver: WakeCell::default(),
        senders: AtomicUsize::new(1),
        closed: AtomicBool::new(false),
    });
    (Sender(Arc::clone(&shared)), Receiver(shared))
}

/// The sending end: for any thread, to be cloned at will.
pub struct Sender<T>(Arc<Shared<T>>);

/// Why a message was not taken, with the message.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum SendError<T> {
    /// There is no room.
    Full(T),
    /// The receiver has gone.
    Closed(T),
}

impl<T> fmt::Debug for SendError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full(_) => "Full",
            Self::Closed(_) => "Closed",
        })
    }
}

impl<T> fmt::Display for SendError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full(_) => "the channel is full",
            Self::Closed(_) => "the receiver has gone",
        })
    }
}

impl<T> error::Error for SendError<T> {}

impl<T: Send> Sender<T> {
    /// Sends, without ever waiting.
    ///
    /// # Errors
    /// The message comes back if there is no room or no receiver.
    pub fn try_send(&self, message: T) -> Result<(), SendError<T>> {
        if self.0.closed.load(Ordering::SeqCst) {
            return Err(SendError::Closed(message));
        }
        self.0.messages.push(message).map_err(SendError::Full)?;
        self.0.receiver.wake();
        Ok(())
    }

    /// Whether the receiver has gone.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.0.closed.load(Ordering::SeqCst)
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        self.0.senders.fetch_add(1, Ordering::SeqCst);
        Self(Arc::clone(&self.0))
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        if self.0.senders.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.0.receiver.wake();
        }
    }
}

impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sender")
    }
}

/// The receiving end: for one task at a time.
pub struct Receiver<T>(Arc<Shared<T>>);

impl<T: Send> Receiver<T> {
    /// The next message; None when all senders have gone and nothing is left. Dropping the future
    /// loses no message.
    pub async fn recv(&mut self) -> Option<T> {
        poll_fn(|context| self.poll_recv(context)).await
    }

    /// The next message, if it is there already.
    pub fn try_recv(&mut self) -> Option<T> {
        self.0.messages.pop()
    }

    /// As [`Self::recv`], for a future that is written out.
    pub fn poll_recv(&mut self, context: &Context<'_>) -> Poll<Option<T>> {
        if let Some(message) = self.0.messages.pop() {
            return Poll::Ready(Some(message));
        }
        self.0.receiver.register(context.waker());
        // Whoever sends, or goes, from here on finds the task's word. Those before are seen now:
        // first whether senders are left, then the messages, for the last one may have sent one
        // just before it went.
        let last_look = self.0.senders.load(Ordering::SeqCst) == 0;
        match self.0.messages.pop() {
            Some(message) => Poll::Ready(Some(message)),
            None if last_look => Poll::Ready(None),
            None => Poll::Pending,
        }
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        self.0.closed.store(true, Ordering::SeqCst);
        // A message that slips in behind this goes with the last sender.
        while self.0.messages.pop().is_some() {}
    }
}

impl<T> fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Receiver")
    }
}

/// A channel for a single message.
pub fn oneshot<T: Send>() -> (OneSender<T>, OneReceiver<T>) {
    let (sender, receiver) = channel(1);
    (OneSender(sender), OneReceiver(receiver))
}

/// Sends one message, from any thread.
#[derive(Debug)]
pub struct OneSender<T>(Sender<T>);

impl<T: Send> OneSender<T> {
    /// Sends it.
    ///
    /// # Errors
    /// The message comes back if the receiver has gone.
    pub fn send(self, message: T) -> Result<(), T> {
        self.0.try_send(message).map_err(|error| match error {
            SendError::Full(message) | SendError::Closed(message) => message,
        })
    }

    /// Whether nobody waits for the message any more.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.0.is_closed()
    }
}

/// The sender has gone and has sent nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Closed;

impl fmt::Display for Closed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the sender has gone")
    }
}

impl error::Error for Closed {}

/// Waits for one message: a future.
#[derive(Debug)]
#[must_use = "a future does nothing unless it is awaited"]
pub struct OneReceiver<T>(Receiver<T>);

impl<T: Send> Future for OneReceiver<T> {
    type Output = Result<T, Closed>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        self.0
            .poll_recv(context)
            .map(|message| message.ok_or(Closed))
    }
}

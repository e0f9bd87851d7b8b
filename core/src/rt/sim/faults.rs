//! What can go wrong in a world, and how often.

/// What the world does wrong on purpose.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Fault {
    /// Bytes, or a connection, take long to arrive.
    Delay,
    /// A read gives less than there is.
    ShortRead,
    /// A write takes less than there is room for.
    ShortWrite,
    /// A write finds no room: rates above zero make small buffers.
    FullBuffer,
    /// A connection is reset.
    Reset,
    /// A connection is closed from outside, with what was under way lost.
    Closed,
    /// A connection falls silent: nothing arrives any more, and nobody is told.
    Silence,
    /// A connection is refused.
    Refused,
    /// A connection is neither made nor refused.
    ConnectHangs,
    /// accept(2) finds no descriptor.
    AcceptFails,
    /// The kernel refuses a pipe.
    PipeRefused,
    /// The ring is full.
    RingFull,
    /// A poll completes, and there is nothing.
    Spurious,
    /// A signal interrupts a call.
    Interrupted,
    /// A pool's job takes long.
    JobSlow,
    /// A pool's queue is full.
    JobRefused,
}

impl Fault {
    /// All of them.
    pub const ALL: [Self; 16] = [
        Self::Delay,
        Self::ShortRead,
        Self::ShortWrite,
        Self::FullBuffer,
        Self::Reset,
        Self::Closed,
        Self::Silence,
        Self::Refused,
        Self::ConnectHangs,
        Self::AcceptFails,
        Self::PipeRefused,
        Self::RingFull,
        Self::Spurious,
        Self::Interrupted,
        Self::JobSlow,
        Self::JobRefused,
    ];

    /// For tables of counts.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Delay => "net: delay",
            Self::ShortRead => "net: short read",
            Self::ShortWrite => "net: short write",
            Self::FullBuffer => "net: full buffer",
            Self::Reset => "net: reset",
            Self::Closed => "net: closed",
            Self::Silence => "net: silence",
            Self::Refused => "net: connect refused",
            Self::ConnectHangs => "net: connect hangs",
            Self::AcceptFails => "net: accept fails",
            Self::PipeRefused => "kernel: pipe refused",
            Self::RingFull => "kernel: ring full",
            Self::Spurious => "kernel: ready for nothing",
            Self::Interrupted => "kernel: interrupted call",
            Self::JobSlow => "pool: slow job",
            Self::JobRefused => "pool: queue full",
        }
    }

    /// Whether it ends a connection, or keeps one from being made.
    #[must_use]
    pub fn is_fatal(self) -> bool {
        matches!(
            self,
            Self::Reset | Self::Closed | Self::Silence | Self::Refused | Self::ConnectHangs
        )
    }
}

/// How often each fault is injected where it could be.
#[derive(Clone, Debug)]
pub struct Faults([u32; Fault::ALL.len()]);

/// A rate of one: always.
pub(super) const ALWAYS: u32 = 10_000;

impl Faults {
    /// No faults at all.
    #[must_use]
    pub fn none() -> Self {
        Self([0; Fault::ALL.len()])
    }

    /// The same with a rate for one of them, in ten thousandths.
    #[must_use]
    pub fn with(mut self, fault: Fault, rate: u32) -> Self {
        self.0[fault as usize] = rate.min(ALWAYS);
        self
    }

    /// The rate of one of them.
    #[must_use]
    pub fn rate(&self, fault: Fault) -> u32 {
        self.0[fault as usize]
    }
}

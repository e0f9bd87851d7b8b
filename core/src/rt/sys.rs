//! The system calls that no safe crate offers, each behind a safe function.
//!
//! Everything here takes borrowed descriptors and slices, so the borrow checker keeps what the
//! kernel is given alive for the length of the call; no call keeps a pointer after it returns.

use std::{
    ffi::CStr,
    io, mem,
    os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd},
    ptr,
    time::Duration,
};

fn check(result: libc::c_int) -> io::Result<libc::c_int> {
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(result)
    }
}

/// A new eventfd that doesn't block.
pub(super) fn eventfd() -> io::Result<OwnedFd> {
    // SAFETY: eventfd takes no pointers.
    let fd = check(unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) })?;
    // SAFETY: the kernel has just given out this descriptor; nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Makes an eventfd readable. A counter at its end is readable already: nothing to report.
pub(super) fn eventfd_signal(event: BorrowedFd<'_>) {
    let one = 1u64.to_ne_bytes();
    // SAFETY: `one` is eight readable bytes that outlive the call.
    unsafe { libc::write(event.as_raw_fd(), one.as_ptr().cast(), one.len()) };
}

/// Sets an eventfd back to zero.
pub(super) fn eventfd_clear(event: BorrowedFd<'_>) {
    let mut count = [0u8; 8];
    // SAFETY: `count` is eight writable bytes that outlive the call.
    unsafe { libc::read(event.as_raw_fd(), count.as_mut_ptr().cast(), count.len()) };
}

/// Turns off a terminal's echo and its interrupting keys; gives how it was.
pub(super) fn terminal_unseen(terminal: BorrowedFd<'_>) -> io::Result<libc::termios> {
    // SAFETY: termios is integers alone, for which all zeros are values.
    let mut was: libc::termios = unsafe { mem::zeroed() };
    // SAFETY: `was` is a termios that outlives the call.
    check(unsafe { libc::tcgetattr(terminal.as_raw_fd(), &raw mut was) })?;
    let mut unseen = was;
    unseen.c_lflag &= !(libc::ECHO | libc::ISIG);
    // SAFETY: `unseen` is a termios that outlives the call.
    check(unsafe { libc::tcsetattr(terminal.as_raw_fd(), libc::TCSAFLUSH, &raw const unseen) })?;
    Ok(was)
}

/// Sets a terminal as it was.
pub(super) fn terminal_again(terminal: BorrowedFd<'_>, to: &libc::termios) -> io::Result<()> {
    // SAFETY: `to` is a termios that outlives the call.
    check(unsafe { libc::tcsetattr(terminal.as_raw_fd(), libc::TCSADRAIN, to) }).map(drop)
}

/// How much has to be there before a socket counts as readable (SO_RCVLOWAT).
pub(super) fn set_low_water(socket: BorrowedFd<'_>, bytes: u32) -> io::Result<()> {
    const LENGTH: libc::socklen_t = 4;
    let value = bytes.to_ne_bytes();
    // SAFETY: `value` is four readable bytes, as long as an int, that outlive the call.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_RCVLOWAT,
            value.as_ptr().cast(),
            LENGTH,
        )
    };
    check(result).map(drop)
}

/// What is free for whoever isn't root, and all there is, of the file system that a path is on: bytes.
pub(super) fn space(path: &CStr) -> io::Result<(u64, u64)> {
    // SAFETY: statvfs is integers alone, for which all zeros are values.
    let mut found: libc::statvfs = unsafe { mem::zeroed() };
    // SAFETY: `path` ends in a NUL, `found` is a statvfs; both outlive the call.
    check(unsafe { libc::statvfs(path.as_ptr(), &raw mut found) })?;
    let bytes = |blocks: libc::fsblkcnt_t| blocks.saturating_mul(found.f_frsize);
    Ok((bytes(found.f_bavail), bytes(found.f_blocks)))
}

/// A new pipe (reading end, writing end) that doesn't block.
pub(super) fn pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    let mut ends = [0; 2];
    // SAFETY: `ends` has room for the two descriptors that pipe2 writes.
    check(unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC | libc::O_NONBLOCK) })?;
    // SAFETY: the kernel has just given out both descriptors; nobody else owns them.
    Ok(unsafe { (OwnedFd::from_raw_fd(ends[0]), OwnedFd::from_raw_fd(ends[1])) })
}

/// Asks for a pipe of `bytes`, and says how much it holds then: what the kernel grants to this
/// user may be less.
pub(super) fn pipe_size(pipe: BorrowedFd<'_>, bytes: usize) -> io::Result<usize> {
    let wanted = libc::c_int::try_from(bytes).unwrap_or(libc::c_int::MAX);
    // SAFETY: F_SETPIPE_SZ and F_GETPIPE_SZ take and give plain integers.
    let granted = unsafe {
        match libc::fcntl(pipe.as_raw_fd(), libc::F_SETPIPE_SZ, wanted) {
            -1 => libc::fcntl(pipe.as_raw_fd(), libc::F_GETPIPE_SZ),
            granted => granted,
        }
    };
    Ok(check(granted)?.unsigned_abs() as usize)
}

/// Moves at most `bytes` from one descriptor to the other, one of which is a pipe.
///
/// SPLICE_F_NONBLOCK covers the pipe only: the other end must be O_NONBLOCK itself, or this call
/// would block the shard.
pub(super) fn splice(from: BorrowedFd<'_>, to: BorrowedFd<'_>, bytes: usize) -> io::Result<usize> {
    let flags = libc::SPLICE_F_NONBLOCK | libc::SPLICE_F_MOVE;
    // SAFETY: null offsets mean "none"; the descriptors are borrowed for the length of the call.
    let moved = unsafe {
        libc::splice(
            from.as_raw_fd(),
            ptr::null_mut(),
            to.as_raw_fd(),
            ptr::null_mut(),
            bytes,
            flags,
        )
    };
    usize::try_from(moved).map_err(|_| io::Error::last_os_error())
}

/// Moves at most `bytes` of a file, from `offset` on, into an empty pipe. Waits for the disk.
pub(super) fn splice_file(
    file: BorrowedFd<'_>,
    offset: u64,
    pipe: BorrowedFd<'_>,
    bytes: usize,
) -> io::Result<usize> {
    let mut offset = i64::try_from(offset).map_err(|_| io::ErrorKind::InvalidInput)?;
    let flags = libc::SPLICE_F_NONBLOCK | libc::SPLICE_F_MOVE;
    // SAFETY: the offset is read and written for the length of the call, as the descriptors are borrowed.
    let moved = unsafe {
        libc::splice(
            file.as_raw_fd(),
            &raw mut offset,
            pipe.as_raw_fd(),
            ptr::null_mut(),
            bytes,
            flags,
        )
    };
    usize::try_from(moved).map_err(|_| io::Error::last_os_error())
}

/// Whether a piece of a file can be read without waiting for the disk: all of its pages are in memory, and the last
/// of them, which is read last, has been read. False where the kernel can't say (before Linux 6.5).
pub(super) fn is_in_memory(file: BorrowedFd<'_>, offset: u64, bytes: usize) -> bool {
    /// The same number on every architecture.
    const SYS_CACHESTAT: libc::c_long = 451;
    let Some(last) = (offset + bytes as u64).checked_sub(1) else {
        return true;
    };
    // struct cachestat_range; and the first words of struct cachestat count pages that are there.
    let (range, mut found) = ([offset, bytes as u64], [0_u64; 5]);
    // SAFETY: the kernel reads two words and writes five, which live for the length of the call.
    let answered = unsafe {
        libc::syscall(
            SYS_CACHESTAT,
            file.as_raw_fd(),
            range.as_ptr(),
            found.as_mut_ptr(),
            0,
        )
    };
    // SAFETY: it only asks for a number.
    let page = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    let page = u64::try_from(page).unwrap_or(4096);
    if answered != 0 || found[0] < last / page - offset / page + 1 {
        return false;
    }
    let (mut byte, last) = ([0_u8], libc::off_t::try_from(last).unwrap_or(0));
    let into = libc::iovec {
        iov_base: byte.as_mut_ptr().cast(),
        iov_len: 1,
    };
    // SAFETY: one byte is written to where the vector says, within the length of the call.
    let read =
        unsafe { libc::preadv2(file.as_raw_fd(), &raw const into, 1, last, libc::RWF_NOWAIT) };
    read == 1
}

/// Leaves a file on the disk alone.
#[cfg(test)]
pub(super) fn forget_cached(file: BorrowedFd<'_>) {
    // SAFETY: an advice; nothing is written.
    unsafe { libc::posix_fadvise(file.as_raw_fd(), 0, 0, libc::POSIX_FADV_DONTNEED) };
}

/// The CPUs that this thread may run on.
pub(super) fn affinity() -> io::Result<Vec<usize>> {
    // SAFETY: cpu_set_t is a plain array of integers, for which all zeroes is a value.
    let mut set: libc::cpu_set_t = unsafe { mem::zeroed() };
    // SAFETY: `set` is writable and of the size that is told.
    check(unsafe { libc::sched_getaffinity(0, size_of::<libc::cpu_set_t>(), &raw mut set) })?;
    let cpus = 0..libc::CPU_SETSIZE.unsigned_abs() as usize;
    // SAFETY: CPU_ISSET reads inside `set` for every number below CPU_SETSIZE.
    Ok(cpus
        .filter(|&cpu| unsafe { libc::CPU_ISSET(cpu, &set) })
        .collect())
}

/// Binds this thread to one CPU.
pub(super) fn pin(cpu: usize) -> io::Result<()> {
    if cpu >= libc::CPU_SETSIZE.unsigned_abs() as usize {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    // SAFETY: cpu_set_t is a plain array of integers, for which all zeroes is a value.
    let mut set: libc::cpu_set_t = unsafe { mem::zeroed() };
    // SAFETY: `cpu` is below CPU_SETSIZE, so CPU_SET writes inside `set`.
    unsafe { libc::CPU_SET(cpu, &mut set) };
    // SAFETY: `set` is readable and of the size that is told.
    check(unsafe { libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &raw const set) })?;
    Ok(())
}

/// Makes this thread one that computes behind the others of the process: a tenth of their weight (ten
/// steps nicer), it preempts nobody when it wakes (SCHED_BATCH), and whoever wakes waits for it no
/// longer than [`BEHIND_SLICE_NS`], where the kernel would let it finish 3 ms (Linux 6.12 and later heed
/// the slice). For the calling thread alone; stepping back is always allowed, and were it not,
/// nothing would be wrong but the order.
pub(super) fn step_back() {
    let size = size_of::<libc::sched_attr>();
    // SAFETY: nice takes no pointers.
    let sched_nice = unsafe { libc::nice(10) };
    let attributes = libc::sched_attr {
        size: u32::try_from(size).expect("invariant: a small structure"),
        sched_policy: libc::SCHED_BATCH as u32,
        sched_flags: 0,
        sched_nice,
        sched_priority: 0,
        sched_runtime: BEHIND_SLICE_NS,
        sched_deadline: 0,
        sched_period: 0,
    };
    // SAFETY: the kernel reads `size` bytes of attributes, which live until the call is over.
    unsafe { libc::syscall(libc::SYS_sched_setattr, 0, &raw const attributes, 0) };
}

/// The least that the kernel takes.
const BEHIND_SLICE_NS: u64 = 100_000;

/// A resource limit of this process.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limit {
    pub(super) soft: u64,
    pub(super) hard: u64,
}

/// Which limit.
#[derive(Clone, Copy)]
pub(super) enum Resource {
    /// Open descriptors.
    Descriptors,
    /// Bytes of locked memory.
    LockedMemory,
}

impl Resource {
    fn number(self) -> libc::__rlimit_resource_t {
        match self {
            Self::Descriptors => libc::RLIMIT_NOFILE,
            Self::LockedMemory => libc::RLIMIT_MEMLOCK,
        }
    }
}

/// What a limit is set to.
pub(super) fn limit(resource: Resource) -> io::Result<Limit> {
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: `limit` is writable and of the type that the call fills in.
    check(unsafe { libc::getrlimit(resource.number(), &raw mut limit) })?;
    Ok(Limit {
        soft: limit.rlim_cur,
        hard: limit.rlim_max,
    })
}

/// Sets a limit.
pub(super) fn set_limit(resource: Resource, to: Limit) -> io::Result<()> {
    let limit = libc::rlimit {
        rlim_cur: to.soft,
        rlim_max: to.hard,
    };
    // SAFETY: `limit` is readable and of the type that the call reads.
    check(unsafe { libc::setrlimit(resource.number(), &raw const limit) })?;
    Ok(())
}

fn signal_set(signals: &[libc::c_int]) -> libc::sigset_t {
    // SAFETY: sigset_t is a plain array of integers, for which all zeroes is a value.
    let mut set: libc::sigset_t = unsafe { mem::zeroed() };
    // SAFETY: `set` is writable; the numbers are libc's own signal numbers.
    unsafe {
        libc::sigemptyset(&raw mut set);
        for &signal in signals {
            libc::sigaddset(&raw mut set, signal);
        }
    }
    set
}

/// Blocks signals for this thread and those that it starts from now on.
pub(super) fn block_signals(signals: &[libc::c_int]) {
    let set = signal_set(signals);
    // SAFETY: `set` is readable for the length of the call; the old mask isn't asked for.
    unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, &raw const set, ptr::null_mut()) };
}

/// Makes the kernel forget about a signal.
pub(super) fn ignore_signal(signal: libc::c_int) {
    // SAFETY: SIG_IGN installs no handler, so no code of ours runs in signal context.
    unsafe { libc::signal(signal, libc::SIG_IGN) };
}

/// Waits for one of the signals, which must be blocked, for `within` at most.
pub(super) fn wait_signal(signals: &[libc::c_int], within: Duration) -> io::Result<libc::c_int> {
    let set = signal_set(signals);
    let time = libc::timespec {
        tv_sec: libc::time_t::try_from(within.as_secs()).unwrap_or(libc::time_t::MAX),
        tv_nsec: within.subsec_nanos().into(),
    };
    // SAFETY: `set` and `time` are readable for the length of the call; the signal's details
    // aren't asked for.
    check(unsafe { libc::sigtimedwait(&raw const set, ptr::null_mut(), &raw const time) })
}

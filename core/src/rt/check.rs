//! What the host must allow, looked at before anything is started, and errors that say what is
//! set, what is needed and how to set it.

use std::{error, fmt, fs, io};

use super::{
    ShardConfig,
    ring::Ring,
    sys::{self, Limit, Resource},
};

/// Why a shard can't start.
#[derive(Debug)]
pub enum StartError {
    /// The kernel refuses io_uring: kernel.io_uring_disabled, or a system call filter.
    Forbidden {
        /// What /proc/sys/kernel/io_uring_disabled says.
        sysctl: Option<u32>,
        /// What the kernel said.
        error: io::Error,
    },
    /// The ring finds no memory within the limit of locked memory.
    LockedMemory {
        /// The limit in bytes.
        set: Option<u64>,
        /// What the kernel said.
        error: io::Error,
    },
    /// The kernel's io_uring is too old.
    TooOld,
    /// The ring can't be set up for another reason.
    Ring(io::Error),
    /// Too few descriptors may be open.
    Descriptors {
        /// The hard limit.
        set: u64,
        /// How many the configuration asks for.
        needed: u64,
    },
    /// The thread can't be bound to its CPU.
    Cpu {
        /// The CPU.
        cpu: usize,
        /// What the kernel said.
        error: io::Error,
    },
    /// The thread can't be started.
    Thread(io::Error),
}

impl StartError {
    /// What the failure to make a ring means.
    pub(super) fn ring(error: io::Error) -> Self {
        match error.raw_os_error() {
            Some(libc::EPERM | libc::ENOSYS | libc::EACCES) => Self::Forbidden {
                sysctl: read_number("/proc/sys/kernel/io_uring_disabled"),
                error,
            },
            Some(libc::ENOMEM) => Self::LockedMemory {
                set: sys::limit(Resource::LockedMemory)
                    .ok()
                    .map(|limit| limit.soft),
                error,
            },
            Some(libc::EMFILE | libc::ENFILE) => {
                let set = sys::limit(Resource::Descriptors).map_or(0, |limit| limit.soft);
                Self::Descriptors {
                    set,
                    needed: set.saturating_add(1),
                }
            }
            None if error.kind() == io::ErrorKind::Unsupported => Self::TooOld,
            _ => Self::Ring(error),
        }
    }
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Forbidden {
                sysctl: Some(level @ 1..),
                error,
            } => write!(
                f,
                "the kernel forbids io_uring ({error}): kernel.io_uring_disabled is {level}, 0 is \
                 needed: sysctl -w kernel.io_uring_disabled=0, and the same line in /etc/sysctl.d{}",
                if *level == 1 {
                    " (or run in the group of kernel.io_uring_group)"
                } else {
                    ""
                }
            ),
            Self::Forbidden { error, .. } => write!(
                f,
                "io_uring is forbidden here ({error}): kernel.io_uring_disabled is not the reason, \
                 so a system call filter is. It must let io_uring_setup and io_uring_enter pass: \
                 systemd: SystemCallFilter=@io-uring; containers: a seccomp profile that allows \
                 them (Docker: --security-opt seccomp=FILE)"
            ),
            Self::LockedMemory { set, error } => write!(
                f,
                "no memory for an io_uring ({error}): at most {} of memory may be locked by this \
                 user, a shard's ring takes about 40 KiB, 8 MiB are ample: systemd: LimitMEMLOCK=8M; shells: ulimit -l 8192; \
                 permanently: memlock in /etc/security/limits.conf",
                set.map_or_else(|| "an unknown amount".into(), bytes)
            ),
            Self::TooOld => f.write_str(
                "this kernel's io_uring is too old: Linux 5.11 is needed, 6.1 or later is better",
            ),
            Self::Ring(error) => write!(f, "an io_uring can't be set up: {error}"),
            Self::Descriptors { set, needed } => write!(
                f,
                "at most {set} descriptors may be open, {needed} are needed: systemd: \
                 LimitNOFILE={needed}; shells: ulimit -Hn {needed}; permanently: nofile in \
                 /etc/security/limits.conf; or configure fewer connections"
            ),
            Self::Cpu { cpu, error } => write!(
                f,
                "a thread can't be bound to CPU {cpu} ({error}): the CPUs allowed here are {:?}; \
                 systemd: AllowedCPUs= and CPUAffinity=; shells: taskset",
                super::cpus()
            ),
            Self::Thread(error) => write!(
                f,
                "a thread can't be started ({error}): see ulimit -u and systemd's TasksMax="
            ),
        }
    }
}

impl error::Error for StartError {}

/// What was found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Report {
    /// How many descriptors may be open now.
    pub descriptors: u64,
    /// Bytes of memory that may be locked.
    pub locked_memory: u64,
    /// Pages that an unprivileged user's pipes may hold; None if there is no limit.
    pub pipe_pages: Option<u64>,
    /// What works, but not as well as it could, and how to change it.
    pub advice: Vec<String>,
}

/// Looks whether the host allows so many shards and descriptors, and raises the soft limit of
/// descriptors as far as it goes.
///
/// # Errors
/// What is not allowed.
pub fn host(shards: usize, descriptors_needed: u64) -> Result<Report, StartError> {
    let config = ShardConfig::default();
    try_rings(shards, config.ring_entries)?;
    let descriptors = raise_descriptors(descriptors_needed)?;
    let locked_memory = sys::limit(Resource::LockedMemory).map_or(u64::MAX, |limit| limit.soft);
    // Zero means: no limit.
    let pipe_pages = read_number("/proc/sys/fs/pipe-user-pages-soft").filter(|&pages| pages > 0);
    let advice = pipe_pages.and_then(|pages| pipe_advice(shards, pages, &config));
    Ok(Report {
        descriptors,
        locked_memory,
        pipe_pages,
        advice: advice.into_iter().collect(),
    })
}

/// As many rings at once as there will be: memory is accounted for all of them together.
fn try_rings(count: usize, entries: u32) -> Result<(), StartError> {
    let rings: io::Result<Vec<_>> = (0..count.max(1)).map(|_| Ring::new(entries)).collect();
    rings.map(drop).map_err(StartError::ring)
}

fn raise_descriptors(needed: u64) -> Result<u64, StartError> {
    let limit = sys::limit(Resource::Descriptors).map_err(StartError::Ring)?;
    let raised = Limit {
        soft: limit.hard,
        hard: limit.hard,
    };
    let soft = match sys::set_limit(Resource::Descriptors, raised) {
        Ok(()) => raised.soft,
        Err(_) => limit.soft,
    };
    if soft < needed {
        return Err(StartError::Descriptors { set: soft, needed });
    }
    Ok(soft)
}

fn pipe_advice(shards: usize, pages: u64, config: &ShardConfig) -> Option<String> {
    let needed = (shards * config.pipes_max * config.pipe_size / PAGE_BYTES) as u64;
    (needed > pages).then(|| {
        format!(
            "fs.pipe-user-pages-soft is {pages}, {needed} are needed for every pipe to be of full \
             size where this does not run as root; relays without a pipe copy: sysctl -w \
             fs.pipe-user-pages-soft={needed}, and the same line in /etc/sysctl.d"
        )
    })
}

/// The smallest page there is; larger ones make for fewer of them.
const PAGE_BYTES: usize = 4096;

fn read_number<T: std::str::FromStr>(path: &str) -> Option<T> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

fn bytes(count: u64) -> String {
    match count {
        u64::MAX => "any amount".into(),
        count if count % 1024 == 0 => format!("{} KiB", count / 1024),
        count => format!("{count} bytes"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn os(code: i32) -> io::Error {
        io::Error::from_raw_os_error(code)
    }

    #[test]
    fn a_host_that_runs_the_tests_is_good_enough() {
        let report = host(2, 100).unwrap();
        assert!(report.descriptors >= 100);
    }

    #[test]
    fn too_many_descriptors_are_refused_with_the_way_out() {
        let error = host(1, u64::MAX - 1).unwrap_err().to_string();
        assert!(
            error.contains("LimitNOFILE=18446744073709551614"),
            "{error}"
        );
    }

    #[test]
    fn every_error_says_what_to_set() {
        let sysctl = StartError::Forbidden {
            sysctl: Some(2),
            error: os(libc::EPERM),
        };
        assert!(
            sysctl
                .to_string()
                .contains("io_uring_disabled is 2, 0 is needed"),
            "{sysctl}"
        );
        let filter = StartError::Forbidden {
            sysctl: Some(0),
            error: os(libc::ENOSYS),
        };
        assert!(
            filter.to_string().contains("SystemCallFilter=@io-uring"),
            "{filter}"
        );
        let memory = StartError::LockedMemory {
            set: Some(65536),
            error: os(libc::ENOMEM),
        };
        assert!(memory.to_string().contains("at most 64 KiB"), "{memory}");
        assert!(memory.to_string().contains("LimitMEMLOCK="), "{memory}");
    }

    #[test]
    fn errors_of_the_kernel_are_told_apart() {
        assert!(matches!(
            StartError::ring(os(libc::EPERM)),
            StartError::Forbidden { .. }
        ));
        assert!(matches!(
            StartError::ring(os(libc::ENOMEM)),
            StartError::LockedMemory { .. }
        ));
        assert!(matches!(
            StartError::ring(os(libc::EMFILE)),
            StartError::Descriptors { .. }
        ));
        assert!(matches!(
            StartError::ring(os(libc::EFAULT)),
            StartError::Ring(_)
        ));
        let unsupported = io::ErrorKind::Unsupported.into();
        assert!(matches!(StartError::ring(unsupported), StartError::TooOld));
    }

    #[test]
    fn few_pipe_pages_give_advice() {
        let config = ShardConfig::default();
        assert!(pipe_advice(1, 16384, &config).is_none());
        let advice = pipe_advice(8, 16384, &config).unwrap();
        assert!(advice.contains("fs.pipe-user-pages-soft=32768"), "{advice}");
    }
}

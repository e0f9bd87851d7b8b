//! Every limit of the system that is not a setting, in one place; the unit is the last word.
//!
//! Rule 4 of the design: every wait has a deadline, every queue and buffer a limit, and past it
//! stands a clear answer. What a site may want to change is a key of the configuration
//! (`[limits]`); its default and its bounds are here too.

use std::time::Duration;

const KIB: u64 = 1024;
const MIB: u64 = 1024 * KIB;
const GIB: u64 = 1024 * MIB;

// --- what a client sends -------------------------------------------------------------------

/// A command line of a client, its CRLF and literal marker included. RFC 9051 section 4 wants no
/// bound, clients send UID sets of many kilobytes; 64 KiB is what other servers take.
pub const LINE_BYTES_MAX: usize = 64 * 1024;

/// A whole command with the literals that stand in its arguments (never APPEND's message, which
/// is relayed, not gathered).
pub const COMMAND_BYTES_MAX: usize = 256 * 1024;

/// A command before login: nobody knows yet who fills our memory. A name and a password fit, and
/// a SASL response.
pub const LOGIN_COMMAND_BYTES_MAX: usize = 16 * 1024;

/// A URL in a literal (CATENATE): what a line may have.
pub const URL_BYTES_MAX: u64 = LINE_BYTES_MAX as u64;

/// What is read and dropped of one command that can't be taken, before the connection is given up.
pub const DISCARD_BYTES_MAX: u64 = 64 * MIB;

/// The least a site may set for a line: RFC 2683 section 3.2.1.5 asks servers to take 8000.
pub const LINE_BYTES_LEAST: u64 = 8 * KIB;

/// The most a site may set for a line or a command: each session may hold one.
pub const COMMAND_BYTES_MOST: u64 = 16 * MIB;

/// Bad commands in a row before the connection ends with BYE: enough for a person's typing, few
/// enough for a client that is out of step or speaks another protocol.
pub const BAD_COMMANDS_MAX: u32 = 10;

/// A command line of LMTP: RFC 5321 section 4.5.3.1.4 asks for 512 bytes and what extensions add, RFC 4954 section 4 for
/// 12288 of AUTH.
pub const LMTP_LINE_BYTES_MAX: usize = 16 * 1024;

/// Recipients of one message; the next is told 452, and the client sends the message again for the rest. RFC 5321 section
/// 4.5.3.1.8 asks for 100.
pub const RECIPIENTS_MAX: usize = 1000;

// --- names and passwords -------------------------------------------------------------------

/// A password. Hashes take any length; this bounds the work a stranger can ask for.
pub const PASSWORD_BYTES_MAX: usize = 1024;

/// The passwd file: ten million users of a PLAIN line, or some millions of hashes.
pub const PASSWD_FILE_BYTES_MAX: u64 = GIB;

/// A file with one password in it.
pub const PASSWORD_FILE_BYTES_MAX: u64 = 4 * KIB;

/// A PEM file: what systems trust fits into some hundred KiB.
pub const PEM_FILE_BYTES_MAX: u64 = 4 * MIB;

/// Certificates beside the first one, and names of one.
pub const CERTIFICATES_MAX: usize = 1000;

/// The configuration file.
pub const CONFIG_FILE_BYTES_MAX: u64 = MIB;

/// Memory one ARGON2ID verification may take. OWASP's profiles stay below 64 MiB; more would let
/// a few logins at once take the host's memory.
pub const ARGON2_KIB_MAX: u32 = 256 * 1024;

/// Passes of one ARGON2ID verification: a line that would take minutes is a mistake.
pub const ARGON2_PASSES_MAX: u32 = 64;

/// Rounds of a SHA512-CRYPT hash: the default is 5000; this takes about a second.
pub const SHA512_CRYPT_ROUNDS_MAX: u32 = 1_000_000;

/// Threads that hash passwords, at most; half the CPUs where those are fewer.
pub const HASH_THREADS_MAX: usize = 16;

/// Logins that may wait for a hashing thread. At 20 ms each the last of them waits about ten
/// seconds on two threads; one more is told `NO [UNAVAILABLE]`.
pub const HASH_QUEUE_MAX: usize = 1024;

/// Threads that do the cryptography of TLS handshakes, at most; one a CPU where those are fewer.
pub const HANDSHAKE_THREADS_MAX: usize = 16;

/// Handshakes that may wait for such a thread. At 1 ms each (RSA 2048) the last of them waits four
/// seconds on one thread; one more is closed.
pub const HANDSHAKE_QUEUE_MAX: usize = 4096;

/// Addresses whose failed logins are remembered, about: 8 bytes each.
pub const FAILURE_SLOTS: usize = 16 * 1024;

/// saslauthd's answer. Its back ends (PAM) delay a refusal by some seconds; LDAP may be slow.
pub const SASLAUTHD_ANSWER_WITHIN: Duration = Duration::from_secs(20);

/// saslauthd's answer in bytes, its length word not counted ("OK", "NO" and a reason).
pub const SASLAUTHD_ANSWER_BYTES_MAX: usize = 1024;

// --- defaults and bounds of [limits] -------------------------------------------------------

/// A session that is silent: RFC 9051 section 5.4 wants at least 30 minutes.
pub const AUTOLOGOUT_DEFAULT: Duration = Duration::from_secs(30 * 60);

/// From accept to a login.
pub const LOGIN_WITHIN_DEFAULT: Duration = Duration::from_secs(60);

/// A TCP connection to a backend or to the MUPDATE master.
pub const CONNECT_WITHIN_DEFAULT: Duration = Duration::from_secs(10);

/// A backend's greeting and its answer to our login.
pub const UPSTREAM_LOGIN_WITHIN_DEFAULT: Duration = Duration::from_secs(20);

/// The silence of a backend that owes an answer. A SORT or SEARCH of a large mailbox may take
/// minutes before its first byte.
pub const UPSTREAM_ANSWER_WITHIN_DEFAULT: Duration = Duration::from_secs(5 * 60);

/// A command that a backend keeps going with a word now and then: while it works it sends
/// 64 KiB in that time, or else the reply. A client that waits for longer is hardly there.
pub const UPSTREAM_COMMAND_WITHIN_DEFAULT: Duration = Duration::from_secs(30 * 60);

/// A transfer in which neither side moves: a client that went away without a word.
pub const STALL_DEFAULT: Duration = Duration::from_secs(2 * 60);

/// The MUPDATE barrier (the concept's "ping along the UPDATE channel").
pub const BARRIER_WITHIN_DEFAULT: Duration = Duration::from_secs(5);

/// The same for LIST and other answers from the list, which then are made of what there is.
pub const LIST_BARRIER_WITHIN_DEFAULT: Duration = Duration::from_millis(250);

/// A list that was up to date so long ago is so still, for LIST: a change takes longer than that
/// until its client has its OK.
pub const LIST_AGE: Duration = Duration::from_millis(10);

/// A backend connection that a session does not use.
pub const UPSTREAM_IDLE_DEFAULT: Duration = Duration::from_secs(5 * 60);

/// A mailbox on its way to another server.
pub const TRANSFER_WITHIN_DEFAULT: Duration = Duration::from_secs(12 * 60 * 60);

/// One backend's part of an answer that is merged of several.
pub const MERGED_WITHIN_DEFAULT: Duration = Duration::from_secs(15);

/// To select a mailbox again whose connection was lost.
pub const RESELECT_WITHIN_DEFAULT: Duration = Duration::from_secs(10);

/// How often the follower asks the master for a sign of life.
pub const NOOP_INTERVAL_DEFAULT: Duration = Duration::from_secs(2);

/// The longest any of these may be: past a day it is a mistake in the unit.
pub const DURATION_MOST: Duration = Duration::from_secs(24 * 60 * 60);

/// The shortest any of these may be: below it, healthy peers on a busy host would fail.
pub const DURATION_LEAST: Duration = Duration::from_millis(100);

/// Connections in all: 100,000 idle sessions take some hundred MiB here and twice as many
/// descriptors, which is what `LimitNOFILE` of the unit in tuning/ allows.
pub const CONNECTIONS_DEFAULT: u64 = 100_000;

/// The most a site may set: the tables that count them take 32 bytes each.
pub const CONNECTIONS_MOST: u64 = 4_000_000;

/// Connections from one address: an office or a carrier's NAT has hundreds of clients with some
/// each; webmail and load balancers, with thousands, belong into `trusted`.
pub const CONNECTIONS_PER_ADDRESS_DEFAULT: u64 = 1000;

/// Connections of one user: a mail program opens five to fifteen, and people have several.
pub const CONNECTIONS_PER_USER_DEFAULT: u64 = 100;

/// Networks that limits by address don't hold for.
pub const NETWORKS_MAX: usize = 1000;

/// How long the answer to the first failed login is held back; it doubles with each one more.
pub const LOGIN_DELAY_DEFAULT: Duration = Duration::from_secs(1);

/// The longest it is held back. Five of them fit into the minute that a login has.
pub const LOGIN_DELAY_MAX_DEFAULT: Duration = Duration::from_secs(15);

/// Failed logins on one connection before it ends with BYE.
pub const LOGIN_FAILURES_DEFAULT: u64 = 5;

/// The most a site may set.
pub const LOGIN_FAILURES_MOST: u64 = 1000;

/// From SIGTERM to the end: 100,000 clients who are sent away within it come back elsewhere at some
/// 4,000 a second.
pub const DRAIN_DEFAULT: Duration = Duration::from_secs(30);

// --- MUPDATE ------------------------------------------------------------------------------

/// Connections to a MUPDATE server: each frontend has one that stays, each change at a Cyrus backend one
/// for a moment. Cyrus takes 128.
pub const MUPDATE_CONNECTIONS_DEFAULT: u64 = 1024;

/// The most a site may set: two descriptors each, and up to 256 KiB of a command.
pub const MUPDATE_CONNECTIONS_MOST: u64 = 65_536;

/// A client of a MUPDATE server that says nothing and follows no stream, as in Cyrus.
pub const MUPDATE_IDLE_MAX: Duration = Duration::from_secs(3 * 60 * 60);

/// Changes that are kept in memory for those who are slow to take them: some 100,000.
pub const BACKLOG_BYTES_DEFAULT: u64 = 16 * MIB;

/// The least a site may set: a few hundred changes.
pub const BACKLOG_BYTES_LEAST: u64 = 64 * KIB;

/// The most a site may set.
pub const BACKLOG_BYTES_MOST: u64 = GIB;

/// How long it is known that a name is gone: who has been away for longer fetches the whole list.
pub const TOMBSTONES_DEFAULT: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// The longest anything is kept.
pub const KEPT_MOST: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);

/// Names of a server that one account may take away in an hour.
pub const GUARD_NAMES_DEFAULT: u64 = 100;

/// … or as many in a hundred of what that server has, if those are more.
pub const GUARD_PERCENT_DEFAULT: u64 = 5;

// --- the process ---------------------------------------------------------------------------

/// Shards, at most: more than the CPUs of the hosts this runs on.
pub const SHARDS_MAX: u64 = 512;

/// Listeners of one kind in the configuration.
pub const LISTENERS_MAX: usize = 64;

/// Admins, and hosts given by address.
pub const CONFIG_ENTRIES_MAX: usize = 10_000;

/// The LMDB map of the mailbox list: a ceiling, not an allocation. A million names take 123 MiB.
pub const LIST_BYTES_DEFAULT: u64 = 8 * GIB;

/// The smallest map that holds the empty tables and a site of some thousand names.
pub const LIST_BYTES_LEAST: u64 = 16 * MIB;

/// The largest map: what a 47-bit address space has room for beside everything else.
pub const LIST_BYTES_MOST: u64 = 16 * 1024 * GIB;

/// The index of a backend: a ceiling, not an allocation. A message takes about 1 KiB of it.
pub const INDEX_BYTES_DEFAULT: u64 = 64 * GIB;

/// The smallest index that a backend begins with.
pub const INDEX_BYTES_LEAST: u64 = 16 * MIB;

/// The largest, as for the mailbox list.
pub const INDEX_BYTES_MOST: u64 = LIST_BYTES_MOST;

/// A message that a backend takes (APPENDLIMIT, RFC 7889).
pub const MESSAGE_BYTES_DEFAULT: u64 = 100 * MIB;

/// The least a site may set for a message.
pub const MESSAGE_BYTES_LEAST: u64 = 64 * KIB;

/// The most: sizes in BODYSTRUCTURE are 32 bits wide (RFC 3501 section 9, `body-fld-octets`).
pub const MESSAGE_BYTES_MOST: u64 = 4 * GIB - 1;

/// Messages in one APPEND (RFC 3502): each is a file that is open until all have come.
pub const APPEND_MESSAGES_MAX: usize = 256;

/// Literals and URLs of one APPEND (CATENATE, RFC 4469): each URL may open a file.
pub const APPEND_PARTS_MAX: usize = 1024;

/// How long expunged messages and deleted mailboxes can be brought back.
pub const KEEP_REMOVED_DEFAULT: Duration = Duration::from_secs(7 * 24 * 3600);

/// How often a backend compares what it has with what the MUPDATE master has.
pub const COMPARE_EVERY_DEFAULT: Duration = Duration::from_secs(6 * 3600);

/// Pipes for splice in the whole process: at the runtime's 256 KiB each they take the 16384 pages that
/// `/proc/sys/fs/pipe-user-pages-soft` allows an unprivileged user.
pub const PIPES_DEFAULT: u64 = 256;

/// The most pipes a site may set (each is two descriptors).
pub const PIPES_MOST: u64 = 65_536;

/// Log lines that may wait for the writer; past it lines are dropped and counted, since a shard
/// never waits for a terminal or a journal.
pub const LOG_QUEUE_LINES_MAX: usize = 16_384;

/// One log line, cut off past this.
pub const LOG_LINE_BYTES_MAX: usize = 8 * 1024;

/// The path of a unix socket (sockaddr_un, its NUL not counted).
pub const UNIX_PATH_BYTES_MAX: usize = 107;

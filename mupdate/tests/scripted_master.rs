//! The follower on real sockets and a real list, against a master that dies, stalls and lies.

mod world;

use std::time::Duration;

use ravenry_core::rt::{self, ShardConfig};
use ravenry_mupdate::{AwayReason, BarrierError, FollowerState};
use world::{
    Act, BANNER, LOGGED_IN, SECOND, STREAMING, config, follow, listing, mailbox, on_a_shard, say,
    site, start_master,
};

#[test]
fn a_barrier_shows_what_the_master_had() {
    on_a_shard(async {
        let (master, known) = start_master("127.31.1.1", vec![]);
        known.put("user.alice", "backend1!default");
        let site = follow(config(master));
        assert!(!site.is_complete());
        let sequence = site.barrier.wait(5 * SECOND).await.unwrap();
        assert!(site.is_complete() && site.has("user.alice"));
        known.put("user.bob", "backend2!default");
        known.delete("user.alice");
        let later = site.barrier.wait(5 * SECOND).await.unwrap();
        assert!(site.has("user.bob") && !site.has("user.alice"));
        assert!(later > sequence);
        let status = site.barrier.status();
        assert_eq!((status.resyncs, status.reconnects, status.names), (1, 0, 1));
        assert_eq!((status.barriers_asked, status.barriers_failed), (2, 0));
        assert!(status.sequence >= later && status.last_contact.is_some());
    });
}

#[test]
fn names_go_at_the_end_of_a_sync_and_not_before() {
    let mut whole = listing(&["a", "b"]);
    whole.push(say(STREAMING));
    let mut torn = listing(&["a"]);
    torn.push(say("U01 MAILBOX {1+}\r\nc {100+}\r\nbac")); // It closes in a literal.
    on_a_shard(async {
        let sound = vec![Act::Gate, Act::Serve];
        let (master, known) = start_master("127.31.1.2", vec![whole, torn, sound]);
        known.put("a", "b!p");
        let site = follow(config(master));
        site.until("three connections", |_| known.connections.get() == 3)
            .await;
        assert!(site.has("a") && site.has("b"));
        known.gate.set(true);
        site.until("the third", |site| site.barrier.status().resyncs == 2)
            .await;
        assert!(site.has("a") && !site.has("b") && !site.has("c"));
        assert_eq!(site.barrier.status().reconnects, 2);
    });
}

#[test]
fn an_incomplete_list_is_never_taken_for_complete() {
    let mut stalled = listing(&["a"]);
    stalled.push(say("U01 MAILBOX {1+}\r\nb {100+}\r\nbac"));
    stalled.push(Act::Stall);
    on_a_shard(async {
        let (master, _known) = start_master("127.31.1.3", vec![stalled]);
        let mut config = config(master);
        config.answer_within = 2 * SECOND;
        let site = follow(config);
        site.until("syncing", |site| {
            site.barrier.status().state == FollowerState::Syncing
        })
        .await;
        let asked = rt::now();
        let failed = site.barrier.wait(Duration::from_millis(200)).await;
        assert!(
            matches!(failed, Err(BarrierError::Unavailable { .. })),
            "{failed:?}"
        );
        let waited = rt::now() - asked;
        assert!(
            waited >= Duration::from_millis(200) && waited < SECOND,
            "{waited:?}"
        );
        assert!(!site.is_complete());
        site.until_streaming().await; // The stall was found out, the next connection is sound.
        assert!(site.is_complete());
        assert!(!site.has("a"), "the sound master does not have it");
    });
}

#[test]
fn a_barrier_in_flight_survives_the_death_of_its_stream() {
    let mut mute = listing(&["a"]);
    mute.push(say(STREAMING));
    mute.push(Act::Stall);
    on_a_shard(async {
        let (master, known) = start_master("127.31.1.4", vec![mute]);
        known.put("new", "b!p");
        let site = follow(config(master));
        site.until_streaming().await;
        let short = site.barrier.wait(Duration::from_millis(50));
        let long = site.barrier.wait(5 * SECOND);
        let both = async { (short.await, rt::now()) };
        let (short, _at) = both.await;
        assert_eq!(short, Err(BarrierError::TimedOut));
        long.await.unwrap();
        assert!(site.has("new") && !site.has("a"));
        assert_eq!(site.barrier.status().resyncs, 2);
    });
}

#[test]
fn hostile_masters_are_left_and_the_next_is_followed() {
    let after_login = |text: &str| {
        vec![
            say(BANNER),
            Act::Hear("XVwZGF0ZXB3"),
            say(LOGGED_IN),
            Act::Hear("UPDATE"),
            say(text),
        ]
    };
    let scripts = vec![
        vec![],
        vec![say("* BYE \"Server Unable\"\r\n")],
        vec![say("HTTP/1.1 400 Bad Request\r\n\r\n"), Act::Stall],
        vec![say("\0\0\0\0\r\n"), Act::Stall],
        vec![say(&"x".repeat(3 << 20)), Act::Stall],
        vec![Act::Stall],
        vec![say(BANNER), Act::Stall],
        vec![
            say(BANNER),
            Act::Hear("XVwZGF0ZXB3"),
            say("A01 NO \"undefined error!\"\r\n"),
        ],
        after_login("U01 BAD \"Unrecognized command\"\r\n"),
        after_login("U01 MAILBOX {99999999999999999999+}\r\n"),
        after_login("U01 MAILBOX {4000000000+}\r\n"),
        after_login("U02 OK \"streaming starts\"\r\n"),
        after_login("U01 DELETE \"a\r\n"),
        after_login(&format!("{STREAMING}N9 OK \"never asked\"\r\n")),
        after_login(&format!(
            "{}{STREAMING}* BYE \"\"\r\n",
            mailbox("late", "b!p")
        )),
    ];
    let count = u64::try_from(scripts.len()).unwrap();
    on_a_shard(async move {
        let (master, known) = start_master("127.31.1.5", scripts);
        known.put("good", "b!p");
        let site = follow(config(master));
        site.until("the sound one", |site| site.has("good")).await;
        site.until_streaming().await;
        assert_eq!(known.connections.get(), count + 1);
        assert_eq!(site.barrier.status().resyncs, 3);
        assert!(!site.has("late"));
    });
}

#[test]
fn a_master_is_found_by_its_name() {
    on_a_shard(async {
        let (master, _known) = start_master("127.0.0.1", vec![]);
        let port = master.to_string().rsplit_once(':').unwrap().1.to_owned();
        let site = follow(config(format!("localhost:{port}").parse().unwrap()));
        site.until_streaming().await;
        let site = follow(config(format!("nobody.invalid:{port}").parse().unwrap()));
        site.until("no such host", |site| {
            site.barrier.status().state == FollowerState::Away(AwayReason::Unreachable)
        })
        .await;
    });
}

#[test]
fn a_sync_leaves_room_for_other_tasks_and_may_take_its_time() {
    on_a_shard(async {
        let (master, known) = start_master("127.31.1.10", vec![]);
        for number in 0..20_000 {
            known.put(&format!("user.n{number}"), "b!p");
        }
        let site = follow(config(master));
        let (mut turns, mut gap) = (0, Duration::ZERO);
        let mut last = rt::now();
        while site.barrier.status().state != FollowerState::Streaming {
            rt::sleep(Duration::from_millis(1)).await;
            gap = gap.max(rt::now() - last);
            last = rt::now();
            turns += 1;
        }
        assert_eq!(site.barrier.status().names, 20_000);
        assert!(turns >= 15, "{turns} turns, {gap:?} at most between two");
    });
}

#[test]
fn why_there_is_no_stream_is_published() {
    let refused = || {
        vec![
            say(BANNER),
            Act::Hear("XVwZGF0ZXB3"),
            say("A01 NO \"no\"\r\n"),
        ]
    };
    on_a_shard(async move {
        let nobody = "127.31.1.6:1".parse().unwrap();
        let site = follow(config(nobody));
        let away = |reason| {
            move |site: &world::Site| site.barrier.status().state == FollowerState::Away(reason)
        };
        site.until("unreachable", away(AwayReason::Unreachable))
            .await;
        let failed = site
            .barrier
            .wait(Duration::from_millis(30))
            .await
            .unwrap_err();
        assert_eq!(
            failed,
            BarrierError::Unavailable {
                why: AwayReason::Unreachable.text()
            }
        );
        let (master, _known) = start_master("127.31.1.6", vec![refused(), refused()]);
        let site = follow(config(master));
        site.until("refused", away(AwayReason::LoginRefused)).await;
        site.until_streaming().await;
    });
}

#[test]
fn nobody_waits_for_a_master_that_stays_away() {
    on_a_shard(async {
        let nobody = "127.31.1.11:1".parse().unwrap();
        let site = follow(config(nobody));
        let asked = rt::now();
        let early = site.barrier.wait(30 * SECOND).await;
        let waited = rt::now() - asked;
        assert!(
            matches!(early, Err(BarrierError::Unavailable { .. })) && waited >= SECOND / 2,
            "{early:?} after {waited:?}: there was hope for a second"
        );
        let asked = rt::now();
        site.barrier.wait(30 * SECOND).await.unwrap_err();
        let waited = rt::now() - asked;
        assert!(waited < 5 * SECOND, "{waited:?}: none any more");
    });
}

#[test]
fn barriers_that_come_together_share_a_noop() {
    on_a_shard(async {
        let (master, known) = start_master("127.31.1.7", vec![]);
        let mut config = config(master);
        config.noop_every = 60 * SECOND;
        let site = follow(config);
        site.barrier.wait(5 * SECOND).await.unwrap();
        let before = known.noops.get();
        let done = std::rc::Rc::new(std::cell::Cell::new(0));
        for _ in 0..1000 {
            let (barrier, done) = (site.barrier.clone(), done.clone());
            rt::spawn(async move {
                barrier.wait(5 * SECOND).await.unwrap();
                done.set(done.get() + 1);
            });
        }
        site.until("all answered", |_| done.get() == 1000).await;
        let noops = known.noops.get() - before;
        assert!(noops <= 5, "{noops} NOOPs for 1000 barriers");
        assert!(site.barrier.status().barriers_shared >= 990);
    });
}

#[test]
fn shards_ask_from_their_own_threads_and_a_drain_ends_the_follower() {
    on_a_shard(async {
        let (master, known) = start_master("127.31.1.8", vec![]);
        known.put("user.alice", "b!p");
        let (site, follower) = site(config(master), 64 << 20);
        let core = ShardConfig {
            name: "mupdate".into(),
            ..ShardConfig::default()
        };
        let core = rt::start_shard(core, move || follower.run()).unwrap();
        site.barrier.wait(5 * SECOND).await.unwrap();
        assert!(site.has("user.alice"));
        core.drain(SECOND);
        core.join().unwrap();
        let failed = site.barrier.wait(5 * SECOND).await;
        assert!(
            matches!(failed, Err(BarrierError::Unavailable { .. })),
            "{failed:?}"
        );
        assert_eq!(
            site.barrier.status().state,
            FollowerState::Away(AwayReason::NotRunning)
        );
    });
}

#[test]
fn a_full_list_is_said_so_and_the_old_one_serves_on() {
    on_a_shard(async {
        let mut whole = listing(&["a"]);
        whole.push(say(STREAMING));
        let (master, known) = start_master("127.31.1.9", vec![whole]);
        for number in 0..20_000 {
            known.put(&format!("user.{number:0>400}"), "b!p");
        }
        let (site, follower) = site(config(master), 4 << 20);
        rt::spawn(follower.run());
        site.until("full", |site| {
            site.barrier.status().state == FollowerState::Away(AwayReason::List)
        })
        .await;
        assert!(site.is_complete() && site.has("a"));
        let failed = site.barrier.wait(Duration::from_millis(20)).await;
        assert!(
            matches!(failed, Err(BarrierError::Unavailable { .. })),
            "{failed:?}"
        );
        known.names.borrow_mut().clear();
        known.put("small", "b!p");
        site.until("small again", |site| site.has("small")).await;
        assert!(!site.has("a"));
    });
}

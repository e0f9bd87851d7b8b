//! One seed: which faults there are at all, the site and its peers, the clients, and the end.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use ravenry_core::rt::sim::{self, Fault, Faults, Outcome, Settings, World};
use ravenry_core::rt::{self, Address};

use crate::frontend::Frontend;
use crate::ledger::Ledger;
use crate::site::{Held, Message, Site, USERS};
use crate::{backend, dice, hostile, master, mover, others, script, verdict};

const WITHIN: Duration = Duration::from_secs(4 * 3600);

/// What clients do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Play {
    /// All kinds of commands, by many who share mailboxes.
    Everyday,
    /// Messages moved between servers, each accounted for.
    Moves,
}

pub(crate) fn seed(play: Play, seed: u64, verbose: bool) -> Outcome {
    let mut rng = fastrand::Rng::with_seed(seed);
    // In a quarter of the runs nothing goes wrong that anybody may notice: every answer has to be right.
    let peace = seed % 4 == 3;
    let settings = Settings {
        seed,
        faults: faults(&mut rng, peace),
        verbose,
        within: WITHIN,
    };
    let slow = [Fault::Delay, Fault::JobSlow];
    let prompt = slow.iter().all(|fault| settings.faults.rate(*fault) == 0);
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().to_owned();
    // A third of the others is without misdeeds of peers.
    let mut errs = |most: u64| {
        if peace || rng.u8(..3) == 0 {
            0
        } else {
            rng.u64(..most)
        }
    };
    let (backends_err, master_errs, clients_err) = (errs(90), errs(100), errs(95));
    let large = rng.u8(..3) == 0;
    let moves = play == Play::Moves;
    // In a run of moves the list stands, and clients behave.
    let (master_errs, clients_err) = if moves {
        (0, 0)
    } else {
        (master_errs, clients_err)
    };
    let others = if moves && !peace { rng.u64(..70) } else { 0 };
    let lies = moves && !peace && rng.u8(..3) == 0;
    sim::run(settings, |world| async move {
        kinds(play).for_each(|kind| world.add(kind, 0));
        let mut able = [backend::Able::any(), backend::Able::any()];
        if moves && dice::percent(30) {
            able.iter_mut()
                .for_each(|able| (able.condstore, able.qresync) = (true, true));
        }
        if lies {
            able[usize::from(dice::percent(50))].lies(hostile::any());
        }
        let site = Rc::new(Site {
            world,
            mailboxes: RefCell::default(),
            changes: RefCell::default(),
            subscribed: RefCell::default(),
            ledger: RefCell::new(Ledger::new(moves)),
            able,
            backends_err,
            master_errs,
            clients_err,
            others,
            others_did: Cell::new(0),
            misdeeds: Cell::new(0),
            up_at_most: Duration::from_secs(if moves { 100 } else { 240 }),
            prompt,
            large,
        });
        whole(world, &site, &path).await;
    })
}

/// What may go wrong, or come of it, beside the network's faults.
fn kinds(play: Play) -> Box<dyn Iterator<Item = &'static str>> {
    let both = backend::MISDEEDS.iter().chain([&backend::RESTARTS]);
    let removal = [&backend::REFUSES_REMOVAL];
    match play {
        Play::Everyday => {
            let others = master::MISDEEDS.iter().chain(&script::MISDEEDS);
            Box::new(both.chain(others).copied())
        }
        Play::Moves => {
            let others = others::DEEDS.iter().chain(&hostile::NAMES).chain(removal);
            Box::new(both.chain(others).copied())
        }
    }
}

/// Half of the kinds of faults in each run, and in some runs none that ends a connection: there every
/// answer has to be OK.
fn faults(rng: &mut fastrand::Rng, peace: bool) -> Faults {
    let deadly = !peace && rng.bool();
    let mut faults = Faults::none();
    for fault in Fault::ALL {
        let most = match fault {
            Fault::ConnectHangs | Fault::Refused => 1500,
            Fault::Reset | Fault::Closed | Fault::Silence => 2500,
            Fault::ShortRead | Fault::ShortWrite | Fault::FullBuffer | Fault::PipeRefused => 6000,
            Fault::AcceptFails | Fault::JobSlow | Fault::JobRefused => 4000,
            Fault::RingFull | Fault::Spurious | Fault::Interrupted | Fault::Delay => 1000,
        };
        let slow = matches!(fault, Fault::Delay | Fault::JobSlow);
        let hard = fault.is_fatal() || fault == Fault::JobRefused;
        let kept = deadly || !(hard || peace && slow);
        if rng.bool() && kept {
            faults = faults.with(fault, rng.u32(1..most));
        }
    }
    faults
}

fn address(text: &str) -> Address {
    text.parse().unwrap()
}

fn furnish(site: &Site) {
    for user in 0..USERS {
        let home = usize::try_from(user % 2).expect("small");
        site.put(&format!("user.u{user}"), home);
        site.put(&format!("user.u{user}.work"), 1 - home);
    }
    site.put("shared.a", 0);
    site.put("shared.b", 1);
    let names: Vec<String> = site.mailboxes.borrow().keys().cloned().collect();
    for name in names {
        for _ in 0..dice::below(6) {
            let message = Message {
                key: rt::random::u64(),
                size: site.message_size(),
            };
            site.append(&name, Held::new(message));
        }
    }
}

async fn whole(world: World, site: &Rc<Site>, path: &std::path::Path) {
    let moves = site.keeps_ledger();
    let clients = if moves {
        1 + dice::below(2)
    } else {
        3 + dice::below(10)
    };
    if moves {
        mover::furnish(site, clients);
    } else {
        furnish(site);
    }
    let (front, master) = (address("10.0.0.42:143"), address("10.0.0.11:3905"));
    let backends = [address("10.0.0.12:143"), address("10.0.0.13:143")];
    rt::spawn(master::serve(Rc::clone(site), master.clone()));
    for (number, address) in backends.iter().enumerate() {
        rt::spawn(backend::serve(Rc::clone(site), number, address.clone()));
    }
    if dice::percent(site.others) {
        rt::spawn(others::meanwhile(Rc::clone(site)));
    }
    let frontend = Frontend::start(path, &front, &master, &backends);
    let left = Rc::new(Cell::new(clients));
    let spread = Duration::from_millis(dice::one_of(&[5, 3_000, 60_000]));
    rt::sleep(dice::time(Duration::from_secs(2))).await;
    for number in 0..clients {
        let (site, front, left) = (Rc::clone(site), front.clone(), Rc::clone(&left));
        rt::spawn(async move {
            rt::sleep(dice::time(spread)).await;
            if moves {
                mover::play(site, front, number).await;
            } else {
                script::play(site, front, number).await;
            }
            left.set(left.get() - 1);
        });
    }
    while left.get() > 0 {
        rt::sleep(Duration::from_secs(1)).await;
    }
    world.note("the clients have gone");
    world.add(
        "done: runs where nothing went wrong to notice",
        u64::from(site.is_calm()),
    );
    frontend.end(world).await;
    if moves {
        verdict::count(site);
        let wrong = site.ledger.borrow().wrong_at_the_end(site);
        wrong.into_iter().for_each(|wrong| world.fail(wrong));
    }
}

//! One seed: which faults there are, the murder, its clients, who dies meanwhile, and the end.

use std::cell::Cell;
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use ravenry_core::rt;
use ravenry_core::rt::sim::{self, Fault, Faults, Outcome, Settings, World};

use crate::site::{Site, Which};
use crate::{chaos, dice, script, verdict};

const WITHIN: Duration = Duration::from_secs(4 * 3600);

pub(crate) fn seed(seed: u64, verbose: bool) -> Outcome {
    let mut rng = fastrand::Rng::with_seed(seed);
    // In a quarter of the runs nothing goes wrong that anybody may notice.
    let peace = seed % 4 == 3;
    let faults = faults(&mut rng, peace);
    let settings = Settings {
        seed,
        faults: Faults::none(),
        verbose,
        within: WITHIN,
    };
    let memory = Path::new("/dev/shm");
    let directory = if memory.is_dir() {
        tempfile::tempdir_in(memory)
    } else {
        tempfile::tempdir()
    };
    let directory = directory.unwrap();
    let path = directory.path().to_owned();
    sim::run(settings, |world| async move {
        let kinds = script::KINDS.iter().chain(&chaos::KINDS);
        kinds.for_each(|kind| world.add(kind, 0));
        whole(world, (peace, faults), &path).await;
    })
}

fn faults(rng: &mut fastrand::Rng, peace: bool) -> Faults {
    let deadly = !peace && rng.bool();
    let mut faults = Faults::none();
    for fault in Fault::ALL {
        let most = match fault {
            // A disk that refuses a commit ends the store.
            Fault::JobRefused => continue,
            Fault::Reset | Fault::Closed | Fault::Refused | Fault::Silence => 1500,
            Fault::ConnectHangs => 800,
            Fault::ShortRead | Fault::ShortWrite | Fault::FullBuffer | Fault::PipeRefused => 6000,
            _ => 1000,
        };
        let slow = matches!(fault, Fault::Delay | Fault::JobSlow);
        let kept = deadly || !(fault.is_fatal() || peace && slow);
        if rng.bool() && kept {
            faults = faults.with(fault, rng.u32(1..most));
        }
    }
    faults
}

async fn whole(world: World, (peace, faults): (bool, Faults), path: &Path) {
    let site = Rc::new(Site::new(world, peace, path));
    for which in Which::ALL {
        site.start(which);
    }
    script::furnish(&site).await;
    world.note("furnished");
    world.set_faults(faults);
    let clients = 2 + dice::below(5);
    let left = Rc::new(Cell::new(clients));
    for number in 0..clients {
        let (site, left) = (Rc::clone(&site), Rc::clone(&left));
        rt::spawn(async move {
            script::play(site, number).await;
            left.set(left.get() - 1);
        });
    }
    if !peace {
        let (site, left) = (Rc::clone(&site), Rc::clone(&left));
        rt::spawn(async move { chaos::meanwhile(&site, &left).await });
    }
    while left.get() > 0 {
        rt::sleep(Duration::from_secs(1)).await;
    }
    world.note("the clients have gone");
    world.set_faults(Faults::none());
    // A way that is cut is whole again.
    rt::sleep(chaos::CUT_MOST).await;
    while !Which::ALL.iter().all(|which| site.is_up(*which)) {
        rt::sleep(Duration::from_secs(1)).await;
    }
    verdict::at_rest(&site).await;
    verdict::converged(&site).await;
    verdict::through_frontends(&site).await;
    for which in [
        Which::Frontend(0),
        Which::Frontend(1),
        Which::Backend(0),
        Which::Backend(1),
        Which::Master,
    ] {
        site.end(which).await;
    }
    verdict::stores(&site);
}

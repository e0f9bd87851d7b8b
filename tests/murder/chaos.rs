//! What goes wrong meanwhile: one part is killed and comes back, or the way to one is cut for a while.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use ravenry_core::rt;

use crate::dice;
use crate::parts::{BACKENDS_AT, FRONTENDS_AT, MASTER, address};
use crate::site::{Site, Which};

pub(crate) const KINDS: [&str; 4] = [
    "killed: the master",
    "killed: a backend",
    "killed: a frontend",
    "the way to a part is cut",
];

/// How long the way to a part is cut at most.
pub(crate) const CUT_MOST: Duration = Duration::from_secs(40);

/// Until all clients have gone; whoever is down then is started.
pub(crate) async fn meanwhile(site: &Rc<Site>, left: &Cell<u64>) {
    let pause = Duration::from_secs(dice::one_of(&[3, 10, 40]));
    let cuts = dice::one_of(&[0, 30, 60]);
    loop {
        rt::sleep(dice::time(pause)).await;
        if left.get() == 0 {
            return;
        }
        let which = dice::one_of(&Which::ALL);
        if dice::percent(cuts) {
            let at = match which {
                Which::Master => MASTER,
                Which::Backend(number) => BACKENDS_AT[number],
                Which::Frontend(number) => FRONTENDS_AT[number],
            };
            site.world.count(KINDS[3]);
            site.world.cut(&address(at), dice::time(CUT_MOST));
        } else {
            site.world.count(which.killed());
            site.kill(which).await;
            let short = dice::percent(60);
            let down = if short { 500 } else { 40_000 };
            rt::sleep(dice::time(Duration::from_millis(down))).await;
            site.start(which);
        }
    }
}

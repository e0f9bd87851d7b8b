//! How backend and MUPDATE master stand to each other, and what the operator has done about it.

use std::time::Duration;

use ravenry_core::rt;

use super::answer::Answer;
use super::removed::time;
use super::{Done, Operator};
use crate::member::resync::{Compared, Planned, Standing, Waits, Wanted, word};

/// How long who asks waits for the end; what has begun goes on.
const WITHIN: Duration = Duration::from_secs(5 * 60);
/// Names of a plan that are shown with how it stands.
const SHOWN_MAX: usize = 20;

impl Operator {
    /// How it stands.
    pub(super) async fn resync(&self) -> Done {
        let standing = self.standing(Wanted::Show).await?;
        Ok(facts(&standing))
    }

    /// The last plan, a row a name.
    pub(super) async fn resync_plan(&self) -> Done {
        let standing = self.standing(Wanted::Show).await?;
        let mut answer = Answer::table(&["when", "action", "name", "why"]);
        let Some(Compared { plan, .. }) = &standing.last else {
            return Err(not_yet(&standing));
        };
        for planned in &plan.all {
            let (when, action) = (when(planned, plan.waits()), word(planned.action));
            answer.row(&[when, action, &planned.name.to_string(), &planned.why]);
        }
        Ok(answer)
    }

    /// A comparison.
    pub(super) async fn resync_now(&self) -> Done {
        let standing = self.standing(Wanted::Compare).await?;
        Ok(facts(&standing))
    }

    /// What waits is carried out.
    pub(super) async fn resync_apply(&self) -> Done {
        let standing = self.standing(Wanted::Apply).await?;
        let mut answer = Answer::default();
        let done = standing.applied.clone().unwrap_or_default();
        answer.text(&format!(
            "{} names are out of MUPDATE, {} mailboxes in quarantine (`ravenry ctl backend quarantine list`)",
            done.removed, done.quarantined
        ));
        if done.changed > 0 {
            let text = format!("{} are left alone: they have changed since", done.changed);
            answer.text(&text);
        }
        if let Some(why) = &done.why {
            answer.error(&format!("{} were refused; the first: {why}", done.refused));
        }
        if let Some(Compared { plan, .. }) = &standing.last
            && let Some(waits) = plan.waits()
        {
            answer.text(&format!("the comparison after it: {waits}; they wait"));
        }
        Ok(answer)
    }

    async fn standing(&self, wanted: Wanted) -> Done<Standing> {
        let resync = self.parts.member.resync().ok_or_else(|| {
            "this backend is no member of a murder: the configuration has no [mupdate.client]"
                .to_owned()
        })?;
        let late = |_| {
            Err(
                "it takes long, and goes on: `ravenry ctl backend resync` says how it stands"
                    .to_owned(),
            )
        };
        let standing = rt::timeout(WITHIN, resync.ask(wanted)).await;
        standing.unwrap_or_else(late)
    }
}

fn facts(standing: &Standing) -> Answer {
    let mut answer = Answer::default();
    answer.fact("server", &standing.own);
    answer.fact("master", &standing.master);
    answer.fact("under way", standing.doing.unwrap_or("nothing"));
    if let Some((at, why)) = &standing.failed {
        answer.fact("last attempt failed", format!("{}: {why}", time(*at)));
    }
    let Some(Compared { at, plan, done }) = &standing.last else {
        answer.fact("last compared", "not yet");
        return answer;
    };
    let (differ, waits) = (plan.all.len(), plan.waits());
    answer.fact("last compared", time(*at));
    for (what, number) in [
        ("mailboxes here", plan.here),
        ("at the master", plan.held),
        ("left alone, since something is under way", plan.left),
        ("differences found", differ),
        ("pushed", done.pushed),
        ("out of MUPDATE", done.removed),
        ("into quarantine", done.quarantined),
        ("changed meanwhile", done.changed),
        ("refused", done.refused),
    ] {
        answer.fact(what, number);
    }
    if let Some(why) = &done.why {
        answer.fact("first refused", why);
    }
    answer.fact("waiting", waits.map_or(0, |_| plan.deletions().count()));
    if let Some(waits) = waits {
        waiting(standing, plan.deletions(), waits, &mut answer);
    }
    answer
}

/// What the operator is asked about.
fn waiting<'p>(
    standing: &Standing,
    deletions: impl Iterator<Item = &'p Planned>,
    waits: Waits,
    answer: &mut Answer,
) {
    answer.fact("why it waits", waits);
    answer.fact("check first", waits.advice(&standing.own, &standing.master));
    for planned in deletions.take(SHOWN_MAX) {
        let (what, why) = (word(planned.action), &planned.why);
        answer.fact("waits", format!("{}: {what}: {why}", planned.name));
    }
    answer.fact(
        "all of it",
        format!(
            "`ravenry ctl backend resync plan`, {}",
            standing.kept.display()
        ),
    );
    answer.fact("to have it done", "`ravenry ctl backend resync apply`");
}

fn when(planned: &Planned, waits: Option<Waits>) -> &'static str {
    if planned.deletes && waits.is_some() {
        "waits"
    } else {
        "at once"
    }
}

fn not_yet(standing: &Standing) -> String {
    match &standing.failed {
        Some((_, why)) => format!("there has been no comparison yet: {why}"),
        None => "there has been no comparison yet".to_owned(),
    }
}

//! What a frontend asks each backend of the list as the proxy itself, before any user needs it: what it can
//! do, for CAPABILITY, and how it names mailboxes, which has to be as clients of this frontend name them.

use std::rc::Rc;
use std::time::Duration;

use ravenry_core::mailboxes::{Identity, UserId};
use ravenry_core::proto::imap::Literals;
use ravenry_core::proto::imap::encode::Request;
use ravenry_core::rt::channel::Receiver;
use ravenry_core::rt::{self, Either};

use crate::failure::BackendFault;
use crate::frontend::Frontend;
use crate::imap::is_kind;
use crate::upstream::Upstream;

impl Frontend {
    /// Asks every backend of the list what it can do, as the proxy itself: at once where it is new,
    /// every ten seconds where it couldn't be asked.
    pub(crate) async fn probe_backends(self: Rc<Self>) {
        let mut again = rt::now();
        let mut changes = self.parts.barrier.watch();
        loop {
            let servers = self.servers();
            self.capabilities.keep_only(&servers);
            let all = rt::now() >= again;
            if all {
                again = rt::now() + PROBE_EVERY + rt::random::jitter(PROBE_EVERY);
            }
            let unknown = servers.iter().filter(|server| {
                !self.capabilities.knows(server) && (all || !self.capabilities.was_asked(server))
            });
            self.probe(unknown.map(Rc::clone).collect()).await;
            rt::sleep(LIST_LOOK).await;
            if servers.iter().all(|server| self.capabilities.knows(server)) {
                changed(&mut changes).await;
            } else {
                let _ = rt::timeout_at(again, changed(&mut changes)).await;
            }
        }
    }

    /// Asks servers, all at once; waits for the last.
    async fn probe(self: &Rc<Self>, servers: Vec<Rc<str>>) {
        let (done, mut all_done) = rt::channel::channel::<()>(1);
        for server in servers {
            let (fe, done) = (Rc::clone(self), done.clone());
            rt::spawn(async move {
                let itself = fe.proxied(fe.parts.proxy.upstream.authname.as_bytes());
                let asked = async {
                    let mut up = Upstream::open(&fe, &server, &itself, None).await?;
                    fe.compare_namespace(&mut up).await
                };
                // A backend that hangs doesn't hold a shard that stops.
                if let Either::Right(Err(fault)) = rt::select(rt::draining(), asked).await {
                    tracing::warn!("can't ask backend {fault}");
                }
                fe.capabilities.asked(&server);
                drop(done);
            });
        }
        drop(done);
        // Ends when the last probe has dropped its sender.
        while all_done.recv().await.is_some() {}
    }

    /// Warns of a backend that has another separator or prefix (RFC 2342): names mean something else there.
    async fn compare_namespace(&self, up: &mut Upstream) -> Result<(), BackendFault> {
        let authname = self.parts.proxy.upstream.authname.as_bytes();
        let Ok(user) = UserId::parse(authname) else {
            return Ok(());
        };
        let admin = self.desk.is_admin(&user);
        let identity = Identity::new(user, admin, &self.desk.parts.groups.get());
        let here = self.desk.parts.namespace.response(&identity);
        let mut request = Request::new(Literals::Sync);
        request.raw("NAMESPACE").end();
        let (lines, _) = up.ask(&request).await?;
        let there = lines.iter().find(|line| is_kind(line, &["NAMESPACE"]));
        // The proxy itself has no personal one.
        let of_others = here.strip_prefix("* NAMESPACE NIL ");
        let of_others = of_others.or_else(|| Some(here.split_once(")) ")?.1));
        if let Some(there) = there
            && !there
                .trim_ascii_end()
                .ends_with(of_others.unwrap_or_default().as_bytes())
        {
            let there = String::from_utf8_lossy(there.trim_ascii_end());
            tracing::warn!(
                server = %up.server, %here, there = %there.escape_debug(),
                "this backend names mailboxes otherwise: hierarchy_separator and alt_namespace \
                 have to be alike (unixhierarchysep and altnamespace in Cyrus)"
            );
        }
        Ok(())
    }
}

/// Waits until the list has changed.
async fn changed(changes: &mut Receiver<()>) {
    if changes.recv().await.is_none() {
        // Nobody tells: look now and then.
        rt::sleep(PROBE_EVERY).await;
    }
}

/// How often backends that nobody could ask are asked again.
const PROBE_EVERY: Duration = Duration::from_secs(10);
/// Changes of the list that come within this time are one look for new backends.
const LIST_LOOK: Duration = Duration::from_millis(500);

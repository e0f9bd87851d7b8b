//! The frontend role: what its shards are made from.

use ravenry_core::config::{Config, Proxy};
use ravenry_core::tls::Connector;
use ravenry_proxy::Parts;

use crate::instance::Shared;
use crate::mupdate::Core;

/// What `ravenry check` says of it; `None`: there is no frontend.
pub(crate) fn check(config: &Config, shards: usize) -> Result<Option<String>, String> {
    let Some(proxy) = &config.proxy else {
        return Ok(None);
    };
    connector(proxy)?;
    let listeners = proxy.imap.iter().chain(&proxy.imaps);
    let listeners: Vec<String> = listeners.map(ToString::to_string).collect();
    let listeners = listeners.join(", ");
    Ok(Some(format!(
        "a frontend on {listeners} with {shards} shards"
    )))
}

/// What its shards are made from; `None`: there is no frontend.
pub(crate) fn parts(
    config: &Config,
    shared: &Shared,
    core: &Core,
) -> Result<Option<Parts>, String> {
    let (Some(proxy), Some((list, barrier))) = (&config.proxy, &core.list) else {
        return Ok(None);
    };
    Ok(Some(Parts {
        proxy: proxy.clone(),
        connector: connector(proxy)?,
        list: list.clone(),
        barrier: barrier.clone(),
        resolver: shared.resolver.clone(),
    }))
}

fn connector(proxy: &Proxy) -> Result<Option<Connector>, String> {
    Connector::open(&proxy.upstream.tls, Some("imap")).map_err(|error| error.to_string())
}

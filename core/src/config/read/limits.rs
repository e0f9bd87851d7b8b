//! `[limits]`: deadlines, sizes, and how many there may be of whom.

use std::time::Duration;

use super::Context;
use crate::config::reader::Table;
use crate::config::{Limits, value};
use crate::limits as bounds;

pub(super) fn limits(context: &mut Context<'_>, mut t: Table<'_>) -> Limits {
    let mut limits = Limits::default();
    let mut duration = |key, into: &mut Duration| {
        *into = t.get(key, value::duration).unwrap_or(*into);
    };
    duration("autologout", &mut limits.autologout);
    duration("login", &mut limits.login);
    duration("connect", &mut limits.connect);
    duration("upstream_login", &mut limits.upstream_login);
    duration("upstream_answer", &mut limits.upstream_answer);
    duration("upstream_command", &mut limits.upstream_command);
    duration("upstream_idle", &mut limits.upstream_idle);
    duration("transfer", &mut limits.transfer);
    duration("merged", &mut limits.merged);
    duration("stall", &mut limits.stall);
    duration("barrier", &mut limits.barrier);
    duration("list_barrier", &mut limits.list_barrier);
    duration("login_delay", &mut limits.login_delay);
    duration("login_delay_max", &mut limits.login_delay_max);
    duration("drain", &mut limits.drain);
    limits.reselect = t
        .get("reselect", value::long_duration)
        .unwrap_or(limits.reselect);
    let mut size = |key, into: &mut usize| {
        let range = bounds::LINE_BYTES_LEAST..=bounds::COMMAND_BYTES_MOST;
        let given = t
            .get(key, value::size(range))
            .and_then(|n| usize::try_from(n).ok());
        *into = given.unwrap_or(*into);
    };
    size("line_size", &mut limits.line_size);
    size("command_size", &mut limits.command_size);
    people(&mut t, &mut limits);
    if limits.command_size < limits.line_size {
        t.fail("limits.command_size must not be less than limits.line_size".to_owned());
    }
    t.finish();
    if limits.autologout < bounds::AUTOLOGOUT_DEFAULT {
        context.warnings.push(
            "limits.autologout is less than the 30 minutes that RFC 9051 section 5.4 asks for: \
             clients in IDLE will be cut off"
                .to_owned(),
        );
    }
    limits
}

/// How many connections there may be, and how often one may fail to log in.
fn people(t: &mut Table<'_>, limits: &mut Limits) {
    let most = bounds::CONNECTIONS_MOST;
    let mut number = |key, least, most, into: &mut u64| {
        *into = t.get(key, value::integer(least..=most)).unwrap_or(*into);
    };
    number("connections", 1, most, &mut limits.connections);
    number(
        "connections_per_address",
        0,
        most,
        &mut limits.connections_per_address,
    );
    number(
        "connections_per_user",
        0,
        most,
        &mut limits.connections_per_user,
    );
    let mut failures = u64::from(limits.login_failures);
    number(
        "login_failures",
        1,
        bounds::LOGIN_FAILURES_MOST,
        &mut failures,
    );
    limits.login_failures = u32::try_from(failures).unwrap_or(u32::MAX);
    let trusted = t.list("trusted", bounds::NETWORKS_MAX, |item| {
        value::from_str(&value::string(item)?)
    });
    if let Some(trusted) = trusted {
        limits.trusted = trusted;
    }
    if limits.login_delay_max < limits.login_delay {
        t.fail("limits.login_delay_max must not be less than limits.login_delay".to_owned());
    }
}

//! Removes what is over, while the server runs.

use std::time::Duration;

use super::audit::Audit;
use super::sign_ins::SignIns;
use super::throttle::Throttle;

const FIRST: Duration = Duration::from_secs(10);
const EVERY: Duration = Duration::from_secs(60);

/// Sweeps sign-ins, audit trail and counters once a minute, for ever. `audit_lifetime` is how long
/// entries of the trail are kept, asked each time.
pub async fn upkeep(
    sign_ins: &SignIns,
    audit: &Audit,
    throttle: &Throttle,
    audit_lifetime: impl Fn() -> Duration,
) {
    rocket::tokio::time::sleep(FIRST).await;
    loop {
        for swept in
            [sign_ins.sweep().await, audit.sweep(audit_lifetime()).await, throttle.sweep().await]
        {
            if let Err(error) = swept {
                log::warn!("{error}; sweeping again in a minute");
            }
        }
        rocket::tokio::time::sleep(EVERY).await;
    }
}

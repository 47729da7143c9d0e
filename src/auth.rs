//! Who may look: accounts, their passwords and sign-ins, the checks in front of every page, and the
//! trail of all that.

pub mod accounts;
pub mod address;
pub mod agent;
mod argon2id;
pub mod audit;
mod check;
pub mod client;
pub mod form_token;
mod guard;
pub mod origin;
pub mod password;
pub mod sign_ins;
pub mod strength;
pub mod throttle;
mod upkeep;
mod work;

pub use accounts::{Account, Accounts};
pub use address::{Forwarded, TrustedProxies};
pub use audit::Audit;
pub use check::{Checker, Refusal};
pub use client::{Client, RecordClients};
pub use guard::{
    Error as GuardError, User, account_id, go_on, sign_in, sign_in_id, signed_in_account,
};
pub use sign_ins::{SignInId, SignIns};
pub use upkeep::upkeep;

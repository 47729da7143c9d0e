//! Who may look: accounts, their passwords, and the checks in front of every page.

pub mod accounts;
pub mod address;
mod guard;
pub mod origin;
pub mod password;
pub mod throttle;

pub use accounts::{Account, Accounts};
pub use address::{Client, ClientAddress, TrustedProxies};
pub use guard::{Error as GuardError, User, account_id, sign_in, signed_in_account};

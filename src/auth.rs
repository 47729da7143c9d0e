//! Who may look: accounts, their passwords, and the checks in front of every page.

pub mod accounts;
pub mod form_token;
mod guard;
pub mod origin;
pub mod password;
pub mod throttle;
mod work;

pub use accounts::{Account, Accounts};
pub use guard::{Error as GuardError, User, account_id, sign_in};

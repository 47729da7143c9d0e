//! Faults that a session server must survive, each made to happen: what was acknowledged stays, a
//! fault is a 503 and never a sign-out or a sign-in, and all is right again by itself.
//!
//! By default each is tried a few times. With `DEWAR_FAULTS=full` it is as often as
//! `docs/faults.md` tells; `tests/faults/run` does that and prints the figures.

#![cfg(feature = "app")]

mod backup;
mod damaged;
mod disk;
mod floods;
mod harness;
mod injected;
mod kills;
mod locked;
mod migration;
mod power;
mod remote;
mod replaced;
mod restarts;
mod settings;
mod shared;
mod sweep;
mod torn;

#[path = "../servers/mod.rs"]
mod servers;
#[path = "../support/mod.rs"]
mod support;

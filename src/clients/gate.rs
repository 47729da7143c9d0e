//! Keeps descriptors for the application's own files while clients take all they can get.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::mpsc::SyncSender;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use rocket::Shutdown;
use rocket::tokio::task::{coop, yield_now};
use rocket::tokio::time::sleep;
use rustix::io::Errno;

use crate::descriptors;

/// What databases, stores and files keep.
const RESERVE: usize = 16;
/// How long a count holds where little happens.
const COUNT_HOLDS: Duration = Duration::from_secs(1);
const PAUSE: Duration = Duration::from_millis(20);
/// More than Tokio lets a task do at once.
const MOST_AT_ONCE: usize = 1024;

/// Runs Rocket, whose own task accepts connections, but lets it accept no more of them than there
/// are descriptors to spare; asks through `short` for some to be closed. (Rocket alone accepts until
/// the last descriptor is gone.)
pub async fn admit<F: Future>(launch: F, shutdown: Shutdown, short: SyncSender<()>) -> F::Output {
    let mut launch = pin!(launch);
    let mut shutdown = pin!(shutdown);
    let mut pause = pin!(None);
    let at_once = poll_fn(|context| Poll::Ready(take_steps(MOST_AT_ONCE, context))).await;
    yield_now().await;
    let mut room = Room::new();
    let mut stopping = false;
    poll_fn(move |context| {
        stopping = stopping || shutdown.as_mut().poll(context).is_ready();
        if stopping {
            return launch.as_mut().poll(context);
        }
        loop {
            if let Some(pausing) = pause.as_mut().as_pin_mut() {
                ready!(Future::poll(pausing, context));
                pause.set(None);
            }
            let spare = room.spare().min(at_once);
            if spare > 0 {
                take_steps(at_once - spare, context);
                let polled = launch.as_mut().poll(context);
                let unused = take_steps(MOST_AT_ONCE, context);
                room.left -= spare.saturating_sub(unused);
                return polled;
            }
            let _ = short.try_send(());
            pause.set(Some(sleep(PAUSE)));
        }
    })
    .await
}

/// Tokio lets a task make so many steps before others have their turn, and to accept a connection is
/// one. Takes so many of those that are left, and gives how many that were.
fn take_steps(at_most: usize, context: &mut Context<'_>) -> usize {
    let mut taken = 0;
    while taken < at_most && coop::has_budget_remaining() {
        if let Poll::Ready(step) = coop::poll_proceed(context) {
            step.made_progress();
        }
        taken += 1;
    }
    taken
}

/// The descriptors beyond the reserve.
struct Room {
    reserve: usize,
    left: usize,
    counted: Instant,
}

impl Room {
    fn new() -> Self {
        let mut room = Self { reserve: 0, left: 0, counted: Instant::now() };
        // Where there are very few, half of them.
        room.reserve = RESERVE.min(room.spare() / 2);
        room.left = 0;
        room
    }

    fn spare(&mut self) -> usize {
        if self.left == 0 || self.counted.elapsed() >= COUNT_HOLDS {
            self.counted = Instant::now();
            self.left = match descriptors::count() {
                Ok(count) => descriptors::limit().saturating_sub(count + self.reserve),
                // To look takes a descriptor, too.
                Err(error) if error.raw_os_error() == Some(Errno::MFILE.raw_os_error()) => 0,
                Err(_) => usize::MAX,
            };
        }
        self.left
    }
}

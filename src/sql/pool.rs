//! Connections, a bounded number of them, and none that was left in the middle of something.

use deadpool::managed::{Manager, Object, Pool, PoolConfig, PoolError, QueueMode};

use super::Error;

/// How many connections a process keeps to the database.
const CONNECTIONS: usize = 16;

pub(crate) fn pool<M: Manager>(manager: M) -> Result<Pool<M>, Error> {
    let mut config = PoolConfig::new(CONNECTIONS);
    // The one used last is the least likely to be stale.
    config.queue_mode = QueueMode::Lifo;
    let pool = Pool::builder(manager).config(config).build();
    pool.map_err(|error| Error::Connection(error.to_string()))
}

/// A connection in use. It goes back to the pool when it is [given back](Self::give_back); dropped
/// otherwise, as when the time limit is over, it is closed, for an answer may still be on its way.
/// The idle ones are closed with it: what happened to it has likely happened to them.
pub(crate) struct Lease<M: Manager>(Option<Object<M>>);

impl<M: Manager> Lease<M> {
    pub fn none() -> Self {
        Self(None)
    }

    /// `describe` puts the manager's error into words.
    pub async fn connection(
        &mut self,
        pool: &Pool<M>,
        describe: impl Fn(M::Error) -> Error,
    ) -> Result<&mut M::Type, Error> {
        match pool.get().await {
            Ok(object) => Ok(self.0.insert(object)),
            Err(PoolError::Backend(error)) => Err(describe(error)),
            Err(_) => Err(Error::Connection("the connections were closed".into())),
        }
    }

    /// The result of the work, the connection going back if it is as good as before.
    pub fn give_back<T>(mut self, result: Result<T, Error>) -> Result<T, Error> {
        if result.as_ref().err().is_none_or(Error::leaves_connection_usable) {
            drop(self.0.take());
        }
        result
    }
}

impl<M: Manager> Drop for Lease<M> {
    fn drop(&mut self) {
        if let Some(object) = self.0.take() {
            let pool = Object::pool(&object);
            drop(Object::take(object));
            if let Some(pool) = pool {
                drop(pool.retain(|_, _| false));
            }
        }
    }
}

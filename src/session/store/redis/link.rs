//! One connection to one server, shared by all requests and made again when it is lost.

use std::fmt;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use redis::aio::MultiplexedConnection;
use redis::io::tcp::socket2::{SockRef, TcpKeepalive};
use redis::{AsyncConnectionConfig, Pipeline, RedisConnectionInfo, Value, pipe};
use rocket::futures::FutureExt;
use rocket::futures::future::{BoxFuture, Shared};
use rocket::tokio;
use rocket::tokio::net::TcpStream;
use rocket::tokio::task::JoinHandle;
use rocket::tokio::time::timeout;

use super::error::{Failure, unexpected};
use super::sentinel::Primary;
use super::tls::Tls;
use super::url::Place;

/// The longest that an attempt to connect may take when callers wait for `limit`: short, so that
/// the first one after an outage comes soon, and less than the limit, so that they hear why.
pub fn longest_attempt(limit: Duration) -> Duration {
    (limit * 4 / 5).min(Duration::from_secs(1))
}

/// Where the connection goes to.
pub enum Goal {
    /// A server.
    Server { place: Place, tls: Option<Tls> },
    /// The primary that Sentinels name at the time.
    Primary(Primary),
}

/// The one connection to a server. Clones share it.
#[derive(Clone)]
pub struct Link(Arc<Inner>);

struct Inner {
    goal: Goal,
    /// How long callers wait for an operation.
    limit: Duration,
    state: Mutex<State>,
}

enum State {
    Down,
    Connecting(Shared<BoxFuture<'static, Result<Arc<Connection>, Failure>>>),
    Up(Arc<Connection>),
}

/// A connection that is signed in. It is closed when the last to use it lets go.
pub struct Connection {
    multiplexed: MultiplexedConnection,
    driver: JoinHandle<()>,
    last_answer: Mutex<Instant>,
    /// Whether it goes to a server that is not to be asked any more, and what finds that out.
    left: Arc<AtomicBool>,
    watch: Option<JoinHandle<()>>,
}

impl fmt::Debug for Link {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0.goal {
            Goal::Server { place, .. } => write!(formatter, "Link({})", place.address),
            Goal::Primary(primary) => write!(formatter, "Link({:?})", primary.name),
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Link {
    pub fn new(goal: Goal, limit: Duration) -> Self {
        Self(Arc::new(Inner { goal, limit, state: Mutex::new(State::Down) }))
    }

    /// Sends commands together and gives the answer to each, which may be a server's error.
    pub async fn ask(&self, commands: &Pipeline) -> Result<Vec<Value>, Failure> {
        let connection = self.connection().await?;
        let watch = Watch { link: self, connection: &connection, sent: Instant::now() };
        let answers = connection.ask(commands).await;
        std::mem::forget(watch);
        match &answers {
            Ok(answers) => {
                *lock(&connection.last_answer) = Instant::now();
                // The primary has become a replica, so another server is the primary.
                if answers.iter().any(is_of_replica) {
                    self.discard(&connection);
                }
            }
            Err(_) => self.discard(&connection),
        }
        answers
    }

    /// The connection, made now if there is none. All who wait for it wait for the same attempt,
    /// which goes on without them.
    async fn connection(&self) -> Result<Arc<Connection>, Failure> {
        let attempt = {
            let mut state = lock(&self.0.state);
            match &*state {
                State::Up(connection) if connection.is_usable() => {
                    return Ok(Arc::clone(connection));
                }
                State::Connecting(attempt) if attempt.peek().is_none() => attempt.clone(),
                // An attempt that has ended and is still here was cut short with its runtime.
                State::Up(_) | State::Connecting(_) | State::Down => {
                    let attempt = tokio::spawn(self.clone().connect());
                    let attempt = attempt.map(|ended| ended.unwrap_or(Err(Failure::Lost)));
                    let attempt = attempt.boxed().shared();
                    *state = State::Connecting(attempt.clone());
                    attempt
                }
            }
        };
        attempt.await
    }

    async fn connect(self) -> Result<Arc<Connection>, Failure> {
        let bound = longest_attempt(self.0.limit);
        let result = match timeout(bound, self.0.goal.connect()).await {
            Ok(result) => result.map(Arc::new),
            Err(_) => Err(self.0.goal.too_slow()),
        };
        *lock(&self.0.state) = match &result {
            Ok(connection) => State::Up(Arc::clone(connection)),
            Err(_) => State::Down,
        };
        result
    }

    /// Makes the next request use another connection than this.
    fn discard(&self, connection: &Arc<Connection>) {
        let mut state = lock(&self.0.state);
        if matches!(&*state, State::Up(current) if Arc::ptr_eq(current, connection)) {
            *state = State::Down;
        }
    }
}

/// A request that waits for its answer. When its caller gives up, and nothing came in meanwhile
/// though there was time enough, the connection is not trusted any more: its server hangs, or is
/// gone without having closed it.
struct Watch<'a> {
    link: &'a Link,
    connection: &'a Arc<Connection>,
    sent: Instant,
}

impl Drop for Watch<'_> {
    fn drop(&mut self) {
        let silent = *lock(&self.connection.last_answer) < self.sent;
        if silent && self.sent.elapsed() >= self.link.0.limit / 2 {
            self.link.discard(self.connection);
        }
    }
}

/// By which rule a server throws records out, as it tells of its memory; `None` where it does not.
fn eviction(memory: &Value) -> Option<&str> {
    let text = match memory {
        Value::BulkString(bytes) => std::str::from_utf8(bytes).ok()?,
        Value::VerbatimString { text, .. } => text,
        _ => return None,
    };
    let field = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
    field("maxmemory:").filter(|limit| *limit != "0")?;
    field("maxmemory_policy:").filter(|policy| *policy != "noeviction")
}

fn is_of_replica(answer: &Value) -> bool {
    matches!(answer, Value::ServerError(error)
        if matches!(error.code(), "READONLY" | "MASTERDOWN")
            || error.details().is_some_and(|text| text.contains("-READONLY ")))
}

impl Goal {
    async fn connect(&self) -> Result<Connection, Failure> {
        match self {
            Self::Server { place, tls } => Connection::open(place, tls.as_ref()).await,
            Self::Primary(primary) => primary.connect().await,
        }
    }

    fn too_slow(&self) -> Failure {
        match self {
            Self::Server { place, .. } => {
                let slow = match place.tls {
                    true => "it does not answer; one without TLS is reached by redis://",
                    false => "it does not answer",
                };
                Failure::connect(&place.address, io::Error::other(slow))
            }
            Self::Primary(_) => Failure::NoPrimary("none in time".into()),
        }
    }
}

impl Connection {
    /// Connects and signs in.
    pub async fn open(place: &Place, tls: Option<&Tls>) -> Result<Self, Failure> {
        let address = &place.address;
        let failed = |error| Failure::connect(address, error);
        let stream = TcpStream::connect((&*address.host, address.port)).await.map_err(failed)?;
        stream.set_nodelay(true).map_err(failed)?;
        // A server that is gone without a word is noticed though nobody asks it anything.
        let keepalive = TcpKeepalive::new()
            .with_time(Duration::from_secs(30))
            .with_interval(Duration::from_secs(10));
        SockRef::from(&stream).set_tcp_keepalive(&keepalive).map_err(failed)?;

        let info = RedisConnectionInfo::default().set_skip_set_lib_name();
        let config = AsyncConnectionConfig::new().set_response_timeout(None);
        let (multiplexed, driver) = match tls {
            None => {
                let made = MultiplexedConnection::new_with_config(&info, stream, config).await;
                let (multiplexed, driver) = made.map_err(|error| Failure::of_connection(&error))?;
                (multiplexed, tokio::spawn(driver))
            }
            Some(tls) => {
                let stream = tls.wrap(&address.host, stream).await.map_err(failed)?;
                let made = MultiplexedConnection::new_with_config(&info, stream, config).await;
                let (multiplexed, driver) = made.map_err(|error| Failure::of_connection(&error))?;
                (multiplexed, tokio::spawn(driver))
            }
        };
        let last_answer = Mutex::new(Instant::now());
        let connection =
            Self { multiplexed, driver, last_answer, left: Arc::default(), watch: None };
        match connection.sign_in(place).await {
            Ok(()) => Ok(connection),
            Err(Failure::Lost) => Err(failed(io::Error::other(
                "it says nothing and closes the connection; one with TLS is reached by rediss://",
            ))),
            Err(failure) => Err(failure),
        }
    }

    async fn sign_in(&self, place: &Place) -> Result<(), Failure> {
        let mut commands = pipe();
        if let Some(password) = &place.login.password {
            let auth = commands.cmd("AUTH");
            place.login.user.iter().for_each(|user| {
                auth.arg(user);
            });
            auth.arg(password);
        }
        if place.database != 0 {
            commands.cmd("SELECT").arg(place.database);
        }
        let wanted = if place.sentinel { 0 } else { commands.len() };
        // So that operators see whose connection it is. Some users may not; that is no harm.
        commands.cmd("CLIENT").arg("SETNAME").arg("dewar");
        if !place.sentinel {
            commands.cmd("INFO").arg("memory");
        }
        let mut answers = self.ask(&commands).await?;
        if let Some(policy) = answers.last().and_then(eviction) {
            log::warn!(
                "Redis at {} has maxmemory-policy {policy}: when memory is short it signs visitors \
                 out; set it to noeviction",
                place.address
            );
        }
        answers.truncate(wanted);
        match answers.into_iter().find(|answer| !matches!(answer, Value::Okay)) {
            Some(other) => Err(unexpected(Some(other))),
            None => Ok(()),
        }
    }

    /// Leaves the server when `watch` sets its flag.
    pub fn leave_when<F>(&mut self, watch: impl FnOnce(Arc<AtomicBool>) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.watch = Some(tokio::spawn(watch(Arc::clone(&self.left))));
    }

    fn is_usable(&self) -> bool {
        !self.driver.is_finished() && !self.left.load(Ordering::Relaxed)
    }

    /// Sends commands together and gives the answer to each.
    pub async fn ask(&self, commands: &Pipeline) -> Result<Vec<Value>, Failure> {
        let count = commands.len();
        let mut multiplexed = self.multiplexed.clone();
        let answers = multiplexed.send_packed_commands(commands, 0, count).await;
        answers.map_err(|error| Failure::of_connection(&error))
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.driver.abort();
        if let Some(watch) = &self.watch {
            watch.abort();
        }
    }
}

//! `dewar serve`: runs the server.

use figment::Figment;
use rocket::error::ErrorKind;
use rocket::fairing::AdHoc;
use rocket::tokio::runtime::Builder;
use rocket::{Build, Orbit, Rocket, Shutdown};

use super::{Context, Failure, check, stop, systemd};
use crate::auth::RecordClients;
use crate::config::{self, Config, Live};
use crate::metrics::endpoint;
use crate::session::Sessions;
use crate::session::settings::Reader;
use crate::{clients, logging};

pub fn run(context: &Context) -> Result<(), Failure> {
    let figment = context.figment()?;
    let file = config::locate(context.config.as_deref())?;
    let checked = Config::from_figment(&figment)?;
    let rocket_config = config::rocket_config(&figment)?;
    let warnings = check::warnings(&checked, &rocket_config, &Reader::new(&figment));
    let reload = move || {
        let figment = config::figment(file.as_deref()).map_err(|error| error.to_string())?;
        let config = Config::from_figment(&figment).map_err(|error| error.to_string())?;
        Ok((figment, config))
    };
    launch(figment, move |rocket| {
        warnings.iter().for_each(|warning| log::warn!("{warning}"));
        rocket.attach(AdHoc::on_liftoff("Service", |rocket| {
            Box::pin(async move {
                // First, as a SIGHUP that nobody handles ends the process.
                on_hangup(rocket, reload);
                warn_without_accounts(rocket).await;
                systemd::ready(rocket);
            })
        }))
    })
}

/// Runs the application in a runtime of the configured size until it is told to stop.
pub fn launch(
    figment: Figment,
    attach: impl FnOnce(Rocket<Build>) -> Rocket<Build>,
) -> Result<(), Failure> {
    without_core_dumps();
    let size = config::rocket_config(&figment)?;
    let config = Config::from_figment(&figment)?;
    logging::configure(&config.log);
    logging::in_background()?;
    let runtime = Builder::new_multi_thread()
        .worker_threads(size.workers)
        .max_blocking_threads(size.max_blocking)
        .thread_name("rocket-worker-thread")
        .enable_all()
        .build()?;
    let rocket = runtime.block_on(async { crate::rocket(figment) })?;
    let metrics = runtime.block_on(serve_metrics(&rocket, &config))?;
    let rocket = stop::gently(attach(rocket)).attach(AdHoc::on_liftoff("Address", |rocket| {
        Box::pin(async move {
            let config = rocket.config();
            let address = std::net::SocketAddr::new(config.address, config.port);
            log::info!("serving on http://{address}");
            let live = rocket.state::<Live>();
            if let Some(url) = live.and_then(|live| live.get().urls.external("/")) {
                log::info!("people reach it at {url}");
            }
        })
    }));
    let launched = runtime.block_on(clients::launch(rocket));
    if let Some(metrics) = metrics {
        metrics.notify();
    }
    // Requests that outlive the grace period do not keep the process.
    runtime.shutdown_timeout(std::time::Duration::from_millis(500));
    match launched {
        Ok(_) => Ok(()),
        Err(error) => match error.kind() {
            ErrorKind::Shutdown(..) => {
                log::warn!("stopped with requests still running");
                Ok(())
            }
            ErrorKind::Bind(error) => Err(Failure::Failed(format!(
                "cannot listen on {}:{}: {error}",
                size.address, size.port
            ))),
            ErrorKind::Io(error) => Err(Failure::Failed(error.to_string())),
            kind => Err(Failure::Failed(format!("cannot start: {kind}"))),
        },
    }
}

/// Serves the metrics where they are wanted, before the pages: a start without them would go
/// unnoticed.
async fn serve_metrics(
    rocket: &Rocket<Build>,
    config: &Config,
) -> Result<Option<Shutdown>, Failure> {
    match (config.metrics.address, rocket.state(), rocket.state()) {
        (Some(address), Some(metrics), Some(live)) => {
            endpoint::serve(address, metrics, live).await.map_err(Failure::failed)
        }
        _ => Ok(None),
    }
}

/// A core dump would hold the secret key and what visitors send.
fn without_core_dumps() {
    use rustix::process::{Resource, Rlimit, setrlimit};
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    if let Err(error) = setrlimit(Resource::Core, none) {
        log::warn!("core dumps cannot be turned off: {error}");
    }
}

async fn warn_without_accounts(rocket: &Rocket<Orbit>) {
    if let Some(accounts) = rocket.state::<crate::auth::Accounts>()
        && let Ok(false) = accounts.any().await
    {
        log::warn!("there are no accounts yet; add one with `dewar user add NAME`");
    }
}

/// Reads the settings again at each SIGHUP; wrong ones are told of and the old ones stay.
fn on_hangup<R>(rocket: &Rocket<Orbit>, reload: R)
where
    R: Fn() -> Result<(Figment, Config), String> + Send + 'static,
{
    use rocket::tokio::signal::unix::{SignalKind, signal};
    let (Some(live), Some(sessions)) = (rocket.state::<Live>(), rocket.state::<Sessions>()) else {
        return;
    };
    let (live, sessions) = (live.clone(), sessions.clone());
    let (started, listening) = (live.get(), config::rocket_config(rocket.figment()).ok());
    let recorded = rocket.state::<RecordClients>().cloned();
    let Ok(mut hangups) = signal(SignalKind::hangup()) else {
        log::warn!("SIGHUP cannot be handled; settings are read at the start alone");
        return;
    };
    rocket::tokio::spawn(async move {
        while hangups.recv().await.is_some() {
            systemd::reloading();
            let applied = reload().and_then(|(figment, mut config)| {
                let old = live.get();
                let here = config::rocket_config(&figment).map_err(|error| error.to_string())?;
                let names = takes_a_restart(&started, &config)
                    .into_iter()
                    .chain(listening.iter().flat_map(|before| belongs_to_rocket(before, &here)));
                for name in names {
                    log::warn!("a changed {name} takes a restart");
                }
                // The templates, which stay as they are, name its files.
                config.files.dir.clone_from(&old.files.dir);
                if old.sessions.store != config.sessions.store {
                    log::warn!("a changed session store takes a restart");
                    return Err("the store's settings differ".into());
                }
                sessions.reload(&figment).map_err(|error| error.to_string())?;
                logging::configure(&config.log);
                if let Some(recorded) = &recorded {
                    recorded.set(config.accounts.record_client);
                }
                live.set(config);
                Ok(())
            });
            match applied {
                Ok(()) => log::info!("the settings were read again and are in force"),
                Err(problems) => {
                    for problem in problems.lines() {
                        log::error!("{problem}");
                    }
                    log::error!("the settings were not reloaded; the old ones stay in force");
                }
            }
            systemd::reloaded();
        }
    });
}

/// Rocket's own settings that differ, which it reads at the start alone.
fn belongs_to_rocket(old: &rocket::Config, new: &rocket::Config) -> Vec<&'static str> {
    [
        ("address", old.address != new.address),
        ("port", old.port != new.port),
        ("workers", old.workers != new.workers),
        ("max_blocking", old.max_blocking != new.max_blocking),
        ("limits", old.limits != new.limits),
    ]
    .into_iter()
    .filter_map(|(name, differs)| differs.then_some(name))
    .collect()
}

/// The settings that differ and are read at the start alone.
fn takes_a_restart(old: &Config, new: &Config) -> Vec<&'static str> {
    let (had, has) = (&old.requests, &new.requests);
    [
        ("DATABASE", old.database != new.database),
        ("METRICS_ADDRESS", old.metrics != new.metrics),
        ("DATABASE_RESERVE", old.database_reserve != new.database_reserve),
        ("template_dir", old.templates.dir != new.templates.dir),
        ("static_dir", old.files.dir != new.files.dir),
        (
            "EXPLAIN_TEMPLATE_LOADING",
            old.templates.explain_loading != new.templates.explain_loading,
        ),
        ("keep_alive", old.patience.keep_alive.is_none() != new.patience.keep_alive.is_none()),
        ("MAX_CONTENT_LENGTH", had.max_content_length != has.max_content_length),
        ("MAX_FORM_MEMORY_SIZE", had.max_form_memory_size != has.max_form_memory_size),
    ]
    .into_iter()
    .filter_map(|(name, differs)| differs.then_some(name))
    .collect()
}

//! What is asked of a run.

use std::net::SocketAddr;
use std::time::Duration;

pub const USAGE: &str = "usage: load ADDRESS PATH [OPTION VALUE]…
  --connections N    how many at once (32)
  --seconds S        how long to count (3), after
  --warm-up S        of the same without counting (0.5)
  --requests N       instead of a time: so many on each connection, all counted
  --rate R           so many a second whatever the answers take, timed from when they were due
  --open PATH        ask for this first on each connection, and keep the cookies
  --paths FILE       ask for these in turn, one line with each request, in place of PATH
  --share yes        …on one connection, whose cookies all then send
  --cookies FILE     send these in turn, one line with each request, in place of one's own
  --forget yes       send no cookie
  --form BODY        send a form, in --open where there is one and else in each request
  --status N         what an answer has to have (200)
  --marker TEXT      …and to hold, in head or body; may be given several times
  --every S          report each such span as well
  --pid N            a server whose CPU time, with that of its children, to report; may be given
                     several times";

pub struct Options {
    pub address: SocketAddr,
    pub path: String,
    pub connections: usize,
    pub seconds: Duration,
    pub warm_up: Duration,
    pub requests: Option<u64>,
    pub rate: Option<f64>,
    pub open: Option<String>,
    pub paths: Vec<String>,
    pub share: bool,
    pub cookies: Vec<String>,
    pub forget: bool,
    pub form: Option<String>,
    pub status: u16,
    pub markers: Vec<String>,
    pub every: Option<Duration>,
    pub pids: Vec<u32>,
}

impl Options {
    pub fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Self, String> {
        let (Some(address), Some(path)) = (arguments.next(), arguments.next()) else {
            return Err(USAGE.into());
        };
        let mut options = Self {
            address: address.parse().map_err(|_| format!("{address} is no address\n{USAGE}"))?,
            path,
            connections: 32,
            seconds: Duration::from_secs(3),
            warm_up: Duration::from_millis(500),
            requests: None,
            rate: None,
            open: None,
            paths: Vec::new(),
            share: false,
            cookies: Vec::new(),
            forget: false,
            form: None,
            status: 200,
            markers: Vec::new(),
            every: None,
            pids: Vec::new(),
        };
        while let Some(name) = arguments.next() {
            let value = arguments.next().ok_or(USAGE)?;
            options.set(&name, value).map_err(|problem| format!("{name}: {problem}\n{USAGE}"))?;
        }
        Ok(options)
    }

    fn set(&mut self, name: &str, value: String) -> Result<(), String> {
        match name {
            "--connections" => self.connections = number(&value)?,
            "--seconds" => self.seconds = seconds(&value)?,
            "--warm-up" => self.warm_up = seconds(&value)?,
            "--requests" => self.requests = Some(number(&value)?),
            "--rate" => self.rate = Some(number(&value)?),
            "--open" => self.open = Some(value),
            "--paths" => self.paths = lines(&value)?,
            "--share" => self.share = value == "yes",
            "--cookies" => self.cookies = lines(&value)?,
            "--forget" => self.forget = value == "yes",
            "--form" => self.form = Some(value),
            "--status" => self.status = number(&value)?,
            "--marker" => self.markers.push(value),
            "--every" => self.every = Some(seconds(&value)?),
            "--pid" => self.pids.push(number(&value)?),
            _ => return Err("no such option".into()),
        }
        Ok(())
    }
}

fn lines(file: &str) -> Result<Vec<String>, String> {
    let text = std::fs::read_to_string(file).map_err(|error| error.to_string())?;
    Ok(text.lines().map(str::to_owned).collect())
}

fn number<T: std::str::FromStr>(text: &str) -> Result<T, String> {
    text.parse().map_err(|_| format!("{text:?} is no number"))
}

fn seconds(text: &str) -> Result<Duration, String> {
    Duration::try_from_secs_f64(number(text)?).map_err(|error| error.to_string())
}

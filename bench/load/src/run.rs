//! One run: sign in, warm up, count.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use mio::{Events, Poll, Token};

use crate::connection::{Connection, Request};
use crate::cpu;
use crate::histogram::Histogram;
use crate::options::Options;

/// A server that answers nothing for this long is taken for dead.
const PATIENCE: Duration = Duration::from_secs(30);

struct Run<'o> {
    options: &'o Options,
    poll: Poll,
    events: Events,
    connections: Vec<Connection>,
    next_cookie: usize,
    /// What is asked for in turn, in place of the one request.
    paths: Vec<Request>,
    next_path: usize,
    counted: Counted,
    last_answer: Instant,
}

struct Counted {
    latencies: Histogram,
    errors: u64,
    first_error: Option<String>,
    span: Histogram,
    spans: Vec<String>,
}

impl Counted {
    fn new() -> Self {
        let (latencies, span) = (Histogram::new(), Histogram::new());
        Self { latencies, errors: 0, first_error: None, span, spans: Vec::new() }
    }

    fn end_span(&mut self) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let span = std::mem::replace(&mut self.span, Histogram::new());
        self.spans.push(format!(
            "{{\"at\": {:.3}, \"requests\": {}, \"p50_us\": {:.1}, \"p99_us\": {:.1}}}",
            now.as_secs_f64(),
            span.count(),
            span.quantile(0.5),
            span.quantile(0.99)
        ));
    }
}

/// Does what the options say and reports it as JSON.
pub fn run(options: &Options) -> Result<String, String> {
    let poll = Poll::new().map_err(|error| error.to_string())?;
    let connections = (0..options.connections)
        .map(|index| Connection::open(options.address, Token(index), poll.registry()))
        .collect::<Result<Vec<_>, _>>()?;
    let mut run = Run {
        options,
        poll,
        events: Events::with_capacity(1024),
        connections,
        next_cookie: 0,
        paths: options.paths.iter().map(|path| Request::new(path, None, 200, &[])).collect(),
        next_path: 0,
        counted: Counted::new(),
        last_answer: Instant::now(),
    };
    run.open()?;
    let form = options.form.as_deref().filter(|_| options.open.is_none());
    let request = Request::new(&options.path, form, options.status, &options.markers);
    match (options.requests, options.rate) {
        (Some(requests), _) => run.count(&request, requests),
        (None, Some(rate)) => run.at_rate(&request, rate),
        (None, None) => run.closed_loop(&request),
    }
}

impl Run<'_> {
    /// Signs the connections in, one after another.
    fn open(&mut self) -> Result<(), String> {
        let Some(path) = &self.options.open else { return Ok(()) };
        let form = self.options.form.as_deref();
        let request = Request::new(path, form, if form.is_some() { 303 } else { 200 }, &[]);
        let count = if self.options.share { 1 } else { self.connections.len() };
        for index in 0..count {
            self.connections[index].send(&request, None, Instant::now())?;
            while self.connections[index].waiting_since.is_some() {
                self.turn(&request, None, |_, _| Ok(()))?;
            }
            if let Some(problem) = self.counted.first_error.take() {
                return Err(format!("{path} failed: {problem}"));
            }
            if self.connections[index].cookies.is_empty() {
                return Err(format!("{path} sets no cookie"));
            }
        }
        if self.options.share {
            let cookies = self.connections[0].cookies.clone();
            self.connections.iter_mut().for_each(|other| other.cookies.clone_from(&cookies));
        }
        Ok(())
    }

    fn closed_loop(&mut self, request: &Request) -> Result<String, String> {
        self.send_on_all(request)?;
        let counting_from = Instant::now() + self.options.warm_up;
        let again = |run: &mut Self, index| run.send(request, index, Instant::now());
        while Instant::now() < counting_from {
            self.turn(request, None, again)?;
        }
        let (began, before) = self.begin()?;
        let end = began + self.options.seconds;
        let mut span_end = self.options.every.map(|every| began + every);
        loop {
            self.turn(request, None, again)?;
            let now = Instant::now();
            if let (Some(due), Some(every)) = (span_end, self.options.every)
                && now >= due
            {
                self.counted.end_span();
                span_end = Some(due + every);
            }
            if now >= end && self.counted.latencies.count() + self.counted.errors > 0 {
                return self.report(began, &before);
            }
        }
    }

    /// So many requests on each connection, all counted.
    fn count(&mut self, request: &Request, requests: u64) -> Result<String, String> {
        let mut left = vec![requests - 1; self.connections.len()];
        let (began, before) = self.begin()?;
        self.send_on_all(request)?;
        while self.connections.iter().any(|connection| connection.waiting_since.is_some()) {
            self.turn(request, None, |run, index| {
                if left[index] == 0 {
                    return Ok(());
                }
                left[index] -= 1;
                run.send(request, index, Instant::now())
            })?;
        }
        self.report(began, &before)
    }

    /// An open loop. It never sleeps, so that nothing is sent late on its account.
    fn at_rate(&mut self, request: &Request, rate: f64) -> Result<String, String> {
        let counting_from = Instant::now() + self.options.warm_up;
        let end = counting_from + self.options.seconds;
        let gap = Duration::from_secs_f64(1.0 / rate);
        let mut due = Instant::now();
        let mut begun = None;
        loop {
            let now = Instant::now();
            if begun.is_none() && now >= counting_from {
                begun = Some(self.begin()?);
            }
            if let (true, Some((began, before))) = (now >= end, &begun) {
                return self.report(*began, before);
            }
            let idle = self.connections.iter().position(|one| one.waiting_since.is_none());
            if let (true, Some(index)) = (now >= due, idle) {
                self.send(request, index, due)?;
                due += gap;
            }
            self.turn(request, Some(Duration::ZERO), |_, _| Ok(()))?;
        }
    }

    fn begin(&mut self) -> Result<(Instant, Vec<u64>), String> {
        self.counted = Counted::new();
        Ok((Instant::now(), self.cpu()?))
    }

    /// Of each server, and of this process.
    fn cpu(&self) -> Result<Vec<u64>, String> {
        let servers = self.options.pids.iter().map(|pid| cpu::of_tree(*pid));
        servers.chain([Ok(cpu::own())]).collect()
    }

    fn send_on_all(&mut self, request: &Request) -> Result<(), String> {
        (0..self.connections.len()).try_for_each(|index| self.send(request, index, Instant::now()))
    }

    fn send(&mut self, request: &Request, index: usize, since: Instant) -> Result<(), String> {
        let cookies = &self.options.cookies;
        let cookie = match cookies.len() {
            0 => self.options.forget.then_some(""),
            count => {
                // In no order, so that neighbours in the file are not asked for together.
                self.next_cookie = (self.next_cookie + 61_803) % count;
                Some(cookies[self.next_cookie].as_str())
            }
        };
        let request = match self.paths.len() {
            0 => request,
            count => {
                self.next_path = (self.next_path + 1) % count;
                &self.paths[self.next_path]
            }
        };
        self.connections[index].send(request, cookie, since)
    }

    /// Takes the answers that have come, and calls `then` for each connection that is free again.
    fn turn(
        &mut self,
        request: &Request,
        wait: Option<Duration>,
        mut then: impl FnMut(&mut Self, usize) -> Result<(), String>,
    ) -> Result<(), String> {
        let wait = wait.unwrap_or(Duration::from_millis(100));
        match self.poll.poll(&mut self.events, Some(wait)) {
            Err(error) if error.kind() != std::io::ErrorKind::Interrupted => {
                return Err(error.to_string());
            }
            _ => {}
        }
        let ready: Vec<usize> = self.events.iter().map(|event| event.token().0).collect();
        for index in ready {
            let since = self.connections[index].waiting_since;
            let answer = self.connections[index].receive(request, self.poll.registry());
            let Some(answer) = answer else { continue };
            self.last_answer = Instant::now();
            match (answer, since) {
                (Ok(()), Some(since)) => {
                    let latency = self.last_answer - since;
                    self.counted.latencies.record(latency);
                    if self.options.every.is_some() {
                        self.counted.span.record(latency);
                    }
                }
                (Ok(()), None) => return Err("an answer to nothing".into()),
                (Err(problem), _) => {
                    self.counted.errors += 1;
                    self.counted.first_error.get_or_insert(problem);
                    self.connections[index].waiting_since = None;
                }
            }
            then(self, index)?;
        }
        let waiting = self.connections.iter().any(|one| one.waiting_since.is_some());
        if waiting && self.last_answer.elapsed() > PATIENCE {
            return Err(format!("no answer for {PATIENCE:?}"));
        }
        Ok(())
    }

    fn report(&mut self, began: Instant, before: &[u64]) -> Result<String, String> {
        let seconds = began.elapsed().as_secs_f64();
        let after = self.cpu()?;
        let mut cpu: Vec<u64> = after.iter().zip(before).map(|(b, a)| b - a).collect();
        let own = cpu.pop().unwrap_or(0);
        let Counted { latencies, errors, first_error, spans, .. } = &self.counted;
        let error = first_error.as_ref().map_or("null".into(), |text| quoted(text));
        Ok(format!(
            "{{\"requests\": {}, \"errors\": {errors}, \"first_error\": {error}, \
             \"seconds\": {seconds:.4}, \"cpu_us\": {cpu:?}, \"own_cpu_us\": {own}, \
             \"p50_us\": {:.1}, \"p99_us\": {:.1}, \"max_us\": {:.1}, \"spans\": [{}], \
             \"cookie\": {}}}",
            latencies.count(),
            latencies.quantile(0.5),
            latencies.quantile(0.99),
            latencies.largest(),
            spans.join(", "),
            quoted(&self.connections[0].own_cookies())
        ))
    }
}

/// A JSON string.
fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if c.is_control() => quoted.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => quoted.push(c),
        }
    }
    quoted + "\""
}

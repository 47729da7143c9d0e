//! The lines on their way to standard error, which nobody has to wait for.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

/// How much may wait to be written, in bytes; what comes then is dropped and counted.
const CAPACITY: usize = 1024 * 1024;
/// Lines that have gathered are written together, up to about this size.
const AT_ONCE: usize = 32 * 1024;
/// How often the thread looks whether something is due.
const TICK: Duration = Duration::from_secs(1);

pub struct Queue {
    sender: Sender<Item>,
    counts: Arc<Counts>,
}

enum Item {
    Line(String),
    /// Whoever waits for the lines before it.
    Flush(Sender<()>),
}

#[derive(Default)]
struct Counts {
    /// Bytes that wait.
    waiting: AtomicUsize,
    dropped: AtomicU64,
}

impl Queue {
    /// Starts the thread that writes. About once a second `due` adds lines of its own, and is told
    /// how many were dropped that it was not told of yet.
    pub fn start(due: impl Fn(u64) -> String + Send + 'static) -> io::Result<Self> {
        let out = standard_error()?;
        let (sender, items) = mpsc::channel();
        let counts = Arc::new(Counts::default());
        let writer =
            Writer { out, items, counts: Arc::clone(&counts), told: 0, ticked: Instant::now() };
        std::thread::Builder::new().name("dewar-log".into()).spawn(move || writer.run(due))?;
        Ok(Self { sender, counts })
    }

    /// Hands a line over, or drops it when too much waits already.
    pub fn put(&self, line: String) {
        let length = line.len();
        let waiting = self.counts.waiting.fetch_add(length, Ordering::Relaxed);
        if waiting + length > CAPACITY || self.sender.send(Item::Line(line)).is_err() {
            self.counts.waiting.fetch_sub(length, Ordering::Relaxed);
            self.counts.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Waits until what was put in is written, at most for `limit`.
    pub fn flush(&self, limit: Duration) {
        let (done, wait) = mpsc::channel();
        if self.sender.send(Item::Flush(done)).is_ok() {
            let _ = wait.recv_timeout(limit);
        }
    }

    pub fn dropped(&self) -> u64 {
        self.counts.dropped.load(Ordering::Relaxed)
    }
}

struct Writer<W> {
    out: W,
    items: Receiver<Item>,
    counts: Arc<Counts>,
    /// How many dropped lines the log was told of.
    told: u64,
    ticked: Instant,
}

impl<W: Write> Writer<W> {
    fn run(mut self, due: impl Fn(u64) -> String) {
        loop {
            match self.items.recv_timeout(TICK) {
                Ok(first) => self.write_from(first),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            if self.ticked.elapsed() >= TICK {
                self.ticked = Instant::now();
                let dropped = self.counts.dropped.load(Ordering::Relaxed);
                if self.out.write_all(due(dropped - self.told).as_bytes()).is_ok() {
                    self.told = dropped;
                }
            }
        }
    }

    /// Writes an item's line and those that came after it.
    fn write_from(&mut self, first: Item) {
        let (mut text, mut lines) = (String::new(), 0);
        let mut next = Some(first);
        while let Some(item) = next {
            match item {
                Item::Line(line) => {
                    self.counts.waiting.fetch_sub(line.len(), Ordering::Relaxed);
                    text += &line;
                    lines += 1;
                }
                Item::Flush(done) => {
                    self.write(&std::mem::take(&mut text), std::mem::take(&mut lines));
                    let _ = done.send(());
                }
            }
            next = if text.len() < AT_ONCE { self.items.try_recv().ok() } else { None };
        }
        self.write(&text, lines);
    }

    /// A dead log is no reason to stop serving: what cannot be written is dropped.
    fn write(&mut self, text: &str, lines: usize) {
        if self.out.write_all(text.as_bytes()).is_err() {
            self.counts.dropped.fetch_add(lines as u64, Ordering::Relaxed);
        }
    }
}

/// Standard error without the standard library's lock, which whoever else writes there would wait
/// for.
fn standard_error() -> io::Result<File> {
    Ok(File::from(io::stderr().as_fd().try_clone_to_owned()?))
}

/// Whether standard error leads to systemd's journal, which says which file that is.
pub fn is_the_journal() -> bool {
    let named = std::env::var("JOURNAL_STREAM").unwrap_or_default();
    let file = standard_error().and_then(|file| file.metadata());
    file.is_ok_and(|file| named == format!("{}:{}", file.dev(), file.ino()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A log that fails as long as it is told to.
    #[derive(Clone, Default)]
    struct Out(Arc<std::sync::Mutex<(bool, String)>>);

    impl Write for Out {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let mut out = self.0.lock().unwrap();
            if out.0 {
                return Err(io::ErrorKind::StorageFull.into());
            }
            out.1 += std::str::from_utf8(bytes).unwrap();
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn lines_that_cannot_be_written_are_counted_and_told_of_later() {
        let out = Out::default();
        let (sender, items) = mpsc::channel();
        let counts = Arc::new(Counts::default());
        let ticked = Instant::now();
        let writer = Writer { out: out.clone(), items, counts: counts.clone(), told: 0, ticked };
        let queue = Queue { sender, counts };
        let due = |dropped: u64| match dropped {
            0 => String::new(),
            _ => format!("{dropped} dropped\n"),
        };
        let thread = std::thread::spawn(move || writer.run(due));
        let wait = Duration::from_secs(10);
        queue.put("one\n".into());
        queue.flush(wait);
        out.0.lock().unwrap().0 = true;
        queue.put("two\n".into());
        queue.put("three\n".into());
        queue.flush(wait);
        assert_eq!(queue.dropped(), 2);
        out.0.lock().unwrap().0 = false;
        std::thread::sleep(TICK + TICK / 2);
        queue.put("four\n".into());
        queue.flush(wait);
        drop(queue);
        thread.join().unwrap();
        let written = &out.0.lock().unwrap().1;
        assert!(written.contains("one\n") && written.contains("four\n"), "{written:?}");
        assert!(written.contains("2 dropped\n") && !written.contains("two"), "{written:?}");
    }
}

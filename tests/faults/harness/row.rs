//! The outcome of a test, for the table of faults.

use std::io::Write;

use serde_json::json;

/// A row of the table. When it is dropped it is printed, and added to `target/faults.jsonl`.
pub struct Row {
    number: u8,
    fault: &'static str,
    pub rounds: usize,
    pub acknowledged: usize,
    pub lost: usize,
    pub revived: usize,
    figures: Vec<String>,
}

impl Row {
    pub fn new(number: u8, fault: &'static str) -> Self {
        Self { number, fault, rounds: 0, acknowledged: 0, lost: 0, revived: 0, figures: vec![] }
    }

    /// Something measured.
    pub fn tell(&mut self, figure: impl Into<String>) {
        self.figures.push(figure.into());
    }

    /// Nothing acknowledged was lost, nothing ended came back.
    pub fn holds(&mut self, lost: usize, revived: usize) {
        (self.lost, self.revived) = (self.lost + lost, self.revived + revived);
        assert_eq!((self.lost, self.revived), (0, 0), "lost sign-ins and revived sign-outs");
    }
}

impl Drop for Row {
    fn drop(&mut self) {
        let line = json!({
            "row": self.number,
            "fault": self.fault,
            "full": super::full(),
            "rounds": self.rounds,
            "acknowledged": self.acknowledged,
            "lost": self.lost,
            "revived": self.revived,
            "figures": self.figures.join("; "),
            "verdict": if std::thread::panicking() { "broken" } else { "held" },
        });
        println!("{line}");
        let path = concat!(env!("CARGO_TARGET_TMPDIR"), "/../faults.jsonl");
        let file = std::fs::OpenOptions::new().create(true).append(true).open(path);
        let _ = file.and_then(|mut file| file.write_all(format!("{line}\n").as_bytes()));
    }
}

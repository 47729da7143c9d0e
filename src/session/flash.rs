//! Flash messages: left by one request, shown by the next.

use serde::Serialize;

use super::data::{Change, FLASHES};
use super::guard::Session;
use super::value::Value;

/// A message that [`Session::flash`] left for the next page.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FlashMessage {
    /// Flask's category, `message` if nothing else was said.
    pub category: String,
    /// The text.
    pub message: String,
}

impl Session {
    /// Leaves a message for the next page that shows them. Flask's usual category is `message`.
    pub fn flash(&self, message: &str, category: &str) {
        // Appending cannot fail.
        let _ = self.change(Change::Flash(category.into(), message.into()));
    }

    /// Takes the messages that were left; asked again in the same request it gives the same.
    /// Unless `categories` is empty, only those are given, and the others are gone all the same,
    /// as in Flask.
    pub fn flashed_messages(&self, categories: &[&str]) -> Vec<FlashMessage> {
        let mut state = self.look();
        if state.flashes.is_none() {
            let flashes = match state.values.get(FLASHES) {
                Some(Value::List(flashes)) => {
                    flashes.iter().filter_map(FlashMessage::read).collect()
                }
                _ => Vec::new(),
            };
            if let Some(Value::List(stored)) = state.values_mut().remove(FLASHES) {
                state.record(Change::TakeFlashes(stored));
            }
            state.flashes = Some(flashes);
        }
        let wanted =
            |flash: &&FlashMessage| categories.is_empty() || categories.contains(&&*flash.category);
        state.flashes.iter().flatten().filter(wanted).cloned().collect()
    }
}

impl FlashMessage {
    fn read(value: &Value) -> Option<Self> {
        let (Value::Tuple(pair) | Value::List(pair)) = value else { return None };
        match pair.as_slice() {
            [Value::Str(category), Value::Str(message) | Value::Markup(message)] => {
                Some(Self { category: category.clone(), message: message.clone() })
            }
            _ => None,
        }
    }
}

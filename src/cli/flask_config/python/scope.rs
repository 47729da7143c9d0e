//! The constants that an expression may name.

use std::collections::HashMap;

use super::literal::MAX_DEPTH;
use crate::cli::flask_config::value::Value;

/// How much may be copied out of constants in one file, in values and bytes of text. Without a
/// bound, a list of a list of a list would double its size with each line.
const BUDGET: usize = 1 << 20;

/// A constant with what [`Value::size`] says of it.
type Constant = (Value, (usize, usize));

/// The names of a file that have been assigned so far, those of a class or function over those of
/// the module. A name whose value is unknown hides one further out.
pub struct Scope {
    module: HashMap<String, Option<Constant>>,
    local: Option<HashMap<String, Option<Constant>>>,
    budget: usize,
}

impl Default for Scope {
    fn default() -> Self {
        Self { module: HashMap::new(), local: None, budget: BUDGET }
    }
}

impl Scope {
    /// What a name stands for, within `depth` brackets.
    ///
    /// The client of a server is no constant to build on; see [`Scope::client`].
    pub fn constant(&mut self, name: &str, depth: usize) -> Option<Value> {
        let (value, (size, levels)) = self.find(name)?;
        if matches!(value, Value::Client(_)) || depth + levels > MAX_DEPTH {
            return None;
        }
        let left = self.budget.checked_sub(*size)?;
        let value = value.clone();
        self.budget = left;
        Some(value)
    }

    /// The client that a name stands for.
    pub fn client(&self, name: &str) -> Option<Value> {
        let (value, _) = self.find(name)?;
        matches!(value, Value::Client(_)).then(|| value.clone())
    }

    /// Notes what a name stands for from here on; nothing that is known, when that is too much.
    pub fn set(&mut self, name: &str, value: Option<&Value>) {
        let constant = value.map(|value| (value, value.size())).and_then(|(value, size)| {
            self.budget = self.budget.checked_sub(size.0)?;
            Some((value.clone(), size))
        });
        self.local.as_mut().unwrap_or(&mut self.module).insert(name.into(), constant);
    }

    /// Enters a class or function.
    pub fn enter(&mut self) {
        self.local = Some(HashMap::new());
    }

    /// Leaves it again.
    pub fn leave(&mut self) {
        self.local = None;
    }

    fn find(&self, name: &str) -> Option<&Constant> {
        let local = self.local.as_ref().and_then(|names| names.get(name));
        local.or_else(|| self.module.get(name))?.as_ref()
    }
}

//! The classes of a file, what they inherit from each other, and which of them is meant.

use std::collections::HashMap;

use super::token::Token;
use crate::cli::flask_config::{Found, Problem, Unread, is_known};

/// Classes in a file.
const MAX_CLASSES: usize = 1_000;

/// Classes in the order in which the file defines them.
#[derive(Default)]
pub struct Classes<'s>(Vec<Class<'s>>);

struct Class<'s> {
    name: &'s str,
    line: usize,
    /// Itself and its ancestors in the order in which Python looks names up.
    lineage: Vec<usize>,
    /// A base that is not in this file.
    stranger: Option<&'s str>,
    found: Found,
}

impl<'s> Classes<'s> {
    /// Adds a class with the dotted names of its bases and what its body sets.
    pub fn add(
        &mut self,
        name: &Token<'s>,
        bases: impl Iterator<Item = Vec<&'s str>>,
        found: Found,
    ) {
        // One more than there may be tells that there are too many.
        if self.0.len() > MAX_CLASSES {
            return;
        }
        let (mut parents, mut stranger) = (Vec::new(), None);
        for base in bases {
            let known = match base[..] {
                [name] => self.position(name),
                _ => None,
            };
            match (known, base.last()) {
                (Some(parent), _) if !parents.contains(&parent) => parents.push(parent),
                (None, Some(base)) if *base != "object" => stranger = Some(*base),
                _ => {}
            }
        }
        let lineages = parents.iter().filter_map(|parent| Some(&*self.0.get(*parent)?.lineage));
        let mut lineage = vec![self.0.len()];
        lineage.extend(merge(&lineages.chain([&*parents]).collect::<Vec<_>>()));
        self.0.push(Class { name: name.text, line: name.line, lineage, stranger, found });
    }

    /// Whether there is a class of this name.
    pub fn has(&self, name: &str) -> bool {
        self.position(name).is_some()
    }

    /// What the class called `name` sets, or else the only one that sets something of Dewar's,
    /// inherited settings included.
    ///
    /// # Errors
    /// When there is no such class, or more than one.
    pub fn choose(&self, name: Option<&str>) -> Result<Found, String> {
        if self.0.len() > MAX_CLASSES {
            return Err(format!("has more than {MAX_CLASSES} classes"));
        }
        let candidates: Vec<&Class<'s>> = match name {
            Some(name) => self.position(name).and_then(|at| self.0.get(at)).into_iter().collect(),
            None => self.0.iter().filter(|class| self.lineage(class).any(sets_known)).collect(),
        };
        match (name, &candidates[..]) {
            (None, []) => Ok(Found::default()),
            (_, [class]) => Ok(self.inherited(class)),
            (Some(name), _) => {
                Err(format!("has no class {name}; it has: {}", names(&mut self.0.iter())))
            }
            (None, candidates) => Err(format!(
                "has several configuration classes ({}); choose one with --flask-class NAME",
                names(&mut candidates.iter().copied())
            )),
        }
    }

    fn position(&self, name: &str) -> Option<usize> {
        self.0.iter().rposition(|class| class.name == name)
    }

    fn lineage(&self, class: &Class<'s>) -> impl DoubleEndedIterator<Item = &Class<'s>> {
        class.lineage.iter().filter_map(|class| self.0.get(*class))
    }

    fn inherited(&self, class: &Class<'s>) -> Found {
        let mut found = Found::default();
        for class in self.lineage(class).rev() {
            found.add(&class.found);
            if let Some(base) = class.stranger {
                found.problem(|| Problem {
                    line: class.line,
                    name: None,
                    unread: Unread {
                        why: "inherits from a class that is not in this file",
                        source: Some(format!("class {}({base})", class.name)),
                    },
                });
            }
        }
        found
    }
}

fn sets_known(class: &Class<'_>) -> bool {
    let problems = class.found.problems.iter().filter_map(|problem| problem.name.as_deref());
    class.found.settings.keys().map(String::as_str).chain(problems).any(is_known)
}

fn names<'s>(classes: &mut dyn Iterator<Item = &Class<'s>>) -> String {
    classes.map(|class| class.name).collect::<Vec<_>>().join(", ")
}

/// Python's merge of its bases' lineages and of the list of the bases, known as C3: always the
/// first that stands behind none that is left.
fn merge(lists: &[&[usize]]) -> Vec<usize> {
    let mut behind: HashMap<usize, usize> = HashMap::new();
    for class in lists.iter().flat_map(|list| list.iter().skip(1)) {
        *behind.entry(*class).or_default() += 1;
    }
    let mut lists = lists.to_vec();
    let mut merged = Vec::new();
    loop {
        let mut heads = lists.iter().filter_map(|list| list.first());
        let free = |head: &&usize| behind.get(*head).is_none_or(|count| *count == 0);
        // Where there is none, Python refuses the class; any order will do.
        let Some(next) = heads.clone().find(free).or_else(|| heads.next()).copied() else {
            return merged;
        };
        merged.push(next);
        for list in &mut lists {
            if list.first() == Some(&next) {
                *list = list.get(1..).unwrap_or_default();
                if let Some(count) = list.first().and_then(|head| behind.get_mut(head)) {
                    *count = count.saturating_sub(1);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::merge;

    #[test]
    fn names_are_looked_up_in_pythons_order() {
        // class A, class B, class C(A, B), class D(C, A)
        let (a, b, c) = (&[0][..], &[1][..], &[2, 0, 1][..]);
        assert_eq!(merge(&[a, b, &[0, 1]]), [0, 1]);
        assert_eq!(merge(&[c, a, &[2, 0]]), [2, 0, 1]);
        // class E(A), class F(A), class G(E, F)
        assert_eq!(merge(&[&[4, 0], &[5, 0], &[4, 5]]), [4, 5, 0]);
        assert_eq!(merge(&[&[]]), [0_usize; 0]);
        // Python refuses class H(A, C).
        assert_eq!(merge(&[a, c, &[0, 2]]).len(), 4);
    }
}

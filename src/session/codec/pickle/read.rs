//! Reads pickles: the stack machine of Python's `pickle`, reduced to what builds plain data.

use std::collections::HashMap;

use super::class::{self, Class};
use super::object::{Object, Place, unfold};
use super::op;
use super::scalar::{decimal, integer, text, unescape};
use crate::session::codec::DecodeError;
use crate::session::codec::DecodeError::{NotPickle, NotUtf8, Refused, Truncated};
use crate::session::value::Value;

/// The value in a pickle.
pub fn read(pickle: &[u8]) -> Result<Value, DecodeError> {
    let mut machine = Machine { rest: pickle, ..Machine::default() };
    let root = machine.run()?;
    unfold(&machine.objects, root, pickle.len())
}

#[derive(Default)]
struct Machine<'a> {
    rest: &'a [u8],
    objects: Vec<Object>,
    stack: Vec<Place>,
    /// How high the stack was at each open mark.
    marks: Vec<usize>,
    memo: HashMap<u64, Place>,
}

impl<'a> Machine<'a> {
    /// Runs to the end and answers the one object that is left.
    fn run(&mut self) -> Result<Place, DecodeError> {
        loop {
            match self.number::<1>()? as u8 {
                op::STOP => break,
                op => self.step(op)?,
            }
        }
        match (&*self.stack, self.rest.len()) {
            ([root], 0) if self.marks.is_empty() => Ok(*root),
            (_, 0) => Err(NotPickle),
            (_, left) => Err(DecodeError::Trailing(left)),
        }
    }

    fn step(&mut self, op: u8) -> Result<(), DecodeError> {
        let value = match op {
            op::NONE => Value::Null,
            op::NEWTRUE => Value::Bool(true),
            op::NEWFALSE => Value::Bool(false),
            op::BININT1 => Value::Int(self.number::<1>()?.into()),
            op::BININT2 => Value::Int(self.number::<2>()?.into()),
            op::BININT => Value::Int((self.number::<4>()? as i32).into()),
            op::LONG1 => self.counted::<1>().and_then(integer)?,
            op::LONG4 => self.counted::<4>().and_then(integer)?,
            op::INT => match self.line()? {
                "00" => Value::Bool(false),
                "01" => Value::Bool(true),
                digits => decimal(digits)?,
            },
            op::LONG => self.line().and_then(|line| decimal(line.trim_end_matches('L')))?,
            op::BINFLOAT => Value::Float(f64::from_be_bytes(self.array()?)),
            op::FLOAT => Value::Float(self.line()?.parse().map_err(|_| NotPickle)?),
            op::UNICODE => Value::Str(unescape(self.raw_line()?)?),
            op::SHORT_BINUNICODE => self.counted::<1>().and_then(text)?,
            op::BINUNICODE => self.counted::<4>().and_then(text)?,
            op::BINUNICODE8 => self.counted::<8>().and_then(text)?,
            op::SHORT_BINBYTES => Value::Bytes(self.counted::<1>()?.to_vec()),
            op::BINBYTES => Value::Bytes(self.counted::<4>()?.to_vec()),
            op::BINBYTES8 => Value::Bytes(self.counted::<8>()?.to_vec()),
            _ => return self.structure(op),
        };
        self.push(Object::Value(value));
        Ok(())
    }

    /// The opcodes that put objects together.
    fn structure(&mut self, op: u8) -> Result<(), DecodeError> {
        match op {
            op::PROTO => {
                let protocol = self.number::<1>()?;
                if protocol > 5 {
                    return Err(Refused(format!("protocol {protocol}")));
                }
            }
            op::FRAME => drop(self.take(8)?),
            op::MARK => self.marks.push(self.stack.len()),
            op::EMPTY_LIST => self.push(Object::List(Vec::new())),
            op::EMPTY_DICT => self.push(Object::Dict(Vec::new())),
            op::EMPTY_TUPLE => self.push(Object::Tuple(Vec::new())),
            op::LIST => {
                let items = self.pop_to_mark()?;
                self.push(Object::List(items));
            }
            op::TUPLE => {
                let items = self.pop_to_mark()?;
                self.push(Object::Tuple(items));
            }
            op::TUPLE1 | op::TUPLE2 | op::TUPLE3 => {
                let mut items = Vec::with_capacity(3);
                for _ in op::TUPLE1..=op {
                    items.push(self.pop()?);
                }
                items.reverse();
                self.push(Object::Tuple(items));
            }
            op::DICT => {
                let entries = pairs(&self.pop_to_mark()?)?;
                self.push(Object::Dict(entries));
            }
            op::APPEND => {
                let item = self.pop()?;
                self.append(&[item])?;
            }
            op::APPENDS => {
                let items = self.pop_to_mark()?;
                self.append(&items)?;
            }
            op::SETITEM => {
                let (value, key) = (self.pop()?, self.pop()?);
                self.set(&[key, value])?;
            }
            op::SETITEMS => {
                let entries = self.pop_to_mark()?;
                self.set(&entries)?;
            }
            op::PUT => self.line().and_then(index).and_then(|index| self.put(index))?,
            op::BINPUT => self.number::<1>().and_then(|index| self.put(index))?,
            op::LONG_BINPUT => self.number::<4>().and_then(|index| self.put(index))?,
            op::MEMOIZE => self.put(self.memo.len() as u64)?,
            op::GET => self.line().and_then(index).and_then(|index| self.get(index))?,
            op::BINGET => self.number::<1>().and_then(|index| self.get(index))?,
            op::LONG_BINGET => self.number::<4>().and_then(|index| self.get(index))?,
            op::GLOBAL => {
                let class = Class::named(self.line()?, self.line()?)?;
                self.push(Object::Class(class));
            }
            op::STACK_GLOBAL => {
                let (name, module) = (self.pop()?, self.pop()?);
                let class = match (self.objects.get(module), self.objects.get(name)) {
                    (
                        Some(Object::Value(Value::Str(module))),
                        Some(Object::Value(Value::Str(name))),
                    ) => Class::named(module, name)?,
                    _ => return Err(NotPickle),
                };
                self.push(Object::Class(class));
            }
            op::REDUCE | op::NEWOBJ => {
                let (arguments, class) = (self.pop()?, self.pop()?);
                let (Some(Object::Class(class)), Some(Object::Tuple(arguments))) =
                    (self.objects.get(class), self.objects.get(arguments))
                else {
                    return Err(NotPickle);
                };
                let arguments: Vec<_> =
                    arguments.iter().filter_map(|place| self.objects.get(*place)).collect();
                let made = class.with(&arguments)?;
                self.push(made);
            }
            op::BUILD => self.build()?,
            op::EMPTY_SET | op::FROZENSET => return Err(Refused("a set".into())),
            _ => return Err(DecodeError::Opcode(op)),
        }
        Ok(())
    }

    /// Gives the `UUID` on the stack its state.
    fn build(&mut self) -> Result<(), DecodeError> {
        let (state, target) = (self.pop()?, self.top()?);
        let Some(Object::Dict(state)) = self.objects.get(state) else {
            return Err(Refused("a class with unusual state".into()));
        };
        let object = |place: Place| self.objects.get(place);
        let state: Vec<_> = state
            .iter()
            .filter_map(|(key, value)| Some((object(*key)?, object(*value)?)))
            .collect();
        let uuid = class::uuid(&state);
        match (self.objects.get_mut(target), uuid) {
            (Some(target @ Object::BlankUuid), Some(uuid)) => *target = Object::Value(uuid),
            _ => return Err(Refused("a class with unusual state".into())),
        }
        Ok(())
    }

    fn push(&mut self, object: Object) {
        self.stack.push(self.objects.len());
        self.objects.push(object);
    }

    /// The object on top, none of those below the last mark.
    fn top(&self) -> Result<Place, DecodeError> {
        let floor = self.marks.last().copied().unwrap_or(0);
        let top = self.stack.last().filter(|_| self.stack.len() > floor);
        top.copied().ok_or(NotPickle)
    }

    fn pop(&mut self) -> Result<Place, DecodeError> {
        let top = self.top()?;
        self.stack.pop();
        Ok(top)
    }

    fn pop_to_mark(&mut self) -> Result<Vec<Place>, DecodeError> {
        let mark = self.marks.pop().filter(|mark| *mark <= self.stack.len()).ok_or(NotPickle)?;
        Ok(self.stack.split_off(mark))
    }

    fn append(&mut self, items: &[Place]) -> Result<(), DecodeError> {
        let list = self.top()?;
        let Some(Object::List(list)) = self.objects.get_mut(list) else { return Err(NotPickle) };
        list.extend(items);
        Ok(())
    }

    fn set(&mut self, entries: &[Place]) -> Result<(), DecodeError> {
        let dict = self.top()?;
        let Some(Object::Dict(dict)) = self.objects.get_mut(dict) else { return Err(NotPickle) };
        dict.extend(pairs(entries)?);
        Ok(())
    }

    fn put(&mut self, index: u64) -> Result<(), DecodeError> {
        let top = self.top()?;
        self.memo.insert(index, top);
        Ok(())
    }

    fn get(&mut self, index: u64) -> Result<(), DecodeError> {
        let place = *self.memo.get(&index).ok_or(NotPickle)?;
        self.stack.push(place);
        Ok(())
    }

    fn take(&mut self, len: usize) -> Result<&'a [u8], DecodeError> {
        let (head, rest) = self.rest.split_at_checked(len).ok_or(Truncated)?;
        self.rest = rest;
        Ok(head)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let (head, rest) = self.rest.split_first_chunk().ok_or(Truncated)?;
        self.rest = rest;
        Ok(*head)
    }

    /// An unsigned number in `N` bytes, the lowest first.
    fn number<const N: usize>(&mut self) -> Result<u64, DecodeError> {
        let bytes: [u8; N] = self.array()?;
        Ok(bytes.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte)))
    }

    /// Bytes after their length in `N` bytes.
    fn counted<const N: usize>(&mut self) -> Result<&'a [u8], DecodeError> {
        let len = usize::try_from(self.number::<N>()?).map_err(|_| Truncated)?;
        self.take(len)
    }

    fn raw_line(&mut self) -> Result<&'a [u8], DecodeError> {
        let end = self.rest.iter().position(|byte| *byte == b'\n').ok_or(Truncated)?;
        let line = self.take(end)?;
        self.take(1)?;
        Ok(line)
    }

    fn line(&mut self) -> Result<&'a str, DecodeError> {
        std::str::from_utf8(self.raw_line()?).map_err(|_| NotUtf8)
    }
}

fn pairs(items: &[Place]) -> Result<Vec<(Place, Place)>, DecodeError> {
    let (pairs, []) = items.as_chunks() else { return Err(NotPickle) };
    Ok(pairs.iter().map(|[key, value]| (*key, *value)).collect())
}

fn index(line: &str) -> Result<u64, DecodeError> {
    line.parse().map_err(|_| NotPickle)
}

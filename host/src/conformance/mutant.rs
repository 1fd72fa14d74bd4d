//! Mutants of payloads: the same payload with one place changed, from a seed.

use serde_json::{Map, Value, json};

/// A changed payload.
pub(super) struct Mutant {
    pub body: Vec<u8>,
    pub change: &'static str,
    /// The names of the members on the way to the changed value, without the indexes of elements. Empty if the whole
    /// text changed.
    pub path: Vec<String>,
    /// Whether the changed value is an element of a list.
    pub is_item: bool,
}

/// One step on the way to a value.
#[derive(Clone)]
enum Step {
    Member(String),
    Item(usize),
}

/// Words in a mutant that stand for text which JSON values cannot contain.
const HALF_PAIR: &str = "@@HALF@@";
const REPEATED: &str = "@@AGAIN@@";
const NUMBER: &str = "@@NUMBER@@";
const NESTED: &str = "@@NESTED@@";
const DEPTH: usize = 300;
const NUMBERS: [&str; 5] =
    ["1e308", "123456789012345678901234567890", "-9223372036854775808", "1e-400", "18446744073709551615.5"];
const DATES: [&str; 6] = [
    "2026-02-30T25:61:61Z",
    "9999-12-31T23:59:59Z",
    "0000-00-00",
    "99999999999999999",
    "31/02/2026 99:99:99 PM",
    "2026-01-01T00:00:00+99:99",
];

/// Returns mutants of a payload with their seeds. A payload that is not one JSON value is changed as text only.
pub(super) fn mutants(body: &[u8], count: usize) -> impl Iterator<Item = (usize, Mutant)> {
    let has_places =
        |value: &Value| value.as_object().is_some_and(|members| !members.is_empty()) || value[0] != Value::Null;
    let value: Option<Value> = serde_json::from_slice(body).ok().filter(has_places);
    (0..count).map(move |seed| {
        let mut random = Random(seed as u64 ^ (body.len() as u64) << 32);
        let mutant = match &value {
            Some(value) if random.below(10) > 0 => change_value(value.clone(), &mut random),
            _ => change_text(body, &mut random),
        };
        (seed, mutant)
    })
}

/// SplitMix64: small, and the same in every version, so that a mutant can be made again from its seed.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end.max(1) as u64) as usize
    }

    fn pick<T: Clone>(&mut self, list: &[T]) -> T {
        list[self.below(list.len())].clone()
    }
}

fn change_text(body: &[u8], random: &mut Random) -> Mutant {
    let mut body = body.to_vec();
    let at = random.below(body.len());
    let change = match random.below(5) {
        0 => {
            body.truncate(at);
            "cut off"
        }
        1 => {
            body.splice(0..0, *b"\xEF\xBB\xBF");
            "a byte order mark"
        }
        2 => {
            let copy = body.clone();
            body.extend(copy);
            "twice in one body"
        }
        3 => {
            body.insert(at, 0xff);
            "a byte that is not UTF-8"
        }
        _ => {
            body[at..].iter_mut().take(1).for_each(|byte| *byte = random.next() as u8);
            "another byte"
        }
    };
    Mutant { body, change, path: Vec::new(), is_item: false }
}

fn change_value(mut value: Value, random: &mut Random) -> Mutant {
    let mut places = Vec::new();
    collect(&value, &mut Vec::new(), &mut places);
    let place = random.pick(&places);
    let path = place.iter().filter_map(|step| if let Step::Member(name) = step { Some(name.clone()) } else { None });
    let (path, is_item) = (path.collect(), place.iter().any(|step| matches!(step, Step::Item(_))));
    let parents = &place[..place.len().saturating_sub(1)];
    let parent = parents.iter().fold(&mut value, |value, step| match step {
        Step::Member(name) => &mut value[name],
        Step::Item(index) => &mut value[*index],
    });
    let (change, nested) = match (parent, place.last()) {
        (Value::Object(members), Some(Step::Member(name))) => change_member(members, name, random),
        (Value::Array(elements), Some(Step::Item(index))) if random.below(8) == 0 => {
            elements.remove(*index);
            ("removed", None)
        }
        (Value::Array(elements), Some(Step::Item(index))) => change_any(&mut elements[*index], random),
        _ => ("unchanged", None),
    };
    let mut text = value.to_string().replace(HALF_PAIR, "\\ud83d").replace(REPEATED, "");
    for number in NUMBERS {
        text = text.replace(&format!("\"{NUMBER}{number}\""), number);
    }
    if let Some(inner) = nested {
        let deep = "[".repeat(DEPTH) + &inner.to_string() + &"]".repeat(DEPTH);
        text = text.replace(&format!("\"{NESTED}\""), &deep);
    }
    Mutant { body: text.into_bytes(), change, path, is_item }
}

/// Collects the paths of all members and elements.
fn collect(value: &Value, path: &mut Vec<Step>, places: &mut Vec<Vec<Step>>) {
    let steps: Vec<(Step, &Value)> = match value {
        Value::Object(members) => members.iter().map(|(name, value)| (Step::Member(name.clone()), value)).collect(),
        Value::Array(elements) => {
            elements.iter().enumerate().map(|(index, value)| (Step::Item(index), value)).collect()
        }
        _ => Vec::new(),
    };
    for (step, value) in steps {
        path.push(step);
        places.push(path.clone());
        collect(value, path, places);
        path.pop();
    }
}

fn change_member(members: &mut Map<String, Value>, name: &str, random: &mut Random) -> (&'static str, Option<Value>) {
    match random.below(8) {
        0 => {
            members.remove(name);
            ("removed", None)
        }
        // The last of repeated members counts: this one comes first, because names are sorted.
        1 => {
            members.insert(format!("{REPEATED}{name}"), json!({"another": "value"}));
            ("a repeated key", None)
        }
        _ => change_any(&mut members[name], random),
    }
}

fn change_any(value: &mut Value, random: &mut Random) -> (&'static str, Option<Value>) {
    let others =
        [json!(null), json!(true), json!(7), json!(-1.5), json!("odd"), json!(""), json!("N/A"), json!([]), json!({})];
    match random.below(9) {
        0 => {
            *value = random.pick(&others);
            ("another type", None)
        }
        1 => {
            *value = json!([value.take()]);
            ("in a list", None)
        }
        2 => {
            *value = json!({"value": value.take()});
            ("in an object", None)
        }
        3 => {
            *value = json!(format!("{NUMBER}{}", random.pick(&NUMBERS)));
            ("a huge number", None)
        }
        4 => {
            *value = json!(random.pick(&DATES));
            ("an impossible time", None)
        }
        5 => {
            let inner = value.take();
            *value = json!(NESTED);
            ("nested", Some(inner))
        }
        6 => {
            *value = json!("long ".repeat(20_000));
            ("a long text", None)
        }
        _ => match value {
            Value::String(text) => {
                let end = text.floor_char_boundary(random.below(text.len()));
                text.truncate(end);
                text.push_str(HALF_PAIR);
                ("cut with half a surrogate pair", None)
            }
            _ => {
                *value = json!({"a": HALF_PAIR});
                ("half a surrogate pair in an object", None)
            }
        },
    }
}

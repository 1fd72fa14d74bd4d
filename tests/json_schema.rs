//! Checks JSON against the part of JSON Schema that the schemas beside the tests use.

use serde_json::Value;

/// Returns the values that a schema refuses, each with its path. Panics at a keyword that it does not know.
pub fn refusals(schema: &Value, value: &Value) -> Vec<String> {
    let mut refusals = Vec::new();
    Checked { root: schema, refusals: &mut refusals }.check(schema, value, "");
    refusals
}

struct Checked<'a> {
    root: &'a Value,
    refusals: &'a mut Vec<String>,
}

impl Checked<'_> {
    fn check(&mut self, schema: &Value, value: &Value, path: &str) {
        for (keyword, expected) in schema.as_object().unwrap() {
            if !self.fits(keyword, expected, schema, value, path) {
                self.refusals.push(format!("{path}: {value} has not `{keyword}` {expected}"));
            }
        }
    }

    fn fits(&mut self, keyword: &str, expected: &Value, schema: &Value, value: &Value, path: &str) -> bool {
        let list = || expected.as_array().unwrap();
        let has_all =
            |names: &Value| names.as_array().unwrap().iter().all(|name| value.get(name.as_str().unwrap()).is_some());
        match keyword {
            "$schema" | "$id" | "$defs" => true,
            "deprecated" => *expected != true,
            "$ref" => {
                let target = self.root.pointer(expected.as_str().unwrap().trim_start_matches('#')).unwrap();
                self.check(target, value, path);
                true
            }
            "type" if expected.is_array() => list().iter().any(|kind| is_of(kind, value)),
            "type" => is_of(expected, value),
            "const" => value == expected,
            "enum" => list().contains(value),
            "minimum" => value.as_f64() >= expected.as_f64(),
            "maximum" => value.as_f64() <= expected.as_f64(),
            "maxLength" => value.as_str().unwrap().chars().count() as u64 <= expected.as_u64().unwrap(),
            "required" => has_all(expected),
            "anyOf" => list().iter().any(|choice| has_all(&choice["required"])),
            "oneOf" => list().iter().filter(|choice| has_all(&choice["required"])).count() == 1,
            "properties" => {
                for (name, value) in value.as_object().into_iter().flatten() {
                    if let Some(schema) = expected.get(name) {
                        self.check(schema, value, &format!("{path}/{name}"));
                    }
                }
                true
            }
            "additionalProperties" if *expected == true => true,
            "additionalProperties" => {
                let known = &schema["properties"];
                value.as_object().is_some_and(|members| members.keys().all(|name| known.get(name).is_some()))
            }
            "items" => {
                for (index, value) in value.as_array().into_iter().flatten().enumerate() {
                    self.check(expected, value, &format!("{path}/{index}"));
                }
                true
            }
            keyword => panic!("{path}: the keyword `{keyword}` is not known"),
        }
    }
}

fn is_of(kind: &Value, value: &Value) -> bool {
    match kind.as_str().unwrap() {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        kind => panic!("the type `{kind}` is not known"),
    }
}

//! The part of a notification that decides which deliveries are queued, and the notifications that can be for a source.

use crate::{Filter, Trigger};
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

/// A configured notification, as far as the store needs it to queue deliveries.
#[derive(Clone, Debug)]
pub struct Rule {
    /// The notification's name.
    pub name: Arc<str>,
    /// The occasion.
    pub trigger: Trigger,
    /// The condition on the trigger's messages.
    pub filter: Arc<Filter>,
    /// The destination of each step.
    pub to: Arc<[String]>,
}

/// The notifications, in their order. Those that only some sources can cause are found by the source.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    rules: Vec<Rule>,
    /// For each source that a filter names, the indexes of the rules that it can cause.
    of_named: HashMap<String, Vec<usize>>,
    /// The indexes of those that every source can cause.
    of_any: Vec<usize>,
}

impl Rule {
    /// Returns the sources that can cause the notification; `None` if every source can.
    fn sources(&self) -> Option<BTreeSet<&str>> {
        self.filter.required(self.trigger.source_field()?)
    }
}

impl Rules {
    /// Sorts the rules by the sources that can cause them.
    pub fn new(rules: Vec<Rule>) -> Self {
        let (mut of_named, mut of_any) = (HashMap::<String, Vec<usize>>::new(), Vec::new());
        for (index, rule) in rules.iter().enumerate() {
            match rule.sources() {
                Some(sources) => sources.into_iter().for_each(|source| {
                    of_named.entry(source.to_owned()).or_insert_with(|| of_any.clone()).push(index);
                }),
                None => {
                    of_named.values_mut().chain([&mut of_any]).for_each(|indexes| indexes.push(index));
                }
            }
        }
        Self { rules, of_named, of_any }
    }

    /// Returns the rules, without those whose filter no incident or event of this source can fulfil.
    pub fn of_source(&self, source: &str) -> impl Iterator<Item = &Rule> {
        let indexes = self.of_named.get(source).unwrap_or(&self.of_any);
        indexes.iter().filter_map(|index| self.rules.get(*index))
    }

    /// Returns the rules with this trigger.
    pub fn with(&self, trigger: Trigger) -> impl Iterator<Item = &Rule> {
        self.iter().filter(move |rule| rule.trigger == trigger)
    }

    /// Returns all rules.
    pub fn iter(&self) -> impl Iterator<Item = &Rule> {
        self.rules.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn rules(filters: Vec<(Trigger, Value)>) -> Rules {
        let rule = |(index, (trigger, filter)): (usize, (Trigger, Value))| Rule {
            name: index.to_string().into(),
            trigger,
            filter: Arc::new(Filter::parse(&filter, trigger).unwrap()),
            to: Arc::default(),
        };
        Rules::new(filters.into_iter().enumerate().map(rule).collect())
    }

    fn names<'a>(rules: impl Iterator<Item = &'a Rule>) -> String {
        rules.map(|rule| &*rule.name).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn rules_that_a_source_cannot_cause_are_left_out() {
        let edr = json!({"_eq": {"object.source": "edr"}});
        let either = json!({"_in": {"_field": "object.source", "_values": ["edr", "siem", "edr"]}});
        let high = json!({"_gte": {"object.severity": "high"}});
        let rules = rules(vec![
            (Trigger::Any, json!({})),
            (Trigger::Any, edr.clone()),
            (Trigger::IncidentCreated, either.clone()),
            (Trigger::Any, json!({"_and": [high, edr]})),
            (Trigger::Any, json!({"_or": [edr, {"object.source": "mail"}]})),
            (Trigger::Any, json!({"_or": [edr, high]})),
            (Trigger::Any, json!({"_not": edr})),
            (Trigger::Any, json!({"_startsWith": {"object.source": "ed"}})),
            (Trigger::Any, json!({"_eq": {"object.source_ref": "siem"}})),
            (Trigger::EventReceived, json!({"event.source": "siem"})),
            (Trigger::EventReceived, json!({"_eq": {"event.body.source": "edr"}})),
            (Trigger::SourceSilent, json!({"_eq": {"object.name": "edr"}})),
            (Trigger::Any, json!({"_and": [either, edr]})),
        ]);
        assert_eq!(names(rules.of_source("edr")), "0 1 2 3 4 5 6 7 8 10 11 12");
        assert_eq!(names(rules.of_source("siem")), "0 2 5 6 7 8 9 10 11 12");
        assert_eq!(names(rules.of_source("mail")), "0 4 5 6 7 8 10 11");
        assert_eq!(names(rules.of_source("EDR")), "0 5 6 7 8 10 11");
        assert_eq!(names(rules.with(Trigger::EventReceived)), "9 10");
        for source in ["edr", "siem", "mail", "EDR", ""] {
            let message = json!({
                "object": {"source": source, "source_ref": source, "name": source, "severity": "high"},
                "event": {"source": source, "body": {"source": source}},
            });
            let matching = |rule: &&Rule| rule.filter.matches(&message);
            assert_eq!(names(rules.of_source(source).filter(matching)), names(rules.iter().filter(matching)));
        }
    }
}

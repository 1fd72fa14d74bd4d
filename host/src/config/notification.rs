//! Notifications as declared.

use super::scalar::Name;
use super::value::Interpolated;
use crate::deliver::{ContentOptions, Step, StepTemplates};
use anyhow::{Context, Result, ensure};
use hookmill_notify::{Filter, Rule, Trigger};
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The largest number of steps of one notification.
const STEPS_MAX: usize = 32;

/// One notification.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NotificationDeclaration {
    name: Name,
    enabled: Option<Interpolated<bool>>,
    trigger: Interpolated<Trigger>,
    #[serde(default)]
    filter: Option<Value>,
    notify: Vec<StepDeclaration>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StepDeclaration {
    to: Name,
    template: Option<String>,
    body: Option<String>,
    subject: Option<String>,
}

impl NotificationDeclaration {
    pub fn name(&self) -> &str {
        self.name.as_str()
    }

    /// Returns the rule, unless the notification is disabled, and its steps. The steps exist either way, because
    /// deliveries that are already in queues need them.
    ///
    /// # Errors
    /// Returns an error if the filter or a step is wrong.
    pub fn into_rule(self, contents: &BTreeMap<String, ContentOptions>) -> Result<(Option<Rule>, Vec<Step>)> {
        let trigger = self.trigger.0;
        let filter = self.filter.unwrap_or_else(|| Value::Object(serde_json::Map::new()));
        let filter = Filter::parse(&filter, trigger)?;
        ensure!(
            (1..=STEPS_MAX).contains(&self.notify.len()),
            "`notify` is a list of 1 to {STEPS_MAX} destinations; it has {}",
            self.notify.len()
        );
        let mut steps = Vec::new();
        for (index, StepDeclaration { to, template, body, subject }) in self.notify.into_iter().enumerate() {
            let to = String::from(to);
            let content = contents
                .get(&to)
                .with_context(|| format!("unknown destination `{to}`; declare it under `destinations`"))
                .and_then(|options| options.content(&StepTemplates { template, body, subject }, trigger));
            steps.push(Step { content: content.with_context(|| format!("notify[{index}] to {to}"))?, to });
        }
        let to = steps.iter().map(|step| step.to.clone()).collect();
        let rule = Rule { name: self.name.as_str().into(), trigger, filter: Arc::new(filter), to };
        Ok((self.enabled.is_none_or(|flag| flag.0).then_some(rule), steps))
    }
}

//! Notifications as they are declared.

use super::file::{Leaf, Name};
use crate::deliver::{ContentOptions, Step, StepTemplates};
use anyhow::{Context, Result, ensure};
use hookmill_notify::{Filter, Rule, Trigger};
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Steps of one notification.
const STEPS_MAX: usize = 32;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Notification {
    name: Name,
    enabled: Option<Leaf<bool>>,
    trigger: Leaf<Trigger>,
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

impl Notification {
    pub fn name(&self) -> &str {
        self.name.as_str()
    }

    /// When it tells whom, unless it is switched off, and what: that is kept for what is in queues.
    ///
    /// # Errors
    /// What is wrong, and what is allowed.
    pub fn into_rule(self, recipes: &BTreeMap<String, ContentOptions>) -> Result<(Option<Rule>, Vec<Step>)> {
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
            let content = recipes
                .get(&to)
                .with_context(|| format!("there is no destination `{to}`; declare it under `destinations`"))
                .and_then(|recipe| recipe.content(&StepTemplates { template, body, subject }, trigger));
            steps.push(Step { content: content.with_context(|| format!("notify[{index}] to {to}"))?, to });
        }
        let to = steps.iter().map(|step| step.to.clone()).collect();
        let rule = Rule { name: self.name.as_str().into(), trigger, filter: Arc::new(filter), to };
        Ok((self.enabled.is_none_or(|flag| flag.0).then_some(rule), steps))
    }
}

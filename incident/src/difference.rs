//! Differences between an incident and a later state of it, from which the earlier state is restored.
//!
//! An incident of a megabyte that changes a thousand times must not be stored a thousand times. The audit trail keeps
//! for each state what differed from the state after it; most changes add to the end of a list.

use crate::members::Members;
use crate::shown_incident::ShownIncidentRef;
use serde::{Deserialize, Serialize};
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// The members in which an incident differed from a later state, by their names.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Difference(BTreeMap<String, Member>);

/// The earlier value of one member.
#[derive(Debug, Serialize, Deserialize)]
struct Member {
    was: Box<RawValue>,
    /// The number of items that the earlier list shares with the later one at its start and at its end; `was` has only
    /// the items between them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    shared: Option<(usize, usize)>,
    /// The names in the later map that the earlier one did not have; `was` has only the values that changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    without: Option<Vec<String>>,
}

type Result<T> = serde_json::Result<T>;

impl Member {
    fn plain(value: &(impl Serialize + ?Sized)) -> Result<Self> {
        Ok(Self { was: to_raw_value(value)?, shared: None, without: None })
    }

    fn list<T: PartialEq + Serialize>(was: &[T], is: &[T]) -> Result<Self> {
        let first = was.iter().zip(is).take_while(|(was, is)| was == is).count();
        let (was, is) = (&was[first..], &is[first..]);
        let last = was.iter().rev().zip(is.iter().rev()).take_while(|(was, is)| was == is).count();
        Ok(Self { shared: Some((first, last)), ..Self::plain(&was[..was.len() - last])? })
    }

    fn map(was: &Map<String, Value>, is: &Map<String, Value>) -> Result<Self> {
        let changed: BTreeMap<_, _> = was.iter().filter(|(name, value)| is.get(*name) != Some(value)).collect();
        let without = is.keys().filter(|name| !was.contains_key(*name)).cloned().collect();
        Ok(Self { without: Some(without), ..Self::plain(&changed)? })
    }

    fn restore(&self, later: &RawValue) -> Result<Box<RawValue>> {
        if let Some((first, last)) = self.shared {
            let is: Vec<&RawValue> = serde_json::from_str(later.get())?;
            let was: Vec<&RawValue> = serde_json::from_str(self.was.get())?;
            let (first, last) = (&is[..first.min(is.len())], &is[is.len() - last.min(is.len())..]);
            return to_raw_value(&[first, &was, last].concat());
        }
        if let Some(without) = &self.without {
            let mut members: BTreeMap<String, Box<RawValue>> = serde_json::from_str(later.get())?;
            without.iter().for_each(|name| drop(members.remove(name)));
            members.extend(serde_json::from_str::<BTreeMap<String, Box<RawValue>>>(self.was.get())?);
            return to_raw_value(&members);
        }
        Ok(self.was.clone())
    }
}

impl Difference {
    /// Returns the earlier state as JSON, from the later one.
    ///
    /// # Errors
    /// Returns an error if `later` is not the state from which the difference was made.
    pub fn restore(&self, later: &RawValue) -> Result<Box<RawValue>> {
        let Members(mut members) = serde_json::from_str(later.get())?;
        let restored: Vec<_> = members
            .iter()
            .map(|(name, value)| self.0.get(*name).map(|member| member.restore(value)).transpose())
            .collect::<Result<_>>()?;
        for ((_, value), restored) in members.iter_mut().zip(&restored) {
            *value = restored.as_deref().unwrap_or(value);
        }
        to_raw_value(&Members(members))
    }
}

/// Adds the members of these names that `$differs` selects, made by the function of `Member` that is named before them.
macro_rules! members {
    ($difference:ident, $was:expr, $is:expr, $differs:expr; $($kind:ident: $($field:ident)*;)*) => {$($(
        if $differs || $was.$field != $is.$field {
            $difference.0.insert(stringify!($field).to_owned(), members!(@$kind $was.$field, $is.$field));
        }
    )*)*};
    (@plain $was:expr, $is:expr) => { Member::plain(&$was)? };
    (@list $was:expr, $is:expr) => { Member::list(&$was, &$is)? };
    (@map $was:expr, $is:expr) => { Member::map(&$was, &$is)? };
}

impl ShownIncidentRef<'_> {
    /// Returns everything in which the incident differed from a later state.
    ///
    /// # Errors
    /// Returns an error if a value has no JSON form.
    pub fn difference_from(&self, later: &ShownIncidentRef) -> Result<Difference> {
        let mut difference = Difference::default();
        let (was, is) = (self.incident, later.incident);
        members!(difference, was, is, false;
            plain: title description category severity status assignee tlp occurred_at external_link playbook triage plugin
                hold truncated updated_at revision;
            list: tags observables techniques notes;
            map: details;
        );
        members!(difference, self, later, false; plain: occurrences; list: event_ids;);
        Ok(difference)
    }

    /// Returns all members, so that the incident is restored from any later state.
    ///
    /// # Errors
    /// Returns an error if a value has no JSON form.
    pub fn whole(&self) -> Result<Difference> {
        let mut difference = Difference::default();
        let incident = self.incident;
        members!(difference, incident, incident, true;
            plain: title description category severity status assignee tlp occurred_at external_link playbook triage plugin
                hold truncated updated_at revision tags observables techniques notes details;
        );
        members!(difference, self, self, true; plain: occurrences event_ids;);
        Ok(difference)
    }

    /// Returns the members that change without an audit entry.
    ///
    /// # Errors
    /// Returns an error if a value has no JSON form.
    pub fn without_entry(&self) -> Result<Difference> {
        let mut difference = Difference::default();
        let incident = self.incident;
        members!(difference, incident, incident, true; plain: triage plugin truncated;);
        members!(difference, self, self, true; plain: occurrences event_ids;);
        Ok(difference)
    }
}

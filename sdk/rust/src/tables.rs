//! Tables of types of observables, each with the names or paths of the fields that contain such values.

use crate::{Fields, Incident, Observable, is_same_name};
use std::borrow::Cow;

impl Fields<'_> {
    /// Returns the present values at the paths of a table, which has types of observables with the paths of their fields: the
    /// type, the path and a value. `prefix` is put before the paths.
    pub fn typed<'f>(
        &'f self,
        prefix: &'f str,
        table: &'f [(&'f str, &'f [&'f str])],
    ) -> impl Iterator<Item = (&'f str, &'f str, &'f str)> {
        let paths = table.iter().flat_map(|(data_type, paths)| paths.iter().map(move |path| (*data_type, *path)));
        paths.flat_map(move |(data_type, path)| {
            // The memory of an instance is never freed.
            let whole = if prefix.is_empty() { Cow::Borrowed(path) } else { Cow::Owned(format!("{prefix}{path}")) };
            self.all(whole).map(move |value| (data_type, path, value))
        })
    }

    /// Returns the present values of fields at any depth whose names a table has, in any spelling: the type, the name, which is
    /// the last part of the path, and a value. Only paths that begin with `prefix` are read. Does not mark them as read.
    pub fn named<'f>(
        &'f self,
        prefix: &'f str,
        table: &'f [(&'f str, &'f [&'f str])],
    ) -> impl Iterator<Item = (&'f str, &'f str, &'f str)> {
        self.iter().filter(move |(path, _)| path.starts_with(prefix)).filter_map(move |(path, value)| {
            let name = path.rsplit('.').next().unwrap_or(path);
            Some((type_of(table, name)?, name, value))
        })
    }
}

impl Incident {
    /// Adds the values of fields as observables, each with the path of its field as the message.
    pub fn observe_fields(&mut self, fields: &Fields, table: &[(&str, &[&str])]) {
        for (data_type, path, value) in fields.typed("", table) {
            self.observe(data_type, Some(value), path);
        }
    }

    /// Adds the values of fields like [`observe_fields`](Self::observe_fields). A value can be several of them, separated by
    /// commas. `prefix` is put before the paths of the fields, but not in the message.
    pub fn observe_lists(&mut self, fields: &Fields, prefix: &str, table: &[(&str, &[&str])]) {
        for (data_type, path, text) in fields.typed(prefix, table) {
            text.split(',').for_each(|value| _ = self.observe(data_type, Some(value), path));
        }
    }

    /// Adds the value of one field, whose name the table can have in another spelling: see [`is_same_name`]. Adds nothing if
    /// the table does not have the name.
    pub fn observe_field(
        &mut self,
        table: &[(&str, &[&str])],
        name: &str,
        value: Option<&str>,
        message: &str,
    ) -> Option<&mut Observable> {
        self.observe(type_of(table, name)?, value, message)
    }
}

/// Returns the type that a table has for the name of a field.
fn type_of<'t>(table: &[(&'t str, &[&str])], name: &str) -> Option<&'t str> {
    let has_name = |names: &[&str]| names.iter().any(|known| is_same_name(known, name));
    table.iter().find(|(_, names)| has_name(names)).map(|(data_type, _)| *data_type)
}

#[cfg(test)]
mod tests {
    use crate::{Fields, Incident};

    #[test]
    fn values_of_a_table_have_their_types() {
        let fields: Fields =
            serde_json::from_str(r#"{"host": {"name": "a", "ip": ["192.0.2.1", "192.0.2.2"]}, "ip": "192.0.2.3"}"#)
                .unwrap();
        let values: Vec<_> = fields.typed("host.", &[("ip", &["ip", "address"]), ("hostname", &["name"])]).collect();
        assert_eq!(values, [("ip", "ip", "192.0.2.1"), ("ip", "ip", "192.0.2.2"), ("hostname", "name", "a")]);
    }

    #[test]
    fn fields_are_observed_with_their_paths() {
        let fields: Fields =
            serde_json::from_str(r#"{"host": {"name": "a", "ip": ["192.0.2.1", "::1", "192.0.2.2"]}}"#).unwrap();
        let mut incident = Incident::new("x");
        incident.observe_fields(&fields, &[("ip", &["ip", "host.ip"]), ("hostname", &["host.name"])]);
        let seen: Vec<_> = incident.observables.iter().map(|seen| (&*seen.value, seen.message.as_deref())).collect();
        let ip = Some("host.ip");
        assert_eq!(seen, [("192.0.2.1", ip), ("192.0.2.2", ip), ("a", Some("host.name"))]);

        let fields: Fields = serde_json::from_str(r#"{"host": {"ip": "192.0.2.1, 192.0.2.2"}}"#).unwrap();
        let mut incident = Incident::new("x");
        incident.observe_lists(&fields, "host.", &[("ip", &["ip"])]);
        let seen: Vec<_> = incident.observables.iter().map(|seen| (&*seen.value, seen.message.as_deref())).collect();
        assert_eq!(seen, [("192.0.2.1", Some("ip")), ("192.0.2.2", Some("ip"))]);
    }

    #[test]
    fn fields_are_found_by_their_names() {
        let fields: Fields = serde_json::from_str(
            r#"{"srcIp": "192.0.2.1", "a": [{"SRC_IP": "192.0.2.2", "b": "x"}], "src_ip": "N/A"}"#,
        )
        .unwrap();
        let named = |prefix| fields.named(prefix, &[("ip", &["ip", "src_ip"])]).collect::<Vec<_>>();
        let [one, other] = [("ip", "srcIp", "192.0.2.1"), ("ip", "SRC_IP", "192.0.2.2")];
        assert_eq!((named(""), named("a.")), (vec![one, other], vec![other]));
    }

    #[test]
    fn a_field_is_observed_by_its_name() {
        let mut incident = Incident::new("x");
        for name in ["src_ip", "SrcIp", "dest_ip"] {
            incident.observe_field(&[("ip", &["src_ip"])], name, Some("192.0.2.1"), name);
        }
        let seen = &incident.observables;
        assert_eq!((seen.len(), &*seen[0].data_type, seen[0].message.as_deref()), (1, "ip", Some("src_ip")));
    }
}

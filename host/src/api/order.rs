//! The order of the list of incidents, and its cursor.

use super::parameters::{Parameters, digits, invalid, number};
use crate::http_error::HttpError;
use hookmill_store::{Order, Position, SortKey, SortValue, Sorting};

/// Separates the values of a cursor. No name of a source has this character.
const SEPARATOR: char = '~';

/// Takes `sort`: keys separated by commas, each after a `-` if its largest value comes first.
pub(super) fn order(parameters: &mut Parameters) -> Result<Order, HttpError> {
    let text = parameters.one("sort")?.unwrap_or_default();
    let keys = text.split(',').map(str::trim).filter(|key| !key.is_empty()).map(|key| {
        let (word, descending) = key.strip_prefix('-').map_or((key, false), |word| (word, true));
        let known = SortKey::ALL.iter().find(|known| known.as_str() == word);
        known.map(|key| Sorting { key: *key, descending }).ok_or_else(|| {
            let words: Vec<&str> = SortKey::ALL.iter().map(|key| key.as_str()).collect();
            let help =
                format!("expected some of {}, separated by commas; `-` before a key reverses it", words.join(", "));
            invalid("sort", key, &help)
        })
    });
    Ok(Order::new(keys.collect::<Result<Vec<_>, _>>()?))
}

/// Takes `cursor`, which must be of the same order.
pub(super) fn position(parameters: &mut Parameters, order: &Order) -> Result<Option<Position>, HttpError> {
    let Some(text) = parameters.one("cursor")? else { return Ok(None) };
    let position = read(order, &text);
    let help = "expected the `next_cursor` of an earlier answer with the same `sort`";
    Ok(Some(position.ok_or_else(|| invalid("cursor", &text, help))?))
}

/// Returns a position as a cursor: a letter for each key, which shows its direction, before the value.
pub(super) fn cursor(order: &Order, position: &Position) -> String {
    let parts = order.keys().iter().zip(position.values()).map(|(sorting, value)| match value {
        SortValue::Number(value) => format!("{}{}", letter(*sorting), digits(*value)),
        SortValue::Text(text) => format!("{}{text}", letter(*sorting)),
    });
    parts.collect::<Vec<_>>().join(&SEPARATOR.to_string())
}

fn read(order: &Order, cursor: &str) -> Option<Position> {
    let mut parts = cursor.split(SEPARATOR);
    let values = order.keys().iter().map(|sorting| {
        let value = parts.next()?.strip_prefix(letter(*sorting))?;
        match sorting.key {
            SortKey::Source => Some(SortValue::Text(value.to_owned())),
            _ => number(value).map(SortValue::Number),
        }
    });
    let values = values.collect::<Option<Vec<_>>>()?;
    parts.next().is_none().then(|| order.position(values)).flatten()
}

fn letter(Sorting { key, descending }: Sorting) -> char {
    let letter = match key {
        SortKey::CreatedAt => 'c',
        SortKey::UpdatedAt => 'u',
        SortKey::Severity => 'v',
        SortKey::Status => 't',
        SortKey::Source => 's',
    };
    if descending { letter.to_ascii_uppercase() } else { letter }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order_of(text: &str) -> Result<Order, HttpError> {
        order(&mut Parameters::new(vec![("sort".into(), text.into())]))
    }

    #[test]
    fn a_cursor_keeps_its_position_and_fits_its_order_only() {
        let order = order_of("-severity,source, updated_at").unwrap();
        let values = vec![
            SortValue::Number(-1),
            SortValue::Text("a-b.c_d".into()),
            SortValue::Number(i64::MAX),
            SortValue::Number(0),
        ];
        let position = order.position(values).unwrap();
        let text = cursor(&order, &position);
        assert_eq!(text, "V-1~sa-b.c_d~u1y2p0ij32e8e7~c0");
        assert_eq!(read(&order, &text), Some(position));
        for other in ["severity,source,updated_at", "-severity,source", "", "source,-severity,updated_at"] {
            assert_eq!(read(&order_of(other).unwrap(), &text), None, "{other}");
        }
        for broken in ["", "V", "V1", "V1~sa~u1", "V1~sa~u1~c1~c1", "V+1~sa~u1~c1", "V1~sa~u 1~c1", "V1~sa~u~c1", "Vé"]
        {
            assert_eq!(read(&order, broken), None, "{broken}");
        }
    }

    #[test]
    fn unknown_keys_are_refused_with_the_known_ones() {
        for text in ["title", "severity,,-colour", "--severity", "Severity"] {
            let error = order_of(text).unwrap_err().to_string();
            assert!(error.contains("created_at, updated_at, severity, status, source"), "{error}");
        }
    }
}

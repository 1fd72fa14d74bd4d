//! The path and the text of a part of a payload, for problems.

/// The most characters of a payload in a problem.
const EXCERPT_CHARS_MAX: usize = 60;

/// Returns the path of the value at an offset in valid JSON, such as `event.Hosts[2].Name`.
pub(crate) fn path_at(json: &str, offset: usize) -> String {
    enum Step<'j> {
        Member(&'j str),
        Element(usize),
    }
    let mut steps: Vec<Step> = Vec::new();
    let (mut at, mut last) = (0, "");
    while at < offset {
        match json.as_bytes()[at] {
            b'{' => steps.push(Step::Member("")),
            b'[' => steps.push(Step::Element(0)),
            b'}' | b']' => drop(steps.pop()),
            b',' => {
                if let Some(Step::Element(index)) = steps.last_mut() {
                    *index += 1;
                }
            }
            b':' => {
                if let Some(Step::Member(name)) = steps.last_mut() {
                    *name = last;
                }
            }
            b'"' => {
                let start = at + 1;
                at = start;
                while json.as_bytes()[at] != b'"' {
                    at += if json.as_bytes()[at] == b'\\' { 2 } else { 1 };
                }
                last = &json[start..at];
            }
            _ => {}
        }
        at += 1;
    }
    steps.iter().fold(String::new(), |path, step| match step {
        Step::Member(name) if path.is_empty() => (*name).to_owned(),
        Step::Member(name) => format!("{path}.{name}"),
        Step::Element(index) => format!("{path}[{index}]"),
    })
}

/// Returns the beginning of a text.
pub(crate) fn excerpt(text: &str) -> String {
    let mut excerpt: String = text.chars().take(EXCERPT_CHARS_MAX).collect();
    if excerpt.len() < text.len() {
        excerpt.push('…');
    }
    excerpt
}

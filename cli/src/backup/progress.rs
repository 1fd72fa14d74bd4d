//! The progress of backups.

use crate::progress::ProgressLine;
use hookmill_host::backup::{Pace, Progress};

/// Returns a pace that shows the progress if the output is for people.
pub(super) fn pace(bytes_per_second: Option<u64>, is_json: bool) -> Pace<'static> {
    let mut line = (!is_json).then(ProgressLine::new);
    let mut shown = "";
    Pace::new(bytes_per_second, Default::default(), move |Progress { stage, done_bytes, total_bytes }| {
        let Some(line) = &mut line else { return };
        let percent = (done_bytes * 100).checked_div(total_bytes);
        let text = percent.map_or_else(|| stage.to_owned(), |percent| format!("{stage} {percent} %"));
        match stage == std::mem::replace(&mut shown, stage) {
            true => line.show(&text),
            false => line.show_now(&text),
        }
    })
}

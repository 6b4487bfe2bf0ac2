//! JavaScript's own copies of strings that cross the border with every request: names of headers, bindings and outcomes.
//!
//! To make a string of JavaScript's out of one of Rust's takes about a microsecond, a tenth of all that a sticky call costs beyond
//! the call itself.

use std::cell::RefCell;

use js_sys::JsString;

/// Strings that are kept; with more, all are let go. Configurations come and go, but what they name is short and seldom new.
const MOST: usize = 64;

thread_local! {
    static KNOWN: RefCell<Vec<(String, JsString)>> = const { RefCell::new(Vec::new()) };
}

/// JavaScript's copy of `text`, which should be one of few.
pub fn intern(text: &str) -> JsString {
    KNOWN.with(|known| {
        let Ok(mut known) = known.try_borrow_mut() else { return JsString::from(text) };
        if let Some((_, copy)) = known.iter().find(|(known, _)| known == text) {
            return copy.clone();
        }
        if known.len() >= MOST {
            known.clear();
        }
        let copy = JsString::from(text);
        known.push((text.to_owned(), copy.clone()));
        copy
    })
}

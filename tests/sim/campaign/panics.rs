//! Panics, caught with their message and place instead of printed.

use std::cell::RefCell;
use std::panic::{self, AssertUnwindSafe, PanicHookInfo};
use std::sync::Once;

thread_local! {
    /// What is known of panics on this thread, while somebody catches them.
    static CATCHING: RefCell<Vec<Option<String>>> = const { RefCell::new(Vec::new()) };
}

/// Does it; the error is the message and the place of the panic that ended it. Nothing is printed.
pub fn catch<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let otherwise = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if !note(info) {
                otherwise(info);
            }
        }));
    });
    CATCHING.with_borrow_mut(|catching| catching.push(None));
    // What it worked on is not used after a panic: the caller has only the error.
    let result = panic::catch_unwind(AssertUnwindSafe(work));
    let noted = CATCHING.with_borrow_mut(Vec::pop).flatten();
    result.map_err(|_| noted.unwrap_or_else(|| "a panic without a message".to_owned()))
}

/// Writes a panic down for the one who catches it; false when nobody does.
fn note(info: &PanicHookInfo<'_>) -> bool {
    let message = info.payload_as_str().unwrap_or("a panic without a message");
    let place = info.location().map_or_else(|| "an unknown place".to_owned(), ToString::to_string);
    CATCHING.with_borrow_mut(|catching| match catching.last_mut() {
        Some(noted) => {
            // The first panic is the cause; one more while unwinding is not.
            noted.get_or_insert_with(|| format!("{message} ({place})"));
            true
        }
        None => false,
    })
}

//! Panics without noise: Rust's default hook prints to stderr before unwinding, and a library does
//! not print. The hook is process-wide, so ours passes on every panic that is not ours.

use std::any::Any;
use std::cell::Cell;
use std::panic::{catch_unwind, set_hook, take_hook, AssertUnwindSafe};
use std::sync::Once;

thread_local!(static OURS: Cell<bool> = const { Cell::new(false) });
static HOOK: Once = Once::new();

fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|s| s.to_string());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default()
}

/// The value of `work`, or the message of its panic.
pub fn catch<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    HOOK.call_once(|| {
        let previous = take_hook();
        set_hook(Box::new(move |info| {
            if !OURS.with(Cell::get) {
                previous(info);
            }
        }));
    });
    let outer = OURS.with(|ours| ours.replace(true));
    let result = catch_unwind(AssertUnwindSafe(work));
    OURS.with(|ours| ours.set(outer));
    result.map_err(|panic| message(&*panic))
}

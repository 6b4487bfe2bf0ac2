//! The dashboard, without doing any of it: which page a request asks for, what a session is, and what a page says of the
//! documents of the admin API.
//!
//! Always true:
//! - a view says nothing that its document does not: what is missing there is not known, and never 0;
//! - a session's cookie has neither the admin token nor anything from which it could be made.

pub mod form;
pub mod page;
pub mod session;
pub mod view;

pub use form::Form;
pub use page::{Asset, Page, page};

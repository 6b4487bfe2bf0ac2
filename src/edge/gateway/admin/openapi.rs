//! The description of the admin API: `docs/openapi.json`, as it is checked in.

use super::Answer;
use crate::edge::gateway::reply;

const DOCUMENT: &str = include_str!("../../../../docs/openapi.json");

pub(super) fn show() -> Answer {
    Ok(reply::text(200, DOCUMENT)?)
}

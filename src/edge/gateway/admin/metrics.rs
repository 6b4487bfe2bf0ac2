//! The pools' numbers for Prometheus: one question to the coordinator for each scrape.

use worker::Env;

use super::{Answer, pools};
use crate::edge::gateway::reply;
use crate::edge::js;
use crate::wire::metrics::{CONTENT_TYPE, exposition};

pub(super) async fn scrape(env: &Env) -> Answer {
    let documents = pools::documents(env).await?;
    let text = exposition(&documents).map_err(|error| js::js_error(&error.to_string()))?;
    Ok(reply::typed(200, CONTENT_TYPE, &text)?)
}

//! Reads the body of an admin call, up to a limit.

use futures::TryStreamExt;
use web_sys::Request;

/// Why a body could not be read.
#[derive(Debug)]
pub enum BodyError {
    /// It has more bytes than are allowed. The rest was not read.
    TooLarge,
    /// It is not UTF-8.
    NotText,
    /// The connection failed.
    Failed(worker::Error),
}

/// The body as text of at most `limit` bytes, whatever length it claims.
pub async fn text(request: &Request, limit: usize) -> Result<String, BodyError> {
    if request.body().is_none() {
        return Ok(String::new());
    }
    let mut chunks = worker::Request::from(Clone::clone(request)).stream().map_err(BodyError::Failed)?;
    let mut bytes = Vec::new();
    while let Some(chunk) = chunks.try_next().await.map_err(BodyError::Failed)? {
        if bytes.len() + chunk.len() > limit {
            return Err(BodyError::TooLarge);
        }
        bytes.extend(chunk);
    }
    String::from_utf8(bytes).map_err(|_| BodyError::NotText)
}

//! The calls of the admin API: what a method and a path ask for.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

/// What is asked for. Names and ids are decoded, and not yet checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Call {
    /// `GET /_warm/healthz`: open to everybody.
    Healthz,
    /// `GET /_warm/openapi.json`
    OpenApi,
    /// `GET /_warm/metrics`
    Metrics,
    /// `GET /_warm/v1/pools`
    ListPools,
    /// `GET /_warm/v1/pools/{pool}`
    ShowPool(String),
    /// `GET /_warm/v1/pools/{pool}/ids/{id}`
    LookUp(String, String),
    /// `PUT /_warm/v1/pools/{pool}/ids/{id}`
    Acquire(String, String),
    /// `DELETE /_warm/v1/pools/{pool}/ids/{id}`
    Release(String, String),
    /// `POST /_warm/v1/pools/{pool}/shutdown-prewarmed`
    ShutdownPrewarmed(String),
    /// `GET /_warm/v1/config`
    ShowConfig,
    /// `PUT /_warm/v1/config`
    PutConfig,
    /// `DELETE /_warm/v1/config`
    DropConfig,
    /// `POST /_warm/v1/config/validate`
    ValidateConfig,
    /// `GET /_warm/v1/config/history`
    ListVersions,
    /// `GET /_warm/v1/config/history/{version}`
    ShowVersion(String),
    /// `POST /_warm/v1/config/rollback`
    RollBack,
    /// `GET /_warm/v1/audit`
    ShowAudit,
    /// `GET /_warm/v1/events`; which, the query says.
    Events,
}

/// Why a request asks for nothing there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Miss {
    /// There is no such path.
    NotFound,
    /// The path has other methods: these, as for the header `Allow`.
    MethodNotAllowed(&'static str),
    /// A name in the path is not percent-encoded UTF-8.
    BadEncoding,
}

/// Whether everybody may know what there is at a path, and call it.
pub fn is_open(path: &str) -> bool {
    path == "/_warm/healthz"
}

/// What a request of `method` (upper case) to `path` (as sent, under `/_warm`) asks for. `HEAD` asks for what `GET` does.
///
/// # Errors
///
/// When that is nothing.
pub fn call(method: &str, path: &str) -> Result<Call, Miss> {
    let method = if method == "HEAD" { "GET" } else { method };
    let segments = segments(path)?;
    let segments: Vec<&str> = segments.iter().map(AsRef::as_ref).collect();
    let pool = |name: &str| name.to_owned();
    match segments.as_slice() {
        ["healthz"] => only(method, "GET", Call::Healthz),
        ["openapi.json"] => only(method, "GET", Call::OpenApi),
        ["metrics"] => only(method, "GET", Call::Metrics),
        ["v1", "pools"] => only(method, "GET", Call::ListPools),
        ["v1", "pools", name] => only(method, "GET", Call::ShowPool(pool(name))),
        ["v1", "pools", name, "shutdown-prewarmed"] => only(method, "POST", Call::ShutdownPrewarmed(pool(name))),
        ["v1", "pools", name, "ids", id] => match method {
            "GET" => Ok(Call::LookUp(pool(name), (*id).to_owned())),
            "PUT" => Ok(Call::Acquire(pool(name), (*id).to_owned())),
            "DELETE" => Ok(Call::Release(pool(name), (*id).to_owned())),
            _ => Err(Miss::MethodNotAllowed("GET, HEAD, PUT, DELETE")),
        },
        ["v1", "config"] => match method {
            "GET" => Ok(Call::ShowConfig),
            "PUT" => Ok(Call::PutConfig),
            "DELETE" => Ok(Call::DropConfig),
            _ => Err(Miss::MethodNotAllowed("GET, HEAD, PUT, DELETE")),
        },
        ["v1", "config", "validate"] => only(method, "POST", Call::ValidateConfig),
        ["v1", "config", "history"] => only(method, "GET", Call::ListVersions),
        ["v1", "config", "history", version] => only(method, "GET", Call::ShowVersion((*version).to_owned())),
        ["v1", "config", "rollback"] => only(method, "POST", Call::RollBack),
        ["v1", "audit"] => only(method, "GET", Call::ShowAudit),
        ["v1", "events"] => only(method, "GET", Call::Events),
        _ => Err(Miss::NotFound),
    }
}

/// The parts of a path under `/_warm/`, decoded.
pub(super) fn segments(path: &str) -> Result<Vec<Cow<'_, str>>, Miss> {
    let raw = path.strip_prefix("/_warm/").ok_or(Miss::NotFound)?;
    // Split before decoding: a pool or an id may have an encoded slash.
    raw.split('/').map(|segment| percent_decode_str(segment).decode_utf8().map_err(|_| Miss::BadEncoding)).collect()
}

/// What is asked for at a path that has one method: `wanted`, `GET` or `POST`.
pub(super) fn only<T>(method: &str, wanted: &str, asked: T) -> Result<T, Miss> {
    match method == wanted {
        true => Ok(asked),
        false => Err(Miss::MethodNotAllowed(if wanted == "GET" { "GET, HEAD" } else { "POST" })),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_call_has_its_path_and_method() {
        let s = str::to_owned;
        for (method, path, expected) in [
            ("GET", "/_warm/healthz", Call::Healthz),
            ("HEAD", "/_warm/healthz", Call::Healthz),
            ("GET", "/_warm/openapi.json", Call::OpenApi),
            ("GET", "/_warm/metrics", Call::Metrics),
            ("GET", "/_warm/v1/pools", Call::ListPools),
            ("GET", "/_warm/v1/pools/python", Call::ShowPool(s("python"))),
            ("GET", "/_warm/v1/pools/python/ids/a%2Fb", Call::LookUp(s("python"), s("a/b"))),
            ("PUT", "/_warm/v1/pools/python/ids/%C3%A4", Call::Acquire(s("python"), s("ä"))),
            ("DELETE", "/_warm/v1/pools/python/ids/x", Call::Release(s("python"), s("x"))),
            ("POST", "/_warm/v1/pools/python/shutdown-prewarmed", Call::ShutdownPrewarmed(s("python"))),
            ("GET", "/_warm/v1/config", Call::ShowConfig),
            ("PUT", "/_warm/v1/config", Call::PutConfig),
            ("DELETE", "/_warm/v1/config", Call::DropConfig),
            ("POST", "/_warm/v1/config/validate", Call::ValidateConfig),
            ("GET", "/_warm/v1/config/history", Call::ListVersions),
            ("GET", "/_warm/v1/config/history/7", Call::ShowVersion(s("7"))),
            ("POST", "/_warm/v1/config/rollback", Call::RollBack),
            ("GET", "/_warm/v1/audit", Call::ShowAudit),
            ("GET", "/_warm/v1/events", Call::Events),
        ] {
            assert_eq!(call(method, path), Ok(expected), "{method} {path}");
        }
    }

    #[test]
    fn what_there_is_not_is_told_apart() {
        for (method, path, expected) in [
            ("GET", "/_warm", Miss::NotFound),
            ("GET", "/_warm/v1", Miss::NotFound),
            ("GET", "/_warm/v1/pools/", Miss::MethodNotAllowed("")),
            ("GET", "/_warm/v1/pools/a/ids", Miss::NotFound),
            ("GET", "/_warm/v1/pools/a/ids/b/c", Miss::NotFound),
            ("GET", "/_warm/v1/pools/a/ids/%ff", Miss::BadEncoding),
            ("POST", "/_warm/healthz", Miss::MethodNotAllowed("GET, HEAD")),
            ("POST", "/_warm/metrics", Miss::MethodNotAllowed("GET, HEAD")),
            ("GET", "/_warm/v1/pools/a/shutdown-prewarmed", Miss::MethodNotAllowed("POST")),
            ("GET", "/_warm/v1/config/rollback", Miss::MethodNotAllowed("POST")),
            ("GET", "/_warm/v1/config/history/7/8", Miss::NotFound),
            ("POST", "/_warm/v1/events", Miss::MethodNotAllowed("GET, HEAD")),
            ("PATCH", "/_warm/v1/config", Miss::MethodNotAllowed("GET, HEAD, PUT, DELETE")),
        ] {
            if expected == Miss::MethodNotAllowed("") {
                // An empty pool name is a name; that there is no such pool is told later.
                assert_eq!(call(method, path), Ok(Call::ShowPool(String::new())));
            } else {
                assert_eq!(call(method, path), Err(expected), "{method} {path}");
            }
        }
    }
}

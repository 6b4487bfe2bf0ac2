//! Reads single values: each function takes one JSON value to its type, or says what is allowed.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use serde_json::Value;

use super::duration;
use super::errors::ErrorCode;
use super::limits;
use super::reader::{Fault, Reader, join, join_index, nearest, shorten};
use super::resolved::{BindingName, Millis, PoolName, Prices};

/// Whole numbers up to this survive a JavaScript number.
const MAX_SAFE: f64 = 9_007_199_254_740_991.0;

/// Bindings that are the project's own objects: never a container class.
const RESERVED_BINDINGS: [&str; 2] = ["POOL_COORDINATOR", "WARM_POOL"];

/// Headers that carry something else than an id, or that this project sets itself. `*` ends a prefix.
const RESERVED_HEADERS: [&str; 14] = [
    "cf-*",
    "x-warm-pool*",
    "x-sandbox-*",
    "sec-*",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "cookie",
    "host",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// A whole number within `range`.
pub(super) fn whole<T: TryFrom<u64>>(range: RangeInclusive<u64>) -> impl Fn(&Value) -> Result<T, Fault> {
    move |value| {
        let whole = whole_number(&range, value)?;
        T::try_from(whole).map_err(|_| Fault::new(ErrorCode::OutOfRange, format!("{whole} is too large")))
    }
}

fn whole_number(range: &RangeInclusive<u64>, value: &Value) -> Result<u64, Fault> {
    let allowed = || format!("a whole number from {} to {}", range.start(), range.end());
    let number = match value {
        Value::Number(number) => number,
        other => return Err(Fault::wrong_type(&allowed(), other)),
    };
    let whole = number.as_u64().or_else(|| number.as_f64().and_then(whole_float));
    if let Some(whole) = whole.filter(|whole| range.contains(whole)) {
        return Ok(whole);
    }
    let code = match number.as_f64() {
        Some(float) if float.fract() != 0.0 => ErrorCode::WrongType,
        Some(_) | None => ErrorCode::OutOfRange,
    };
    Err(Fault::new(code, format!("must be {}; it is {number}", allowed())))
}

/// A price in US dollars, in the unit of [`Prices`].
pub(super) fn price(value: &Value) -> Result<u64, Fault> {
    let (from, to) = (*limits::PRICE.start() as f64, *limits::PRICE.end() as f64);
    fraction(value, from, to, Prices::PER_DOLLAR)
}

/// A number of processors, in millionths.
pub(super) fn vcpus(value: &Value) -> Result<u64, Fault> {
    let (from, to) = (*limits::MICRO_VCPUS.start() as f64 / 1e6, *limits::MICRO_VCPUS.end() as f64 / 1e6);
    fraction(value, from, to, 1e6)
}

/// A number that need not be whole, in so many parts of one.
fn fraction(value: &Value, from: f64, to: f64, parts: f64) -> Result<u64, Fault> {
    let allowed = format!("a number from {from} to {to}");
    let number = value.as_f64().ok_or_else(|| Fault::wrong_type(&allowed, value))?;
    if (from..=to).contains(&number) {
        return Ok((number * parts).round() as u64);
    }
    Err(Fault::new(ErrorCode::OutOfRange, format!("must be {allowed}; it is {number}")))
}

fn whole_float(float: f64) -> Option<u64> {
    (float.fract() == 0.0 && (0.0..=MAX_SAFE).contains(&float)).then_some(float as u64)
}

/// A duration within `range` (in ms).
pub(super) fn duration(range: RangeInclusive<u64>) -> impl Fn(&Value) -> Result<Millis, Fault> {
    move |value| {
        let (from, to) = (duration::render(Millis(*range.start())), duration::render(Millis(*range.end())));
        let allowed = || format!("must be a duration from {from} to {to} ({})", duration::FORMS);
        let refuse = |code, seen: &dyn std::fmt::Display| Err(Fault::new(code, format!("{}; it is {seen}", allowed())));
        let read = match value {
            Value::Number(number) => match number.as_u64().or_else(|| number.as_f64().and_then(whole_float)) {
                Some(ms) => Millis(ms),
                None => return refuse(ErrorCode::OutOfRange, number),
            },
            Value::String(text) => match duration::parse(text) {
                Some(duration) => duration,
                None => return refuse(ErrorCode::InvalidValue, &format_args!("{:?}", shorten(text))),
            },
            other => return refuse(ErrorCode::WrongType, &super::reader::describe(other)),
        };
        if range.contains(&read.0) { Ok(read) } else { refuse(ErrorCode::OutOfRange, value) }
    }
}

/// `true` or `false`.
pub(super) fn switch(value: &Value) -> Result<bool, Fault> {
    value.as_bool().ok_or_else(|| Fault::wrong_type("true or false", value))
}

/// A text, whatever is in it.
pub(super) fn text(value: &Value) -> Result<&str, Fault> {
    match value {
        Value::String(text) => Ok(text),
        Value::Number(_) | Value::Bool(_) => Err(Fault::new(
            ErrorCode::WrongType,
            format!("must be a string; it is {value}. Put it in quotes: \"{value}\""),
        )),
        other => Err(Fault::wrong_type("a string", other)),
    }
}

/// A text of at most `max` bytes without NUL, which no process takes in its environment or arguments.
fn bounded_text(value: &Value, max: usize) -> Result<String, Fault> {
    let text = text(value)?;
    if text.len() > max {
        return Err(Fault::new(ErrorCode::TooLarge, format!("has {} bytes; at most {max} are allowed", text.len())));
    }
    if text.contains('\0') {
        return Err(Fault::new(ErrorCode::InvalidValue, "has a NUL character"));
    }
    Ok(text.to_owned())
}

/// The name of a pool.
pub(super) fn pool_name(name: &str) -> Result<PoolName, Fault> {
    PoolName::try_from(name.to_owned()).map_err(|_| {
        let message = format!(
            "{:?} is not a pool name: 1 to 64 of a-z A-Z 0-9 _ -, starting with a letter or digit",
            shorten(name)
        );
        Fault::new(ErrorCode::InvalidName, message)
    })
}

/// The binding of a container class.
pub(super) fn container_binding(value: &Value) -> Result<BindingName, Fault> {
    let name = binding(value)?;
    if RESERVED_BINDINGS.contains(&name.as_str()) {
        let message = format!("`{name}` is the binding of the pools themselves; name the binding of a container class");
        return Err(Fault::new(ErrorCode::Reserved, message));
    }
    Ok(name)
}

/// A binding of the Worker.
pub(super) fn binding(value: &Value) -> Result<BindingName, Fault> {
    let name = text(value)?;
    BindingName::try_from(name.to_owned()).map_err(|_| {
        let message =
            format!("{:?} is not a binding name: 1 to 64 of A-Z a-z 0-9 _ $, not starting with a digit", shorten(name));
        Fault::new(ErrorCode::InvalidName, message)
    })
}

/// The path (and query) of a request to a container.
pub(super) fn request_path(value: &Value) -> Result<String, Fault> {
    let path = text(value)?;
    path_characters(path)?;
    Ok(path.to_owned())
}

/// The path that a route matches: exact, or a prefix that ends in `/*`.
pub(super) fn route_path(value: &Value) -> Result<String, Fault> {
    let path = text(value)?;
    path_characters(path)?;
    let bad = |message: String| Err(Fault::new(ErrorCode::InvalidValue, message));
    if path.contains('?') {
        return bad("must have no query: routes match the path alone".to_owned());
    }
    let stem = path.strip_suffix("/*").unwrap_or(path);
    if stem.contains('*') {
        return bad(format!("may have `*` only at the end, as in \"/python/*\"; it is {:?}", shorten(path)));
    }
    if stem.split('/').any(is_dot_segment) {
        return bad(format!("may have no `.` or `..` segment, for no request has one; it is {:?}", shorten(path)));
    }
    if stem == "/_warm" || stem.starts_with("/_warm/") {
        return Err(Fault::new(ErrorCode::Reserved, "paths under /_warm belong to the admin API"));
    }
    Ok(path.to_owned())
}

/// Browsers and the platform resolve these, percent-encoded or not, before a request is sent.
fn is_dot_segment(segment: &str) -> bool {
    let plain = segment.to_ascii_lowercase().replace("%2e", ".");
    plain == "." || plain == ".."
}

fn path_characters(path: &str) -> Result<(), Fault> {
    let fine = path.starts_with('/')
        && path.len() <= limits::MAX_PATH
        && path.bytes().all(|b| {
            b.is_ascii_graphic() && !matches!(b, b'#' | b'"' | b'<' | b'>' | b'\\' | b'^' | b'`' | b'{' | b'|' | b'}')
        });
    if fine {
        return Ok(());
    }
    let message = format!(
        "must be a path that starts with `/`, of at most {} bytes, everything unusual percent-encoded; it is {:?}",
        limits::MAX_PATH,
        shorten(path)
    );
    Err(Fault::new(ErrorCode::InvalidValue, message))
}

/// The host that a route matches, in lower case.
pub(super) fn host(value: &Value) -> Result<String, Fault> {
    let host = text(value)?.to_ascii_lowercase();
    let name = host.strip_prefix("*.").unwrap_or(&host);
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    if name.len() <= limits::MAX_HOST && name.split('.').all(label) {
        return Ok(host);
    }
    let message = format!(
        "must be a host name without port, such as \"py.example.com\" or \"*.example.com\"; it is {:?}",
        shorten(&host)
    );
    Err(Fault::new(ErrorCode::InvalidValue, message))
}

/// The name of the header with the id, in lower case.
pub(super) fn header(value: &Value) -> Result<String, Fault> {
    let name = token(value)?.to_ascii_lowercase();
    let reserved = RESERVED_HEADERS.iter().any(|reserved| match reserved.strip_suffix('*') {
        Some(prefix) => name.starts_with(prefix),
        None => name == *reserved,
    });
    if reserved {
        let message = format!("`{name}` cannot carry an id; reserved are {}", RESERVED_HEADERS.join(", "));
        return Err(Fault::new(ErrorCode::Reserved, message));
    }
    Ok(name)
}

/// The name of a header or cookie.
pub(super) fn token(value: &Value) -> Result<String, Fault> {
    let name = text(value)?;
    let of_token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    if (1..=limits::MAX_ID_NAME).contains(&name.len()) && name.bytes().all(of_token) {
        return Ok(name.to_owned());
    }
    let message = format!(
        "must be 1 to {} letters, digits or any of !#$%&'*+-.^_`|~; it is {:?}",
        limits::MAX_ID_NAME,
        shorten(name)
    );
    Err(Fault::new(ErrorCode::InvalidName, message))
}

/// The name of a query parameter, as it is after decoding.
pub(super) fn query_name(value: &Value) -> Result<String, Fault> {
    let name = text(value)?;
    if (1..=limits::MAX_ID_NAME).contains(&name.len()) && !name.chars().any(char::is_control) {
        return Ok(name.to_owned());
    }
    let message =
        format!("must have 1 to {} bytes and no control characters; it is {:?}", limits::MAX_ID_NAME, shorten(name));
    Err(Fault::new(ErrorCode::InvalidName, message))
}

/// A session id.
pub(super) fn session_id(value: &Value) -> Result<String, Fault> {
    let id = text(value)?;
    if (1..=limits::MAX_SESSION_ID).contains(&id.len()) && !id.chars().any(char::is_control) {
        return Ok(id.to_owned());
    }
    let message =
        format!("must have 1 to {} bytes and no control characters; it is {:?}", limits::MAX_SESSION_ID, shorten(id));
    Err(Fault::new(ErrorCode::InvalidValue, message))
}

/// The methods a setup request may have.
pub(super) const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];

/// An HTTP method.
pub(super) fn method(value: &Value) -> Result<String, Fault> {
    let word = text(value)?;
    if METHODS.contains(&word) {
        return Ok(word.to_owned());
    }
    let hint = nearest(word, METHODS.into_iter()).map(|near| format!(" (did you mean {near}?)")).unwrap_or_default();
    Err(Fault::new(
        ErrorCode::InvalidValue,
        format!("must be one of {}; it is {:?}{hint}", METHODS.join(", "), shorten(word)),
    ))
}

/// The ports, in order, none twice.
pub(super) fn ports(reader: &mut Reader, path: &str, value: &Value) -> Option<Vec<u16>> {
    let ports = list(reader, path, value, limits::PORTS, "ports", |value| whole::<u16>(limits::PORT)(value))?;
    let mut seen = Vec::with_capacity(ports.len());
    for (at, port) in ports.iter().enumerate() {
        if seen.contains(port) {
            reader.fault(
                &join_index(path, at),
                Fault::new(ErrorCode::InvalidValue, format!("{port} is in the list already")),
            );
            return None;
        }
        seen.push(*port);
    }
    Some(ports)
}

/// The words of an entry point.
pub(super) fn entrypoint(reader: &mut Reader, path: &str, value: &Value) -> Option<Vec<String>> {
    list(reader, path, value, limits::ENTRYPOINT, "words", |value| bounded_text(value, limits::MAX_ENTRYPOINT_WORD))
}

fn list<T>(
    reader: &mut Reader,
    path: &str,
    value: &Value,
    count: RangeInclusive<usize>,
    what: &str,
    read: impl Fn(&Value) -> Result<T, Fault>,
) -> Option<Vec<T>> {
    let Value::Array(entries) = value else {
        reader.fault(path, Fault::wrong_type(&format!("a list of {what}"), value));
        return None;
    };
    if !count.contains(&entries.len()) {
        let code = if entries.is_empty() { ErrorCode::OutOfRange } else { ErrorCode::TooLarge };
        let message = format!("must have {} to {} {what}; it has {}", count.start(), count.end(), entries.len());
        reader.fault(path, Fault::new(code, message));
        return None;
    }
    // Not `collect::<Option<_>>` on the iterator itself: it would stop at the first mistake.
    let read: Vec<_> =
        entries.iter().enumerate().map(|(at, entry)| reader.record(&join_index(path, at), read(entry))).collect();
    read.into_iter().collect()
}

/// Environment variables.
pub(super) fn env(reader: &mut Reader, path: &str, value: &Value) -> Option<BTreeMap<String, String>> {
    let name = |name: &str| {
        let fine = (1..=limits::MAX_ENV_NAME).contains(&name.len()) && !name.contains(['=', '\0']);
        let message = format!("must be a variable name of 1 to {} bytes without `=` and NUL", limits::MAX_ENV_NAME);
        if fine { Ok(()) } else { Err(Fault::new(ErrorCode::InvalidName, message)) }
    };
    string_map(reader, path, value, limits::MAX_ENV, limits::MAX_ENV_VALUE, &name)
}

/// Labels.
pub(super) fn labels(reader: &mut Reader, path: &str, value: &Value) -> Option<BTreeMap<String, String>> {
    let name = |name: &str| {
        let fine = (1..=limits::MAX_LABEL).contains(&name.len()) && !name.chars().any(char::is_control);
        let message = format!("must be a label name of 1 to {} bytes without control characters", limits::MAX_LABEL);
        if fine { Ok(()) } else { Err(Fault::new(ErrorCode::InvalidName, message)) }
    };
    string_map(reader, path, value, limits::MAX_LABELS, limits::MAX_LABEL, &name)
}

fn string_map(
    reader: &mut Reader,
    path: &str,
    value: &Value,
    max_entries: usize,
    max_value: usize,
    check_name: &dyn Fn(&str) -> Result<(), Fault>,
) -> Option<BTreeMap<String, String>> {
    let Value::Object(entries) = value else {
        reader.fault(path, Fault::wrong_type("a table of strings", value));
        return None;
    };
    if entries.len() > max_entries {
        reader.fault(
            path,
            Fault::new(
                ErrorCode::TooLarge,
                format!("has {} entries; at most {max_entries} are allowed", entries.len()),
            ),
        );
        return None;
    }
    let mut map = BTreeMap::new();
    for (name, value) in entries {
        let path = join(path, name);
        let name_is_fine = reader.record(&path, check_name(name));
        let text = reader.record(&path, bounded_text(value, max_value));
        if let (Some(()), Some(text)) = (name_is_fine, text) {
            map.insert(name.clone(), text);
        }
    }
    (map.len() == entries.len()).then_some(map)
}

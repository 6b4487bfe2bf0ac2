//! What cannot drift apart: the document, the calls that are read, the codes in the sources, and the page of examples.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use super::operation::{ID, Operation, POOL};
use super::*;
use crate::config::resolved::Millis;
use crate::core::gateway::DenialCode;
use crate::core::gateway::admin::{Miss, call, is_open};
use crate::core::id::{ShardId, ShardIndex};
use crate::core::outcome::RefusalCode;
use crate::core::shard::{Rows, Shard};
use crate::core::stats::{Answers, Terms, merge};

/// The version of all examples.
const VERSION: &str = "1";
const ROOT: &str = env!("CARGO_MANIFEST_DIR");
const METHODS: [&str; 9] = ["GET", "PUT", "POST", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT", "QUERY"];

fn operations() -> Vec<(Call, Operation)> {
    operations::all(&mut generator())
}

fn filled_in(path: &str) -> String {
    path.replace("{pool}", POOL).replace("{id}", ID).replace("{version}", VERSION)
}

#[test]
fn the_checked_in_document_is_what_the_code_generates() {
    let generated = to_text(&generate());
    if std::env::var_os("UPDATE_SCHEMA").is_some() {
        fs::write(FILE, &generated).unwrap();
    }
    let checked_in = fs::read_to_string(FILE).unwrap();
    assert!(
        checked_in == generated,
        "docs/openapi.json is out of date: run `UPDATE_SCHEMA=1 cargo test --lib openapi`"
    );
}

#[test]
fn every_operation_is_read_as_its_call() {
    for (expected, operation) in operations() {
        assert_eq!(call(operation.method, &filled_in(operation.path)), Ok(expected), "{}", operation.id);
    }
}

#[test]
fn what_needs_no_token_is_what_is_open() {
    for (_, operation) in operations() {
        assert_eq!(operation.is_open, is_open(&filled_in(operation.path)), "{}", operation.id);
    }
}

#[test]
fn every_operation_has_a_name_of_its_own() {
    let ids: BTreeSet<&str> = operations().iter().map(|(_, operation)| operation.id).collect();
    assert_eq!(ids.len(), operations().len());
}

#[test]
fn nothing_else_is_read_as_a_call() {
    let mut methods_of: BTreeMap<String, BTreeSet<&str>> = BTreeMap::new();
    for (_, operation) in operations() {
        methods_of.entry(filled_in(operation.path)).or_default().insert(operation.method);
    }
    let words: BTreeSet<&str> = methods_of.keys().flat_map(|path| path.split('/')).filter(|w| *w != "_warm").collect();
    let mut paths = vec!["/_warm".to_owned()];
    let longest = methods_of.keys().map(|path| path.matches('/').count()).max().unwrap();
    for _ in 1..=longest {
        let longer: Vec<String> =
            paths.iter().flat_map(|path| words.iter().map(move |word| format!("{path}/{word}"))).collect();
        for path in &longer {
            // What stands where a name does is a name, whatever else it is.
            let template = methods_of.keys().find(|known| matches_template(known, path));
            for method in METHODS {
                let read = call(method, path);
                match template.map(|template| &methods_of[template]) {
                    None => assert_eq!(read, Err(Miss::NotFound), "{method} {path}"),
                    Some(methods) if methods.contains(method) => assert!(read.is_ok(), "{method} {path}: {read:?}"),
                    Some(methods) => {
                        let Err(Miss::MethodNotAllowed(allow)) = read else { panic!("{method} {path}: {read:?}") };
                        let allowed: BTreeSet<&str> = allow.split(", ").filter(|method| *method != "HEAD").collect();
                        assert_eq!(&allowed, methods, "{method} {path}");
                        assert_eq!(allow.contains("HEAD"), methods.contains("GET"), "{path}");
                    }
                }
            }
        }
        // A path that begins no operation is looked at no further.
        paths = longer.into_iter().filter(|path| methods_of.keys().any(|known| begins(known, path))).collect();
    }
}

fn matches_template(known: &str, path: &str) -> bool {
    known.matches('/').count() == path.matches('/').count() && begins(known, path)
}

fn begins(known: &str, path: &str) -> bool {
    let mut known = known.split('/');
    path.split('/')
        .all(|segment| known.next().is_some_and(|word| word == segment || [POOL, ID, VERSION].contains(&word)))
}

#[test]
fn every_code_of_the_admin_api_is_described_and_no_other() {
    let mut told: BTreeSet<(u16, String)> = BTreeSet::new();
    for file in rust_files(&Path::new(ROOT).join("src/edge/gateway/admin")) {
        let text: String = fs::read_to_string(&file).unwrap().split_whitespace().collect();
        // `(404,"unknown_pool"`: of `reply::error`, or on its way there.
        for (at, _) in text.match_indices(",\"") {
            let status = text[..at].rsplit_once('(').and_then(|(_, status)| status.parse().ok());
            let code = text[at + 2..].split_once('"').map(|(code, _)| code);
            told.extend(status.zip(code.map(str::to_owned)));
        }
        // Those with more to tell are put together by hand.
        for (at, _) in text.match_indices("\"code\":\"") {
            let code = text[at + 8..].split('"').next().unwrap();
            let described = codes::CODES.iter().find(|(_, described, _)| *described == code);
            told.insert((described.map_or(0, |(status, ..)| *status), code.to_owned()));
        }
    }
    assert!(told.len() > 8, "{told:?}");
    told.extend(denials().into_iter().map(|code| (code.status(), code.as_str().to_owned())));
    let described: BTreeSet<(u16, String)> =
        codes::CODES.iter().map(|(status, code, _)| (*status, (*code).to_owned())).collect();
    assert_eq!(told, described);
}

/// The denials of the data routes that the admin API has too.
fn denials() -> Vec<DenialCode> {
    use DenialCode::*;
    let all = [
        MissingId,
        BadId,
        BodyNotAllowed,
        NoRoute,
        Refused(RefusalCode::AtCapacity),
        Refused(RefusalCode::Timeout),
        Refused(RefusalCode::StartFailed),
        Refused(RefusalCode::Overloaded),
        Refused(RefusalCode::WrongShard),
        Refused(RefusalCode::UnknownPool),
        PoolUnreachable,
        Unconfirmed,
        ContainerChanged,
        ContainerUnreachable,
        Misconfigured,
        Internal,
    ];
    let is_admins = |code: &DenialCode| match code {
        // These need a request that is to be routed, or sent to a container.
        MissingId | BodyNotAllowed | NoRoute | Unconfirmed | ContainerChanged | ContainerUnreachable => false,
        BadId | Refused(_) | PoolUnreachable | Misconfigured | Internal => true,
    };
    all.into_iter().filter(is_admins).collect()
}

#[test]
fn every_code_is_one_of_an_operation_and_has_a_meaning() {
    let described: BTreeSet<(u16, &str)> = codes::CODES.iter().map(|(status, code, _)| (*status, *code)).collect();
    let used: BTreeSet<(u16, &str)> =
        operations().iter().flat_map(|(_, operation)| operation.errors().collect::<Vec<_>>()).collect();
    let unused: BTreeSet<&str> = described.difference(&used).map(|(_, code)| *code).collect();
    assert_eq!(unused, codes::OF_NO_OPERATION.iter().copied().collect());
    assert_eq!(used.difference(&described).collect::<Vec<_>>(), Vec::<&(u16, &str)>::new());
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files
}

/// Says of each object with known keys that it has no others. Of a part of `allOf` that would be wrong.
fn close(schema: &mut Value) {
    match schema {
        Value::Object(keywords) => {
            if keywords.contains_key("properties") {
                keywords.entry("additionalProperties").or_insert(false.into());
            }
            for (keyword, value) in keywords {
                if keyword != "allOf" {
                    close(value);
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(close),
        _ => {}
    }
}

#[test]
fn every_reference_leads_somewhere() {
    let document = generate();
    let mut references = 0;
    visit(&document, &mut |value| {
        if let Some(path) = value.get("$ref").and_then(Value::as_str) {
            references += 1;
            assert!(document.pointer(path.trim_start_matches('#')).is_some(), "{path}");
        }
    });
    assert!(references > 50, "only {references} references");
}

fn visit(value: &Value, see: &mut impl FnMut(&Value)) {
    see(value);
    match value {
        Value::Object(fields) => fields.values().for_each(|value| visit(value, see)),
        Value::Array(items) => items.iter().for_each(|value| visit(value, see)),
        _ => {}
    }
}

#[test]
fn the_numbers_of_a_pool_are_described_to_the_last() {
    let mut document = generate();
    close(&mut document["components"]["schemas"]);
    let pool =
        json!({ "pools": { POOL: { "container": "COUNTER", "max_instances": 9, "id_cache": "IDS" } }, "routes": [] });
    let config = crate::config::parse_value(&pool).unwrap();
    let (name, pool) = config.pools.iter().next().unwrap();
    let shard = ShardId { pool: name.clone(), index: ShardIndex(0) };
    let stats = Shard::load(shard, Rows::default(), Millis(0)).stats(Millis(0));
    for shards in [Vec::new(), vec![stats]] {
        let answers = Answers { answered: shards, missing: vec![ShardIndex(1)], ..Answers::default() };
        let mut numbers =
            Value::from(merge(Terms { pool, prices: &config.prices }, answers).document(name, pool).unwrap());
        let validator = {
            let mut schema = document.clone();
            schema["$ref"] = json!("#/components/schemas/PoolStats");
            jsonschema::draft202012::new(&schema).unwrap()
        };
        let mistakes: Vec<String> = validator.iter_errors(&numbers).map(|error| error.to_string()).collect();
        assert_eq!(mistakes, Vec::<String>::new(), "{numbers}");
        numbers["another"] = json!(1);
        assert!(!validator.is_valid(&numbers));
    }
}

#[test]
fn every_operation_has_its_curl_in_the_page_of_examples() {
    let page = fs::read_to_string(Path::new(ROOT).join("docs/admin-api.md")).unwrap();
    let curls: Vec<(String, String)> = page.lines().filter_map(read_curl).collect();
    let mut asked = BTreeSet::new();
    for (method, path) in &curls {
        let of = operations().into_iter().find(|(expected, _)| call(method, path).as_ref() == Ok(expected));
        let Some((_, operation)) = of else { panic!("{method} {path} is no operation") };
        asked.insert(operation.id);
    }
    assert_eq!(asked, operations().iter().map(|(_, operation)| operation.id).collect());
}

/// The method and the path of a line that calls curl.
fn read_curl(line: &str) -> Option<(String, String)> {
    let words: Vec<&str> = line.strip_prefix("curl ")?.split_whitespace().collect();
    let url = words.iter().find_map(|word| word.trim_matches('"').strip_prefix("$warm")).unwrap();
    let path = url.split('?').next().unwrap();
    let method = words.iter().position(|word| *word == "-X").map_or("GET", |at| words[at + 1]);
    Some((method.to_owned(), format!("/_warm{path}")))
}

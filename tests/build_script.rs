//! The build stops at a bad configuration, with every error: the build script, tested as a module.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

#[allow(dead_code, missing_docs)]
#[path = "../build.rs"]
mod build_script;

use std::fs;
use std::path::{Path, PathBuf};

use build_script::{built_at_ms, check, source_file};

/// An empty folder of its own for each test.
fn folder(test: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("build_script").join(test);
    if folder.exists() {
        fs::remove_dir_all(&folder).unwrap();
    }
    fs::create_dir_all(folder.join("config")).unwrap();
    folder
}

fn write(folder: &Path, name: &str, text: &str) -> PathBuf {
    let file = folder.join(name);
    fs::write(&file, text).unwrap();
    file
}

#[test]
fn every_error_is_a_line_that_names_the_file() {
    let folder = folder("errors");
    let file = write(&folder, "pools.toml", "[pools.a]\nshards = 0\ncolour = 1\n[[routes]]\npool = \"b\"\n");
    let errors = check(&file).unwrap_err();
    let name = file.display();
    let expected =
        ["pools.a.shards: ", "pools.a.colour: ", "pools.a.container: ", "routes[0].id: ", "routes[0].pool: "];
    assert_eq!(errors.len(), expected.len(), "{errors:#?}");
    for (error, path) in errors.iter().zip(expected) {
        assert!(error.starts_with(&format!("{name}: {path}")), "{error}");
    }
}

#[test]
fn a_file_that_cannot_be_parsed_says_where() {
    let folder = folder("syntax");
    for (name, text, place) in [
        ("a.toml", "[pools.a]\ncontainer = = 1", "line 2, column 13"),
        ("a.toml", "[pools.a]\n[pools.a]", "duplicate key"),
        ("a.json", "{\"pools\": {,}}", "line 1 column 12"),
        ("a.yaml", "pools:", "must end in .toml or .json"),
    ] {
        let errors = check(&write(&folder, name, text)).unwrap_err();
        assert!(errors.len() == 1 && errors[0].contains(name) && errors[0].contains(place), "{errors:?}");
    }
    let missing = check(&folder.join("none.toml")).unwrap_err();
    assert!(missing[0].contains("none.toml: cannot be read"), "{missing:?}");
}

#[test]
fn toml_and_json_are_alike() {
    let folder = folder("alike");
    let toml = write(&folder, "a.toml", "[pools.a]\ncontainer = \"A\"\nwarm_target = 1\n");
    let json =
        write(&folder, "a.json", r#"{"$schema": "./x.json", "pools": {"a": {"container": "A", "warmTarget": 1}}}"#);
    assert_eq!(check(&toml).unwrap(), check(&json).unwrap());
}

#[test]
fn there_is_one_file_or_the_named_one() {
    let folder = folder("choice");
    let none = source_file(&folder, None).unwrap_err();
    assert!(none.contains("there is no config/pools.toml and no config/pools.json"), "{none}");

    let json = write(&folder, "config/pools.json", "{}");
    assert_eq!(source_file(&folder, None).unwrap(), json);
    let toml = write(&folder, "config/pools.toml", "");
    let both = source_file(&folder, None).unwrap_err();
    assert!(both.contains("both") && both.contains("POOLS_CONFIG_FILE"), "{both}");
    fs::remove_file(&json).unwrap();
    assert_eq!(source_file(&folder, None).unwrap(), toml);

    assert_eq!(source_file(&folder, Some("other.toml".into())).unwrap(), folder.join("other.toml"));
    assert_eq!(source_file(&folder, Some("/abs/other.toml".into())).unwrap(), Path::new("/abs/other.toml"));
    assert_eq!(source_file(&folder, Some("".into())).unwrap(), toml, "an empty variable is none");
}

#[test]
fn a_build_can_be_made_reproducible() {
    assert_eq!(built_at_ms(Some("1700000000")), Ok(1_700_000_000_000));
    assert!(built_at_ms(Some("yesterday")).unwrap_err().contains("SOURCE_DATE_EPOCH"));
    assert!(built_at_ms(None).unwrap() > 1_700_000_000_000);
}

//! Who may import whom: the pure modules stay pure, and the edge stays at the edge.

#![allow(clippy::unwrap_used, clippy::string_slice)]

use std::fs;
use std::path::{Path, PathBuf};

/// What a folder must not mention, and why.
struct Rule {
    folder: &'static str,
    forbidden: &'static [&'static str],
    because: &'static str,
}

/// What no pure folder may mention: the runtime, JavaScript, clocks, `async`, and maps whose order is random.
const IMPURE: &[&str] =
    &["worker::", "js_sys", "wasm_bindgen", "web_sys", "std::time", "async ", ".await", "HashMap", "HashSet"];

const RULES: [Rule; 9] = [
    Rule {
        folder: "src/config",
        forbidden: IMPURE,
        because: "config is pure, and the build script includes it by path",
    },
    Rule { folder: "src/core", forbidden: IMPURE, because: "core is a deterministic function of its arguments" },
    Rule { folder: "src/wire", forbidden: IMPURE, because: "messages are data" },
    Rule {
        folder: "src/config",
        forbidden: &["Instant", "SystemTime", "rand::", "std::env", "std::fs", "crate::"],
        because: "config is pure, and the build script includes it by path",
    },
    Rule {
        folder: "src/core",
        forbidden: &[
            "Instant",
            "SystemTime",
            "rand::",
            "std::env",
            "std::fs",
            "crate::wire",
            "crate::store",
            "crate::edge",
            "crate::embedded",
            "Uuid::new_v4",
            "thread_local",
            "RefCell",
        ],
        because: "core is a deterministic function of its arguments",
    },
    Rule {
        folder: "src/wire",
        forbidden: &["crate::store", "crate::edge", "crate::embedded"],
        because: "messages are data",
    },
    Rule {
        folder: "src/store",
        forbidden: &["crate::edge", "crate::wire", "async ", ".await", "HashMap", "HashSet"],
        because: "rows are loaded and written synchronously, and know only the machines",
    },
    Rule {
        folder: "src/edge",
        forbidden: &["SqlStorage", "SqlCursor", ".sql()"],
        because: "store is the only user of SQL",
    },
    Rule {
        folder: "src",
        forbidden: &["Instant::now", "SystemTime::now"],
        because: "they panic on wasm; time comes from the runtime's Date",
    },
];

#[test]
fn no_module_imports_what_it_must_not() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut broken = Vec::new();
    let mut looked_at = 0;
    for Rule { folder, forbidden, because } in RULES {
        for file in rust_files(&root.join(folder)) {
            looked_at += 1;
            let text = fs::read_to_string(&file).unwrap();
            for (number, line) in production_lines(&text) {
                for word in forbidden.iter().filter(|word| mentions(line, word)) {
                    let file = file.strip_prefix(root).unwrap().display();
                    broken.push(format!("{file}:{number} mentions `{word}`: {because}"));
                }
            }
        }
    }
    assert!(looked_at > 50, "only {looked_at} files were looked at");
    assert!(broken.is_empty(), "\n{}", broken.join("\n"));
}

#[test]
fn of_core_and_config_core_sees_only_the_resolved_configuration() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for file in rust_files(&root.join("src/core")) {
        let text = fs::read_to_string(&file).unwrap();
        for (number, line) in production_lines(&text) {
            let others =
                line.match_indices("crate::config").any(|(at, _)| !line[at..].starts_with("crate::config::resolved"));
            assert!(!others, "{}:{number}: {line}", file.display());
        }
    }
}

#[test]
fn nobody_but_the_root_sees_the_edge() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for folder in ["src/config", "src/core", "src/wire", "src/store"] {
        for file in rust_files(&root.join(folder)) {
            let text = fs::read_to_string(&file).unwrap();
            assert!(!production_lines(&text).any(|(_, line)| line.contains("crate::edge")), "{}", file.display());
        }
    }
}

/// A word counts where no longer name contains it (`worker::`, but not `my_worker::`).
fn mentions(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        !before.is_some_and(|c| c.is_alphanumeric() || c == '_') || word.starts_with('.')
    })
}

/// The lines of a file that are neither comments nor part of its tests, which end the file.
fn production_lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    (1..)
        .zip(text.lines())
        .take_while(|(_, line)| line.trim() != "#[cfg(test)]")
        .filter(|(_, line)| !line.trim_start().starts_with("//"))
}

/// Compiled for tests only.
const TEST_FILES: [&str; 1] = ["src/config/schema.rs"];

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs")
            && !TEST_FILES.iter().any(|file| path.ends_with(file))
        {
            files.push(path);
        }
    }
    files.sort();
    files
}

//! The repository as it lies there: its programs and its text files.

use std::path::{Path, PathBuf};

pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

pub fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
}

/// Files of a directory (and below), as paths from the root, sorted.
pub fn files(dir: &str) -> Vec<String> {
    let mut all = Vec::new();
    let mut open = vec![PathBuf::from(dir)];
    while let Some(dir) = open.pop() {
        let entries =
            std::fs::read_dir(root().join(&dir)).unwrap_or_else(|e| panic!("{dir:?}: {e}"));
        for entry in entries {
            let entry = entry.expect("entry");
            let path = dir.join(entry.file_name());
            if entry.path().is_dir() {
                open.push(path);
            } else {
                all.push(path.to_str().expect("UTF-8").to_owned());
            }
        }
    }
    all.sort();
    all
}

/// A program's name, and what its `//!` line says that it is.
pub fn programs() -> Vec<(String, String)> {
    let read = |path: &String| {
        let name = Path::new(path).file_stem()?.to_str()?.to_owned();
        let first = read(path).lines().next()?.to_owned();
        let what = first.strip_prefix(&format!("//! {name} - "));
        Some((
            name.clone(),
            what.unwrap_or_else(|| panic!("{path}: begins with {first:?}")).to_owned(),
        ))
    };
    files("bin").iter().filter_map(read).collect()
}

//! The rules of the house, checked on the source itself: layers, where `unsafe` may stand, file
//! headers, lengths, names, dependencies that are written down.
//!
//! Each rule is a function from a file to what is wrong in it; the tests in `rules` show on small
//! bad inputs that each can fail. What the compiler and clippy check is not repeated here.

#[path = "house/rules.rs"]
mod rules;
#[path = "house/source.rs"]
mod source;

use std::path::Path;

use source::{File, walk};

/// Runs a rule over the files and fails with everything it found.
fn check(wanted: impl Fn(&File) -> bool, rule: impl Fn(&File) -> Vec<String>) {
    let files = walk(Path::new(env!("CARGO_MANIFEST_DIR")));
    let files: Vec<_> = files.into_iter().filter(|file| wanted(file)).collect();
    assert!(!files.is_empty(), "the rule looked at nothing");
    let found: Vec<_> = files
        .iter()
        .flat_map(|file| {
            rule(file)
                .into_iter()
                .map(move |what| format!("{}: {what}", file.path))
        })
        .collect();
    assert!(found.is_empty(), "\n{}", found.join("\n"));
}

fn rust(file: &File) -> bool {
    file.path.ends_with(".rs")
}

#[test]
fn layers_point_one_way() {
    check(rust, rules::layers);
}

#[test]
fn unsafe_has_its_places() {
    check(rust, rules::unsafe_places);
}

#[test]
fn files_begin_with_their_job() {
    check(rust, rules::header);
}

#[test]
fn files_and_functions_are_short() {
    check(rust, rules::lengths);
}

#[test]
fn nothing_is_left_undone() {
    check(rust, rules::undone);
}

#[test]
fn modules_are_named_for_what_they_do() {
    check(rust, rules::names);
}

#[test]
fn no_path_of_a_workplace() {
    check(|_| true, rules::workplaces);
}

#[test]
fn dependencies_are_written_down() {
    let files = walk(Path::new(env!("CARGO_MANIFEST_DIR")));
    let page = files
        .iter()
        .find(|file| file.path == rules::DEPENDENCIES_PAGE);
    let page = &page
        .expect("docs/decisions/0003-dependencies.md is there")
        .text;
    let manifests = files
        .iter()
        .filter(|file| file.path.ends_with("Cargo.toml"));
    let manifests: Vec<_> = manifests.map(|file| file.text.as_str()).collect();
    assert!(manifests.len() >= 4, "the workspace and its crates");
    let found = rules::dependencies(&manifests, page);
    assert!(found.is_empty(), "\n{}", found.join("\n"));
}

#[test]
fn each_fault_point_is_in_the_crash_matrix() {
    let files = walk(Path::new(env!("CARGO_MANIFEST_DIR")));
    let found = rules::fault_points(&files);
    assert!(found.is_empty(), "\n{}", found.join("\n"));
}

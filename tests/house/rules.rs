//! The rules, each from a file to what is wrong in it, and what shows that each can fail.

use std::collections::BTreeSet;

use super::source::File;

pub(crate) const DEPENDENCIES_PAGE: &str = "docs/decisions/0003-dependencies.md";

pub(crate) const CRASH_MATRIX: &str = "tests/crash/matrix.py";

const FILE_LINES_MAX: usize = 600;
const FUNCTION_LINES_MAX: usize = 70;

/// The modules at the top of core, and what of core each of the lower three may use: itself.
const CORE: [&str; 17] = [
    "admission",
    "auth",
    "client",
    "config",
    "current",
    "deflate",
    "faultpoint",
    "group",
    "limits",
    "lmdb",
    "log",
    "mailboxes",
    "metrics",
    "proto",
    "rt",
    "tls",
    "wire",
];
const LOWER: [&str; 3] = ["rt", "wire", "proto"];

/// rt, wire, proto → the rest of core → mupdate → proxy → root; one runtime, one TLS. A test within
/// core may hold two of the lower three together: that what proto writes, wire frames.
pub(crate) fn layers(file: &File) -> Vec<String> {
    let mut found = Vec::new();
    let barred: &[&str] = match file.path.split('/').next() {
        Some("core") => &[
            "ravenry_mupdate",
            "ravenry_proxy",
            "ravenry_backend",
            "ravenry_loadgen",
        ],
        Some("mupdate") => &["ravenry_proxy", "ravenry_backend", "ravenry_loadgen"],
        Some("proxy") => &["ravenry_backend", "ravenry_loadgen"],
        Some("backend") => &["ravenry_proxy", "ravenry_loadgen"],
        _ => &[],
    };
    let foreign = ["tokio", "async_std", "smol", "openssl", "native_tls"];
    for name in barred.iter().chain(&foreign) {
        found.extend(lines_with_word(&file.code, name).map(|l| format!("line {l}: uses {name}")));
    }
    for layer in LOWER {
        let inside = file.path.strip_prefix("core/src/").is_some_and(|path| {
            path.split('/').next() == Some(layer) || path == format!("{layer}.rs")
        });
        let test = file.path.ends_with("/tests.rs") || file.path.contains("/tests/");
        if inside && !test {
            let used = core_modules(file)
                .into_iter()
                .filter(|(_, module)| *module != layer);
            found.extend(used.map(|(l, module)| format!("line {l}: {layer} uses {module}")));
        }
    }
    found
}

/// The modules of core that a file names by `crate::` or by `super::` up to the root.
fn core_modules(file: &File) -> Vec<(usize, String)> {
    let inner = file
        .path
        .trim_start_matches("core/src/")
        .trim_end_matches(".rs");
    let depth = inner.split('/').filter(|part| *part != "mod").count();
    let roots = ["crate::".to_owned(), "super::".repeat(depth)];
    let shipped = file.code.split("\nmod tests {").next().unwrap_or_default();
    let mut found = Vec::new();
    for root in &roots {
        for (at, _) in shipped.match_indices(root.as_str()) {
            if shipped[..at].ends_with("super::") {
                continue;
            }
            let line = line_of(shipped, at);
            let path = &shipped[at + root.len()..];
            let names = first_names(path).into_iter();
            // `super::` may end at a module of the layer's own within a file; `crate::` is sure.
            let names = names.filter(|name| root == "crate::" || CORE.contains(&name.as_str()));
            found.extend(names.map(|name| (line, name)));
        }
    }
    found
}

/// `rt::net` gives rt; `{wire, proto::{sasl, imap}}` gives wire and proto.
fn first_names(path: &str) -> Vec<String> {
    let Some(group) = path.trim_start().strip_prefix('{') else {
        return vec![word_at(path).to_owned()];
    };
    let (mut depth, mut fresh, mut names) = (1, true, Vec::new());
    for (i, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 1 => fresh = true,
            c if fresh && depth == 1 && is_word(c) => {
                names.push(word_at(&group[i..]).to_owned());
                fresh = false;
            }
            _ => {}
        }
        if depth == 0 {
            break;
        }
    }
    names
}

/// `unsafe` stands in rt and in the one file that opens LMDB.
pub(crate) fn unsafe_places(file: &File) -> Vec<String> {
    if file.path.starts_with("core/src/rt/") || file.path == "core/src/lmdb.rs" {
        return Vec::new();
    }
    lines_with_word(&file.code, "unsafe")
        .map(|line| format!("line {line}: unsafe"))
        .collect()
}

/// The first line says what the file is for.
pub(crate) fn header(file: &File) -> Vec<String> {
    let first = file.text.lines().next().unwrap_or_default();
    let says = first
        .strip_prefix("//! ")
        .is_some_and(|text| !text.trim().is_empty());
    if says {
        Vec::new()
    } else {
        vec!["the first line is not `//! what it is for`".to_owned()]
    }
}

/// Files and bodies of functions that can be read in one go; comments and blank lines of a body
/// don't count, as with clippy.
pub(crate) fn lengths(file: &File) -> Vec<String> {
    let lines = file.text.lines().count();
    let mut found = Vec::new();
    if lines > FILE_LINES_MAX {
        found.push(format!("{lines} lines, {FILE_LINES_MAX} at most"));
    }
    for at in words(&file.code, "fn") {
        let name = word_at(file.code[at + 2..].trim_start());
        let Some(body) = body_of(&file.code[at..]) else {
            continue;
        };
        let lines = body.lines().filter(|line| !line.trim().is_empty()).count();
        if lines > FUNCTION_LINES_MAX {
            let line = line_of(&file.code, at);
            found.push(format!(
                "line {line}: {name} has {lines} lines, {FUNCTION_LINES_MAX} at most"
            ));
        }
    }
    found
}

/// Between the braces of a function; `None` for a declaration or a function pointer.
fn body_of(function: &str) -> Option<&str> {
    let (mut open, mut depth, mut parens) = (0, 0_usize, 0_isize);
    for (i, c) in function.char_indices() {
        match c {
            '(' | '[' => parens += 1,
            ')' | ']' => parens -= 1,
            _ => {}
        }
        // `[u8; 4]` in the signature is no end, `fn()` within an argument list no function.
        if parens < 0 || (c == ';' && parens == 0 && depth == 0) {
            return None;
        }
        match c {
            '{' if depth == 0 => (open, depth) = (i + 1, 1),
            '{' => depth += 1,
            '}' if depth == 1 => return function.get(open..i),
            '}' => depth = depth.checked_sub(1)?,
            _ => {}
        }
    }
    None
}

/// No place holder, no test that doesn't run.
pub(crate) fn undone(file: &File) -> Vec<String> {
    let macros = ["todo", "unimplemented"].into_iter().flat_map(|name| {
        let used =
            words(&file.code, name).filter(|at| file.code[at + name.len()..].starts_with('!'));
        used.map(move |at| (at, format!("{name}!")))
            .collect::<Vec<_>>()
    });
    let ignored = file
        .code
        .match_indices("#[ignore")
        .map(|(at, _)| (at, "#[ignore]".to_owned()));
    macros
        .chain(ignored)
        .map(|(at, what)| format!("line {}: {what}", line_of(&file.code, at)))
        .collect()
}

/// No module is called for holding things.
pub(crate) fn names(file: &File) -> Vec<String> {
    let barred = [
        "manager", "util", "utils", "common", "helper", "helpers", "misc",
    ];
    let parts = file.path.trim_end_matches(".rs").split('/');
    let mut found: Vec<_> = parts
        .filter(|part| barred.contains(part))
        .map(|part| format!("a module called {part}"))
        .collect();
    for at in words(&file.code, "mod") {
        let name = word_at(file.code[at + 3..].trim_start());
        if barred.contains(&name) {
            found.push(format!(
                "line {}: a module called {name}",
                line_of(&file.code, at)
            ));
        }
    }
    found
}

/// The repository stands by itself: no path of the place where somebody worked on it.
pub(crate) fn workplaces(file: &File) -> Vec<String> {
    let barred = [concat!("..", "/shared"), concat!("/wo", "rk/")];
    let lines = file.text.lines().enumerate();
    let bad = lines.filter(|(_, line)| barred.iter().any(|path| line.contains(path)));
    bad.map(|(i, line)| format!("line {}: {}", i + 1, line.trim()))
        .collect()
}

/// Every dependency of a manifest has a row `| name | …` on the page, and the page no other.
pub(crate) fn dependencies(manifests: &[&str], page: &str) -> Vec<String> {
    let used: BTreeSet<_> = manifests
        .iter()
        .flat_map(|manifest| dependency_names(manifest))
        .collect();
    let rows = page
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split_once('`'));
    let written: BTreeSet<_> = rows.map(|(name, _)| name.to_owned()).collect();
    let missing = used
        .difference(&written)
        .map(|name| format!("{name} has no row"));
    let stale = written
        .difference(&used)
        .map(|name| format!("{name} has a row and no use"));
    missing.chain(stale).collect()
}

/// The names under `[…dependencies]`, and of `[…dependencies.name]`; not the workspace's own.
fn dependency_names(manifest: &str) -> Vec<String> {
    let (mut within, mut names) = (false, Vec::new());
    for line in manifest.lines().map(str::trim) {
        if let Some(section) = line.strip_prefix('[') {
            let section = section.trim_end_matches(']');
            within = section.ends_with("dependencies");
            if let Some((_, name)) = section.rsplit_once("dependencies.") {
                names.push(name.to_owned());
            }
        } else if within && !line.starts_with('#') {
            let name = line.split(['=', '.', ' ']).next().unwrap_or_default();
            names.push(name.trim_matches('"').to_owned());
        }
    }
    names.retain(|name| !name.is_empty() && !name.starts_with("ravenry"));
    names
}

/// The fault points of the code are those of the crash matrix.
pub(crate) fn fault_points(files: &[File]) -> Vec<String> {
    let shipped = |file: &&File| file.path.ends_with(".rs") && file.path.contains("/src/");
    let reached: BTreeSet<_> = files.iter().filter(shipped).flat_map(points).collect();
    let matrix = files.iter().filter(|file| file.path == CRASH_MATRIX);
    let killed: BTreeSet<_> = matrix.flat_map(points).collect();
    let missing = reached
        .difference(&killed)
        .map(|point| format!("{point}: nobody dies there"));
    let stale = killed
        .difference(&reached)
        .map(|point| format!("{point}: nothing comes there"));
    missing.chain(stale).collect()
}

/// `"backend.create.begun"`, wherever it stands in a file.
fn points(file: &File) -> Vec<String> {
    let strings = file.text.split('"');
    let points = strings.filter(|text| {
        let words: Vec<_> = text.split('.').collect();
        words.len() == 3
            && ["backend", "frontend", "master"].contains(&words[0])
            && words[1..]
                .iter()
                .all(|word| !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase()))
    });
    points.map(str::to_owned).collect()
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// The word at the beginning of `text`.
fn word_at(text: &str) -> &str {
    &text[..text.find(|c| !is_word(c)).unwrap_or(text.len())]
}

/// Where a word stands as a word of its own.
fn words<'t>(text: &'t str, word: &'t str) -> impl Iterator<Item = usize> + 't {
    text.match_indices(word)
        .map(|(at, _)| at)
        .filter(move |at| {
            !text[..*at].ends_with(is_word) && !text[at + word.len()..].starts_with(is_word)
        })
}

fn lines_with_word<'t>(text: &'t str, word: &'t str) -> impl Iterator<Item = usize> + 't {
    words(text, word).map(|at| line_of(text, at))
}

fn line_of(text: &str, at: usize) -> usize {
    text[..at].matches('\n').count() + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(rule: fn(&File) -> Vec<String>, path: &str, text: &str) -> usize {
        rule(&File::new(path, text)).len()
    }

    #[test]
    fn layers_can_fail() {
        for (path, text, want) in [
            (
                "core/src/rt/net.rs",
                "use crate::rt::ring;\nuse super::timer;",
                0,
            ),
            ("core/src/rt/net.rs", "use crate::wire;", 1),
            (
                "core/src/rt/net.rs",
                "use crate::{rt, wire, proto::{sasl, imap}, limits::X};",
                3,
            ),
            ("core/src/rt/net.rs", "use super::super::auth::X;", 1),
            ("core/src/rt/mod.rs", "use super::config;", 1),
            (
                "core/src/rt/mod.rs",
                "mod tests {\n use super::*;\n use super::net;\n}",
                0,
            ),
            ("core/src/wire/imap.rs", "fn f() { crate::proto::x() }", 1),
            (
                "core/src/proto/imap/mod.rs",
                "use super::super::wire::Line;",
                1,
            ),
            (
                "core/src/wire/imap.rs",
                "// crate::proto is above\nlet s = \"crate::proto\";",
                0,
            ),
            (
                "core/src/proto/imap.rs",
                "fn f() {}\nmod tests {\n use crate::wire;\n}",
                0,
            ),
            ("core/src/proto/tests.rs", "use crate::wire::Line;", 0),
            ("core/src/proto/tests.rs", "use ravenry_proxy::x;", 1),
            ("core/src/auth/mod.rs", "use crate::rt::Pool;", 0),
            ("core/src/auth/mod.rs", "use ravenry_proxy::x;", 1),
            ("mupdate/src/lib.rs", "use ravenry_core::rt;", 0),
            ("mupdate/src/lib.rs", "use ravenry_proxy::x;", 1),
            ("proxy/src/lib.rs", "use ravenry_mupdate::Barrier;", 0),
            ("proxy/src/lib.rs", "use tokio::net::TcpStream;", 1),
            ("backend/src/lib.rs", "use ravenry_mupdate::Barrier;", 0),
            ("backend/src/lib.rs", "use ravenry_proxy::x;", 1),
            ("src/main.rs", "fn main() { tokio::run() }", 1),
        ] {
            assert_eq!(found(layers, path, text), want, "{path}: {text}");
        }
    }

    #[test]
    fn core_s_modules_are_those_listed() {
        let lib = include_str!("../../core/src/lib.rs");
        let declared = lib.lines().filter_map(|line| {
            line.trim_start_matches("pub ")
                .strip_prefix("mod ")?
                .strip_suffix(';')
        });
        assert_eq!(declared.collect::<Vec<_>>(), CORE);
    }

    #[test]
    fn unsafe_places_can_fail() {
        let bad = "fn f() { unsafe { g() } }";
        assert_eq!(found(unsafe_places, "proxy/src/lib.rs", bad), 1);
        assert_eq!(found(unsafe_places, "core/src/rtx.rs", bad), 1);
        assert_eq!(found(unsafe_places, "core/src/rt/ring.rs", bad), 0);
        assert_eq!(found(unsafe_places, "core/src/lmdb.rs", bad), 0);
        let spoken = "// unsafe\n#![deny(unsafe_code)]\nlet s = \"unsafe\";";
        assert_eq!(found(unsafe_places, "proxy/src/lib.rs", spoken), 0);
    }

    #[test]
    fn header_can_fail() {
        assert_eq!(found(header, "a.rs", "//! The job.\n"), 0);
        for bad in [
            "",
            "//!\n",
            "// A comment.\n",
            "\n//! Late.\n",
            "use std::fs;\n",
        ] {
            assert_eq!(found(header, "a.rs", bad), 1, "{bad:?}");
        }
    }

    #[test]
    fn lengths_can_fail() {
        let file = |lines| "x\n".repeat(lines);
        assert_eq!(found(lengths, "a.rs", &file(600)), 0);
        assert_eq!(found(lengths, "a.rs", &file(601)), 1);
        let function = |lines| {
            format!(
                "fn f(a: [u8; 4]) -> X {{\n{}}}\n",
                "a;\n\n// b\n".repeat(lines)
            )
        };
        assert_eq!(found(lengths, "a.rs", &function(70)), 0);
        assert_eq!(found(lengths, "a.rs", &function(71)), 1);
        let nested = format!("fn g() {{\n{}}}\n", "if x {\n}\n".repeat(36));
        assert_eq!(found(lengths, "a.rs", &nested), 1);
        let declared =
            "trait T {\n fn f(&self, g: fn() -> u8);\n}\n".to_owned() + &"a;\n".repeat(90);
        assert_eq!(found(lengths, "a.rs", &declared), 0);
    }

    #[test]
    fn undone_can_fail() {
        let bad =
            "fn f() { todo!() }\nfn g() { unimplemented!(\"x\") }\n#[test]\n#[ignore = \"slow\"]";
        assert_eq!(found(undone, "a.rs", bad), 3);
        assert_eq!(
            found(undone, "a.rs", "// todo!()\nlet todo = 1; // #[ignore]"),
            0
        );
    }

    #[test]
    fn names_can_fail() {
        assert_eq!(found(names, "core/src/util.rs", ""), 1);
        assert_eq!(found(names, "proxy/src/manager/mod.rs", ""), 1);
        assert_eq!(
            found(
                names,
                "proxy/src/lib.rs",
                "mod helper { }\npub mod common;\nmod commons;"
            ),
            2
        );
        assert_eq!(found(names, "proxy/src/route.rs", "mod tests {}"), 0);
    }

    #[test]
    fn workplaces_can_fail() {
        let bad = format!("see {}shared/x\ncd /wo{}/main", "../", "rk");
        assert_eq!(found(workplaces, "README.md", &bad), 2);
        assert_eq!(
            found(
                workplaces,
                "README.md",
                "cd /var/lib/ravenry, a framework/shared"
            ),
            0
        );
    }

    #[test]
    fn dependencies_can_fail() {
        let manifest = "[package]\nname = \"x\"\n[dependencies]\nravenry-core = { path = \"c\" }\n\
            # toml\nlibc.workspace = true\nheed = \"1\"\n[dependencies.serde]\nversion = \"1\"\n\
            [target.'cfg(unix)'.dev-dependencies]\ntempfile = \"3\"\n[lints]\nworkspace = true\n";
        assert_eq!(
            dependency_names(manifest),
            ["libc", "heed", "serde", "tempfile"]
        );
        let page = "| name | why |\n| `libc` | x |\n| `heed` | y |\n| `gone` | z |\n";
        let found = dependencies(&[manifest], page);
        let wanted = [
            "serde has no row",
            "tempfile has no row",
            "gone has a row and no use",
        ];
        assert_eq!(found, wanted);
    }
    #[test]
    fn fault_points_can_fail() {
        let code =
            "f(\"backend.create.begun\"); g(\"master.x.y\", \"backend.imap\", \"backend.v1.x\")";
        let matrix = "Step(\"backend.create.begun\"), Step(\"frontend.a.b\")";
        let files = [
            File::new("backend/src/lib.rs", code),
            File::new(CRASH_MATRIX, matrix),
            File::new("tests/system/x.py", "\"master.not.here\""),
        ];
        let found = fault_points(&files);
        let wanted = [
            "master.x.y: nobody dies there",
            "frontend.a.b: nothing comes there",
        ];
        assert_eq!(found, wanted);
    }
}

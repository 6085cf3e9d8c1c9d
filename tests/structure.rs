//! The structure that ARCHITECTURE.md promises, read from the sources: no circle of imports between
//! files other than a module and its children, few floors, few public modules.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use fourtuple_suite::root;

/// Most public modules of a crate that others build on.
const PUBLIC_MODULES: usize = 4;
/// Most floors of the harness: files in its longest chain of imports.
const FLOORS: usize = 10;

/// A module by its path from the root of its crate; the root itself is empty.
type Module = Vec<String>;
/// The modules that each module imports.
type Imports = BTreeMap<Module, BTreeSet<Module>>;

/// A file, as far as its imports go.
#[derive(Debug, Default)]
struct Source {
    /// The child modules that it declares, and whether they are public.
    children: BTreeMap<String, bool>,
    /// Names that it imports or exports, each with the path behind it.
    names: BTreeMap<String, Module>,
    /// The paths that it mentions.
    paths: BTreeSet<Module>,
}

impl Source {
    fn read(text: &str) -> Source {
        let text = text.split("#[cfg(test)]\nmod ").next().unwrap_or(text);
        let lines = text
            .lines()
            .filter_map(|line| line.split("//").next())
            .filter(|line| !line.trim().is_empty());
        let code = lines.collect::<Vec<_>>().join("\n");
        let mut source = Source::default();
        let mut rest = code.as_str();
        while !rest.is_empty() {
            let line = rest.lines().next().unwrap_or_default();
            let (visibility, item) = declaration(line);
            let statement = rest.split_inclusive(';').next().unwrap_or(rest);
            let read = match item.split_once(' ') {
                Some(("use", _)) => {
                    source.imports(statement);
                    statement.len()
                }
                Some(("mod", name)) if name.ends_with(';') => {
                    let name = name.trim_end_matches(';').to_owned();
                    source.children.insert(name, visibility == "pub");
                    line.len()
                }
                _ => {
                    source.mentions(line);
                    line.len()
                }
            };
            rest = rest[read..].trim_start_matches(['\n', ' ']);
        }
        source
    }

    /// Adds a `use` declaration.
    fn imports(&mut self, statement: &str) {
        let (_, item) = declaration(statement);
        let tree = item.trim_start_matches("use").trim_end_matches(';');
        for (path, name) in expand(tree) {
            self.names.insert(name, path.clone());
            self.paths.insert(path);
        }
    }

    /// Adds the paths in a line.
    fn mentions(&mut self, line: &str) {
        let in_path = |c: char| c.is_alphanumeric() || c == '_' || c == ':';
        for word in line.split(|c| !in_path(c)) {
            if word.contains("::") {
                self.paths.insert(segments(word));
            }
        }
    }
}

/// The visibility in front of an item, and the item.
fn declaration(line: &str) -> (&str, &str) {
    let line = line.trim_start();
    if let Some(rest) = line.strip_prefix("pub ") {
        return ("pub", rest);
    }
    match line
        .strip_prefix("pub(")
        .and_then(|rest| rest.split_once(") "))
    {
        Some((visibility, item)) => (visibility, item),
        None => ("", line),
    }
}

/// The paths of a tree of imports, each with the name that it gets.
fn expand(tree: &str) -> Vec<(Module, String)> {
    let tree = tree.trim();
    if let Some((before, list)) = tree.split_once('{') {
        let list = list.strip_suffix('}').unwrap_or(list);
        let prefix = segments(before);
        let inside = items(list).into_iter().flat_map(expand);
        return inside
            .map(|(path, name)| ([prefix.clone(), path].concat(), name))
            .collect();
    }
    let (path, alias) = tree.split_once(" as ").unwrap_or((tree, ""));
    let path = segments(path);
    let name = match alias {
        "" => path.last().cloned().unwrap_or_default(),
        alias => alias.to_owned(),
    };
    vec![(path, name)]
}

/// The items of a list, of which each may be a tree.
fn items(list: &str) -> Vec<&str> {
    let mut depth = 0;
    let ends = |c: char| {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        c == ',' && depth == 0
    };
    list.split(ends)
        .map(str::trim)
        .filter(|one| !one.is_empty())
        .collect()
}

fn segments(path: &str) -> Module {
    let parts = path.split("::").map(str::trim);
    parts
        .filter(|part| !part.is_empty())
        .map(str::to_owned)
        .collect()
}

/// The files of one crate.
struct Crate(BTreeMap<Module, Source>);

impl Crate {
    fn load(folder: &Path) -> Crate {
        let mut files = BTreeMap::new();
        read_folder(folder, &Vec::new(), &mut files);
        Crate(files)
    }

    /// The module whose file a path leads to from a module; none outside of the crate.
    fn resolve(&self, from: &Module, path: &[String]) -> Option<Module> {
        let (first, _) = path.split_first()?;
        let mut at = match first.as_str() {
            "crate" => Vec::new(),
            "self" | "super" => from.clone(),
            child if self.0[from].children.contains_key(child) => from.clone(),
            _ => return None,
        };
        let ups = path.iter().take_while(|part| *part == "super").count();
        at.truncate(at.len().saturating_sub(ups));
        let mut rest = path
            .iter()
            .skip_while(|part| matches!(part.as_str(), "crate" | "self" | "super"));
        for part in &mut rest {
            let source = self.0.get(&at)?;
            if source.children.contains_key(part) {
                at.push(part.clone());
                continue;
            }
            // A name that the file has from elsewhere.
            let behind = source
                .names
                .get(part)
                .filter(|path| path.last() != Some(part) || path.len() > 1);
            return behind.and_then(|path| self.resolve(&at, path)).or(Some(at));
        }
        self.0.contains_key(&at).then_some(at)
    }

    fn imports(&self) -> Imports {
        let of = |(module, source): (&Module, &Source)| {
            let found = source
                .paths
                .iter()
                .filter_map(|path| self.resolve(module, path));
            (module.clone(), found.filter(|one| one != module).collect())
        };
        self.0.iter().map(of).collect()
    }

    fn public_modules(&self) -> usize {
        let root = self.0.get(&Vec::new());
        root.map_or(0, |root| {
            root.children.values().filter(|public| **public).count()
        })
    }
}

fn read_folder(folder: &Path, at: &Module, files: &mut BTreeMap<Module, Source>) {
    let entries =
        fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    for entry in entries {
        let path = entry.expect("an entry").path();
        let stem = path
            .file_stem()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        if path.is_dir() {
            read_folder(&path, &[at.clone(), vec![stem]].concat(), files);
        } else if path.extension().is_some_and(|ending| ending == "rs") && stem != "tests" {
            let module = match stem.as_str() {
                "lib" | "main" | "mod" => at.clone(),
                _ => [at.clone(), vec![stem]].concat(),
            };
            let text = fs::read_to_string(&path).expect("a source file");
            files.insert(module, Source::read(&text));
        }
    }
}

/// The modules that import each other, directly or not; those further down come first.
fn circles(imports: &Imports) -> Vec<BTreeSet<Module>> {
    let reached: BTreeMap<&Module, BTreeSet<&Module>> = imports
        .keys()
        .map(|module| (module, reached(imports, module)))
        .collect();
    let mut found: Vec<BTreeSet<Module>> = Vec::new();
    for (module, below) in &reached {
        if !found.iter().any(|circle| circle.contains(*module)) {
            let same = below
                .iter()
                .filter(|other| reached[**other].contains(module));
            let same = same.map(|other| (*other).clone());
            found.push(same.chain([(*module).clone()]).collect());
        }
    }
    // A module reaches more than what it imports reaches.
    let height =
        |module: &Module| reached[module].len() + usize::from(!reached[module].contains(module));
    found.sort_by_key(|circle| circle.first().map_or(0, height));
    found
}

fn reached<'a>(imports: &'a Imports, from: &Module) -> BTreeSet<&'a Module> {
    let mut found = BTreeSet::new();
    let mut next: Vec<&Module> = imports[from].iter().collect();
    while let Some(module) = next.pop() {
        if let Some((module, below)) = imports.get_key_value(module)
            && found.insert(module)
        {
            next.extend(below);
        }
    }
    found
}

/// The circles that are more than a module and its children: without the module that all others are
/// below of, files still import each other.
fn forbidden(imports: &Imports) -> Vec<BTreeSet<Module>> {
    let mut found = Vec::new();
    for circle in circles(imports)
        .into_iter()
        .filter(|circle| circle.len() > 1)
    {
        let top = circle
            .iter()
            .min_by_key(|module| module.len())
            .expect("a member");
        if circle.iter().all(|module| module.starts_with(top)) {
            let children = circle.iter().filter(|module| *module != top);
            let inside = |module: &Module| {
                let below = imports[module]
                    .iter()
                    .filter(|one| *one != top && circle.contains(*one));
                (module.clone(), below.cloned().collect())
            };
            found.extend(forbidden(&children.map(inside).collect()));
        } else {
            found.push(circle);
        }
    }
    found
}

/// The number of floors: the longest chain of imports, a circle being one floor.
fn floors(imports: &Imports) -> usize {
    let circles = circles(imports);
    let mut heights: BTreeMap<&Module, usize> = BTreeMap::new();
    for circle in &circles {
        let below = circle.iter().flat_map(|module| &imports[module]);
        let below = below.filter(|module| !circle.contains(*module));
        let height = 1 + below
            .filter_map(|module| heights.get(module))
            .max()
            .unwrap_or(&0);
        heights.extend(circle.iter().map(|module| (module, height)));
    }
    heights.into_values().max().unwrap_or(0)
}

fn crates() -> Vec<String> {
    let folders = fs::read_dir(root().join("crates")).expect("the crates");
    let names = folders.map(|one| {
        one.expect("an entry")
            .file_name()
            .to_string_lossy()
            .into_owned()
    });
    let mut names: Vec<String> = names.collect();
    names.sort();
    names
}

fn load(name: &str) -> Crate {
    Crate::load(&root().join("crates").join(name).join("src"))
}

#[test]
fn files_import_each_other_in_one_direction() {
    let mut wrong = Vec::new();
    for name in crates() {
        for circle in forbidden(&load(&name).imports()) {
            let files: Vec<String> = circle.iter().map(|module| module.join("/")).collect();
            wrong.push(format!("{name}: {}", files.join(", ")));
        }
    }
    assert!(
        wrong.is_empty(),
        "circles of imports:\n{}",
        wrong.join("\n")
    );
}

#[test]
fn the_harness_has_few_floors() {
    let floors = floors(&load("harness").imports());
    println!("floors of the harness: {floors}");
    assert!(floors > 3, "the imports are not read");
    assert!(floors <= FLOORS, "{floors} floors, at most {FLOORS}");
}

#[test]
fn crates_have_few_public_modules() {
    for name in ["harness", "analysis", "render"] {
        let public = load(name).public_modules();
        assert!((1..=PUBLIC_MODULES).contains(&public), "{name}: {public}");
    }
}

/// A crate whose tests are one program finds the files of `tests` in its `main.rs` only.
#[test]
fn every_test_file_belongs_to_a_program() {
    let mut programs = 0;
    for entry in fs::read_dir(root().join("crates")).expect("the crates") {
        let package = entry.expect("an entry").path();
        let Ok(main) = fs::read_to_string(package.join("tests/main.rs")) else {
            continue;
        };
        programs += 1;
        let manifest = fs::read_to_string(package.join("Cargo.toml")).expect("a manifest");
        for file in fs::read_dir(package.join("tests")).expect("the tests") {
            let file = file.expect("an entry").path();
            let name = file.file_stem().expect("a name").to_string_lossy();
            let alone = || manifest.contains(&format!("[[test]]\nname = \"{name}\""));
            assert!(
                file.extension().is_none_or(|ending| ending != "rs")
                    || name == "main"
                    || main.contains(&format!("\nmod {name};\n"))
                    || alone(),
                "{} is in no test program: name it in main.rs",
                file.display()
            );
        }
    }
    assert!(programs > 3, "no test programs are found");
}

/// A made-up crate of files and their texts.
fn made_up(files: &[(&str, &str)]) -> Crate {
    let source = |(module, text): &(&str, &str)| (segments(module), Source::read(text));
    Crate(files.iter().map(source).collect())
}

#[test]
fn circles_are_found() {
    let circle = made_up(&[
        ("", "mod a;\nmod b;\npub use a::A;"),
        ("a", "use crate::b::{self, B as Other};\npub struct A;"),
        ("b", "fn b() -> crate::A {}"),
    ]);
    let found = forbidden(&circle.imports());
    assert_eq!(found, [BTreeSet::from([segments("a"), segments("b")])]);
    // Through a parent that exports it.
    let longer = made_up(&[
        ("", "mod a;\nmod b;"),
        ("a", "mod x;\npub(crate) use x::X;"),
        ("a::x", "use crate::b::B;"),
        ("b", "use crate::a::X;"),
    ]);
    assert_eq!(forbidden(&longer.imports()).len(), 1);
}

#[test]
fn a_module_and_its_children_are_no_circle() {
    let tree = made_up(&[
        ("", "mod a;\npub mod b;"),
        ("a", "mod x;\nmod y;\nuse x::X;\nuse y::Y;"),
        ("a::x", "use super::A;"),
        ("a::y", "use super::x::X;\nuse super::A; // crate::b"),
        (
            "b",
            "use crate::a::A;\n#[cfg(test)]\nmod tests {\n    use crate::nothing;\n}",
        ),
    ]);
    assert_eq!(forbidden(&tree.imports()), []);
    // a and its children are one floor, and b is above them.
    assert_eq!((floors(&tree.imports()), tree.public_modules()), (2, 1));
    let siblings = made_up(&[
        ("", "mod a;"),
        ("a", "mod x;\nmod y;\nuse x::X;"),
        ("a::x", "use super::y::Y;\nuse super::A;"),
        ("a::y", "use super::x::X;"),
    ]);
    assert_eq!(forbidden(&siblings.imports()).len(), 1);
}
